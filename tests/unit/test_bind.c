/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* api/bind.c and core/binding.c: who may bind a device when, what others get meanwhile, and what is
 * recorded. The boards are simulated; their drivers are a scratch machine's. */
#include "api_fixture.h"
#include "machine_fixture.h"

#include <errno.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "api/handlers.h"
#include "core/admission.h"
#include "core/binding.h"
#include "core/events.h"
#include "util/cleanup.h"

#define BIND   "/v1/devices/{device}/bind"
#define UNBIND "/v1/devices/{device}/unbind"
#define SLOW   "0x18" /* a register of odd */

enum { ROOT, BOB, KEEPER, PRINCIPALS };

static struct {
    struct api_fixture api;
    struct principal *principals[PRINCIPALS];
    int journal;
    sem_t entered, gate;
} fixture;

/* A keeper administers just one register of edu. */
static struct access_subject users[] = {
        {SUBJECT_USER, (char *)"root", false, 0}, {SUBJECT_USER, (char *)"bob", false, 0}};
static struct access_subject keeper[] = {{SUBJECT_USER, (char *)"keeper", false, 0}};
static struct access_range one_register[] = {{0x4, 0x7}};
static struct access_rule rules[] = {
        {.name = (char *)"users", .subjects = users, .subject_count = 2, .permissions = PERMISSIONS_ALL},
        {.name = (char *)"keeper",
                .subjects = keeper,
                .subject_count = 1,
                .permissions = PERMISSIONS_ALL,
                .ranges = one_register,
                .range_count = 1},
};
static const struct access_rules access_of_test = {.rules = rules, .count = ELEMENTS(rules)};

static void recheck(const struct reservation *reservation, void *context)
{
    (void)reservation;
    (void)context;
    admission_recheck(&fixture.api.daemon);
}

static void open_journal(struct daemon *daemon)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    strcpy(address.sun_path, test_path(fixture.api.directory, "journal"));
    fixture.journal = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true(fixture.journal >= 0);
    assert_int_equal(bind(fixture.journal, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(audit_new_at(address.sun_path, &daemon->audit, NULL), 0);
}

static int set_up(void **state)
{
    static const char *const names[PRINCIPALS] = {"root", "bob", "keeper"};
    static const struct reservation_limits limits = {8, 4, RESERVATION_UNCLAIMED_US};
    static const struct reservation_callbacks callbacks = {.granted = recheck};
    struct daemon *daemon = &fixture.api.daemon;

    (void)state;
    memset(&fixture, 0, sizeof(fixture));
    api_open(&fixture.api, true);
    daemon->machine = machine_open();
    daemon->access = &access_of_test;
    fixture.api.devices[0].address = (char *)"00:07.0";
    fixture.api.devices[1].address = (char *)MACHINE_DISK;
    for (size_t i = 0; i < PRINCIPALS; i++)
        fixture.principals[i] = principal_new(&daemon->accounts, PRINCIPAL_USER, names[i]);
    fixture.api.principal = fixture.principals[ROOT];
    assert_int_equal(
            reservations_new(daemon->event, &daemon->accounts, &limits, &callbacks, &daemon->reservations),
            0);
    open_journal(daemon);
    sem_init(&fixture.entered, 0, 0);
    sem_init(&fixture.gate, 0, 0);
    return 0;
}

static int tear_down(void **state)
{
    struct daemon *daemon = &fixture.api.daemon;

    (void)state;
    assert_null(daemon->bindings);
    reservations_free(daemon->reservations);
    for (size_t i = 0; i < PRINCIPALS; i++)
        principal_unref(&daemon->accounts, fixture.principals[i]);
    audit_free(take_ptr(daemon->audit), 0);
    close(fixture.journal);
    api_close(&fixture.api);
    machine_close();
    sem_destroy(&fixture.entered);
    sem_destroy(&fixture.gate);
    return 0;
}

#define expect(path, device, body, status, text)                                                            \
    api_expect(&fixture.api, "POST", (path), (device), "", (body), (status), (text))

/* The next record, which must have each of these texts, separated by '|'. */
static void expect_record(const char *texts)
{
    const struct timeval timeout = {.tv_sec = 30};
    _cleanup_free_ char *copy = strdup(texts);
    char record[4096], *rest = copy, *text;
    ssize_t size;

    assert_int_equal(setsockopt(fixture.journal, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)), 0);
    size = recv(fixture.journal, record, sizeof(record), 0);
    test_that(size > 0, "nothing was recorded");
    while ((text = strsep(&rest, "|")))
        test_that(memmem(record, (size_t)size, text, strlen(text)), "'%s' is not in %.*s", text, (int)size,
                record);
}

