/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* When a certificate is valid, in seconds since 1970. Apart, as GnuTLS returns the time_t that it was built
 * with, which may be narrower than the one that all else here has. */
#pragma once

#include <gnutls/x509.h>
#include <stdint.h>

/* -1 when it does not say. */
int64_t certificate_begins(gnutls_x509_crt_t certificate);
int64_t certificate_ends(gnutls_x509_crt_t certificate);
