/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Subscribers of devregd's events, all read by one thread as they are readable:
 *   bench-events speed SOCKET odd|edu SOURCE SUBSCRIBERS BURST PACED PACE_US
 *   bench-events memory SOCKET odd|edu SOURCE SUBSCRIBERS BURST FIRST COUNT
 * Another thread has the board, that of the region with the source's name, raise them: a burst, and then
 * paced ones. `speed` prints figures_print()'s line. `memory` raises FIRST interrupts or a few more in
 * bursts, and then COUNT, and prints devregd's VmRSS before and after these in KiB. Fails unless each
 * subscriber has been told of every interrupt that the source has counted, by an event or as missed or lost.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "figures.h"
#include "request.h"
#include "util/cleanup.h"
#include "util/clock.h"

enum {
    TEXT_BYTES = 64 * 1024,
    READY = 64,      /* that are read between two looks */
    LOOK_MS = 50,    /* at the source's count, */
    LOOKS = 4,       /* which is final when it has not changed for so many */
    WAIT_MS = 60000, /* for what must come */
};

struct subscriber {
    int fd;
    bool begun;
    bool lost;       /* some were reported so, which the next event's number will tell */
    uint64_t number; /* of the last one that it was told of */
    size_t used;
    char text[TEXT_BYTES + 1];
};

struct raising {
    unsigned count, pace_us;
};

struct bench {
    const char *socket, *source;
    bool odd; /* the board raises them by itself; otherwise each is a write, and those of a burst may merge
               */
    int control;
    int epoll;
    struct subscriber *subscribers;
    size_t count, begun;
    uint64_t missed; /* of all subscribers, of what was raised last */
    struct figures *figures;
    struct raising raising;
    uint64_t before;        /* the source's count */
    _Atomic uint64_t after; /* likewise, once it is known */
};

/* Requests. */

static uint64_t ask_count(struct bench *bench)
{
    char path[256], answer[REQUEST_ANSWER_BYTES];

    snprintf(path, sizeof(path), "/v1/interrupts/%s", bench->source);
    ask(bench->control, "GET", path, NULL, NULL, 0, answer);
    return number_in(answer, "\"count\":");
}

static void write_register(struct bench *bench, unsigned offset, unsigned value)
{
    char path[256], body[64], answer[REQUEST_ANSWER_BYTES];

    snprintf(path, sizeof(path), "/v1/regions/%s/registers/0x%x", bench->source, offset);
    snprintf(body, sizeof(body), "{\"value\":\"0x%x\"}", value);
    ask(bench->control, "PUT", path, "application/json", body, strlen(body), answer);
}

/* The raiser's thread. */

static void sleep_us(unsigned us)
{
    nanosleep(&(struct timespec){.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000L}, NULL);
}

static void raise_by_odd(struct bench *bench, const struct raising *raising)
{
    write_register(bench, 0x2c, raising->pace_us);
    write_register(bench, 0x28, raising->count);
}

static void raise_by_edu(struct bench *bench, const struct raising *raising)
{
    char path[256], answer[REQUEST_ANSWER_BYTES];
    uint32_t *values;

    for (unsigned i = 0; raising->pace_us && i < raising->count; i++) {
        sleep_us(raising->pace_us);
        write_register(bench, 0x60, 1);
    }
    if (raising->pace_us)
        return;
    values = calloc(raising->count, sizeof(*values));
    if (!values)
        abort();
    for (unsigned i = 0; i < raising->count; i++)
        memcpy(&values[i], "\1\0\0", 4);
    snprintf(path, sizeof(path), "/v1/regions/%s/data?offset=0x60&width=32&fixed=1", bench->source);
    ask(bench->control, "PUT", path, "application/octet-stream", values, raising->count * sizeof(*values),
            answer);
    free(values);
}

static void wait_for_count(struct bench *bench)
{
    const struct raising *raising = &bench->raising;
    bool merges = !bench->odd && !raising->pace_us;
    uint64_t count = bench->before, limit_us = clock_now_us() + WAIT_MS * 1000ULL;

    for (unsigned looks = 0; looks < LOOKS || (count < bench->before + raising->count && !merges);) {
        uint64_t now = ask_count(bench);

        looks = now == count && now != bench->before ? looks + 1 : 0;
        count = now;
        if (clock_now_us() > limit_us)
            break;
        sleep_us(LOOK_MS * 1000);
    }
    if (count == bench->before || count > bench->before + raising->count ||
            (count != bench->before + raising->count && !merges))
        fail("%s: %u interrupts were raised, and devregd has counted %" PRIu64, bench->source,
                raising->count, count - bench->before);
    atomic_store(&bench->after, count);
}

