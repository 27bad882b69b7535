/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See uri.h. */
#include "http/uri.h"

#include <errno.h>
#include <string.h>

#include "util/utf8.h"

static int hex_digit(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F')
        return digit - 'A' + 10;
    return -1;
}

/* Decodes %XX in place. What it gives is text: no control characters, valid UTF-8. */
static int decode(char *text, struct error *error)
{
    char *to = text;

    for (const char *from = text; *from; from++) {
        int high, low;

        if (*from != '%') {
            *to++ = *from;
            continue;
        }
        high = hex_digit(from[1]);
        low = high < 0 ? -1 : hex_digit(from[2]);
        if (low < 0)
            return error_set(error, -EINVAL, "the path or query has a %% without two hexadecimal digits");
        *to = (char)(high << 4 | low);
        if ((unsigned char)*to < 0x20 || *to == 0x7f)
            return error_set(
                    error, -EINVAL, "the path or query has the encoded control character %%%.2s", from + 1);
        to++;
        from += 2;
    }
    *to = 0;
    for (const char *character = text; *character;) {
        size_t length = utf8_length(character);

        if (length == 0)
            return error_set(error, -EINVAL, "the path or query is not valid UTF-8");
        character += length;
    }
    return 0;
}

static int add_segment(struct uri *uri, char *segment, struct error *error)
{
    int r = decode(segment, error);

    if (r < 0)
        return r;
    if (!*segment)
        return error_set(
                error, -EINVAL, "the path has an empty segment: write one slash, and none at the end");
    if (strchr(segment, '/') || strcmp(segment, ".") == 0 || strcmp(segment, "..") == 0)
        return error_set(error, -EINVAL, "the path has a dot segment or an encoded slash: write it plainly");
    if (uri->segment_count == URI_SEGMENTS)
        return error_set(error, -ENOENT, "no path has that many segments: /v1 lists what there is");
    uri->segments[uri->segment_count++] = segment;
    return 0;
}

static int parse_path(char *path, struct uri *uri, struct error *error)
{
    char *segment;
    int r;

    if (*path != '/')
        return error_set(error, -EINVAL, "the request target does not begin with a slash");
    path++;
    if (!*path)
        return 0;
    while ((segment = strsep(&path, "/"))) {
        r = add_segment(uri, segment, error);
        if (r < 0)
            return r;
    }
    return 0;
}

static int parse_query(char *query, struct uri *uri, struct error *error)
{
    char *part;
    int r;

    while ((part = strsep(&query, "&"))) {
        char *equals = strchr(part, '=');
        char *value = equals ? equals + 1 : part + strlen(part);

        if (equals)
            *equals = 0;
        r = decode(part, error);
        if (r < 0)
            return r;
        r = decode(value, error);
        if (r < 0)
            return r;
        if (uri->argument_count == CALL_ARGUMENTS)
            return error_set(error, -EINVAL, "the query has more than %d arguments", CALL_ARGUMENTS);
        uri->arguments[uri->argument_count++] = (struct call_argument){part, value};
    }
    return 0;
}

int uri_parse(char *text, struct uri *ret_uri, struct error *error)
{
    char *query = strchr(text, '?');
    int r;

    ret_uri->segment_count = ret_uri->argument_count = 0;
    if (query)
        *query++ = 0;
    r = parse_path(text, ret_uri, error);
    if (r < 0)
        return r;
    return query && *query ? parse_query(query, ret_uri, error) : 0;
}
