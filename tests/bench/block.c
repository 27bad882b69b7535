/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Block reads of 1 MiB beside memcpy of the same size, in turn, so that what slows the machine slows both:
 *   block accesses          the register loop alone, each width, from a mapped file
 *   block http SOCKET PATH  GET PATH from devregd's Unix socket, over one connection
 * Prints a line for each: a name and the median of memcpy's time over its own, "accesses 32 0.42". */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "backends/bus_guard.h"
#include "backends/mapping.h"
#include "util/clock.h"

enum { SIZE = 1024 * 1024, ROUNDS = 61 };

static char *source, *target;

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static uint64_t time_memcpy(void)
{
    uint64_t start = clock_now_ns();

    memcpy(target, source, SIZE);
    __asm__ volatile("" : : "r"(target) : "memory");
    return clock_now_ns() - start;
}

/* Runs both in turn; the first round warms up. */
static double measure(void (*run)(void *context), void *context)
{
    double ratios[ROUNDS];

    for (int i = 0; i < ROUNDS; i++) {
        uint64_t copying = time_memcpy();
        uint64_t start = clock_now_ns();

        run(context);
        ratios[i] = (double)copying / (double)(clock_now_ns() - start);
    }
    qsort(ratios + 1, ROUNDS - 1, sizeof(ratios[0]), compare);
    return ratios[1 + ROUNDS / 2];
}

struct accesses {
    struct mapping mapping;
    unsigned width;
};

static void run_accesses(void *context)
{
    struct accesses *accesses = context;
    struct access access = {.width = accesses->width, .count = SIZE / accesses->width};
    size_t done;

    if (mapping_read(&accesses->mapping, &access, target, &done) < 0)
        exit(1);
}

static int bench_accesses(void)
{
    int fd = memfd_create("bench", MFD_CLOEXEC);
    struct accesses accesses;

    if (fd < 0 || ftruncate(fd, SIZE) < 0 || write(fd, source, SIZE) != SIZE || bus_guard_install() < 0 ||
            mapping_open(fd, 0, SIZE, false, &accesses.mapping) < 0)
        return 1;
    close(fd);
    for (accesses.width = 1; accesses.width <= 8; accesses.width *= 2)
        printf("accesses %u %.3f\n", accesses.width * 8, measure(run_accesses, &accesses));
    mapping_close(&accesses.mapping);
    return 0;
}

struct http {
    int fd;
    char request[512];
};

static void run_http(void *context)
{
    const struct http *http = context;
    size_t received = 0, wanted = 0;

    if (write(http->fd, http->request, strlen(http->request)) < 0)
        exit(1);
    while (wanted == 0 || received < wanted) {
        ssize_t size = read(http->fd, target + received, SIZE + 4096 - received);
        char *body;

        if (size <= 0)
            exit(1);
        received += (size_t)size;
        if (wanted)
            continue;
        target[received] = 0;
        body = strstr(target, "\r\n\r\n");
        if (body)
            wanted = (size_t)(body + 4 - target) + SIZE;
        if (strncmp(target, "HTTP/1.1 200", 12) != 0)
            exit(1);
    }
}

static int bench_http(const char *path, const char *url)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct http http = {.fd = socket(AF_UNIX, SOCK_STREAM, 0)};

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    if (http.fd < 0 || connect(http.fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        return 1;
    snprintf(http.request, sizeof(http.request), "GET %s HTTP/1.1\r\nHost: bench\r\n\r\n", url);
    printf("http %.3f\n", measure(run_http, &http));
    close(http.fd);
    return 0;
}

int main(int argc, char **argv)
{
    source = malloc(SIZE);
    target = malloc(SIZE + 4096 + 1);
    if (!source || !target)
        return 1;
    memset(source, 0x5a, SIZE);
    if (argc == 2 && strcmp(argv[1], "accesses") == 0)
        return bench_accesses();
    if (argc == 4 && strcmp(argv[1], "http") == 0)
        return bench_http(argv[2], argv[3]);
    fprintf(stderr, "usage: block accesses | block http SOCKET PATH\n");
    return 2;
}
