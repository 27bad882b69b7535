/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* -H, then DEVREG_HOST, then the sockets where a daemon listens when nobody says otherwise: the system's,
 * one of this login session, and one of this user without a session. */
#include "host.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "hosts_file.h"
#include "util/number.h"

#define SYSTEM_SOCKET "/run/devregd/devregd.sock"

void host_done(struct host *host)
{
    free(host->text);
    free(host->socket_path);
    free(host->authority);
    free(host->prefix);
    free(host->token_file);
    free(host->cacert);
    free(host->cert);
    free(host->key);
    *host = (struct host){0};
}

static int out_of_memory(struct failure *failure)
{
    return failure_set(failure, EXIT_CODE_OTHER, "out of memory");
}

static bool is_socket_text(const char *text)
{
    return text[0] == '/' || text[0] == '.' || strncmp(text, "unix:", 5) == 0;
}

static int use_socket(const char *path, struct host *ret_host, struct failure *failure)
{
    _cleanup_host_ struct host host = {0};

    if (strlen(path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
        return failure_set(failure, EXIT_CODE_USAGE,
                "the path of the socket is longer than %zu octets, which Unix sockets cannot have: %s",
                sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1, path);
    if (*path == '\0')
        return failure_set(failure, EXIT_CODE_USAGE, "no path after unix:");
    host.text = strdup(path);
    host.socket_path = strdup(path);
    host.authority = strdup("localhost");
    host.prefix = strdup("");
    if (!host.text || !host.socket_path || !host.authority || !host.prefix)
        return out_of_memory(failure);
    *ret_host = host;
    host = (struct host){0};
    return 0;
}

/* NAME, NAME:PORT, [ADDRESS] or [ADDRESS]:PORT, and nothing else that a URL can have there. */
static bool is_plain_authority(const char *authority)
{
    static const char name_characters[] =
            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
    const char *rest;
    uint64_t port;
    size_t length;

    if (*authority == '[') {
        authority++;
        length = strspn(authority, "0123456789abcdefABCDEF:.");
        rest = authority + length + 1;
        if (authority[length] != ']')
            return false;
    } else {
        length = strspn(authority, name_characters);
        rest = authority + length;
    }
    if (length == 0 || (*rest != '\0' && *rest != ':'))
        return false;
    return *rest == '\0' ||
           (rest[1] != '0' && number_parse(rest + 1, &port) == 0 && port > 0 && port <= UINT16_MAX);
}

static bool is_plain_path(const char *path)
{
    for (; *path; path++)
        if (*path <= ' ' || *path > '~' || *path == '?' || *path == '#')
            return false;
    return true;
}

static int use_url(const char *url, struct host *ret_host, struct failure *failure)
{
    _cleanup_host_ struct host host = {0};
    size_t scheme = strcspn(url, ":");
    const char *authority = url + scheme + strlen("://");
    size_t length = strcspn(authority, "/?#");
    size_t prefix_length = strlen(authority + length);

    host.tls = scheme == 5 && strncasecmp(url, "https", 5) == 0;
    if (!host.tls && (scheme != 4 || strncasecmp(url, "http", 4) != 0))
        return failure_set(failure, EXIT_CODE_USAGE, "%s: only http:// and https:// are spoken", url);
    while (prefix_length > 0 && authority[length + prefix_length - 1] == '/')
        prefix_length--;
    host.text = strndup(url, (size_t)(authority - url) + length + prefix_length);
    host.authority = strndup(authority, length);
    host.prefix = strndup(authority + length, prefix_length);
    if (!host.text || !host.authority || !host.prefix)
        return out_of_memory(failure);
    if (!is_plain_authority(host.authority) || !is_plain_path(host.prefix))
        return failure_set(failure, EXIT_CODE_USAGE,
                "%s is not a URL of a daemon: write http://NAME:PORT, as http://127.0.0.1:7373", url);
    *ret_host = host;
    host = (struct host){0};
    return 0;
}

/* Everything but a name: what hosts.json may hold, too. */
static int use_address(const char *text, struct host *ret_host, struct failure *failure)
{
    if (strncmp(text, "unix:", 5) == 0)
        return use_socket(text + 5, ret_host, failure);
    if (is_socket_text(text))
        return use_socket(text, ret_host, failure);
    return use_url(text, ret_host, failure);
}

static bool is_address(const char *text)
{
    return is_socket_text(text) || strstr(text, "://");
}

/* What is meant for https and would go unused would be missed too late. */
static int judge_files(
        const char *name, const struct hosts_entry *entry, const struct host *host, struct failure *failure)
{
    if (host->tls || (!entry->cacert && !entry->cert && !entry->key))
        return 0;
    return failure_set(failure, EXIT_CODE_USAGE,
            "the host %s has certificates in hosts.json, but its url %s is not https://", name, host->text);
}

static int use_name(const char *name, struct host *ret_host, struct failure *failure)
{
    _cleanup_hosts_entry_ struct hosts_entry entry = {0};
    _cleanup_host_ struct host host = {0};
    int r;

    if (strchr(name, ':'))
        return failure_set(
                failure, EXIT_CODE_USAGE, "%s is no host: for an address write http://%s", name, name);
    r = hosts_file_find(name, &entry, failure);
    if (r < 0)
        return r;
    if (!is_address(entry.url))
        return failure_set(failure, EXIT_CODE_USAGE,
                "the host %s stands for \"%s\", which is neither a URL nor the path of a socket", name,
                entry.url);
    r = use_address(entry.url, &host, failure);
    if (r < 0)
        return r;
    r = judge_files(name, &entry, &host, failure);
    if (r < 0)
        return r;
    host.token_file = take_ptr(entry.token_file);
    host.cacert = take_ptr(entry.cacert);
    host.cert = take_ptr(entry.cert);
    host.key = take_ptr(entry.key);
    *ret_host = host;
    host = (struct host){0};
    return 0;
}

/* In /tmp anybody can be first: a socket in a directory that another user made is not this user's daemon. */
static bool is_own_directory(const char *socket_path)
{
    _cleanup_free_ char *directory = strdup(socket_path);
    struct stat status;

    if (!directory)
        return false;
    *strrchr(directory, '/') = '\0';
    return lstat(directory, &status) == 0 && S_ISDIR(status.st_mode) && status.st_uid == geteuid() &&
           (status.st_mode & 0022) == 0;
}

static int use_default(struct host *ret_host, struct failure *failure)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    _cleanup_free_ char *session = NULL;
    _cleanup_free_ char *own = NULL;
    struct stat status;

    if (stat(SYSTEM_SOCKET, &status) == 0)
        return use_socket(SYSTEM_SOCKET, ret_host, failure);
    if (runtime && *runtime == '/' && asprintf(&session, "%s/devregd/devregd.sock", runtime) < 0)
        return out_of_memory(failure);
    if (session && stat(session, &status) == 0)
        return use_socket(session, ret_host, failure);
    if (asprintf(&own, "/tmp/devregd-%u/devregd.sock", (unsigned)geteuid()) < 0)
        return out_of_memory(failure);
    if (lstat(own, &status) < 0)
        return failure_set(failure, EXIT_CODE_NO_CONNECTION,
                "no daemon found: tried " SYSTEM_SOCKET
                ", %s%s%s; start devregd, or say where it is with -H",
                session ? session : "", session ? ", " : "", own);
    if (!is_own_directory(own))
        return failure_set(failure, EXIT_CODE_NO_CONNECTION,
                "%s is in a directory that others can write to, so it may be somebody else's daemon; "
                "if you trust it, name it with -H",
                own);
    return use_socket(own, ret_host, failure);
}

int host_resolve(const char *text, struct host *ret_host, struct failure *failure)
{
    const char *variable = getenv("DEVREG_HOST");

    if (!text && variable && *variable)
        text = variable;
    if (!text)
        return use_default(ret_host, failure);
    if (*text == '\0')
        return failure_set(failure, EXIT_CODE_USAGE, "-H needs a socket's path, a URL or a host's name");
    return is_address(text) ? use_address(text, ret_host, failure) : use_name(text, ret_host, failure);
}
