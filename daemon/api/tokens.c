/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tokens as administrators make, see and revoke them. A secret is in one answer and nowhere else. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "api/handlers.h"
#include "api/json_body.h"
#include "core/admission.h"
#include "util/date.h"
#include "util/json_writer.h"

static const char *const keys = "name permissions regions seconds";

/* More than an answer with a secret has: were the reply to grow, what it was before would stay in memory. */
enum { SECRET_REPLY = 8 * 1024 };

static void write_permissions(struct json_writer *writer, permission_set scope)
{
    json_begin_array(writer, "permissions");
    for (unsigned i = PERMISSION_NONE + 1; i < PERMISSION_COUNT; i++) {
        if (scope & permission_bit(i))
            json_put_string(writer, NULL, permission_name(i));
    }
    json_end_array(writer);
}

static void write_regions(struct json_writer *writer, char *const *regions)
{
    if (!regions) {
        json_put_string(writer, "regions", NULL);
        return;
    }
    json_begin_array(writer, "regions");
    for (; *regions; regions++)
        json_put_string(writer, NULL, *regions);
    json_end_array(writer);
}

static void write_facts(struct json_writer *writer, const struct token *token)
{
    const struct principal *principal = token->principal;
    char date[DATE_SIZE];

    json_put_string(writer, "name", principal->short_name);
    write_permissions(writer, principal->scope);
    write_regions(writer, principal->scope_regions);
    json_put_string(writer, "created", date_format(token->created, date));
    json_put_string(writer, "expires", principal->expires ? date_format(principal->expires, date) : NULL);
    json_put_bool(writer, "expired", token->expired);
    json_put_string(writer, "created_by", token->created_by);
}

void tokens_list(struct call *call)
{
    struct tokens *tokens = call->daemon->tokens;
    struct json_writer writer = json_writer(&call->reply);

    tokens_expire(tokens);
    json_begin_object(&writer, NULL);
    json_begin_array(&writer, "tokens");
    for (size_t i = 0; i < tokens_count(tokens); i++) {
        json_begin_object(&writer, NULL);
        write_facts(&writer, tokens_at(tokens, i));
        json_end_object(&writer);
    }
    json_end_array(&writer);
    json_end_object(&writer);
    call_answer_json(call);
}

static int take_permissions(const json_t *list, permission_set *ret_scope, struct error *error)
{
    size_t index;
    const json_t *element;

    if (!list)
        return 0;
    if (!json_is_array(list) || json_array_size(list) == 0)
        return error_set(
                error, -EINVAL, "\"permissions\" is no list of permissions such as [\"list\", \"read\"]");
    *ret_scope = 0;
    json_array_foreach (list, index, element) {
        const char *name = json_string_value(element);
        permission_set one;

        if (!name || permission_parse(name, &one) < 0)
            return error_set(error, -EINVAL,
                    "\"permissions\" has '%.32s', which is none: they are list, "
                    "read, write, interrupt, dma, reserve, admin and all",
                    name ? name : "what is no string");
        *ret_scope |= one;
    }
    return 0;
}

/* The strings stay the body's. */
static int take_regions(const json_t *list, const char **regions, struct error *error)
{
    size_t index;
    const json_t *element;

    if (!json_is_array(list) || json_array_size(list) == 0 || json_array_size(list) > TOKEN_REGIONS)
        return error_set(error, -EINVAL,
                "\"regions\" is no list of 1 to %d patterns such "
                "as [\"edu*\"]: leave it out for all regions",
                TOKEN_REGIONS);
    json_array_foreach (list, index, element) {
        regions[index] = json_string_value(element);
        if (!regions[index])
            return error_set(error, -EINVAL, "\"regions\" has what is no string: send [\"edu*\"]");
    }
    return 0;
}

static int take_seconds(const json_t *value, uint64_t *ret_seconds, struct error *error)
{
    json_int_t seconds = json_integer_value(value);

    if (!value)
        return 0;
    if (!json_is_integer(value) || seconds < 1 || (uint64_t)seconds > TOKEN_LIFETIME_SECONDS)
        return error_set(error, -EINVAL,
                "\"seconds\" is not from 1 to %" PRIu64
                " (10 years): leave it out for a token that never expires",
                TOKEN_LIFETIME_SECONDS);
    *ret_seconds = (uint64_t)seconds;
    return 0;
}

/* The strings stay the body's. */
static int take_wish(const struct call *call, const json_t *body, const char **regions,
        struct token_wish *wish, struct error *error)
{
    const json_t *list = json_object_get(body, "regions");
    int r;

    *wish = (struct token_wish){.name = json_string_value(json_object_get(body, "name")),
            .scope = PERMISSIONS_ALL,
            .created_by = call->principal->name};
    if (!wish->name)
        return error_set(error, -EINVAL, "\"name\" is missing or no string: say what to call the token");
    r = take_permissions(json_object_get(body, "permissions"), &wish->scope, error);
    if (r >= 0 && list)
        r = take_regions(list, regions, error);
    if (r >= 0)
        r = take_seconds(json_object_get(body, "seconds"), &wish->lifetime_seconds, error);
    wish->regions = list ? (char *const *)regions : NULL;
    return r;
}

/* NULL when it failed. */
static const struct token *create(
        struct call *call, const json_t *body, char secret[TOKEN_SECRET_SIZE], struct error *error)
{
    const char *regions[TOKEN_REGIONS + 1] = {NULL};
    const struct token *token = NULL;
    struct token_wish wish;

    if (take_wish(call, body, regions, &wish, error) < 0)
        return NULL;
    /* Asked for first: a token whose secret can't be shown must not be made. */
    if (!buffer_reserve(&call->reply, SECRET_REPLY)) {
        error_set(error, -ENOMEM, "out of memory for the answer: try again");
        return NULL;
    }
    if (tokens_create(call->daemon->tokens, &wish, secret, &token, error) == -EEXIST)
        error->code = -EBUSY; /* 409 */
    return token;
}

void tokens_post(struct call *call)
{
    struct json_writer writer = json_writer(&call->reply);
    const struct token *token = NULL;
    char secret[TOKEN_SECRET_SIZE];
    json_auto_t *body = NULL;
    struct error error;

    if (json_body_parse(call, keys, &body, &error) == 0)
        token = create(call, body, secret, &error);
    if (!token) {
        call_fail(call, &error);
        return;
    }
    call->subject = token->principal->short_name;
    json_begin_object(&writer, NULL);
    write_facts(&writer, token);
    json_put_string(&writer, "token", secret);
    json_end_object(&writer);
    explicit_bzero(secret, sizeof(secret));
    call_answer_json_status(call, 201);
}

void tokens_delete(struct call *call)
{
    const char *name = call->parameters[0];
    struct json_writer writer = json_writer(&call->reply);
    char holder[PRINCIPAL_NAME_SIZE];
    struct error error;
    int r;

    r = tokens_revoke(call->daemon->tokens, name, &error);
    if (r != -ENOENT) {
        snprintf(holder, sizeof(holder), "token:%s", name);
        reservations_revoke(call->daemon->reservations, holder, "its token was revoked");
        admission_recheck(call->daemon);
    }
    if (r < 0) {
        call_fail(call, &error);
        return;
    }
    json_begin_object(&writer, NULL);
    json_put_string(&writer, "name", name);
    json_end_object(&writer);
    call_answer_json(call);
}
