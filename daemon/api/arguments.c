/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See arguments.h. Nothing is guessed: an argument that is not known is refused, so that a misspelt one is
 * not taken for one that was left out. */
#include "api/arguments.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "api/routes.h"
#include "util/number.h"
#include "util/words.h"

int arguments_check(const struct call *call, struct error *error)
{
    const char *taken = call->route->arguments;

    for (size_t i = 0; i < call->argument_count; i++) {
        const char *name = call->arguments[i].name;

        if (!words_have(taken, name))
            return error_set(error, -EINVAL, "the query has the unknown argument '%.64s': %s %s takes %s",
                    name, call->route->method, call->route->path, taken[0] ? taken : "none");
        for (size_t k = 0; k < i; k++) {
            if (strcmp(call->arguments[k].name, name) == 0)
                return error_set(error, -EINVAL, "the query has '%s' twice: give it once", name);
        }
    }
    return 0;
}

const char *arguments_find(const struct call *call, const char *name)
{
    for (size_t i = 0; i < call->argument_count; i++) {
        if (strcmp(call->arguments[i].name, name) == 0)
            return call->arguments[i].value;
    }
    return NULL;
}

int arguments_width(const struct call *call, unsigned *ret_width, struct error *error)
{
    const char *text = arguments_find(call, "width");

    if (!text) {
        *ret_width = 0;
        return 0;
    }
    for (unsigned width = 1; width <= 8; width *= 2) {
        static const char *const names[] = {[1] = "8", [2] = "16", [4] = "32", [8] = "64"};

        if (strcmp(text, names[width]) == 0) {
            *ret_width = width;
            return 0;
        }
    }
    return error_set(error, -EINVAL, "width '%.32s' is none: a register has 8, 16, 32 or 64 bits", text);
}

int arguments_number(const struct call *call, const char *name, uint64_t *ret_value, struct error *error)
{
    const char *text = arguments_find(call, name);
    int r;

    if (!text)
        return 0;
    r = number_parse(text, ret_value);
    if (r == -ERANGE)
        return error_set(error, -EMSGSIZE, "%s=%.64s does not fit 64 bits", name, text);
    if (r < 0)
        return error_set(error, r, "%s='%.64s' is not a number: write 16 or 0x10", name, text);
    return 0;
}

int arguments_switch(const struct call *call, const char *name, bool *ret_value, struct error *error)
{
    const char *text = arguments_find(call, name);

    if (!text)
        return 0;
    if (strcmp(text, "0") != 0 && strcmp(text, "1") != 0)
        return error_set(error, -EINVAL, "%s='%.32s' is neither 0 nor 1", name, text);
    *ret_value = text[0] == '1';
    return 0;
}

int arguments_region(const struct call *call, struct region **ret_region, struct error *error)
{
    const char *name = call->parameters[0];

    *ret_region = inventory_find_region(call->daemon->inventory, name);
    if (!*ret_region)
        return error_set(error, -ENOENT, "there is no region '%.64s': /v1/regions lists them", name);
    return 0;
}

int arguments_offset(
        const struct region *region, const char *text, uint64_t *ret_offset, struct error *error)
{
    int r;

    if (isdigit((unsigned char)text[0]) && !(text[0] == '0' && (text[1] == 'x' || text[1] == 'X')))
        return error_set(
                error, -EINVAL, "offset '%.64s' is not hexadecimal: write it with 0x before it", text);
    if (isalpha((unsigned char)text[0]) || text[0] == '_')
        return error_set(error, -ENOENT,
                "%s has no register '%.64s': it has no register map, use an offset such as 0x4",
                region_name(region), text);
    r = number_parse(text, ret_offset);
    if (r == -ERANGE)
        return error_set(
                error, r, "%.64s does not fit 64 bits: it is outside %s", text, region_name(region));
    if (r < 0)
        return error_set(error, r, "'%.64s' is not an offset: write it in hexadecimal, 0x4", text);
    return 0;
}
