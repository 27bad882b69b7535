/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* api/reservations.c and api/reservations_post.c: what the API takes, and what it answers, now and later. */
#include "api_fixture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "util/clock.h"

#define LIST "/v1/reservations"
#define ONE  "/v1/reservations/{id}"

enum { ALICE, BOB, ADMIN, GUEST, KEEPER, PRINCIPALS };

static struct {
    struct api_fixture api;
    struct principal *principals[PRINCIPALS];
    char id[RESERVATION_ID_SIZE];
    bool left;
    unsigned answered;
} fixture;

/* alice and bob may do everything but administer; keeper administers edu alone; guest may list and reserve
 * edu, and write one of its registers. */
static struct access_subject users[] = {
        {SUBJECT_USER, (char *)"alice", false, 0}, {SUBJECT_USER, (char *)"bob", false, 0}};
static struct access_subject admin[] = {{SUBJECT_USER, (char *)"root", false, 0}};
static struct access_subject keeper[] = {{SUBJECT_USER, (char *)"keeper", false, 0}};
static struct access_subject guest[] = {{SUBJECT_USER, (char *)"guest", false, 0}};
static char *only_edu[] = {(char *)"edu", NULL};
static struct access_range upper_half[] = {{0x80, 0xfffff}};
static struct access_range scratch[] = {{0x4, 0x7}};
static struct access_rule rules[] = {
        {.name = (char *)"users",
                .subjects = users,
                .subject_count = 2,
                .permissions = PERMISSIONS_ALL & ~(1 << PERMISSION_ADMIN)},
        {.name = (char *)"admin", .subjects = admin, .subject_count = 1, .permissions = PERMISSIONS_ALL},
        {.name = (char *)"keeper",
                .subjects = keeper,
                .subject_count = 1,
                .permissions = PERMISSIONS_ALL,
                .regions = only_edu},
        {.name = (char *)"guest",
                .subjects = guest,
                .subject_count = 1,
                .permissions = 1 << PERMISSION_LIST | 1 << PERMISSION_RESERVE,
                .regions = only_edu},
        {.name = (char *)"guest-scratch",
                .subjects = guest,
                .subject_count = 1,
                .permissions = 1 << PERMISSION_WRITE,
                .regions = only_edu,
                .ranges = scratch,
                .range_count = 1},
        {.name = (char *)"not-the-upper-half",
                .deny = true,
                .subjects = guest,
                .subject_count = 1,
                .permissions = 1 << PERMISSION_RESERVE,
                .regions = only_edu,
                .ranges = upper_half,
                .range_count = 1},
};
static const struct access_rules access_of_test = {.rules = rules, .count = ELEMENTS(rules)};

static int set_up_with(bool with_ram)
{
    static const char *const names[PRINCIPALS] = {"alice", "bob", "root", "guest", "keeper"};
    static const struct reservation_limits limits = {8, 4, RESERVATION_UNCLAIMED_US};
    static const struct reservation_callbacks callbacks = {0};
    struct daemon *daemon = &fixture.api.daemon;

    memset(&fixture, 0, sizeof(fixture));
    api_open(&fixture.api, with_ram);
    daemon->access = &access_of_test;
    for (size_t i = 0; i < PRINCIPALS; i++) {
        fixture.principals[i] = principal_new(&daemon->accounts, PRINCIPAL_USER, names[i]);
        assert_non_null(fixture.principals[i]);
    }
    assert_int_equal(
            reservations_new(daemon->event, &daemon->accounts, &limits, &callbacks, &daemon->reservations),
            0);
    return 0;
}

static int set_up(void **state)
{
    (void)state;
    return set_up_with(true);
}

static int set_up_without_ram(void **state)
{
    (void)state;
    return set_up_with(false);
}

static int tear_down(void **state)
{
    struct daemon *daemon = &fixture.api.daemon;

    (void)state;
    reservations_free(daemon->reservations);
    for (size_t i = 0; i < PRINCIPALS; i++)
        principal_unref(&daemon->accounts, fixture.principals[i]);
    assert_null(daemon->accounts.first);
    api_close(&fixture.api);
    return 0;
}

