/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* devregctl list [regions|devices]: what there is, a line each. */
#include <string.h>

#include "output.h"
#include "request.h"

static bool lists_devices(const struct call *call)
{
    return call->operand_count > 0 && strcmp(call->operands[0], "devices") == 0;
}

int cmd_list(struct call *call, json_t **ret_result, struct failure *failure)
{
    bool devices = lists_devices(call);
    int r;

    if (call->operand_count > 0 && !devices && strcmp(call->operands[0], "regions") != 0)
        return failure_set(failure, EXIT_CODE_USAGE,
                "list shows regions or devices, not %s; show %s tells all about one", call->operands[0],
                call->operands[0]);
    r = call_connect(call, failure);
    if (r < 0)
        return r;
    r = connection_get(&call->connection, devices ? "/v1/devices" : "/v1/regions", ret_result, failure);
    if (r < 0)
        return r;
    return get_list(call, *ret_result, devices ? "devices" : "regions", failure) ? 0 : -1;
}

/* "present", or "absent: the reason". */
static void state_append(struct buffer *buffer, const json_t *one)
{
    const char *reason = member_text(one, "reason", NULL);

    buffer_append_string(buffer, member_text(one, "state", "?"));
    if (reason) {
        buffer_append_string(buffer, ": ");
        buffer_append_string(buffer, reason);
    }
    buffer_append_char(buffer, '\0');
}

static void add_region(struct table *table, const json_t *region)
{
    _cleanup_buffer_ struct buffer size = {0};
    _cleanup_buffer_ struct buffer widths = {0};
    _cleanup_buffer_ struct buffer state = {0};
    const char *cells[8] = {member_text(region, "name", "?"), member_text(region, "device", "-"),
            member_text(region, "backend", "-"), member_text(region, "type", "-")};

    size_append(&size, member_text(region, "size", "-"));
    buffer_append_char(&size, '\0');
    member_words(&widths, region, "widths");
    state_append(&state, region);
    cells[4] = buffer_text(&size);
    cells[5] = buffer_text(&widths);
    cells[6] = member_text(region, "endianness", "-");
    cells[7] = buffer_text(&state);
    table_add_row(table, cells);
}

static void add_device(struct table *table, const json_t *device)
{
    _cleanup_buffer_ struct buffer regions = {0};
    _cleanup_buffer_ struct buffer state = {0};
    const char *cells[7] = {member_text(device, "name", "?"), member_text(device, "backend", "-"),
            member_text(device, "address", "-"), member_text(device, "id", "-"),
            member_text(device, "driver", "-")};

    member_words(&regions, device, "regions");
    state_append(&state, device);
    cells[5] = buffer_text(&regions);
    cells[6] = buffer_text(&state);
    table_add_row(table, cells);
}

void cmd_list_write(FILE *stream, const struct call *call, const json_t *result)
{
    static const char *const region_titles[] = {
            "REGION", "DEVICE", "BACKEND", "TYPE", "SIZE", "WIDTHS", "ENDIAN", "STATE"};
    static const char *const device_titles[] = {
            "DEVICE", "BACKEND", "ADDRESS", "ID", "DRIVER", "REGIONS", "STATE"};
    bool devices = lists_devices(call);
    _cleanup_table_ struct table table = {.columns = devices ? 7 : 8, .cut = true};
    const json_t *one;
    size_t i;

    table_add_row(&table, devices ? device_titles : region_titles);
    json_array_foreach (json_object_get(result, devices ? "devices" : "regions"), i, one) {
        if (devices)
            add_device(&table, one);
        else
            add_region(&table, one);
    }
    table_write(stream, &table);
}
