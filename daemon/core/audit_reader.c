/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whoever can write to the journal can send it a record that looks like the daemon's, so only those count
 * for which the journal itself says that a process of this user sent them. */
#include "core/audit_reader.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-journal.h>

#include "core/worker.h"
#include "util/cleanup.h"
#include "util/clock.h"

enum {
    WAITING = 4, /* also the one that is being read */
    READ_US = 5000000,
    VALUE_SIZE = 4096,
};

struct audit_reader {
    struct completions *completions;
    struct worker *worker; /* from the first reading on */
    char *directory;
    struct read *reads; /* all that were not given back */
    size_t waiting;
    atomic_bool stopping;
};

struct read {
    struct work work;
    struct read *next;
    struct audit_reader *reader;
    void (*done)(const struct audit_result *result, void *context);
    void *context;
    uint64_t since_us, until_us;
    size_t limit;
    char *matches[6]; /* "FIELD=value" */
    size_t match_count;
    struct audit_result result;
};

static void read_free(struct read *read)
{
    for (size_t i = 0; i < read->match_count; i++)
        free(read->matches[i]);
    for (size_t i = 0; i < read->result.count; i++) {
        for (size_t k = 0; k < AUDIT_FIELDS; k++)
            free(read->result.found[i].values[k]);
    }
    free(read->result.found);
    free(read);
}

/* NULL values match anything. */
static bool add_match(struct read *read, const char *field, const char *value)
{
    if (!value)
        return true;
    if (asprintf(&read->matches[read->match_count], "%s=%s", field, value) < 0)
        return false;
    read->match_count++;
    return true;
}

static struct read *read_new(struct audit_reader *reader, const struct audit_query *query)
{
    struct read *read = calloc(1, sizeof(*read));
    char user[24];

    if (!read)
        return NULL;
    read->reader = reader;
    read->since_us = query->since_us;
    read->until_us = query->until_us;
    read->limit = query->limit < AUDIT_READ_LIMIT ? query->limit : AUDIT_READ_LIMIT;
    read->result.found = calloc(read->limit, sizeof(*read->result.found));
    snprintf(user, sizeof(user), "%u", (unsigned)geteuid());
    if (!read->result.found || !add_match(read, "MESSAGE_ID", AUDIT_MESSAGE_ID) ||
            !add_match(read, "_UID", user) || !add_match(read, "DEVREG_PRINCIPAL", query->principal) ||
            !add_match(read, "DEVREG_REGION", query->region) ||
            !add_match(read, "DEVREG_ACTION", query->action) ||
            !add_match(read, "DEVREG_RESULT", query->result)) {
        read_free(read);
        return NULL;
    }
    return read;
}

static int open_journal(const struct read *read, sd_journal **ret_journal)
{
    _cleanup_(sd_journal_closep) sd_journal *journal = NULL;
    const char *directory = read->reader->directory;
    uint64_t octets = 0;
    int r = directory ? sd_journal_open_directory(&journal, directory, 0)
                      : sd_journal_open(&journal, SD_JOURNAL_LOCAL_ONLY);

    if (r == -ENOENT)
        return -ENODATA;
    if (r < 0)
        return r;
    r = sd_journal_get_usage(journal, &octets);
    if (r < 0)
        return r;
    if (octets == 0)
        return -ENODATA; /* no file, or none that may be read */
    r = sd_journal_set_data_threshold(journal, VALUE_SIZE);
    for (size_t i = 0; r >= 0 && i < read->match_count; i++)
        r = sd_journal_add_match(journal, read->matches[i], 0);
    if (r < 0)
        return r;
    *ret_journal = take_ptr(journal);
    return 0;
}

/* A field as the journal has it, with its name and without an end. */
static int take_field(struct audit_found *found, const char *data, size_t size)
{
    const char *equals = memchr(data, '=', size);

    for (size_t i = 0; equals && i < AUDIT_FIELDS; i++) {
        size_t length = strlen(audit_field_names[i]);

        if ((size_t)(equals - data) != length || memcmp(data, audit_field_names[i], length) != 0 ||
                found->values[i])
            continue;
        found->values[i] = strndup(equals + 1, size - length - 1);
        return found->values[i] ? 0 : -ENOMEM;
    }
    return 0;
}

static int take_entry(sd_journal *journal, struct audit_found *found)
{
    const void *data;
    size_t size;

    SD_JOURNAL_FOREACH_DATA(journal, data, size)
    {
        int r = take_field(found, data, size);

        if (r < 0)
            return r;
    }
    return 0;
}

