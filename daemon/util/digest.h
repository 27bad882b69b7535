/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What secrets need: a hash, a text for random octets, and a comparison that tells nothing. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DIGEST_SIZE = 32 };

/* SHA-256 (FIPS 180-4). Returns 0, or -EIO when the library refuses (a FIPS module that failed its tests).
 */
int digest_sha256(const void *data, size_t size, uint8_t ret_digest[DIGEST_SIZE]);

/* Octets that nobody can foresee, of the kernel. Returns 0 or a negative errno. */
int digest_random(void *data, size_t size);

/* Characters of base64url without padding, without a NUL. */
#define DIGEST_BASE64URL_SIZE(size) (((size)*4 + 2) / 3)

/* Writes base64url (RFC 4648, section 5) without padding, terminated: text has room for
 * DIGEST_BASE64URL_SIZE(size) + 1. */
void digest_base64url(const void *data, size_t size, char *text);

/* Lower-case hexadecimal, terminated; text has room for 2 * size + 1. */
void digest_hex(const void *data, size_t size, char *text);

/* Reads exactly size octets of hexadecimal. Returns 0 or -EINVAL. */
int digest_from_hex(const char *text, void *ret_data, size_t size);

/* Takes as long whatever the octets are. */
bool digest_equal(const void *one, const void *other, size_t size);
