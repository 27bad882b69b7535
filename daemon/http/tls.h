/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The certificate that TLS connections are served with, and the one of the authority that clients'
 * certificates are to be signed by. When their files are replaced, new connections get the new ones and old
 * connections keep what they have. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gnutls/gnutls.h>

#include "util/error.h"

enum { TLS_NAME_SIZE = 256 };

/* TLS 1.2 and 1.3. */
extern const char tls_priorities[];

/* Paths, as configured; client_ca may be NULL. */
struct tls_settings {
    char *certificate;
    char *key;
    char *client_ca;
};

struct tls;
struct tls_credentials;

/* Reads the files; the settings must outlive it. The message says which file is wrong, and how. */
int tls_new(const struct tls_settings *settings, struct tls **ret_tls, struct error *error);
void tls_free(struct tls *tls);

/* A reference to what new connections use, after a look at the files, but not more than one a second. When
 * new files can't be used the old ones stay, with a warning. */
struct tls_credentials *tls_current(struct tls *tls, uint64_t now_us);
void tls_credentials_unref(struct tls_credentials *credentials);

/* Makes a session that has not begun use them, and ask the client for a certificate when there is a
 * client_ca. The caller keeps its reference until the session is no more. */
int tls_apply(struct tls_credentials *credentials, gnutls_session_t session);

/* Whether the certificate is for this host: a name, an address, or an address in brackets. */
bool tls_is_for(const struct tls_credentials *credentials, const char *host);

/* Who the client is by its certificate: verified against client_ca, valid now, and for clients. Returns 1
 * with its common name and the time when it expires (seconds since the epoch), 0 when it showed none,
 * -EKEYREJECTED with what is wrong with it. */
int tls_client(const struct tls_credentials *credentials, gnutls_session_t session,
        char ret_name[TLS_NAME_SIZE], uint64_t *ret_expires, struct error *error);
