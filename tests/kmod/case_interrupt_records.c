// SPDX-License-Identifier: LGPL-2.1-or-later
// The records of interrupts: read, waited for, and dropped when nobody reads.
#include "kmodtest.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

// When nobody reads, the oldest is dropped for the one that fills the ring, and no more come.
static void flooded(uint32_t kind)
{
    struct source edu = open_source(EDU, kind, 16);
    struct devreg_acknowledge wanted = edu_acknowledge();
    fine(set_acknowledge(edu.interrupts, wanted));
    unmask(edu.interrupts);
    struct devreg_interrupt records[32];
    for (unsigned round = 0; round < 3; round++) {
        uint64_t before = interrupt_sequence(edu.interrupts);
        context("kind %u, round %u", kind, round);
        for (uint64_t i = 1; i <= 17; i++) {
            raise_it(&edu, 1);
            // Each is taken before the next is raised, or two could become one on the way.
            uint64_t deadline = now_ms() + INTERRUPT_WAIT_MS;
            while (interrupt_sequence(edu.interrupts) != before + i)
                check(now_ms() < deadline);
        }
        for (unsigned i = 0; i < 100; i++)
            raise_it(&edu, 2);
        sleep_ms(100);
        check_equal(interrupt_sequence(edu.interrupts), before + 17);
        check_equal(fine(read(edu.interrupts, records, sizeof(records))), 16 * sizeof(records[0]));
        check_equal(records[0].dropped, 1);
        for (unsigned i = 0; i < 16; i++) {
            check_equal(records[i].sequence, before + 2 + i);
            check_equal(records[i].number, records[i].sequence);
            check_equal(i ? records[i].dropped : 0, 0);
            check_equal(records[i].flags & DEVREG_INTERRUPT_MASKED, i == 15 ? DEVREG_INTERRUPT_MASKED : 0);
        }
        check_no_interrupt(edu.interrupts);
        unmask(edu.interrupts);
        struct devreg_interrupt record = take_interrupt(edu.interrupts);
        check_equal(record.sequence, before + 18);
        check_equal(record.value, 2);
        check_no_interrupt(edu.interrupts);
    }
    close_source(&edu);
}

static void nobody_reads(void)
{
    flooded(DEVREG_INTERRUPT_MSI);
    flooded(DEVREG_INTERRUPT_LINE);
}

static void many(void)
{
    struct source edu = open_source(EDU, DEVREG_INTERRUPT_MSI, 0);
    fine(set_acknowledge(edu.interrupts, edu_acknowledge()));
    unmask(edu.interrupts);
    uint64_t time = 0;
    for (uint64_t number = 1; number <= 5000; number++) {
        raise_it(&edu, (uint32_t)number);
        struct devreg_interrupt record = take_interrupt(edu.interrupts);
        check_equal(record.number, number);
        check_equal(record.sequence, number);
        check_equal(record.value, number);
        check_equal(record.dropped, 0);
        check(record.time > time);
        time = record.time;
    }
    check_no_interrupt(edu.interrupts);
}

static void reading(void)
{
    struct source edu = open_source(EDU, DEVREG_INTERRUPT_MSI, 0);
    char octets[3 * sizeof(struct devreg_interrupt)];
    void *volatile nowhere = (void *)16; // as volatile, or the compiler would know
    check_error(read(edu.interrupts, octets, 0), EINVAL);
    check_error(read(edu.interrupts, octets, sizeof(struct devreg_interrupt) - 1), EINVAL);
    unmask(edu.interrupts);
    raise_it(&edu, 1);
    check(is_readable(edu.interrupts, INTERRUPT_WAIT_MS));
    context("whole records");
    check_equal(fine(read(edu.interrupts, octets, sizeof(octets) - 1)), sizeof(struct devreg_interrupt));
    context("nowhere");
    raise_it(&edu, 1);
    check(is_readable(edu.interrupts, INTERRUPT_WAIT_MS));
    check_error(read(edu.interrupts, nowhere, sizeof(octets)), EFAULT);
}

struct waiting {
    int interrupts;
    ssize_t result;
    int error;
    struct devreg_interrupt record;
};

static void *wait_for_one(void *argument)
{
    struct waiting *waiting = argument;
    waiting->result = read(waiting->interrupts, &waiting->record, sizeof(waiting->record));
    waiting->error = errno;
    return NULL;
}

static void do_nothing(int signal)
{
    (void)signal;
}

static void blocking(void)
{
    struct source edu = open_source(EDU, DEVREG_INTERRUPT_MSI, 0);
    fine(fcntl(edu.interrupts, F_SETFL, 0));
    unmask(edu.interrupts);
    pthread_t thread;
    context("until one comes");
    struct waiting waiting = {.interrupts = edu.interrupts};
    check_equal(pthread_create(&thread, NULL, wait_for_one, &waiting), 0);
    sleep_ms(50);
    raise_it(&edu, 1);
    check_equal(pthread_join(thread, NULL), 0);
    check_equal(waiting.result, sizeof(waiting.record));
    context("until a signal comes");
    sigaction(SIGUSR1, &(struct sigaction){.sa_handler = do_nothing}, NULL);
    check_equal(pthread_create(&thread, NULL, wait_for_one, &waiting), 0);
    do { // again, as one that comes before it waits does nothing
        sleep_ms(50);
        pthread_kill(thread, SIGUSR1);
    } while (pthread_tryjoin_np(thread, NULL) == EBUSY);
    check_equal(waiting.result, -1);
    check_equal(waiting.error, EINTR);
    context("until the device goes");
    check_equal(pthread_create(&thread, NULL, wait_for_one, &waiting), 0);
    sleep_ms(50);
    unbind_device("pci", EDU);
    check_equal(pthread_join(thread, NULL), 0);
    check_equal(waiting.result, -1);
    check_equal(waiting.error, ENODEV);
}

const struct test_case interrupt_record_cases[] = {
        {"interrupts_nobody_reads", nobody_reads, 0},
        {"interrupts_many", many, 0},
        {"interrupts_reading", reading, 0},
        {"interrupts_blocking", blocking, 0},
        {0},
};
