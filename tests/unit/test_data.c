/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* api/data.c, on simulated boards. */
#include "api_fixture.h"

#include <stdio.h>
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
    api_expect(&api, "GET", API_DATA, parameters, query, NULL, status, text)
#define put(parameters, query, body, status, text)                                                          \
    api_expect(&api, "PUT", API_DATA, parameters, query, body, status, text)

static void test_round_trip(void **state)
{
    const struct api_answer *answer;
    uint8_t octets[4096];

    (void)state;
    for (size_t i = 0; i < sizeof(octets); i++)
        octets[i] = (uint8_t)(i * 7 >> 2);
    for (unsigned width = 8; width <= 64; width *= 2) {
        char query[64];

        snprintf(query, sizeof(query), "offset=0x100&width=%u", width);
        answer = api_request(&api, "PUT", API_DATA, "ram", query, octets, sizeof(octets));
        test_that(answer->status == 200 && strstr(answer->text, "\"length\":4096"), "PUT: %u %s",
                answer->status, answer->text);
        snprintf(query, sizeof(query), "offset=256&length=4096&width=%u", width);
        answer = api_request(&api, "GET", API_DATA, "ram", query, NULL, 0);
        assert_int_equal(answer->status, 200);
        assert_string_equal(answer->content_type, "application/octet-stream");
        assert_int_equal(answer->size, sizeof(octets));
        assert_memory_equal(answer->text, octets, sizeof(octets));
        octets[0]++;
    }
    /* Short enough to have no memory of its own. */
    answer = api_request(&api, "GET", API_DATA, "ram", "offset=0x101&length=3&width=8", NULL, 0);
    assert_int_equal(answer->size, 3);
    assert_memory_equal(answer->text, octets + 1, 3);
}

static void test_default_width(void **state)
{
    const struct api_answer *answer;

    (void)state;
    put("ram", "offset=0", "01234567", 200, "\"width\":32,\"length\":8}");
    answer = api_request(&api, "GET", API_DATA, "ram", "offset=0&length=8", NULL, 0);
    assert_int_equal(answer->size, 8);
    assert_memory_equal(answer->text, "01234567", 8);
    put("ram", "offset=0", "012", 422, "3 octets are no whole number of 32-bit accesses");
    get("ram", "offset=0&length=6", 422, "no whole number");
    get("ram", "offset=0&length=6&width=64", 422, "64-bit");
}

static void test_fifo(void **state)
{
    const struct api_answer *answer;

    (void)state;
    put("odd", "offset=0x20&fixed=1&width=8", "hello, world", 200, "\"length\":12");
    answer = api_request(&api, "GET", API_DATA, "odd", "offset=0x20&length=12&fixed=1&width=16", NULL, 0);
    assert_int_equal(answer->size, 12);
    assert_memory_equal(answer->text, "hello, world", 12);
}

static void test_refused(void **state)
{
    (void)state;
    get("ram", "length=4", 400, "offset is missing");
    get("ram", "offset=0", 400, "length is missing");
    get("ram", "offset=x&length=4", 400, "is not a number");
    get("ram", "offset=-4&length=4", 400, "is not a number");
    get("ram", "offset=0x10000000000000000&length=4", 416, "does not fit 64 bits");
    get("ram", "offset=0&length=0", 400, "a length of 0");
    get("ram", "offset=0&length=99999999999999999999", 413, "does not fit 64 bits");
    get("ram", "offset=0&length=4&fixed=2", 400, "neither 0 nor 1");
    get("ram", "offset=0&length=4&width=12", 400, "width '12'");
    get("ram", "offset=1&length=4", 422, "not aligned");
    get("ram", "offset=8192&length=4", 416, "outside ram (8 KiB)");
    get("ram", "offset=8188&length=8", 416, "end outside ram");
    get("nothing", "offset=0&length=4", 404, "no region");
    put("ram", "offset=0", "", 400, "a length of 0");
    put("ram", "offset=0&length=4", "0123", 400, "unknown argument 'length'");
    api.daemon.limits.data_bytes = 64;
    get("ram", "offset=0&length=68", 413, "68 octets are more than 64");
    get("ram", "offset=0&length=64", 200, NULL);
}

static void test_budget(void **state)
{
    (void)state;
    api.daemon.limits.data_total_bytes = 4096;
    assert_int_equal(daemon_claim_data(&api.daemon, NULL, 4000, NULL), 0);
    get("ram", "offset=0&length=100", 503, "too much raw data");
    get("ram", "offset=0&length=96", 200, NULL);
    get("ram", "offset=0&length=96", 200, NULL);    /* was given back */
    get("ram", "offset=9000&length=96", 416, NULL); /* also by one that failed */
    get("ram", "offset=0&length=96", 200, NULL);
    daemon_return_data(&api.daemon, NULL, 4000);
}

static void test_fault(void **state)
{
    (void)state;
    get("odd", "offset=0xfff0&length=32", 502, "\"offset\":\"0x10000\",\"done\":4}");
    put("odd", "offset=0x10000", "0123", 502, "bus fault");
}

/* The region comes with the request that asks for it: the width that is used must be the one that the length
 * was divided by. */
static void test_region_appears_get(void **state)
{
    const struct api_answer *answer;

    (void)state;
    get("ram", "offset=0&length=8", 410, "No such file");
    test_write_text(api.ram_path, "01234567");
    assert_int_equal(truncate(api.ram_path, API_RAM_SIZE), 0);
    answer = api_request(&api, "GET", API_DATA, "ram", "offset=0&length=8", NULL, 0);
    assert_int_equal(answer->status, 200);
    test_that(answer->size == 8, "8 octets were asked for, %zu came", answer->size);
    assert_memory_equal(answer->text, "01234567", 8);
}

static void test_region_appears_put(void **state)
{
    (void)state;
    put("ram", "offset=0", "01234567", 410, "No such file");
    test_write_text(api.ram_path, "");
    assert_int_equal(truncate(api.ram_path, API_RAM_SIZE), 0);
    put("ram", "offset=0", "01234567", 200, "\"width\":32,\"length\":8}");
    get("ram", "offset=8&length=4", 200, NULL);
}

/* The same when the length is no multiple of the width that it turns out to have. */
static void test_region_appears_odd_length(void **state)
{
    (void)state;
    test_write_text(api.ram_path, "");
    assert_int_equal(truncate(api.ram_path, API_RAM_SIZE), 0);
    put("ram", "offset=0", "012", 422, "no whole number of 32-bit accesses");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(test_round_trip, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_default_width, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_fifo, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_budget, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_fault, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_region_appears_get, set_up_absent, tear_down),
            cmocka_unit_test_setup_teardown(test_region_appears_put, set_up_absent, tear_down),
            cmocka_unit_test_setup_teardown(test_region_appears_odd_length, set_up_absent, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
