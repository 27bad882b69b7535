/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The verbs: one table, from which dispatch, help and completion come. A new verb is one file cmd_*.c and
 * one row in verbs.c. */
#pragma once

#include <stdio.h>

#include "connection.h"
#include "failure.h"
#include "options.h"

/* One use of a verb. */
struct call {
    const struct verb *verb;
    const struct options *options;
    char **operands;
    unsigned operand_count;
    char **command;               /* what comes after "--", ended by NULL; NULL: there is no such */
    struct connection connection; /* of call_connect() */
    void (*sigpipe)(int);         /* what SIGPIPE did before devregctl ignored it: for commands */

    /* What a run that returns 0 ends devregctl with, instead of 0: a command's exit code, or the signal that
     * asked devregctl to end and that it has cleaned up for. */
    int exit_code;
    int exit_signal;
};

/* Resolves the host. Verbs call it when the command line has been judged, before the first request. */
int call_connect(struct call *call, struct failure *failure);

struct verb {
    const char *name; /* one word, or two: "data get" */
    const char *arguments;
    const char *summary;
    const char *details; /* lines for the verb's help */
    const char *examples;
    uint64_t options; /* besides the global ones */
    unsigned least_operands, most_operands;

    /* Does it. Returns 0, or -1 with the failure filled. *ret_result is what --json prints; it may be left
     * NULL, and it may be set together with a failure, for what had been done by then. */
    int (*run)(struct call *call, json_t **ret_result, struct failure *failure);

    /* Prints a result for people. NULL: a success is silent. */
    void (*write_text)(FILE *stream, const struct call *call, const json_t *result);
};

/* All that may be said with it: its own options and the global ones. */
uint64_t verb_options(const struct verb *verb);

/* Finds the verb that words[0] (and words[1]) name; *ret_words is how many words its name has. Returns
 * NULL with the failure filled when there is none. */
const struct verb *verb_find(
        char *const *words, unsigned count, unsigned *ret_words, struct failure *failure);

/* The exact name, "data get". */
const struct verb *verb_by_name(const char *name);

void verbs_write_help(FILE *stream);
void verbs_write_names(FILE *stream);
void verb_write_help(FILE *stream, const struct verb *verb);
void verb_write_usage(FILE *stream, const struct verb *verb);

int cmd_list(struct call *call, json_t **ret_result, struct failure *failure);
void cmd_list_write(FILE *stream, const struct call *call, const json_t *result);
int cmd_show(struct call *call, json_t **ret_result, struct failure *failure);
void cmd_show_write(FILE *stream, const struct call *call, const json_t *result);
int cmd_read(struct call *call, json_t **ret_result, struct failure *failure);
void cmd_read_write(FILE *stream, const struct call *call, const json_t *result);
int cmd_write(struct call *call, json_t **ret_result, struct failure *failure);
void cmd_write_write(FILE *stream, const struct call *call, const json_t *result);
int cmd_data_get(struct call *call, json_t **ret_result, struct failure *failure);
int cmd_data_put(struct call *call, json_t **ret_result, struct failure *failure);
int cmd_status(struct call *call, json_t **ret_result, struct failure *failure);
void cmd_status_write(FILE *stream, const struct call *call, const json_t *result);
int cmd_explain(struct call *call, json_t **ret_result, struct failure *failure);
void cmd_explain_write(FILE *stream, const struct call *call, const json_t *result);
int cmd_whoami(struct call *call, json_t **ret_result, struct failure *failure);
void cmd_whoami_write(FILE *stream, const struct call *call, const json_t *result);
int cmd_token_create(struct call *call, json_t **ret_result, struct failure *failure);
void cmd_token_create_write(FILE *stream, const struct call *call, const json_t *result);
int cmd_token_list(struct call *call, json_t **ret_result, struct failure *failure);
void cmd_token_list_write(FILE *stream, const struct call *call, const json_t *result);
int cmd_token_revoke(struct call *call, json_t **ret_result, struct failure *failure);
int cmd_access_explain(struct call *call, json_t **ret_result, struct failure *failure);
void cmd_access_explain_write(FILE *stream, const struct call *call, const json_t *result);
int cmd_reserve(struct call *call, json_t **ret_result, struct failure *failure);
void cmd_reserve_write(FILE *stream, const struct call *call, const json_t *result);
int cmd_renew(struct call *call, json_t **ret_result, struct failure *failure);
void cmd_renew_write(FILE *stream, const struct call *call, const json_t *result);
int cmd_release(struct call *call, json_t **ret_result, struct failure *failure);
int cmd_reservations(struct call *call, json_t **ret_result, struct failure *failure);
void cmd_reservations_write(FILE *stream, const struct call *call, const json_t *result);
int cmd_bind(struct call *call, json_t **ret_result, struct failure *failure);
int cmd_unbind(struct call *call, json_t **ret_result, struct failure *failure);
void cmd_bind_write(FILE *stream, const struct call *call, const json_t *result);
int cmd_reset(struct call *call, json_t **ret_result, struct failure *failure);
void cmd_reset_write(FILE *stream, const struct call *call, const json_t *result);
int cmd_interrupts(struct call *call, json_t **ret_result, struct failure *failure);
void cmd_interrupts_write(FILE *stream, const struct call *call, const json_t *result);
int cmd_interrupts_mask(struct call *call, json_t **ret_result, struct failure *failure);
int cmd_interrupts_unmask(struct call *call, json_t **ret_result, struct failure *failure);
int cmd_interrupts_watch(struct call *call, json_t **ret_result, struct failure *failure);
int cmd_interrupts_wait(struct call *call, json_t **ret_result, struct failure *failure);
int cmd_buffer_alloc(struct call *call, json_t **ret_result, struct failure *failure);
void cmd_buffer_alloc_write(FILE *stream, const struct call *call, const json_t *result);
int cmd_buffer_list(struct call *call, json_t **ret_result, struct failure *failure);
void cmd_buffer_list_write(FILE *stream, const struct call *call, const json_t *result);
int cmd_buffer_show(struct call *call, json_t **ret_result, struct failure *failure);
void cmd_buffer_show_write(FILE *stream, const struct call *call, const json_t *result);
int cmd_buffer_get(struct call *call, json_t **ret_result, struct failure *failure);
int cmd_buffer_put(struct call *call, json_t **ret_result, struct failure *failure);
int cmd_buffer_fill(struct call *call, json_t **ret_result, struct failure *failure);
int cmd_buffer_sync(struct call *call, json_t **ret_result, struct failure *failure);
int cmd_buffer_renew(struct call *call, json_t **ret_result, struct failure *failure);
void cmd_buffer_renew_write(FILE *stream, const struct call *call, const json_t *result);
int cmd_buffer_free(struct call *call, json_t **ret_result, struct failure *failure);
int cmd_audit(struct call *call, json_t **ret_result, struct failure *failure);
void cmd_audit_write(FILE *stream, const struct call *call, const json_t *result);
