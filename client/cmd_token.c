/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* devregctl token create, list, revoke. A new token is the only thing on standard output, so that
 * `devregctl token create ci > ci.token` makes a file for hosts.json. */
#include <string.h>

#include "output.h"
#include "request.h"
#include "text.h"
#include "util/json_writer.h"

static void put_words(struct json_writer *writer, const char *key, const struct option_words *words)
{
    if (words->count == 0)
        return;
    json_begin_array(writer, key);
    for (unsigned i = 0; i < words->count; i++)
        json_put_string(writer, NULL, words->words[i]);
    json_end_array(writer);
}

int cmd_token_create(struct call *call, json_t **ret_result, struct failure *failure)
{
    const struct options *options = call->options;
    _cleanup_buffer_ struct buffer body = {0};
    struct json_writer writer = json_writer(&body);
    json_auto_t *answer = NULL;
    int r;

    json_begin_object(&writer, NULL);
    json_put_string(&writer, "name", call->operands[0]);
    put_words(&writer, "permissions", &options->permissions);
    put_words(&writer, "regions", &options->regions);
    if (options->for_seconds > 0)
        json_put_count(&writer, "seconds", options->for_seconds);
    json_end_object(&writer);
    r = call_connect(call, failure);
    if (r < 0)
        return r;
    r = connection_send_json(&call->connection, "POST", "/v1/tokens", &body, &answer, failure);
    if (r < 0)
        return r;
    if (!json_is_string(json_object_get(answer, "token")))
        return fail_unexpected(call, "no token in it", failure);
    *ret_result = take_ptr(answer);
    return 0;
}

/* The facts are for who looks on, the token for the file or variable that it goes to. */
void cmd_token_create_write(FILE *stream, const struct call *call, const json_t *result)
{
    static const char *const skip[] = {"token", "name", "regions", "expires", "expired", NULL};
    _cleanup_buffer_ struct buffer regions = {0};

    (void)call;
    fact_write(stderr, 0, "token", member_text(result, "name", "?"));
    if (json_is_array(json_object_get(result, "regions")))
        member_words(&regions, result, "regions");
    else
        buffer_append(&regions, "all", sizeof("all"));
    fact_write(stderr, 2, "regions", buffer_text(&regions));
    fact_write(stderr, 2, "expires", member_text(result, "expires", "never"));
    facts_write(stderr, result, 2, skip);
    fputs("It is shown this once only.\n", stderr);
    text_write_safe(stream, member_text(result, "token", ""));
    fputc('\n', stream);
}

int cmd_token_list(struct call *call, json_t **ret_result, struct failure *failure)
{
    return connect_and_get_list(call, "/v1/tokens", "tokens", ret_result, failure);
}

static void add_token(struct table *table, const json_t *token)
{
    bool expired = json_is_true(json_object_get(token, "expired"));
    _cleanup_buffer_ struct buffer permissions = {0};
    _cleanup_buffer_ struct buffer regions = {0};
    _cleanup_buffer_ struct buffer expires = {0};

    member_words(&permissions, token, "permissions");
    if (json_is_array(json_object_get(token, "regions")))
        member_words(&regions, token, "regions");
    else
        buffer_append(&regions, "all", sizeof("all"));
    buffer_append_string(&expires, member_text(token, "expires", "never"));
    buffer_append_string(&expires, expired ? " (expired)" : "");
    buffer_append_char(&expires, '\0');
    table_add_row(table, (const char *const[]){member_text(token, "name", "?"), buffer_text(&permissions),
                                 buffer_text(&regions), member_text(token, "created", "-"),
                                 buffer_text(&expires), member_text(token, "created_by", "-")});
}

void cmd_token_list_write(FILE *stream, const struct call *call, const json_t *result)
{
    static const char *const titles[] = {"TOKEN", "PERMISSIONS", "REGIONS", "CREATED", "EXPIRES", "BY"};
    _cleanup_table_ struct table table = {.columns = ELEMENTS(titles)};
    const json_t *token;
    size_t i;

    (void)call;
    table_add_row(&table, titles);
    json_array_foreach (json_object_get(result, "tokens"), i, token) {
        add_token(&table, token);
    }
    table_write(stream, &table);
}

int cmd_token_revoke(struct call *call, json_t **ret_result, struct failure *failure)
{
    _cleanup_buffer_ struct buffer path = {0};
    int r;

    if (*call->operands[0] == '\0')
        return failure_set(failure, EXIT_CODE_USAGE, "a token has a name; devregctl token list shows them");
    buffer_append_string(&path, "/v1/tokens/");
    path_append_segment(&path, call->operands[0]);
    if (!path_finish(&path, failure))
        return -1;
    r = call_connect(call, failure);
    if (r < 0)
        return r;
    return connection_delete(&call->connection, path.data, ret_result, failure);
}
