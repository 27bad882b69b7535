/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Always asks for a range: its answer says how many octets there are, whoever passes them on in between. */
#include "octets.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "http.h"
#include "util/clock.h"
#include "util/number.h"

/* A refusal comes as a problem document. */
enum { ANSWER_LIMIT = 64 * 1024 };

/* One request under way. */
struct passage {
    struct connection *connection;
    const struct octets_sink *sink;
    const struct octets_source *source;
    const char *name;
    uint64_t offset, length; /* that were asked for */
    uint64_t size;           /* that are to come */
    uint64_t done;
    bool began;
    uint64_t moved_us; /* CLOCK_BOOTTIME */
    struct http_watch watch;
    const struct http_watch *outer; /* of the connection: it goes on being looked after; NULL: nothing */
    struct failure failure;         /* of the sink or source */
};

static void passage_done(struct passage *passage)
{
    passage->connection->watch = passage->outer;
    failure_done(&passage->failure);
}
#define _cleanup_passage_ _cleanup_(passage_done)

/* --- Time --- */

static uint64_t patience_us(const struct passage *passage)
{
    return passage->connection->timeout_ms * UINT64_C(1000);
}

static int attend(void *context)
{
    struct passage *passage = context;

    if (clock_boottime_us() >= passage->moved_us + patience_us(passage))
        return -ETIMEDOUT;
    passage->watch.wake_us = passage->moved_us + patience_us(passage);
    return passage->outer ? passage->outer->attend(passage->outer->context) : 0;
}

static void moved(struct passage *passage, size_t size)
{
    passage->done += size;
    passage->moved_us = clock_boottime_us();
}

static void begin(struct passage *passage)
{
    struct connection *connection = passage->connection;

    passage->outer = connection->watch;
    passage->watch = (struct http_watch){
            .fd = passage->outer ? passage->outer->fd : -1, .attend = attend, .context = passage};
    connection->watch = &passage->watch;
    moved(passage, 0);
}

/* --- Getting --- */

static bool take_number(const char **text, const char *end, uint64_t *ret_number)
{
    char digits[24];
    size_t length = strspn(*text, "0123456789");

    if (length == 0 || length >= sizeof(digits) || strncmp(*text + length, end, strlen(end)) != 0)
        return false;
    memcpy(digits, *text, length);
    digits[length] = '\0';
    *text += length + strlen(end);
    return number_parse(digits, ret_number) == 0;
}

/* "bytes FIRST-LAST/SIZE" (RFC 9110, 14.4): how many octets from `offset` on it is. */
static int parse_range(const char *text, uint64_t offset, uint64_t *ret_size)
{
    uint64_t first, last;

    if (strncmp(text, "bytes ", 6) != 0)
        return -EINVAL;
    text += 6;
    if (!take_number(&text, "-", &first) || !take_number(&text, "/", &last) || first != offset ||
            last < first)
        return -EINVAL;
    *ret_size = last - first + 1;
    return 0;
}

static int judge_head(struct passage *passage, const struct http_answer *head, struct failure *failure)
{
    if (head->status != 206 || parse_range(head->content_range, passage->offset, &passage->size) < 0)
        return failure_set(failure, EXIT_CODE_OTHER,
                "%s answered with other octets than those that were asked for (%u, %s)",
                passage->connection->host.text, head->status,
                *head->content_range ? head->content_range : "no Content-Range");
    if (passage->length != OCTETS_TO_END && passage->size != passage->length)
        return failure_set(failure, EXIT_CODE_NOT_FOUND,
                "%s has only %" PRIu64 " octets from 0x%" PRIx64 " on, not %" PRIu64, passage->name,
                passage->size, passage->offset, passage->length);
    return passage->sink->begin(passage->sink->context, passage->size, failure);
}

static int take_head(void *context, const struct http_answer *head)
{
    struct passage *passage = context;

    passage->began = judge_head(passage, head, &passage->failure) == 0;
    return passage->began ? 0 : -ECANCELED;
}

static int take_octets(void *context, const char *data, size_t size)
{
    struct passage *passage = context;

    if (size > passage->size - passage->done) {
        failure_set(&passage->failure, EXIT_CODE_OTHER,
                "%s answered with more octets than the %" PRIu64 " that it announced",
                passage->connection->host.text, passage->size);
        return -EMSGSIZE;
    }
    if (passage->sink->take(passage->sink->context, data, size, &passage->failure) < 0)
        return -ECANCELED;
    moved(passage, size);
    return 0;
}

static void format_range(uint64_t offset, uint64_t length, char *ret_range, size_t size)
{
    if (length == OCTETS_TO_END)
        snprintf(ret_range, size, "bytes=%" PRIu64 "-", offset);
    else
        snprintf(ret_range, size, "bytes=%" PRIu64 "-%" PRIu64, offset, offset + length - 1);
}

/* What went wrong in the sink or source is the cause of what went wrong with the request. */
static int fail_passage(struct passage *passage, struct failure *failure)
{
    if (passage->failure.code != EXIT_CODE_OK)
        failure_move(failure, &passage->failure);
    return -1;
}

int octets_get(struct connection *connection, const char *path, const char *name, uint64_t offset,
        uint64_t length, const struct octets_sink *sink, struct failure *failure)
{
    _cleanup_passage_ struct passage passage = {
            .connection = connection, .name = name, .offset = offset, .length = length, .sink = sink};
    struct http_stream stream = {.content_type = "application/octet-stream",
            .begin = take_head,
            .take = take_octets,
            .context = &passage};
    _cleanup_http_answer_ struct http_answer answer = {0};
    char range[64];
    struct http_request request = {
            .method = "GET", .path = path, .range = range, .stream = &stream, .answer_limit = ANSWER_LIMIT};
    int r;

    format_range(offset, length, range, sizeof(range));
    begin(&passage);
    r = connection_exchange(connection, &request, &answer, failure);
    if (r < 0)
        fail_passage(&passage, failure);
    else if (!passage.began)
        return failure_set(failure, EXIT_CODE_OTHER, "%s answered with %s instead of octets: is it devregd?",
                connection->host.text, *answer.content_type ? answer.content_type : "no Content-Type");
    else if (passage.done < passage.size)
        r = failure_set(failure, EXIT_CODE_OTHER, "the answer of %s ended too early", connection->host.text);
    if (r < 0 && passage.began && passage.done < passage.size)
        failure_append(failure, "%" PRIu64 " of %" PRIu64 " octets came", passage.done, passage.size);
    return r;
}

/* --- Putting --- */

static int give_octets(void *context, char *data, size_t size, size_t *ret_size)
{
    struct passage *passage = context;

    if (size > passage->size - passage->done)
        size = (size_t)(passage->size - passage->done);
    *ret_size = 0;
    if (size == 0)
        return 0;
    if (passage->source->read(passage->source->context, data, size, ret_size, &passage->failure) < 0)
        return -ECANCELED;
    moved(passage, *ret_size);
    return 0;
}

int octets_put(struct connection *connection, const char *path, uint64_t size,
        const struct octets_source *source, json_t **ret_result, struct failure *failure)
{
    _cleanup_passage_ struct passage passage = {.connection = connection, .size = size, .source = source};
    struct http_upload upload = {.size = size, .read = give_octets, .context = &passage};
    struct http_request request = {
            .method = "PUT", .path = path, .content_type = "application/octet-stream", .upload = &upload};
    int r;

    begin(&passage);
    r = connection_exchange_json(connection, &request, ret_result, failure);
    return r < 0 ? fail_passage(&passage, failure) : 0;
}