/* A request of somebody's; most answers are one reservation, whose id is kept. */
static const struct api_answer *ask(
        unsigned who, const char *method, const char *id, const char *query, const char *body)
{
    const struct api_answer *answer;
    const char *kept;

    fixture.api.principal = fixture.principals[who];
    answer = api_request(&fixture.api, method, id[0] ? ONE : LIST, id, query, body, body ? strlen(body) : 0);
    kept = json_string_value(json_object_get(answer->json, "id"));
    if (kept)
        strcpy(fixture.id, kept);
    return answer;
}

/* Takes one, which must be answered with this status; returns its id, which is the caller's. */
static char *take(unsigned who, const char *body, unsigned status)
{
    const struct api_answer *answer = ask(who, "POST", "", "", body);

    test_that(answer->status == status, "%s was answered with %u %s", body, answer->status, answer->text);
    return strdup(fixture.id);
}

static const char *text_of(const struct api_answer *answer, const char *key)
{
    const char *text = json_string_value(json_object_get(answer->json, key));

    return text ? text : "";
}

static int number_of(const struct api_answer *answer, const char *key)
{
    return (int)json_integer_value(json_object_get(answer->json, key));
}

#define expect(who, method, id, query, body, wanted_status, wanted_text)                                    \
    do {                                                                                                    \
        const char *sent = (body);                                                                          \
        const struct api_answer *expected = ask((who), (method), (id), (query), sent);                      \
                                                                                                            \
        test_that(expected->status == (wanted_status) && strstr(expected->text, (wanted_text)),             \
                "%s %s ?%s %s was answered with %u %s", (method), (id), (query), sent ? sent : "",          \
                expected->status, expected->text);                                                          \
    } while (0)

static void test_take(void **state)
{
    const struct api_answer *answer = ask(ALICE, "POST", "", "",
            "{\"region\":\"edu\",\"offset\":\"0x10\",\"length\":16,\"seconds\":90,\"note\":\"flashing\","
            "\"contact\":\"alice@lab\"}");
    const json_t *window;

    (void)state;
    assert_int_equal(answer->status, 201);
    assert_string_equal(text_of(answer, "state"), "held");
    assert_string_equal(text_of(answer, "mode"), "exclusive");
    assert_string_equal(text_of(answer, "target"), "edu:0x10-0x1f");
    assert_string_equal(text_of(answer, "holder"), "user:alice");
    assert_string_equal(text_of(answer, "note"), "flashing");
    assert_string_equal(text_of(answer, "contact"), "alice@lab");
    assert_int_equal(number_of(answer, "seconds"), 90);
    assert_int_equal(number_of(answer, "until_seconds"), 90);
    assert_null(json_object_get(answer->json, "position"));
    window = json_array_get(json_object_get(answer->json, "windows"), 0);
    assert_string_equal(json_string_value(json_object_get(window, "region")), "edu");
    assert_string_equal(json_string_value(json_object_get(window, "offset")), "0x10");
    assert_string_equal(json_string_value(json_object_get(window, "length")), "0x10");

    expect(BOB, "POST", "", "", "{\"region\":\"edu\"}", 423, "edu is reserved by user:alice (edu:0x10-0x1f");
    answer = ask(BOB, "POST", "", "", "{\"region\":\"edu\",\"mode\":\"shared\"}");
    assert_string_equal(text_of(answer, "type"), "urn:devreg:problem:reserved");
    assert_string_equal(text_of(answer, "holder"), "user:alice");
    assert_string_equal(text_of(answer, "reservation"), fixture.id);
    assert_string_equal(text_of(answer, "note"), "flashing");
    assert_string_equal(text_of(answer, "contact"), "alice@lab");
    assert_int_equal(number_of(answer, "until_seconds"), 90);
    expect(BOB, "POST", "", "", "{\"region\":\"edu\",\"offset\":\"0x20\",\"length\":\"0x10\"}", 201, "held");
    expect(BOB, "POST", "", "", "{\"device\":\"odd\"}", 201, "\"target\":\"device odd\"");
    assert_int_equal(number_of(ask(BOB, "POST", "", "", "{\"region\":\"ram\"}"), "seconds"), 600);
    expect(BOB, "POST", "", "", "{\"region\":\"edu\",\"offset\":\"0x40\",\"length\":1}", 201, "held");
    expect(BOB, "POST", "", "", "{\"region\":\"edu\",\"offset\":\"0x50\",\"length\":1}", 429,
            "user:bob has 4 reservations");
}

