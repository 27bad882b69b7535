/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* devregctl buffer get ID [FILE]: octets of a DMA buffer to a file, a pipe, or as a hex dump to a person. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "cmd_buffer.h"
#include "hexdump.h"
#include "http.h"
#include "octets.h"
#include "output_file.h"
#include "progress.h"
#include "signals.h"

enum { DUMP_LINE = 16 };

/* Where the octets go. */
struct receipt {
    struct output_file file; /* its name is NULL: standard output */
    FILE *stream;
    bool hex;
    char line[DUMP_LINE]; /* of the dump: what is no whole line yet */
    size_t line_size;
    uint64_t offset; /* of the next octet in the buffer */
    uint64_t done;
    struct progress progress;
    struct signals signals;
    int signal; /* that asks to end; 0: none */
};

static int fail_write(const struct receipt *receipt, struct failure *failure)
{
    return failure_set(failure, EXIT_CODE_OTHER, "%s: %s",
            receipt->file.name ? receipt->file.name : "standard output", strerror(errno ? errno : EIO));
}

/* Whole lines; the rest waits. */
static void dump(struct receipt *receipt, const char *octets, size_t size)
{
    uint64_t offset = receipt->offset - receipt->line_size;
    size_t part;

    if (receipt->line_size > 0) {
        part = DUMP_LINE - receipt->line_size < size ? DUMP_LINE - receipt->line_size : size;
        memcpy(receipt->line + receipt->line_size, octets, part);
        receipt->line_size += part;
        octets += part;
        size -= part;
        if (receipt->line_size < DUMP_LINE)
            return;
        hexdump_write(receipt->stream, offset, receipt->line, DUMP_LINE);
        offset += DUMP_LINE;
    }
    part = size - size % DUMP_LINE;
    hexdump_write(receipt->stream, offset, octets, part);
    receipt->line_size = size - part;
    memcpy(receipt->line, octets + part, receipt->line_size);
}

static int begin(void *context, uint64_t size, struct failure *failure)
{
    struct receipt *receipt = context;

    (void)failure;
    receipt->progress.total = size;
    return 0;
}

static int take(void *context, const void *octets, size_t size, struct failure *failure)
{
    struct receipt *receipt = context;

    errno = 0;
    if (receipt->hex)
        dump(receipt, octets, size);
    else
        fwrite(octets, 1, size, receipt->stream);
    if (ferror(receipt->stream))
        return fail_write(receipt, failure);
    receipt->offset += size;
    receipt->done += size;
    progress_show(&receipt->progress, receipt->done);
    return 0;
}

static int finish(struct receipt *receipt, struct failure *failure)
{
    errno = 0;
    if (receipt->line_size > 0)
        hexdump_write(
                receipt->stream, receipt->offset - receipt->line_size, receipt->line, receipt->line_size);
    if (fflush(receipt->stream) != 0 || ferror(receipt->stream))
        return fail_write(receipt, failure);
    return receipt->file.name ? output_file_commit(&receipt->file, failure) : 0;
}

static int attend(void *context)
{
    struct receipt *receipt = context;
    struct signalfd_siginfo signal;

    if (!signals_next(&receipt->signals, &signal))
        return 0;
    receipt->signal = (int)signal.ssi_signo;
    return -ECANCELED;
}

static int receive(struct call *call, const char *path, struct receipt *receipt, struct failure *failure)
{
    const struct options *options = call->options;
    const struct octets_sink sink = {.begin = begin, .take = take, .context = receipt};
    uint64_t length = options_have(options, OPTION_LENGTH) ? options->length : OCTETS_TO_END;
    int r;

    progress_begin(&receipt->progress, receipt->file.name || !isatty(STDOUT_FILENO));
    r = octets_get(&call->connection, path, call->operands[0], options->offset, length, &sink, failure);
    progress_end(&receipt->progress);
    return r;
}

/* A signal ends devregctl only when nothing is left of the unfinished file. */
static int receive_file(struct call *call, const char *path, const char *file, struct receipt *receipt,
        struct failure *failure)
{
    struct http_watch watch = {.attend = attend, .context = receipt};
    sigset_t ending;
    int r;

    signals_of_ending(&ending);
    r = signals_open(&receipt->signals, &ending, failure);
    if (r < 0)
        return r;
    r = output_file_open(&receipt->file, file, failure);
    receipt->stream = receipt->file.stream;
    watch.fd = receipt->signals.fd;
    call->connection.watch = &watch;
    if (r == 0)
        r = receive(call, path, receipt, failure);
    call->connection.watch = NULL;
    if (r == 0)
        r = finish(receipt, failure);
    output_file_done(&receipt->file);
    signals_close(&receipt->signals, true);
    if (!receipt->signal)
        return r;
    call->exit_signal = receipt->signal;
    return 0;
}

static int find_file(const struct call *call, const char **ret_file, struct failure *failure)
{
    const char *output = call->options->output;
    const char *operand = call->operand_count > 1 ? call->operands[1] : NULL;

    if (output && operand)
        return failure_set(
                failure, EXIT_CODE_USAGE, "the octets go to %s or to %s, not to both", operand, output);
    *ret_file = operand ? operand : output;
    if (*ret_file && **ret_file == '\0')
        return failure_set(failure, EXIT_CODE_USAGE, "an empty file name");
    if (options_have(call->options, OPTION_JSON) && (!*ret_file || strcmp(*ret_file, "-") == 0))
        return failure_set(failure, EXIT_CODE_USAGE,
                "--json with buffer get needs a FILE: octets and JSON can't share standard output");
    return 0;
}

int cmd_buffer_get(struct call *call, json_t **ret_result, struct failure *failure)
{
    _cleanup_buffer_ struct buffer path = {0};
    struct receipt receipt = {.offset = call->options->offset, .stream = stdout};
    const char *file = NULL;
    int r;

    if (find_file(call, &file, failure) < 0 || buffer_judge_range(call->options, failure) < 0 ||
            buffer_begin_path(&path, call->operands[0], failure) < 0)
        return -1;
    buffer_append_string(&path, "/data");
    if (!path_finish(&path, failure) || call_connect(call, failure) < 0)
        return -1;
    receipt.hex = options_have(call->options, OPTION_HEX) || (!file && isatty(STDOUT_FILENO));
    if (file && strcmp(file, "-") != 0) {
        r = receive_file(call, path.data, file, &receipt, failure);
    } else {
        r = receive(call, path.data, &receipt, failure);
        if (r == 0)
            r = finish(&receipt, failure);
    }
    if (r < 0 || !file || receipt.signal)
        return r;
    *ret_result =
            buffer_transfer_result(call->operands[0], call->options->offset, receipt.done, file, failure);
    return *ret_result ? 0 : -1;
}
