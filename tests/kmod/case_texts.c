// SPDX-License-Identifier: LGPL-2.1-or-later
// Names: printable ASCII without blanks and slashes, at most 31 of them, as they show up in /proc.
#include "kmodtest.h"

#include <unistd.h>

static int claim_named(int control, const char *name)
{
    return claim(control, 0, bar_of(FREE_EDU, 0).start, 0x1000, name, NULL);
}

static void name_of_each_octet(void)
{
    struct opened edu = open_edu();
    uint64_t start = bar_of(FREE_EDU, 0).start;
    for (int octet = 1; octet < 256; octet++)
        for (int place = 0; place < 3; place++) {
            char name[4] = "aaa";
            name[place] = (char)octet;
            context("octet %#x at place %d", octet, place);
            int raw = claim(edu.control, 0, start, 0x1000, name, NULL), error = errno;
            int window = claim_resource(edu.device, 0, 0, 0, 0x1000, name, NULL);
            if (octet > ' ' && octet < 0x7f && octet != '/') {
                fine(window);
                close(window);
                check(raw >= 0);
                close(raw);
                continue;
            }
            check_error(window, EINVAL);
            errno = error;
            check_error(raw, EINVAL);
        }
}

static void name_empty(void)
{
    struct opened edu = open_edu();
    check_error(claim_named(edu.control, ""), EINVAL);
    check_error(claim_resource(edu.device, 0, 0, 0, 0, "", NULL), EINVAL);
}

static void name_without_end(void)
{
    struct opened edu = open_edu();
    const char *name = "abcdefghijklmnopqrstuvwxyz012345"; // 32
    check_error(claim_named(edu.control, name), EINVAL);
    check_error(claim_resource(edu.device, 0, 0, 0, 0, name, NULL), EINVAL);
    char device[DEVREG_DEVICE_SIZE + 1];
    memset(device, 'a', sizeof(device));
    device[sizeof(device) - 1] = 0;
    check_error(open_device(edu.control, DEVREG_DEVICE_PCI, device, NULL), EINVAL);
    check_error(open_device(edu.control, DEVREG_DEVICE_PLATFORM, device, NULL), EINVAL);
}

static void name_longest(void)
{
    const char *name = "abcdefghijklmnopqrstuvwxyz01234"; // 31
    struct bar bar = bar_of(FREE_EDU, 0);
    int control = open_control();
    int region = fine(claim_named(control, name));
    check_equal(count_claims(IOMEM, bar.start, 0x1000, name), 1);
    check_text(region_info(region).name, name);
    char owner[DEVREG_OWNER_SIZE], expected[DEVREG_OWNER_SIZE];
    check_error(claim(control, 0, bar.start, 0x1000, "second", owner), EBUSY);
    snprintf(expected, sizeof(expected), "devreg:%s", name);
    check_text(owner, expected);
}

// The kernel's lists have one line for each claim, whatever is in its name.
static void name_is_no_format(void)
{
    struct bar bar = bar_of(FREE_EDU, 0);
    int region = fine(claim_named(open_control(), "%s%n%p%pR%d\"\\"));
    check_equal(count_claims(IOMEM, bar.start, 0x1000, "%s%n%p%pR%d\"\\"), 1);
    check_text(region_info(region).name, "%s%n%p%pR%d\"\\");
}

static void name_twice(void)
{
    struct bar bar = bar_of(FREE_EDU, 0);
    int control = open_control();
    fine(claim(control, 0, bar.start, 0x1000, "same", NULL));
    int second = fine(claim(control, 0, bar.start + 0x1000, 0x1000, "same", NULL));
    check_equal(count_claims(IOMEM, bar.start, 0x1000, "same"), 1);
    check_equal(count_claims(IOMEM, bar.start + 0x1000, 0x1000, "same"), 1);
    close(second);
    check_equal(count_claims(IOMEM, bar.start, 0x1000, "same"), 1);
}

static void device_names(void)
{
    int control = open_control();
    static const char *const unknown[] = {"x", "0000:00:1f.7", "0000:00:0b.1", "0000:00:0b.00", "0000:00:0b",
            "00:0b.0", ".", "..", "*", "%s%n", "0000:00:0B.0", FW_CFG};
    static const char *const impossible[] = {"", "/", "../0000:00:0b.0", "./0000:00:0b.0", "0000:00:0b.0/",
            "0000:00:0b.0 ", " 0000:00:0b.0", "0000:00:0b.0\n", "\x7f", "\xc3\xa9"};
    for (size_t i = 0; i < array_size(unknown); i++) {
        context("device \"%s\"", unknown[i]);
        check_error(open_device(control, DEVREG_DEVICE_PCI, unknown[i], NULL), ENODEV);
    }
    for (size_t i = 0; i < array_size(impossible); i++) {
        context("device \"%s\"", impossible[i]);
        check_error(open_device(control, DEVREG_DEVICE_PCI, impossible[i], NULL), EINVAL);
        check_error(open_device(control, DEVREG_DEVICE_PLATFORM, impossible[i], NULL), EINVAL);
    }
    context("a PCI function as a platform device");
    check_error(open_device(control, DEVREG_DEVICE_PLATFORM, EDU, NULL), ENODEV);
}

const struct test_case text_cases[] = {
        {"texts_name_of_each_octet", name_of_each_octet, 0},
        {"texts_name_empty", name_empty, 0},
        {"texts_name_without_end", name_without_end, 0},
        {"texts_name_longest", name_longest, 0},
        {"texts_name_is_no_format", name_is_no_format, 0},
        {"texts_name_twice", name_twice, 0},
        {"texts_device_names", device_names, 0},
        {0},
};
