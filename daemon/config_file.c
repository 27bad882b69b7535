/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The objects of a configuration are tables of keys: a new key is a field of a description and one line
 * here, and one in devregd.schema.json. */
#include "config_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_access.h"
#include "config_check.h"
#include "config_interrupts.h"
#include "config_limits.h"
#include "config_listen.h"
#include "util/cleanup.h"
#include "util/file.h"
#include "util/json_position.h"
#include "util/number.h"

enum {
    FILE_LIMIT = 1024 * 1024,
    REPORTS = 500, /* more are counted, but not written: nobody reads them, and each is looked for */
    NAME_LENGTH = 63,
    INDEX_LIMIT = 255,
    CONFIG_MESSAGE_SIZE = 640, /* a mistake that names all keys of "limits" fits */
};

/* One line a problem, whatever is in a key or a value that it names. */
static void append_line(const struct config_reader *reader, struct buffer *text, const char *prefix,
        const struct json_position *position, const char *message)
{
    size_t start = text->size;

    buffer_append_format(text, "%s%s:%u:%u: %s%s%s", prefix, reader->file, position->line, position->column,
            reader->pointer, reader->pointer[0] ? ": " : "", message);
    for (size_t i = start; i < text->size; i++) {
        if ((unsigned char)text->data[i] < 0x20 || text->data[i] == 0x7f)
            text->data[i] = '?';
    }
    buffer_append_char(text, '\n');
}

/* A key that is written with escapes, or is too long, is not found: then what it is in will do. */
static struct json_position find_position(const struct config_reader *reader, bool at_key)
{
    struct json_position position = {1, 1};
    char pointer[sizeof(reader->pointer)];

    strcpy(pointer, reader->pointer);
    while (reader->text && json_position_find(reader->text, pointer, at_key, &position) < 0) {
        *strrchr(pointer, '/') = 0;
        at_key = false;
    }
    return position;
}

void config_report(struct config_reader *reader, bool at_key, const char *format, ...)
{
    struct json_position position;
    char message[CONFIG_MESSAGE_SIZE];
    va_list arguments;

    if (reader->problems->count >= REPORTS) {
        if (reader->problems->count++ == REPORTS)
            buffer_append_string(&reader->problems->text, "only the first mistakes are shown\n");
        return;
    }
    va_start(arguments, format);
    vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    position = find_position(reader, at_key);
    append_line(reader, &reader->problems->text, "", &position, message);
    reader->problems->count++;
}

void config_warn(struct config_reader *reader, const char *format, ...)
{
    struct json_position position;
    char message[CONFIG_MESSAGE_SIZE];
    va_list arguments;

    if (reader->problems->warning_count++ >= REPORTS)
        return;
    va_start(arguments, format);
    vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    position = find_position(reader, false);
    append_line(reader, &reader->problems->warnings, "warning: ", &position, message);
}

/* jansson's columns begin at 0 where nothing was read. */
static void report_malformed(struct config_reader *reader, const json_error_t *where)
{
    const struct json_position position = {
            where->line > 0 ? (unsigned)where->line : 1, where->column > 0 ? (unsigned)where->column : 1};
    char message[sizeof(where->text) + 16];

    snprintf(message, sizeof(message), "not JSON: %s", where->text);
    append_line(reader, &reader->problems->text, "", &position, message);
    reader->problems->count++;
}

size_t config_enter(struct config_reader *reader, const char *name)
{
    size_t before = strlen(reader->pointer);
    size_t used = before;

    if (used + 1 < sizeof(reader->pointer))
        reader->pointer[used++] = '/';
    for (; *name && used + 3 < sizeof(reader->pointer); name++) {
        if (*name == '~' || *name == '/') {
            reader->pointer[used++] = '~';
            reader->pointer[used++] = *name == '~' ? '0' : '1';
        } else {
            reader->pointer[used++] = *name;
        }
    }
    reader->pointer[used] = 0;
    return before;
}

size_t config_enter_element(struct config_reader *reader, size_t index)
{
    char name[24];

    snprintf(name, sizeof(name), "%zu", index);
    return config_enter(reader, name);
}

void config_leave(struct config_reader *reader, size_t before)
{
    reader->pointer[before] = 0;
}

