/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* api/devices.c, api/regions.c and api/status.c: what is, as programs read it. */
#include "api_fixture.h"

#include <string.h>
#include <unistd.h>

static struct api_fixture api;

static int set_up(void **state)
{
    (void)state;
    api_open(&api, true);
    return 0;
}

static int set_up_absent(void **state)
{
    (void)state;
    api_open(&api, false);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    api_close(&api);
    return 0;
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "";
}

static const json_t *fetch(const char *path, const char *parameters)
{
    const struct api_answer *answer = api_request(&api, "GET", path, parameters, "", NULL, 0);

    test_that(answer->status == 200 && answer->json, "GET %s %s: %u %s", path, parameters, answer->status,
            answer->text);
    assert_string_equal(answer->content_type, "application/json");
    return answer->json;
}

static void test_devices(void **state)
{
    const json_t *list = json_object_get(fetch("/v1/devices", ""), "devices");

    (void)state;
    assert_int_equal(json_array_size(list), 3);
    for (size_t i = 0; i < 3; i++) {
        const json_t *device = json_array_get(list, i);

        assert_string_equal(text_of(device, "name"), api.devices[i].name); /* as configured */
        assert_string_equal(text_of(device, "backend"), "sim");
        assert_string_equal(text_of(device, "state"), "present");
        assert_true(text_of(device, "why")[0]);
        assert_null(json_object_get(device, "reason"));
        assert_int_equal(json_array_size(json_object_get(device, "regions")), 1);
        assert_null(json_object_get(device, "candidates")); /* of one device alone */
    }
    assert_string_equal(text_of(fetch("/v1/devices/{device}", "odd"), "name"), "odd");
    api_expect(
            &api, "GET", "/v1/devices/{device}", "nothing", "", NULL, 404, "there is no device 'nothing'");
}

static void test_regions(void **state)
{
    const json_t *region, *list;

    (void)state;
    api.regions[0].read_only = true;
    api.regions[0].endianness = ENDIANNESS_BIG;
    api.regions[0].description = (char *)"a \"region\"";
    list = json_object_get(fetch("/v1/regions", ""), "regions");
    assert_int_equal(json_array_size(list), 3);
    region = fetch("/v1/regions/{region}", "edu");
    assert_string_equal(text_of(region, "device"), "edu");
    assert_string_equal(text_of(region, "description"), "a \"region\"");
    assert_string_equal(text_of(region, "access"), "read");
    assert_string_equal(text_of(region, "endianness"), "big");
    assert_string_equal(text_of(region, "type"), "mmio");
    assert_string_equal(text_of(region, "size"), "0x100000");
    assert_int_equal(json_array_size(json_object_get(region, "widths")), 2);
    assert_int_equal(json_integer_value(json_array_get(json_object_get(region, "widths"), 0)), 32);
    assert_int_equal(json_integer_value(json_object_get(region, "default_width")), 32);
    assert_int_equal(json_integer_value(json_object_get(region, "page_size")), sysconf(_SC_PAGESIZE));
    assert_null(json_object_get(region, "address"));
    region = fetch("/v1/regions/{region}", "ram");
    assert_string_equal(text_of(region, "access"), "read-write");
    assert_string_equal(text_of(region, "endianness"), "little");
    assert_int_equal(json_array_size(json_object_get(region, "widths")), 4);
    api_expect(
            &api, "GET", "/v1/regions/{region}", "nothing", "", NULL, 404, "there is no region 'nothing'");
}

static void test_absent(void **state)
{
    const json_t *region = fetch("/v1/regions/{region}", "ram");

    (void)state;
    assert_string_equal(text_of(region, "state"), "absent");
    assert_non_null(strstr(text_of(region, "reason"), "No such file"));
    assert_null(json_object_get(region, "size"));
    assert_int_equal(json_array_size(json_object_get(region, "widths")), 0);
    assert_string_equal(
            text_of(fetch("/v1/devices/{device}", "ram"), "state"), "present"); /* its region is not */
    test_write_text(api.ram_path, "");
    assert_int_equal(truncate(api.ram_path, API_RAM_SIZE), 0);
    region = fetch("/v1/regions/{region}", "ram"); /* looking again finds it */
    assert_string_equal(text_of(region, "state"), "present");
    assert_null(json_object_get(region, "reason"));
}

