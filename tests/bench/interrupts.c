/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The limit that devregd's events are measured against: a program with nothing but a device's interrupts,
 * which one thread raises and another one reads from their descriptor: bench-interrupts sim BURST PACED
 * PACE_US            the board odd bench-interrupts ADDRESS BURST PACED PACE_US        an edu that is bound
 * to the module, PCI address Raises a burst, then paced ones; prints figures_print()'s line. Fails unless
 * every interrupt is accounted for. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backends/backend.h"
#include "backends/bus_guard.h"
#include "figures.h"
#include "uapi/devreg.h"
#include "util/cleanup.h"
#include "util/clock.h"

enum {
    ODD_BURST = 0x28,
    ODD_PACE = 0x2c,
    EDU_STATUS = 0x24,
    EDU_RAISE = 0x60,
    EDU_ACKNOWLEDGE = 0x64,

    INTERRUPTED = 0, /* the processor that takes interrupts: run_events.py sees to it */

    BATCH = 64,
    SILENCE_MS = 200, /* after which nothing more comes */
    WAIT_MS = 30000,  /* for what must come */
};

struct way {
    void (*raise)(struct way *way);
    size_t (*take)(struct way *way, struct interrupt_record records[BATCH]);
    bool merges; /* a burst's interrupts that come before the one before them is acknowledged */
    const struct backend *backend;
    struct device_description device;
    struct region_description region;
    struct interrupt_description interrupt;
    struct backend_device *open_device;
    struct backend_region *open_region;
    struct backend_interrupts *open_interrupts;
    unsigned count, pace_us; /* of what is being raised */
    atomic_bool raised;
    uint64_t number;        /* of the module's last record */
    uint64_t taken, missed; /* since the beginning */
};

__attribute__((noreturn)) static void fail(const char *what, const char *why)
{
    fprintf(stderr, "bench-interrupts: %s: %s\n", what, why);
    exit(EXIT_FAILURE);
}

static void write_register(struct way *way, uint64_t offset, uint32_t value)
{
    const struct access access = {.offset = offset, .width = 4, .count = 1};
    size_t done;

    if (way->backend->write(way->open_region, &access, &value, &done) < 0)
        fail(way->device.name, "a write failed");
}

static void raise_by_board(struct way *way)
{
    write_register(way, ODD_PACE, way->pace_us);
    write_register(way, ODD_BURST, way->count);
}

/* On the processor that takes the interrupts each one is taken before the next is raised; from another one
 * they come faster than they are acknowledged, and edu makes one of several. */
static void raise_by_writes(struct way *way)
{
    const struct timespec pace = {.tv_nsec = (long)way->pace_us * 1000};
    cpu_set_t processors;

    CPU_ZERO(&processors);
    CPU_SET(INTERRUPTED, &processors);
    if (sched_setaffinity(0, sizeof(processors), &processors) < 0)
        fail("its processor", strerror(errno));
    for (unsigned i = 0; i < way->count; i++) {
        if (way->pace_us)
            nanosleep(&pace, NULL);
        write_register(way, EDU_RAISE, 1);
    }
}

/* The simulated board's descriptor only says that there are some. */
static size_t take_by_backend(struct way *way, struct interrupt_record records[BATCH])
{
    size_t count = 0;

    if (way->backend->interrupts_read(way->open_interrupts, records, BATCH, &count) < 0)
        fail(way->device.name, "its interrupts can't be read");
    return count;
}

/* As the module has them. */
static size_t take_by_read(struct way *way, struct interrupt_record records[BATCH])
{
    struct devreg_interrupt batch[BATCH];
    ssize_t size = read(way->open_interrupts->fd, batch, sizeof(batch));
    size_t count = size < 0 ? 0 : (size_t)size / sizeof(batch[0]);

    if (size < 0 && errno != EAGAIN)
        fail(way->device.name, strerror(errno));
    for (size_t i = 0; i < count; i++) {
        records[i] = (struct interrupt_record){.time_ns = batch[i].time, .missed = batch[i].dropped};
        way->number += batch[i].dropped + 1;
        if (batch[i].number != way->number)
            fail(way->device.name, "an interrupt is not accounted for");
    }
    return count;
}

