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

#include "util/clock.h"

enum {
    ATTEND_MS = 1000,
    PIECE_SIZE = 512 * 1024, /* of streams and uploads: more at once is no faster */
};

struct http {
    const struct host *host;         /* borrowed */
    const struct identity *identity; /* borrowed */
    CURL *easy;
    char message[CURL_ERROR_SIZE];
};

/* Where the answer goes while libcurl hands it over, and where the body comes from. */
struct sink {
    struct http *http;
    struct http_answer *answer;
    const struct http_stream *stream; /* NULL: none is wanted */
    const struct http_upload *upload; /* NULL: there is none */
    size_t limit;
    bool began; /* the stream */
    bool too_big;
    int gave_up; /* what the stream or the upload returned */
};

void http_free(struct http *http)
{
    if (!http)
        return;
    curl_easy_cleanup(http->easy);
    free(http);
}

int http_new(const struct host *host, const struct identity *identity, struct http **ret_http,
        struct error *error)
{
    struct http *http = calloc(1, sizeof(*http));

    if (!http)
        return error_set(error, -ENOMEM, "out of memory");
    http->host = host;
    http->identity = identity;
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

static void set_content_type(struct http_answer *answer, const char *field)
{
    size_t length = strcspn(field, "; \t");

    if (length >= sizeof(answer->content_type))
        length = sizeof(answer->content_type) - 1;
    for (size_t i = 0; i < length; i++)
        answer->content_type[i] = (char)tolower((unsigned char)field[i]);
    answer->content_type[length] = '\0';
}

static void take_content_range(struct http *http, struct http_answer *answer)
{
    struct curl_header *field;

    *answer->content_range = '\0';
    if (curl_easy_header(http->easy, "Content-Range", 0, CURLH_HEADER, -1, &field) == CURLHE_OK &&
            strlen(field->value) < sizeof(answer->content_range))
        strcpy(answer->content_range, field->value);
}

/* What its head says. */
static void take_head(struct http *http, struct http_answer *answer)
{
    const char *content_type = NULL;
    curl_off_t retry_after = 0;
    long status = 0;

    curl_easy_getinfo(http->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(http->easy, CURLINFO_CONTENT_TYPE, &content_type);
    curl_easy_getinfo(http->easy, CURLINFO_RETRY_AFTER, &retry_after);
    answer->status = (unsigned)status;
    answer->retry_after_seconds = retry_after > 0 && retry_after < UINT32_MAX ? (unsigned)retry_after : 0;
    set_content_type(answer, content_type ? content_type : "");
    take_content_range(http, answer);
}

static bool is_stream(struct sink *sink)
{
    if (!sink->stream)
        return false;
    if (sink->answer->status == 0)
        take_head(sink->http, sink->answer);
    return (sink->answer->status == 200 || sink->answer->status == 206) &&
           strcmp(sink->answer->content_type, sink->stream->content_type) == 0;
}

static size_t take_stream(struct sink *sink, const char *data, size_t size)
{
    const struct http_stream *stream = sink->stream;

    if (!sink->began && stream->begin)
        sink->gave_up = stream->begin(stream->context, sink->answer);
    sink->began = true;
    if (sink->gave_up == 0)
        sink->gave_up = stream->take(stream->context, data, size);
    return sink->gave_up < 0 ? 0 : size;
}

static size_t take_body(char *data, size_t size, size_t count, void *context)
{
    struct sink *sink = context;
    struct buffer *body = &sink->answer->body;

    if (is_stream(sink))
        return take_stream(sink, data, size * count);
    if (size * count > sink->limit - body->size) {
        sink->too_big = true;
        return 0;
    }
    buffer_append(body, data, size * count);
    return buffer_failed(body) ? 0 : size * count;
}

static size_t give_body(char *data, size_t size, size_t count, void *context)
{
    struct sink *sink = context;
    size_t given = 0;

    sink->gave_up = sink->upload->read(sink->upload->context, data, size * count, &given);
    return sink->gave_up < 0 ? CURL_READFUNC_ABORT : given;
}

static void set_body_options(CURL *easy, const struct http_request *request, struct sink *sink)
{
    if (request->upload) {
        curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)request->upload->size);
        curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, (long)PIECE_SIZE);
        curl_easy_setopt(easy, CURLOPT_READFUNCTION, give_body);
        curl_easy_setopt(easy, CURLOPT_READDATA, sink);
    } else if (request->content_type) {
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->body_size > 0 ? request->body : "");
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_size);
    }
}

static void set_tls_options(const struct http *http)
{
    const struct identity *identity = http->identity;
    CURL *easy = http->easy;

    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (identity->cacert) {
        /* Who names an authority means that one and not also those of the system. */
        curl_easy_setopt(easy, CURLOPT_CAINFO, identity->cacert);
        curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    }
    if (identity->cert) {
        curl_easy_setopt(easy, CURLOPT_SSLCERT, identity->cert);
        curl_easy_setopt(easy, CURLOPT_SSLKEY, identity->key);
    }
}

