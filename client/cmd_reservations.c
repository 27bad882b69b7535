/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* devregctl reservations, renew, release: what is held, and by whom. */
#include <inttypes.h>
#include <string.h>

#include "duration.h"
#include "output.h"
#include "reservation.h"
#include "target.h"
#include "text.h"
#include "values.h"

int cmd_reservations(struct call *call, json_t **ret_result, struct failure *failure)
{
    json_auto_t *answer = NULL;
    int r;

    r = reservation_connect(call, failure);
    if (r < 0)
        return r;
    r = connection_get(&call->connection, "/v1/reservations", &answer, failure);
    if (r < 0)
        return r;
    if (!get_list(call, answer, "reservations", failure))
        return -1;
    *ret_result = take_ptr(answer);
    return 0;
}

/* "held, shared", "waiting, place 2", "taken-over: who and why". */
static void append_state(struct buffer *buffer, const json_t *reservation)
{
    const char *reason = member_text(reservation, "reason", NULL);
    unsigned position = count_from_json(json_object_get(reservation, "position"), UINT32_MAX / 2);

    if (reservation_is(reservation, "ended"))
        buffer_append_string(buffer, member_text(reservation, "ended", "ended"));
    else
        buffer_append_string(buffer, member_text(reservation, "state", "?"));
    if (strcmp(member_text(reservation, "mode", ""), "shared") == 0)
        buffer_append_string(buffer, ", shared");
    if (position > 0 && reservation_is(reservation, "waiting"))
        buffer_append_format(buffer, ", place %u", position);
    if (reason && *reason) {
        buffer_append_string(buffer, ": ");
        buffer_append_string(buffer, reason);
    }
}

static void add_reservation(struct table *table, const json_t *reservation)
{
    uint64_t seconds = reservation_left(reservation);
    _cleanup_buffer_ struct buffer state = {0};
    char left[DURATION_TEXT];

    append_state(&state, reservation);
    buffer_append_char(&state, '\0');
    table_add_row(
            table, (const char *const[]){member_text(reservation, "id", "?"),
                           member_text(reservation, "target", "?"), buffer_text(&state),
                           member_text(reservation, "holder", "?"),
                           seconds > 0 ? duration_format(seconds, left) : "-",
                           member_text(reservation, "contact", "-"), member_text(reservation, "note", "-")});
}

static void write_reservations(FILE *stream, const json_t *reservations)
{
    static const char *const titles[] = {
            "RESERVATION", "TARGET", "STATE", "HOLDER", "LEFT", "CONTACT", "NOTE"};
    _cleanup_table_ struct table table = {.columns = ELEMENTS(titles), .cut = true};
    const json_t *reservation;
    size_t i;

    table_add_row(&table, titles);
    json_array_foreach ((json_t *)reservations, i, reservation) {
        add_reservation(&table, reservation);
    }
    table_write(stream, &table);
}

void cmd_reservations_write(FILE *stream, const struct call *call, const json_t *result)
{
    (void)call;
    write_reservations(stream, json_object_get(result, "reservations"));
}

int cmd_renew(struct call *call, json_t **ret_result, struct failure *failure)
{
    int r = reservation_connect(call, failure);

    if (r < 0)
        return r;
    return reservation_renew(call, call->operands[0], call->options->for_seconds, ret_result, failure);
}

void cmd_renew_write(FILE *stream, const struct call *call, const json_t *result)
{
    char moment[MOMENT_TEXT];

    (void)call;
    text_write_safe(stream, member_text(result, "id", "?"));
    fprintf(stream, " %s\n", moment_format(reservation_left(result), moment));
}

/* As the daemon makes them: "r-" and hexadecimal digits. */
static bool is_id(const char *text)
{
    return strncmp(text, "r-", 2) == 0 && text[2] && text[2 + strspn(text + 2, "0123456789abcdef")] == '\0';
}

static int release_each(
        struct call *call, const json_t *reservations, json_t *released, struct failure *failure)
{
    const json_t *reservation;
    size_t i;
    int r;

    json_array_foreach ((json_t *)reservations, i, reservation) {
        json_auto_t *ended = NULL;

        r = reservation_end(call, member_text(reservation, "id", ""), &ended, failure);
        if (r < 0)
            return r;
        json_array_append(released, ended);
    }
    return 0;
}

static int fail_none(
        const struct call *call, const char *principal, const json_t *others, struct failure *failure)
{
    _cleanup_buffer_ struct buffer list = {0};
    const json_t *other;
    size_t i;

    json_array_foreach ((json_t *)others, i, other) {
        buffer_append_string(&list, i > 0 ? ", " : "; you hold ");
        buffer_append_format(
                &list, "%s (%s)", member_text(other, "target", "?"), member_text(other, "id", "?"));
    }
    buffer_append_char(&list, '\0');
    return failure_set(failure, EXIT_CODE_NOT_FOUND, "%s has no reservation of exactly %s%s", principal,
            call->operands[0], buffer_text(&list));
}

/* The caller's own ones, those of the target and others. */
static int find_own(struct call *call, const char *principal, const struct target *target, json_t *ret_own,
        json_t *ret_others, struct failure *failure)
{
    json_auto_t *answer = NULL;
    const json_t *list;
    json_t *one;
    size_t i;
    int r;

    r = connection_get(&call->connection, "/v1/reservations", &answer, failure);
    if (r < 0)
        return r;
    list = get_list(call, answer, "reservations", failure);
    if (!list)
        return -1;
    json_array_foreach ((json_t *)list, i, one) {
        if (strcmp(member_text(one, "holder", ""), principal) != 0 || reservation_is(one, "ended"))
            continue;
        json_array_append(target_matches(target, one) ? ret_own : ret_others, one);
    }
    return 0;
}

static int release_target(struct call *call, json_t *released, struct failure *failure)
{
    _cleanup_target_ struct target target = {0};
    json_auto_t *who = NULL;
    json_auto_t *own = json_array();
    json_auto_t *others = json_array();
    const char *principal;
    int r;

    r = target_parse(call->operands[0], call->options->width, &target, failure);
    if (r == 0)
        r = reservation_connect(call, failure);
    if (r == 0)
        r = connection_get(&call->connection, "/v1/whoami", &who, failure);
    if (r < 0)
        return r;
    principal = member_text(who, "principal", NULL);
    if (!principal)
        return fail_unexpected(call, "no principal", failure);
    r = find_own(call, principal, &target, own, others, failure);
    if (r < 0)
        return r;
    if (json_array_size(own) == 0)
        return fail_none(call, principal, others, failure);
    return release_each(call, own, released, failure);
}

int cmd_release(struct call *call, json_t **ret_result, struct failure *failure)
{
    json_auto_t *released = json_array();
    int r;

    if (is_id(call->operands[0])) {
        r = reservation_connect(call, failure);
        return r < 0 ? r : reservation_end(call, call->operands[0], ret_result, failure);
    }
    r = release_target(call, released, failure);
    if (json_array_size(released) > 0)
        *ret_result = json_pack("{s:O}", "reservations", released);
    return r;
}