static void test_malformed(void **state)
{
    static const struct {
        const char *body;
        unsigned status;
        const char *text;
    } rows[] = {
            {"{}", 400, "either \\\"region\\\" or \\\"device\\\""},
            {"", 400, "the body is empty"},
            {"{\"region\":\"edu\",\"device\":\"edu\"}", 400, "either"},
            {"{\"region\":1}", 400, "\\\"region\\\" is not a string"},
            {"{\"device\":null}", 400, "\\\"device\\\" is not a string"},
            {"{\"region\":\"nothing\"}", 404, "there is no region 'nothing'"},
            {"{\"device\":\"nothing\"}", 404, "there is no device 'nothing'"},
            {"{\"device\":\"edu\",\"offset\":\"0x0\",\"length\":4}", 400, "reserved whole"},
            {"{\"region\":\"edu\",\"offset\":\"0x0\"}", 400, "needs both"},
            {"{\"region\":\"edu\",\"length\":4}", 400, "needs both"},
            {"{\"region\":\"edu\",\"offset\":\"0x0\",\"length\":0}", 400, "length of 0"},
            {"{\"region\":\"edu\",\"offset\":\"zero\",\"length\":4}", 400, "offset 'zero' is not a number"},
            {"{\"region\":\"edu\",\"offset\":-1,\"length\":4}", 400, "offset is negative"},
            {"{\"region\":\"edu\",\"offset\":\"0x0\",\"length\":\"0x100001\"}", 416, "outside edu"},
            {"{\"region\":\"edu\",\"offset\":\"0xffffffffffffffff\",\"length\":\"0xffffffffffffffff\"}", 416,
                    "outside edu"},
            {"{\"region\":\"edu\",\"offset\":\"0x100000\",\"length\":1}", 416, "outside edu"},
            {"{\"region\":\"edu\",\"mode\":\"mine\"}", 400, "neither \\\"exclusive\\\" nor"},
            {"{\"region\":\"edu\",\"mode\":1}", 400, "neither \\\"exclusive\\\" nor"},
            {"{\"region\":\"edu\",\"seconds\":0}", 400, "from 1 to 86400"},
            {"{\"region\":\"edu\",\"seconds\":86401}", 400, "from 1 to 86400"},
            {"{\"region\":\"edu\",\"seconds\":1.5}", 400, "from 1 to 86400"},
            {"{\"region\":\"edu\",\"seconds\":\"60\"}", 400, "from 1 to 86400"},
            {"{\"region\":\"edu\",\"wait\":1}", 400, "\\\"wait\\\" is neither true nor false"},
            {"{\"region\":\"edu\",\"note\":1}", 400, "\\\"note\\\" is not a string"},
            {"{\"region\":\"edu\",\"note\":\"a\\u001b[2J\"}", 400, "control characters"},
            {"{\"region\":\"edu\",\"contact\":\"a\\u009b2J\"}", 400, "control characters"},
            {"{\"region\":\"edu\",\"takeover\":\"\"}", 400, "\\\"takeover\\\" is empty"},
            {"{\"region\":\"edu\",\"takeover\":true}", 400, "\\\"takeover\\\" is not a string"},
            {"{\"region\":\"edu\",\"hold\":1}", 400, "unknown key \\\"hold\\\""},
            {"{\"region\":\"edu\",\"safe_state\":{}}", 400, "\\\"safe_state\\\" is not a list"},
            {"{\"region\":\"edu\",\"safe_state\":[1]}", 400, "safe_state[0]: not an object"},
            {"{\"region\":\"edu\",\"safe_state\":[{\"offset\":4,\"value\":1,\"x\":1}]}", 400, "unknown key"},
            {"{\"region\":\"edu\",\"safe_state\":[{\"value\":1}]}", 400, "offset is missing"},
            {"{\"region\":\"edu\",\"safe_state\":[{\"offset\":4}]}", 400, "value is missing"},
            {"{\"region\":\"edu\",\"safe_state\":[{\"offset\":4,\"value\":1,\"width\":12}]}", 400,
                    "width 12 is none"},
            {"{\"region\":\"edu\",\"safe_state\":[{\"offset\":4,\"value\":\"0x100000000\"}]}", 422,
                    "does not fit the register's 32 bits"},
            {"{\"region\":\"edu\",\"safe_state\":[{\"offset\":2,\"value\":1}]}", 422, "not aligned"},
            {"{\"region\":\"edu\",\"safe_state\":[{\"region\":\"odd\",\"offset\":4,\"value\":1}]}", 400,
                    "region 'odd' is not in the reservation of edu"},
            {"{\"region\":\"edu\",\"offset\":0,\"length\":6,\"safe_state\":[{\"offset\":4,\"value\":1}]}",
                    416, "edu:0x4 is outside the reservation of edu:0x0-0x5"},
            {"{\"region\":\"edu\",\"safe_state\":[{\"offset\":\"0x100000\",\"value\":1}]}", 416,
                    "safe_state[0]: 0x100000 is outside edu"},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS(rows); i++)
        expect(ALICE, "POST", "", "", rows[i].body, rows[i].status, rows[i].text);
    assert_null(reservations_first(fixture.api.daemon.reservations, RESERVATION_HELD));
    expect(ALICE, "PUT", "r-1", "", "{\"seconds\":0}", 400, "from 1 to 86400");
    expect(ALICE, "PUT", "r-1", "", "{}", 404, "there is no reservation 'r-1'");
    expect(ALICE, "DELETE", "r-1", "", NULL, 404, "there is no reservation 'r-1'");
    expect(ALICE, "GET", "r-1", "", NULL, 404, "there is no reservation 'r-1'");
    expect(ALICE, "GET", "r-1", "wait=0", NULL, 400, "outside 1 to 60");
    expect(ALICE, "GET", "r-1", "wait=61", NULL, 400, "outside 1 to 60");
    expect(ALICE, "GET", "r-1", "state=held", NULL, 400, "add wait=SECONDS");
    expect(ALICE, "GET", "r-1", "wait=1&state=ended", NULL, 400, "neither held nor waiting");
}

