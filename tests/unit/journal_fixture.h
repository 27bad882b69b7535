/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A journal in a directory of the test's, made by systemd-journal-remote of records as the audit sends them.
 */
#pragma once

#include "core/audit.h"
#include "test.h"

struct journal_fixture {
    char *directory;
    char *export; /* the path of what is to be in it */
    unsigned count;
};

void journal_open(struct journal_fixture *fixture);
void journal_close(struct journal_fixture *fixture);

/* Adds a record as journald keeps it when a process of the user sends it at this time. */
void journal_add(
        struct journal_fixture *fixture, uint64_t time_us, unsigned uid, const struct audit_record *record);

/* Makes the journal's file. */
void journal_finish(struct journal_fixture *fixture);
