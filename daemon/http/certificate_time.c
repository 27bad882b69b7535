/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Built without _TIME_BITS. */
#include "http/certificate_time.h"

int64_t certificate_begins(gnutls_x509_crt_t certificate)
{
    return gnutls_x509_crt_get_activation_time(certificate);
}

int64_t certificate_ends(gnutls_x509_crt_t certificate)
{
    return gnutls_x509_crt_get_expiration_time(certificate);
}
