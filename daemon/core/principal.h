/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who asks: a Unix user, a token, a client certificate, or somebody who said nothing. A principal is settled
 * once for a request, before its body is read, and does not change then. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/permission.h"
#include "util/cleanup.h"

enum principal_kind {
    PRINCIPAL_ANONYMOUS, /* over TCP, without a token or a certificate */
    PRINCIPAL_USER,      /* of a Unix socket, as the kernel knows it */
    PRINCIPAL_TOKEN,
    PRINCIPAL_CERTIFICATE, /* verified against tls.client_ca */
};

enum {
    PRINCIPAL_SHORT_NAME = 64, /* octets of a name after its kind, at most */
    PRINCIPAL_NAME_SIZE = PRINCIPAL_SHORT_NAME + 16,
};

/* What a principal uses of the daemon. All principals of one name share one, so that nobody has more by
 * connecting twice. */
struct account {
    struct account *next;
    char name[PRINCIPAL_NAME_SIZE];
    unsigned references;
    uint64_t connections;
    uint64_t requests; /* under way */
    uint64_t streams;
    uint64_t data_bytes;
    uint64_t reservations; /* held and waiting */
    uint64_t buffers;      /* for DMA, also those that are being opened or closed */
    uint64_t buffer_bytes; /* of them */
    uint64_t safe_writes;  /* of reservations that have ended, still to be made */
};

struct principal {
    unsigned references;
    enum principal_kind kind;
    char name[PRINCIPAL_NAME_SIZE]; /* "user:alice", "token:ci", "certificate:rig1", "anonymous" */
    const char *short_name;         /* in name, after the colon; "" for anonymous */
    struct account *account;

    uid_t uid;     /* PRINCIPAL_USER */
    gid_t *groups; /* PRINCIPAL_USER: the primary one first */
    size_t group_count;

    /* PRINCIPAL_TOKEN: what the token narrows the access rules to. */
    permission_set scope;
    char **scope_regions; /* globs, ended by NULL; NULL: all */
    uint64_t expires;     /* seconds since the epoch; 0: never (also PRINCIPAL_CERTIFICATE) */
};

/* All accounts in use. */
struct accounts {
    struct account *first;
};

/* The account of that name. NULL out of memory. */
struct account *accounts_get(struct accounts *accounts, const char *name);
void accounts_put(struct accounts *accounts, struct account *account);

/* Makes a principal with one reference. name is without its kind, NULL for anonymous; it must be valid as
 * principal_name_is_valid() says. The caller fills in what is the kind's own. NULL out of memory. */
struct principal *principal_new(struct accounts *accounts, enum principal_kind kind, const char *name);
struct principal *principal_ref(struct principal *principal);
void principal_unref(struct accounts *accounts, struct principal *principal);

/* "anonymous", "user", "token", "certificate". */
const char *principal_kind_name(enum principal_kind kind);

/* Printable ASCII without blanks, quotes, '*', '?', '[', ']', '\' and ':', 1 to PRINCIPAL_SHORT_NAME octets:
 * what can stand in rules, on command lines and in journals without being taken for something else. */
bool principal_name_is_valid(const char *name);
