/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Answers of a known length that are never in memory as a whole: the next piece is asked for when the one
 * before it has gone into the socket. */
#pragma once

#include <microhttpd.h>

#include "api/call.h"
#include "http/reaper.h"

/* For a call that was answered with pieces; both must outlive it. It has a deadline for each piece, so a
 * client that takes nothing is cut, and one that takes something is not. NULL out of memory. */
struct MHD_Response *pieces_response(struct call *call, struct reaper_entry *entry);
