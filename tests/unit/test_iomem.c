/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* backends/iomem.c, on texts as the kernel writes them. */
#include "test.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "backends/iomem.h"
#include "util/cleanup.h"

static const char machine[] = "00000000-00000fff : Reserved\n"
                              "00001000-0009fbff : System RAM\n"
                              "000a0000-000bffff : PCI Bus 0000:00\n"
                              "00100000-07fdffff : System RAM\n"
                              "  01000000-01e00fff : Kernel code\n"
                              "  02000000-0279dfff : Kernel rodata\n"
                              "c0000000-febfffff : PCI Bus 0000:00\n"
                              "  fea00000-feafffff : 0000:00:07.0\n"
                              "  feb00000-feb1ffff : 0000:00:03.0\n"
                              "    feb00000-feb0ffff : e1000e\n"
                              "    feb10000-feb1ffff : e1000e ring: 2\n"
                              "fec00000-fec003ff : IOAPIC 0\n"
                              "100000000-1ffffffff : System RAM\n";

static bool owner_in(const char *text, uint64_t base, uint64_t size, char *name, size_t name_size)
{
    _cleanup_fclose_ FILE *stream = fmemopen((void *)text, strlen(text), "r");

    assert_non_null(stream);
    return iomem_owner_in(stream, base, size, name, name_size);
}

static void test_owners(void **state)
{
    static const struct {
        uint64_t base, size;
        const char *owner; /* NULL: nobody */
    } rows[] = {
            {0x1000, 0x1000, "System RAM"},
            {0x0, 1, "Reserved"},
            {0xfff, 1, "Reserved"},
            {0xfff, 2, "System RAM"}, /* of two beside each other the later one */
            {0x1500000, 4, "Kernel code"},
            {0xc0000000, 4096, "PCI Bus 0000:00"},
            {0xfea00000, 0x100000, "0000:00:07.0"},
            {0xfeafffff, 1, "0000:00:07.0"},
            {0xfeb00010, 4, "e1000e"},
            {0xfeb10000, 4, "e1000e ring: 2"},
            {0xfe000000, 0xb10000, "e1000e"}, /* a range around it */
            {0xfec00400, 0x100, NULL},
            {0xfec003ff, 2, "IOAPIC 0"},
            {0x180000000, 4096, "System RAM"},
            {0x200000000, 4096, NULL},
            {0x0009fc00, 0x400, NULL},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        char name[64] = "";
        bool held = owner_in(machine, rows[i].base, rows[i].size, name, sizeof(name));

        test_that(held == (rows[i].owner != NULL), "0x%" PRIx64 ": held is %d, by '%s'", rows[i].base, held,
                name);
        test_that(!held || strcmp(name, rows[i].owner) == 0, "0x%" PRIx64 " is held by '%s', expected '%s'",
                rows[i].base, name, rows[i].owner);
    }
}

static const char ports[] = "0000-0cf7 : PCI Bus 0000:00\n"
                            "  0000-001f : dma1\n"
                            "  0070-0077 : rtc0\n"
                            "  0510-051b : QEMU0002:00\n"
                            "    0510-051b : devreg:fwcfg\n"
                            "0cf8-0cff : PCI conf1\n";

/* /proc/ioports is written alike. */
static void test_ports(void **state)
{
    char name[64] = "";

    (void)state;
    assert_true(owner_in(ports, 0x71, 1, name, sizeof(name)));
    assert_string_equal(name, "rtc0");
    assert_true(owner_in(ports, 0x511, 1, name, sizeof(name)));
    assert_string_equal(name, "devreg:fwcfg");
    assert_true(owner_in(ports, 0x100, 1, name, sizeof(name)));
    assert_string_equal(name, "PCI Bus 0000:00");
    assert_true(owner_in(ports, 0, 1, name, sizeof(name)));
    assert_string_equal(name, "dma1");
    assert_false(owner_in(ports, 0xd00, 0x100, name, sizeof(name)));
}

/* Memory and ports are looked up in files of their own. */
static void test_files(void **state)
{
    static const char *const files[] = {[REGION_MMIO] = "/proc/iomem", [REGION_IOPORT] = "/proc/ioports"};

    (void)state;
    for (enum region_type type = REGION_MMIO; type <= REGION_IOPORT; type++) {
        _cleanup_fclose_ FILE *stream = fopen(files[type], "re");
        char expected[64] = "", name[64] = "";
        bool held;

        assert_non_null(stream);
        held = iomem_owner_in(stream, 0, 0xcf8, expected, sizeof(expected));
        assert_int_equal(iomem_owner(type, 0, 0xcf8, name, sizeof(name)), held);
        assert_string_equal(name, expected);
    }
}

static bool is_system_memory(uint64_t base, uint64_t size)
{
    static const char crash[] = "00100000-07fdffff : System RAM\n"
                                "  02000000-02ffffff : Crash kernel\n"
                                "40000000-4fffffff : Crash kernel\n"
                                "50000000-50000fff : Kernelish device\n";
    _cleanup_fclose_ FILE *plain = fmemopen((void *)machine, strlen(machine), "r");
    _cleanup_fclose_ FILE *reserved = fmemopen((void *)crash, strlen(crash), "r");

    assert_true(plain && reserved);
    return iomem_is_system_memory_in(plain, base, size) || iomem_is_system_memory_in(reserved, base, size);
}

/* Any part of it, whatever has been put into it. */
static void test_system_memory(void **state)
{
    (void)state;
    assert_true(is_system_memory(0x1000, 4));
    assert_true(is_system_memory(0x1500000, 4));  /* the kernel's code */
    assert_true(is_system_memory(0x2500000, 4));  /* an innermost holder of another name */
    assert_true(is_system_memory(0x40000000, 4)); /* and one outside */
    assert_true(is_system_memory(0x90000, 0x20000));
    assert_true(is_system_memory(0xfec00000, 0x100000000));
    assert_false(is_system_memory(0x0, 0x1000));
    assert_false(is_system_memory(0xfeb00000, 0x1000));
    assert_false(is_system_memory(0x50000000, 0x1000));
    assert_false(is_system_memory(0x200000000, 0x1000));
}

static void test_unprivileged(void **state)
{
    char name[64];

    (void)state;
    assert_false(owner_in("00000000-00000000 : Reserved\n00000000-00000000 : System RAM\n"
                          "  00000000-00000000 : Kernel code\n",
            0, 4096, name, sizeof(name)));
}

static void test_odd_texts(void **state)
{
    static const char *const texts[] = {
            "\n", "x\n", "1000-2000\n", "1000-2000 nobody\n", "1000 : a\n", "-: \n", "1000-1fff : ", "  \n"};
    char name[8];

    (void)state;
    for (size_t i = 0; i < ELEMENTS(texts); i++)
        test_that(!owner_in(texts[i], 0x3000, 16, name, sizeof(name)), "'%s' has an owner", texts[i]);
    assert_true(owner_in("1000-1fff : no newline", 0x1000, 16, name, sizeof(name)));
    assert_string_equal(name, "no newl");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_owners),
            cmocka_unit_test(test_ports),
            cmocka_unit_test(test_files),
            cmocka_unit_test(test_system_memory),
            cmocka_unit_test(test_unprivileged),
            cmocka_unit_test(test_odd_texts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
