/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What libmicrohttpd 0.9 has parsed no longer shows a bare LF, a folded line or a NUL in a value: it splits
 * the lines where they were received, by writing NULs over the separators. That is what gives them away: of
 * a well-formed head every octet is accounted for, because each name follows the value before it after
 * exactly the two octets that CR LF left, and each value its name after the colon and blanks.
 * libmicrohttpd 1.0 refuses these itself when it is asked to be strict (server.c does). */
#include "http/gate.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "util/cleanup.h"
#include "util/number.h"

struct field {
    struct gate_text text;
    unsigned count; /* how often it is there */
};

struct scan {
    const char *expected; /* where the next name must begin */
    const char *problem;  /* what is wrong, once something is */
    struct field host, content_length, transfer_encoding, content_type;
    struct field origin, sec_fetch_site, authorization, reservation, last_event;
    struct field range, content_range, if_range;
};

/* What an octet may be part of: a token (RFC 9110, 5.6.2) or a host (RFC 3986, 3.2.2). The gate looks at
 * every octet of every request, so the sets are a table. */
enum {
    OCTET_TOKEN = 1,
    OCTET_HOST = 2,
    OCTET_BOTH = OCTET_TOKEN | OCTET_HOST,
};

static const uint8_t octets[256] = {
        ['0' ... '9'] = OCTET_BOTH,
        ['A' ... 'Z'] = OCTET_BOTH,
        ['a' ... 'z'] = OCTET_BOTH,
        ['-'] = OCTET_BOTH,
        ['.'] = OCTET_BOTH,
        ['_'] = OCTET_BOTH,
        [':'] = OCTET_HOST,
        ['['] = OCTET_HOST,
        [']'] = OCTET_HOST,
        ['!'] = OCTET_TOKEN,
        ['#' ... '\''] = OCTET_TOKEN,
        ['*'] = OCTET_TOKEN,
        ['+'] = OCTET_TOKEN,
        ['^'] = OCTET_TOKEN,
        ['`'] = OCTET_TOKEN,
        ['|'] = OCTET_TOKEN,
        ['~'] = OCTET_TOKEN,
};

static bool is_all(const char *text, size_t size, uint8_t set)
{
    for (size_t i = 0; i < size; i++) {
        if (!(octets[(unsigned char)text[i]] & set))
            return false;
    }
    return size > 0;
}

static bool has_control_character(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];

        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return true;
    }
    return false;
}

#if MHD_VERSION < 0x01000000
/* See the head of the file. */
static bool is_in_place(
        struct scan *scan, const char *name, size_t name_size, const char *value, size_t value_size)
{
    const char *between = name + name_size;

    if (name != scan->expected || *between++ != 0)
        return false;
    while (between < value && (*between == ' ' || *between == '\t'))
        between++;
    if (between != value || value[value_size] != 0 || value[value_size + 1] != 0)
        return false;
    scan->expected = value + value_size + 2;
    return true;
}

/* Only the empty line is left: a header that was dropped, or a NUL in the last value, leaves more. */
static bool is_at_end(
        struct MHD_Connection *connection, const struct gate_request *request, const struct scan *scan)
{
    const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);

    return info && scan->expected + 2 == request->method + info->header_size;
}
#else
static bool is_in_place(
        struct scan *scan, const char *name, size_t name_size, const char *value, size_t value_size)
{
    (void)scan;
    (void)name;
    (void)name_size;
    (void)value;
    (void)value_size;
    return true;
}

static bool is_at_end(
        struct MHD_Connection *connection, const struct gate_request *request, const struct scan *scan)
{
    (void)connection;
    (void)request;
    (void)scan;
    return true;
}
#endif

static const struct {
    const char *name;
    size_t size; /* of the name: it tells most headers apart without looking at them */
    size_t field;
} fields[] = {
#define FIELD(name, field)                                                                                  \
    {                                                                                                       \
        name, sizeof(name) - 1, offsetof(struct scan, field)                                                \
    }
        FIELD("Host", host),
        FIELD("Content-Length", content_length),
        FIELD("Transfer-Encoding", transfer_encoding),
        FIELD("Content-Type", content_type),
        FIELD("Origin", origin),
        FIELD("Sec-Fetch-Site", sec_fetch_site),
        FIELD("Authorization", authorization),
        FIELD("Devreg-Reservation", reservation),
        FIELD("Last-Event-ID", last_event),
        FIELD("Range", range),
        FIELD("Content-Range", content_range),
        FIELD("If-Range", if_range),
};

static void take_field(struct scan *scan, const char *name, size_t name_size, const char *value, size_t size)
{
    for (size_t i = 0; i < ELEMENTS(fields); i++) {
        struct field *field = (struct field *)((char *)scan + fields[i].field);

        if (name_size != fields[i].size || strcasecmp(name, fields[i].name) != 0)
            continue;
        while (size > 0 && (value[size - 1] == ' ' || value[size - 1] == '\t'))
            size--;
        field->text = (struct gate_text){value, size};
        field->count++;
    }
}

