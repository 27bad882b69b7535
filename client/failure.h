/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Why a verb failed: an exit code and a problem document (RFC 9457). A failure that the daemon reported and
 * one that was found here have the same shape, so both are printed by the same two writers. */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include <jansson.h>

#include "util/cleanup.h"
#include "util/error.h"

/* Scripts depend on these numbers: they never change. The man page lists them. */
enum exit_code {
    EXIT_CODE_OK = 0,
    EXIT_CODE_OTHER = 1,         /* input or output failed, or an unexpected answer */
    EXIT_CODE_USAGE = 2,         /* the command line, or the request made from it, is wrong */
    EXIT_CODE_REFUSED = 3,       /* not allowed: by an access rule, or by the register */
    EXIT_CODE_NOT_FOUND = 4,     /* no such region or register, or outside the region */
    EXIT_CODE_CONFLICT = 5,      /* busy, or held by another */
    EXIT_CODE_BUS_FAULT = 6,     /* bus fault, or the device is gone */
    EXIT_CODE_TIMEOUT = 7,       /* no answer in time */
    EXIT_CODE_NO_CONNECTION = 8, /* no daemon to talk to */

    /* Of `reserve TARGET -- COMMAND`, as shells have them; all others are the command's own. */
    EXIT_CODE_NOT_EXECUTABLE = 126,
    EXIT_CODE_NO_COMMAND = 127,
};

struct failure {
    enum exit_code code;
    unsigned status; /* the HTTP status of the daemon's problem document; 0 for what was found here */
    unsigned retry_after_seconds; /* what the daemon asks for; 0: nothing */
    bool reported;                /* it was printed when it happened: only the exit code is left to say */
    json_t *problem;              /* owned; NULL when there was no memory for it */
};

void failure_done(struct failure *failure);
#define _cleanup_failure_ _cleanup_(failure_done)

/* Fills the failure with what was found here. Octets that a terminal would act on are neutralised.
 * Always returns -1, so that a caller can `return failure_set(...)`. */
int failure_set(struct failure *failure, enum exit_code code, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

/* The same with the message of a struct error. */
int failure_set_error(struct failure *failure, enum exit_code code, const struct error *error);

/* The same for an answer with a status other than 200. `problem` is what came with it, or NULL when that
 * was no problem document; `source` names the daemon. A reference is taken. */
int failure_set_status(struct failure *failure, unsigned status, json_t *problem, const char *source);

/* Puts a sentence after the detail: "DETAIL; SENTENCE". */
void failure_append(struct failure *failure, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Hands it over; what was there before is dropped. */
void failure_move(struct failure *failure, struct failure *from);

/* One sentence for people. */
const char *failure_detail(const struct failure *failure);

/* For people ("devregctl: DETAIL", and a line about who holds what was asked for, or when to try again), or
 * the problem document. */
void failure_write_text(FILE *stream, const struct failure *failure);
void failure_write_json(FILE *stream, const struct failure *failure);

/* Prints it on standard error, in one way or the other, unless that was done before. */
void failure_report(struct failure *failure, bool json);
