/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Memory that principals have for DMA of a device. It is allocated and freed as work of the device, in order
 * with its register accesses; while it is there its octets are touched on the loop, without the device. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/daemon.h"

enum {
    DMA_BUFFER_ID_SIZE = 24, /* "b-" and hexadecimal digits, never used twice */
    DMA_BUFFER_NOTE = 256,   /* octets with the NUL */
    DMA_BUFFER_SECONDS_MOST = 30 * 24 * 60 * 60,
};

struct dma_buffer;
struct dma_buffers;
struct dma_transfer;

enum dma_buffer_state {
    DMA_BUFFER_OPENING, /* listed nowhere yet */
    DMA_BUFFER_LIVE,
    DMA_BUFFER_LOST,    /* its device went; why is in `lost` */
    DMA_BUFFER_CLOSING, /* nobody finds it any more */
};

/* What DMA of a device there was after its last work. */
struct dma_seen {
    bool known;
    struct dma_state state;
};

/* Who waits for a buffer to be there, or to be gone. Told once, on the loop. */
struct dma_waiter {
    /* The buffer is there; or, NULL, there is none: error says why it could not be allocated, or why nobody
     * knows when it is freed; NULL: it is freed. */
    void (*over)(struct dma_waiter *waiter, struct dma_buffer *buffer, const struct error *error);
    struct dma_buffer *buffer; /* that is waited for; NULL: none any more */
};

struct dma_buffer {
    struct work work; /* that opens or closes it */
    struct dma_buffers *buffers;
    struct dma_buffer *next, **link;
    char id[DMA_BUFFER_ID_SIZE];
    enum dma_buffer_state state;
    struct device *device;
    struct buffer_wish wish;
    struct backend_buffer *handle; /* NULL unless it is live */
    struct error lost;             /* why it was lost, or ended while it was opened */
    char owner[PRINCIPAL_NAME_SIZE];
    struct account *account;
    struct principal *token;               /* whose it is, when that is one; NULL: it is no token's */
    uint64_t token_until_us;               /* CLOCK_BOOTTIME: when that expires; 0: never */
    char reservation[RESERVATION_ID_SIZE]; /* it ends with; "": none */
    char note[DMA_BUFFER_NOTE];
    uint64_t duration_us;  /* what allocating and renewing give; 0: no limit */
    uint64_t until_us;     /* CLOCK_BOOTTIME; 0: no limit */
    uint64_t allocated_us; /* CLOCK_REALTIME */
    uint64_t bytes;        /* on its owner's account; none when its memory is given back, or retained */
    uint64_t mapped_size;  /* and the next: as it was opened */
    uint64_t bus_address, segment_count;
    bool needs_sync, translated, reserved;
    struct dma_transfer *transfers;

    struct dma_waiter *waiter;
    bool working;                  /* its work is under way */
    struct backend_buffer *opened; /* its work's while that is under way; NULL: it is not open */
    bool let_go;                   /* when it is closed: the device does not use it any more */
    size_t safe_writes_left;       /* it is closed when so many are made */
    bool safe_writes_made;         /* the last of them just now */
    struct error error;            /* of its work; code 0: it went well */
    struct dma_seen seen;          /* by its work */
};

/* Octets of a buffer on their way to or from a client. The buffer may end meanwhile: then it has none. */
struct dma_transfer {
    struct dma_buffer *buffer; /* NULL: it has ended */
    struct dma_transfer *next, **link;
};

/* Returns 0, or -ENODEV when the buffer, which was found, is lost; the message says why. */
int dma_buffer_check_live(const struct dma_buffer *buffer, struct error *error);

/* Returns as above. */
int dma_transfer_begin(struct dma_transfer *transfer, struct dma_buffer *buffer, struct error *error);
void dma_transfer_end(struct dma_transfer *transfer);

/* Both check nothing but that the buffer is still there and its memory can be touched: -ENODEV otherwise. */
int dma_transfer_read(struct dma_transfer *transfer, uint64_t offset, void *data, size_t size);
int dma_transfer_write(struct dma_transfer *transfer, uint64_t offset, const void *data, size_t size);

/* How many octets its data has: what was asked for, of a pool what is mapped. */
uint64_t dma_buffer_size(const struct dma_buffer *buffer);

/* The buffer of this id that the principal may know of: its own, or an administrator's of its device. NULL
 * with -ENOENT, whether there is one or not. */
struct dma_buffer *dma_buffers_find(
        struct daemon *daemon, const struct principal *principal, const char *id, struct error *error);

/* Whose it is, or who administers its device. */
bool dma_buffer_may_see(
        const struct daemon *daemon, const struct principal *principal, const struct dma_buffer *buffer);

/* Makes the daemon's; the devices are there already, the reservations need not be. */
int dma_buffers_new(struct daemon *daemon, struct dma_buffers **ret_buffers);