static void *run_raiser(void *argument)
{
    struct bench *bench = argument;

    if (bench->odd)
        raise_by_odd(bench, &bench->raising);
    else
        raise_by_edu(bench, &bench->raising);
    wait_for_count(bench);
    return NULL;
}

/* Subscribers. */

static void take_interrupt(
        struct bench *bench, struct subscriber *subscriber, const char *line, uint64_t read_ns)
{
    uint64_t number = number_in(line, "\"number\":"), missed = number_in(line, "\"missed\":");
    uint64_t expected = subscriber->number + 1 + missed;

    if (number < expected || (number > expected && !subscriber->lost))
        fail("event %" PRIu64 " came after %" PRIu64 " and says that %" PRIu64 " were missed", number,
                subscriber->number, missed);
    bench->missed += number - subscriber->number - 1;
    subscriber->number = number;
    subscriber->lost = false;
    figures_add(bench->figures, number_in(line, "\"monotonic_ns\":\""), read_ns);
}

static void take_line(struct bench *bench, struct subscriber *subscriber, const char *line, uint64_t read_ns)
{
    if (strncmp(line, ": devreg ", 9) == 0 && !subscriber->begun) {
        subscriber->begun = true;
        bench->begun++;
    } else if (strncmp(line, "data: {\"source\":", 16) == 0) {
        take_interrupt(bench, subscriber, line, read_ns);
    } else if (strncmp(line, "data: {\"count\":", 15) == 0) {
        subscriber->lost = true;
    }
}

static void take_text(struct bench *bench, struct subscriber *subscriber)
{
    ssize_t size = read(subscriber->fd, subscriber->text + subscriber->used, TEXT_BYTES - subscriber->used);
    uint64_t read_ns = clock_now_ns();
    char *line = subscriber->text, *end;

    if (size <= 0)
        fail("a stream has ended");
    subscriber->used += (size_t)size;
    subscriber->text[subscriber->used] = '\0';
    if (strncmp(line, "HTTP/", 5) == 0 && strncmp(line + 8, " 200 ", 5) != 0)
        fail("no stream: %s", line);
    for (; (end = strchr(line, '\n')); line = end + 1) {
        *end = '\0';
        take_line(bench, subscriber, line, read_ns);
    }
    subscriber->used -= (size_t)(line - subscriber->text);
    memmove(subscriber->text, line, subscriber->used);
    if (subscriber->used == TEXT_BYTES)
        fail("a line does not end");
}

/* Returns false when nothing came for some time. */
static bool take_ready(struct bench *bench)
{
    struct epoll_event ready[READY];
    int count = epoll_wait(bench->epoll, ready, READY, LOOK_MS);

    for (int i = 0; i < count; i++)
        take_text(bench, ready[i].data.ptr);
    return count > 0;
}

/* HTTP/1.0, so that events are not in chunks. */
static void subscribe(struct bench *bench, struct subscriber *subscriber)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = subscriber};
    char request[256];

    subscriber->number = bench->before;
    subscriber->fd = connect_to(bench->socket);
    snprintf(request, sizeof(request),
            "GET /v1/events?source=%s&kind=interrupt HTTP/1.0\r\nHost: bench\r\n\r\n", bench->source);
    send_all(subscriber->fd, request, strlen(request));
    if (epoll_ctl(bench->epoll, EPOLL_CTL_ADD, subscriber->fd, &event) < 0)
        fail("epoll: %s", strerror(errno));
}

