/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* core/operation.c: the rules for every register, and what becomes of an access that fails. */
#include "fault_backend.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "core/operation.h"
#include "util/cleanup.h"

static const uint64_t HOUR_US = UINT64_C(3600) * 1000000;

static struct {
    sd_event *event;
    struct dispatch *dispatch;
    struct fault fault;
    struct device device;
    struct region *region;
    unsigned completed;
} fixture;

static void ignore_presence(struct device *device, void *context)
{
    (void)device;
    (void)context;
}

static int set_up_with(const struct backend *backend, uint64_t timeout_us)
{
    const struct dispatch_limits limits = {4, timeout_us};

    memset(&fixture, 0, sizeof(fixture));
    fault_init(&fixture.fault, 1);
    fault_device(&fixture.fault, backend, &fixture.device);
    fixture.region = &fixture.device.regions[0];
    assert_true(sd_event_new(&fixture.event) >= 0);
    assert_int_equal(dispatch_new(fixture.event, &limits, ignore_presence, NULL, &fixture.dispatch), 0);
    return 0;
}

static int set_up(void **state)
{
    (void)state;
    return set_up_with(&fault_backend, HOUR_US);
}

static int set_up_revocable(void **state)
{
    (void)state;
    return set_up_with(&fault_backend_revocable, HOUR_US);
}

static int set_up_impatient(void **state)
{
    (void)state;
    return set_up_with(&fault_backend, 1);
}

static int tear_down(void **state)
{
    (void)state;
    assert_true(dispatch_stop(&fixture.device, 60000));
    dispatch_free(fixture.dispatch);
    device_done(&fixture.device);
    sd_event_unref(fixture.event);
    fault_done(&fixture.fault);
    return 0;
}

static void completed(struct operation *operation)
{
    (void)operation;
    fixture.completed++;
}

/* From preparing to completion; both must be let through. */
static void perform(struct operation *operation)
{
    unsigned before = fixture.completed;
    struct error error = {0};

    operation->region = fixture.region;
    operation->completed = completed;
    test_that(operation_prepare(
                      fixture.dispatch, fixture.region, operation->kind, &operation->access, &error) == 0,
            "prepare: %s", error.message);
    test_that(operation_start(fixture.dispatch, operation, &error) == 0, "start: %s", error.message);
    while (fixture.completed == before)
        assert_true(sd_event_run(fixture.event, 10 * 1000 * 1000) > 0);
    assert_int_equal(fixture.completed, before + 1);
}

static void test_prepare(void **state)
{
    static const struct {
        width_set widths;
        enum operation_kind kind;
        struct access access;
        int result;
        const char *message;
    } rows[] = {
            {0, OPERATION_READ, {.offset = 0, .width = 4, .count = 1}, 0, NULL},
            {0, OPERATION_READ, {.offset = 0, .width = 4, .count = 64}, 0, NULL},
            {0, OPERATION_READ, {.offset = 255, .width = 1, .count = 1}, 0, NULL},
            {0, OPERATION_READ, {.offset = 248, .width = 8, .count = 1}, 0, NULL},
            {0, OPERATION_WRITE, {.offset = 252, .width = 4, .count = SIZE_MAX, .fixed = true}, 0, NULL},
            {0, OPERATION_READ, {.offset = 256, .width = 1, .count = 1}, -ERANGE,
                    "0x100 is outside fault (256 bytes)"},
            {0, OPERATION_READ, {.offset = 0, .width = 4, .count = 65}, -ERANGE,
                    "65 accesses of 32 bits from 0x0 on end outside fault (256 bytes)"},
            {0, OPERATION_READ, {.offset = 252, .width = 4, .count = 2}, -ERANGE, "end outside fault"},
            {0, OPERATION_READ, {.offset = 0, .width = 8, .count = SIZE_MAX}, -ERANGE, "end outside fault"},
            {0, OPERATION_READ, {.offset = 0, .width = 8, .count = SIZE_MAX / 8 + 2}, -ERANGE,
                    "end outside fault"},
            {0, OPERATION_READ, {.offset = UINT64_MAX, .width = 1, .count = 1}, -ERANGE,
                    "0xffffffffffffffff is outside fault"},
            {0, OPERATION_READ, {.offset = UINT64_MAX - 7, .width = 8, .count = 2}, -ERANGE,
                    "is outside fault"},
            {0, OPERATION_WRITE, {.offset = 256, .width = 4, .count = 1, .fixed = true}, -ERANGE,
                    "is outside fault"},
            {0, OPERATION_READ, {.offset = 2, .width = 4, .count = 1}, -EOPNOTSUPP,
                    "0x2 is not aligned to 32 bits: use a multiple of 4"},
            {0, OPERATION_MODIFY, {.offset = 4, .width = 8, .count = 1}, -EOPNOTSUPP,
                    "not aligned to 64 bits"},
            {4 | 8, OPERATION_READ, {.offset = 0, .width = 1, .count = 1}, -EOPNOTSUPP,
                    "fault takes accesses of 32, 64 bits, not of 8"},
            {1, OPERATION_WRITE, {.offset = 0, .width = 8, .count = 1}, -EOPNOTSUPP,
                    "accesses of 8 bits, not of 64"},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        struct access access = rows[i].access;
        struct error error = {0};
        int r;

        fixture.fault.regions[0].widths = rows[i].widths;
        r = operation_prepare(fixture.dispatch, fixture.region, rows[i].kind, &access, &error);
        if (rows[i].result == 0)
            test_that(r == 0, "row %zu: %s", i, error.message);
        else
            check_error(r, rows[i].result, &error, rows[i].message);
    }
    /* None of it touched the device. */
    assert_int_equal(atomic_load(&fixture.fault.reads), 0);
    assert_int_equal(atomic_load(&fixture.fault.writes), 0);
}

