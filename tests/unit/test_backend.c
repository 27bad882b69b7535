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
        assert_true(backend->form_count > 0);
        for (size_t i = 0; i < backend->form_count; i++) {
            const struct backend_form *form = &backend->forms[i];

            test_that(!(form->device_needs & form->device_takes) &&
                              !(form->device_needs_one & (form->device_needs | form->device_takes)) &&
                              !(form->region_needs & form->region_takes) &&
                              !(form->region_needs_one & (form->region_needs | form->region_takes)),
                    "%s takes a key twice in its form %zu", backend->name, i);
            test_that(!(form->region_needs & KEY_BASE) == !form->region_types,
                    "%s does not say what base is in its form %zu", backend->name, i);
        }
        assert_ptr_equal(backend_find(backend->name), backend);
        for (size_t i = 0; i < count; i++)
            test_that(strcmp(backends[i]->name, backend->name) != 0, "%s is there twice", backend->name);
    }
    assert_int_equal(count, 6);
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
        enum region_type type;
    } rows[] = {
            {"sim", KEY_MODEL, 0, true, REGION_MMIO},
            {"sim", KEY_MODEL | KEY_TRACE | KEY_PATH, KEY_SIZE, true, REGION_MMIO},
            {"sim", 0, 0, false, REGION_MMIO},
            {"sim", KEY_TRACE, 0, false, REGION_MMIO},
            {"sim", KEY_MODEL, KEY_BAR, false, REGION_MMIO},
            {"sim", KEY_MODEL | KEY_ADDRESS, 0, false, REGION_MMIO},
            {"pci", KEY_ADDRESS, KEY_BAR, true, REGION_MMIO},
            {"pci", KEY_ID, KEY_BAR | KEY_OFFSET | KEY_SIZE | KEY_WRITE_COMBINING, true, REGION_MMIO},
            {"pci", KEY_ADDRESS | KEY_ID, KEY_BAR, false, REGION_MMIO},
            {"pci", 0, KEY_BAR, false, REGION_MMIO},
            {"pci", KEY_ADDRESS, 0, false, REGION_MMIO},
            {"pci", KEY_ADDRESS, KEY_BAR | KEY_BASE, false, REGION_MMIO},
            {"pci", KEY_ADDRESS | KEY_TRACE, KEY_BAR, false, REGION_MMIO},
            {"devmem", 0, KEY_BASE | KEY_SIZE, true, REGION_MMIO},
            {"devmem", 0, KEY_BASE, false, REGION_MMIO},
            {"devmem", 0, KEY_SIZE, false, REGION_MMIO},
            {"devmem", 0, 0, false, REGION_MMIO},
            {"devmem", KEY_MODEL, KEY_BASE | KEY_SIZE, false, REGION_MMIO},
            {"devmem", 0, KEY_BASE | KEY_SIZE | KEY_OFFSET, false, REGION_MMIO},
            {"devmem", 0, KEY_BASE | KEY_SIZE | KEY_TYPE, true, REGION_MMIO},
            {"devmem", 0, KEY_BASE | KEY_SIZE | KEY_TYPE, false, REGION_IOPORT},
            {"devmem", 0, KEY_BASE | KEY_SIZE | KEY_WRITE_COMBINING, false, REGION_MMIO},
            {"ioport", 0, KEY_BASE | KEY_SIZE | KEY_TYPE, true, REGION_IOPORT},
            {"ioport", 0, KEY_BASE | KEY_SIZE, true, REGION_IOPORT},
            {"ioport", 0, KEY_BASE | KEY_SIZE, false, REGION_MMIO},
            {"ioport", 0, KEY_BASE | KEY_TYPE, false, REGION_IOPORT},
            {"ioport", KEY_ADDRESS, KEY_BASE | KEY_SIZE, false, REGION_IOPORT},
            {"kmod", KEY_ADDRESS, KEY_BAR | KEY_OFFSET | KEY_SIZE | KEY_WRITE_COMBINING, true, REGION_MMIO},
            {"kmod", KEY_ID, KEY_BAR, true, REGION_MMIO},
            {"kmod", KEY_ADDRESS | KEY_ID, KEY_BAR, false, REGION_MMIO},
            {"kmod", KEY_ADDRESS, KEY_RESOURCE, false, REGION_MMIO},
            {"kmod", KEY_PLATFORM, KEY_RESOURCE | KEY_OFFSET | KEY_SIZE | KEY_WRITE_COMBINING, true,
                    REGION_MMIO},
            {"kmod", KEY_PLATFORM, KEY_BAR, false, REGION_MMIO},
            {"kmod", KEY_PLATFORM | KEY_ADDRESS, KEY_RESOURCE, false, REGION_MMIO},
            {"kmod", 0, KEY_BASE | KEY_SIZE, true, REGION_MMIO},
            {"kmod", 0, KEY_BASE | KEY_SIZE | KEY_TYPE | KEY_WRITE_COMBINING, true, REGION_IOPORT},
            {"kmod", 0, KEY_BASE | KEY_SIZE | KEY_OFFSET, false, REGION_MMIO},
            {"kmod", KEY_MODEL, KEY_BASE | KEY_SIZE, false, REGION_MMIO},
            {"uio", KEY_ADDRESS, KEY_BAR | KEY_OFFSET | KEY_SIZE, true, REGION_MMIO},
            {"uio", KEY_ID, KEY_UIO_MAP, true, REGION_MMIO},
            {"uio", KEY_ADDRESS, KEY_UIO_PORT, true, REGION_MMIO},
            {"uio", KEY_ADDRESS, KEY_BAR | KEY_UIO_MAP, false, REGION_MMIO},
            {"uio", KEY_ADDRESS, KEY_BAR | KEY_WRITE_COMBINING, false, REGION_MMIO},
            {"uio", KEY_UIO, KEY_UIO_MAP | KEY_OFFSET | KEY_SIZE, true, REGION_MMIO},
            {"uio", KEY_UIO, KEY_UIO_PORT, true, REGION_MMIO},
            {"uio", KEY_UIO, KEY_BAR, false, REGION_MMIO},
            {"uio", KEY_UIO, 0, false, REGION_MMIO},
            {"uio", KEY_UIO | KEY_ADDRESS, KEY_UIO_MAP, false, REGION_MMIO},
            {"pci", KEY_ADDRESS, KEY_UIO_MAP, false, REGION_MMIO},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        struct region_description regions[2] = {{.keys = rows[i].region, .type = rows[i].type},
                {.keys = rows[i].region, .type = rows[i].type}};
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

/* The messages about a configuration are about the form that was meant. */
static void test_nearest_form(void **state)
{
    static const struct {
        const char *backend;
        uint32_t device, region;
        size_t form;
        unsigned mistakes;
    } rows[] = {
            {"kmod", KEY_ADDRESS, KEY_BAR, 0, 0},
            {"kmod", KEY_ADDRESS, 0, 0, 1},
            {"kmod", KEY_ADDRESS, KEY_BASE, 0, 2},
            {"kmod", 0, KEY_BAR, 0, 2},
            {"kmod", KEY_PLATFORM, 0, 1, 1},
            {"kmod", 0, KEY_RESOURCE, 1, 2},
            {"kmod", KEY_PLATFORM, KEY_BAR | KEY_OFFSET, 1, 2},
            {"kmod", 0, KEY_BASE, 2, 1},
            {"kmod", 0, KEY_SIZE | KEY_TYPE, 2, 1},
            {"kmod", KEY_ADDRESS | KEY_ID, KEY_BAR, 0, 2},
            {"kmod", KEY_ADDRESS, KEY_RESOURCE, 0, 2},
            {"uio", 0, KEY_BAR, 0, 2},
            {"uio", KEY_UIO, KEY_BAR, 1, 2},
            {"uio", KEY_ID, KEY_UIO_MAP | KEY_BAR | KEY_UIO_PORT, 0, 2},
            {"uio", KEY_UIO, 0, 1, 1},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        struct region_description region = {.keys = rows[i].region};
        struct device_description description = {
                .keys = rows[i].device, .regions = &region, .region_count = 1};
        const struct backend *backend = backend_find(rows[i].backend);
        const struct backend_form *form = backend_nearest_form(backend, &description);

        test_that(form == &backend->forms[rows[i].form], "row %zu: form %zu", i,
                (size_t)(form - backend->forms));
        test_that(backend_form_mistakes(form, &description) == rows[i].mistakes, "row %zu: %u mistakes", i,
                backend_form_mistakes(form, &description));
    }
}

static void test_preference(void **state)
{
    (void)state;
    assert_true(backend_is_preferred(backend_find("kmod"), backend_find("uio")));
    assert_true(backend_is_preferred(backend_find("uio"), backend_find("pci")));
    assert_true(backend_is_preferred(backend_find("kmod"), backend_find("devmem")));
    assert_true(backend_is_preferred(backend_find("kmod"), backend_find("ioport")));
    assert_false(backend_is_preferred(backend_find("pci"), backend_find("kmod")));
    assert_false(backend_is_preferred(backend_find("pci"), backend_find("pci")));
}

static void test_choose(void **state)
{
    struct region_description region = {0};
    struct device_description description = {
            .keys = KEY_MODEL, .model = (char *)"edu", .regions = &region, .region_count = 1};
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

/* Whatever this machine has, the choice follows from what the backends say of it, and the reason tells what
 * they said. Devices that are nowhere, so that none suits. */
static void test_choose_by_keys(void **state)
{
    static const struct {
        uint32_t device, region;
        enum region_type type;
        const char *candidates[4]; /* in order */
    } rows[] = {
            {KEY_ADDRESS, KEY_BAR, REGION_MMIO, {"kmod", "uio", "pci"}},
            {KEY_ADDRESS, KEY_BAR | KEY_WRITE_COMBINING, REGION_MMIO, {"kmod", "pci"}},
            {KEY_ADDRESS, KEY_UIO_MAP, REGION_MMIO, {"uio"}},
            {KEY_PLATFORM, KEY_RESOURCE, REGION_MMIO, {"kmod"}},
            {KEY_UIO, KEY_UIO_PORT, REGION_MMIO, {"uio"}},
            {0, KEY_BASE | KEY_SIZE, REGION_MMIO, {"kmod", "devmem"}},
            {0, KEY_BASE | KEY_SIZE | KEY_TYPE, REGION_IOPORT, {"kmod", "ioport"}},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        struct region_description region = {
                .name = (char *)"r", .keys = rows[i].region, .type = rows[i].type, .base = 0x80, .size = 1};
        struct device_description description = {.name = (char *)"d",
                .keys = rows[i].device,
                .address = rows[i].device & KEY_ADDRESS ? (char *)"ffff:ff:1f.7" : NULL,
                .platform = rows[i].device & KEY_PLATFORM ? (char *)"nothing.here" : NULL,
                .uio = rows[i].device & KEY_UIO ? (char *)"nothing here" : NULL,
                .regions = &region,
                .region_count = 1};
        const struct backend *chosen = NULL, *expected = NULL;
        struct error error = {0};
        char why[2000] = "";
        bool usable = false;

        assert_int_equal(backend_choose(&description, &chosen, why, sizeof(why), &error), 0);
        for (size_t k = 0; rows[i].candidates[k] && !usable; k++) {
            struct error reason = {0};

            expected = backend_find(rows[i].candidates[k]);
            test_that(backend_fits(expected, &description), "row %zu: %s does not fit", i, expected->name);
            usable = backend_judge(expected, &description, &reason) == 0;
            test_that(usable || strstr(why, reason.message), "row %zu: '%s' does not say '%s'", i, why,
                    reason.message);
        }
        test_that(chosen == expected, "row %zu: %s was chosen", i, chosen->name);
        test_that(!strstr(why, "none is usable") == usable, "row %zu: why is '%s'", i, why);
    }
}

/* A backend that can't take the values is not chosen for its reason either. */
static void test_choose_checks_values(void **state)
{
    struct region_description region = {.name = (char *)"r",
            .keys = KEY_BASE | KEY_SIZE | KEY_TYPE,
            .type = REGION_IOPORT,
            .base = 0xffff,
            .size = 2};
    struct device_description description = {.name = (char *)"d", .regions = &region, .region_count = 1};
    const struct backend *chosen = NULL;
    struct error error = {0};
    char why[768];

    (void)state;
    assert_int_equal(backend_choose(&description, &chosen, why, sizeof(why), &error), 0);
    assert_string_equal(chosen->name, "kmod"); /* which asks the module */
    check_error(backend_judge(backend_find("ioport"), &description, &error), -EINVAL, &error,
            "0xffff + 0x2 is beyond the last port");
    region.write_combining = true;
    region.keys |= KEY_WRITE_COMBINING;
    check_error(backend_judge(chosen, &description, &error), -EINVAL, &error, "for memory, not for ports");
    assert_int_equal(backend_choose(&description, &chosen, why, sizeof(why), &error), 0);
    assert_string_equal(chosen->name, "kmod"); /* all that is left */
    test_that(strstr(why, "for memory, not for ports"), "why is '%s'", why);
}

/* The reasons are cut where there is no room, and stay a text. */
static void test_choose_with_little_room(void **state)
{
    struct region_description region = {.name = (char *)"r", .keys = KEY_BAR};
    struct device_description description = {.name = (char *)"d",
            .keys = KEY_ADDRESS,
            .address = (char *)"ffff:ff:1f.7",
            .regions = &region,
            .region_count = 1};
    const struct backend *chosen = NULL;
    struct error error = {0};
    char why[24];

    (void)state;
    memset(why, 'x', sizeof(why));
    assert_int_equal(backend_choose(&description, &chosen, why, sizeof(why), &error), 0);
    assert_int_equal(strlen(why), sizeof(why) - 1);
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
            cmocka_unit_test(test_nearest_form),
            cmocka_unit_test(test_preference),
            cmocka_unit_test(test_choose_by_keys),
            cmocka_unit_test(test_choose_checks_values),
            cmocka_unit_test(test_choose_with_little_room),
            cmocka_unit_test(test_pci_check),
            cmocka_unit_test(test_description_done),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
