/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* devregctl bind and unbind: which kernel driver has a device. */
#include <stdbool.h>

#include "output.h"
#include "request.h"
#include "text.h"
#include "util/json_writer.h"

static int post(struct call *call, const struct buffer *body, json_t **ret_result, struct failure *failure)
{
    _cleanup_buffer_ struct buffer path = {0};
    json_auto_t *answer = NULL;
    int r;

    if (*call->operands[0] == '\0')
        return failure_set(
                failure, EXIT_CODE_USAGE, "a device has a name; devregctl list devices shows them");
    buffer_append_string(&path, "/v1/devices/");
    path_append_segment(&path, call->operands[0]);
    buffer_append_format(&path, "/%s", call->verb->name);
    if (!path_finish(&path, failure))
        return -1;
    r = call_connect(call, failure);
    if (r < 0)
        return r;
    r = connection_send_json(&call->connection, "POST", path.data, body, &answer, failure);
    if (r < 0)
        return r;
    if (!json_object_get(answer, "driver"))
        return fail_unexpected(call, "no driver in it", failure);
    *ret_result = take_ptr(answer);
    return 0;
}

int cmd_bind(struct call *call, json_t **ret_result, struct failure *failure)
{
    _cleanup_buffer_ struct buffer body = {0};
    struct json_writer writer = json_writer(&body);

    json_begin_object(&writer, NULL);
    if (call->options->driver)
        json_put_string(&writer, "driver", call->options->driver);
    json_put_bool(&writer, "force", options_have(call->options, OPTION_FORCE));
    json_end_object(&writer);
    return post(call, &body, ret_result, failure);
}

int cmd_unbind(struct call *call, json_t **ret_result, struct failure *failure)
{
    _cleanup_buffer_ struct buffer body = {0};
    struct json_writer writer = json_writer(&body);

    json_begin_object(&writer, NULL);
    json_put_bool(&writer, "force", options_have(call->options, OPTION_FORCE));
    json_end_object(&writer);
    return post(call, &body, ret_result, failure);
}

/* "edu is bound to devreg now (was: no driver)" */
void cmd_bind_write(FILE *stream, const struct call *call, const json_t *result)
{
    const char *driver = member_text(result, "driver", NULL);

    text_write_safe(stream, call->operands[0]);
    if (driver) {
        fputs(" is bound to ", stream);
        text_write_safe(stream, driver);
    } else {
        fputs(" has no driver", stream);
    }
    if (json_is_false(json_object_get(result, "changed"))) {
        fputs(" already\n", stream);
    } else {
        fputs(" now (was: ", stream);
        text_write_safe(stream, member_text(result, "driver_before", "no driver"));
        fputs(")\n", stream);
    }
    if (member_text(result, "despite", NULL)) {
        fputs("devregctl: forced, although ", stderr);
        text_write_safe(stderr, member_text(result, "despite", ""));
        fputc('\n', stderr);
    }
}
