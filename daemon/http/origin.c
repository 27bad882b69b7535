/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See origin.h; the words are those of RFC 6454 and of the Fetch standard. */
#include "http/origin.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "util/cleanup.h"

static bool text_is(const struct gate_text *text, const char *wanted)
{
    return text->size == strlen(wanted) && strncasecmp(text->value, wanted, text->size) == 0;
}

/* Names, IPv4 addresses and bracketed IPv6 addresses: how many octets of the text are one. */
static size_t host_length(const char *text)
{
    size_t length;

    if (text[0] == '[') {
        length = 1 + strspn(text + 1, "0123456789abcdefABCDEF:.");
        return text[length] == ']' && length > 1 ? length + 1 : 0;
    }
    length = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");
    return length <= 253 && text[0] != '.' && text[0] != '-' ? length : 0;
}

int origin_check_host(const char *text, struct error *error)
{
    size_t length = host_length(text);

    if (length > 0 && text[length] == 0)
        return 0;
    return error_set(error, -EINVAL,
            "expected a name or an address without a port, such as \"rig1.lab.example\" or "
            "\"[2001:db8::7]\"");
}

int origin_check_origin(const char *text, struct error *error)
{
    const char *host = strncmp(text, "https://", 8) == 0  ? text + 8
                       : strncmp(text, "http://", 7) == 0 ? text + 7
                                                          : "";
    const char *end = host + host_length(host);

    if (end > host && *end == ':' && isdigit((unsigned char)end[1]))
        end += 1 + strspn(end + 1, "0123456789");
    if (end > host && *end == 0)
        return 0;
    return error_set(error, -EINVAL,
            "expected an origin without a path, such as \"https://bench.lab.example\" or "
            "\"http://localhost:8080\"");
}

struct gate_text origin_host(const struct gate_text *host)
{
    struct gate_text name = *host;
    const char *end = name.size && name.value[0] == '[' ? memchr(name.value, ']', name.size)
                                                        : memchr(name.value, ':', name.size);

    if (end)
        name.size = (size_t)(end - name.value) + (*end == ']');
    return name;
}

bool origin_knows_host(const struct origin_settings *settings, const struct origin_place *place,
        const struct gate_text *host)
{
    static const char *const loopback[] = {"localhost", "127.0.0.1", "[::1]"};
    struct gate_text name;

    /* HTTP/1.0 need not send one, and no browser speaks that. */
    if (place->local || !host->value)
        return true;
    name = origin_host(host);
    for (size_t i = 0; i < ELEMENTS(loopback); i++) {
        if (text_is(&name, loopback[i]))
            return true;
    }
    for (char **known = settings->hosts; known && *known; known++) {
        if (text_is(&name, *known))
            return true;
    }
    return false;
}

int origin_refuse_host(const struct gate_text *host, struct error *error)
{
    struct gate_text name = origin_host(host);

    return error_set(error, -EHOSTUNREACH,
            "'%.*s' is no name of this daemon's: use its address, "
            "or add the name to \"hosts\" in its configuration",
            (int)(name.size < 100 ? name.size : 100), name.value);
}

/* Behind a proxy on a Unix socket either scheme may be ours. */
static bool is_same_origin(
        const struct origin_place *place, const struct gate_text *host, const struct gate_text *origin)
{
    static const struct {
        const char *scheme;
        size_t size;
        bool secure;
    } schemes[] = {{"http://", 7, false}, {"https://", 8, true}};

    for (size_t i = 0; i < ELEMENTS(schemes); i++) {
        size_t size = schemes[i].size;

        if ((place->local || place->secure == schemes[i].secure) && host->value &&
                origin->size == size + host->size &&
                strncasecmp(origin->value, schemes[i].scheme, size) == 0 &&
                strncasecmp(origin->value + size, host->value, host->size) == 0)
            return true;
    }
    return false;
}

int origin_check(const struct origin_settings *settings, const struct origin_place *place,
        const struct gate_result *gate, const char **ret_listed, struct error *error)
{
    const struct gate_text *origin = &gate->origin, *site = &gate->sec_fetch_site;

    *ret_listed = NULL;
    if (origin->value && !text_is(origin, "null")) {
        for (char **listed = settings->origins; listed && *listed; listed++) {
            if (text_is(origin, *listed)) {
                *ret_listed = *listed;
                return 0;
            }
        }
    }
    if (origin->value && !is_same_origin(place, &gate->host, origin))
        return error_set(error, -EPERM,
                "a web page of '%.*s' may not ask this daemon: add the origin to \"origins\" in its "
                "configuration if it should",
                (int)(origin->size < 100 ? origin->size : 100), origin->value);
    if (site->value && !text_is(site, "none") && !text_is(site, "same-origin"))
        return error_set(error, -EPERM,
                "a web page of another site may not ask this daemon: add its origin to \"origins\" in its "
                "configuration if it should");
    return 0;
}
