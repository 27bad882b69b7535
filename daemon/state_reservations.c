/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The loop makes the text, since it owns the reservations; a worker writes it. While it does, changes are
 * only noted: what is written next has them all. */
#include "state_reservations.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "core/worker.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/file.h"
#include "util/json_writer.h"
#include "util/log.h"
#include "util/number.h"

enum {
    VERSION = 1,
    BOOT_SIZE = 64,
    WINDOWS_MOST = 1024,
};

/* Their holders may have been kept from renewing them while the daemon was away. */
static const uint64_t LEFT_LEAST_US = UINT64_C(10) * 1000000;

static const uint64_t LEFT_MOST_US = UINT64_C(1000000) * RESERVATION_SECONDS_MOST;

/* Writing */

static void write_windows(struct json_writer *writer, const struct reservation *reservation)
{
    json_begin_array(writer, "windows");
    for (size_t i = 0; i < reservation->window_count; i++) {
        const struct reservation_window *window = &reservation->windows[i];

        json_begin_object(writer, NULL);
        json_put_string(writer, "region", region_name(window->region));
        json_put_hex(writer, "first", window->first);
        json_put_hex(writer, "last", window->last);
        json_end_object(writer);
    }
    json_end_array(writer);
}

static void write_safe_state(struct json_writer *writer, const struct reservation *reservation)
{
    json_begin_array(writer, "safe_state");
    for (size_t i = 0; i < reservation->safe_write_count; i++) {
        const struct safe_write *write = &reservation->safe_writes[i];

        json_begin_object(writer, NULL);
        json_put_string(writer, "region", region_name(write->region));
        json_put_hex(writer, "offset", write->offset);
        json_put_hex(writer, "octets", write->width);
        json_put_hex(writer, "value", write->value);
        json_end_object(writer);
    }
    json_end_array(writer);
}

static void write_reservation(struct json_writer *writer, const struct reservation *reservation)
{
    json_begin_object(writer, NULL);
    json_put_string(writer, "id", reservation->id);
    json_put_bool(writer, "held", reservation->state == RESERVATION_HELD);
    json_put_bool(writer, "exclusive", reservation->exclusive);
    json_put_string(writer, "target", reservation->target);
    json_put_string(writer, "holder", reservation->holder);
    json_put_string(writer, "note", reservation->note);
    json_put_string(writer, "contact", reservation->contact);
    json_put_hex(writer, "duration_us", reservation->duration_us);
    json_put_hex(writer, "until_us", reservation->until_us);
    write_windows(writer, reservation);
    write_safe_state(writer, reservation);
    json_end_object(writer);
}

static void write_list(
        struct json_writer *writer, const struct reservations *reservations, enum reservation_state state)
{
    for (const struct reservation *r = reservations_first(reservations, state); r; r = r->next) {
        buffer_append_string(writer->buffer, writer->comma ? ",\n" : "\n"); /* a line each, for people */
        writer->comma = false;
        write_reservation(writer, r);
    }
}

void state_reservations_write(const struct reservations *reservations, const char *boot, struct buffer *text)
{
    struct json_writer writer = json_writer(text);

    json_begin_object(&writer, NULL);
    json_put_count(&writer, "version", VERSION);
    json_put_string(&writer, "boot", boot);
    json_begin_array(&writer, "reservations");
    write_list(&writer, reservations, RESERVATION_HELD);
    write_list(&writer, reservations, RESERVATION_WAITING);
    json_end_array(&writer);
    json_end_object(&writer);
    buffer_append_char(text, '\n');
}

/* Reading */

struct restoring {
    const struct inventory *inventory;
    struct reservations *reservations;
    void (*dropped)(const struct error *why);
    struct reservation_window windows[WINDOWS_MOST];
    struct safe_write safe_writes[RESERVATION_SAFE_WRITES];
};

static int take_number(const json_t *object, const char *key, uint64_t *ret_value, struct error *error)
{
    const char *text = json_string_value(json_object_get(object, key));

    if (!text || number_parse(text, ret_value) < 0)
        return error_set(error, -EINVAL, "\"%s\" is missing or no number", key);
    return 0;
}

static int take_text(
        const json_t *object, const char *key, size_t size, const char **ret_text, struct error *error)
{
    const char *text = json_string_value(json_object_get(object, key));

    if (!text || strlen(text) >= size)
        return error_set(error, -EINVAL, "\"%s\" is missing, no text or too long", key);
    *ret_text = text;
    return 0;
}