static void report_unknown_key(struct config_reader *reader, const struct config_key *keys, size_t count)
{
    _cleanup_buffer_ struct buffer list = {0};

    for (size_t i = 0; i < count; i++)
        buffer_append_format(&list, "%s%s", i ? ", " : "", keys[i].name);
    config_report(reader, true, "unknown key: expected one of %.*s", (int)list.size, list.data);
}

void config_read_object(struct config_reader *reader, const json_t *object, const struct config_key *keys,
        size_t count, void *target, uint32_t *ret_bits)
{
    const char *name;
    json_t *value;

    if (!json_is_object(object)) {
        config_report(reader, false, "expected an object");
        return;
    }
    json_object_foreach ((json_t *)object, name, value) {
        size_t before = config_enter(reader, name);
        size_t i = 0;

        while (i < count && strcmp(keys[i].name, name) != 0)
            i++;
        if (i == count) {
            report_unknown_key(reader, keys, count);
        } else {
            keys[i].take(reader, value, (char *)target + keys[i].field);
            *ret_bits |= keys[i].bit;
        }
        config_leave(reader, before);
    }
}

void config_take_string(struct config_reader *reader, const json_t *value, void *field)
{
    char **text = field;

    if (!json_is_string(value) || json_string_length(value) == 0 ||
            strlen(json_string_value(value)) != json_string_length(value)) {
        config_report(reader, false, "expected a string that is not empty");
        return;
    }
    free(*text);
    *text = strdup(json_string_value(value));
    if (!*text)
        config_report(reader, false, "out of memory");
}

/* A name stands in paths and on command lines: "edu:0x4". */
void config_take_name(struct config_reader *reader, const json_t *value, void *field)
{
    const char *name = json_string_value(value);
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

    if (!name || !name[0] || json_string_length(value) > NAME_LENGTH || name[strspn(name, allowed)] ||
            strchr("._-", name[0])) {
        config_report(reader, false,
                "expected a name of at most %d letters, digits, '.', "
                "'_' and '-' that begins with a letter or digit",
                NAME_LENGTH);
        return;
    }
    config_take_string(reader, value, field);
}

bool config_read_number(struct config_reader *reader, const json_t *value, uint64_t *number)
{
    int r = -EINVAL;

    if (json_is_integer(value) && json_integer_value(value) >= 0) {
        *number = (uint64_t)json_integer_value(value);
        r = 0;
    } else if (json_is_string(value)) {
        r = number_parse_size(json_string_value(value), number);
    }
    if (r == -ERANGE)
        config_report(reader, false, "does not fit 64 bits");
    else if (r < 0)
        config_report(reader, false, "expected a number such as 4096, \"0x1000\" or \"4k\"");
    return r == 0;
}

bool config_read_bits(struct config_reader *reader, const json_t *value, uint64_t *ret_bits)
{
    if (json_is_integer(value) && json_integer_value(value) >= 0) {
        *ret_bits = (uint64_t)json_integer_value(value);
        return true;
    }
    if (json_is_string(value) && number_parse(json_string_value(value), ret_bits) == 0)
        return true;
    config_report(reader, false, "expected a number such as \"0x80\" or 128, of 64 bits at most");
    return false;
}

static void take_number(struct config_reader *reader, const json_t *value, void *field)
{
    config_read_number(reader, value, field);
}

static void take_size(struct config_reader *reader, const json_t *value, void *field)
{
    uint64_t size;

    if (!config_read_number(reader, value, &size))
        return;
    if (size == 0 || size > INT64_MAX)
        config_report(reader, false, "is an impossible size: expected 1 to 0x7fffffffffffffff octets");
    else
        *(uint64_t *)field = size;
}

static void take_bar(struct config_reader *reader, const json_t *value, void *field)
{
    uint64_t number;

    if (!config_read_number(reader, value, &number))
        return;
    if (number > 5)
        config_report(reader, false, "is no BAR: expected 0 to 5");
    else
        *(unsigned *)field = (unsigned)number;
}

/* Which of several: bounded by what no kernel has so many of. */
static void take_index(struct config_reader *reader, const json_t *value, void *field)
{
    uint64_t number;

    if (!config_read_number(reader, value, &number))
        return;
    if (number > INDEX_LIMIT)
        config_report(reader, false, "is no index: expected 0 to %d", INDEX_LIMIT);
    else
        *(unsigned *)field = (unsigned)number;
}

