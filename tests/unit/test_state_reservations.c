/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* state_reservations.c: what is held and who waits, over a restart, and files and disks that are not well.
 */
#include "test.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/device.h"
#include "state_reservations.h"
#include "util/clock.h"

enum { REGIONS = 2 };

static const uint64_t SECOND = 1000000;

static struct {
    char *directory;
    struct state *state;
    sd_event *event;
    struct accounts accounts;
    struct region_description regions[REGIONS];
    struct device_description device;
    struct inventory *inventory;
    struct reservations *reservations;
    struct state_reservations *saver;
    unsigned dropped;
    struct error last_dropped;
} fixture;

static void changed(void *context)
{
    (void)context;
    state_reservations_changed(fixture.saver);
}

static void dropped(const struct error *why)
{
    fixture.dropped++;
    fixture.last_dropped = *why;
}

static void start_reservations(void)
{
    static const struct reservation_limits limits = {1024, 64, RESERVATION_UNCLAIMED_US};
    static const struct reservation_callbacks callbacks = {.changed = changed};

    assert_int_equal(
            reservations_new(fixture.event, &fixture.accounts, &limits, &callbacks, &fixture.reservations),
            0);
}

static void start(void)
{
    start_reservations();
    assert_int_equal(state_reservations_new(fixture.event, fixture.state, fixture.reservations,
                             fixture.inventory, &fixture.saver),
            0);
}

static void stop(void)
{
    state_reservations_free(fixture.saver, 10000);
    fixture.saver = NULL;
    reservations_free(fixture.reservations);
    fixture.reservations = NULL;
}

static int set_up(void **state)
{
    static const char *const names[REGIONS] = {"one", "two"};
    struct error error = {0};

    (void)state;
    memset(&fixture, 0, sizeof(fixture));
    fixture.directory = test_directory_new();
    test_that(state_open(fixture.directory, &fixture.state, &error) == 0, "%s", error.message);
    assert_true(sd_event_new(&fixture.event) >= 0);
    for (size_t i = 0; i < REGIONS; i++)
        fixture.regions[i] =
                (struct region_description){.name = (char *)names[i], .size = 4096, .keys = KEY_SIZE};
    fixture.device = (struct device_description){.name = (char *)"board",
            .model = (char *)"ram",
            .keys = KEY_MODEL,
            .regions = fixture.regions,
            .region_count = REGIONS};
    test_that(inventory_new(&fixture.device, 1, &fixture.inventory, &error) == 0, "%s", error.message);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    stop();
    inventory_free(fixture.inventory);
    assert_null(fixture.accounts.first);
    sd_event_unref(fixture.event);
    state_close(fixture.state);
    test_directory_remove(fixture.directory);
    return 0;
}

static struct region *region(const char *name)
{
    return inventory_find_region(fixture.inventory, name);
}

static struct reservation *take(const char *holder, const char *name, uint64_t seconds)
{
    const struct reservation_window windows[] = {{region(name), 0x10, 0x1f}, {region("two"), 0, UINT64_MAX}};
    const struct safe_write writes[] = {
            {region(name), 0x10, 4, 0xdeadbeef}, {region("two"), 8, 8, UINT64_MAX}};
    const struct reservation_wish wish = {.holder = holder,
            .exclusive = true,
            .wait = true,
            .target = "device \"board\"",
            .windows = windows,
            .window_count = 2,
            .safe_writes = writes,
            .safe_write_count = 2,
            .note = "a \"note\" \xc3\xa9",
            .contact = "alice@lab",
            .duration_us = seconds * SECOND};
    const struct reservation *blocking;
    struct reservation *reservation = NULL;
    struct error error = {0};

    test_that(reservations_take(fixture.reservations, &wish, &reservation, &blocking, &error) == 0, "%s",
            error.message);
    return reservation;
}

static bool file_has(const char *text)
{
    const char *path = test_path(fixture.directory, STATE_RESERVATIONS_FILE);
    char *content;
    bool has;

    if (access(path, F_OK) < 0)
        return false;
    content = test_read_text(path);
    has = strstr(content, text);
    free(content);
    return has;
}

static void run_until_saved(const char *text)
{
    while (!file_has(text))
        assert_true(sd_event_run(fixture.event, SECOND / 100) >= 0);
}

