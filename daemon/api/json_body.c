/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The parser recurses and allocates a good deal more than the text has, so depth is counted before it is
 * called. */
#include "api/json_body.h"

#include <errno.h>
#include <string.h>

#include "util/number.h"
#include "util/words.h"

enum { JSON_DEPTH = 8 };

/* Brackets inside strings do not count. An unbalanced text is the parser's to refuse. */
static bool is_deep(const char *text, size_t size)
{
    bool in_string = false;
    int depth = 0;

    for (size_t i = 0; i < size; i++) {
        if (in_string && text[i] == '\\')
            i++;
        else if (text[i] == '"')
            in_string = !in_string;
        else if (!in_string && (text[i] == '[' || text[i] == '{') && ++depth > JSON_DEPTH)
            return true;
        else if (!in_string && (text[i] == ']' || text[i] == '}'))
            depth--;
    }
    return false;
}

static int check_keys(json_t *object, const char *keys, struct error *error)
{
    const char *key;
    json_t *value;

    json_object_foreach (object, key, value) {
        if (!words_have(keys, key))
            return error_set(error, -EINVAL, "the body has the unknown key \"%.64s\": %s%s", key,
                    keys[0] ? "the keys are: " : "it takes none, send {}", keys);
    }
    return 0;
}

int json_body_parse(const struct call *call, const char *keys, json_t **ret_object, struct error *error)
{
    json_auto_t *object = NULL;
    json_error_t where;
    int r;

    if (call->body.size == 0)
        return error_set(error, -EINVAL, "the body is empty: send a JSON object, its keys are: %s", keys);
    if (is_deep(call->body.data, call->body.size))
        return error_set(error, -EINVAL,
                "the body is nested more than %d deep: send a JSON object, its keys are: %s", JSON_DEPTH,
                keys);
    object = json_loadb(call->body.data, call->body.size, JSON_REJECT_DUPLICATES, &where);
    if (!object && json_error_code(&where) == json_error_out_of_memory)
        return error_set(error, -ENOMEM, "out of memory: try again");
    if (!object)
        return error_set(error, -EINVAL, "the body is not JSON: line %d, column %d: %s", where.line,
                where.column, where.text);
    if (!json_is_object(object))
        return error_set(error, -EINVAL, "the body is not a JSON object: send one, its keys are: %s", keys);
    r = check_keys(object, keys, error);
    if (r < 0)
        return r;
    *ret_object = take_ptr(object);
    return 0;
}

int json_body_value(
        const json_t *value, const char *what, unsigned width, uint64_t *ret_value, struct error *error)
{
    int r = 0;

    if (json_is_integer(value)) {
        json_int_t number = json_integer_value(value);

        if (number < 0)
            return error_set(error, -EINVAL, "%s is negative: registers hold unsigned values", what);
        if (number >= INT64_C(1) << 53)
            return error_set(error, -EINVAL,
                    "%s is a JSON number of 2^53 or more, which many programs round: send it as a string",
                    what);
        *ret_value = (uint64_t)number;
    } else if (json_is_string(value)) {
        r = strlen(json_string_value(value)) == json_string_length(value)
                    ? number_parse(json_string_value(value), ret_value)
                    : -EINVAL;
    } else {
        return error_set(error, -EINVAL, "%s is missing or no number: send a string such as \"0x1\"", what);
    }
    if (r == -EINVAL)
        return error_set(error, r, "%s '%.64s' is not a number: send \"0x1f\" or \"31\"", what,
                json_string_value(value));
    if (r == -ERANGE || !number_fits(*ret_value, width * 8))
        return error_set(error, -EOPNOTSUPP, "%s does not fit the register's %u bits", what, width * 8);
    return 0;
}
