/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See principal.h. There are few accounts at a time, so they are a list. */
#include "core/principal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct account *accounts_get(struct accounts *accounts, const char *name)
{
    struct account *account = accounts->first;

    while (account && strcmp(account->name, name) != 0)
        account = account->next;
    if (!account) {
        account = calloc(1, sizeof(*account));
        if (!account)
            return NULL;
        snprintf(account->name, sizeof(account->name), "%s", name);
        account->next = accounts->first;
        accounts->first = account;
    }
    account->references++;
    return account;
}

void accounts_put(struct accounts *accounts, struct account *account)
{
    struct account **link = &accounts->first;

    if (!account || --account->references > 0)
        return;
    while (*link != account)
        link = &(*link)->next;
    *link = account->next;
    free(account);
}

struct principal *principal_new(struct accounts *accounts, enum principal_kind kind, const char *name)
{
    struct principal *principal = calloc(1, sizeof(*principal));
    size_t prefix;

    if (!principal)
        return NULL;
    principal->references = 1;
    principal->kind = kind;
    snprintf(principal->name, sizeof(principal->name), "%s%s%s", principal_kind_name(kind), name ? ":" : "",
            name ? name : "");
    prefix = strlen(principal_kind_name(kind)) + (name != NULL);
    principal->short_name = principal->name + prefix;
    principal->scope = PERMISSIONS_ALL;
    principal->account = accounts_get(accounts, principal->name);
    if (!principal->account) {
        free(principal);
        return NULL;
    }
    return principal;
}

struct principal *principal_ref(struct principal *principal)
{
    principal->references++;
    return principal;
}

void principal_unref(struct accounts *accounts, struct principal *principal)
{
    if (!principal || --principal->references > 0)
        return;
    accounts_put(accounts, principal->account);
    for (size_t i = 0; principal->scope_regions && principal->scope_regions[i]; i++)
        free(principal->scope_regions[i]);
    free(principal->scope_regions);
    free(principal->groups);
    free(principal);
}

const char *principal_kind_name(enum principal_kind kind)
{
    static const char *const names[] = {"anonymous", "user", "token", "certificate"};

    return names[kind];
}

bool principal_name_is_valid(const char *name)
{
    size_t length = strlen(name);

    if (length == 0 || length > PRINCIPAL_SHORT_NAME)
        return false;
    for (size_t i = 0; i < length; i++) {
        if (name[i] <= 0x20 || name[i] >= 0x7f || strchr("\"'`*?[]\\:,", name[i]))
            return false;
    }
    return true;
}
