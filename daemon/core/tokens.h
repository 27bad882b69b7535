/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Bearer tokens: made from 256 random bits, shown once, kept as SHA-256 hashes. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/principal.h"
#include "util/error.h"

#define TOKEN_PREFIX "devreg_" /* lets people and programs that look for leaked secrets find them */

enum {
    TOKEN_SECRET_SIZE = 64, /* of the text, with its NUL: "devreg_" and 43 characters of base64url */
    TOKEN_HASH_SIZE = 32,   /* octets */
    TOKEN_REGIONS = 32,     /* globs of one token */
    TOKEN_REGION_SIZE = 64, /* of one glob, with its NUL */
};

/* A token's longest life. */
static const uint64_t TOKEN_LIFETIME_SECONDS = UINT64_C(10) * 366 * 86400;

struct token {
    uint8_t hash[TOKEN_HASH_SIZE];
    struct principal *principal; /* with name, scope and expiry */
    uint64_t created;            /* seconds since the epoch */
    bool expired;                /* it was seen to be; that does not change when the date is set back */
    char created_by[PRINCIPAL_NAME_SIZE];
};

struct tokens;

/* What a token is to be. */
struct token_wish {
    const char *name;
    permission_set scope;
    char *const *regions;      /* globs, ended by NULL; NULL: all */
    uint64_t lifetime_seconds; /* 0: it never expires */
    const char *created_by;
};

/* save is called after each change; when it fails the change is taken back. limit: how many there may be. */
int tokens_new(struct accounts *accounts, size_t limit, int (*save)(void *context, struct error *error),
        void *context, struct tokens **ret_tokens);
void tokens_free(struct tokens *tokens);

/* Makes one; the text is filled in and nowhere else: wipe it when it has been shown. -EINVAL for a name that
 * is none, a scope without permissions, an impossible glob or life, -EEXIST when there is one of that name
 * already, -EDQUOT when there are too many, what save returned. */
int tokens_create(struct tokens *tokens, const struct token_wish *wish, char ret_secret[TOKEN_SECRET_SIZE],
        const struct token **ret_token, struct error *error);

/* Takes over one that was saved, without saving. The wish's lifetime does not count; expires is 0 for never.
 * -EINVAL and -EEXIST as above. */
int tokens_restore(struct tokens *tokens, const uint8_t hash[TOKEN_HASH_SIZE], const struct token_wish *wish,
        uint64_t created, uint64_t expires, bool expired, struct error *error);

/* What is still under way for it has no permission from then on. -ENOENT when there is none of that name. */
int tokens_revoke(struct tokens *tokens, const char *name, struct error *error);

/* The principal of a token's text; it belongs to the tokens (take a reference). Takes as long for a wrong
 * text as for a right one. -EKEYREJECTED for one that is malformed, not known or expired; the message says
 * which of these only as far as the asker can know it already. */
int tokens_authenticate(
        struct tokens *tokens, const char *secret, struct principal **ret_principal, struct error *error);

/* Notes which tokens have expired; authenticating does that too. */
void tokens_expire(struct tokens *tokens);

size_t tokens_count(const struct tokens *tokens);
const struct token *tokens_at(const struct tokens *tokens, size_t index); /* sorted by name */