static void test_default_width(void **state)
{
    static const struct {
        width_set widths;
        unsigned width;
    } rows[] = {{0, 4}, {8, 8}, {1 | 2, 2}, {1 | 8, 1}};

    (void)state;
    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        struct access access = {.count = 1};
        struct error error = {0};

        fixture.fault.regions[0].widths = rows[i].widths;
        assert_int_equal(
                operation_prepare(fixture.dispatch, fixture.region, OPERATION_READ, &access, &error), 0);
        test_that(access.width == rows[i].width, "row %zu: width %u", i, access.width);
    }
}

static void test_read_only(void **state)
{
    struct access access = {.width = 4, .count = 1};
    struct error error = {0};

    (void)state;
    fixture.fault.regions[0].read_only = true;
    assert_int_equal(
            operation_prepare(fixture.dispatch, fixture.region, OPERATION_READ, &access, &error), 0);
    check_error(operation_prepare(fixture.dispatch, fixture.region, OPERATION_WRITE, &access, &error),
            -EOPNOTSUPP, &error, "fault is read-only");
    check_error(operation_prepare(fixture.dispatch, fixture.region, OPERATION_MODIFY, &access, &error),
            -EOPNOTSUPP, &error, "fault is read-only");
}

static void test_absent(void **state)
{
    struct access access = {.width = 4, .count = 1};
    struct error error = {0};

    (void)state;
    atomic_store(&fixture.fault.open_result, -ENODEV);
    check_error(operation_prepare(fixture.dispatch, fixture.region, OPERATION_READ, &access, &error),
            -ENODEV, &error, "fault is absent: it was told not to open");
    atomic_store(&fixture.fault.open_result, 0);
    atomic_store(&fixture.fault.region_result[0], -EBUSY);
    check_error(operation_prepare(fixture.dispatch, fixture.region, OPERATION_READ, &access, &error), -EBUSY,
            &error, "fault is absent: its window was told not to open");
    atomic_store(&fixture.fault.region_result[0], -EIO);
    check_error(operation_prepare(fixture.dispatch, fixture.region, OPERATION_READ, &access, &error),
            -ENODEV, &error, "fault is absent: its window was told not to open");
    atomic_store(&fixture.fault.region_result[0], 0);
    assert_int_equal(
            operation_prepare(fixture.dispatch, fixture.region, OPERATION_READ, &access, &error), 0);
}

static void test_endianness(void **state)
{
    static const uint8_t octets[] = {0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88};
    static const struct {
        unsigned width;
        uint64_t little, big;
    } rows[] = {
            {1, 0x11, 0x11},
            {2, 0x2211, 0x1122},
            {4, 0x44332211, 0x11223344},
            {8, 0x8877665544332211, 0x1122334455667788},
    };

    (void)state;
    for (size_t i = 0; i < 2 * ELEMENTS(rows); i++) {
        bool big = i % 2;
        uint8_t values[3 * 8];
        struct operation operation = {.region = fixture.region,
                .access = {.width = rows[i / 2].width, .count = 3},
                .values = values};
        unsigned width = operation.access.width;
        uint64_t expected = big ? rows[i / 2].big : rows[i / 2].little;

        fixture.fault.regions[0].endianness = big ? ENDIANNESS_BIG : ENDIANNESS_LITTLE;
        memset(values, 0xa5, sizeof(values));
        memcpy(values + width, octets, width);
        test_that(operation_get_value(&operation, 1) == expected, "width %u, big %d: 0x%" PRIx64, width, big,
                operation_get_value(&operation, 1));
        memset(values, 0xa5, sizeof(values));
        operation_set_value(&operation, 1, expected);
        assert_memory_equal(values + width, octets, width);
        for (unsigned k = 0; k < sizeof(values); k++)
            test_that((k >= width && k < 2 * width) || values[k] == 0xa5, "width %u: octet %u was changed",
                    width, k);
    }
}