/* From the newest to the oldest. */
static int read_entries(struct read *read, sd_journal *journal)
{
    struct audit_result *result = &read->result;
    uint64_t deadline_us = clock_now_us() + READ_US;
    int r = sd_journal_seek_realtime_usec(journal, read->until_us);

    while (r >= 0 && result->count < read->limit) {
        uint64_t time_us = 0;

        if (atomic_load(&read->reader->stopping))
            return -ECANCELED;
        if (clock_now_us() > deadline_us)
            return -ETIMEDOUT;
        r = sd_journal_previous(journal);
        if (r <= 0)
            break;
        r = sd_journal_get_realtime_usec(journal, &time_us);
        if (r < 0 || time_us > read->until_us)
            continue;
        if (time_us < read->since_us)
            break;
        result->found[result->count].time_us = time_us;
        r = take_entry(journal, &result->found[result->count++]);
    }
    return r;
}

static void reverse(struct audit_result *result)
{
    for (size_t i = 0; i < result->count / 2; i++) {
        struct audit_found swapped = result->found[i];

        result->found[i] = result->found[result->count - 1 - i];
        result->found[result->count - 1 - i] = swapped;
    }
}

static void explain(struct read *read, int code)
{
    struct error *error = &read->result.error;

    if (code == -ECANCELED)
        error_set(error, -EAGAIN, "devregd is stopping");
    else if (code == -ETIMEDOUT)
        error_set(error, code,
                "reading the journal took more than %d seconds: ask for less of it, with since or limit",
                READ_US / 1000000);
    else if (code == -ENODATA && access(AUDIT_JOURNAL_SOCKET, F_OK) < 0)
        error_set(error, code, "no journal here: audit records went to standard error");
    else if (code == -ENODATA)
        error_set(error, code,
                "devregd may not read the journal: add its user "
                "to the group systemd-journal, or use journalctl");
    else
        error_set(error, code, "reading the journal: %s", strerror(-code));
}

static void run(struct work *work)
{
    struct read *read = container_of(work, struct read, work);
    _cleanup_(sd_journal_closep) sd_journal *journal = NULL;
    int r = open_journal(read, &journal);

    if (r >= 0)
        r = read_entries(read, journal);
    if (r < 0)
        explain(read, r);
    reverse(&read->result);
}

static void forget(struct audit_reader *reader, struct read *read)
{
    struct read **link = &reader->reads;

    while (*link != read)
        link = &(*link)->next;
    *link = read->next;
    reader->waiting--;
}

static void handle_finished(struct work *work, void *context)
{
    struct read *read = container_of(work, struct read, work);

    if (work->end == WORK_STOPPED)
        explain(read, -ECANCELED);
    forget(context, read);
    read->done(&read->result, read->context);
    read_free(read);
}

int audit_reader_new(sd_event *event, const char *directory, struct audit_reader **ret_reader)
{
    struct audit_reader *reader = calloc(1, sizeof(*reader));
    int r = -ENOMEM;

    if (!reader)
        return -ENOMEM;
    if (directory)
        reader->directory = strdup(directory);
    if (reader->directory || !directory)
        r = completions_new(event, handle_finished, reader, &reader->completions);
    if (r < 0) {
        free(reader->directory);
        free(reader);
        return r;
    }
    *ret_reader = reader;
    return 0;
}

int audit_reader_submit(struct audit_reader *reader, const struct audit_query *query,
        void (*done)(const struct audit_result *result, void *context), void *context, struct error *error)
{
    struct read *read;
    int r;

    if (reader->waiting >= WAITING)
        return error_set(
                error, -EAGAIN, "%zu others are reading the audit: try again later", reader->waiting);
    if (!reader->worker) {
        r = worker_new(reader->completions, &reader->worker);
        if (r < 0)
            return error_set(error, -EAGAIN, "no thread to read the audit: %s", strerror(-r));
    }
    read = read_new(reader, query);
    if (!read)
        return error_set(error, -ENOMEM, "out of memory: try again, or ask for less");
    read->work.run = run;
    read->done = done;
    read->context = context;
    read->next = reader->reads;
    reader->reads = read;
    reader->waiting++;
    worker_submit(reader->worker, &read->work);
    return 0;
}

void audit_reader_cancel(struct audit_reader *reader)
{
    atomic_store(&reader->stopping, true);
    if (reader->worker)
        worker_cancel(reader->worker, WORK_STOPPED, 0);
}

bool audit_reader_free(struct audit_reader *reader, unsigned timeout_ms)
{
    if (!reader)
        return true;
    audit_reader_cancel(reader);
    if (!worker_free(take_ptr(reader->worker), timeout_ms))
        return false;
    completions_free(reader->completions);
    while (reader->reads) {
        struct read *read = reader->reads;

        reader->reads = read->next;
        read_free(read);
    }
    free(reader->directory);
    free(reader);
    return true;
}