static void open_bench(struct bench *bench)
{
    uint64_t limit_us;

    bench->control = connect_to(bench->socket);
    bench->epoll = epoll_create1(EPOLL_CLOEXEC);
    bench->subscribers = calloc(bench->count, sizeof(*bench->subscribers));
    if (bench->epoll < 0 || !bench->subscribers)
        abort();
    bench->before = ask_count(bench);
    for (size_t i = 0; i < bench->count; i++)
        subscribe(bench, &bench->subscribers[i]);
    limit_us = clock_now_us() + WAIT_MS * 1000ULL;
    while (bench->begun < bench->count) {
        if (!take_ready(bench) && clock_now_us() > limit_us)
            fail("%zu of %zu streams have begun", bench->begun, bench->count);
    }
}

/* Raises them, until every subscriber has been told of each. */
static void measure(struct bench *bench, struct raising raising, struct figures *figures)
{
    uint64_t limit_us = clock_now_us() + WAIT_MS * 1000ULL, after = 0;
    size_t arrived = 0;
    pthread_t raiser;

    bench->raising = raising;
    bench->figures = figures;
    atomic_store(&bench->after, 0);
    if (pthread_create(&raiser, NULL, run_raiser, bench) != 0)
        fail("no thread");
    while (arrived < bench->count) {
        if (take_ready(bench))
            limit_us = clock_now_us() + WAIT_MS * 1000ULL;
        after = atomic_load(&bench->after);
        while (after && arrived < bench->count && bench->subscribers[arrived].number == after)
            arrived++;
        if (clock_now_us() > limit_us)
            fail("a subscriber was told of %" PRIu64 " interrupts of %" PRIu64,
                    bench->subscribers[arrived].number, after);
    }
    pthread_join(raiser, NULL);
    bench->before = after;
}

static void bench_speed(struct bench *bench, char **arguments)
{
    const unsigned size = (unsigned)atoi(arguments[0]);
    const struct raising slow = {(unsigned)atoi(arguments[1]), (unsigned)atoi(arguments[2])};
    struct figures burst = {0}, paced = {0};

    measure(bench, (struct raising){.count = size}, &burst);
    measure(bench, slow, &paced);
    figures_print(&burst, &paced, bench->count, bench->missed);
}

/* Of the process that listens. */
static uint64_t memory_kib(const struct bench *bench)
{
    struct ucred peer;
    socklen_t length = sizeof(peer);
    char path[64], text[4096];
    _cleanup_close_ int fd = -1;
    ssize_t size;

    if (getsockopt(bench->control, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0)
        fail("%s: %s", bench->socket, strerror(errno));
    snprintf(path, sizeof(path), "/proc/%d/status", peer.pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    size = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    if (size < 0)
        fail("%s: %s", path, strerror(errno));
    text[size] = '\0';
    return number_in(text, "VmRSS:");
}

static void raise_all(struct bench *bench, unsigned burst, unsigned count)
{
    for (unsigned raised = 0; raised < count; raised += burst) {
        struct figures figures = {0};

        measure(bench, (struct raising){.count = burst}, &figures);
        free(figures.latencies);
    }
}

static void bench_memory(struct bench *bench, char **arguments)
{
    unsigned burst = (unsigned)atoi(arguments[0]);
    uint64_t before;

    raise_all(bench, burst, (unsigned)atoi(arguments[1]));
    before = memory_kib(bench);
    raise_all(bench, burst, (unsigned)atoi(arguments[2]));
    printf("%" PRIu64 " %" PRIu64 " %" PRIu64 "\n", before, memory_kib(bench), bench->missed);
}

static const struct {
    const char *name;
    void (*run)(struct bench *bench, char **arguments);
} verbs[] = {
        {"speed", bench_speed},
        {"memory", bench_memory},
};

int main(int argc, char **argv)
{
    for (size_t i = 0; argc == 9 && i < ELEMENTS(verbs); i++) {
        struct bench bench = {.socket = argv[2], .odd = strcmp(argv[3], "odd") == 0, .source = argv[4]};

        if (strcmp(argv[1], verbs[i].name) != 0)
            continue;
        bench.count = (size_t)atoi(argv[5]);
        open_bench(&bench);
        verbs[i].run(&bench, argv + 6);
        return 0;
    }
    fprintf(stderr, "usage: bench-events speed SOCKET odd|edu SOURCE SUBSCRIBERS BURST PACED PACE_US\n"
                    "       bench-events memory SOCKET odd|edu SOURCE SUBSCRIBERS BURST FIRST COUNT\n");
    return 2;
}
