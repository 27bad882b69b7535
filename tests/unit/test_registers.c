/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* api/registers.c and api/place.c, on simulated boards. */
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

#define get(parameters, query, status, text)                                                                \
    api_expect(&api, "GET", API_REGISTER, parameters, query, NULL, status, text)
#define put(parameters, query, body, status, text)                                                          \
    api_expect(&api, "PUT", API_REGISTER, parameters, query, body, status, text)
#define patch(parameters, query, body, status, text)                                                        \
    api_expect(&api, "PATCH", API_REGISTER, parameters, query, body, status, text)

static void test_get(void **state)
{
    (void)state;
    get("edu 0x0", "", 200,
            "{\"region\":\"edu\",\"offset\":\"0x0\",\"width\":32,\"value\":\"0x010000ed\"}\n");
    get("edu 0x80", "width=64", 200,
            "{\"region\":\"edu\",\"offset\":\"0x80\",\"width\":64,\"value\":\"0x0000000000000000\"}\n");
    get("odd 0x100", "width=8", 200, "\"width\":8,\"value\":\"0x00\"}");
    get("edu 0x0", "count=2", 200, "\"width\":32,\"count\":2,\"values\":[\"0x010000ed\",\"0x00000000\"]}");
    get("edu 0x0", "count=1", 200, "\"count\":1,\"values\":[\"0x010000ed\"]}");
    get("edu 0xffffc", "", 200, "\"value\":\"0xffffffff\",\"suspect\":true}");
    assert_true(api.daemon.counters.refused == 0);
}

static void test_get_many(void **state)
{
    const json_t *values;

    (void)state;
    values = json_object_get(
            api_request(&api, "GET", API_REGISTER, "ram 0x0", "count=2048&width=32", NULL, 0)->json,
            "values");
    assert_int_equal(json_array_size(values), 2048);
    get("ram 0x0", "count=2049&width=32", 413, "more than 2048");
    api.daemon.limits.values = 10;
    get("ram 0x0", "count=11", 413, "count=11 is more than 10");
    get("ram 0x0", "count=10", 200, NULL);
}

static void test_get_refused(void **state)
{
    (void)state;
    get("nothing 0x0", "", 404, "there is no region 'nothing'");
    get("edu id", "", 404, "no register 'id'");
    get("edu 4", "", 400, "not hexadecimal");
    get("edu -0x4", "", 400, "not an offset");
    get("edu 0x2", "", 422, "not aligned");
    get("edu 0x0", "width=8", 422, "edu takes accesses of 32, 64 bits, not of 8");
    get("edu 0x0", "width=7", 400, "width '7'");
    get("edu 0x100000", "", 416, "0x100000 is outside edu (1 MiB)");
    get("edu 0x10000000000000000", "", 416, "does not fit 64 bits");
    get("edu 0xfffffffffffffffc", "", 416, "outside edu");
    get("edu 0x0", "count=0", 400, "count=0");
    get("edu 0x0", "count=-1", 400, "is not a number");
    get("edu 0x0", "count=99999999999999999999", 413, "does not fit 64 bits");
    get("edu 0x0", "count=18446744073709551615", 413, "is more than");
    get("edu 0x0", "value=1", 400, "unknown argument 'value'");
    assert_true(api.daemon.counters.failed == 0);
}

static void test_faults(void **state)
{
    (void)state;
    get("odd 0x10000", "", 502, "\"region\":\"odd\",\"offset\":\"0x10000\"}");
    get("odd 0xfff8", "count=4", 502, "\"offset\":\"0x10000\",\"done\":2}");
    put("odd 0x10000", "", "{\"value\":1}", 502, "bus fault at odd:0x10000 (32-bit write");
    patch("odd 0x10000", "", "{\"mask\":1,\"value\":1}", 502, "bus fault");
    assert_true(api.daemon.counters.bus_faults == 4);
    get("odd 0x0", "", 200, "0x0dd00001");
}

