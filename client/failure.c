/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The one place that knows which HTTP status is which exit code, and how a failure looks. */
#include "failure.h"

#include <stdarg.h>
#include <string.h>

#include "duration.h"
#include "text.h"
#include "util/buffer.h"

struct status_row {
    unsigned status;
    enum exit_code code;
    bool gateway; /* proxies say this too: it is only the daemon's word with a problem document */
};

static const struct status_row statuses[] = {
        {400, EXIT_CODE_USAGE, false},
        {401, EXIT_CODE_REFUSED, false},
        {403, EXIT_CODE_REFUSED, false},
        {404, EXIT_CODE_NOT_FOUND, false},
        {405, EXIT_CODE_USAGE, false},
        {408, EXIT_CODE_TIMEOUT, false},
        {409, EXIT_CODE_CONFLICT, false},
        {410, EXIT_CODE_BUS_FAULT, true},
        {411, EXIT_CODE_USAGE, false},
        {413, EXIT_CODE_USAGE, false},
        {414, EXIT_CODE_USAGE, false},
        {415, EXIT_CODE_USAGE, false},
        {416, EXIT_CODE_NOT_FOUND, false},
        {421, EXIT_CODE_REFUSED, false},
        {422, EXIT_CODE_REFUSED, false},
        {423, EXIT_CODE_CONFLICT, false},
        {429, EXIT_CODE_CONFLICT, false},
        {431, EXIT_CODE_USAGE, false},
        {500, EXIT_CODE_OTHER, false},
        {502, EXIT_CODE_BUS_FAULT, true},
        {503, EXIT_CODE_CONFLICT, true},
        {504, EXIT_CODE_TIMEOUT, true},
};

/* What the problem documents made here call themselves. */
static const struct {
    const char *type;
    const char *title;
} kinds[] = {
        [EXIT_CODE_OK] = {"urn:devreg:client:none", "No problem"},
        [EXIT_CODE_OTHER] = {"urn:devreg:client:failed", "Failed"},
        [EXIT_CODE_USAGE] = {"urn:devreg:client:usage", "Wrong command line"},
        [EXIT_CODE_REFUSED] = {"urn:devreg:client:refused", "Refused"},
        [EXIT_CODE_NOT_FOUND] = {"urn:devreg:client:not-found", "Not found"},
        [EXIT_CODE_CONFLICT] = {"urn:devreg:client:conflict", "Conflict"},
        [EXIT_CODE_BUS_FAULT] = {"urn:devreg:client:bus-fault", "Bus fault"},
        [EXIT_CODE_TIMEOUT] = {"urn:devreg:client:timeout", "No answer in time"},
        [EXIT_CODE_NO_CONNECTION] = {"urn:devreg:client:no-connection", "No connection"},
        [EXIT_CODE_NOT_EXECUTABLE] = {"urn:devreg:client:not-executable", "The command can't be executed"},
        [EXIT_CODE_NO_COMMAND] = {"urn:devreg:client:no-command", "No such command"},
};

void failure_done(struct failure *failure)
{
    json_decref(failure->problem);
    *failure = (struct failure){0};
}

static int set_detail(struct failure *failure, enum exit_code code, const char *detail)
{
    _cleanup_buffer_ struct buffer safe = {0};

    text_append_safe(&safe, detail);
    failure_done(failure);
    failure->code = code;
    if (buffer_failed(&safe))
        return -1;
    failure->problem = json_pack("{s:s, s:s, s:s%}", "type", kinds[code].type, "title", kinds[code].title,
            "detail", safe.data ? safe.data : "", safe.size);
    return -1;
}

static int __attribute__((format(printf, 3, 0)))
set_formatted(struct failure *failure, enum exit_code code, const char *format, va_list arguments)
{
    _cleanup_free_ char *detail = NULL;

    if (vasprintf(&detail, format, arguments) < 0)
        detail = NULL;
    return set_detail(failure, code, detail ? detail : "out of memory");
}

int failure_set(struct failure *failure, enum exit_code code, const char *format, ...)
{
    va_list arguments;
    int r;

    va_start(arguments, format);
    r = set_formatted(failure, code, format, arguments);
    va_end(arguments);
    return r;
}