static int take_switch(const json_t *object, const char *key, bool *ret_value, struct error *error)
{
    const json_t *value = json_object_get(object, key);

    if (!json_is_boolean(value))
        return error_set(error, -EINVAL, "\"%s\" is neither true nor false", key);
    *ret_value = json_is_true(value);
    return 0;
}

static int take_list(
        const json_t *object, const char *key, size_t most, const json_t **ret_list, struct error *error)
{
    *ret_list = json_object_get(object, key);
    if (!json_is_array(*ret_list) || json_array_size(*ret_list) > most)
        return error_set(error, -EINVAL, "\"%s\" is no list of %zu at most", key, most);
    return 0;
}

static void tell(const struct restoring *restoring, const char *id, const char *what, const char *why)
{
    struct error error;

    error_set(&error, -ENOENT, "reservation %.32s: %s is dropped: %s", id, what, why);
    restoring->dropped(&error);
}

/* A region that is not configured any more is left out: *ret_region is NULL. */
static int take_region(const struct restoring *restoring, const json_t *object, const char *id,
        struct region **ret_region, struct error *error)
{
    const char *name = NULL;
    int r = take_text(object, "region", SIZE_MAX, &name, error);

    if (r < 0)
        return r;
    *ret_region = inventory_find_region(restoring->inventory, name);
    if (!*ret_region)
        tell(restoring, id, name, "this region is not configured any more");
    return 0;
}

static int take_windows(struct restoring *restoring, const json_t *object, struct reservation_wish *wish,
        const char *id, struct error *error)
{
    const json_t *list, *row;
    size_t index;
    int r = take_list(object, "windows", WINDOWS_MOST, &list, error);

    if (r < 0)
        return r;
    json_array_foreach (list, index, row) {
        struct reservation_window *window = &restoring->windows[wish->window_count];

        r = take_region(restoring, row, id, &window->region, error);
        if (r == 0)
            r = take_number(row, "first", &window->first, error);
        if (r == 0)
            r = take_number(row, "last", &window->last, error);
        if (r == 0 && window->first > window->last)
            r = error_set(error, -EINVAL, "a window ends before it begins");
        if (r < 0)
            return r;
        wish->window_count += window->region != NULL;
    }
    wish->windows = restoring->windows;
    return 0;
}

static int take_safe_state(struct restoring *restoring, const json_t *object, struct reservation_wish *wish,
        const char *id, struct error *error)
{
    const json_t *list, *row;
    size_t index;
    int r = take_list(object, "safe_state", RESERVATION_SAFE_WRITES, &list, error);

    if (r < 0)
        return r;
    json_array_foreach (list, index, row) {
        struct safe_write *write = &restoring->safe_writes[wish->safe_write_count];
        uint64_t width = 0;

        r = take_region(restoring, row, id, &write->region, error);
        if (r == 0)
            r = take_number(row, "offset", &write->offset, error);
        if (r == 0)
            r = take_number(row, "octets", &width, error);
        if (r == 0)
            r = take_number(row, "value", &write->value, error);
        if (r == 0 && (width > 8 || __builtin_popcountll(width) != 1 ||
                              !number_fits(write->value, (unsigned)width * 8)))
            r = error_set(error, -EINVAL, "a write's \"octets\" or \"value\" is none");
        if (r < 0)
            return r;
        write->width = (unsigned)width;
        wish->safe_write_count += write->region != NULL;
    }
    wish->safe_writes = restoring->safe_writes;
    return 0;
}

static int take_id(const json_t *object, const char **ret_id, struct error *error)
{
    int r = take_text(object, "id", RESERVATION_ID_SIZE, ret_id, error);

    if (r < 0)
        return r;
    if (strncmp(*ret_id, "r-", 2) != 0 || strlen(*ret_id) != 18 ||
            strspn(*ret_id + 2, "0123456789abcdef") != 16)
        return error_set(error, -EINVAL, "\"id\" is none");
    return 0;
}

static uint64_t left_until(uint64_t until_us)
{
    uint64_t now_us = clock_boottime_us();

    if (until_us < now_us + LEFT_LEAST_US)
        return now_us + LEFT_LEAST_US;
    return until_us < now_us + LEFT_MOST_US ? until_us : now_us + LEFT_MOST_US;
}

