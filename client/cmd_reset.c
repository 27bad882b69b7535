/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* devregctl reset: a device as it is after power-on. */
#include "output.h"
#include "request.h"
#include "size.h"
#include "text.h"

/* What it may take in the daemon: waiting for requests before it, and then for the kernel. Whoever gave up
 * earlier would not know that it is being done, and might ask again. */
enum { RESET_MS = 90 * 1000 };

static bool make_path(struct buffer *path, const char *device, struct failure *failure)
{
    if (*device == '\0') {
        failure_set(failure, EXIT_CODE_USAGE, "a device has a name; devregctl list devices shows them");
        return false;
    }
    buffer_append_string(path, "/v1/devices/");
    path_append_segment(path, device);
    buffer_append_string(path, "/reset");
    return path_finish(path, failure);
}

int cmd_reset(struct call *call, json_t **ret_result, struct failure *failure)
{
    _cleanup_buffer_ struct buffer path = {0};
    _cleanup_buffer_ struct buffer body = {0};
    json_auto_t *answer = NULL;
    int r;

    if (!make_path(&path, call->operands[0], failure))
        return -1;
    buffer_append_string(&body, "{}");
    r = call_connect(call, failure);
    if (r < 0)
        return r;
    call->connection.timeout_ms = call->options->timeout_ms + RESET_MS;
    r = connection_send_json(&call->connection, "POST", path.data, &body, &answer, failure);
    if (r < 0)
        return r;
    if (!member_text(answer, "name", NULL))
        return fail_unexpected(call, "no name of a device in it", failure);
    *ret_result = take_ptr(answer);
    return 0;
}

/* "edu: reset; 64 KiB of retained memory given back" */
void cmd_reset_write(FILE *stream, const struct call *call, const json_t *result)
{
    json_int_t octets = json_integer_value(json_object_get(result, "given_back"));
    char text[SIZE_TEXT];

    (void)call;
    text_write_safe(stream, member_text(result, "name", "?"));
    fputs(": reset", stream);
    if (octets > 0)
        fprintf(stream, "; %s of retained memory given back", size_format((uint64_t)octets, text));
    fputc('\n', stream);
}
