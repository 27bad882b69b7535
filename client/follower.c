/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Each line is flushed, so that whoever reads them is not behind; and a reader that goes away is noticed
 * also while there is nothing to print. */
#include "follower.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "event_text.h"
#include "output.h"
#include "request.h"
#include "util/clock.h"

void follower_be_patient(struct follower *follower)
{
    const struct options *options = follower->call->options;

    /* --timeout is the same wherever it stands, also before the verb. */
    if (options->given & (OPTION_TIMEOUT | OPTION_PATIENCE))
        follower->give_up_us = clock_boottime_us() + options->timeout_ms * UINT64_C(1000);
    follower->subscription.wake_us = follower->give_up_us;
}

/* --- Events --- */

/* With --kind whatever it lets through, without it interrupts. That some were lost is news, but no event. */
static bool is_wanted(const struct follower *follower, const char *type)
{
    if (follower->call->options->kinds.count > 0)
        return strcmp(type, "lost") != 0;
    return strcmp(type, "interrupt") == 0;
}

static int print(struct follower *follower, const struct stream_event *event, struct failure *failure)
{
    json_auto_t *data = json_loadb(event->data, event->data_size, JSON_REJECT_DUPLICATES, NULL);

    if (!json_is_object(data))
        return fail_unexpected(follower->call, "an event without a JSON object", failure);
    if (!options_have(follower->call->options, OPTION_JSON))
        event_write_text(stdout, event->type, data);
    else if (!event_write_json(stdout, event->id, event->type, data))
        return fail_unexpected(follower->call, "an event whose type is no text", failure);
    return output_finish(stdout, failure);
}

static int take_event(void *context, const struct stream_event *event, struct failure *failure)
{
    struct follower *follower = context;

    if (follower->left == 0)
        return 0;
    if (print(follower, event, failure) < 0)
        return -1;
    if (is_wanted(follower, event->type) && follower->left != UINT64_MAX)
        follower->left--;
    if (follower->for_each)
        follower_be_patient(follower);
    return follower->left == 0 && !follower->held;
}

/* --- The end --- */

int follower_check_output(struct failure *failure)
{
    struct pollfd output = {.fd = STDOUT_FILENO};

    if (poll(&output, 1, 0) <= 0 || !(output.revents & (POLLERR | POLLHUP)))
        return 0;
    return failure_set(failure, EXIT_CODE_OTHER, "standard output: %s", strerror(EPIPE));
}

static int give_up(const struct follower *follower, struct failure *failure)
{
    const struct options *options = follower->call->options;
    double seconds = options->timeout_ms / 1000.0;

    if (follower->for_each)
        failure_set(failure, EXIT_CODE_TIMEOUT, "no event came for %g seconds", seconds);
    else if (follower->left < options->count)
        failure_set(failure, EXIT_CODE_TIMEOUT,
                "only %" PRIu64 " of %" PRIu64 " interrupts came within %g seconds",
                options->count - follower->left, options->count, seconds);
    else
        failure_set(failure, EXIT_CODE_TIMEOUT, "no interrupt came within %g seconds", seconds);
    if (follower->subscription.lost)
        failure_append(failure, "the connection to %s is lost", follower->call->connection.host.text);
    return -1;
}

int follower_attend(struct follower *follower, struct failure *failure)
{
    if (follower->left == 0)
        return 1;
    if (follower_check_output(failure) < 0)
        return -1;
    if (follower->give_up_us && clock_boottime_us() >= follower->give_up_us)
        return give_up(follower, failure);
    return 0;
}

static int attend(void *context, struct failure *failure)
{
    return follower_attend(context, failure);
}

/* --- The beginning --- */

static void append_words(struct buffer *path, const char *name, const char *const *words, unsigned count)
{
    if (count > 0)
        path_append_parameter(path, "%s=", name);
    for (unsigned i = 0; i < count; i++) {
        if (i > 0)
            buffer_append_char(path, ',');
        path_append_segment(path, words[i]);
    }
}

static int build_path(
        struct buffer *path, const struct call *call, const char *kinds, struct failure *failure)
{
    const struct options *options = call->options;

    for (unsigned i = 0; i < call->operand_count; i++)
        if (*call->operands[i] == '\0')
            return failure_set(failure, EXIT_CODE_USAGE,
                    "a source of interrupts has a name; devregctl interrupts lists those there are");
    buffer_append_string(path, "/v1/events");
    path_append_parameter(path, "heartbeat=%u", options->heartbeat_seconds);
    append_words(path, "source", (const char *const *)call->operands, call->operand_count);
    if (kinds)
        path_append_text(path, "kind", kinds);
    else
        append_words(path, "kind", options->kinds.words, options->kinds.count);
    path_append_text(path, "since", options->since);
    return path_finish(path, failure) ? 0 : -1;
}

int follower_begin(struct follower *follower, struct call *call, const char *kinds, struct failure *failure)
{
    const struct options *options = call->options;

    *follower = (struct follower){.call = call, .left = UINT64_MAX};
    if (build_path(&follower->path, call, kinds, failure) < 0 || call_connect(call, failure) < 0)
        return -1;
    follower->subscription = (struct subscription){
            .call = call,
            .path = follower->path.data,
            .since = options->since,
            .heartbeat_seconds = options->heartbeat_seconds,
            .once = options_have(options, OPTION_NO_RECONNECT),
            .fd = -1,
            .event = take_event,
            .attend = attend,
            .context = follower,
    };
    return 0;
}

void follower_done(struct follower *follower)
{
    buffer_done(&follower->path);
}
