/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A Unix socket has a lock file beside it, held while its daemon lives: only the holder may remove a socket
 * that is there, so two daemons that start at once can't take each other's away. */
#include "http/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <libgen.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/number.h"

static const char tls_scheme[] = "https://";

bool listen_is_path(const char *text)
{
    return text[0] == '/' || text[0] == '.';
}

bool listen_is_tls(const char *text)
{
    return strncmp(text, tls_scheme, strlen(tls_scheme)) == 0;
}

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

bool listen_is_loopback(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr) >> 24 == 127;
    return address->sa_family == AF_INET6 &&
           IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)address)->sin6_addr);
}

static int parse_host(const char *host, bool bracketed, uint16_t port, union address *ret_address)
{
    union address address = {0};

    if (strcmp(host, "localhost") == 0)
        host = "127.0.0.1";
    if (!bracketed && inet_pton(AF_INET, host, &address.v4.sin_addr) == 1) {
        address.v4.sin_family = AF_INET;
        address.v4.sin_port = htons(port);
    } else if (bracketed && inet_pton(AF_INET6, host, &address.v6.sin6_addr) == 1) {
        address.v6.sin6_family = AF_INET6;
        address.v6.sin6_port = htons(port);
    } else {
        return -EINVAL;
    }
    *ret_address = address;
    return 0;
}

static int parse_address(const char *text, union address *ret_address, struct error *error)
{
    const char *place = text + (listen_is_tls(text) ? strlen(tls_scheme) : 0);
    const char *colon = strrchr(place, ':');
    char host[64];
    size_t length = colon ? (size_t)(colon - place) : 0;
    bool bracketed = length > 2 && place[0] == '[' && place[length - 1] == ']';
    uint64_t port;

    if (length == 0 || length >= sizeof(host) || colon[1 + strspn(colon + 1, "0123456789")] ||
            number_parse(colon + 1, &port) < 0 || port > 65535)
        goto malformed;
    if (bracketed)
        snprintf(host, sizeof(host), "%.*s", (int)length - 2, place + 1);
    else
        snprintf(host, sizeof(host), "%.*s", (int)length, place);
    if (parse_host(host, bracketed, (uint16_t)port, ret_address) == 0)
        return 0;
malformed:
    return error_set(error, -EINVAL,
            "'%.100s' is no place to listen at: give a path (/run/devregd/devregd.sock) "
            "or an address and port (127.0.0.1:7373, [::1]:7373, https://192.0.2.7:7373)",
            text);
}

static int check_tls(const char *text, const union address *address, const struct listen_policy *policy,
        struct error *error)
{
    if (!policy->has_certificate || !policy->has_key)
        return error_set(error, -EPERM, "%s needs a certificate and its key: the configuration has no %s",
                text,
                policy->has_certificate ? "tls.key"
                : policy->has_key       ? "tls.certificate"
                                        : "tls.certificate and no tls.key");
    if (policy->insecure || policy->authenticates || listen_is_loopback(&address->any))
        return 0;
    return error_set(error, -EPERM,
            "%s is not a loopback address, and nobody could say who they are there: set tls.client_ca for "
            "client certificates, or write an access rule for a token (\"principals\": [\"token:NAME\"])",
            text);
}

static int check_exposure(const char *text, const union address *address, const struct listen_policy *policy,
        struct error *error)
{
    if (listen_is_tls(text))
        return check_tls(text, address, policy, error);
    if (policy->insecure || listen_is_loopback(&address->any))
        return 0;
    return error_set(error, -EPERM,
            "%s is not a loopback address, and whoever is on the way could read and change all that goes "
            "over it: write https://%s with tls.certificate and tls.key, listen on 127.0.0.1 and use an SSH "
            "tunnel, or give --insecure on an isolated test network",
            text, text);
}

static int check_path(const char *text, struct error *error)
{
    if (strlen(text) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
        return error_set(error, -EINVAL, "%.120s: a socket's path has %zu characters at most", text,
                sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1);
    return 0;
}

int listen_check(const char *text, const struct listen_policy *policy, struct error *error)
{
    union address address = {0};
    int r;

    if (listen_is_path(text))
        return check_path(text, error);
    r = parse_address(text, &address, error);
    return r < 0 ? r : check_exposure(text, &address, policy, error);
}

/* The name as people write it, with the port that the kernel chose. */
static void write_name(const union address *address, struct listen_socket *listener)
{
    const char *scheme = listener->tls ? tls_scheme : "";
    char host[INET6_ADDRSTRLEN];

    if (address->any.sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &address->v6.sin6_addr, host, sizeof(host));
        snprintf(listener->name, sizeof(listener->name), "%s[%s]:%u", scheme, host,
                ntohs(address->v6.sin6_port));
    } else {
        inet_ntop(AF_INET, &address->v4.sin_addr, host, sizeof(host));
        snprintf(listener->name, sizeof(listener->name), "%s%s:%u", scheme, host,
                ntohs(address->v4.sin_port));
    }
}

