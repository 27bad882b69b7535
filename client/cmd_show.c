/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* devregctl show NAME: all that the daemon says of a region and a device, known to this client or not. */
#include "output.h"
#include "request.h"
#include "size.h"

int cmd_show(struct call *call, json_t **ret_result, struct failure *failure)
{
    json_auto_t *region = NULL;
    json_auto_t *device = NULL;
    int r;

    r = call_connect(call, failure);
    if (r < 0)
        return r;
    r = get_region_or_device(call, call->operands[0], &region, &device, failure);
    if (r < 0)
        return r;
    *ret_result = json_pack("{s:O*, s:O*}", "region", region, "device", device);
    return *ret_result ? 0 : failure_set(failure, EXIT_CODE_OTHER, "out of memory");
}

static const char *size_of(const json_t *dma, const char *name, char text[SIZE_TEXT])
{
    json_int_t octets = json_integer_value(json_object_get(dma, name));

    return size_format(octets > 0 ? (uint64_t)octets : 0, text);
}

static void write_dma_fact(
        FILE *stream, const char *name, const char *first, const char *between, const char *second)
{
    _cleanup_buffer_ struct buffer text = {0};

    buffer_append_format(&text, "%s%s%s", first, between, second);
    buffer_append_char(&text, '\0');
    fact_write(stream, 4, name, buffer_text(&text));
}

/* What was set aside when the module was loaded. */
static void write_reserved(FILE *stream, const json_t *dma)
{
    char all[SIZE_TEXT], left[SIZE_TEXT];

    if (json_integer_value(json_object_get(dma, "reserved")) > 0)
        write_dma_fact(stream, "reserved", size_of(dma, "reserved", all),
                ", free: ", size_of(dma, "reserved_free", left));
    else
        fact_write(stream, 4, "reserved", "none");
}

/* Of what has no id of a bus, a platform device, it is lost when it is unbound without having been stopped.
 */
static const char *way_of_retained(const json_t *device)
{
    if (json_is_true(json_object_get(device, "can_reset")))
        return "reset the device";
    if (member_text(device, "id", NULL))
        return "unbind and bind the device";
    return "unbind the device under a reservation whose --safe stops it, or it is lost";
}

/* What an administrator must see is memory that the device keeps. */
static void write_retained(FILE *stream, const json_t *dma, const json_t *device)
{
    _cleanup_buffer_ struct buffer text = {0};
    char size[SIZE_TEXT];

    if (json_integer_value(json_object_get(dma, "retained")) <= 0) {
        fact_write(stream, 4, "retained", "none");
        return;
    }
    buffer_append_format(
            &text, "not freed, as the device may still write to it; %s", way_of_retained(device));
    buffer_append_char(&text, '\0');
    write_dma_fact(stream, "retained", size_of(dma, "retained", size), ": ", buffer_text(&text));
}

/* The device's ability to have DMA buffers, and what they take. */
static void write_dma(FILE *stream, const json_t *device)
{
    static const char *const known[] = {
            "size_max", "total", "total_max", "reserved", "reserved_free", "retained", NULL};
    const json_t *dma = json_object_get(device, "dma");
    char first[SIZE_TEXT], second[SIZE_TEXT];

    if (!json_is_object(dma)) {
        fact_write(stream, 2, "dma", "none: its backend has no DMA buffers");
        return;
    }
    fact_write(stream, 2, "dma", "usable");
    facts_write(stream, dma, 4, known);
    fact_write(stream, 4, "size max", size_of(dma, "size_max", first));
    write_dma_fact(stream, "total", size_of(dma, "total", first), " of ", size_of(dma, "total_max", second));
    write_reserved(stream, dma);
    write_retained(stream, dma, device);
}

void cmd_show_write(FILE *stream, const struct call *call, const json_t *result)
{
    static const char *const skip[] = {"name", "dma", NULL};
    const char *kind;
    const json_t *one;
    bool first = true;

    (void)call;
    json_object_foreach ((json_t *)result, kind, one) {
        if (!first)
            fputc('\n', stream);
        first = false;
        fact_write(stream, 0, kind, member_text(one, "name", "?"));
        facts_write(stream, one, 2, skip);
        if (json_object_get(one, "dma"))
            write_dma(stream, one);
    }
}
