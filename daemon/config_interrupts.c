/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What acknowledges an interrupt is done without anybody asking, so it is held to all that is known of the
 * region: what is wrong with it would show with the first interrupt. */
#include "config_interrupts.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/number.h"

enum {
    INTERRUPTS_LIMIT = 64, /* of a device */
    VECTOR_LIMIT = 2047,   /* the last that MSI-X has */
    NAME_LENGTH = 63,

    /* Which keys an acknowledgement has. */
    GIVEN_READ = 1 << 0,
    GIVEN_WRITE = 1 << 1,
    GIVEN_VALUE = 1 << 2,
    GIVEN_MASK = 1 << 3,
    GIVEN_REGION = 1 << 4,
    GIVEN_WIDTH = 1 << 5,
};

/* An acknowledgement while it is read. */
struct reading {
    struct acknowledge_description acknowledge;
    char *region;
};

void config_take_interrupt_type(struct config_reader *reader, const json_t *value, void *field)
{
    static const char *const names[] = {
            [INTERRUPT_MSIX] = "msi-x", [INTERRUPT_MSI] = "msi", [INTERRUPT_LINE] = "intx"};
    const char *text = json_is_string(value) ? json_string_value(value) : "";

    for (size_t i = INTERRUPT_MSIX; i < ELEMENTS(names); i++) {
        if (strcmp(names[i], text) == 0) {
            *(enum interrupt_type *)field = (enum interrupt_type)i;
            return;
        }
    }
    config_report(reader, false, "expected \"msi-x\", \"msi\" or \"intx\"");
}

static void take_vector(struct config_reader *reader, const json_t *value, void *field)
{
    uint64_t number;

    if (!config_read_number(reader, value, &number))
        return;
    if (number > VECTOR_LIMIT)
        config_report(reader, false, "is no vector: expected 0 to %d", VECTOR_LIMIT);
    else
        *(unsigned *)field = (unsigned)number;
}

static void take_width(struct config_reader *reader, const json_t *value, void *field)
{
    json_int_t bits = json_is_integer(value) ? json_integer_value(value) : 0;

    if (bits != 8 && bits != 16 && bits != 32 && bits != 64)
        config_report(reader, false, "is no width: expected 8, 16, 32 or 64");
    else
        *(unsigned *)field = (unsigned)bits / 8;
}

static void take_offset(struct config_reader *reader, const json_t *value, void *field)
{
    config_read_number(reader, value, field);
}

static void take_bits(struct config_reader *reader, const json_t *value, void *field)
{
    config_read_bits(reader, value, field);
}

#define ACKNOWLEDGE(key) offsetof(struct reading, acknowledge.key)

static const struct config_key acknowledge_keys[] = {
        {"region", config_take_string, offsetof(struct reading, region), GIVEN_REGION},
        {"width", take_width, ACKNOWLEDGE(width), GIVEN_WIDTH},
        {"read", take_offset, ACKNOWLEDGE(read), GIVEN_READ},
        {"write", take_offset, ACKNOWLEDGE(write), GIVEN_WRITE},
        {"value", take_bits, ACKNOWLEDGE(value), GIVEN_VALUE},
        {"mask", take_bits, ACKNOWLEDGE(mask), GIVEN_MASK},
};