static void test_texts_are_bounded(void **state)
{
    char body[400], note[300];

    (void)state;
    for (size_t length = 255; length <= 256; length++) {
        memset(note, 'x', length);
        note[length] = 0;
        snprintf(body, sizeof(body), "{\"region\":\"edu\",\"note\":\"%s\"}", note);
        expect(ALICE, "POST", "", "", body, length == 255 ? 201 : 400, length == 255 ? note : "longer than");
        if (length == 255)
            expect(ALICE, "DELETE", fixture.id, "", NULL, 200, "released");
    }
}

static void test_permissions(void **state)
{
    _cleanup_free_ char *id =
            take(GUEST, "{\"region\":\"edu\",\"offset\":\"0x0\",\"length\":\"0x80\"}", 201);

    (void)state;
    expect(GUEST, "POST", "", "", "{\"region\":\"odd\"}", 403, "odd");
    expect(GUEST, "POST", "", "", "{\"device\":\"odd\"}", 403, "odd");
    expect(GUEST, "POST", "", "", "{\"region\":\"edu\"}", 403, "edu"); /* not the upper half */
    expect(ALICE, "POST", "", "", "{\"region\":\"edu\",\"takeover\":\"mine\"}", 403, "edu");
    expect(ALICE, "DELETE", id, "", NULL, 403, "user:alice can't release it");
    expect(ALICE, "PUT", id, "", "{}", 403, "user:alice can't renew it");
    expect(GUEST, "DELETE", id, "", NULL, 200, "released");
    expect(GUEST, "POST", "", "",
            "{\"region\":\"edu\",\"offset\":0,\"length\":128,\"safe_state\":[{\"offset\":8,\"value\":1}]}",
            403, "safe_state[0]");
    expect(GUEST, "POST", "", "",
            "{\"region\":\"edu\",\"offset\":0,\"length\":128,\"safe_state\":[{\"offset\":4,\"value\":1}]}",
            201,
            "\"safe_state\":[{\"region\":\"edu\",\"offset\":\"0x4\",\"width\":32,\"value\":\"0x00000001\"}]");
}

/* A device that does not make them in time keeps its holder from adding to them. */
static void test_safe_writes_are_bounded(void **state)
{
    static const char *const with = "{\"region\":\"edu\",\"safe_state\":[{\"offset\":4,\"value\":1}]}";
    struct account *account = fixture.principals[ALICE]->account;
    char body[2000] = "{\"region\":\"edu\",\"safe_state\":[";

    (void)state;
    for (size_t i = 0; i < 17; i++)
        strcat(body, i ? ",{\"offset\":4,\"value\":1}" : "{\"offset\":4,\"value\":1}");
    strcat(body, "]}");
    expect(ALICE, "POST", "", "", body, 413, "more than 16 writes");
    account->safe_writes = 64;
    expect(ALICE, "POST", "", "", with, 429,
            "user:alice has 64 safe-state writes that are still to be made");
    expect(BOB, "POST", "", "", with, 201, "held");
    expect(BOB, "DELETE", fixture.id, "", NULL, 200, "released");
    expect(ALICE, "POST", "", "", "{\"region\":\"edu\"}", 201, "held");
    expect(ALICE, "DELETE", fixture.id, "", NULL, 200, "released");
    account->safe_writes = 63;
    expect(ALICE, "POST", "", "", with, 201, "held");
    account->safe_writes = 0;
}

