/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* core/dma_wish.c: which buffers can be wished for at all. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "core/dma_buffers.h"
#include "test.h"
#include "util/cleanup.h"

static struct buffer_wish plain(void)
{
    return (struct buffer_wish){.kind = BUFFER_COHERENT,
            .size = 4096,
            .count = 1,
            .address_bits = 32,
            .alignment = 4096,
            .to_device = true,
            .from_device = true};
}

static void test_octets_are_rounded_up_to_pages(void **state)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), bytes = 0;
    struct buffer_wish wish = plain();

    (void)state;
    wish.size = 1;
    assert_int_equal(dma_wish_check(&wish, &bytes, NULL), 0);
    assert_int_equal(bytes, page);
    wish.kind = BUFFER_POOL;
    wish.size = page;
    wish.count = 3;
    assert_int_equal(dma_wish_check(&wish, &bytes, NULL), 0);
    assert_int_equal(bytes, 3 * page);
}

/* As the kernel cuts it: a piece is as large as what it is aligned to, and so is each object. */
static void test_alignment_counts(void **state)
{
    static const struct {
        enum buffer_kind kind;
        uint64_t size, count, alignment, bytes;
    } cases[] = {
            {BUFFER_COHERENT, 1, 1, 1 << 22, 1 << 22},
            {BUFFER_STREAMING, 1, 1, 1 << 22, 1 << 22},
            {BUFFER_COHERENT, 5 << 20, 1, 1 << 22, 5 << 20},
            {BUFFER_SCATTERED, 5 << 20, 1, 1 << 22, 8 << 20},
            {BUFFER_POOL, 8, 1024, 65536, 1024 * 65536},
            {BUFFER_POOL, 65, 64, 64, 8192},
            {BUFFER_POOL, 8, 3, 8, 4096},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS(cases); i++) {
        struct buffer_wish wish = {
                cases[i].kind, cases[i].size, cases[i].count, 64, cases[i].alignment, 0, true, true};
        struct error error = {0};
        uint64_t bytes = 0;
        int r = dma_wish_check(&wish, &bytes, &error);

        test_that(r == 0 && bytes == cases[i].bytes, "case %zu: %d, %llu octets, %s", i, r,
                (unsigned long long)bytes, error.message);
    }
}

static void test_what_fits_no_buffer(void **state)
{
    static const struct {
        enum buffer_kind kind;
        uint64_t size, count;
        unsigned address_bits;
        uint64_t alignment, boundary;
        int result;
        const char *text;
    } cases[] = {
            {BUFFER_COHERENT, 0, 1, 32, 1, 0, -EINVAL, "1 octet"},
            {BUFFER_POOL, 16, 0, 32, 1, 0, -EINVAL, "1 object"},
            {BUFFER_STREAMING, 16, 2, 32, 1, 0, -EINVAL, "a streaming buffer is one"},
            {BUFFER_COHERENT, 16, 1, 23, 1, 0, -EINVAL, "23 is outside 24 to 64"},
            {BUFFER_COHERENT, 16, 1, 65, 1, 0, -EINVAL, "65 is outside"},
            {BUFFER_COHERENT, 16, 1, 32, 0, 0, -EINVAL, "alignment"},
            {BUFFER_COHERENT, 16, 1, 32, 24, 0, -EINVAL, "\"alignment\" 24 is no power of two"},
            {BUFFER_COHERENT, 16, 1, 32, 1, 24, -EINVAL, "\"boundary\" 24 is no power of two"},
            {BUFFER_COHERENT, 32, 1, 32, 1, 16, -EINVAL, "a larger \"boundary\""},
            {BUFFER_POOL, 32, 4, 32, 1, 16, -EINVAL, "a larger \"boundary\""},
            {BUFFER_SCATTERED, 1 << 20, 1, 32, 1, 4096, 0, NULL},
            {BUFFER_COHERENT, 16, 1, 32, 1, 16, 0, NULL},
            {BUFFER_COHERENT, 1 << 24, 1, 24, 1, 0, 0, NULL},
            {BUFFER_COHERENT, (1 << 24) + 1, 1, 24, 1, 0, -EINVAL, "do not fit below 2^24"},
            {BUFFER_SCATTERED, UINT64_MAX, 1, 64, 1, 0, -E2BIG, "more than there can be"},
            {BUFFER_POOL, 1, 2, 64, UINT64_C(1) << 63, 0, -E2BIG, "more than there can be"},
            {BUFFER_POOL, (UINT64_C(1) << 63) + 1, 1, 64, UINT64_C(1) << 63, 0, -E2BIG,
                    "aligned to 9223372036854775808, are more"},
            {BUFFER_SCATTERED, (UINT64_C(1) << 63) + 1, 1, 64, UINT64_C(1) << 63, 0, -E2BIG, "aligned to"},
            {BUFFER_POOL, UINT64_C(1) << 33, UINT64_C(1) << 31, 64, 1, 0, -E2BIG, "more than there can be"},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS(cases); i++) {
        struct buffer_wish wish = {cases[i].kind, cases[i].size, cases[i].count, cases[i].address_bits,
                cases[i].alignment, cases[i].boundary, true, true};
        struct error error = {0};
        uint64_t bytes;
        int r = dma_wish_check(&wish, &bytes, &error);

        test_that(r == cases[i].result, "case %zu: %d, %s", i, r, error.message);
        test_that(!cases[i].text || strstr(error.message, cases[i].text), "case %zu: %s", i, error.message);
    }
}

static void test_kinds_have_names(void **state)
{
    enum buffer_kind kind = BUFFER_COHERENT;

    (void)state;
    for (int i = BUFFER_COHERENT; i <= BUFFER_POOL; i++) {
        assert_int_equal(dma_buffer_kind_parse(dma_buffer_kind_name((enum buffer_kind)i), &kind), 0);
        assert_int_equal(kind, i);
    }
    assert_int_equal(dma_buffer_kind_parse("Coherent", &kind), -EINVAL);
    assert_int_equal(dma_buffer_kind_parse("", &kind), -EINVAL);
}

static void test_description(void **state)
{
    struct device_description description = {.name = (char *)"edu"};
    struct device device = {.description = &description};
    struct dma_buffer buffer = {.device = &device, .wish = plain()};
    char text[DMA_BUFFER_TEXT];

    (void)state;
    buffer.wish.size = 65536;
    assert_string_equal(dma_buffer_describe(&buffer, text), "64 KiB coherent on edu");
    buffer.wish.kind = BUFFER_POOL;
    buffer.wish.size = 1024;
    buffer.wish.count = 256;
    assert_string_equal(dma_buffer_describe(&buffer, text), "pool of 256 times 1 KiB on edu");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_octets_are_rounded_up_to_pages),
            cmocka_unit_test(test_alignment_counts),
            cmocka_unit_test(test_what_fits_no_buffer),
            cmocka_unit_test(test_kinds_have_names),
            cmocka_unit_test(test_description),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
