/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The record of what was changed, refused and administered, in the journal. The names of the fields do not
 * change; devregctl(1) has them too.
 *
 *   DEVREG_PRINCIPAL   who: "user:alice", "token:ci", "certificate:rig1", "anonymous"; "devregd" itself
 *   DEVREG_PEER        from where: "uid=1000 pid=4711", "192.0.2.1:4711"
 *   DEVREG_REQUEST     the request's id, also in the answer's header Devreg-Request
 *   DEVREG_ACTION      what: "read", "write", "modify", "token.create", ...
 *   DEVREG_SUBJECT     of an administrative act: a token's name, a reservation's id
 *   DEVREG_REGION, DEVREG_OFFSET, DEVREG_WIDTH (bits), DEVREG_COUNT (accesses; of a buffer: octets)
 *   DEVREG_FIXED       "1" when all were at that one offset, as to a FIFO
 *   DEVREG_MASK, DEVREG_OLD, DEVREG_NEW   values in hex, with commas; of more than eight the first seven,
 *                      "...", and the last
 *                      of device.bind and device.unbind the drivers before and after, if any
 *   DEVREG_FORCED      "1" when it was to be done whoever needs the device
 *   DEVREG_RESULT      "ok", "refused" or "failed"
 *   DEVREG_STATUS      the HTTP status, when there was a request
 *   DEVREG_REASON      why it was refused or failed; for a takeover the reason that was given, for
 *                      what was forced who needed the device, for a reset what memory it gave back
 *
 * Every record also has MESSAGE, a sentence for people, PRIORITY (a refusal or a failure is a warning, a
 * change a notice, a mere look information), SYSLOG_IDENTIFIER=devregd and MESSAGE_ID=AUDIT_MESSAGE_ID, so
 *
 *   journalctl MESSAGE_ID=7288040bd1d44054add61bec479709f9 DEVREG_PRINCIPAL=user:alice
 *
 * lists what alice did. Records that there was no room for are a record of their own: the action
 * "audit.lost", with how many in DEVREG_COUNT. Where there is no journal, each is a line on standard error.
 * journald itself drops what a service sends beyond its rate limit (journald.conf(5)), and says so: a
 * service for which that may not be has LogRateLimitIntervalSec=0. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/error.h"

struct audit;

/* The journal's fields above, in that order. */
enum { AUDIT_FIELDS = 17 };
extern const char *const audit_field_names[AUDIT_FIELDS];

#define AUDIT_MESSAGE_ID     "7288040bd1d44054add61bec479709f9"
#define AUDIT_JOURNAL_SOCKET "/run/systemd/journal/socket"

enum {
    AUDIT_VALUES_SIZE = 200,
    AUDIT_RECORDS = 8192,      /* that may wait for the journal */
    AUDIT_REQUEST_RECORDS = 2, /* of one request, usually at most */
};

/* Texts may be NULL; then there is no such field. They are copied; what is far too long is cut. */
struct audit_record {
    const char *principal;
    const char *peer;
    const char *request;
    const char *action;
    const char *subject;
    const char *region;
    bool has_offset;
    uint64_t offset;
    unsigned width_bits; /* 0: none */
    uint64_t count;      /* 0: none */
    bool fixed;
    const char *mask;
    const char *old_value;
    const char *new_value;
    bool forced;
    const char *result;
    unsigned status; /* 0: none */
    const char *reason;
};

/* Records are written by a thread of its own, so that a journal that stalls delays nobody. Signals that the
 * loop takes must be blocked already. */
int audit_new(struct audit **ret_audit, struct error *error);

/* The same with another journal's socket. */
int audit_new_at(const char *journal_socket, struct audit **ret_audit, struct error *error);

/* Writes what is left, but waits no longer than this for a journal or a standard error that stalls. */
void audit_free(struct audit *audit, unsigned timeout_ms);

/* Whether there is room for the records of so many requests. When not, no change may be made. */
bool audit_has_room(const struct audit *audit, size_t requests);

/* Takes a record; audit may be NULL. One for which there is no room is counted, and the number is written
 * with the next one. A refusal has room while less than half is used. */
void audit_write(struct audit *audit, const struct audit_record *record);
