/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Everything is judged before the first connection: a token that was sent to the wrong place can't be taken
 * back. */
#include "identity.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TOKEN_LIMIT = 1024, RESERVATION_LIMIT = 64 };

void identity_done(struct identity *identity)
{
    if (identity->token)
        explicit_bzero(identity->token, strlen(identity->token));
    free(identity->token);
    free(identity->reservation);
    free(identity->cacert);
    free(identity->cert);
    free(identity->key);
    *identity = (struct identity){0};
}

/* A variable that is set to something. */
static const char *variable(const char *name)
{
    const char *value = getenv(name);

    return value && *value ? value : NULL;
}

static int copy(const char *text, char **ret_copy, struct failure *failure)
{
    *ret_copy = text ? strdup(text) : NULL;
    return text && !*ret_copy ? failure_set(failure, EXIT_CODE_OTHER, "out of memory") : 0;
}

/* RFC 6750's b64token: nothing that could end a header field and begin another. */
static bool is_token(const char *text)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~+/=";
    size_t length = strspn(text, plain);

    return length > 0 && length <= TOKEN_LIMIT && text[length] == '\0';
}

/* As ssh(1) does with keys: who may open the file of another user is that user's affair. */
static int judge_token_file(int fd, const char *path, struct failure *failure)
{
    struct stat status;

    if (fstat(fd, &status) < 0)
        return failure_set(failure, EXIT_CODE_OTHER, "%s: %s", path, strerror(errno));
    if (!S_ISREG(status.st_mode))
        return failure_set(failure, EXIT_CODE_USAGE, "%s: a token is read from a regular file", path);
    if (status.st_uid == geteuid() && (status.st_mode & 0077))
        return failure_set(failure, EXIT_CODE_USAGE,
                "%s: others can get at this token (mode %04o): chmod "
                "600 it, and if they may have, let it be revoked",
                path, (unsigned)status.st_mode & 07777);
    return 0;
}

/* The file's only word. */
static int read_token_file(const char *path, char **ret_token, struct failure *failure)
{
    /* Not to wait for whoever would write into a FIFO. */
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    char text[TOKEN_LIMIT + 3];
    ssize_t size;
    int r;

    if (fd < 0)
        return failure_set(failure, EXIT_CODE_USAGE, "the token file %s: %s", path, strerror(errno));
    r = judge_token_file(fd, path, failure);
    if (r < 0)
        return r;
    size = read(fd, text, sizeof(text) - 1);
    if (size < 0)
        return failure_set(failure, EXIT_CODE_OTHER, "the token file %s: %s", path, strerror(errno));
    while (size > 0 && strchr(" \t\r\n", text[size - 1]))
        size--;
    text[size] = '\0';
    if (strlen(text) == (size_t)size && is_token(text))
        r = copy(text, ret_token, failure);
    else
        r = failure_set(failure, EXIT_CODE_USAGE,
                "%s: expected one token, as devregctl token create prints it", path);
    explicit_bzero(text, sizeof(text));
    return r;
}

static int find_token(const struct host *host, char **ret_token, struct failure *failure)
{
    const char *token = variable("DEVREG_TOKEN");

    /* Before the variable, which may be another daemon's: that one's token is not this one's to see. */
    if (host->token_file)
        return read_token_file(host->token_file, ret_token, failure);
    if (token && !is_token(token))
        return failure_set(failure, EXIT_CODE_USAGE,
                "DEVREG_TOKEN is no token: it must be what devregctl "
                "token create printed, and nothing else");
    return copy(token, ret_token, failure);
}

/* Whether the URL's host is surely this machine: a name might be anybody's, localhost aside, which libcurl
 * never looks up. */
static bool is_loopback(const char *authority)
{
    bool bracketed = *authority == '[';
    size_t length = strcspn(authority, bracketed ? "]" : ":");
    struct in6_addr six;
    struct in_addr four;
    char name[64];

    if (length >= sizeof(name))
        return false;
    memcpy(name, authority, length);
    name[length] = '\0';
    if (bracketed)
        return inet_pton(AF_INET6, name + 1, &six) == 1 &&
               (IN6_IS_ADDR_LOOPBACK(&six) || (IN6_IS_ADDR_V4MAPPED(&six) && six.s6_addr[12] == 127));
    if (inet_pton(AF_INET, name, &four) == 1)
        return ntohl(four.s_addr) >> 24 == 127;
    return strcasecmp(name, "localhost") == 0;
}

