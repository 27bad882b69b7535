/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Buffers of devregd's device `bench`, over one connection: their octets beside memcpy and a plain HTTP
 * server that sends and takes as many, their coming and going beside requests that do nothing.
 *   bench-buffers transfer DEVREGD SERVER KIND SIZE ROUNDS
 *   bench-buffers allocate DEVREGD KIND SIZE ROUNDS
 *   bench-buffers pool DEVREGD COUNT SIZE ROUNDS
 * DEVREGD and SERVER (minimal.c) are a socket's path or a loopback port. What is compared is measured in
 * turn, so that what slows the machine slows both. `transfer` prints a line each for "get" and "put": the
 * median of the MB/s, the median of the ratios to the server's speed, and the quartiles of these, and then
 * the median of the ratios to memcpy's. The others print the median of the microseconds, and the median of
 * the ratios to the time of as many requests that do nothing, and the quartiles. What has been transferred
 * is compared, once.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "request.h"
#include "util/cleanup.h"
#include "util/clock.h"

enum {
    PATTERN_BYTES = 262139,  /* a prime, so that a piece in the wrong place is a wrong piece */
    PIECE_BYTES = 262144,    /* that are received at once */
    SAMPLE_BYTES = 32 << 20, /* of a measurement at least */
    SAMPLE_TURNS = 20,       /* of buffers allocated and freed in a measurement */
    PAGE_SEGMENTS = 4096,    /* most that are told at once */
};

static unsigned char pattern[2 * PATTERN_BYTES + PIECE_BYTES]; /* of which any piece is a part */

struct sample {
    double *values;
    size_t count;
};