static void test_read_and_write(void **state)
{
    uint32_t values[3] = {0};
    struct operation write = {
            .kind = OPERATION_WRITE, .access = {.offset = 8, .width = 4, .count = 2}, .values = values};
    struct operation read = {
            .kind = OPERATION_READ, .access = {.offset = 4, .width = 4, .count = 3}, .values = values};

    (void)state;
    write.region = fixture.region;
    operation_set_value(&write, 0, 0x11223344);
    operation_set_value(&write, 1, 0x55667788);
    perform(&write);
    assert_int_equal(write.result, 0);
    assert_int_equal(write.done, 2);
    assert_false(write.suspect);
    assert_memory_equal(fixture.fault.memory + 8, "\x44\x33\x22\x11\x88\x77\x66\x55", 8);
    assert_int_equal(atomic_load(&fixture.fault.reads), 0); /* never read back */
    memset(values, 0xa5, sizeof(values));
    perform(&read);
    assert_int_equal(read.result, 0);
    assert_int_equal(read.done, 3);
    assert_int_equal(operation_get_value(&read, 0), 0);
    assert_int_equal(operation_get_value(&read, 1), 0x11223344);
    assert_int_equal(operation_get_value(&read, 2), 0x55667788);
}

static void test_modify(void **state)
{
    static const struct {
        enum endianness endianness;
        unsigned width;
        uint64_t before, mask, value, after;
    } rows[] = {
            {ENDIANNESS_LITTLE, 4, 0x12345678, 0x0000ff00, 0x0000ab00, 0x1234ab78},
            {ENDIANNESS_BIG, 4, 0x12345678, 0x0000ff00, 0x0000ab00, 0x1234ab78},
            {ENDIANNESS_LITTLE, 1, 0xf0, 0x81, 0x01, 0x71},
            {ENDIANNESS_BIG, 2, 0x1234, 0xffff, 0x4321, 0x4321},
            {ENDIANNESS_BIG, 8, 0x1122334455667788, 0xff00000000000000, 0, 0x0022334455667788},
            {ENDIANNESS_LITTLE, 8, UINT64_C(0x1122334455667788), 0, 0, UINT64_C(0x1122334455667788)},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTS(rows); i++) {
        uint64_t value = 0;
        struct operation operation = {.kind = OPERATION_MODIFY,
                .access = {.offset = 16, .width = rows[i].width, .count = 1},
                .values = &value,
                .mask = rows[i].mask,
                .value = rows[i].value};
        struct operation setter = {.region = fixture.region, .access = {.width = rows[i].width}};
        unsigned reads = atomic_load(&fixture.fault.reads), writes = atomic_load(&fixture.fault.writes);

        fixture.fault.regions[0].endianness = rows[i].endianness;
        setter.values = fixture.fault.memory + 16;
        operation_set_value(&setter, 0, rows[i].before);
        perform(&operation);
        assert_int_equal(operation.result, 0);
        test_that(operation.before == rows[i].before, "row %zu: before is 0x%" PRIx64, i, operation.before);
        test_that(operation_get_value(&operation, 0) == rows[i].after, "row %zu: value is 0x%" PRIx64, i,
                operation_get_value(&operation, 0));
        test_that(operation_get_value(&setter, 0) == rows[i].after, "row %zu: the register is 0x%" PRIx64, i,
                operation_get_value(&setter, 0));
        assert_int_equal(atomic_load(&fixture.fault.reads), reads + 1);
        assert_int_equal(atomic_load(&fixture.fault.writes), writes + 1);
    }
}