void config_take_bool(struct config_reader *reader, const json_t *value, void *field)
{
    if (!json_is_boolean(value))
        config_report(reader, false, "expected true or false");
    else
        *(bool *)field = json_is_true(value);
}

static void take_widths(struct config_reader *reader, const json_t *value, void *field)
{
    width_set widths = 0;
    size_t index;
    json_t *element;

    if (!json_is_array(value) || json_array_size(value) == 0) {
        config_report(reader, false, "expected a list of widths such as [32, 64]");
        return;
    }
    json_array_foreach (value, index, element) {
        json_int_t bits = json_is_integer(element) ? json_integer_value(element) : 0;
        size_t before = config_enter_element(reader, index);

        if (bits != 8 && bits != 16 && bits != 32 && bits != 64)
            config_report(reader, false, "is no width: expected 8, 16, 32 or 64");
        else if (widths & (bits / 8))
            config_report(reader, false, "is there twice");
        else
            widths |= (width_set)(bits / 8);
        config_leave(reader, before);
    }
    *(width_set *)field = widths;
}

static void take_endianness(struct config_reader *reader, const json_t *value, void *field)
{
    const char *text = json_is_string(value) ? json_string_value(value) : "";

    if (strcmp(text, "little") != 0 && strcmp(text, "big") != 0)
        config_report(reader, false, "expected \"little\" or \"big\"");
    else
        *(enum endianness *)field = text[0] == 'b' ? ENDIANNESS_BIG : ENDIANNESS_LITTLE;
}

static void take_access(struct config_reader *reader, const json_t *value, void *field)
{
    const char *text = json_is_string(value) ? json_string_value(value) : "";

    if (strcmp(text, "read-write") != 0 && strcmp(text, "read") != 0)
        config_report(reader, false, "expected \"read-write\" or \"read\"");
    else
        *(bool *)field = strcmp(text, "read") == 0;
}

static void take_type(struct config_reader *reader, const json_t *value, void *field)
{
    const char *text = json_is_string(value) ? json_string_value(value) : "";

    if (strcmp(text, "mmio") != 0 && strcmp(text, "ioport") != 0)
        config_report(reader, false, "expected \"mmio\" or \"ioport\"");
    else
        *(enum region_type *)field = text[0] == 'i' ? REGION_IOPORT : REGION_MMIO;
}

#define REGION(key) offsetof(struct region_description, key)

static const struct config_key region_keys[] = {
        {"name", config_take_name, REGION(name), 0},
        {"description", config_take_string, REGION(description), 0},
        {"bar", take_bar, REGION(bar), KEY_BAR},
        {"resource", take_index, REGION(resource), KEY_RESOURCE},
        {"uio_map", take_index, REGION(uio_map), KEY_UIO_MAP},
        {"uio_port", take_index, REGION(uio_port), KEY_UIO_PORT},
        {"type", take_type, REGION(type), KEY_TYPE},
        {"offset", take_number, REGION(offset), KEY_OFFSET},
        {"base", take_number, REGION(base), KEY_BASE},
        {"size", take_size, REGION(size), KEY_SIZE},
        {"widths", take_widths, REGION(widths), 0},
        {"endianness", take_endianness, REGION(endianness), 0},
        {"access", take_access, REGION(read_only), 0},
        {"write_combining", config_take_bool, REGION(write_combining), KEY_WRITE_COMBINING},
        {"slow", config_take_bool, REGION(slow), 0},
        {"audit_reads", config_take_bool, REGION(audit_reads), 0},
};

static void take_regions(struct config_reader *reader, const json_t *value, void *field)
{
    struct device_description *device = container_of(field, struct device_description, regions);
    size_t index;
    json_t *element;

    if (!json_is_array(value) || json_array_size(value) == 0) {
        config_report(reader, false, "expected a list of one region or more");
        return;
    }
    device->regions = calloc(json_array_size(value), sizeof(*device->regions));
    if (!device->regions) {
        config_report(reader, false, "out of memory");
        return;
    }
    device->region_count = json_array_size(value);
    json_array_foreach (value, index, element) {
        size_t before = config_enter_element(reader, index);

        config_read_object(reader, element, region_keys, ELEMENTS(region_keys), &device->regions[index],
                &device->regions[index].keys);
        config_leave(reader, before);
    }
}

