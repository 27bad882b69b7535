/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* api/problem.c: the statuses are part of the API. */
#include "test.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "api/problem.h"
#include "util/cleanup.h"

static const struct {
    int code;
    unsigned status;
    const char *name, *type;
} rows[] = {
        {-EINVAL, 400, "EINVAL", "malformed"},
        {-EKEYREJECTED, 401, "EKEYREJECTED", "unauthenticated"},
        {-EPERM, 403, "EPERM", "denied"},
        {-ENOENT, 404, "ENOENT", "not-found"},
        {-ENOSYS, 405, "ENOSYS", "method"},
        {-EBUSY, 409, "EBUSY", "conflict"},
        {-ETXTBSY, 409, "ETXTBSY", "conflict"},
        {-ENODEV, 410, "ENODEV", "gone"},
        {-ESTALE, 410, "ESTALE", "ended"},
        {-EBADMSG, 411, "EBADMSG", "length-required"},
        {-EMSGSIZE, 413, "EMSGSIZE", "too-large"},
        {-EPROTOTYPE, 415, "EPROTOTYPE", "media-type"},
        {-ERANGE, 416, "ERANGE", "outside-region"},
        {-EHOSTUNREACH, 421, "EHOSTUNREACH", "misdirected"},
        {-EUSERS, 423, "EUSERS", "reserved"},
        {-EDQUOT, 429, "EDQUOT", "over-limit"},
        {-EOPNOTSUPP, 422, NULL, "not-allowed"}, /* libc has two names for it */
        {-EFAULT, 502, "EFAULT", "bus-fault"},
        {-ENODATA, 503, "ENODATA", "unavailable"},
        {-EAGAIN, 503, "EAGAIN", "busy"},
        {-ENOMEM, 503, "ENOMEM", "busy"},
        {-ETIMEDOUT, 504, "ETIMEDOUT", "timeout"},
        {-EIO, 500, "EIO", "unexpected"},
        {-ENXIO, 500, "ENXIO", "unexpected"},
};

static json_t *write_document(
        const struct error *error, const char *region, const uint64_t *offset, size_t done)
{
    const struct problem_facts facts = {.region = region, .offset = offset, .done = done};
    _cleanup_buffer_ struct buffer reply = {0};
    json_error_t where;
    json_t *document;

    problem_write(&reply, error, &facts);
    assert_false(buffer_failed(&reply));
    assert_int_equal(reply.data[reply.size - 1], '\n');
    document = json_loadb(reply.data, reply.size, JSON_REJECT_DUPLICATES, &where);
    test_that(document, "it does not parse: %s", where.text);
    return document;
}

static const char *text_of(const json_t *document, const char *key)
{
    const char *text = json_string_value(json_object_get(document, key));

    return text ? text : "";
}

static void test_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        struct error error = {.code = rows[i].code, .message = "edu is \"gone\""};
        json_auto_t *document = write_document(&error, NULL, NULL, 0);
        char type[64] = "urn:devreg:problem:";

        strcat(type, rows[i].type);
        test_that(problem_status(rows[i].code) == rows[i].status, "%d is %u, expected %u", rows[i].code,
                problem_status(rows[i].code), rows[i].status);
        test_that(strcmp(text_of(document, "type"), type) == 0, "%d has type %s", rows[i].code,
                text_of(document, "type"));
        assert_int_equal(json_integer_value(json_object_get(document, "status")), rows[i].status);
        assert_string_equal(text_of(document, "detail"), "edu is \"gone\"");
        assert_true(text_of(document, "title")[0]);
        if (rows[i].name)
            assert_string_equal(text_of(document, "errno"), rows[i].name);
        else
            assert_true(text_of(document, "errno")[0]);
        assert_null(json_object_get(document, "region"));
        assert_null(json_object_get(document, "offset"));
        assert_null(json_object_get(document, "done"));
    }
}

static void test_facts(void **state)
{
    struct error error = {.code = -EFAULT, .message = "bus fault \xff"};
    uint64_t offset = 0;
    json_auto_t *first = write_document(&error, "odd", &offset, 0);
    json_t *second;

    (void)state;
    assert_string_equal(text_of(first, "region"), "odd");
    assert_string_equal(text_of(first, "offset"), "0x0");
    assert_string_equal(text_of(first, "detail"), "bus fault \xef\xbf\xbd");
    assert_null(json_object_get(first, "done"));
    offset = UINT64_MAX;
    second = write_document(&error, "odd", &offset, 3);
    assert_string_equal(text_of(second, "offset"), "0xffffffffffffffff");
    assert_int_equal(json_integer_value(json_object_get(second, "done")), 3);
    json_decref(second);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test(test_table),
            cmocka_unit_test(test_facts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