static void test_over_a_restart(void **state)
{
    char ids[3][RESERVATION_ID_SIZE];
    const struct reservation *held, *waiting;

    (void)state;
    start();
    strcpy(ids[0], take("user:alice", "one", 600)->id);
    strcpy(ids[1], take("token:ci", "one", 60)->id);
    strcpy(ids[2], take("user:bob", "one", 60)->id);
    run_until_saved(ids[2]);
    stop();
    start();
    held = reservations_first(fixture.reservations, RESERVATION_HELD);
    assert_non_null(held);
    assert_null(held->next);
    assert_string_equal(held->id, ids[0]);
    assert_string_equal(held->holder, "user:alice");
    assert_string_equal(held->target, "device \"board\"");
    assert_string_equal(held->note, "a \"note\" \xc3\xa9");
    assert_string_equal(held->contact, "alice@lab");
    assert_true(held->exclusive && held->granted && held->claimed);
    assert_true(reservation_seconds_left(held) > 590 && reservation_seconds_left(held) <= 600);
    assert_int_equal(held->duration_us, 600 * SECOND);
    assert_int_equal(held->window_count, 2);
    assert_ptr_equal(held->windows[0].region, region("one"));
    assert_int_equal(held->windows[0].first, 0x10);
    assert_int_equal(held->windows[0].last, 0x1f);
    assert_true(held->windows[1].last == UINT64_MAX);
    assert_int_equal(held->safe_write_count, 2);
    assert_ptr_equal(held->safe_writes[1].region, region("two"));
    assert_int_equal(held->safe_writes[1].width, 8);
    assert_true(held->safe_writes[1].value == UINT64_MAX);
    waiting = reservations_first(fixture.reservations, RESERVATION_WAITING);
    assert_string_equal(waiting->id, ids[1]);
    assert_int_equal(waiting->position, 1);
    assert_string_equal(waiting->next->id, ids[2]);
    assert_int_equal(waiting->next->position, 2);
    assert_null(waiting->next->next);
}

/* Without the loop having run again. */
static void test_saved_at_the_end(void **state)
{
    char id[RESERVATION_ID_SIZE];

    (void)state;
    start();
    strcpy(id, take("user:alice", "one", 600)->id);
    stop();
    assert_true(file_has(id));
    start();
    assert_non_null(reservations_find(fixture.reservations, id));
}

static void test_nearly_over(void **state)
{
    struct reservation *reservation;
    char id[RESERVATION_ID_SIZE];

    (void)state;
    start();
    reservation = take("user:alice", "one", 1);
    strcpy(id, reservation->id);
    reservation->until_us = 1; /* while the daemon was away */
    stop();
    start();
    reservation = reservations_find(fixture.reservations, id);
    assert_int_equal(reservation->state, RESERVATION_HELD);
    assert_int_equal(reservation_seconds_left(reservation), 10);
}

static int parse(const char *text, struct error *error)
{
    return state_reservations_parse(
            text, strlen(text), "this-boot", fixture.inventory, fixture.reservations, dropped, error);
}

#define HEAD "{\"version\":1,\"boot\":\"this-boot\",\"reservations\":["
#define ONE(id_, state_, more_)                                                                             \
    "{\"id\":\"" id_ "\",\"held\":" state_                                                                  \
    ",\"exclusive\":true,\"target\":\"one\",\"holder\":\"user:alice\",\"note\":\"\",\"contact\":\"\","      \
    "\"duration_us\":\"0x10000\",\"until_us\":\"0xffffffffffffffff\"," more_ "}"
#define WINDOW(name_) "\"windows\":[{\"region\":\"" name_ "\",\"first\":\"0x0\",\"last\":\"0xf\"}]"
#define SAFE(name_)                                                                                         \
    ",\"safe_state\":[{\"region\":\"" name_ "\",\"offset\":\"0x4\",\"octets\":\"0x4\",\"value\":\"0x1\"}]"
#define ID "r-0123456789abcdef"