static int judge_token(const struct host *host, struct failure *failure)
{
    if (host->socket_path || host->tls || is_loopback(host->authority))
        return 0;
    return failure_set(failure, EXIT_CODE_USAGE,
            "the token %s is not sent to %s: everybody on the way could read it; use an https:// URL, or an "
            "ssh tunnel to this machine's loopback",
            host->token_file ? "of this host in hosts.json" : "in DEVREG_TOKEN", host->text);
}

static int find_certificate(const struct options *options, const struct host *host,
        struct identity *identity, struct failure *failure)
{
    /* A certificate and its key come from the same place. */
    const char *const pairs[][2] = {{options->cert, options->key},
            {variable("DEVREG_CERT"), variable("DEVREG_KEY")}, {host->cert, host->key}};
    int r;

    for (size_t i = 0; i < ELEMENTS(pairs); i++) {
        const char *cert = pairs[i][0];
        const char *key = pairs[i][1];

        if (key && !cert)
            return failure_set(failure, EXIT_CODE_USAGE, "the key %s needs its certificate: give it with %s",
                    key,
                    i == 0   ? "--cert FILE"
                    : i == 1 ? "DEVREG_CERT"
                             : "\"cert\" in hosts.json");
        if (!cert)
            continue;
        r = copy(cert, &identity->cert, failure);
        return r < 0 ? r : copy(key ? key : cert, &identity->key, failure);
    }
    return 0;
}

/* libcurl's words for a file that can't be read do not say which. */
static int judge_file(const char *path, struct failure *failure)
{
    if (!path || access(path, R_OK) == 0)
        return 0;
    return failure_set(failure, EXIT_CODE_USAGE, "%s: %s", path, strerror(errno));
}

static int find_files(const struct options *options, const struct host *host, struct identity *identity,
        struct failure *failure)
{
    const char *cacert = options->cacert;
    int r;

    /* Whoever shows a certificate expects it to be seen. The environment is for all hosts. */
    if (!host->tls && (cacert || options->cert || options->key))
        return failure_set(failure, EXIT_CODE_USAGE,
                "%s is not https://, so there are no certificates: leave out --cacert, --cert and --key",
                host->text);
    if (!host->tls)
        return 0;
    if (!cacert)
        cacert = variable("DEVREG_CACERT");
    r = copy(cacert ? cacert : host->cacert, &identity->cacert, failure);
    if (r < 0)
        return r;
    r = find_certificate(options, host, identity, failure);
    if (r < 0)
        return r;
    r = judge_file(identity->cacert, failure);
    if (r < 0)
        return r;
    r = judge_file(identity->cert, failure);
    return r < 0 ? r : judge_file(identity->key, failure);
}

static int find_reservation(char **ret_reservation, struct failure *failure)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-";
    const char *id = variable("DEVREG_RESERVATION");

    if (id && (strlen(id) > RESERVATION_LIMIT || id[strspn(id, plain)] != '\0'))
        return failure_set(failure, EXIT_CODE_USAGE,
                "DEVREG_RESERVATION is \"%s\", which is no reservation's id: unset it, or take it from "
                "devregctl reserve",
                id);
    return copy(id, ret_reservation, failure);
}

int identity_resolve(const struct options *options, const struct host *host, struct identity *ret_identity,
        struct failure *failure)
{
    _cleanup_identity_ struct identity identity = {0};
    int r;

    r = find_token(host, &identity.token, failure);
    if (r == 0 && identity.token)
        r = judge_token(host, failure);
    if (r == 0)
        r = find_files(options, host, &identity, failure);
    if (r == 0)
        r = find_reservation(&identity.reservation, failure);
    if (r < 0)
        return r;
    *ret_identity = identity;
    identity = (struct identity){0};
    return 0;
}