/* Who may administer a part of a reservation can't end all of it by taking that part over. */
static void test_takeover_of_more_than_is_administered(void **state)
{
    static const char *const takeover = "{\"region\":\"edu\",\"takeover\":\"mine\"}";
    struct daemon *daemon = &fixture.api.daemon;
    const struct reservation_window windows[] = {
            {inventory_find_region(daemon->inventory, "edu"), 0, UINT64_MAX},
            {inventory_find_region(daemon->inventory, "ram"), 0, UINT64_MAX}};
    const struct reservation_wish both = {.holder = "user:alice",
            .exclusive = true,
            .target = "edu and ram",
            .windows = windows,
            .window_count = 2,
            .duration_us = UINT64_C(60) * 1000000};
    const struct reservation *blocking;
    struct reservation *held;
    struct error error = {0};

    (void)state;
    assert_int_equal(reservations_take(daemon->reservations, &both, &held, &blocking, &error), 0);
    expect(KEEPER, "POST", "", "", takeover, 403, "this would end user:alice's reservation of edu and ram");
    assert_int_equal(held->state, RESERVATION_HELD);
    expect(ALICE, "DELETE", held->id, "", NULL, 200, "released");
    expect(ALICE, "POST", "", "", "{\"region\":\"edu\"}", 201, "held");
    expect(KEEPER, "POST", "", "", takeover, 201, "held");
    expect(KEEPER, "POST", "", "", takeover, 201, "held"); /* its own */
}

/* The rules are others since it was taken. */
static void test_renewal_asks_again(void **state)
{
    static const struct access_rules no_rules = {0};
    _cleanup_free_ char *id = take(ALICE, "{\"region\":\"edu\"}", 201);

    (void)state;
    expect(ALICE, "PUT", id, "", "{}", 200, "held");
    fixture.api.daemon.access = &no_rules;
    expect(ALICE, "PUT", id, "", "{}", 403, "no access rule lets user:alice reserve");
}

/* Whoever is valid for a time only, like a token, holds nothing for longer, however it came to hold it. */
static void test_end_of_the_holder(void **state)
{
    _cleanup_free_ char *first = take(ALICE, "{\"region\":\"edu\",\"seconds\":50}", 201);
    _cleanup_free_ char *second = take(BOB, "{\"region\":\"edu\",\"wait\":true}", 202);

    (void)state;
    fixture.principals[ALICE]->expires = fixture.principals[BOB]->expires = (uint64_t)time(NULL) + 90;
    assert_int_equal(number_of(ask(ALICE, "PUT", first, "", "{}"), "until_seconds"), 50);
    assert_in_range(number_of(ask(ALICE, "PUT", first, "", "{\"seconds\":300}"), "until_seconds"), 60, 90);
    assert_in_range(number_of(ask(ALICE, "POST", "", "", "{\"region\":\"odd\"}"), "until_seconds"), 60, 90);
    expect(ALICE, "DELETE", first, "", NULL, 200, "released");
    assert_in_range(number_of(ask(BOB, "GET", second, "", NULL), "until_seconds"), 60, 90);
}

/* What may not be listed is not there. */
static void test_not_to_be_seen(void **state)
{
    _cleanup_free_ char *odd = take(ALICE, "{\"region\":\"odd\"}", 201);
    _cleanup_free_ char *edu = take(ALICE, "{\"region\":\"edu\"}", 201);

    (void)state;
    assert_int_equal(
            json_array_size(json_object_get(ask(ALICE, "GET", "", "", NULL)->json, "reservations")), 2);
    assert_int_equal(
            json_array_size(json_object_get(ask(GUEST, "GET", "", "", NULL)->json, "reservations")), 1);
    expect(GUEST, "GET", edu, "", NULL, 200, "user:alice");
    expect(GUEST, "GET", odd, "", NULL, 404, "there is no reservation");
    expect(GUEST, "PUT", odd, "", "{}", 404, "there is no reservation");
    expect(GUEST, "DELETE", odd, "", NULL, 404, "there is no reservation");
    expect(ADMIN, "GET", odd, "", NULL, 200, "user:alice");
}