static void open_way(struct way *way)
{
    struct error error = {0};

    way->device.regions = &way->region;
    way->device.region_count = 1;
    way->device.interrupts = &way->interrupt;
    way->device.interrupt_count = 1;
    way->region.name = way->interrupt.name = (char *)"bench";
    if (way->backend->device_open(&way->device, &way->open_device, &error) < 0 ||
            way->backend->region_open(way->open_device, &way->region, &way->open_region, &error) < 0 ||
            way->backend->interrupts_open(way->open_device, &way->open_interrupts, &error) < 0)
        fail(way->device.name, error.message);
}

static void close_way(struct way *way)
{
    way->backend->interrupts_close(way->open_interrupts);
    way->backend->region_close(way->open_region);
    way->backend->device_close(way->open_device);
}

static void *run_raiser(void *argument)
{
    struct way *way = argument;

    way->raise(way);
    atomic_store(&way->raised, true);
    return NULL;
}

/* Returns false when nothing came. */
static bool take(struct way *way, struct figures *figures)
{
    struct pollfd wait = {.fd = way->open_interrupts->fd, .events = POLLIN};
    struct interrupt_record records[BATCH];
    uint64_t now_ns;
    size_t count;

    if (poll(&wait, 1, SILENCE_MS) <= 0)
        return false;
    count = way->take(way, records);
    now_ns = clock_now_ns();
    for (size_t i = 0; i < count; i++) {
        figures_add(figures, records[i].time_ns, now_ns);
        way->missed += records[i].missed;
    }
    way->taken += count;
    return true;
}

static void measure(struct way *way, unsigned count, unsigned pace_us, struct figures *figures)
{
    uint64_t before = way->taken + way->missed, limit_us = clock_now_us() + WAIT_MS * 1000ULL, came;
    pthread_t raiser;
    bool enough;

    way->count = count;
    way->pace_us = pace_us;
    atomic_store(&way->raised, false);
    if (pthread_create(&raiser, NULL, run_raiser, way) != 0)
        fail(way->device.name, "no thread");
    do {
        bool raised = atomic_load(&way->raised), silent = !take(way, figures);

        came = way->taken + way->missed - before;
        enough = raised && silent && (came == count || (came > 0 && way->merges && !pace_us));
    } while (!enough && came <= count && clock_now_us() < limit_us);
    pthread_join(raiser, NULL);
    if (!enough) {
        fprintf(stderr, "bench-interrupts: %s: %u interrupts were raised, and %" PRIu64 " came\n",
                way->device.name, count, came);
        exit(EXIT_FAILURE);
    }
}

static struct way odd_way(void)
{
    return (struct way){.raise = raise_by_board,
            .take = take_by_backend,
            .backend = backend_find("sim"),
            .device = {.name = (char *)"odd", .keys = KEY_MODEL, .model = (char *)"odd"}};
}

static struct way edu_way(char *address)
{
    return (struct way){.raise = raise_by_writes,
            .take = take_by_read,
            .merges = true,
            .backend = backend_find("kmod"),
            .device = {.name = address, .keys = KEY_ADDRESS, .address = address},
            .region = {.keys = KEY_BAR},
            .interrupt = {.acknowledged = true,
                    .acknowledge = {.width = 4,
                            .read = EDU_STATUS,
                            .writes = true,
                            .write = EDU_ACKNOWLEDGE,
                            .mask = UINT32_MAX}}};
}

int main(int argc, char **argv)
{
    struct figures burst = {0}, paced = {0};
    struct way way;

    if (argc != 5) {
        fprintf(stderr, "usage: bench-interrupts sim|ADDRESS BURST PACED PACE_US\n");
        return 2;
    }
    bus_guard_install();
    way = strcmp(argv[1], "sim") == 0 ? odd_way() : edu_way(argv[1]);
    open_way(&way);
    measure(&way, (unsigned)atoi(argv[2]), 0, &burst);
    measure(&way, (unsigned)atoi(argv[3]), (unsigned)atoi(argv[4]), &paced);
    close_way(&way);
    figures_print(&burst, &paced, 1, way.missed);
    return 0;
}