static int restore_one(struct restoring *restoring, const json_t *object, struct error *error)
{
    struct reservation_wish wish = {0};
    const char *id = NULL;
    uint64_t until_us = 0;
    bool held = false;
    int r = take_id(object, &id, error);

    if (r == 0)
        r = take_switch(object, "held", &held, error);
    if (r == 0)
        r = take_switch(object, "exclusive", &wish.exclusive, error);
    if (r == 0)
        r = take_text(object, "target", RESERVATION_TARGET, &wish.target, error);
    if (r == 0)
        r = take_text(object, "holder", PRINCIPAL_NAME_SIZE, &wish.holder, error);
    if (r == 0)
        r = take_text(object, "note", RESERVATION_TEXT, &wish.note, error);
    if (r == 0)
        r = take_text(object, "contact", RESERVATION_TEXT, &wish.contact, error);
    if (r == 0)
        r = take_number(object, "duration_us", &wish.duration_us, error);
    if (r == 0 && wish.duration_us > LEFT_MOST_US)
        r = error_set(error, -EINVAL, "\"duration_us\" is too long");
    if (r == 0)
        r = take_number(object, "until_us", &until_us, error);
    if (r == 0)
        r = take_windows(restoring, object, &wish, id, error);
    if (r == 0)
        r = take_safe_state(restoring, object, &wish, id, error);
    if (r < 0)
        return r;
    if (wish.window_count == 0) {
        tell(restoring, id, wish.target, "nothing is left of it");
        return 0;
    }
    r = reservations_restore(restoring->reservations, &wish, id, held ? left_until(until_us) : 0, error);
    if (r != -EUSERS)
        return r;
    tell(restoring, id, wish.target, error->message);
    return 0;
}

static int restore_all(struct restoring *restoring, const json_t *list, struct error *error)
{
    struct error first = {0};
    size_t index;
    const json_t *row;

    json_array_foreach (list, index, row) {
        struct error one;

        if (restore_one(restoring, row, &one) == 0 || first.code)
            continue;
        error_prefix(&one, "reservation %zu", index);
        first = one;
    }
    reservations_settle(restoring->reservations);
    if (first.code && error)
        *error = first;
    return first.code;
}

int state_reservations_parse(const char *text, size_t size, const char *boot,
        const struct inventory *inventory, struct reservations *reservations,
        void (*dropped)(const struct error *why), struct error *error)
{
    _cleanup_free_ struct restoring *restoring = calloc(1, sizeof(*restoring));
    json_error_t where;
    json_auto_t *document = json_loadb(text, size, JSON_REJECT_DUPLICATES, &where);
    const json_t *list;
    const char *from;

    if (!restoring)
        return error_set(error, -ENOMEM, "out of memory");
    if (!document)
        return error_set(
                error, -EINVAL, "not JSON: line %d, column %d: %s", where.line, where.column, where.text);
    if (json_integer_value(json_object_get(document, "version")) != VERSION)
        return error_set(error, -EINVAL, "its \"version\" is not %d: another devregd wrote it", VERSION);
    from = json_string_value(json_object_get(document, "boot"));
    list = json_object_get(document, "reservations");
    if (!from || !json_is_array(list))
        return error_set(error, -EINVAL, "\"boot\" or \"reservations\" is missing or none");
    if (strcmp(from, boot) != 0)
        return error_set(error, -ESTALE, "the machine has booted since");
    *restoring =
            (struct restoring){.inventory = inventory, .reservations = reservations, .dropped = dropped};
    return restore_all(restoring, list, error);
}

/* Saving */

struct state_reservations {
    const struct state *state;
    const struct reservations *reservations;
    char boot[BOOT_SIZE];
    sd_event_source *soon; /* on when something is to be written */
    struct completions *completions;
    struct worker *worker;

    bool dirty;   /* changed since the text was made */
    bool failing; /* the file is older than the text */

    /* The worker's while it writes. */
    bool writing;
    struct work work;
    struct buffer text;
    int result;
    struct error error;
};

static void make_text(struct state_reservations *saver)
{
    buffer_done(&saver->text);
    state_reservations_write(saver->reservations, saver->boot, &saver->text);
    saver->dirty = false;
}

static void write_text(struct work *work)
{
    struct state_reservations *saver = container_of(work, struct state_reservations, work);

    if (buffer_failed(&saver->text))
        saver->result = error_set(&saver->error, -ENOMEM, "out of memory");
    else
        saver->result = state_write(
                saver->state, STATE_RESERVATIONS_FILE, saver->text.data, saver->text.size, &saver->error);
}