static void test_queue_and_takeover(void **state)
{
    _cleanup_free_ char *first = take(ALICE, "{\"region\":\"edu\"}", 201);
    _cleanup_free_ char *second = take(BOB, "{\"region\":\"edu\",\"wait\":true}", 202);
    _cleanup_free_ char *third =
            take(GUEST, "{\"region\":\"edu\",\"offset\":0,\"length\":4,\"wait\":true}", 202);
    _cleanup_free_ char *taken = NULL;

    (void)state;
    assert_int_equal(number_of(ask(BOB, "GET", second, "", NULL), "position"), 1);
    assert_int_equal(number_of(ask(GUEST, "GET", third, "", NULL), "position"), 2);
    taken = take(ADMIN, "{\"region\":\"edu\",\"takeover\":\"the nightly run\"}", 201);
    expect(ALICE, "GET", first, "", NULL, 200, "\"ended\":\"taken-over\"");
    expect(ALICE, "GET", first, "", NULL, 200, "\"reason\":\"user:root: the nightly run\"");
    expect(ALICE, "PUT", first, "", "{}", 410, "was taken over 0 s ago by user:root: the nightly run");
    expect(ALICE, "DELETE", first, "", NULL, 410, "urn:devreg:problem:ended");
    expect(BOB, "GET", second, "", NULL, 200, "\"position\":1");
    expect(ADMIN, "DELETE", taken, "", NULL, 200, "\"state\":\"ended\"");
    expect(BOB, "GET", second, "", NULL, 200, "\"state\":\"held\"");
    expect(BOB, "PUT", second, "", "{\"seconds\":1000}", 200, "\"until_seconds\":1000");
    expect(ADMIN, "DELETE", second, "", NULL, 200, "\"reason\":\"by user:root\"");
    expect(GUEST, "DELETE", third, "", NULL, 200, "\"ended\":\"released\"");
}

/* A board that is away can be reserved, whole. */
static void test_absent(void **state)
{
    (void)state;
    expect(ALICE, "POST", "", "", "{\"region\":\"ram\"}", 201,
            "\"windows\":[{\"region\":\"ram\",\"offset\":\"0x0\",\"length\":null}]");
    expect(BOB, "POST", "", "", "{\"device\":\"ram\"}", 423, "user:alice");
    expect(ALICE, "DELETE", fixture.id, "", NULL, 200, "ended");
    expect(ALICE, "POST", "", "", "{\"region\":\"ram\",\"offset\":0,\"length\":4}", 410, "ram is absent");
    expect(ALICE, "POST", "", "", "{\"region\":\"ram\",\"safe_state\":[{\"offset\":0,\"value\":1}]}", 410,
            "safe_state[0]: ram is absent");
}

/* Long polls */

static bool client_left(const struct call *call)
{
    (void)call;
    return fixture.left;
}

static void note_answer(struct call *call)
{
    (void)call;
    fixture.answered++;
}

static struct call *begin(unsigned who, const char *id, const char *seconds, const char *known)
{
    struct call *call = calloc(1, sizeof(*call));

    assert_non_null(call);
    call->daemon = &fixture.api.daemon;
    for (size_t i = 0; i < route_count; i++) {
        if (strcmp(routes[i].method, "GET") == 0 && strcmp(routes[i].path, ONE) == 0)
            call->route = &routes[i];
    }
    call->principal = principal_ref(fixture.principals[who]);
    call->answered_later = note_answer;
    call->client_left = client_left;
    call->parameters[0] = id;
    call->arguments[0] = (struct call_argument){"wait", seconds};
    call->arguments[1] = (struct call_argument){"state", known};
    call->argument_count = known ? 2 : 1;
    call_run(call);
    return call;
}

static void finish(struct call *call, unsigned status, const char *text)
{
    buffer_append_char(&call->reply, 0);
    test_that(call->status == status && (!text || strstr(call->reply.data, text)), "%u %s", call->status,
            call->reply.data);
    call_done(call);
    free(call);
}

static void run_until_answered(unsigned wanted)
{
    while (fixture.answered < wanted)
        assert_true(sd_event_run(fixture.api.daemon.event, 10 * 1000 * 1000) > 0);
}