static void expect_no_record(void)
{
    char record[16];

    assert_true(recv(fixture.journal, record, sizeof(record), MSG_DONTWAIT) < 0);
}

/* Calls that wait while others are made */

static void answered(struct call *call)
{
    (void)call;
}

static struct call *begin(void (*handler)(struct call *call), unsigned who, const char *device,
        const char *other, const char *body)
{
    struct daemon *daemon = &fixture.api.daemon;
    struct call *call = calloc(1, sizeof(*call));

    assert_non_null(call);
    for (size_t i = 0; i < route_count; i++) {
        if (routes[i].handler == handler)
            call->route = &routes[i];
    }
    call->daemon = daemon;
    call->answered_later = answered;
    call->principal = principal_ref(fixture.principals[who]);
    call->parameters[0] = device;
    call->parameters[1] = other;
    buffer_append_string(&call->body, body);
    call_run(call);
    return call;
}

static void run_loop(void)
{
    assert_true(sd_event_run(fixture.api.daemon.event, 10 * 1000 * 1000) > 0);
}

static void forget(struct call *call)
{
    while (call->status == 0)
        run_loop();
    call_done(call);
    free(call);
}

static void end(struct call *call, unsigned status, const char *text)
{
    while (call->status == 0)
        run_loop();
    test_that(call->status == status && memmem(call->reply.data, call->reply.size, text, strlen(text)),
            "answered with %u %.*s, not %u %s", call->status, (int)call->reply.size, call->reply.data,
            status, text);
    forget(call);
}

/* On the worker: the first write of a change waits at the gate. */
static void wait_at_gate(const char *path, const char *value)
{
    (void)value;
    if (!strstr(path, "driver_override"))
        return;
    sem_post(&fixture.entered);
    while (sem_wait(&fixture.gate) < 0 && errno == EINTR)
        continue;
}

/* What is asked for and answered */

static void test_bind(void **state)
{
    (void)state;
    expect(BIND, "edu", "{}", 200,
            "{\"name\":\"edu\",\"driver_before\":null,\"driver\":\"devreg\",\"changed\":true,"
            "\"device\":{\"name\":\"edu\"");
    assert_string_equal(machine_driver("pci", MACHINE_EDU), "devreg");
    expect_record("DEVREG_ACTION|device.bind|DEVREG_SUBJECT|edu|DEVREG_NEW|devreg|user:root "
                  "device.bind edu, devreg: ok");
    api_expect(&fixture.api, "GET", API_REGISTER, "edu 0x0", "", NULL, 200, "0x010000ed");
    expect(BIND, "edu", "{\"driver\": \"devreg\", \"force\": false}", 200, "\"changed\":false");
    expect_record("devreg (was devreg): ok");
    expect(BIND, "edu", "{\"driver\": \"uio_pci_generic\"}", 200,
            "\"driver_before\":\"devreg\",\"driver\":\"uio_pci_generic\"");
    expect_record("uio_pci_generic (was devreg): ok");
    expect(UNBIND, "edu", "{}", 200, "\"driver_before\":\"uio_pci_generic\",\"driver\":null");
    expect_record("user:root device.unbind edu (was uio_pci_generic): ok");
}

static void expect_driver(uint64_t sequence, const char *driver)
{
    const struct event *event = events_get(fixture.api.daemon.events, sequence);

    assert_non_null(event);
    assert_int_equal(event->kind, EVENT_DRIVER);
    assert_string_equal(event->device->description->name, "edu");
    assert_int_equal(event->on, driver != NULL);
    if (driver)
        assert_string_equal(event->text, driver);
    else
        assert_null(event->text);
}

/* What was so already is none. */
static void test_events(void **state)
{
    struct daemon *daemon = &fixture.api.daemon;

    (void)state;
    expect(BIND, "edu", "{}", 200, "\"changed\":true");
    expect(BIND, "edu", "{}", 200, "\"changed\":false");
    expect(BIND, "edu", "{\"driver\": \"nosuch\"}", 409, "nosuch");
    expect(UNBIND, "edu", "{}", 200, "\"driver\":null");
    assert_int_equal(events_next(daemon->events), 3);
    expect_driver(1, "devreg");
    expect_driver(2, NULL);
    for (unsigned i = 0; i < 3; i++)
        expect_record("device.");
    expect_no_record();
}