static void set_options(struct http *http, const struct http_request *request, const char *url,
        struct curl_slist *fields, struct sink *sink)
{
    bool lasting = request->stream || request->upload;
    CURL *easy = http->easy;

    curl_easy_reset(easy);
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, lasting ? 0L : (long)request->timeout_ms);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)request->timeout_ms);
    /* On a kept connection that turns out dead, libcurl sends the request again by itself: the register
     * would be touched twice. So each request gets its own connection. */
    curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
    curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "devregctl/" DEVREG_VERSION);
    set_body_options(easy, request, sink);
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, fields);
    if (lasting)
        curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)PIECE_SIZE);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, sink);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, http->message);
    if (http->host->socket_path)
        curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, http->host->socket_path);
    if (http->host->tls)
        set_tls_options(http);
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

/* What OpenSSL's X509_STORE_CTX_get_error(3) calls its results, which libcurl hands on. */
enum {
    VERIFY_NOT_YET_VALID = 9,
    VERIFY_EXPIRED = 10,
    VERIFY_SELF_SIGNED = 18,
    VERIFY_SELF_SIGNED_IN_CHAIN = 19,
    VERIFY_NO_ISSUER = 20,
    VERIFY_NO_SIGNATURE = 21,
};

/* Somebody made the daemon's certificate whom this client does not know, or that is not the daemon. */
static int untrusted(const struct http *http, const char *reason, struct error *error)
{
    const char *text = http->host->text;
    const char *cacert = http->identity->cacert;
    long result = 0;

    curl_easy_getinfo(http->easy, CURLINFO_SSL_VERIFYRESULT, &result);
    switch (result) {
    case VERIFY_SELF_SIGNED:
    case VERIFY_SELF_SIGNED_IN_CHAIN:
    case VERIFY_NO_ISSUER:
    case VERIFY_NO_SIGNATURE:
        if (cacert)
            return error_set(error, -ENOTCONN,
                    "no connection to %s: no authority in %s made its "
                    "certificate; is that the file for this daemon?",
                    text, cacert);
        return error_set(error, -ENOTCONN,
                "no connection to %s: its certificate is from an authority that this "
                "machine does not know; get the authority's certificate from the rig's "
                "administrator and name it with --cacert FILE or DEVREG_CACERT",
                text);
    case VERIFY_EXPIRED:
    case VERIFY_NOT_YET_VALID:
        return error_set(error, -ENOTCONN,
                "no connection to %s: its certificate %s; the rig's administrator "
                "must renew it, unless this machine's clock is wrong",
                text, result == VERIFY_EXPIRED ? "has expired" : "is not valid yet");
    default:
        return error_set(error, -ENOTCONN,
                "no connection to %s: its certificate does not prove that it is this host (%s); use a name "
                "that is in the certificate",
                text, reason);
    }
}

static int bad_file(const struct http *http, CURLcode code, const char *reason, struct error *error)
{
    const struct identity *identity = http->identity;

    if (code == CURLE_SSL_CACERT_BADFILE)
        return error_set(error, -EINVAL, "%s: no certificates of authorities in it (%s)",
                identity->cacert ? identity->cacert : "the system's certificates", reason);
    return error_set(error, -EINVAL, "%s with %s: no certificate with its key (%s)",
            identity->cert ? identity->cert : "?", identity->key ? identity->key : "?", reason);
}

/* TLS 1.3 refuses a client's certificate only when the client takes itself for connected. */
static bool is_alert(const struct http *http, const char *reason)
{
    return http->host->tls && strcasestr(reason, "alert");
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
    case CURLE_PEER_FAILED_VERIFICATION:
        return untrusted(http, reason, error);
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
        return bad_file(http, code, reason, error);
    case CURLE_OUT_OF_MEMORY:
        return error_set(error, -ENOMEM, "out of memory");
    default:
        break;
    }
    if (is_alert(http, reason))
        return error_set(error, -EACCES, "it refuses %s (%s)",
                http->identity->cert ? "the client certificate" : "this client: does it want a --cert?",
                reason);
    switch (code) {
    case CURLE_COULDNT_CONNECT:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_SSL_CONNECT_ERROR:
        return no_connection(http, reason, error);
    case CURLE_GOT_NOTHING:
        return error_set(error, -EPROTO, "the connection was closed before an answer came");
    case CURLE_SEND_ERROR:
        return error_set(error, -EPROTO, "the connection was closed before the request was sent");
    case CURLE_PARTIAL_FILE:
    case CURLE_RECV_ERROR:
        return error_set(error, -EPROTO, "the connection was closed in the middle of the answer");
    default:
        return error_set(error, -EPROTO, "%s", reason);
    }
}

