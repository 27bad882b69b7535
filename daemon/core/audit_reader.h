/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The audit's records as the journal has them. Reading it can take long, so a thread does. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <systemd/sd-event.h>

#include "core/audit.h"
#include "util/error.h"

struct audit_reader;

enum { AUDIT_READ_LIMIT = 1000 /* records in one result */ };

/* Texts are compared in whole; NULL: any. */
struct audit_query {
    uint64_t since_us, until_us; /* since the epoch, both included */
    const char *principal;
    const char *region;
    const char *action;
    const char *result;
    size_t limit; /* the newest so many, 1 to AUDIT_READ_LIMIT */
};

struct audit_found {
    uint64_t time_us;           /* when the journal took it */
    char *values[AUDIT_FIELDS]; /* NULL for what the record has not */
};

struct audit_result {
    struct error error;        /* code 0: it went well. -ENODATA: there is no journal to read */
    struct audit_found *found; /* oldest first */
    size_t count;
};

/* Reads the machine's journal, or that in the directory. */
int audit_reader_new(sd_event *event, const char *directory, struct audit_reader **ret_reader);

/* Calls `done` on the loop, later; the result is valid until that returns. The query is copied. -EAGAIN when
 * too many wait already. */
int audit_reader_submit(struct audit_reader *reader, const struct audit_query *query,
        void (*done)(const struct audit_result *result, void *context), void *context, struct error *error);

/* Gives back all that waits, with an error, and what is being read soon. */
void audit_reader_cancel(struct audit_reader *reader);

/* What was not given back yet never will be. Returns false when the thread did not end within the time: then
 * the reader must not be touched any more. */
bool audit_reader_free(struct audit_reader *reader, unsigned timeout_ms);
