/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The file is the daemon's own, but people mend files and disks break them: whatever is in it is either
 * understood in whole or refused. */
#include "state_tokens.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/date.h"
#include "util/digest.h"
#include "util/json_writer.h"
#include "util/words.h"

enum { VERSION = 1 };

static const char *const token_keys = "name hash permissions regions created expires expired created_by";

static void write_strings(struct json_writer *writer, const char *key, char *const *strings)
{
    if (!strings) {
        json_put_string(writer, key, NULL);
        return;
    }
    json_begin_array(writer, key);
    for (; *strings; strings++)
        json_put_string(writer, NULL, *strings);
    json_end_array(writer);
}

static void write_token(struct json_writer *writer, const struct token *token)
{
    const struct principal *principal = token->principal;
    char hash[2 * TOKEN_HASH_SIZE + 1], date[DATE_SIZE];

    digest_hex(token->hash, TOKEN_HASH_SIZE, hash);
    json_begin_object(writer, NULL);
    json_put_string(writer, "name", principal->short_name);
    json_put_string(writer, "hash", hash);
    json_begin_array(writer, "permissions");
    for (unsigned i = PERMISSION_NONE + 1; i < PERMISSION_COUNT; i++) {
        if (principal->scope & permission_bit(i))
            json_put_string(writer, NULL, permission_name(i));
    }
    json_end_array(writer);
    write_strings(writer, "regions", principal->scope_regions);
    json_put_string(writer, "created", date_format(token->created, date));
    json_put_string(writer, "expires", principal->expires ? date_format(principal->expires, date) : NULL);
    json_put_bool(writer, "expired", token->expired);
    json_put_string(writer, "created_by", token->created_by);
    json_end_object(writer);
}

void state_tokens_write(const struct tokens *tokens, struct buffer *text)
{
    struct json_writer writer = json_writer(text);

    json_begin_object(&writer, NULL);
    json_put_count(&writer, "version", VERSION);
    json_begin_array(&writer, "tokens");
    for (size_t i = 0; i < tokens_count(tokens); i++) {
        buffer_append_string(text, i ? ",\n" : "\n"); /* a line each, for people */
        writer.comma = false;
        write_token(&writer, tokens_at(tokens, i));
    }
    buffer_append_char(text, '\n');
    json_end_array(&writer);
    json_end_object(&writer);
    buffer_append_char(text, '\n');
}

static int parse_date(const json_t *value, const char *what, uint64_t *ret_seconds, struct error *error)
{
    const char *text = json_string_value(value);
    uint64_t us;

    if (!text || date_parse(text, &us) < 0)
        return error_set(error, -EINVAL, "\"%s\" is no date such as \"2026-12-01T00:00:00Z\"", what);
    *ret_seconds = us / 1000000;
    return 0;
}

static int parse_permissions(const json_t *list, permission_set *ret_scope, struct error *error)
{
    permission_set scope = 0;
    size_t index;
    const json_t *element;

    if (!json_is_array(list))
        return error_set(error, -EINVAL, "\"permissions\" is no list");
    json_array_foreach (list, index, element) {
        const char *name = json_string_value(element);
        permission_set one;

        if (!name || permission_parse(name, &one) < 0)
            return error_set(
                    error, -EINVAL, "\"permissions\" has '%.32s', which is none", name ? name : "?");
        scope |= one;
    }
    *ret_scope = scope;
    return 0;
}

/* The strings are the list's. */
static int parse_regions(const json_t *list, const char *regions[TOKEN_REGIONS + 1], struct error *error)
{
    size_t index;
    const json_t *element;

    if (!json_is_array(list) || json_array_size(list) > TOKEN_REGIONS)
        return error_set(
                error, -EINVAL, "\"regions\" is neither null nor a list of at most %d", TOKEN_REGIONS);
    json_array_foreach (list, index, element) {
        regions[index] = json_string_value(element);
        if (!regions[index])
            return error_set(error, -EINVAL, "\"regions\" has what is no pattern");
    }
    return 0;
}

static int check_keys(json_t *object, const char *keys, struct error *error)
{
    const char *key;
    json_t *value;

    if (!json_is_object(object))
        return error_set(error, -EINVAL, "something is no object");
    json_object_foreach (object, key, value) {
        if (!words_have(keys, key))
            return error_set(error, -EINVAL, "the key \"%.32s\" is not known", key);
    }
    return 0;
}

