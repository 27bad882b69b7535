/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Most people who read the messages of a failed connection have just typed their first devregctl command, so
 * they say what to do. */
#include "http.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <curl/curl.h>

struct http {
    const struct host *host; /* borrowed */
    CURL *easy;
    char message[CURL_ERROR_SIZE];
};

/* Where the answer goes while libcurl hands it over. */
struct sink {
    struct http_answer *answer;
    size_t limit;
    bool too_big;
};

void http_free(struct http *http)
{
    if (!http)
        return;
    curl_easy_cleanup(http->easy);
    free(http);
}

int http_new(const struct host *host, struct http **ret_http, struct error *error)
{
    struct http *http = calloc(1, sizeof(*http));

    if (!http)
        return error_set(error, -ENOMEM, "out of memory");
    http->host = host;
    /* Setting up TLS takes a good part of a short command's time. */
    if (curl_global_init(host->tls ? CURL_GLOBAL_SSL : CURL_GLOBAL_NOTHING) == CURLE_OK)
        http->easy = curl_easy_init();
    if (!http->easy) {
        http_free(http);
        return error_set(error, -ENOMEM, "libcurl does not start");
    }
    *ret_http = http;
    return 0;
}

static size_t take_body(char *data, size_t size, size_t count, void *context)
{
    struct sink *sink = context;
    struct buffer *body = &sink->answer->body;

    if (size * count > sink->limit - body->size) {
        sink->too_big = true;
        return 0;
    }
    buffer_append(body, data, size * count);
    return buffer_failed(body) ? 0 : size * count;
}

static void set_options(struct http *http, const struct http_request *request, const char *url,
        struct curl_slist *fields, struct sink *sink)
{
    CURL *easy = http->easy;

    curl_easy_reset(easy);
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)request->timeout_ms);
    /* On a kept connection that turns out dead, libcurl sends the request again by itself: the register
     * would be touched twice. So each request gets its own connection. */
    curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
    curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "devregctl/" DEVREG_VERSION);
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, fields);
    if (request->content_type) {
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->body_size > 0 ? request->body : "");
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_size);
    }
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, sink);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, http->message);
    if (http->host->socket_path)
        curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, http->host->socket_path);
}

static const char *advice(int code, const struct host *host)
{
    bool local = host->socket_path;

    switch (code) {
    case ENOENT:
        return local ? "is devregd running? start it, or say with -H where it is" : "";
    case ECONNREFUSED:
        return local ? "nobody listens there any more: start devregd"
                     : "nobody listens there: is devregd running, with --listen?";
    case EACCES:
        return "the socket is not open to this user: ask the administrator of the rig";
    case ETIMEDOUT:
    case EHOSTUNREACH:
    case ENETUNREACH:
        return "is the address right, and the network up?";
    default:
        return "";
    }
}

static int no_connection(const struct http *http, const char *reason, struct error *error)
{
    const struct host *host = http->host;
    long code = 0;
    const char *what;

    curl_easy_getinfo(http->easy, CURLINFO_OS_ERRNO, &code);
    what = advice((int)code, host);
    return error_set(error, -ENOTCONN, "no connection to %s: %s%s%s", host->text,
            code ? strerror((int)code) : reason, *what ? "; " : "", what);
}

static int fail(const struct http *http, CURLcode code, const struct sink *sink, struct error *error)
{
    const char *reason = *http->message ? http->message : curl_easy_strerror(code);
    double connected = 0;

    if (sink->too_big)
        return error_set(
                error, -EMSGSIZE, "the answer is bigger than the %zu octets that can be right", sink->limit);
    curl_easy_getinfo(http->easy, CURLINFO_CONNECT_TIME, &connected);
    switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
        return connected > 0 ? error_set(error, -ETIMEDOUT, "no answer in time")
                             : no_connection(http, reason, error);
    case CURLE_COULDNT_CONNECT:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
        return no_connection(http, reason, error);
    case CURLE_OUT_OF_MEMORY:
        return error_set(error, -ENOMEM, "out of memory");
    case CURLE_GOT_NOTHING:
        return error_set(error, -EPROTO, "the connection was closed before an answer came");
    case CURLE_PARTIAL_FILE:
    case CURLE_RECV_ERROR:
        return error_set(error, -EPROTO, "the connection was closed in the middle of the answer");
    default:
        return error_set(error, -EPROTO, "%s", reason);
    }
}

static void set_content_type(struct http_answer *answer, const char *field)
{
    size_t length = strcspn(field, "; \t");

    if (length >= sizeof(answer->content_type))
        length = sizeof(answer->content_type) - 1;
    for (size_t i = 0; i < length; i++)
        answer->content_type[i] = (char)tolower((unsigned char)field[i]);
    answer->content_type[length] = '\0';
}

static int perform(struct http *http, const struct http_request *request, const char *url,
        struct curl_slist *fields, struct http_answer *answer, struct error *error)
{
    struct sink sink = {.answer = answer, .limit = request->answer_limit};
    const char *content_type = NULL;
    long status = 0;
    CURLcode code;

    *http->message = '\0';
    set_options(http, request, url, fields, &sink);
    code = curl_easy_perform(http->easy);
    if (code != CURLE_OK)
        return fail(http, code, &sink, error);
    curl_easy_getinfo(http->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(http->easy, CURLINFO_CONTENT_TYPE, &content_type);
    answer->status = (unsigned)status;
    set_content_type(answer, content_type ? content_type : "");
    return 0;
}

int http_exchange(struct http *http, const struct http_request *request, struct http_answer *ret_answer,
        struct error *error)
{
    const struct host *host = http->host;
    struct curl_slist *fields = curl_slist_append(NULL, "Expect:");
    _cleanup_free_ char *url = NULL;
    _cleanup_free_ char *type = NULL;
    int r;

    if (asprintf(&url, "%s://%s%s%s", host->tls ? "https" : "http", host->authority, host->prefix,
                request->path) < 0)
        url = NULL;
    if (asprintf(&type, "Content-Type: %s", request->content_type ? request->content_type : "") < 0)
        type = NULL;
    if (fields && type && request->content_type)
        curl_slist_append(fields, type);
    if (!url || !type || !fields)
        r = error_set(error, -ENOMEM, "out of memory");
    else
        r = perform(http, request, url, fields, ret_answer, error);
    curl_slist_free_all(fields);
    return r;
}
