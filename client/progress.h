/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How far a transfer has come, for somebody who sits before a terminal: a line on standard error that is
 * drawn anew while it lasts, and gone afterwards. Anywhere else, and of what is quickly done, nothing. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct progress {
    bool wanted;
    bool shown;
    uint64_t total; /* octets; 0: nobody knows */
    uint64_t begun_us, drawn_us;
};

/* Begins a transfer. `beside`: whether standard output is free of what the line would be mixed with. */
void progress_begin(struct progress *progress, bool beside);

/* So much is done; at any time, as often as one likes. */
void progress_show(struct progress *progress, uint64_t done);

/* Takes the line away. */
void progress_end(struct progress *progress);