static void test_bodies(void **state)
{
    static const struct {
        const char *path, *body, *text;
    } rows[] = {
            {BIND, "", "the body is empty"},
            {BIND, "[]", "not a JSON object"},
            {BIND, "{", "not JSON"},
            {BIND, "{\"driver\": 5}", "no string"},
            {BIND, "{\"driver\": null}", "no string"},
            {BIND, "{\"driver\": \"\"}", "is empty"},
            {BIND, "{\"driver\": \"a/b\"}", "no name of a driver"},
            {BIND, "{\"driver\": \"..\"}", "no name of a driver"},
            {BIND, "{\"driver\": \"a\\nb\"}", "a character"},
            {BIND, "{\"driver\": \"a\\u0000b\"}", "not JSON"},
            {BIND, "{\"force\": 1}", "neither true nor false"},
            {BIND, "{\"force\": \"yes\"}", "neither true nor false"},
            {BIND, "{\"drivers\": \"devreg\"}", "unknown key"},
            {UNBIND, "{\"driver\": \"devreg\"}", "unknown key"},
            {UNBIND, "{\"force\": null}", "neither true nor false"},
    };
    char body[400] = "{\"driver\": \"";

    (void)state;
    for (size_t i = 0; i < ELEMENTS(rows); i++)
        expect(rows[i].path, "edu", rows[i].body, 400, rows[i].text);
    memset(body + strlen(body), 'x', 300);
    strcat(body, "\"}");
    expect(BIND, "edu", body, 400, "300 octets");
    assert_string_equal(machine_log(), "");
    expect_no_record();
}

static void test_devices(void **state)
{
    (void)state;
    expect(BIND, "nope", "{}", 404, "there is no device 'nope'");
    expect(UNBIND, "nope", "{}", 404, "there is no device 'nope'");
    expect(BIND, "ram", "{}", 422, "ram is simulated: there is no driver to bind");
    expect(UNBIND, "ram", "{}", 422, "ram is simulated: there is no driver to bind");
    fixture.api.devices[1].address = (char *)"0000:00:1f.0";
    expect(BIND, "odd", "{}", 410, "not there");
    expect(BIND, "edu", "{\"driver\": \"vfio-pci\"}", 409, "no driver vfio-pci on the pci bus");
    fixture.api.devices[1].address = (char *)MACHINE_BRIDGE;
    expect(BIND, "odd", "{\"force\": true}", 409, "odd: it is a PCI bridge");
    assert_string_equal(machine_log(), "");
    expect_no_record();
}

static void test_failures_are_recorded(void **state)
{
    (void)state;
    machine_orders.refuses = "devreg";
    expect(BIND, "edu", "{}", 409, "edu: binding to devreg failed");
    expect_record("device.bind|DEVREG_RESULT|failed|409|taken back: it has no driver");
    machine_orders.fail_on = "driver_override";
    machine_orders.failure = -EROFS;
    expect(BIND, "edu", "{}", 503, "as root, with /sys writable");
    expect_record("failed|503");
    api_expect(&fixture.api, "GET", API_REGISTER, "edu 0x0", "", NULL, 200, "0x010000ed");
}

static void test_needed(void **state)
{
    (void)state;
    machine_add_disk(MACHINE_HOME MACHINE_DISK "/virtio0/block", "vda", "254:0\n", false);
    machine_mount("254:0", "/", "/dev/root");
    machine_set_driver("pci", MACHINE_DISK, "virtio-pci");
    expect(BIND, "odd", "{}", 409, "urn:devreg:problem:conflict");
    expect_record("device.bind|refused|vda is mounted at /");
    expect(UNBIND, "odd", "{\"force\": false}", 409,
            "odd: vda is mounted at /: let go of that first, or force");
    expect_record("device.unbind|refused");
    assert_string_equal(machine_log(), "");
    expect(BIND, "odd", "{\"force\": true}", 200, "\"despite\":\"vda is mounted at /\"");
    expect_record("DEVREG_FORCED|DEVREG_OLD|virtio-pci|DEVREG_NEW|devreg|by force: ok: vda is mounted at /");
}

/* Who may */

static void test_part_of_a_device_is_not_enough(void **state)
{
    (void)state;
    fixture.api.principal = fixture.principals[KEEPER];
    expect(BIND, "edu", "{}", 403, "admin");
    expect_record("device.bind|refused|403");
    expect(UNBIND, "edu", "{\"force\": true}", 403, "admin");
    assert_string_equal(machine_log(), "");
}

