/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The loop copies a record into a slot, the thread sends it. Slots are all there from the start, and the one
 * that was used last is used next, so a journal that keeps up costs a few of them and one that does not
 * can't cost more than all.
 *
 * The thread speaks to the journal's socket itself: sd_journal_sendv() reports success where there is no
 * journal, and waits for one that stalls for ever.
 *
 * Lock order: there is one lock, and nothing is called while it is held. */
#include "core/audit.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "core/audit_text.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/log.h"

enum {
    /* Refusals, which anybody can cause, use no more: what is changed needs room. */
    REFUSALS = AUDIT_RECORDS / 2,

    /* Of all texts of a record, with their NULs. */
    TEXT_SIZE = 1440,

    /* How often a thread that waits for a journal looks whether it is to end. */
    STALL_MS = 100,

    /* Beyond the time that it is given, for the thread to be told that it is over. */
    GRACE_MS = 500,
};

struct slot {
    struct slot *next;
    struct audit_record record; /* its texts are in text */
    uint64_t lost_before;       /* records for which there was no slot */
    char text[TEXT_SIZE];
};

struct audit {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int wake; /* eventfd */

    /* Under lock. */
    struct slot *free;
    size_t fresh; /* slots that were never used: from here on */
    struct slot *first, **end;
    uint64_t lost;
    bool ending, ended;
    uint64_t until_us; /* when ending: monotonic; 0 before */

    atomic_size_t used; /* slots */

    /* The thread's own. */
    struct sockaddr_un address;
    int journal;
    bool told; /* that there is no journal */
    struct buffer text;
    uint64_t unwritten;

    struct slot slots[AUDIT_RECORDS];
};

/* What of each text is kept. */
static const struct {
    size_t field, size;
} texts[] = {
        {offsetof(struct audit_record, principal), 96},
        {offsetof(struct audit_record, peer), 96},
        {offsetof(struct audit_record, request), 48},
        {offsetof(struct audit_record, action), 32},
        {offsetof(struct audit_record, subject), 160},
        {offsetof(struct audit_record, region), 64},
        {offsetof(struct audit_record, mask), AUDIT_VALUES_SIZE},
        {offsetof(struct audit_record, old_value), AUDIT_VALUES_SIZE},
        {offsetof(struct audit_record, new_value), AUDIT_VALUES_SIZE},
        {offsetof(struct audit_record, result), 16},
        {offsetof(struct audit_record, reason), sizeof(((struct error *)NULL)->message)},
};

static void fill(struct slot *slot, const struct audit_record *record)
{
    size_t used = 0;

    slot->record = *record;
    for (size_t i = 0; i < ELEMENTS(texts); i++) {
        const char **text = (const char **)(void *)((char *)&slot->record + texts[i].field);
        char *copy = slot->text + used;
        size_t length;

        if (!*text)
            continue;
        length = strnlen(*text, texts[i].size);
        if (length == texts[i].size) {
            memcpy(copy, *text, length - 4);
            memcpy(copy + length - 4, "...", 4);
        } else {
            memcpy(copy, *text, length + 1);
        }
        *text = copy;
        used += texts[i].size;
    }
    assert(used <= TEXT_SIZE);
}

static void wake_thread(const struct audit *audit)
{
    const uint64_t one = 1;

    /* An eventfd write fails only when its counter is full, and then the thread is awake already. */
    if (write(audit->wake, &one, sizeof(one)) < 0)
        return;
}

/* NULL when there is none for this record. */
static struct slot *take_slot(struct audit *audit, const struct audit_record *record)
{
    struct slot *slot = audit->free;

    if (record->result && strcmp(record->result, "refused") == 0 && atomic_load(&audit->used) >= REFUSALS)
        return NULL;
    if (slot)
        audit->free = slot->next;
    else if (audit->fresh < AUDIT_RECORDS)
        slot = &audit->slots[audit->fresh++];
    return slot;
}

static void append(struct audit *audit, struct slot *slot)
{
    slot->next = NULL;
    if (!audit->first)
        audit->end = &audit->first;
    *audit->end = slot;
    audit->end = &slot->next;
}