int failure_set_error(struct failure *failure, enum exit_code code, const struct error *error)
{
    return set_detail(failure, code, error->message);
}

static const struct status_row *find_status(unsigned status)
{
    for (size_t i = 0; i < ELEMENTS(statuses); i++)
        if (statuses[i].status == status)
            return &statuses[i];
    return NULL;
}

int failure_set_status(struct failure *failure, unsigned status, json_t *problem, const char *source)
{
    const struct status_row *row = find_status(status);
    enum exit_code code = row ? row->code : EXIT_CODE_OTHER;

    if (problem && json_string_value(json_object_get(problem, "detail"))) {
        failure_done(failure);
        failure->code = code;
        failure->status = status;
        failure->problem = json_incref(problem);
        return -1;
    }
    if (status >= 300 && status < 400)
        return failure_set(failure, EXIT_CODE_OTHER,
                "%s answered with a redirection (%u), which devregctl "
                "does not follow: give the daemon's own address",
                source, status);
    if (row && row->gateway)
        code = EXIT_CODE_OTHER;
    return failure_set(
            failure, code, "%s answered %u without an explanation: is it devregd?", source, status);
}

void failure_append(struct failure *failure, const char *format, ...)
{
    _cleanup_buffer_ struct buffer whole = {0};
    _cleanup_free_ char *sentence = NULL;
    const char *detail = json_string_value(json_object_get(failure->problem, "detail"));
    va_list arguments;
    int r;

    va_start(arguments, format);
    r = vasprintf(&sentence, format, arguments);
    va_end(arguments);
    if (r < 0) {
        sentence = NULL;
        return;
    }
    text_append_safe(&whole, detail ? detail : "");
    buffer_append_string(&whole, "; ");
    text_append_safe(&whole, sentence);
    if (!buffer_failed(&whole))
        json_object_set_new(failure->problem, "detail", json_stringn(whole.data, whole.size));
}

void failure_move(struct failure *failure, struct failure *from)
{
    failure_done(failure);
    *failure = *from;
    *from = (struct failure){0};
}

const char *failure_detail(const struct failure *failure)
{
    const char *detail = json_string_value(json_object_get(failure->problem, "detail"));

    return detail ? detail : "out of memory";
}

/* " LABEL: TEXT", when there is such a member. */
static void write_member(FILE *stream, const char *label, const json_t *problem, const char *name)
{
    const char *text = json_string_value(json_object_get(problem, name));

    if (!text || !*text)
        return;
    fputs(label, stream);
    text_write_safe(stream, text);
}

/* Whom to ask, and how long it lasts otherwise. */
static void write_holder(FILE *stream, const json_t *problem)
{
    json_int_t seconds = json_integer_value(json_object_get(problem, "until_seconds"));
    char text[DURATION_TEXT];

    if (!json_is_string(json_object_get(problem, "holder")))
        return;
    write_member(stream, "devregctl: held by ", problem, "holder");
    if (seconds > 0)
        fprintf(stream, " for another %s", duration_format((uint64_t)seconds, text));
    write_member(stream, "; note: ", problem, "note");
    write_member(stream, "; contact: ", problem, "contact");
    fputc('\n', stream);
}

void failure_write_text(FILE *stream, const struct failure *failure)
{
    char text[DURATION_TEXT];

    fputs("devregctl: ", stream);
    text_write_safe(stream, failure_detail(failure));
    fputc('\n', stream);
    write_holder(stream, failure->problem);
    if (failure->retry_after_seconds > 0)
        fprintf(stream, "devregctl: try again in %s\n", duration_format(failure->retry_after_seconds, text));
}

void failure_write_json(FILE *stream, const struct failure *failure)
{
    if (!failure->problem) {
        fputs("{\"type\":\"urn:devreg:client:failed\",\"title\":\"Failed\",\"detail\":\"out of memory\"}\n",
                stream);
        return;
    }
    json_dumpf(failure->problem, stream, JSON_COMPACT | JSON_ENSURE_ASCII);
    fputc('\n', stream);
}

void failure_report(struct failure *failure, bool json)
{
    if (failure->reported)
        return;
    failure->reported = true;
    if (json)
        failure_write_json(stderr, failure);
    else
        failure_write_text(stderr, failure);
}
