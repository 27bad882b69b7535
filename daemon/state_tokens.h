/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* tokens.json in the state directory: the tokens' hashes and what they are for. */
#pragma once

#include "core/tokens.h"
#include "state.h"
#include "util/buffer.h"

#define STATE_TOKENS_FILE "tokens.json"

/* Tokens with the place where they are saved after each change. Must not move while they are in use. */
struct state_tokens {
    const struct state *state;
    struct tokens *tokens;
};

/* Makes the tokens of the file. That there is none is fine; one that can't be read or understood is not,
 * since all tokens would be gone without a word. Release saved->tokens with tokens_free(). */
int state_tokens_open(struct state_tokens *saved, const struct state *state, struct accounts *accounts,
        size_t limit, struct error *error);

/* Reads and writes the file's text; the first for all that was written by the second. Returns 0, -EINVAL or
 * -ENOMEM, with a message. */
int state_tokens_parse(const char *text, size_t size, struct tokens *tokens, struct error *error);
void state_tokens_write(const struct tokens *tokens, struct buffer *text);
