/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See digest.h. A library of its own in the build, since the client, which has the rest of util, does
 * without GnuTLS. */
#include "util/digest.h"

#include <errno.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <string.h>
#include <sys/random.h>

int digest_sha256(const void *data, size_t size, uint8_t ret_digest[DIGEST_SIZE])
{
    return gnutls_hash_fast(GNUTLS_DIG_SHA256, data, size, ret_digest) < 0 ? -EIO : 0;
}

int digest_random(void *data, size_t size)
{
    uint8_t *next = data;

    while (size > 0) {
        ssize_t got = getrandom(next, size, 0);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        next += got;
        size -= (size_t)got;
    }
    return 0;
}

void digest_base64url(const void *data, size_t size, char *text)
{
    static const char characters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const uint8_t *octets = data;
    uint32_t bits = 0;
    unsigned count = 0;

    for (size_t i = 0; i < size; i++) {
        bits = (bits << 8 | octets[i]) & 0xffff;
        for (count += 8; count >= 6; count -= 6)
            *text++ = characters[bits >> (count - 6) & 63];
    }
    if (count > 0)
        *text++ = characters[bits << (6 - count) & 63];
    *text = 0;
}

void digest_hex(const void *data, size_t size, char *text)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *octets = data;

    for (size_t i = 0; i < size; i++) {
        *text++ = digits[octets[i] >> 4];
        *text++ = digits[octets[i] & 15];
    }
    *text = 0;
}

static int hex_value(char character)
{
    static const char digits[] = "0123456789abcdef";
    const char *digit = character ? strchr(digits, character) : NULL;

    return digit ? (int)(digit - digits) : -1;
}

int digest_from_hex(const char *text, void *ret_data, size_t size)
{
    uint8_t *octets = ret_data;

    if (strlen(text) != 2 * size)
        return -EINVAL;
    for (size_t i = 0; i < 2 * size; i++) {
        if (hex_value(text[i]) < 0)
            return -EINVAL;
    }
    for (size_t i = 0; i < size; i++)
        octets[i] = (uint8_t)(hex_value(text[2 * i]) * 16 + hex_value(text[2 * i + 1]));
    return 0;
}

/* gnutls_memcmp() does the same an octet at a time, which with a thousand tokens is 50 us a request. The
 * compiler must not find out that one difference is enough. */
bool digest_equal(const void *one, const void *other, size_t size)
{
    const char *a = one, *b = other;
    uint64_t difference = 0, x = 0, y = 0;

    for (; size >= sizeof(x); size -= sizeof(x), a += sizeof(x), b += sizeof(x)) {
        memcpy(&x, a, sizeof(x));
        memcpy(&y, b, sizeof(y));
        difference |= x ^ y;
        __asm__ volatile("" : "+r"(difference));
    }
    x = y = 0;
    memcpy(&x, a, size);
    memcpy(&y, b, size);
    difference |= x ^ y;
    __asm__ volatile("" : "+r"(difference));
    return difference == 0;
}