static void reserve(unsigned who, const char *body)
{
    struct principal *asker = fixture.api.principal;

    fixture.api.principal = fixture.principals[who];
    api_expect(&fixture.api, "POST", "/v1/reservations", "", "", body, 201, "held");
    expect_record("reservation.take");
    fixture.api.principal = asker;
}

static void test_reserved_by_another(void **state)
{
    (void)state;
    reserve(BOB, "{\"region\": \"edu\", \"offset\": \"0x80\", \"length\": 4, \"note\": \"a long run\"}");
    expect(BIND, "edu", "{}", 423, "\"holder\":\"user:bob\"");
    expect_record("device.bind|refused|a long run");
    expect(UNBIND, "edu", "{}", 423, "a long run");
    expect_record("device.unbind|refused");
    assert_string_equal(machine_log(), "");
    expect(BIND, "edu", "{\"force\": true}", 200, "\"despite\":\"it is reserved by user:bob\"");
    expect_record("by force: ok: it is reserved by user:bob");
}

static void allocate(const char *size)
{
    char body[64];

    snprintf(body, sizeof(body), "{\"device\": \"edu\", \"size\": %s}", size);
    api_expect(&fixture.api, "POST", "/v1/buffers", "", "", body, 201, "user:");
    expect_record("buffer.allocate|coherent on edu");
}

static void test_buffers(void **state)
{
    struct principal *asker = fixture.api.principal;

    (void)state;
    allocate("4096");
    fixture.api.principal = fixture.principals[BOB];
    allocate("65536");
    allocate("65536");
    fixture.api.principal = asker;
    expect(BIND, "edu", "{}", 409, "it has 3 DMA buffers: 1 of user:root, 2 of user:bob");
    expect_record("device.bind|refused|3 DMA buffers");
    assert_string_equal(machine_log(), "");
    expect(BIND, "edu", "{\"force\": true}", 200, "\"despite\":\"it has 3 DMA buffers");
    expect_record("buffer.end|user:root|is being bound to a driver");
    expect_record("buffer.end|user:bob|is being bound to a driver");
    expect_record("buffer.end|user:bob|is being bound to a driver");
    expect_record("by force: ok: it has 3 DMA buffers");
    api_expect(&fixture.api, "GET", "/v1/buffers", "", "", NULL, 200, "\"state\":\"lost\"");
    expect(UNBIND, "edu", "{}", 200, "\"driver\":null"); /* what is lost is in nobody's way */
}

static void test_reserved_by_oneself(void **state)
{
    (void)state;
    reserve(ROOT, "{\"device\": \"edu\"}");
    expect(BIND, "edu", "{}", 200, "devreg");
}

/* One that comes while the device is still busy with what was before. */
static void test_reserved_meanwhile(void **state)
{
    struct call *slow = begin(registers_get, ROOT, "odd", SLOW, "");
    struct call *binding = begin(bind_post, ROOT, "odd", NULL, "{}");

    (void)state;
    assert_int_equal(binding->status, 0);
    reserve(BOB, "{\"device\": \"odd\"}");
    end(binding, 423, "\"holder\":\"user:bob\"");
    forget(slow); /* it may have begun or not */
    assert_string_equal(machine_log(), "");
}

static void test_token_that_is_revoked_meanwhile(void **state)
{
    struct call *slow = begin(registers_get, BOB, "odd", SLOW, "");
    struct call *binding = begin(bind_post, ROOT, "odd", NULL, "{\"force\": true}");

    (void)state;
    fixture.principals[ROOT]->scope = 0;
    admission_recheck(&fixture.api.daemon);
    end(binding, 423, "has ended");
    forget(slow); /* it may have begun or not */
    assert_string_equal(machine_log(), "");
}

/* Meanwhile */

static void test_what_is_under_way_is_finished(void **state)
{
    struct call *slow = begin(registers_get, ROOT, "odd", SLOW, "");
    struct call *binding = begin(bind_post, ROOT, "odd", NULL, "{}");

    (void)state;
    api_expect(
            &fixture.api, "GET", API_REGISTER, "odd 0x0", "", NULL, 503, "odd is being bound to a driver");
    expect(BIND, "odd", "{}", 503, "being bound");
    assert_string_equal(machine_log(), "");
    end(slow, 200, "value");
    end(binding, 200, "\"driver\":\"devreg\"");
    api_expect(&fixture.api, "GET", API_REGISTER, "odd 0x0", "", NULL, 200, "value");
}