static void sample_add(struct sample *sample, double value)
{
    sample->values = reallocarray(sample->values, sample->count + 1, sizeof(double));
    if (!sample->values)
        abort();
    sample->values[sample->count++] = value;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double sample_part(struct sample *sample, unsigned percent)
{
    qsort(sample->values, sample->count, sizeof(double), compare);
    return sample->values[(sample->count - 1) * percent / 100];
}

static double sample_median(struct sample *sample)
{
    return sample_part(sample, 50);
}

static void sample_done(struct sample *sample)
{
    free(sample->values);
}

/* Octets. */

static void make_pattern(void)
{
    uint64_t state = 88172645463325252ULL;

    for (size_t i = 0; i < sizeof(pattern); i++) {
        if (i >= PATTERN_BYTES) {
            pattern[i] = pattern[i - PATTERN_BYTES];
            continue;
        }
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        pattern[i] = (unsigned char)(state >> 32);
    }
}

static void check_piece(const char *path, uint64_t position, const void *octets, size_t size, bool check)
{
    if (check && memcmp(octets, pattern + position % PATTERN_BYTES, size) != 0)
        fail("%s: what was put is not what is got, in the %zu octets from %" PRIu64 " on", path, size,
                position);
}

struct place {
    int fd;
    char path[128];
};

static void put(const struct place *place, uint64_t size, bool check)
{
    char answer[REQUEST_ANSWER_BYTES], *body;
    uint64_t part;

    (void)check;
    send_head(place->fd, "PUT", place->path, "application/octet-stream", size);
    for (uint64_t done = 0; done < size; done += part) {
        part = size - done < PATTERN_BYTES ? size - done : PATTERN_BYTES;
        send_all(place->fd, pattern, part);
    }
    receive_head(place->fd, answer, &body);
    for (size_t more = number_in(answer, "Content-Length: ") - strlen(body); more > 0;) {
        ssize_t received = read(place->fd, answer, more < sizeof(answer) ? more : sizeof(answer));

        if (received <= 0)
            fail("%s: the answer has ended", place->path);
        more -= (size_t)received;
    }
}

static void get(const struct place *place, uint64_t size, bool check)
{
    static char piece[PIECE_BYTES];
    char answer[REQUEST_ANSWER_BYTES], *body;
    uint64_t done;

    send_head(place->fd, "GET", place->path, NULL, 0);
    done = receive_head(place->fd, answer, &body);
    if (number_in(answer, "Content-Length: ") != size)
        fail("%s: %" PRIu64 " octets were to come: %s", place->path, size, answer);
    check_piece(place->path, 0, body, done, check);
    while (done < size) {
        ssize_t part = recv(place->fd, piece, sizeof(piece), 0);

        if (part <= 0)
            fail("%s: only %" PRIu64 " octets came", place->path, done);
        check_piece(place->path, done, piece, (size_t)part, check);
        done += (uint64_t)part;
    }
}

/* Buffers. */

struct buffer_path {
    char text[64];
};

static struct buffer_path allocate(int fd, const char *wish)
{
    char answer[REQUEST_ANSWER_BYTES];
    struct buffer_path path;
    const char *id;

    ask(fd, "POST", "/v1/buffers", "application/json", wish, strlen(wish), answer);
    id = strstr(answer, "\"id\":\"");
    if (!id)
        fail("a buffer without an id: %s", answer);
    id += 6;
    snprintf(path.text, sizeof(path.text), "/v1/buffers/%.*s", (int)strcspn(id, "\""), id);
    return path;
}

static void free_buffer(int fd, const struct buffer_path *path)
{
    char answer[REQUEST_ANSWER_BYTES];

    ask(fd, "DELETE", path->text, NULL, NULL, 0, answer);
}

/* Transfers. */

static double memcpy_ns(uint64_t size, unsigned times)
{
    static char *from, *to;
    uint64_t start;

    if (!from) {
        from = malloc(size);
        to = malloc(size);
        if (!from || !to)
            abort();
        memset(from, 0x5a, size);
        memset(to, 0xa5, size);
    }
    start = clock_now_ns();
    for (unsigned i = 0; i < times; i++) {
        memcpy(to, from, size);
        __asm__ volatile("" : : "r"(to) : "memory");
    }
    return (double)(clock_now_ns() - start);
}

typedef void transfer_fn(const struct place *place, uint64_t size, bool check);

static double transfer_ns(transfer_fn *transfer, const struct place *place, uint64_t size, unsigned times)
{
    uint64_t start = clock_now_ns();

    for (unsigned i = 0; i < times; i++)
        transfer(place, size, false);
    return (double)(clock_now_ns() - start);
}

static const struct {
    const char *name;
    transfer_fn *transfer;
} ways[] = {
        {"put", put},
        {"get", get},
};

struct transfer_samples {
    struct sample speeds, server_ratios, memcpy_ratios;
};

static void measure_transfers(const struct place *ours, const struct place *theirs, uint64_t size,
        unsigned rounds, struct transfer_samples samples[ELEMENTS(ways)])
{
    unsigned times = size < SAMPLE_BYTES ? (unsigned)(SAMPLE_BYTES / size) : 1;

    for (unsigned round = 0; round < rounds; round++) {
        double copying = memcpy_ns(size, times);

        for (size_t i = 0; i < ELEMENTS(ways); i++) {
            double our = transfer_ns(ways[i].transfer, ours, size, times);
            double their = transfer_ns(ways[i].transfer, theirs, size, times);

            sample_add(&samples[i].speeds, (double)size * times * 1e3 / our);
            sample_add(&samples[i].server_ratios, their / our);
            sample_add(&samples[i].memcpy_ratios, copying / our);
        }
    }
}

static void print_transfers(const char *name, struct transfer_samples *samples)
{
    printf("%s %.1f %.3f %.3f %.3f %.4f\n", name, sample_median(&samples->speeds),
            sample_median(&samples->server_ratios), sample_part(&samples->server_ratios, 25),
            sample_part(&samples->server_ratios, 75), sample_median(&samples->memcpy_ratios));
    sample_done(&samples->speeds);
    sample_done(&samples->server_ratios);
    sample_done(&samples->memcpy_ratios);
}

static void bench_transfer(char **arguments)
{
    uint64_t size = strtoull(arguments[3], NULL, 10);
    struct transfer_samples samples[ELEMENTS(ways)] = {0};
    struct place ours = {.fd = connect_to(arguments[0])},
                 theirs = {.fd = connect_to(arguments[1]), .path = "/"};
    struct buffer_path path;
    char wish[256];

    snprintf(wish, sizeof(wish), "{\"device\":\"bench\",\"kind\":\"%s\",\"size\":%" PRIu64 "}", arguments[2],
            size);
    path = allocate(ours.fd, wish);
    snprintf(ours.path, sizeof(ours.path), "%s/data", path.text);
    memcpy_ns(size, 1);
    for (size_t i = 0; i < ELEMENTS(ways); i++) { /* which warms up too */
        ways[i].transfer(&ours, size, true);
        ways[i].transfer(&theirs, size, true);
    }
    measure_transfers(&ours, &theirs, size, (unsigned)atoi(arguments[4]), samples);
    for (size_t i = 0; i < ELEMENTS(ways); i++)
        print_transfers(ways[i].name, &samples[i]);
    free_buffer(ours.fd, &path);
}

/* Coming and going. */

static double nothing_ns(int fd, unsigned requests)
{
    char answer[REQUEST_ANSWER_BYTES];
    uint64_t start = clock_now_ns();

    for (unsigned i = 0; i < requests; i++)
        ask(fd, "GET", "/healthz", NULL, NULL, 0, answer);
    return (double)(clock_now_ns() - start);
}

/* One turn is so many requests. */
struct turn {
    int fd;
    unsigned requests;
    char wish[256];
    uint64_t segments; /* that are to be read */
};

static void check_segments(const char *page, const char *text, uint64_t count)
{
    uint64_t found = 0;

    for (const char *place = text; (place = strstr(place, "\"bus_address\":\"")); place++)
        found++;
    if (found != count)
        fail("%s: %" PRIu64 " came", page, found);
}

/* A page of them. */
static void read_segments(
        const struct turn *turn, const char *path, uint64_t first, uint64_t count, bool check)
{
    static char text[1 << 20];
    char answer[REQUEST_ANSWER_BYTES], page[128], *body;
    size_t received, wanted;

    snprintf(page, sizeof(page), "%s/segments?first=%" PRIu64 "&count=%" PRIu64, path, first, count);
    send_head(turn->fd, "GET", page, NULL, 0);
    received = receive_head(turn->fd, answer, &body);
    wanted = number_in(answer, "Content-Length: ");
    if (wanted >= sizeof(text))
        fail("%s: the answer has %zu octets", page, wanted);
    memcpy(text, body, received);
    while (received < wanted) {
        ssize_t part = read(turn->fd, text + received, wanted - received);

        if (part <= 0)
            fail("%s: the answer has ended", page);
        received += (size_t)part;
    }
    text[wanted] = '\0';
    if (check)
        check_segments(page, text, count);
}

static void run_turn(const struct turn *turn, bool check)
{
    struct buffer_path path = allocate(turn->fd, turn->wish);
    uint64_t count;

    for (uint64_t first = 0; first < turn->segments; first += count) {
        count = turn->segments - first < PAGE_SEGMENTS ? turn->segments - first : PAGE_SEGMENTS;
        read_segments(turn, path.text, first, count, check);
    }
    free_buffer(turn->fd, &path);
}

static void measure_turns(const struct turn *turn, unsigned rounds)
{
    struct sample times = {0}, ratios = {0};

    run_turn(turn, true);
    nothing_ns(turn->fd, 10);
    for (unsigned round = 0; round < rounds; round++) {
        double nothing = nothing_ns(turn->fd, turn->requests * SAMPLE_TURNS);
        uint64_t start = clock_now_ns();
        double taken;

        for (unsigned i = 0; i < SAMPLE_TURNS; i++)
            run_turn(turn, false);
        taken = (double)(clock_now_ns() - start);
        sample_add(&times, taken / SAMPLE_TURNS / 1e3);
        sample_add(&ratios, taken / nothing);
    }
    printf("%.1f %.3f %.3f %.3f\n", sample_median(&times), sample_median(&ratios), sample_part(&ratios, 25),
            sample_part(&ratios, 75));
    sample_done(&times);
    sample_done(&ratios);
}

static void bench_allocate(char **arguments)
{
    struct turn turn = {.fd = connect_to(arguments[0]), .requests = 2};

    snprintf(turn.wish, sizeof(turn.wish), "{\"device\":\"bench\",\"kind\":\"%s\",\"size\":%s}",
            arguments[1], arguments[2]);
    measure_turns(&turn, (unsigned)atoi(arguments[3]));
}

static void bench_pool(char **arguments)
{
    struct turn turn = {.fd = connect_to(arguments[0]), .segments = strtoull(arguments[1], NULL, 10)};

    turn.requests = 2 + (unsigned)((turn.segments + PAGE_SEGMENTS - 1) / PAGE_SEGMENTS);
    snprintf(turn.wish, sizeof(turn.wish),
            "{\"device\":\"bench\",\"kind\":\"pool\",\"count\":%s,\"size\":%s}", arguments[1], arguments[2]);
    measure_turns(&turn, (unsigned)atoi(arguments[3]));
}

static const struct {
    const char *name;
    int count; /* of arguments */
    void (*run)(char **arguments);
} verbs[] = {
        {"transfer", 5, bench_transfer},
        {"allocate", 4, bench_allocate},
        {"pool", 4, bench_pool},
};

int main(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < ELEMENTS(verbs); i++) {
        if (strcmp(argv[1], verbs[i].name) != 0 || argc != verbs[i].count + 2)
            continue;
        make_pattern();
        verbs[i].run(argv + 2);
        return 0;
    }
    fprintf(stderr, "usage: bench-buffers transfer DEVREGD SERVER KIND SIZE ROUNDS\n"
                    "       bench-buffers allocate DEVREGD KIND SIZE ROUNDS\n"
                    "       bench-buffers pool DEVREGD COUNT SIZE ROUNDS\n");
    return 2;
}
