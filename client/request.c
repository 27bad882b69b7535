/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Paths are built here and in connection.c only. */
#include "request.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

int parse_place(const char *text, struct place *ret_place, struct failure *failure)
{
    struct error error;
    int r = place_parse(text, ret_place, &error);

    if (r < 0)
        return failure_set_error(failure, r == -ENOMEM ? EXIT_CODE_OTHER : EXIT_CODE_USAGE, &error);
    return 0;
}

int parse_single_place(const char *text, const char *verb, struct place *ret_place, struct failure *failure)
{
    _cleanup_place_ struct place place = {0};
    int r = parse_place(text, &place, failure);

    if (r < 0)
        return r;
    if (place.span != PLACE_SINGLE)
        return failure_set(failure, EXIT_CODE_USAGE, "%s takes one place, not the range %s", verb, text);
    *ret_place = place;
    place.region = NULL;
    return 0;
}

void path_begin_register(struct buffer *path, const struct place *place)
{
    buffer_append_string(path, "/v1/regions/");
    path_append_segment(path, place->region);
    buffer_append_string(path, "/registers/");
    if (place->name)
        path_append_segment(path, place->name);
    else
        buffer_append_format(path, "0x%" PRIx64, place->offset);
}

void path_append_parameter(struct buffer *path, const char *format, ...)
{
    bool first = !path->data || !memchr(path->data, '?', path->size);
    char parameter[64];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(parameter, sizeof(parameter), format, arguments);
    va_end(arguments);
    buffer_append_char(path, first ? '?' : '&');
    buffer_append_string(path, parameter);
}

void path_append_text(struct buffer *path, const char *name, const char *value)
{
    if (!value)
        return;
    path_append_parameter(path, "%s=", name);
    path_append_segment(path, value);
}

int get_named(
        struct call *call, const char *kind, const char *name, json_t **ret_result, struct failure *failure)
{
    _cleanup_buffer_ struct buffer path = {0};
    int r;

    buffer_append_format(&path, "/v1/%s/", kind);
    path_append_segment(&path, name);
    if (!path_finish(&path, failure))
        return -1;
    r = connection_get(&call->connection, path.data, ret_result, failure);
    if (r < 0 && failure->status == 404) {
        *ret_result = NULL;
        return 0;
    }
    return r;
}

int get_region_or_device(struct call *call, const char *name, json_t **ret_region, json_t **ret_device,
        struct failure *failure)
{
    json_auto_t *region = NULL;
    int r;

    if (*name == '\0' || strchr(name, ':'))
        return failure_set(failure, EXIT_CODE_USAGE,
                "\"%s\" is no name of a region or device: %s takes just the name", name, call->verb->name);
    r = get_named(call, "regions", name, &region, failure);
    if (r < 0)
        return r;
    r = get_named(call, "devices", name, ret_device, failure);
    if (r < 0)
        return r;
    if (!region && !*ret_device)
        return failure_set(failure, EXIT_CODE_NOT_FOUND,
                "no region or device is called %s; devregctl list shows those there are", name);
    *ret_region = take_ptr(region);
    return 0;
}

json_t *get_list(const struct call *call, const json_t *answer, const char *name, struct failure *failure)
{
    json_t *list = json_object_get(answer, name);

    if (json_is_array(list))
        return list;
    fail_unexpected(call, "no list in it", failure);
    return NULL;
}

int fail_unexpected(const struct call *call, const char *what, struct failure *failure)
{
    return failure_set(failure, EXIT_CODE_OTHER, "the answer of %s makes no sense: %s",
            call->connection.host.text, what);
}

int connect_and_get_list(
        struct call *call, const char *path, const char *key, json_t **ret_result, struct failure *failure)
{
    json_auto_t *answer = NULL;

    if (call_connect(call, failure) < 0 || connection_get(&call->connection, path, &answer, failure) < 0 ||
            !get_list(call, answer, key, failure))
        return -1;
    *ret_result = take_ptr(answer);
    return 0;
}