static void test_poll(void **state)
{
    _cleanup_free_ char *first = take(ALICE, "{\"region\":\"edu\"}", 201);
    _cleanup_free_ char *second = take(BOB, "{\"region\":\"edu\",\"wait\":true}", 202);
    _cleanup_free_ char *third = take(ALICE, "{\"region\":\"edu\",\"wait\":true}", 202);
    struct call *watching = begin(BOB, first, "60", "held");
    struct call *bob = begin(BOB, second, "60", NULL);
    struct call *alice = begin(ALICE, third, "60", NULL);

    (void)state;
    finish(begin(ALICE, first, "60", NULL), 200, "\"state\":\"held\""); /* there is nothing to wait for */
    assert_int_equal(fixture.answered, 0);
    expect(ALICE, "DELETE", first, "", NULL, 200, "ended");
    assert_int_equal(fixture.answered, 3);
    finish(watching, 200, "\"ended\":\"released\"");
    finish(bob, 200, "\"state\":\"held\"");
    finish(alice, 200, "\"position\":1");
    assert_true(reservations_find(fixture.api.daemon.reservations, second)->claimed);
    finish(begin(ALICE, first, "60", "held"), 200, "\"state\":\"ended\"");
}

static void test_poll_times_out(void **state)
{
    _cleanup_free_ char *first = take(ALICE, "{\"region\":\"edu\"}", 201);
    _cleanup_free_ char *second = take(BOB, "{\"region\":\"edu\",\"wait\":true}", 202);
    uint64_t started_us = clock_now_us();
    struct call *call = begin(BOB, second, "1", NULL);

    (void)state;
    (void)first;
    run_until_answered(1);
    assert_true(clock_now_us() - started_us >= 1000000);
    finish(call, 200, "\"position\":1");
}

/* Neither a call that is over nor a client that has gone is told, and its turn is not taken for claimed. */
static void test_poll_is_given_up(void **state)
{
    _cleanup_free_ char *first = take(ALICE, "{\"region\":\"edu\"}", 201);
    _cleanup_free_ char *second = take(BOB, "{\"region\":\"edu\",\"wait\":true}", 202);
    const struct reservation *waiting = reservations_find(fixture.api.daemon.reservations, second);
    struct call *call = begin(BOB, second, "60", NULL);

    (void)state;
    assert_int_equal(waiting->watches, 1);
    call_done(call);
    free(call);
    assert_int_equal(waiting->watches, 0);
    call = begin(BOB, second, "60", NULL);
    fixture.left = true;
    run_until_answered(1); /* noticed within a second or so */
    finish(call, 200, "\"state\":\"waiting\"");
    call = begin(BOB, second, "60", NULL);
    expect(ALICE, "DELETE", first, "", NULL, 200, "ended");
    finish(call, 200, "\"state\":\"held\"");
    assert_false(waiting->claimed);
    fixture.left = false;
    expect(ALICE, "GET", second, "", NULL, 200, "held");
    assert_false(waiting->claimed); /* its holder did not ask */
    expect(BOB, "GET", second, "", NULL, 200, "held");
    assert_true(waiting->claimed);
}

static void test_poll_ends_with_the_daemon(void **state)
{
    _cleanup_free_ char *first = take(ALICE, "{\"region\":\"edu\"}", 201);
    struct call *call = begin(BOB, first, "60", "held");

    (void)state;
    fixture.api.daemon.draining = true;
    reservations_wake(fixture.api.daemon.reservations);
    assert_int_equal(fixture.answered, 1);
    finish(call, 200, "\"state\":\"held\"");
    finish(begin(BOB, first, "60", "held"), 200, "\"state\":\"held\"");
}

int main(void)
{
#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
            test(test_take),
            test(test_malformed),
            test(test_texts_are_bounded),
            test(test_permissions),
            test(test_safe_writes_are_bounded),
            test(test_takeover_of_more_than_is_administered),
            test(test_renewal_asks_again),
            test(test_end_of_the_holder),
            test(test_not_to_be_seen),
            test(test_queue_and_takeover),
            cmocka_unit_test_setup_teardown(test_absent, set_up_without_ram, tear_down),
            test(test_poll),
            test(test_poll_times_out),
            test(test_poll_is_given_up),
            test(test_poll_ends_with_the_daemon),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
