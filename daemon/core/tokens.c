/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A token's text exists where it is made and in the requests that bring it; what is kept is its hash. The
 * text has 256 random bits, so the hash needs neither salt nor repetition.
 *
 * Expiry is a date, as people give it, and a time that runs from when the token was made or restored. It is
 * over at the first of both and stays over: setting the date back revives nothing. */
#include "core/tokens.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/clock.h"
#include "util/date.h"
#include "util/digest.h"

enum {
    RANDOM_SIZE = 32,
    TEXT_LENGTH = sizeof(TOKEN_PREFIX) - 1 + DIGEST_BASE64URL_SIZE(RANDOM_SIZE),
};

_Static_assert((int)TEXT_LENGTH < (int)TOKEN_SECRET_SIZE, "a token's text does not fit");
_Static_assert((int)TOKEN_HASH_SIZE == (int)DIGEST_SIZE, "a token's hash is not SHA-256");

/* Expiry dates up to the year 9999, so that nothing below overflows. */
static const uint64_t LATEST_DATE = UINT64_C(253402300799);

struct entry {
    struct token token;
    uint64_t until_us; /* CLOCK_BOOTTIME */
};

struct tokens {
    struct accounts *accounts;
    size_t limit;
    int (*save)(void *context, struct error *error);
    void *context;
    struct entry **entries; /* sorted by name */
    size_t count;
};

static const char *entry_name(const struct entry *entry)
{
    return entry->token.principal->short_name;
}

static void entry_free(struct accounts *accounts, struct entry *entry)
{
    if (!entry)
        return;
    principal_unref(accounts, entry->token.principal);
    explicit_bzero(entry->token.hash, sizeof(entry->token.hash));
    free(entry);
}

int tokens_new(struct accounts *accounts, size_t limit, int (*save)(void *context, struct error *error),
        void *context, struct tokens **ret_tokens)
{
    struct tokens *tokens = calloc(1, sizeof(*tokens));

    if (!tokens)
        return -ENOMEM;
    tokens->accounts = accounts;
    tokens->limit = limit;
    tokens->save = save;
    tokens->context = context;
    *ret_tokens = tokens;
    return 0;
}

void tokens_free(struct tokens *tokens)
{
    if (!tokens)
        return;
    for (size_t i = 0; i < tokens->count; i++)
        entry_free(tokens->accounts, tokens->entries[i]);
    free(tokens->entries);
    free(tokens);
}

