/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An audit record in its three forms: the journal's fields, the sentence among them, and a line of text for
 * where there is no journal. Whatever is in a record, it can't add a field, a line or a key to any of them.
 */
#pragma once

#include "core/audit.h"
#include "util/buffer.h"

/* A datagram of the journal's native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL). */
void audit_text_journal(struct buffer *datagram, const struct audit_record *record);

/* "user:alice write edu:0x4, 32 bits, 0x1 (was 0x0): ok". Printable ASCII; other octets are \xHH. */
void audit_text_sentence(struct buffer *text, const struct audit_record *record);

/* "principal=user:alice action=write ...". Printable ASCII; values with blanks, quotes or backslashes are in
 * quotes. */
void audit_text_line(struct buffer *text, const struct audit_record *record);

/* syslog's severity: a refusal or a failure is a warning, a change a notice, anything else information. */
int audit_text_priority(const struct audit_record *record);