bool audit_has_room(const struct audit *audit, size_t requests)
{
    size_t room = AUDIT_RECORDS - atomic_load(&audit->used);

    return requests <= room / AUDIT_REQUEST_RECORDS;
}

void audit_write(struct audit *audit, const struct audit_record *record)
{
    struct slot *slot;
    bool first = false;

    if (!audit)
        return;
    pthread_mutex_lock(&audit->lock);
    slot = take_slot(audit, record);
    if (slot) {
        fill(slot, record);
        slot->lost_before = audit->lost;
        audit->lost = 0;
        first = !audit->first;
        append(audit, slot);
        atomic_fetch_add(&audit->used, 1);
    } else {
        audit->lost++;
    }
    pthread_mutex_unlock(&audit->lock);
    if (first)
        wake_thread(audit);
}

static bool is_over(struct audit *audit)
{
    uint64_t until_us;

    pthread_mutex_lock(&audit->lock);
    until_us = audit->until_us;
    pthread_mutex_unlock(&audit->lock);
    return until_us && clock_now_us() >= until_us;
}

/* Connected, so that poll() knows when the journal has room. */
static int connect_journal(struct audit *audit)
{
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return -errno;
    if (connect(fd, (const struct sockaddr *)&audit->address, sizeof(audit->address)) < 0)
        return -errno;
    audit->journal = take_fd(&fd);
    return 0;
}

static void disconnect_journal(struct audit *audit)
{
    closep(&audit->journal);
    audit->journal = -1;
}