static void test_parse(void **state)
{
    static const struct {
        const char *text;
        int result;
        const char *message;
        size_t held;
        unsigned dropped;
        const char *why;
    } rows[] = {
            {HEAD "]}", 0, NULL, 0, 0, NULL},
            {HEAD ONE(ID, "true", WINDOW("one") SAFE("one")) "]}", 0, NULL, 1, 0, NULL},
            {HEAD ONE(ID, "false", WINDOW("one") SAFE("one")) "]}", 0, NULL, 1, 0,
                    NULL}, /* its turn has come */
            {HEAD ONE(ID, "true", WINDOW("gone") SAFE("one")) "]}", 0, NULL, 0, 2, "nothing is left of it"},
            {HEAD ONE(ID, "true", WINDOW("one") SAFE("gone")) "]}", 0, NULL, 1, 1,
                    "gone is dropped: this region is not configured any more"},
            {HEAD ONE(ID, "true", WINDOW("one") SAFE("one")) "," ONE(
                     "r-0123456789abcde0", "true", WINDOW("one") SAFE("one")) "]}",
                    0, NULL, 1, 1, "user:alice holds one already"},
            {HEAD ONE("r-1", "true", WINDOW("one") SAFE("one")) "," ONE(
                     ID, "true", WINDOW("one") SAFE("one")) "]}",
                    -EINVAL, "reservation 0: \"id\" is none", 1, 0, NULL},
            {"", -EINVAL, "not JSON", 0, 0, NULL},
            {"[]", -EINVAL, "\"version\" is not 1", 0, 0, NULL},
            {"{\"version\":2}", -EINVAL, "\"version\" is not 1", 0, 0, NULL},
            {"{\"version\":1}", -EINVAL, "\"boot\" or \"reservations\" is missing", 0, 0, NULL},
            {"{\"version\":1,\"boot\":\"another\",\"reservations\":[1]}", -ESTALE, "has booted since", 0, 0,
                    NULL},
            {HEAD "1]}", -EINVAL, "\"id\" is missing", 0, 0, NULL},
            {HEAD ONE("r-0123456789abcdeF", "true", WINDOW("one") SAFE("one")) "]}", -EINVAL, "\"id\"", 0, 0,
                    NULL},
            {HEAD ONE(ID, "1", WINDOW("one") SAFE("one")) "]}", -EINVAL, "\"held\"", 0, 0, NULL},
            {HEAD ONE(ID, "true", "\"windows\":1" SAFE("one")) "]}", -EINVAL, "\"windows\"", 0, 0, NULL},
            {HEAD ONE(ID, "true", "\"windows\":[{}]" SAFE("one")) "]}", -EINVAL, "\"region\"", 0, 0, NULL},
            {HEAD ONE(ID, "true", WINDOW("one")) "]}", -EINVAL, "\"safe_state\"", 0, 0, NULL},
            {HEAD ONE(ID, "true",
                     "\"windows\":[{\"region\":\"one\",\"first\":\"0x2\",\"last\":\"0x1\"}]" SAFE(
                             "one")) "]}",
                    -EINVAL, "ends before it begins", 0, 0, NULL},
            {HEAD ONE(ID, "true",
                     WINDOW("one") ",\"safe_state\":[{\"region\":\"one\",\"offset\":\"0x4\","
                                   "\"octets\":\"0x3\",\"value\":\"0x1\"}]") "]}",
                    -EINVAL, "\"octets\"", 0, 0, NULL},
            {HEAD ONE(ID, "true",
                     WINDOW("one") ",\"safe_state\":[{\"region\":\"one\",\"offset\":\"0x4\","
                                   "\"octets\":\"0x1\",\"value\":\"0x100\"}]") "]}",
                    -EINVAL, "\"octets\" or \"value\"", 0, 0, NULL},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        struct error error = {0};
        size_t held = 0;
        int r;

        start_reservations();
        fixture.dropped = 0;
        r = parse(rows[i].text, &error);
        test_that(r == rows[i].result, "row %zu gave %d: %s", i, r, error.message);
        if (rows[i].message)
            check_error(r, rows[i].result, &error, rows[i].message);
        for (const struct reservation *a = reservations_first(fixture.reservations, RESERVATION_HELD); a;
                a = a->next) {
            held++;
            assert_true(reservation_seconds_left(a) <= RESERVATION_SECONDS_MOST);
        }
        test_that(held == rows[i].held, "row %zu: %zu are held", i, held);
        if (rows[i].why)
            assert_non_null(strstr(fixture.last_dropped.message, rows[i].why));
        test_that(fixture.dropped == rows[i].dropped, "row %zu: %u were dropped", i, fixture.dropped);
        reservations_free(fixture.reservations);
        fixture.reservations = NULL;
    }
}

/* The daemon starts, and whoever has to find out what happened has the file. */
static void test_malformed_file(void **state)
{
    char *beside;

    (void)state;
    test_write_text(test_path(fixture.directory, STATE_RESERVATIONS_FILE), "{\"version\":1,");
    start();
    assert_null(reservations_first(fixture.reservations, RESERVATION_HELD));
    beside = test_read_text(test_path(fixture.directory, STATE_RESERVATIONS_FILE ".malformed"));
    assert_string_equal(beside, "{\"version\":1,");
    free(beside);
    run_until_saved("\"reservations\":[]");
}

static void test_another_boot(void **state)
{
    (void)state;
    test_write_text(test_path(fixture.directory, STATE_RESERVATIONS_FILE),
            HEAD ONE(ID, "true", WINDOW("one") SAFE("one")) "]}");
    start();
    assert_null(reservations_first(fixture.reservations, RESERVATION_HELD));
    assert_int_equal(access(test_path(fixture.directory, STATE_RESERVATIONS_FILE ".malformed"), F_OK), -1);
}

/* A disk that takes nothing takes no reservation away, and is tried again with the next change. */
static void test_full_disk(void **state)
{
    struct rlimit no_file = {0, RLIM_INFINITY}, before;
    struct reservation *reservation;
    char id[RESERVATION_ID_SIZE];

    (void)state;
    start();
    run_until_saved("\"reservations\":[]");
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    no_file.rlim_max = before.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &no_file), 0);
    reservation = take("user:alice", "one", 600);
    strcpy(id, reservation->id);
    for (int i = 0; i < 10; i++)
        assert_true(sd_event_run(fixture.event, SECOND / 50) >= 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(reservation->state, RESERVATION_HELD);
    assert_false(file_has(id));
    take("user:bob", "one", 600);
    run_until_saved("user:bob");
    assert_true(file_has(id));
}

int main(void)
{
#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
            test(test_over_a_restart),
            test(test_saved_at_the_end),
            test(test_nearly_over),
            test(test_parse),
            test(test_malformed_file),
            test(test_another_boot),
            test(test_full_disk),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