static void test_others_while_it_is_bound(void **state)
{
    struct call *binding;

    (void)state;
    machine_orders.on_store = wait_at_gate;
    binding = begin(bind_post, ROOT, "edu", NULL, "{}");
    sem_wait(&fixture.entered);
    api_expect(
            &fixture.api, "GET", API_REGISTER, "edu 0x0", "", NULL, 503, "edu is being bound to a driver");
    api_expect(&fixture.api, "PUT", API_REGISTER, "edu 0x4", "", "{\"value\": 1}", 503, "being bound");
    api_expect(&fixture.api, "GET", "/v1/devices/{device}", "edu", "", NULL, 200, "it is being bound");
    expect(BIND, "edu", "{\"force\": true}", 503,
            "this hardware is being bound to a driver: try again soon");
    expect(UNBIND, "edu", "{}", 503, "being bound");
    fixture.api.devices[1].address = (char *)MACHINE_EDU; /* the same by another name */
    expect(BIND, "odd", "{}", 503, "this hardware is being bound");
    api_expect(&fixture.api, "GET", API_REGISTER, "odd 0x0", "", NULL, 200, "value");
    sem_post(&fixture.gate);
    end(binding, 200, "\"driver\":\"devreg\"");
    api_expect(&fixture.api, "GET", API_REGISTER, "edu 0x0", "", NULL, 200, "0x010000ed");
}

/* Where it was found counts: a UIO device's name does not say, and an identification may mean another one.
 */
static void test_two_names(void **state)
{
    const struct daemon *daemon = &fixture.api.daemon;
    struct device *named = &daemon->inventory->devices[1];
    struct device_description *description = &fixture.api.devices[1];
    struct bus_place place;
    struct error error = {0};

    (void)state;
    description->address = NULL;
    description->uio = (char *)"board";
    assert_int_equal(binding_find_place(daemon, named, &place, NULL), -EOPNOTSUPP);
    strcpy(named->handle->address, MACHINE_EDU);
    test_that(binding_find_place(daemon, named, &place, &error) == 0, "%s", error.message);
    assert_string_equal(place.name, MACHINE_EDU);
    check_error(binding_check_one_name(daemon, named, &place, &error), -EBUSY, &error,
            "another device of the configuration is the same hardware");
    expect(BIND, "edu", "{}", 409, "another device of the configuration is the same hardware");
    expect(BIND, "odd", "{}", 422, "there is no driver to bind");
    description->uio = NULL;
    description->address = (char *)MACHINE_DISK; /* where it was found is another place */
    expect(BIND, "edu", "{}", 409, "another device of the configuration is the same hardware");
    named->handle->address[0] = 0;
    expect(BIND, "edu", "{}", 200, "devreg");
}

static void test_none_when_it_stops(void **state)
{
    (void)state;
    fixture.api.daemon.draining = true;
    expect(BIND, "edu", "{}", 503, "devregd is stopping");
    assert_string_equal(machine_log(), "");
}

static void test_given_up_when_it_stops(void **state)
{
    struct device *odd = inventory_find_device(fixture.api.daemon.inventory, "odd");
    struct call *slow = begin(registers_get, ROOT, "odd", SLOW, "");
    struct call *binding = begin(bind_post, ROOT, "odd", NULL, "{}");

    (void)state;
    dispatch_cancel(odd);
    end(binding, 503, "devregd is stopping");
    forget(slow); /* it may have begun or not */
    assert_string_equal(machine_log(), "");
}

/* The loop has ended, the thread too, and nobody has been told. */
static void test_end_of_the_daemon(void **state)
{
    struct call *binding = begin(bind_post, ROOT, "edu", NULL, "{}");

    (void)state;
    assert_true(dispatch_stop(inventory_find_device(fixture.api.daemon.inventory, "edu"), 60000));
    assert_int_equal(binding->status, 0);
    assert_string_equal(machine_driver("pci", MACHINE_EDU), "devreg"); /* it is done all the same */
    call_done(binding);
    free(binding);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
            TEST(test_bind),
            TEST(test_events),
            TEST(test_bodies),
            TEST(test_devices),
            TEST(test_failures_are_recorded),
            TEST(test_needed),
            TEST(test_part_of_a_device_is_not_enough),
            TEST(test_reserved_by_another),
            TEST(test_buffers),
            TEST(test_reserved_by_oneself),
            TEST(test_reserved_meanwhile),
            TEST(test_token_that_is_revoked_meanwhile),
            TEST(test_what_is_under_way_is_finished),
            TEST(test_others_while_it_is_bound),
            TEST(test_two_names),
            TEST(test_none_when_it_stops),
            TEST(test_given_up_when_it_stops),
            TEST(test_end_of_the_daemon),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