static int send_once(struct audit *audit)
{
    ssize_t sent;

    if (audit->journal < 0) {
        int r = connect_journal(audit);

        if (r < 0)
            return r;
    }
    do
        sent = send(audit->journal, audit->text.data, audit->text.size, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : 0;
}

/* A journal that was started anew has another socket at the same place: it is looked for once. */
static int send_journal(struct audit *audit)
{
    bool again = audit->journal < 0;

    for (;;) {
        int r = send_once(audit);

        if (r == -EAGAIN) {
            struct pollfd ready = {.fd = audit->journal, .events = POLLOUT};

            if (is_over(audit))
                return -ETIMEDOUT;
            poll(&ready, 1, STALL_MS);
            continue;
        }
        if (r == 0)
            return 0;
        disconnect_journal(audit);
        if (again)
            return r;
        again = true;
    }
}

static void write_line(struct audit *audit, const struct audit_record *record, int cause)
{
    if (!audit->told)
        log_warning("the journal at %s takes no records (%s): they go to standard error",
                audit->address.sun_path, strerror(-cause));
    audit->told = true;
    audit->text.size = 0;
    audit_text_line(&audit->text, record);
    /* Room is known by what waits here. */
    log_line_waiting(audit_text_priority(record), "audit: %.*s", (int)audit->text.size, audit->text.data);
}

/* The next record says so. */
static void lose(struct audit *audit)
{
    pthread_mutex_lock(&audit->lock);
    audit->lost++;
    pthread_mutex_unlock(&audit->lock);
}

static void write_record(struct audit *audit, const struct audit_record *record)
{
    int r;

    audit->text.size = 0;
    audit_text_journal(&audit->text, record);
    if (buffer_failed(&audit->text)) {
        buffer_done(&audit->text);
        lose(audit);
        return;
    }
    r = send_journal(audit);
    if (r == -ETIMEDOUT)
        audit->unwritten++;
    else if (r < 0)
        write_line(audit, record, r);
    else
        audit->told = false;
}

/* Says how many records are missing between the last one and the next. */
static void write_lost(struct audit *audit, uint64_t count)
{
    const struct audit_record record = {.principal = "devregd",
            .action = "audit.lost",
            .count = count,
            .result = "failed",
            .reason = "so many records are missing here: the journal took them too slowly"};

    if (count > 0)
        write_record(audit, &record);
}

static void wait_for_wake(struct audit *audit)
{
    struct pollfd woken = {.fd = audit->wake, .events = POLLIN};
    uint64_t count;

    if (poll(&woken, 1, -1) < 0 || read(audit->wake, &count, sizeof(count)) < 0)
        return; /* interrupted: the caller looks and waits again */
}

/* Waits for a record. NULL when there is none and none will come. */
static struct slot *next_slot(struct audit *audit)
{
    struct slot *slot;
    bool ending;

    for (;;) {
        pthread_mutex_lock(&audit->lock);
        slot = audit->first;
        ending = audit->ending;
        if (slot)
            audit->first = slot->next;
        pthread_mutex_unlock(&audit->lock);
        if (slot || ending)
            return slot;
        wait_for_wake(audit);
    }
}

static void give_back(struct audit *audit, struct slot *slot)
{
    pthread_mutex_lock(&audit->lock);
    slot->next = audit->free;
    audit->free = slot;
    pthread_mutex_unlock(&audit->lock);
    atomic_fetch_sub(&audit->used, 1);
}

static void *run(void *argument)
{
    struct audit *audit = argument;
    struct slot *slot;
    uint64_t lost;

    while ((slot = next_slot(audit))) {
        write_lost(audit, slot->lost_before);
        write_record(audit, &slot->record);
        give_back(audit, slot);
    }
    pthread_mutex_lock(&audit->lock);
    lost = audit->lost;
    pthread_mutex_unlock(&audit->lock);
    write_lost(audit, lost);
    if (audit->unwritten)
        log_error("audit: %" PRIu64 " records are lost: the journal did not take them in time",
                audit->unwritten);
    pthread_mutex_lock(&audit->lock);
    audit->ended = true;
    pthread_cond_broadcast(&audit->changed);
    pthread_mutex_unlock(&audit->lock);
    return NULL;
}

static void destroy(struct audit *audit)
{
    closep(&audit->journal);
    closep(&audit->wake);
    pthread_mutex_destroy(&audit->lock);
    pthread_cond_destroy(&audit->changed);
    buffer_done(&audit->text);
    free(audit);
}

static int set_up(struct audit *audit, const char *journal_socket)
{
    pthread_condattr_t monotonic;

    audit->journal = -1;
    audit->address.sun_family = AF_UNIX;
    strcpy(audit->address.sun_path, journal_socket);
    pthread_mutex_init(&audit->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&audit->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    audit->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return audit->wake < 0 ? -errno : -pthread_create(&audit->thread, NULL, run, audit);
}

int audit_new_at(const char *journal_socket, struct audit **ret_audit, struct error *error)
{
    struct audit *audit;
    int r;

    if (strlen(journal_socket) >= sizeof(audit->address.sun_path))
        return error_set(
                error, -ENAMETOOLONG, "the journal's socket %s has too long a path", journal_socket);
    /* Pages that no record was in cost nothing. */
    audit = calloc(1, sizeof(*audit));
    if (!audit)
        return error_set(error, -ENOMEM, "out of memory for the audit");
    r = set_up(audit, journal_socket);
    if (r < 0) {
        destroy(audit);
        return error_set(error, r, "no thread for the audit: %s", strerror(-r));
    }
    *ret_audit = audit;
    return 0;
}

int audit_new(struct audit **ret_audit, struct error *error)
{
    return audit_new_at(AUDIT_JOURNAL_SOCKET, ret_audit, error);
}

static bool wait_until_ended(struct audit *audit, unsigned timeout_ms)
{
    uint64_t until_us = clock_now_us() + (uint64_t)timeout_ms * 1000;
    uint64_t last_us = until_us + GRACE_MS * UINT64_C(1000);
    struct timespec last = {(time_t)(last_us / 1000000), (long)(last_us % 1000000) * 1000};
    bool ended;

    pthread_mutex_lock(&audit->lock);
    audit->until_us = until_us;
    audit->ending = true;
    pthread_mutex_unlock(&audit->lock);
    wake_thread(audit);
    pthread_mutex_lock(&audit->lock);
    while (!audit->ended && pthread_cond_timedwait(&audit->changed, &audit->lock, &last) != ETIMEDOUT)
        continue;
    ended = audit->ended;
    pthread_mutex_unlock(&audit->lock);
    return ended;
}

void audit_free(struct audit *audit, unsigned timeout_ms)
{
    if (!audit)
        return;
    if (!wait_until_ended(audit, timeout_ms)) {
        /* It waits for a standard error that nobody reads, and what it uses stays with it. */
        pthread_detach(audit->thread);
        return;
    }
    pthread_join(audit->thread, NULL);
    destroy(audit);
}
