/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* state_tokens.c: what is taken is written and read again as the same; what is not says why. */
#include <errno.h>
#include <string.h>

#include "fuzz.h"
#include "state_tokens.h"

static int never_save(void *context, struct error *error)
{
    (void)context;
    (void)error;
    abort();
}

static struct tokens *parse(struct accounts *accounts, const char *text, size_t size)
{
    struct tokens *tokens = NULL;
    struct error error = {0};
    int r;

    fuzz_assert(tokens_new(accounts, 1024, never_save, NULL, &tokens) == 0);
    r = state_tokens_parse(text, size, tokens, &error);
    if (r == 0)
        return tokens;
    fuzz_assert((r == -EINVAL || r == -EEXIST) && error.code == r && error.message[0]);
    tokens_free(tokens);
    return NULL;
}

static void check(const struct tokens *tokens)
{
    for (size_t i = 0; i < tokens_count(tokens); i++) {
        const struct principal *principal = tokens_at(tokens, i)->principal;

        fuzz_assert(principal_name_is_valid(principal->short_name));
        fuzz_assert(principal->scope && !(principal->scope & ~PERMISSIONS_ALL));
        fuzz_assert(!principal->scope_regions || principal->scope_regions[0]);
        fuzz_assert(i == 0 ||
                    strcmp(tokens_at(tokens, i - 1)->principal->short_name, principal->short_name) < 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct accounts accounts = {0};
    struct buffer first = {0}, second = {0};
    struct tokens *tokens = parse(&accounts, (const char *)data, size), *again;

    if (tokens) {
        check(tokens);
        state_tokens_write(tokens, &first);
        again = parse(&accounts, first.data, first.size);
        fuzz_assert(again);
        state_tokens_write(again, &second);
        fuzz_assert(first.size == second.size && memcmp(first.data, second.data, first.size) == 0);
        tokens_free(again);
    }
    tokens_free(tokens);
    buffer_done(&first);
    buffer_done(&second);
    fuzz_assert(!accounts.first);
    return 0;
}