/* Once for each failure, however many changes it outlasts. */
static void note_result(struct state_reservations *saver)
{
    if (saver->result < 0 && !saver->failing)
        log_error("reservations hold, but would not outlive a restart of devregd: %s", saver->error.message);
    if (saver->result == 0 && saver->failing)
        log_notice("reservations are saved again");
    saver->failing = saver->result < 0;
}

static int handle_soon(sd_event_source *source, void *userdata)
{
    struct state_reservations *saver = userdata;

    (void)source;
    if (saver->writing)
        return 0; /* again when it is done */
    make_text(saver);
    saver->writing = true;
    worker_submit(saver->worker, &saver->work);
    return 0;
}

static void handle_written(struct work *work, void *context)
{
    struct state_reservations *saver = context;

    (void)work;
    saver->writing = false;
    buffer_done(&saver->text);
    note_result(saver);
    if (saver->dirty)
        sd_event_source_set_enabled(saver->soon, SD_EVENT_ONESHOT);
}

void state_reservations_changed(struct state_reservations *saver)
{
    if (!saver)
        return;
    saver->dirty = true;
    if (!saver->writing)
        sd_event_source_set_enabled(saver->soon, SD_EVENT_ONESHOT);
}

static void log_dropped(const struct error *why)
{
    log_warning("%s", why->message);
}

/* What is left of a file that is not understood is put beside, under another name. */
static void restore(struct state_reservations *saver, const struct inventory *inventory,
        struct reservations *reservations)
{
    _cleanup_free_ char *text = NULL;
    struct error error, beside;
    size_t size;
    int r = state_read(saver->state, STATE_RESERVATIONS_FILE, &text, &size, &error);

    if (r == -ENOENT)
        return;
    if (r < 0) {
        log_error("no reservation is restored: %s", error.message);
        return;
    }
    r = state_reservations_parse(text, size, saver->boot, inventory, reservations, log_dropped, &error);
    if (r == -ESTALE)
        log_info("no reservation is restored: %s", error.message);
    if (r == 0 || r == -ESTALE)
        return;
    log_error("%s/%s is malformed: %s: what was understood is restored, and the file kept as %s.malformed",
            state_path(saver->state), STATE_RESERVATIONS_FILE, error.message, STATE_RESERVATIONS_FILE);
    if (state_write(saver->state, STATE_RESERVATIONS_FILE ".malformed", text, size, &beside) < 0)
        log_error("%s", beside.message);
}

int state_reservations_new(sd_event *event, const struct state *state, struct reservations *reservations,
        const struct inventory *inventory, struct state_reservations **ret_saver)
{
    struct state_reservations *saver = calloc(1, sizeof(*saver));
    int r;

    if (!saver)
        return -ENOMEM;
    saver->state = state;
    saver->reservations = reservations;
    saver->work.run = write_text;
    r = file_read_line_at(AT_FDCWD, "/proc/sys/kernel/random/boot_id", saver->boot, sizeof(saver->boot));
    if (r >= 0)
        r = completions_new(event, handle_written, saver, &saver->completions);
    if (r >= 0)
        r = worker_new(saver->completions, &saver->worker);
    if (r >= 0)
        r = sd_event_add_defer(event, &saver->soon, handle_soon, saver);
    if (r < 0) {
        state_reservations_free(saver, 1000);
        return r;
    }
    restore(saver, inventory, reservations);
    saver->dirty = true; /* what is left of another boot, or was dropped, need not be read again */
    *ret_saver = saver;
    return 0;
}

void state_reservations_free(struct state_reservations *saver, unsigned timeout_ms)
{
    if (!saver)
        return;
    saver->soon = sd_event_source_disable_unref(saver->soon);
    if (!worker_free(take_ptr(saver->worker), timeout_ms)) {
        log_error("the disk below %s does not answer: the last changes of reservations may be lost",
                state_path(saver->state));
        return; /* all of this is the thread's now */
    }
    if (saver->writing)
        note_result(saver);
    if (saver->dirty || saver->failing) {
        make_text(saver);
        write_text(&saver->work);
        note_result(saver);
    }
    completions_free(saver->completions);
    buffer_done(&saver->text);
    free(saver);
}
