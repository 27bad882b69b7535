/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* backends/backend.c: the table, and the choice among what is in it. */
#include "test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backends/backend.h"
#include "util/cleanup.h"

static void test_table(void **state)
{
    size_t count = 0;

    (void)state;
    for (; backends[count]; count++) {
        const struct backend *backend = backends[count];

        assert_non_null(backend->name);
        test_that(backend->summary && backend->summary[0], "%s has no summary", backend->name);
        test_that(backend->usable && backend->device_open && backend->device_close && backend->region_open &&
                          backend->region_close && backend->read && backend->write,
                "%s lacks an operation", backend->name);
        test_that(!(backend->device_needs & backend->device_takes) &&
                          !(backend->region_needs & backend->region_takes),
                "%s takes a key twice", backend->name);
        assert_ptr_equal(backend_find(backend->name), backend);
        for (size_t i = 0; i < count; i++)
            test_that(strcmp(backends[i]->name, backend->name) != 0, "%s is there twice", backend->name);
    }
    assert_true(count >= 3);
    assert_null(backend_find("nothing"));
    assert_null(backend_find(""));
}

/* Whoever is not usable says why. */
static void test_usable(void **state)
{
    (void)state;
    for (size_t i = 0; backends[i]; i++) {
        struct error error = {0};
        int r = backends[i]->usable(&error);

        test_that(r <= 0, "%s: usable gave %d", backends[i]->name, r);
        test_that(r == 0 || (error.code == r && error.message[0]), "%s is not usable and does not say why",
                backends[i]->name);
        assert_int_equal(backends[i]->usable(NULL) == 0, r == 0);
    }
    assert_int_equal(backend_find("sim")->usable(NULL), 0);
}

static void test_fits(void **state)
{
    static const struct {
        const char *backend;
        uint32_t device, region;
        bool fits;
    } rows[] = {
            {"sim", KEY_MODEL, 0, true},
            {"sim", KEY_MODEL | KEY_TRACE | KEY_PATH, KEY_SIZE, true},
            {"sim", 0, 0, false},
            {"sim", KEY_TRACE, 0, false},
            {"sim", KEY_MODEL, KEY_BAR, false},
            {"sim", KEY_MODEL | KEY_ADDRESS, 0, false},
            {"pci", KEY_ADDRESS, KEY_BAR, true},
            {"pci", KEY_ID, KEY_BAR | KEY_OFFSET | KEY_SIZE | KEY_WRITE_COMBINING, true},
            {"pci", KEY_ADDRESS | KEY_ID, KEY_BAR, false},
            {"pci", 0, KEY_BAR, false},
            {"pci", KEY_ADDRESS, 0, false},
            {"pci", KEY_ADDRESS, KEY_BAR | KEY_BASE, false},
            {"pci", KEY_ADDRESS | KEY_TRACE, KEY_BAR, false},
            {"devmem", 0, KEY_BASE | KEY_SIZE, true},
            {"devmem", 0, KEY_BASE, false},
            {"devmem", 0, KEY_SIZE, false},
            {"devmem", 0, 0, false},
            {"devmem", KEY_MODEL, KEY_BASE | KEY_SIZE, false},
            {"devmem", 0, KEY_BASE | KEY_SIZE | KEY_OFFSET, false},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        struct region_description regions[2] = {{.keys = rows[i].region}, {.keys = rows[i].region}};
        struct device_description description = {
                .keys = rows[i].device, .regions = regions, .region_count = 2};
        const struct backend *backend = backend_find(rows[i].backend);

        test_that(backend_fits(backend, &description) == rows[i].fits, "row %zu: %s fits: expected %d", i,
                rows[i].backend, rows[i].fits);
        if (!rows[i].fits)
            continue;
        regions[1].keys = KEY_MODEL; /* every region counts */
        test_that(!backend_fits(backend, &description), "row %zu: the second region was not looked at", i);
    }
}

static void test_choose(void **state)
{
    struct region_description region = {0};
    struct device_description description = {.keys = KEY_MODEL, .regions = &region, .region_count = 1};
    const struct backend *chosen = NULL;
    struct error error = {0};
    char why[512] = "";

    (void)state;
    assert_int_equal(backend_choose(&description, &chosen, why, sizeof(why), &error), 0);
    assert_string_equal(chosen->name, "sim");
    assert_true(why[0]);

    description.backend = (char *)"devmem";
    assert_int_equal(backend_choose(&description, &chosen, why, sizeof(why), &error), 0);
    assert_string_equal(chosen->name, "devmem");
    assert_string_equal(why, "named by the configuration");

    description.backend = (char *)"nothing";
    check_error(backend_choose(&description, &chosen, why, sizeof(why), &error), -EINVAL, &error, "nothing");

    description.backend = NULL;
    description.keys = KEY_MODEL | KEY_ADDRESS;
    check_error(
            backend_choose(&description, &chosen, why, sizeof(why), &error), -EINVAL, &error, "no backend");
}

/* Usable or not on this machine, the one that fits is chosen, and the reason says which case it is. */
static void test_choose_by_keys(void **state)
{
    static const struct {
        const char *backend;
        uint32_t device, region;
    } rows[] = {{"pci", KEY_ADDRESS, KEY_BAR}, {"devmem", 0, KEY_BASE | KEY_SIZE}};

    (void)state;
    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        struct region_description region = {.keys = rows[i].region};
        struct device_description description = {
                .keys = rows[i].device, .regions = &region, .region_count = 1};
        const struct backend *chosen = NULL;
        struct error error = {0}, reason = {0};
        char why[512] = "";

        assert_int_equal(backend_choose(&description, &chosen, why, sizeof(why), &error), 0);
        assert_string_equal(chosen->name, rows[i].backend);
        if (chosen->usable(&reason) == 0)
            test_that(strstr(why, "the best one"), "why is '%s'", why);
        else
            test_that(strstr(why, "not usable now") && strstr(why, reason.message), "why is '%s'", why);
    }
}

static void test_pci_check(void **state)
{
    static const struct {
        const char *address, *id;
        const char *message;
    } rows[] = {
            {"0000:00:07.0", NULL, NULL},
            {NULL, "1234:11e8:1", NULL},
            {"0000:00:7.0", NULL, "is not a PCI address"},
            {NULL, "1234", "is not an identification"},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        struct device_description description = {
                .address = (char *)rows[i].address, .id = (char *)rows[i].id};
        struct error error = {0};
        int r = backend_find("pci")->check(&description, &error);

        if (rows[i].message)
            check_error(r, -EINVAL, &error, rows[i].message);
        else
            test_that(r == 0, "row %zu: %s", i, error.message);
    }
}

static void test_description_done(void **state)
{
    struct device_description description = {.name = strdup("a"), .address = strdup("b"), .region_count = 1};

    (void)state;
    description.regions = calloc(1, sizeof(*description.regions));
    description.regions[0].name = strdup("c");
    description.regions[0].description = strdup("d");
    device_description_done(&description);
    assert_null(description.regions);
    assert_int_equal(description.region_count, 0);
    device_description_done(&description);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_table),
            cmocka_unit_test(test_usable),
            cmocka_unit_test(test_fits),
            cmocka_unit_test(test_choose),
            cmocka_unit_test(test_choose_by_keys),
            cmocka_unit_test(test_pci_check),
            cmocka_unit_test(test_description_done),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
