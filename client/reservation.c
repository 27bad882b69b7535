/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* 410 is a device that is gone everywhere else; of a reservation it says that it is over, which is a
 * conflict. */
#include "reservation.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "output.h"
#include "util/json_writer.h"

int reservation_connect(struct call *call, struct failure *failure)
{
    int r = call_connect(call, failure);

    call->connection.outside_reservation = true;
    return r;
}

static int begin_path(struct buffer *path, const char *id, struct failure *failure)
{
    if (*id == '\0')
        return failure_set(failure, EXIT_CODE_USAGE,
                "a reservation has an id; devregctl reservations shows those there are");
    buffer_append_string(path, "/v1/reservations/");
    path_append_segment(path, id);
    return 0;
}

/* Keeps the answer when it is one about a reservation. */
static int judge(struct call *call, int r, json_t *answer, json_t **ret_reservation, struct failure *failure)
{
    if (r < 0 && failure->status == 410)
        failure->code = EXIT_CODE_CONFLICT;
    if (r == 0 && (!*member_text(answer, "id", "") || !*member_text(answer, "state", "")))
        r = fail_unexpected(call, "no reservation", failure);
    if (r == 0)
        *ret_reservation = json_incref(answer);
    return r;
}

int reservation_get(struct call *call, const char *id, unsigned wait_seconds, json_t **ret_reservation,
        struct failure *failure)
{
    _cleanup_buffer_ struct buffer path = {0};
    json_auto_t *answer = NULL;
    int r;

    r = begin_path(&path, id, failure);
    if (r < 0)
        return r;
    if (wait_seconds > 0)
        path_append_parameter(&path, "wait=%u", wait_seconds);
    if (!path_finish(&path, failure))
        return -1;
    r = connection_get(&call->connection, path.data, &answer, failure);
    return judge(call, r, answer, ret_reservation, failure);
}

int reservation_renew(struct call *call, const char *id, uint64_t seconds, json_t **ret_reservation,
        struct failure *failure)
{
    _cleanup_buffer_ struct buffer path = {0};
    _cleanup_buffer_ struct buffer body = {0};
    struct json_writer writer = json_writer(&body);
    json_auto_t *answer = NULL;
    int r;

    r = begin_path(&path, id, failure);
    if (r < 0 || !path_finish(&path, failure))
        return -1;
    json_begin_object(&writer, NULL);
    if (seconds > 0)
        json_put_count(&writer, "seconds", seconds);
    json_end_object(&writer);
    r = connection_send_json(&call->connection, "PUT", path.data, &body, &answer, failure);
    return judge(call, r, answer, ret_reservation, failure);
}

int reservation_end(struct call *call, const char *id, json_t **ret_reservation, struct failure *failure)
{
    _cleanup_buffer_ struct buffer path = {0};
    json_auto_t *answer = NULL;
    int r;

    r = begin_path(&path, id, failure);
    if (r < 0 || !path_finish(&path, failure))
        return -1;
    r = connection_delete(&call->connection, path.data, &answer, failure);
    return judge(call, r, answer, ret_reservation, failure);
}

int reservation_take(
        struct call *call, const struct buffer *body, json_t **ret_reservation, struct failure *failure)
{
    json_auto_t *answer = NULL;
    int r = connection_send_json(&call->connection, "POST", "/v1/reservations", body, &answer, failure);

    return judge(call, r, answer, ret_reservation, failure);
}

bool reservation_is(const json_t *reservation, const char *state)
{
    return strcmp(member_text(reservation, "state", ""), state) == 0;
}

uint64_t reservation_left(const json_t *reservation)
{
    json_int_t seconds = json_integer_value(json_object_get(reservation, "until_seconds"));

    return seconds > 0 && seconds <= UINT32_MAX ? (uint64_t)seconds : 0;
}

const char *moment_format(uint64_t seconds_from_now, char text[MOMENT_TEXT])
{
    time_t moment = time(NULL) + (time_t)seconds_from_now;
    struct tm parts;

    if (!gmtime_r(&moment, &parts) || strftime(text, MOMENT_TEXT, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0)
        strcpy(text, "?");
    return text;
}