static void test_suspect(void **state)
{
    uint64_t values[4];
    struct operation operation = {.kind = OPERATION_READ, .values = values};

    (void)state;
    fixture.fault.memory[4] = fixture.fault.memory[5] = 0xff;
    operation.access = (struct access){.offset = 4, .width = 4, .count = 1};
    perform(&operation);
    assert_false(operation.suspect); /* 0x0000ffff */
    operation.access = (struct access){.offset = 0, .width = 2, .count = 8};
    perform(&operation);
    assert_true(operation.suspect); /* one of eight */
    assert_int_equal(operation.result, 0);
    assert_true(atomic_load(&fixture.fault.presence_asked) > 0);
    assert_false(fixture.device.lost);
    operation = (struct operation){.kind = OPERATION_MODIFY,
            .values = values,
            .mask = 1,
            .access = {.offset = 4, .width = 2, .count = 1}};
    perform(&operation);
    assert_true(operation.suspect);
    assert_int_equal(operation.result, 0);
    assert_int_equal(fixture.fault.memory[4], 0xfe);
}

/* What comes back from the worker is settled at once, what ran inline at the next occasion. */
static bool was_lost(void)
{
    return fixture.device.lost || atomic_load(&fixture.fault.closed) > 0;
}

static void test_gone(void **state)
{
    uint32_t value;
    struct operation operation = {
            .kind = OPERATION_READ, .access = {.width = 4, .count = 1}, .values = &value};
    struct access access = {.width = 4, .count = 1};
    struct error error = {0};

    (void)state;
    perform(&operation);
    assert_int_equal(operation.result, 0);
    memset(fixture.fault.memory, 0xff, 4);
    atomic_store(&fixture.fault.present, false);
    perform(&operation);
    check_error(operation.result, -ENODEV, &operation.error, "fault is gone: the device was removed");
    assert_true(was_lost());
    atomic_store(&fixture.fault.open_result, -ENODEV);
    check_error(operation_prepare(fixture.dispatch, fixture.region, OPERATION_READ, &access, &error),
            -ENODEV, &error, "fault is absent");
    assert_null(fixture.device.handle);
}

static void test_gone_is_not_modified(void **state)
{
    uint32_t value;
    struct operation operation = {.kind = OPERATION_MODIFY,
            .access = {.width = 4, .count = 1},
            .values = &value,
            .mask = 1,
            .value = 1};

    (void)state;
    memset(fixture.fault.memory, 0xff, 4);
    atomic_store(&fixture.fault.present, false);
    perform(&operation);
    assert_int_equal(operation.result, -ENODEV);
    assert_int_equal(atomic_load(&fixture.fault.writes), 0);
    assert_true(was_lost());
}

static void test_fault_while_gone(void **state)
{
    uint32_t value = 0;
    struct operation operation = {
            .kind = OPERATION_WRITE, .access = {.width = 4, .count = 1}, .values = &value};

    (void)state;
    atomic_store(&fixture.fault.present, false);
    atomic_store(&fixture.fault.write_result, -EFAULT);
    perform(&operation);
    assert_int_equal(operation.result, -ENODEV);
    assert_true(was_lost());
}

static void test_bus_fault(void **state)
{
    uint32_t values[8];
    struct operation operation = {
            .kind = OPERATION_READ, .access = {.offset = 0x10, .width = 4, .count = 8}, .values = values};

    (void)state;
    atomic_store(&fixture.fault.read_result, -EFAULT);
    fixture.fault.fault_offset = 0x1c;
    perform(&operation);
    check_error(operation.result, -EFAULT, &operation.error,
            "bus fault at fault:0x1c (32-bit read, 3 of 8 accesses were completed)");
    assert_int_equal(operation.done, 3);
    assert_false(fixture.device.lost);
    assert_false(fixture.device.faulted); /* this backend's mappings stay */

    operation.access.fixed = true;
    fixture.fault.fault_offset = 0x10;
    perform(&operation);
    check_error(operation.result, -EFAULT, &operation.error, "bus fault at fault:0x10 (32-bit read, 0 of 8");

    atomic_store(&fixture.fault.read_result, 0);
    atomic_store(&fixture.fault.write_result, -EIO);
    fixture.fault.fault_offset = 0;
    operation = (struct operation){
            .kind = OPERATION_MODIFY, .values = values, .access = {.width = 4, .count = 1}};
    perform(&operation);
    check_error(operation.result, -EIO, &operation.error,
            "modify at fault:0x0 failed: Input/output error (0 of 1");
    assert_int_equal(operation.done, 0);
}