static void test_put(void **state)
{
    (void)state;
    put("edu 0x4", "", "{\"value\":\"0x12345678\"}", 200,
            "{\"region\":\"edu\",\"offset\":\"0x4\",\"width\":32,\"count\":1}\n");
    get("edu 0x4", "", 200, "0xedcba987");
    put("ram 0x10", "width=16", "{\"values\":[1,\"0x2\",\"3\",65535]}", 200, "\"width\":16,\"count\":4}");
    get("ram 0x10", "width=64", 200, "0xffff000300020001");
    put("ram 0x0", "width=64", "{\"value\":\"0xffffffffffffffff\"}", 200, NULL);
    put("ram 0x0", "width=64", "{\"value\":\"0x10000000000000000\"}", 422,
            "does not fit the register's 64 bits");
}

static void test_put_refused(void **state)
{
    (void)state;
    put("edu 0x4", "", "", 400, "is empty");
    put("edu 0x4", "", "{}", 400, "either \\\"value\\\" or \\\"values\\\"");
    put("edu 0x4", "", "{\"value\":1,\"values\":[1]}", 400, "either");
    put("edu 0x4", "", "{\"values\":[]}", 400, "not a list");
    put("edu 0x4", "", "{\"values\":1}", 400, "not a list");
    put("edu 0x4", "", "{\"mask\":1}", 400, "unknown key");
    put("edu 0x4", "", "{\"value\":\"0x100000000\"}", 422, "32 bits");
    put("ram 0x0", "width=8", "{\"values\":[1,2,256]}", 422, "values[2] does not fit");
    put("edu 0x4", "count=2", "{\"value\":1}", 400, "unknown argument 'count'");
    put("edu 0x100000", "", "{\"value\":1}", 416, "outside");
    put("nothing 0x0", "", "{\"value\":1}", 404, "no region");
    /* Nothing of a list is written when one of it is refused. */
    get("ram 0x0", "", 200, "0x00000000");
    get("edu 0x4", "", 200, "0x00000000");
    api.daemon.limits.values = 2;
    put("ram 0x0", "", "{\"values\":[1,2,3]}", 413, "3 values are more than 2");
}

static void test_patch(void **state)
{
    (void)state;
    put("ram 0x0", "", "{\"value\":\"0x12345678\"}", 200, NULL);
    patch("ram 0x0", "", "{\"mask\":\"0xff00\",\"value\":\"0xab00\"}", 200,
            "{\"region\":\"ram\",\"offset\":\"0x0\",\"width\":32,\"before\":\"0x12345678\",\"value\":"
            "\"0x1234ab78\"}\n");
    get("ram 0x0", "", 200, "0x1234ab78");
    patch("ram 0x0", "", "{\"mask\":1}", 400, "value is missing");
    patch("ram 0x0", "", "{\"value\":1}", 400, "mask is missing");
    patch("ram 0x0", "", "{\"mask\":1,\"value\":3}", 400, "bits outside mask");
    patch("ram 0x0", "width=8", "{\"mask\":256,\"value\":0}", 422, "mask does not fit");
    patch("ram 0x0", "", "{\"mask\":1,\"value\":1,\"mask value\":1}", 400, "unknown key");
    get("ram 0x0", "", 200, "0x1234ab78");
}

static void test_big_endian(void **state)
{
    (void)state;
    api.regions[2].endianness = ENDIANNESS_BIG;
    put("ram 0x0", "", "{\"value\":\"0x12345678\"}", 200, NULL);
    get("ram 0x0", "width=8", 200, "\"0x12\"");
    get("ram 0x0", "", 200, "0x12345678");
    get("ram 0x0", "width=64", 200, "0x1234567800000000");
}

static void test_read_only(void **state)
{
    (void)state;
    api.regions[2].read_only = true;
    put("ram 0x0", "", "{\"value\":1}", 422, "ram is read-only");
    patch("ram 0x0", "", "{\"mask\":1,\"value\":1}", 422, "ram is read-only");
    get("ram 0x0", "", 200, NULL);
}

static void test_absent(void **state)
{
    (void)state;
    get("ram 0x0", "", 410, "ram is absent: ");
    put("ram 0x0", "", "{\"value\":1}", 410, api.ram_path);
    test_write_text(api.ram_path, "");
    assert_int_equal(truncate(api.ram_path, API_RAM_SIZE), 0);
    put("ram 0x0", "", "{\"value\":1}", 200, "\"width\":32");
    get("ram 0x0", "", 200, "0x00000001");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(test_get, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_get_many, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_get_refused, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_faults, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_put, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_put_refused, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_patch, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_big_endian, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_read_only, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_absent, set_up_absent, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
