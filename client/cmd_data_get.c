/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* devregctl data get PLACE LENGTH: octets to a file, a pipe, or as a hex dump to a person. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "cmd_data.h"
#include "hexdump.h"
#include "util/number.h"

/* Where the octets go. */
struct sink {
    FILE *stream;
    const char *file; /* NULL: standard output */
    bool created;     /* the file was not there before */
    bool truncated;   /* what was in the file before is gone */
    bool hex;
};

static int fail_file(const char *file, int code, struct failure *failure)
{
    return failure_set(failure, EXIT_CODE_OTHER, "%s: %s", file ? file : "standard output", strerror(code));
}

/* Opens before anything is read, since what comes out of a FIFO register can't be read again; but what is
 * in the file stays until the first octets are there. */
static int sink_open(struct sink *sink, const struct options *options, struct failure *failure)
{
    int fd;

    *sink = (struct sink){.stream = stdout, .file = options->output};
    sink->hex = options_have(options, OPTION_HEX) || (!sink->file && isatty(STDOUT_FILENO));
    if (!sink->file)
        return 0;
    fd = open(sink->file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    sink->created = fd >= 0;
    if (fd < 0 && errno == EEXIST)
        fd = open(sink->file, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return fail_file(sink->file, errno, failure);
    sink->stream = fdopen(fd, "w");
    if (sink->stream)
        return 0;
    close(fd);
    return failure_set(failure, EXIT_CODE_OTHER, "out of memory");
}

static int sink_write(
        struct sink *sink, uint64_t offset, const struct buffer *octets, struct failure *failure)
{
    struct stat status;
    int fd = fileno(sink->stream);

    if (sink->file && !sink->truncated && fstat(fd, &status) == 0 && S_ISREG(status.st_mode) &&
            ftruncate(fd, 0) < 0)
        return fail_file(sink->file, errno, failure);
    sink->truncated = true;
    errno = 0;
    if (sink->hex)
        hexdump_write(sink->stream, offset, octets->data, octets->size);
    else
        fwrite(octets->data, 1, octets->size, sink->stream);
    /* Flushed after each piece: nothing more is read from the device once the octets have no place to go. */
    if (fflush(sink->stream) != 0 || ferror(sink->stream))
        return fail_file(sink->file, errno ? errno : EIO, failure);
    return 0;
}

/* `r` is how the transfer went; returns how all of it went. */
static int sink_close(struct sink *sink, int r, struct failure *failure)
{
    if (!sink->file)
        return r;
    if (fclose(sink->stream) != 0 && r == 0)
        r = fail_file(sink->file, errno, failure);
    if (sink->created && !sink->truncated)
        unlink(sink->file);
    return r;
}

static int get_piece(struct transfer *transfer, size_t size, struct sink *sink, struct failure *failure)
{
    _cleanup_buffer_ struct buffer path = {0};
    _cleanup_buffer_ struct buffer octets = {0};
    bool fixed = options_have(transfer->call->options, OPTION_FIXED);
    int r;

    transfer_begin_path(transfer, &path);
    path_append_parameter(&path, "length=%zu", size);
    if (!path_finish(&path, failure))
        return -1;
    r = connection_get_octets(&transfer->call->connection, path.data, size, &octets, failure);
    if (r < 0)
        return r;
    /* A FIFO's octets all come from one offset: what is counted is their order. */
    r = sink_write(sink, (fixed ? 0 : transfer->place.offset) + transfer->done, &octets, failure);
    if (r == 0)
        transfer->done += size;
    return r;
}

static int get_all(struct transfer *transfer, uint64_t length, struct sink *sink, struct failure *failure)
{
    int r = 0;

    while (r == 0 && transfer->done < length) {
        uint64_t left = length - transfer->done;

        r = get_piece(transfer, left < transfer->piece ? (size_t)left : transfer->piece, sink, failure);
        if (r < 0 && transfer_shrink(transfer, failure))
            r = 0;
    }
    if (r < 0 && transfer->done > 0)
        failure_append(
                failure, "%" PRIu64 " of %" PRIu64 " octets were read before", transfer->done, length);
    return r;
}

static int parse_length(const struct transfer *transfer, uint64_t *ret_length, struct failure *failure)
{
    const char *text = transfer->call->operands[1];
    uint64_t last;

    if (number_parse_size(text, ret_length) < 0 || *ret_length == 0)
        return failure_set(failure, EXIT_CODE_USAGE,
                "\"%s\" is not a length: write octets, as 256, 0x100, 64k or 1M", text);
    if (!options_have(transfer->call->options, OPTION_FIXED) &&
            __builtin_add_overflow(transfer->place.offset, *ret_length - 1, &last))
        return failure_set(failure, EXIT_CODE_USAGE, "%s octets from %s on do not fit 64 bits", text,
                transfer->place.text);
    return 0;
}

int cmd_data_get(struct call *call, json_t **ret_result, struct failure *failure)
{
    _cleanup_transfer_ struct transfer transfer = {0};
    struct sink sink;
    uint64_t length = 0;
    int r;

    r = transfer_init(&transfer, call, failure);
    if (r < 0)
        return r;
    r = parse_length(&transfer, &length, failure);
    if (r < 0)
        return r;
    if (options_have(call->options, OPTION_JSON) && !call->options->output)
        return failure_set(failure, EXIT_CODE_USAGE,
                "--json with data get needs -o FILE: octets and JSON can't share standard output");
    r = call_connect(call, failure);
    if (r < 0)
        return r;
    r = sink_open(&sink, call->options, failure);
    if (r < 0)
        return r;
    r = get_all(&transfer, length, &sink, failure);
    r = sink_close(&sink, r, failure);
    if (r == 0)
        *ret_result = transfer_result(&transfer, call->options->output);
    return r;
}