static enum MHD_Result scan_header(void *context, enum MHD_ValueKind kind, const char *name,
        size_t name_size, const char *value, size_t value_size)
{
    struct scan *scan = context;

    (void)kind;
    if (!value) {
        value = "";
        value_size = 0;
    }
    if (!is_in_place(scan, name, name_size, value, value_size))
        scan->problem =
                "a header line ends in a bare LF, is folded, or has a NUL or a second blank line in it";
    else if (!is_all(name, name_size, OCTET_TOKEN))
        scan->problem = "a header has a malformed name";
    else if (has_control_character(value, value_size))
        scan->problem = "a header has a control character in its value";
    if (scan->problem)
        return MHD_NO;
    take_field(scan, name, name_size, value, value_size);
    return MHD_YES;
}

static const char *check_request_line(const struct gate_request *request)
{
    if (strcmp(request->version, "HTTP/1.1") != 0 && strcmp(request->version, "HTTP/1.0") != 0)
        return "the protocol version is neither HTTP/1.1 nor HTTP/1.0";
    if (!is_all(request->method, strlen(request->method), OCTET_TOKEN))
        return "the method is malformed";
#if MHD_VERSION < 0x01000000
    if (request->target_end - strlen(request->target) != request->method + strlen(request->method) + 1 ||
            request->version != request->target_end + 1)
        return "the request line has more blanks than two, or a NUL";
#endif
    for (const char *c = request->target; *c; c++) {
        if ((unsigned char)*c <= 0x20 || (unsigned char)*c >= 0x7f)
            return "the request target has characters that must be percent-encoded";
    }
    return NULL;
}

static const char *check_host(const struct field *host, const char *version)
{
    if (host->count > 1)
        return "there are several Host headers: send one";
    if (host->count == 0)
        return strcmp(version, "HTTP/1.0") == 0 ? NULL : "there is no Host header: HTTP/1.1 needs one";
    return is_all(host->text.value, host->text.size, OCTET_HOST) ? NULL : "the Host header is malformed";
}

/* Digits only: no sign, and nothing that would pass for hexadecimal. */
static bool parse_length(const struct gate_text *field, uint64_t *ret_length)
{
    char text[24];

    if (field->size == 0 || field->size >= sizeof(text))
        return false;
    memcpy(text, field->value, field->size);
    text[field->size] = 0;
    return strspn(text, "0123456789") == field->size && number_parse(text, ret_length) == 0;
}

static const char *check_body(const struct scan *scan, const char *method, struct gate_result *result)
{
    const struct field *encoding = &scan->transfer_encoding;

    if (scan->content_length.count > 1 || encoding->count > 1 || scan->content_type.count > 1)
        return "Content-Length, Transfer-Encoding or Content-Type is there several times: send it once";
    if (scan->content_length.count && encoding->count)
        return "Content-Length and Transfer-Encoding are both there: send one of them";
    if (encoding->count &&
            (encoding->text.size != 7 || strncasecmp(encoding->text.value, "chunked", 7) != 0))
        return "the Transfer-Encoding is not chunked, the only one that HTTP/1.1 knows for requests";
    if (scan->content_length.count && !parse_length(&scan->content_length.text, &result->content_length))
        return "the Content-Length is not a decimal number";
    result->chunked = encoding->count;
    result->has_body = result->chunked || result->content_length > 0;
    if (result->has_body && strcmp(method, "GET") == 0)
        return "a GET takes no body";
    return NULL;
}

/* What says who asks, or for what, must not be said twice. */
static const char *check_single(const struct scan *scan)
{
    if (scan->authorization.count > 1)
        return "there are several Authorization headers: send one";
    if (scan->last_event.count > 1)
        return "there are several Last-Event-ID headers: send one";
    if (scan->range.count > 1 || scan->content_range.count > 1)
        return "Range or Content-Range is there several times: send it once";
    if (scan->origin.count > 1 || scan->sec_fetch_site.count > 1 || scan->reservation.count > 1)
        return "Origin, Sec-Fetch-Site or Devreg-Reservation is there several times: send it once";
    return NULL;
}

int gate_check(struct MHD_Connection *connection, const struct gate_request *request,
        struct gate_result *ret_result, struct error *error)
{
    struct scan scan = {.expected = request->version + strlen(request->version) + 2};
    struct gate_result result = {0};

    scan.problem = check_request_line(request);
    if (!scan.problem)
        MHD_get_connection_values_n(connection, MHD_HEADER_KIND, scan_header, &scan);
    if (!scan.problem && !is_at_end(connection, request, &scan))
        scan.problem = "the last header line is malformed, or has a NUL in it";
    if (!scan.problem)
        scan.problem = check_host(&scan.host, request->version);
    if (!scan.problem)
        scan.problem = check_body(&scan, request->method, &result);
    if (!scan.problem)
        scan.problem = check_single(&scan);
    if (scan.problem)
        return error_set(error, -EINVAL, "malformed HTTP: %s", scan.problem);
    /* libmicrohttpd reads chunks as leniently as heads, and keeps nothing that shows it. */
    if (result.chunked)
        return error_set(error, -EBADMSG, "a chunked body is not taken: send its Content-Length");
    result.content_type = scan.content_type.text.value;
    result.host = scan.host.text;
    result.origin = scan.origin.text;
    result.sec_fetch_site = scan.sec_fetch_site.text;
    result.authorization = scan.authorization.text;
    result.reservation = scan.reservation.text;
    result.last_event = scan.last_event.text;
    result.range = scan.range.text;
    result.content_range = scan.content_range.text;
    result.if_range = scan.if_range.text;
    *ret_result = result;
    return 0;
}