static void report_at(struct config_reader *reader, const char *key, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

static void report_at(struct config_reader *reader, const char *key, const char *format, ...)
{
    size_t before = config_enter(reader, key);
    char message[300];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    config_report(reader, false, "%s", message);
    config_leave(reader, before);
}

/* False after a report. */
static bool find_region(struct config_reader *reader, const struct device_description *device,
        const struct reading *reading, uint32_t given, size_t *ret_region)
{
    if (!(given & GIVEN_REGION)) {
        *ret_region = 0;
        if (device->region_count > 1)
            config_report(reader, false, "needs a \"region\": the device has several");
        return device->region_count == 1;
    }
    for (size_t i = 0; reading->region && i < device->region_count; i++) {
        const char *name = device->regions[i].name;

        if (name && strcmp(name, reading->region) == 0) {
            *ret_region = i;
            return true;
        }
    }
    if (reading->region)
        report_at(reader, "region", "the device has no region %s", reading->region);
    return false;
}

static void check_offset(struct config_reader *reader, const struct region_description *region,
        const char *key, uint64_t offset, unsigned width)
{
    if (offset % width)
        report_at(reader, key, "0x%" PRIx64 " is not a multiple of %u, as a register of %u bits is", offset,
                width, width * 8);
    else if (region->size && (region->size < width || offset > region->size - width))
        report_at(reader, key, "0x%" PRIx64 " is beyond the end of the region %s", offset,
                region->name ? region->name : "");
}

static void check_bits(struct config_reader *reader, const char *key, uint64_t bits, unsigned width)
{
    if (!number_fits(bits, width * 8))
        report_at(reader, key, "0x%" PRIx64 " does not fit %u bits", bits, width * 8);
}

static void check_acknowledge(struct config_reader *reader, const struct region_description *region,
        const struct acknowledge_description *acknowledge, uint32_t given)
{
    unsigned width = acknowledge->width;

    if (region->widths && !(region->widths & width)) {
        if (given & GIVEN_WIDTH)
            report_at(reader, "width", "the region %s does not take it", region->name ? region->name : "");
        else
            config_report(reader, false, "needs a \"width\": the region does not take 32 bits");
    }
    if (given & GIVEN_READ)
        check_offset(reader, region, "read", acknowledge->read, width);
    if (given & GIVEN_WRITE)
        check_offset(reader, region, "write", acknowledge->write, width);
    if (given & GIVEN_WRITE && region->read_only)
        report_at(
                reader, "write", "the region %s has \"access\": \"read\"", region->name ? region->name : "");
    if (given & GIVEN_VALUE)
        check_bits(reader, "value", acknowledge->value, width);
    check_bits(reader, "mask", acknowledge->mask, width);
    if (acknowledge->mask == 0)
        report_at(reader, "mask", "has no bit: no interrupt would be this source's");
}

static void complete_acknowledge(struct acknowledge_description *acknowledge, uint32_t given)
{
    acknowledge->writes = given & GIVEN_WRITE;
    acknowledge->constant = given & GIVEN_VALUE;
    if (!(given & GIVEN_MASK))
        acknowledge->mask = UINT64_MAX >> (64 - acknowledge->width * 8);
}

/* A value that is no good was reported, and is as if it were not given. */
static void take_acknowledge(struct config_reader *reader, const json_t *value,
        const struct device_description *device, struct interrupt_description *interrupt)
{
    struct reading reading = {.acknowledge = {.width = 4}};
    struct acknowledge_description *acknowledge = &reading.acknowledge;
    size_t before = reader->problems->count;
    uint32_t given = 0;

    config_read_object(reader, value, acknowledge_keys, ELEMENTS(acknowledge_keys), &reading, &given);
    if (json_is_object(value) && !(given & GIVEN_READ))
        config_report(reader, false, "needs \"read\": the register that tells the interrupt's status");
    if (given & GIVEN_VALUE && !(given & GIVEN_WRITE))
        config_report(reader, false, "has a \"value\", but no \"write\" that it is written to");
    if (reader->problems->count == before &&
            find_region(reader, device, &reading, given, &acknowledge->region)) {
        complete_acknowledge(acknowledge, given);
        check_acknowledge(reader, &device->regions[acknowledge->region], acknowledge, given);
        interrupt->acknowledge = *acknowledge;
        interrupt->acknowledged = true;
    }
    free(reading.region);
}

#define INTERRUPT(key) offsetof(struct interrupt_description, key)

enum { GIVEN_NAME = 1 << 0 };

static const struct config_key interrupt_keys[] = {
        {"name", config_take_name, INTERRUPT(name), GIVEN_NAME},
        {"description", config_take_string, INTERRUPT(description), 0},
        {"vector", take_vector, INTERRUPT(vector), 0},
        {"acknowledge", config_take_later, 0, 0},
};

/* A device's only source has its name, others their vector behind it. */
static void complete_name(struct config_reader *reader, const struct device_description *device,
        struct interrupt_description *interrupt, bool only)
{
    char name[128];

    if (!device->name)
        return;
    if (only)
        snprintf(name, sizeof(name), "%s", device->name);
    else
        snprintf(name, sizeof(name), "%s-%u", device->name, interrupt->vector);
    if (strlen(name) > NAME_LENGTH) {
        config_report(reader, false, "needs a \"name\": %s is longer than %d", name, NAME_LENGTH);
        return;
    }
    interrupt->name = strdup(name);
    if (!interrupt->name)
        config_report(reader, false, "out of memory");
}

static void read_interrupt(struct config_reader *reader, const json_t *object,
        const struct device_description *device, size_t index, size_t count)
{
    struct interrupt_description *interrupt = &device->interrupts[index];
    const json_t *acknowledge = json_object_get(object, "acknowledge");
    uint32_t given = 0;

    interrupt->vector = (unsigned)index;
    config_read_object(reader, object, interrupt_keys, ELEMENTS(interrupt_keys), interrupt, &given);
    if (!(given & GIVEN_NAME) && json_is_object(object))
        complete_name(reader, device, interrupt, count == 1);
    if (acknowledge) {
        size_t before = config_enter(reader, "acknowledge");

        take_acknowledge(reader, acknowledge, device, interrupt);
        config_leave(reader, before);
    }
}

static void read_list(struct config_reader *reader, const json_t *value, struct device_description *device)
{
    size_t count = json_array_size(value), index;
    json_t *element;

    if (!json_is_array(value) || count == 0) {
        config_report(reader, false, "expected a list of one source or more");
        return;
    }
    if (count > INTERRUPTS_LIMIT) {
        config_report(reader, false, "has more than %d sources", INTERRUPTS_LIMIT);
        return;
    }
    device->interrupts = calloc(count, sizeof(*device->interrupts));
    if (!device->interrupts) {
        config_report(reader, false, "out of memory");
        return;
    }
    device->interrupt_count = count;
    json_array_foreach (value, index, element) {
        size_t before = config_enter_element(reader, index);

        read_interrupt(reader, element, device, index, count);
        config_leave(reader, before);
    }
}

void config_read_interrupts(
        struct config_reader *reader, const json_t *object, struct device_description *device)
{
    const json_t *value = json_object_get(object, "interrupts");
    size_t before;

    if (!value)
        return;
    before = config_enter(reader, "interrupts");
    read_list(reader, value, device);
    config_leave(reader, before);
}

static void compare(struct config_reader *reader, const struct interrupt_description *interrupt,
        const struct interrupt_description *other, bool same_device)
{
    if (interrupt->name && other->name && strcmp(interrupt->name, other->name) == 0)
        report_at(reader, "name", "the name %s is taken already: every source of interrupts needs its own",
                interrupt->name);
    if (same_device && interrupt->vector == other->vector)
        report_at(reader, "vector", "%u is another source's already", interrupt->vector);
}

/* Each pair of sources is looked at once: with all read before this one. */
static void compare_with_earlier(struct config_reader *reader, size_t device_index, size_t index)
{
    const struct device_description *devices = reader->config->devices;

    for (size_t i = 0; i <= device_index; i++) {
        size_t count = i < device_index ? devices[i].interrupt_count : index;

        for (size_t k = 0; k < count; k++)
            compare(reader, &devices[device_index].interrupts[index], &devices[i].interrupts[k],
                    i == device_index);
    }
}

void config_check_interrupts(struct config_reader *reader, size_t index)
{
    size_t before = config_enter(reader, "interrupts");

    for (size_t i = 0; i < reader->config->devices[index].interrupt_count; i++) {
        size_t element = config_enter_element(reader, i);

        compare_with_earlier(reader, index, i);
        config_leave(reader, element);
    }
    config_leave(reader, before);
}