static int open_address(const char *text, const struct listen_policy *policy, struct listen_socket *listener,
        struct error *error)
{
    _cleanup_close_ int fd = -1;
    union address address = {0};
    const int yes = 1;
    socklen_t size = sizeof(address);
    int r = parse_address(text, &address, error);

    if (r < 0)
        return r;
    r = check_exposure(text, &address, policy, error);
    if (r < 0)
        return r;
    fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return error_set(error, -errno, "%s: %s", text, strerror(errno));
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    if (address.any.sa_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof(yes));
    if (bind(fd, &address.any, size) < 0 || listen(fd, SOMAXCONN) < 0)
        return error_set(error, -errno, "%s: %s%s", text, strerror(errno),
                errno == EADDRINUSE ? ": another program listens there" : "");
    if (getsockname(fd, &address.any, &size) < 0)
        return error_set(error, -errno, "%s: %s", text, strerror(errno));
    listener->tls = listen_is_tls(text);
    listener->exposed = !listen_is_loopback(&address.any);
    write_name(&address, listener);
    listener->fd = take_fd(&fd);
    return 0;
}

/* The directory below /run that the socket is in need not be there. */
static void make_directory(const char *path)
{
    char copy[LISTEN_NAME_SIZE];

    snprintf(copy, sizeof(copy), "%s", path);
    mkdir(dirname(copy), 0755);
}

/* Returns the held lock's descriptor. */
static int lock_path(const char *path, struct error *error)
{
    _cleanup_close_ int lock = -1;
    char name[LISTEN_NAME_SIZE + 8];

    snprintf(name, sizeof(name), "%s.lock", path);
    lock = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (lock < 0)
        return error_set(error, -errno,
                "%s: %s: choose another path with --socket, or run devregd as a user "
                "who may write there",
                name, strerror(errno));
    if (flock(lock, LOCK_EX | LOCK_NB) < 0)
        return error_set(error, -EADDRINUSE,
                "another devregd listens on %s: stop it, or choose another path with --socket", path);
    return take_fd(&lock);
}

/* The lock is held, so a socket that is there was left behind; anything else is not ours to remove. */
static int remove_left_socket(const char *path, struct error *error)
{
    struct stat information;

    if (lstat(path, &information) < 0)
        return errno == ENOENT ? 0 : error_set(error, -errno, "%s: %s", path, strerror(errno));
    if (!S_ISSOCK(information.st_mode))
        return error_set(
                error, -EEXIST, "%s is there and is no socket: remove it, or choose another path", path);
    if (unlink(path) < 0)
        return error_set(error, -errno, "removing the old %s: %s", path, strerror(errno));
    return 0;
}

/* Who may connect: the owner and, where it exists, the group devreg. The mode is there from the beginning.
 */
static int bind_path(int fd, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const struct group *group = getgrnam(LISTEN_GROUP);
    mode_t mask;
    int r;

    strcpy(address.sun_path, path); /* listen_check() has measured it */
    mask = umask(0117);
    r = bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
    umask(mask);
    if (r < 0)
        return r;
    if (group && geteuid() == 0 && chown(path, (uid_t)-1, group->gr_gid) < 0)
        return -errno;
    return listen(fd, SOMAXCONN) < 0 ? -errno : 0;
}

static int open_path(const char *path, struct listen_socket *listener, struct error *error)
{
    _cleanup_close_ int fd = -1, lock = -1;
    int r = check_path(path, error);

    if (r < 0)
        return r;
    make_directory(path);
    lock = lock_path(path, error);
    if (lock < 0)
        return lock;
    r = remove_left_socket(path, error);
    if (r < 0)
        return r;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    r = fd < 0 ? -errno : bind_path(fd, path);
    if (r < 0)
        return error_set(error, r, "%s: %s", path, strerror(-r));
    snprintf(listener->name, sizeof(listener->name), "%s", path);
    listener->local = true;
    listener->fd = take_fd(&fd);
    listener->lock = take_fd(&lock);
    return 0;
}

int listen_open(const char *text, const struct listen_policy *policy, struct listen_socket *ret_socket,
        struct error *error)
{
    *ret_socket = (struct listen_socket){.fd = -1, .lock = -1};
    return listen_is_path(text) ? open_path(text, ret_socket, error)
                                : open_address(text, policy, ret_socket, error);
}

void listen_close(struct listen_socket *listener)
{
    /* The lock file stays: another daemon may have opened it already, and would lock a file without a name.
     */
    if (listener->lock >= 0)
        unlink(listener->name);
    closep(&listener->fd);
    closep(&listener->lock);
    listener->fd = listener->lock = -1;
}