/* How long to wait for anything else before the watch is attended to. */
static int patience_ms(const struct http_watch *watch)
{
    uint64_t now_us = clock_boottime_us();

    if (watch->wake_us == 0 || watch->wake_us >= now_us + ATTEND_MS * UINT64_C(1000))
        return ATTEND_MS;
    return watch->wake_us > now_us ? (int)((watch->wake_us - now_us) / 1000) + 1 : 0;
}

/* One request on a handle of libcurl's that can wait for something else, too. */
static int transfer(CURLM *multi, const struct http_watch *watch, CURLcode *ret_code)
{
    const CURLMsg *message;
    int running = 1, queued = 0;
    int r;

    while (running) {
        struct curl_waitfd extra = {.events = CURL_WAIT_POLLIN};

        if (curl_multi_perform(multi, &running) != CURLM_OK)
            return 0;
        r = running ? watch->attend(watch->context) : 0;
        if (r < 0)
            return r;
        extra.fd = watch->fd;
        if (running && curl_multi_poll(multi, &extra, watch->fd >= 0, patience_ms(watch), NULL) != CURLM_OK)
            return 0;
    }
    message = curl_multi_info_read(multi, &queued);
    if (message && message->msg == CURLMSG_DONE)
        *ret_code = message->data.result;
    return 0;
}

/* The handle lives for one request: it has descriptors that a command started later must not inherit. */
static int transfer_watched(struct http *http, const struct http_watch *watch, CURLcode *ret_code)
{
    CURLM *multi = curl_multi_init();
    int r = 0;

    *ret_code = CURLE_OUT_OF_MEMORY;
    if (multi && curl_multi_add_handle(multi, http->easy) == CURLM_OK) {
        r = transfer(multi, watch, ret_code);
        curl_multi_remove_handle(multi, http->easy);
    }
    curl_multi_cleanup(multi);
    return r;
}

static int perform(struct http *http, const struct http_request *request, const char *url,
        struct curl_slist *fields, struct http_answer *answer, struct error *error)
{
    struct sink sink = {.http = http,
            .answer = answer,
            .stream = request->stream,
            .upload = request->upload,
            .limit = request->answer_limit};
    CURLcode code;
    int r = 0;

    *http->message = '\0';
    set_options(http, request, url, fields, &sink);
    if (request->watch)
        r = transfer_watched(http, request->watch, &code);
    else
        code = curl_easy_perform(http->easy);
    take_head(http, answer);
    if (sink.gave_up < 0)
        r = sink.gave_up;
    if (r < 0)
        return error_set(error, r, "interrupted");
    return code == CURLE_OK ? 0 : fail(http, code, &sink, error);
}

/* Adds "NAME: VALUE", unless there is no value. False out of memory: the list stays the caller's. */
static bool add_field(struct curl_slist **fields, const char *name, const char *value)
{
    _cleanup_buffer_ struct buffer field = {0};
    struct curl_slist *longer = NULL;

    if (!value)
        return true;
    buffer_append_string(&field, name);
    buffer_append_string(&field, value);
    buffer_append_char(&field, '\0');
    if (!buffer_failed(&field))
        longer = curl_slist_append(*fields, field.data);
    if (field.data)
        explicit_bzero(field.data, field.size);
    if (longer)
        *fields = longer;
    return longer;
}

static bool add_fields(
        struct curl_slist **fields, const struct http_request *request, const struct identity *identity)
{
    const char *reservation = request->outside_reservation ? NULL : identity->reservation;
    const char *wanted = request->stream ? request->stream->content_type : NULL;

    return add_field(fields, "Expect:", "") && add_field(fields, "Accept: ", wanted) &&
           add_field(fields, "Last-Event-ID: ", request->last_event_id) &&
           add_field(fields, "Content-Type: ", request->content_type) &&
           add_field(fields, "Range: ", request->range) &&
           add_field(fields, "Authorization: Bearer ", identity->token) &&
           add_field(fields, "Devreg-Reservation: ", reservation);
}

int http_exchange(struct http *http, const struct http_request *request, struct http_answer *ret_answer,
        struct error *error)
{
    const struct host *host = http->host;
    struct curl_slist *fields = NULL;
    _cleanup_free_ char *url = NULL;
    int r;

    if (asprintf(&url, "%s://%s%s%s", host->tls ? "https" : "http", host->authority, host->prefix,
                request->path) < 0)
        url = NULL;
    if (!add_fields(&fields, request, http->identity) || !url)
        r = error_set(error, -ENOMEM, "out of memory");
    else
        r = perform(http, request, url, fields, ret_answer, error);
    curl_slist_free_all(fields);
    return r;
}