/* The index of the first that is not before the name. */
static size_t find_index(const struct tokens *tokens, const char *name)
{
    size_t low = 0, high = tokens->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (strcmp(entry_name(tokens->entries[middle]), name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_at(const struct tokens *tokens, size_t index, const char *name)
{
    return index < tokens->count && strcmp(entry_name(tokens->entries[index]), name) == 0;
}

/* What can stand in a rule and in a list without being taken for something else. */
static bool is_glob(const char *glob)
{
    size_t length = strlen(glob);

    if (length == 0 || length >= TOKEN_REGION_SIZE)
        return false;
    for (size_t i = 0; i < length; i++) {
        if (glob[i] <= 0x20 || glob[i] >= 0x7f)
            return false;
    }
    return true;
}

static int check_regions(char *const *regions, struct error *error)
{
    size_t count = 0;

    if (!regions)
        return 0;
    for (; regions[count]; count++) {
        if (!is_glob(regions[count]))
            return error_set(error, -EINVAL,
                    "'%.80s' is no pattern for regions: write 1 to %d characters without blanks, as edu*",
                    regions[count], TOKEN_REGION_SIZE - 1);
    }
    if (count == 0 || count > TOKEN_REGIONS)
        return error_set(error, -EINVAL, "a token is for 1 to %d patterns of regions, or for all regions",
                TOKEN_REGIONS);
    return 0;
}

/* A name stands in a path when its token is to be revoked. */
static bool is_name(const char *name)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

    return principal_name_is_valid(name) && !name[strspn(name, allowed)] && !strchr("._-", name[0]);
}

static int check_wish(const struct tokens *tokens, const struct token_wish *wish, struct error *error)
{
    if (!is_name(wish->name))
        return error_set(error, -EINVAL,
                "'%.80s' is no name for a token: use 1 to %d letters, "
                "digits, '.', '_' and '-', a letter or digit first",
                wish->name, PRINCIPAL_SHORT_NAME);
    if (!(wish->scope & PERMISSIONS_ALL) || wish->scope & ~PERMISSIONS_ALL)
        return error_set(error, -EINVAL, "a token without a permission would be of no use: give one");
    if (wish->lifetime_seconds > TOKEN_LIFETIME_SECONDS)
        return error_set(error, -EINVAL,
                "a token lives for 10 years at most: give fewer "
                "seconds, or none for one that never expires");
    if (is_at(tokens, find_index(tokens, wish->name), wish->name))
        return error_set(error, -EEXIST,
                "there is a token %s already: revoke it first, or choose another name", wish->name);
    return check_regions(wish->regions, error);
}

static char **copy_regions(char *const *regions)
{
    char **copy = calloc(TOKEN_REGIONS + 1, sizeof(*copy));

    for (size_t i = 0; copy && regions[i]; i++) {
        copy[i] = strdup(regions[i]);
        if (copy[i])
            continue;
        for (size_t k = 0; k < i; k++)
            free(copy[k]);
        free(take_ptr(copy));
    }
    return copy;
}

static struct entry *entry_new(struct tokens *tokens, const struct token_wish *wish)
{
    struct entry *entry = calloc(1, sizeof(*entry));

    if (!entry)
        return NULL;
    entry->token.principal = principal_new(tokens->accounts, PRINCIPAL_TOKEN, wish->name);
    if (entry->token.principal && wish->regions)
        entry->token.principal->scope_regions = copy_regions(wish->regions);
    if (!entry->token.principal || (wish->regions && !entry->token.principal->scope_regions)) {
        entry_free(tokens->accounts, entry);
        return NULL;
    }
    entry->token.principal->scope = wish->scope;
    strncpy(entry->token.created_by, wish->created_by, sizeof(entry->token.created_by) - 1);
    return entry;
}

/* When the date is before the token was made it is wrong, and what is left is no more than it had then. */
static void start_time(struct entry *entry, uint64_t created, uint64_t expires)
{
    uint64_t date = date_now_us() / 1000000;
    uint64_t from = date > created ? date : created;

    entry->token.created = created;
    entry->token.principal->expires = expires;
    entry->until_us = clock_boottime_us() + (expires > from ? expires - from : 0) * 1000000;
}

static bool is_over(const struct entry *entry, uint64_t date, uint64_t now_us)
{
    uint64_t expires = entry->token.principal->expires;

    return expires && (entry->token.expired || date >= expires || now_us >= entry->until_us);
}

/* Whether any has expired since. */
static bool note_expired(struct tokens *tokens)
{
    uint64_t date = date_now_us() / 1000000;
    uint64_t now_us = clock_boottime_us();
    bool changed = false;

    for (size_t i = 0; i < tokens->count; i++) {
        struct entry *entry = tokens->entries[i];

        if (entry->token.expired || !is_over(entry, date, now_us))
            continue;
        entry->token.expired = changed = true;
    }
    return changed;
}

void tokens_expire(struct tokens *tokens)
{
    struct error error;

    /* That it can't be saved matters only if the date is set back before the next start. */
    if (note_expired(tokens))
        tokens->save(tokens->context, &error);
}

static int insert(struct tokens *tokens, struct entry *entry)
{
    size_t index = find_index(tokens, entry_name(entry));
    struct entry **entries = reallocarray(tokens->entries, tokens->count + 1, sizeof(struct entry *));

    if (!entries)
        return -ENOMEM;
    memmove(&entries[index + 1], &entries[index], (tokens->count - index) * sizeof(struct entry *));
    entries[index] = entry;
    tokens->entries = entries;
    tokens->count++;
    return 0;
}

static struct entry *take_out(struct tokens *tokens, size_t index)
{
    struct entry *entry = tokens->entries[index];

    tokens->count--;
    memmove(&tokens->entries[index], &tokens->entries[index + 1],
            (tokens->count - index) * sizeof(struct entry *));
    return entry;
}

/* The hash of what is brought: as long as a token, or a little longer, which is refused as well. */
static int hash_secret(const char *secret, uint8_t hash[TOKEN_HASH_SIZE])
{
    return digest_sha256(secret, strnlen(secret, TOKEN_SECRET_SIZE), hash);
}

static int make_secret(char secret[TOKEN_SECRET_SIZE], uint8_t hash[TOKEN_HASH_SIZE])
{
    uint8_t random[RANDOM_SIZE];
    int r = digest_random(random, sizeof(random));

    if (r < 0)
        return r;
    strcpy(secret, TOKEN_PREFIX);
    digest_base64url(random, sizeof(random), secret + strlen(TOKEN_PREFIX));
    explicit_bzero(random, sizeof(random));
    return hash_secret(secret, hash);
}

int tokens_create(struct tokens *tokens, const struct token_wish *wish, char ret_secret[TOKEN_SECRET_SIZE],
        const struct token **ret_token, struct error *error)
{
    char secret[TOKEN_SECRET_SIZE];
    uint64_t date = date_now_us() / 1000000;
    struct entry *entry;
    int r = check_wish(tokens, wish, error);

    if (r < 0)
        return r;
    if (tokens->count >= tokens->limit)
        return error_set(error, -EDQUOT,
                "there are %zu tokens, which is the limit: revoke one that nobody needs", tokens->count);
    entry = entry_new(tokens, wish);
    if (!entry)
        return error_set(error, -ENOMEM, "out of memory: try again");
    start_time(entry, date, wish->lifetime_seconds ? date + wish->lifetime_seconds : 0);
    r = make_secret(secret, entry->token.hash);
    if (r >= 0)
        r = insert(tokens, entry);
    if (r < 0) {
        error_set(error, r, "the token could not be made: %s", strerror(-r));
        entry_free(tokens->accounts, entry);
        goto out;
    }
    r = tokens->save(tokens->context, error);
    if (r < 0) {
        entry_free(tokens->accounts, take_out(tokens, find_index(tokens, wish->name)));
        goto out;
    }
    memcpy(ret_secret, secret, sizeof(secret));
    *ret_token = &entry->token;
out:
    explicit_bzero(secret, sizeof(secret));
    return r;
}

/* The time does not depend on the secret: the hash is of a text whose length the asker has chosen, SHA-256
 * neither branches nor looks anything up by what it hashes, and the hash is compared with that of every
 * token, each to its end, and where it was found is taken by a mask rather than a jump. What differs with
 * the outcome is after all that, and the answer says the outcome. And whoever measured how much of a hash
 * fits would not know of a text that has it. Returns the index plus 1, or 0. */
static size_t find_hash(const struct tokens *tokens, const uint8_t hash[TOKEN_HASH_SIZE])
{
    size_t found = 0;

    for (size_t i = 0; i < tokens->count; i++) {
        size_t mask = -(size_t)digest_equal(tokens->entries[i]->token.hash, hash, TOKEN_HASH_SIZE);

        found = (found & ~mask) | ((i + 1) & mask);
    }
    return found;
}

int tokens_restore(struct tokens *tokens, const uint8_t hash[TOKEN_HASH_SIZE], const struct token_wish *wish,
        uint64_t created, uint64_t expires, bool expired, struct error *error)
{
    struct token_wish checked = *wish;
    struct entry *entry;
    int r;

    checked.lifetime_seconds = 0;
    r = check_wish(tokens, &checked, error);
    if (r < 0)
        return r;
    if (find_hash(tokens, hash))
        return error_set(error, -EEXIST, "the token %s has the hash of another one", wish->name);
    if (expires > LATEST_DATE || created > LATEST_DATE || (expired && !expires))
        return error_set(error, -EINVAL, "the token %s has impossible dates", wish->name);
    entry = entry_new(tokens, &checked);
    if (!entry)
        return error_set(error, -ENOMEM, "out of memory");
    start_time(entry, created, expires);
    entry->token.expired = expired;
    memcpy(entry->token.hash, hash, TOKEN_HASH_SIZE);
    r = insert(tokens, entry);
    if (r < 0) {
        entry_free(tokens->accounts, entry);
        return error_set(error, r, "out of memory");
    }
    return 0;
}

int tokens_revoke(struct tokens *tokens, const char *name, struct error *error)
{
    size_t index = find_index(tokens, name);
    struct entry *entry;
    int r;

    if (!is_at(tokens, index, name))
        return error_set(error, -ENOENT, "there is no token '%.64s': /v1/tokens lists them", name);
    entry = take_out(tokens, index);
    r = tokens->save(tokens->context, error);
    entry->token.principal->scope = 0; /* others have references */
    entry_free(tokens->accounts, entry);
    /* A disk that is full must not keep anybody in. */
    return r < 0 ? error_prefix(error, "the token %s is revoked, but would be back when devregd starts anew",
                           name)
                 : 0;
}

static int refuse(const char *secret, struct error *error)
{
    if (strncmp(secret, TOKEN_PREFIX, strlen(TOKEN_PREFIX)) != 0 ||
            strnlen(secret, TOKEN_SECRET_SIZE) != TEXT_LENGTH)
        return error_set(error, -EKEYREJECTED,
                "that is no token of devreg: send all of it, " TOKEN_PREFIX
                " and %d characters, after Bearer",
                (int)(TEXT_LENGTH - strlen(TOKEN_PREFIX)));
    return error_set(error, -EKEYREJECTED,
            "this token is not known here: it was revoked, or is another daemon's; ask for a new one");
}

int tokens_authenticate(
        struct tokens *tokens, const char *secret, struct principal **ret_principal, struct error *error)
{
    uint8_t hash[TOKEN_HASH_SIZE];
    const struct token *token;
    size_t found;

    if (hash_secret(secret, hash) < 0)
        return error_set(error, -EKEYREJECTED, "tokens can't be checked: SHA-256 is not available");
    tokens_expire(tokens);
    found = find_hash(tokens, hash);
    explicit_bzero(hash, sizeof(hash));
    if (found == 0)
        return refuse(secret, error);
    token = &tokens->entries[found - 1]->token;
    if (token->expired) {
        char date[DATE_SIZE];

        return error_set(error, -EKEYREJECTED, "the token %s expired on %s: ask for a new one",
                token->principal->short_name, date_format(token->principal->expires, date));
    }
    *ret_principal = token->principal;
    return 0;
}

size_t tokens_count(const struct tokens *tokens)
{
    return tokens->count;
}

const struct token *tokens_at(const struct tokens *tokens, size_t index)
{
    return &tokens->entries[index]->token;
}