void config_take_later(struct config_reader *reader, const json_t *value, void *field)
{
    (void)reader;
    (void)value;
    (void)field;
}

#define DEVICE(key) offsetof(struct device_description, key)

static const struct config_key device_keys[] = {
        {"name", config_take_name, DEVICE(name), 0},
        {"description", config_take_string, DEVICE(description), 0},
        {"backend", config_take_string, DEVICE(backend), 0},
        {"address", config_take_string, DEVICE(address), KEY_ADDRESS},
        {"id", config_take_string, DEVICE(id), KEY_ID},
        {"platform", config_take_string, DEVICE(platform), KEY_PLATFORM},
        {"uio", config_take_string, DEVICE(uio), KEY_UIO},
        {"model", config_take_string, DEVICE(model), KEY_MODEL},
        {"trace", config_take_string, DEVICE(trace), KEY_TRACE},
        {"path", config_take_string, DEVICE(path), KEY_PATH},
        {"regions", take_regions, DEVICE(regions), 0},
        {"interrupt_type", config_take_interrupt_type, DEVICE(interrupt_type), 0},
        {"interrupts", config_take_later, 0, 0},
};

static void take_devices(struct config_reader *reader, const json_t *value, void *field)
{
    struct config *config = container_of(field, struct config, devices);
    struct device_description *devices;
    size_t index;
    json_t *element;

    if (!json_is_array(value)) {
        config_report(reader, false, "expected a list of devices");
        return;
    }
    if (json_array_size(value) == 0)
        return;
    devices = reallocarray(config->devices, config->device_count + json_array_size(value), sizeof(*devices));
    if (!devices) {
        config_report(reader, false, "out of memory");
        return;
    }
    config->devices = devices;
    json_array_foreach (value, index, element) {
        struct device_description *device = &config->devices[config->device_count];
        size_t before = config_enter_element(reader, index);

        *device = (struct device_description){0};
        config_read_object(reader, element, device_keys, ELEMENTS(device_keys), device, &device->keys);
        config_read_interrupts(reader, element, device);
        config->device_count++;
        config_check_device(reader, config->device_count - 1);
        config_leave(reader, before);
    }
}

static void take_path(struct config_reader *reader, const json_t *value, void *field)
{
    const char *text = json_is_string(value) ? json_string_value(value) : "";

    if (text[0] != '/')
        config_report(reader, false, "expected a path that begins with /");
    else
        config_take_string(reader, value, field);
}

#define CONFIG(key) offsetof(struct config, key)

/* Editors check a file against the schema that it names; the daemon has it built in. */
static void take_schema(struct config_reader *reader, const json_t *value, void *field)
{
    (void)field;
    if (!json_is_string(value))
        config_report(reader, false, "expected the schema's address");
}

/* A fragment has the first two of these alone. */
static const struct config_key file_keys[] = {
        {"$schema", take_schema, 0, 0},
        {"devices", take_devices, CONFIG(devices), 0},
        {"listen", config_take_listen, CONFIG(listen), 0},
        {"tls", config_take_tls, CONFIG(tls), 0},
        {"hosts", config_take_hosts, CONFIG(origins.hosts), 0},
        {"origins", config_take_origins, CONFIG(origins.origins), 0},
        {"limits", config_take_limits, CONFIG(limits), 0},
        {"state", take_path, CONFIG(state), 0},
        {"access", config_take_access, CONFIG(access), 0},
};

void config_file_read(struct config_reader *reader)
{
    json_error_t where;
    json_t *document;
    uint32_t bits = 0;
    size_t size;
    int r = file_read(reader->file, FILE_LIMIT, &reader->text, &size);

    if (r < 0) {
        config_report(
                reader, false, r == -EFBIG ? "is larger than 1 MiB" : "can't be read: %s", strerror(-r));
        return;
    }
    document = json_loadb(reader->text, size, JSON_REJECT_DUPLICATES, &where);
    if (!document) {
        report_malformed(reader, &where);
    } else {
        config_read_object(reader, document, file_keys, reader->fragment ? 2 : ELEMENTS(file_keys),
                reader->config, &bits);
        if (!reader->fragment)
            config_check_listen(reader, document);
    }
    json_decref(document);
    if (reader->keep_text)
        *reader->keep_text = take_ptr(reader->text);
    else
        free(take_ptr(reader->text));
}