static int parse_token(json_t *object, struct tokens *tokens, struct error *error)
{
    const char *regions[TOKEN_REGIONS + 1] = {NULL};
    const json_t *list = json_object_get(object, "regions");
    const json_t *expired = json_object_get(object, "expired");
    struct token_wish wish = {0};
    uint64_t created = 0, expires = 0;
    uint8_t hash[TOKEN_HASH_SIZE];
    const char *hex;
    int r = check_keys(object, token_keys, error);

    if (r < 0)
        return r;
    wish.name = json_string_value(json_object_get(object, "name"));
    wish.created_by = json_string_value(json_object_get(object, "created_by"));
    hex = json_string_value(json_object_get(object, "hash"));
    if (!wish.name || !wish.created_by || strlen(wish.created_by) >= PRINCIPAL_NAME_SIZE)
        return error_set(error, -EINVAL, "\"name\" or \"created_by\" is missing or none");
    if (!hex || digest_from_hex(hex, hash, sizeof(hash)) < 0)
        return error_set(error, -EINVAL, "\"hash\" is missing or none");
    if (!json_is_boolean(expired))
        return error_set(error, -EINVAL, "\"expired\" is neither true nor false");
    r = parse_permissions(json_object_get(object, "permissions"), &wish.scope, error);
    if (r >= 0 && !json_is_null(list))
        r = parse_regions(list, regions, error);
    if (r >= 0)
        r = parse_date(json_object_get(object, "created"), "created", &created, error);
    if (r >= 0 && !json_is_null(json_object_get(object, "expires")))
        r = parse_date(json_object_get(object, "expires"), "expires", &expires, error);
    if (r < 0)
        return r;
    wish.regions = json_is_null(list) ? NULL : (char *const *)regions;
    return tokens_restore(tokens, hash, &wish, created, expires, json_is_true(expired), error);
}

int state_tokens_parse(const char *text, size_t size, struct tokens *tokens, struct error *error)
{
    json_error_t where;
    json_auto_t *document = json_loadb(text, size, JSON_REJECT_DUPLICATES, &where);
    const json_t *list;
    size_t index;
    json_t *element;
    int r;

    if (!document)
        return error_set(
                error, -EINVAL, "not JSON: line %d, column %d: %s", where.line, where.column, where.text);
    r = check_keys(document, "version tokens", error);
    if (r < 0)
        return r;
    if (json_integer_value(json_object_get(document, "version")) != VERSION)
        return error_set(error, -EINVAL, "its \"version\" is not %d: another devregd wrote it", VERSION);
    list = json_object_get(document, "tokens");
    if (!json_is_array(list))
        return error_set(error, -EINVAL, "\"tokens\" is no list");
    json_array_foreach (list, index, element) {
        r = parse_token(element, tokens, error);
        if (r < 0)
            return error_prefix(error, "token %zu", index);
    }
    return 0;
}

static int save(void *context, struct error *error)
{
    const struct state_tokens *saved = context;
    _cleanup_buffer_ struct buffer text = {0};

    state_tokens_write(saved->tokens, &text);
    if (buffer_failed(&text))
        return error_set(error, -ENOMEM, "out of memory: nothing was changed, try again");
    return state_write(saved->state, STATE_TOKENS_FILE, text.data, text.size, error);
}

static int restore(const struct state_tokens *saved, struct error *error)
{
    _cleanup_free_ char *text = NULL;
    size_t size;
    int r = state_read(saved->state, STATE_TOKENS_FILE, &text, &size, error);

    if (r == -ENOENT)
        return 0;
    if (r < 0)
        return r;
    r = state_tokens_parse(text, size, saved->tokens, error);
    if (r < 0) {
        struct error cause = *error;

        return error_set(error, r,
                "%s/%s: %.160s: mend it, put back a copy, or move it away, which revokes every token",
                state_path(saved->state), STATE_TOKENS_FILE, cause.message);
    }
    return 0;
}

int state_tokens_open(struct state_tokens *saved, const struct state *state, struct accounts *accounts,
        size_t limit, struct error *error)
{
    int r;

    saved->state = state;
    saved->tokens = NULL;
    r = tokens_new(accounts, limit, save, saved, &saved->tokens);
    if (r < 0)
        return error_set(error, r, "out of memory");
    r = restore(saved, error);
    if (r < 0) {
        tokens_free(saved->tokens);
        saved->tokens = NULL;
        return r;
    }
    return 0;
}