/* All ones of a part that was not read must not be looked at. */
static void test_fault_before_all_ones(void **state)
{
    uint32_t values[2] = {UINT32_MAX, UINT32_MAX};
    struct operation operation = {
            .kind = OPERATION_READ, .access = {.width = 4, .count = 2}, .values = values};

    (void)state;
    atomic_store(&fixture.fault.read_result, -EFAULT);
    perform(&operation);
    assert_int_equal(operation.result, -EFAULT);
    assert_false(operation.suspect);
}

static void test_revoked_mapping(void **state)
{
    uint32_t value;
    struct operation operation = {
            .kind = OPERATION_READ, .access = {.width = 4, .count = 1}, .values = &value};

    (void)state;
    atomic_store(&fixture.fault.read_result, -EFAULT);
    perform(&operation);
    assert_int_equal(operation.result, -EFAULT);
    assert_true(fixture.device.faulted);
    assert_int_equal(atomic_load(&fixture.fault.regions_opened), 1);
    atomic_store(&fixture.fault.read_result, 0);
    perform(&operation); /* mapped anew first */
    assert_int_equal(operation.result, 0);
    assert_int_equal(atomic_load(&fixture.fault.regions_opened), 2);
    assert_false(fixture.device.faulted);
}

static void test_on_the_worker(void **state)
{
    uint8_t values[200];
    struct operation operation = {
            .kind = OPERATION_WRITE, .access = {.width = 1, .count = 200}, .values = values};

    (void)state;
    memset(values, 0x5a, sizeof(values));
    perform(&operation);
    assert_non_null(fixture.device.worker);
    assert_int_equal(operation.result, 0);
    assert_int_equal(operation.done, 200);
    assert_memory_equal(fixture.fault.memory, values, 200);
}

/* Long work goes in slices, which show in nothing: neither in the values nor in how many are done. */
static void test_slices(void **state)
{
    uint8_t values[FAULT_SIZE];
    struct operation operation = {
            .kind = OPERATION_READ, .access = {.width = 1, .count = FAULT_SIZE}, .values = values};

    (void)state;
    for (size_t i = 0; i < FAULT_SIZE; i++)
        fixture.fault.memory[i] = (uint8_t)(i * 7);
    perform(&operation);
    assert_int_equal(operation.result, 0);
    assert_int_equal(operation.done, FAULT_SIZE);
    assert_memory_equal(values, fixture.fault.memory, FAULT_SIZE);
    assert_true(atomic_load(&fixture.fault.reads) > 1);

    /* From one place, in order. */
    for (size_t i = 0; i < FAULT_SIZE; i++)
        values[i] = (uint8_t)i;
    operation = (struct operation){.kind = OPERATION_WRITE,
            .access = {.offset = 8, .width = 1, .count = FAULT_SIZE, .fixed = true},
            .values = values};
    memset(fixture.fault.memory, 0, FAULT_SIZE);
    perform(&operation);
    assert_int_equal(operation.result, 0);
    assert_int_equal(fixture.fault.memory[8], FAULT_SIZE - 1);
    assert_int_equal(fixture.fault.memory[9], 0);

    /* A fault in a later slice. */
    fixture.fault.fault_offset = 0x85;
    operation = (struct operation){
            .kind = OPERATION_READ, .access = {.width = 1, .count = FAULT_SIZE}, .values = values};
    atomic_store(&fixture.fault.read_result, -EFAULT);
    perform(&operation);
    check_error(
            operation.result, -EFAULT, &operation.error, "bus fault at fault:0x85 (8-bit read, 133 of 256");
    assert_int_equal(operation.done, 0x85);
}

static void test_slow_region_goes_one_by_one(void **state)
{
    uint32_t values[5];
    struct operation operation = {
            .kind = OPERATION_READ, .access = {.width = 4, .count = 5}, .values = values};

    (void)state;
    fixture.fault.slow = true;
    perform(&operation);
    assert_int_equal(operation.result, 0);
    assert_true(atomic_load(&fixture.fault.reads) >= 1 && atomic_load(&fixture.fault.reads) <= 5);
}

static void start(struct operation *operation, void *values)
{
    struct error error = {0};

    operation->values = values;
    operation->region = fixture.region;
    operation->completed = completed;
    assert_int_equal(
            operation_prepare(fixture.dispatch, fixture.region, operation->kind, &operation->access, &error),
            0);
    assert_int_equal(operation_start(fixture.dispatch, operation, &error), 0);
}

static void wait_for(unsigned count)
{
    while (fixture.completed < count)
        assert_true(sd_event_run(fixture.event, 10 * 1000 * 1000) > 0);
}

