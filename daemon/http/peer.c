/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Users' names are kept for a while, as they may come from another machine and the loop waits for them. */
#include "http/peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "util/cleanup.h"
#include "util/clock.h"

enum {
    PLACE_ADDRESS = 1,
    PLACE_UID,
    GROUPS = 32, /* that most users have less of */
    NAME_US = 60000000,
};

int peers_init(struct peers *peers, struct daemon *daemon)
{
    *peers = (struct peers){.daemon = daemon};
    peers->anonymous = principal_new(&daemon->accounts, PRINCIPAL_ANONYMOUS, NULL);
    return peers->anonymous ? 0 : -ENOMEM;
}

void peers_done(struct peers *peers)
{
    if (peers->daemon)
        principal_unref(&peers->daemon->accounts, take_ptr(peers->anonymous));
}

/* A name of digits alone would be another user's number. */
static bool is_usable(const char *name)
{
    return principal_name_is_valid(name) && name[strspn(name, "0123456789")];
}

static const char *find_name(struct peers *peers, uid_t uid)
{
    struct peer_name *row = &peers->names[uid % PEER_NAMES];
    uint64_t now_us = clock_now_us();
    struct passwd entry, *found = NULL;
    char buffer[4096];

    if (row->uid != uid || row->until_us <= now_us) {
        if (getpwuid_r(uid, &entry, buffer, sizeof(buffer), &found) != 0 || !found ||
                !is_usable(found->pw_name))
            row->name[0] = 0;
        else
            snprintf(row->name, sizeof(row->name), "%s", found->pw_name);
        row->uid = uid;
        row->until_us = now_us + NAME_US;
    }
    return row->name[0] ? row->name : NULL;
}

struct principal *peer_user(struct accounts *accounts, const char *name, uid_t uid)
{
    struct principal *principal;
    char number[16];

    snprintf(number, sizeof(number), "%u", (unsigned)uid);
    principal = principal_new(accounts, PRINCIPAL_USER, name && is_usable(name) ? name : number);
    if (principal)
        principal->uid = uid;
    return principal;
}

/* The groups as the kernel had them when the other end connected, the primary one first. */
static int take_groups(struct principal *principal, int fd, gid_t primary)
{
    socklen_t size = GROUPS * sizeof(gid_t);
    gid_t *groups = malloc(sizeof(gid_t) + size);

    if (!groups)
        return -ENOMEM;
    while (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups + 1, &size) < 0) {
        gid_t *larger;

        /* ERANGE fills in the size that it takes. */
        larger = errno == ERANGE ? realloc(groups, sizeof(gid_t) + size) : NULL;
        if (!larger) {
            free(groups);
            return errno == ERANGE ? -ENOMEM : -errno;
        }
        groups = larger;
    }
    groups[0] = primary;
    principal->groups = groups;
    principal->group_count = 1 + size / sizeof(gid_t);
    return 0;
}

int peer_init_unix(struct peer *peer, struct peers *peers, int fd)
{
    struct accounts *accounts = &peers->daemon->accounts;
    struct ucred credentials;
    socklen_t size = sizeof(credentials);
    int r;

    *peer = (struct peer){.text = "unknown"};
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) < 0)
        return -errno;
    snprintf(peer->text, sizeof(peer->text), "uid=%u pid=%d", (unsigned)credentials.uid,
            (int)credentials.pid);
    peer->key.kind = PLACE_UID;
    memcpy(peer->key.octets, &credentials.uid, sizeof(credentials.uid));
    peer->principal = peer_user(accounts, find_name(peers, credentials.uid), credentials.uid);
    if (!peer->principal)
        return -ENOMEM;
    r = take_groups(peer->principal, fd, credentials.gid);
    if (r < 0)
        principal_unref(accounts, take_ptr(peer->principal));
    return r;
}

void peer_write_host(const struct sockaddr *address, char host[PEER_HOST_SIZE])
{
    char text[INET6_ADDRSTRLEN];

    host[0] = 0;
    if (address->sa_family == AF_INET &&
            inet_ntop(AF_INET, &((const struct sockaddr_in *)address)->sin_addr, text, sizeof(text)))
        snprintf(host, PEER_HOST_SIZE, "%s", text);
    if (address->sa_family == AF_INET6 &&
            inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)address)->sin6_addr, text, sizeof(text)))
        snprintf(host, PEER_HOST_SIZE, "[%s]", text);
}