/* Closes what is left, as nobody says that the devices do not use it any more: here, however long it takes,
 * as nobody is served any more. Only after all devices have stopped, and before they are closed. */
void dma_buffers_free(struct dma_buffers *buffers);

/* The first of those that are live or lost, and the one after. NULL: there are no more. */
struct dma_buffer *dma_buffers_first(const struct daemon *daemon);
struct dma_buffer *dma_buffers_next(const struct dma_buffer *buffer);

/* Of all devices; octets, with what is retained of those that have ended. */
size_t dma_buffers_count(const struct daemon *daemon);
uint64_t dma_buffers_bytes(const struct daemon *daemon);

/* How many the device has, also those that are being allocated. Writes whose they are into the text, when it
 * is not NULL: "2 of user:alice, 1 of token:ci".
 */
size_t dma_buffers_of_device(
        const struct daemon *daemon, const struct device *device, char *text, size_t size);

/* What DMA of the device there is, as it was when it was last looked at: after a buffer came or went, and
 * after this was asked before. Waits for nothing. False when it has none. */
bool dma_buffers_look(struct device *device, struct dma_state *ret_state);

/* "coherent", "streaming", "scattered", "pool". Parsing returns 0 or -EINVAL. */
const char *dma_buffer_kind_name(enum buffer_kind kind);
int dma_buffer_kind_parse(const char *name, enum buffer_kind *ret_kind);

/* How many octets the wish takes, with what its alignment wastes, rounded up to pages: what is known before
 * it is allocated. Returns 0, -EINVAL when it is no possible wish, -E2BIG when it is more than there can be.
 */
int dma_wish_check(const struct buffer_wish *wish, uint64_t *ret_bytes, struct error *error);

struct dma_buffer_wish {
    struct device *device;
    struct buffer_wish memory;
    const char *reservation; /* NULL: none; the principal holds it */
    const char *note;        /* NULL: none */
    uint64_t duration_us;    /* 0: no limit */
};

/* Begins to allocate; waiter->over is called when it is there or could not be had, maybe before this
 * returns. Who may is for admission_ask_dma(). Returns 0, or a negative errno and then over is not called:
 *   -EINVAL     it is no possible wish
 *   -EOPNOTSUPP the device, as it is reached now, has no DMA
 *   -ENODEV     it is absent
 *   -EDQUOT     the principal has too many or too much
 *   -EAGAIN     all together have, or the device is about to be reached otherwise, or the daemon stops
 */
int dma_buffers_allocate(struct daemon *daemon, struct principal *principal,
        const struct dma_buffer_wish *wish, struct dma_waiter *waiter, struct error *error);

/* It is not wanted any more: over is not called, and what was being allocated is freed. */
void dma_waiter_leave(struct dma_waiter *waiter);

/* Begins to free one that is live or lost, on the word of its owner that the device does not use it any
 * more; nobody finds it from now on. waiter (or NULL) is told when it is gone, maybe before this returns. */
void dma_buffer_release(struct dma_buffer *buffer, struct dma_waiter *waiter);

/* Gives it this time from now on; 0: no limit. */
void dma_buffer_renew(struct dma_buffer *buffer, uint64_t duration_us);

/* Seconds, rounded up; UINT64_MAX: it has no limit. */
uint64_t dma_buffer_seconds_left(const struct dma_buffer *buffer);

enum { DMA_BUFFER_TEXT = 160 };

/* "64 KiB coherent on edu". Returns text. */
const char *dma_buffer_describe(const struct dma_buffer *buffer, char text[DMA_BUFFER_TEXT]);

/* Octets that are handed over, to the device or to the processor: work of the device. */
struct dma_sync {
    struct work work;
    struct backend_buffer *handle;
    uint64_t offset, size;
    bool for_device;
    int result; /* valid in completed(): 0 or a negative errno, with its error */
    struct error error;
    void (*completed)(struct dma_sync *sync); /* on the loop */
};

/* offset, size, for_device and completed are the caller's, who has checked the octets. Returns 0, or a
 * negative errno, and then completed() is not called. The buffer may end meanwhile. */
int dma_sync_start(
        struct daemon *daemon, struct dma_buffer *buffer, struct dma_sync *sync, struct error *error);

/* To be called when a reservation has ended, before its safe-state writes are submitted: its buffers end,
 * each after those writes that are for its device. */
void dma_buffers_reservation_ended(struct daemon *daemon, const struct reservation *reservation);

/* To be called for each of those writes with how it went. */
void dma_buffers_safe_write_made(
        struct daemon *daemon, const char *reservation, const struct device *device, int result);

/* To be called when a token was revoked. */
void dma_buffers_recheck(struct daemon *daemon);