static void test_device_absent(void **state)
{
    const json_t *device;

    (void)state;
    api.devices[1].trace = (char *)"/nonexistent/devreg/trace";
    device_detach(&api.daemon.inventory->devices[1], "it was removed");
    device = fetch("/v1/devices/{device}", "odd");
    assert_string_equal(text_of(device, "state"), "absent");
    assert_non_null(strstr(text_of(device, "reason"), "/nonexistent/devreg/trace"));
    assert_non_null(
            strstr(text_of(fetch("/v1/regions/{region}", "odd"), "reason"), "/nonexistent/devreg/trace"));
}

/* Every backend that the keys are enough for, and whether it would do. */
static void test_candidates(void **state)
{
    static const char *const names[] = {"kmod", "uio", "pci"};
    const json_t *candidates;

    (void)state;
    api.devices[1].keys = KEY_ADDRESS;
    api.devices[1].address = (char *)"ffff:ff:1f.7";
    api.regions[1].keys = KEY_BAR;
    candidates = json_object_get(fetch("/v1/devices/{device}", "odd"), "candidates");
    assert_int_equal(json_array_size(candidates), 3);
    for (size_t i = 0; i < 3; i++) {
        const json_t *candidate = json_array_get(candidates, i);
        struct error reason = {0};
        bool usable = backend_judge(backend_find(names[i]), &api.devices[1], &reason) == 0;

        assert_string_equal(text_of(candidate, "name"), names[i]);
        assert_int_equal(json_is_true(json_object_get(candidate, "usable")), usable);
        assert_string_equal(text_of(candidate, "reason"), usable ? "" : reason.message);
    }
    assert_false(json_is_true(json_object_get(json_array_get(candidates, 1), "usable"))); /* of a ghost */
}

static void test_status(void **state)
{
    static char *listening[] = {(char *)"/run/x.sock", (char *)"127.0.0.1:7373", NULL};
    const json_t *status;

    (void)state;
    api.daemon.listening = listening;
    api.daemon.insecure = true;
    api.daemon.counters =
            (struct counters){.connections = 1, .requests = 2, .refused = 3, .failed = 4, .bus_faults = 5};
    status = fetch("/v1/status", "");
    assert_string_equal(text_of(status, "version"), DEVREG_VERSION);
    assert_int_equal(json_integer_value(json_object_get(status, "pid")), getpid());
    assert_true(json_is_true(json_object_get(status, "insecure")));
    assert_true(json_is_false(json_object_get(status, "demo")));
    assert_int_equal(json_array_size(json_object_get(status, "listen")), 2);
    assert_int_equal(json_array_size(json_object_get(status, "warnings")), 1);
    assert_int_equal(
            json_integer_value(json_object_get(json_object_get(status, "counters"), "bus_faults")), 5);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(status, "limits"), "values")),
            limits_default.values);
    for (size_t i = 0; backends[i]; i++) {
        const json_t *backend = json_array_get(json_object_get(status, "backends"), i);
        bool usable = json_is_true(json_object_get(backend, "usable"));

        assert_string_equal(text_of(backend, "name"), backends[i]->name);
        test_that(usable == !json_object_get(backend, "reason"), "%s is usable: %d, reason '%s'",
                backends[i]->name, usable, text_of(backend, "reason"));
    }
}

static void test_health(void **state)
{
    const struct api_answer *answer = api_request(&api, "GET", "/healthz", "", "", NULL, 0);

    (void)state;
    assert_int_equal(answer->status, 200);
    assert_string_equal(answer->text, "ok\n");
    assert_string_equal(answer->content_type, "text/plain");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(test_devices, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_regions, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_absent, set_up_absent, tear_down),
            cmocka_unit_test_setup_teardown(test_device_absent, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_candidates, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_status, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_health, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