/* What is under way ends after its slice, what waits does not begin. */
static void test_stopped(void **state)
{
    uint8_t values[2][200] = {{0}};
    struct operation operations[2] = {{.kind = OPERATION_READ, .access = {.width = 1, .count = 200}},
            {.kind = OPERATION_WRITE, .access = {.width = 1, .count = 200}}};

    (void)state;
    atomic_store(&fixture.fault.blocking, true);
    for (size_t i = 0; i < 2; i++)
        start(&operations[i], values[i]);
    sem_wait(&fixture.fault.entered);
    dispatch_cancel(&fixture.device);
    wait_for(1);
    check_error(operations[1].result, -EAGAIN, &operations[1].error, "nothing was accessed");
    sem_post(&fixture.fault.gate);
    wait_for(2);
    check_error(operations[0].result, -EAGAIN, &operations[0].error, "devregd is stopping: ");
    test_that(
            operations[0].done > 0 && operations[0].done < 200, "%zu of 200 were done", operations[0].done);
    assert_int_equal(atomic_load(&fixture.fault.writes), 0);
}

/* A reservation has ended: what it admitted and has not begun makes no access, what is under way makes no
 * further one. */
static void test_revoked(void **state)
{
    uint8_t values[3][200] = {{0}};
    struct operation operations[3] = {{.kind = OPERATION_READ, .access = {.width = 1, .count = 200}},
            {.kind = OPERATION_WRITE, .access = {.width = 1, .count = 200}},
            {.kind = OPERATION_MODIFY, .access = {.width = 1, .count = 1}, .mask = 1}};

    (void)state;
    atomic_store(&fixture.fault.blocking, true);
    for (size_t i = 0; i < 3; i++)
        start(&operations[i], values[i]);
    sem_wait(&fixture.fault.entered);
    for (size_t i = 0; i < 2; i++)
        atomic_store(&operations[i].revoked, true);
    sem_post(&fixture.fault.gate);
    sem_wait(&fixture.fault.entered); /* the third one's reading */
    atomic_store(&operations[2].revoked, true);
    sem_post(&fixture.fault.gate);
    wait_for(3);
    check_error(operations[0].result, -EUSERS, &operations[0].error,
            "what allowed the access to fault ended in the middle, a reservation "
            "or a token: 16 of 200 accesses were completed");
    assert_int_equal(operations[0].done, 16);
    for (size_t i = 1; i < 3; i++) {
        check_error(operations[i].result, -EUSERS, &operations[i].error,
                "what allowed the access to fault ended before it was made");
        assert_int_equal(operations[i].done, 0);
    }
    assert_int_equal(atomic_load(&fixture.fault.writes), 0);
    assert_int_equal(atomic_load(&fixture.fault.reads), 2);
}

static void test_too_long(void **state)
{
    uint8_t values[2][200] = {{0}};
    struct operation operations[2] = {{.kind = OPERATION_READ, .access = {.width = 1, .count = 200}},
            {.kind = OPERATION_WRITE, .access = {.width = 1, .count = 200}}};

    (void)state;
    atomic_store(&fixture.fault.blocking, true);
    for (size_t i = 0; i < 2; i++)
        start(&operations[i], values[i]);
    sem_wait(&fixture.fault.entered);
    wait_for(1); /* the one that waits, while the other does not return */
    check_error(operations[1].result, -ETIMEDOUT, &operations[1].error, "busy for too long");
    assert_int_equal(operations[1].done, 0);
    sem_post(&fixture.fault.gate);
    wait_for(2);
    check_error(operations[0].result, -ETIMEDOUT, &operations[0].error, "took too long: ");
    test_that(
            operations[0].done > 0 && operations[0].done < 200, "%zu of 200 were done", operations[0].done);
    assert_int_equal(atomic_load(&fixture.fault.writes), 0);
    assert_false(fixture.device.lost || fixture.device.faulted);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
            cmocka_unit_test_setup_teardown(test_prepare, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_default_width, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_read_only, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_absent, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_endianness, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_read_and_write, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_modify, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_suspect, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_gone, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_gone_is_not_modified, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_fault_while_gone, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_bus_fault, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_fault_before_all_ones, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_revoked_mapping, set_up_revocable, tear_down),
            cmocka_unit_test_setup_teardown(test_on_the_worker, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_slices, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_slow_region_goes_one_by_one, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_stopped, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_revoked, set_up, tear_down),
            cmocka_unit_test_setup_teardown(test_too_long, set_up_impatient, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
