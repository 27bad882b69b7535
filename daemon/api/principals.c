/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See principals.h. The user database may be slow; only administrators get here. */
#include "api/principals.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/tokens.h"
#include "util/cleanup.h"
#include "util/number.h"

enum {
    ENTRY_SIZE = 16 * 1024, /* of a user in the database */
    GROUPS = 65536,         /* of a user, at most: NGROUPS_MAX */
};

static int find_groups(struct principal *principal, const struct passwd *entry)
{
    int count = 64;

    for (;;) {
        int room = count;
        gid_t *groups = reallocarray(principal->groups, (size_t)room, sizeof(*groups));

        if (!groups)
            return -ENOMEM;
        principal->groups = groups;
        if (getgrouplist(entry->pw_name, entry->pw_gid, groups, &count) >= 0) {
            principal->group_count = (size_t)count;
            return 0;
        }
        count = count > room ? count : 2 * room;
        if (count > GROUPS)
            return -E2BIG;
    }
}

/* A number without a name in the database is a user too, who is in no group that is known. */
static int find_user(
        struct daemon *daemon, const char *name, struct principal **ret_principal, struct error *error)
{
    _cleanup_free_ char *buffer = malloc(ENTRY_SIZE);
    struct passwd entry, *found = NULL;
    struct principal *principal;
    uint64_t uid = UINT64_MAX;
    int r;

    if (!buffer)
        return error_set(error, -ENOMEM, "out of memory");
    r = getpwnam_r(name, &entry, buffer, ENTRY_SIZE, &found);
    if (!found && number_parse(name, &uid) == 0 && uid < UINT32_MAX)
        r = getpwuid_r((uid_t)uid, &entry, buffer, ENTRY_SIZE, &found);
    if (!found && r != 0 && r != ENOENT && r != ESRCH)
        return error_set(error, -EAGAIN, "user %s can't be looked up: %s", name, strerror(r));
    if (!found && uid >= UINT32_MAX)
        return error_set(error, -ENOENT, "there is no user %s on the daemon's machine", name);
    principal = principal_new(&daemon->accounts, PRINCIPAL_USER,
            found && principal_name_is_valid(found->pw_name) ? found->pw_name : name);
    if (!principal)
        return error_set(error, -ENOMEM, "out of memory");
    principal->uid = found ? found->pw_uid : (uid_t)uid;
    r = found ? find_groups(principal, found) : 0;
    if (r < 0) {
        principal_unref(&daemon->accounts, principal);
        return error_set(error, r, "the groups of user %s can't be found: %s", name, strerror(-r));
    }
    *ret_principal = principal;
    return 0;
}

/* With the scope and expiry of the one there is now. */
static int find_token(
        struct daemon *daemon, const char *name, struct principal **ret_principal, struct error *error)
{
    size_t count = daemon->tokens ? tokens_count(daemon->tokens) : 0;

    for (size_t i = 0; i < count; i++) {
        const struct token *token = tokens_at(daemon->tokens, i);

        if (strcmp(token->principal->short_name, name) == 0) {
            *ret_principal = principal_ref(token->principal);
            return 0;
        }
    }
    return error_set(error, -ENOENT, "there is no token %s: GET /v1/tokens lists them", name);
}

static int make(struct daemon *daemon, enum principal_kind kind, const char *name,
        struct principal **ret_principal, struct error *error)
{
    *ret_principal = principal_new(&daemon->accounts, kind, name);
    return *ret_principal ? 0 : error_set(error, -ENOMEM, "out of memory");
}

int principals_find(
        struct daemon *daemon, const char *text, struct principal **ret_principal, struct error *error)
{
    const char *colon = strchr(text, ':');
    size_t length = colon ? (size_t)(colon - text) : 0;

    if (strcmp(text, "anonymous") == 0)
        return make(daemon, PRINCIPAL_ANONYMOUS, NULL, ret_principal, error);
    if (colon && principal_name_is_valid(colon + 1)) {
        if (length == 4 && strncmp(text, "user", length) == 0)
            return find_user(daemon, colon + 1, ret_principal, error);
        if (length == 5 && strncmp(text, "token", length) == 0)
            return find_token(daemon, colon + 1, ret_principal, error);
        if (length == 11 && strncmp(text, "certificate", length) == 0)
            return make(daemon, PRINCIPAL_CERTIFICATE, colon + 1, ret_principal, error);
    }
    return error_set(error, -EINVAL,
            "'%.80s' is no principal: expected user:NAME, token:NAME, certificate:NAME or anonymous", text);
}