void peer_init_address(struct peer *peer, const struct sockaddr *address)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;
    char host[PEER_HOST_SIZE];

    *peer = (struct peer){.text = "unknown", .key = {.kind = PLACE_ADDRESS}};
    peer_write_host(address, host);
    if (address->sa_family == AF_INET) {
        snprintf(peer->text, sizeof(peer->text), "%s:%u", host, ntohs(v4->sin_port));
        memcpy(peer->key.octets, &v4->sin_addr, sizeof(v4->sin_addr));
    } else if (address->sa_family == AF_INET6) {
        snprintf(peer->text, sizeof(peer->text), "%s:%u", host, ntohs(v6->sin6_port));
        memcpy(peer->key.octets, &v6->sin6_addr, sizeof(v6->sin6_addr));
    }
}

void peer_done(struct peer *peer, struct peers *peers)
{
    principal_unref(&peers->daemon->accounts, take_ptr(peer->principal));
    free(take_ptr(peer->refusal));
}

int peer_set_certificate(struct peer *peer, struct peers *peers, const char *name, uint64_t expires)
{
    peer->principal = principal_new(&peers->daemon->accounts, PRINCIPAL_CERTIFICATE, name);
    if (!peer->principal)
        return -ENOMEM;
    peer->principal->expires = expires;
    return 0;
}

int peer_refuse_certificate(struct peer *peer, const char *message)
{
    peer->refusal = strdup(message);
    return peer->refusal ? 0 : -ENOMEM;
}

/* b64token of RFC 6750, 2.1. */
static bool is_token(const char *text, size_t size)
{
    static const char characters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/";
    size_t i = 0;

    while (i < size && memchr(characters, text[i], sizeof(characters) - 1))
        i++;
    if (i == 0)
        return false;
    while (i < size && text[i] == '=')
        i++;
    return i == size;
}

int peer_read_token(
        const struct gate_text *authorization, char ret_secret[TOKEN_SECRET_SIZE], struct error *error)
{
    static const char scheme[] = "Bearer ";
    const char *text = authorization->value, *end = text + authorization->size;

    if (authorization->size < sizeof(scheme) - 1 || strncasecmp(text, scheme, sizeof(scheme) - 1) != 0)
        return error_set(error, -EKEYREJECTED,
                "the Authorization header is not of the scheme Bearer, the only one that is taken: send "
                "Authorization: Bearer devreg_...");
    text += sizeof(scheme) - 1;
    while (text < end && *text == ' ')
        text++;
    if (!is_token(text, (size_t)(end - text)))
        return error_set(error, -EKEYREJECTED,
                "the Authorization header has no token after Bearer, or a malformed one: send "
                "Authorization: Bearer devreg_...");
    if (end - text >= TOKEN_SECRET_SIZE)
        return error_set(
                error, -EKEYREJECTED, "this token is not known here: it is longer than any of ours");
    memcpy(ret_secret, text, (size_t)(end - text));
    ret_secret[end - text] = 0;
    return 0;
}

static int identify_token(struct tokens *tokens, const struct gate_text *authorization,
        struct principal **ret_principal, struct error *error)
{
    char secret[TOKEN_SECRET_SIZE];
    int r = peer_read_token(authorization, secret, error);

    if (r < 0)
        return r;
    r = tokens ? tokens_authenticate(tokens, secret, ret_principal, error)
               : error_set(error, -EKEYREJECTED, "this token is not known here: there are none");
    explicit_bzero(secret, sizeof(secret));
    return r;
}

int peer_identify(const struct peer *peer, struct peers *peers, const struct gate_text *authorization,
        struct principal **ret_principal, struct error *error)
{
    struct principal *principal = peer->principal;
    int r;

    if (authorization->value) {
        r = identify_token(peers->daemon->tokens, authorization, &principal, error);
        if (r < 0)
            return r;
    } else if (peer->refusal) {
        return error_set(error, -EKEYREJECTED, "%s", peer->refusal);
    } else if (!principal) {
        principal = peers->anonymous;
    } else if (principal->kind == PRINCIPAL_CERTIFICATE && (uint64_t)time(NULL) >= principal->expires) {
        return error_set(error, -EKEYREJECTED,
                "the client certificate of '%s' has expired while it "
                "was connected: have it renewed, and connect again",
                principal->short_name);
    }
    *ret_principal = principal_ref(principal);
    return 0;
}
