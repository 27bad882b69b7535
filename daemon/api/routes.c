/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One line a route. A new endpoint is a handler and a line here. */
#include "api/routes.h"

#include "api/handlers.h"
#include "util/json_writer.h"

#define REGISTER "/v1/regions/{region}/registers/{register}"

const struct route routes[] = {
        {"GET", "/healthz", 1, PERMISSION_NONE, TARGET_NONE, BODY_NONE, "health", "", status_get_health,
                "Whether the daemon is alive"},
        {"GET", "/v1", 1, PERMISSION_LIST, TARGET_NONE, BODY_NONE, "list", "", routes_list,
                "What the API offers"},
        {"GET", "/v1/whoami", 2, PERMISSION_NONE, TARGET_NONE, BODY_NONE, "whoami", "", whoami_get,
                "Who asks, and what they may do"},
        {"GET", "/v1/access/explain", 3, PERMISSION_NONE, TARGET_NONE, BODY_NONE, "access.explain",
                "principal region offset width permission value mask", access_get_explanation,
                "Why somebody may do something, or not; of others than oneself it needs admin"},
        {"GET", "/v1/status", 2, PERMISSION_LIST, TARGET_NONE, BODY_NONE, "list", "", status_get,
                "Version, limits, counters, backends"},
        {"GET", "/v1/devices", 2, PERMISSION_LIST, TARGET_NONE, BODY_NONE, "list", "", devices_list,
                "All devices"},
        {"GET", "/v1/devices/{device}", 3, PERMISSION_LIST, TARGET_DEVICE, BODY_NONE, "list", "",
                devices_get, "One device"},
        {"POST", "/v1/devices/{device}/bind", 4, PERMISSION_ADMIN, TARGET_DEVICE, BODY_JSON, "device.bind",
                "", bind_post, "Binds a device to a kernel driver ({\"driver\", \"force\"})"},
        {"POST", "/v1/devices/{device}/unbind", 4, PERMISSION_ADMIN, TARGET_DEVICE, BODY_JSON,
                "device.unbind", "", bind_post_unbind,
                "Unbinds a device from its kernel driver ({\"force\"}) and lets the kernel choose anew"},
        {"POST", "/v1/devices/{device}/reset", 4, PERMISSION_WRITE, TARGET_DEVICE, BODY_NONE_OR_JSON,
                "device.reset", "", reset_post,
                "Sets a device back to what it is after power-on, and frees what is retained of it"},
        {"GET", "/v1/regions", 2, PERMISSION_LIST, TARGET_NONE, BODY_NONE, "list", "", regions_list,
                "All regions"},
        {"GET", "/v1/regions/{region}", 3, PERMISSION_LIST, TARGET_REGION, BODY_NONE, "list", "",
                regions_get, "One region"},
        {"GET", REGISTER, 5, PERMISSION_READ, TARGET_REGION, BODY_NONE, "read", "width count", registers_get,
                "Reads one register, or count consecutive ones"},
        {"PUT", REGISTER, 5, PERMISSION_WRITE, TARGET_REGION, BODY_JSON, "write", "width", registers_put,
                "Writes one register ({\"value\"}), or consecutive ones ({\"values\"})"},
        {"PATCH", REGISTER, 5, PERMISSION_WRITE, TARGET_REGION, BODY_JSON, "modify", "width",
                registers_patch,
                "Changes the bits of one register that a mask selects ({\"mask\", \"value\"}), atomically"},
        {"GET", "/v1/regions/{region}/data", 4, PERMISSION_READ, TARGET_REGION, BODY_NONE, "read",
                "offset length width fixed", data_get, "Reads raw octets, with fixed=1 all from one offset"},
        {"PUT", "/v1/regions/{region}/data", 4, PERMISSION_WRITE, TARGET_REGION, BODY_OCTETS, "write",
                "offset width fixed", data_put, "Writes raw octets, with fixed=1 all to one offset"},
        {"GET", "/v1/interrupts", 2, PERMISSION_LIST, TARGET_NONE, BODY_NONE, "list", "", interrupts_list,
                "All sources of interrupts"},
        {"GET", "/v1/interrupts/{source}", 3, PERMISSION_LIST, TARGET_NONE, BODY_NONE, "list", "",
                interrupts_get, "One source of interrupts"},
        {"POST", "/v1/interrupts/{source}/mask", 4, PERMISSION_WRITE, TARGET_NONE, BODY_JSON,
                "interrupt.mask", "", interrupts_post_mask, "Keeps a source from interrupting ({})"},
        {"POST", "/v1/interrupts/{source}/unmask", 4, PERMISSION_WRITE, TARGET_NONE, BODY_JSON,
                "interrupt.unmask", "", interrupts_post_unmask, "Lets a source interrupt again ({})"},
        {"GET", "/v1/events", 2, PERMISSION_INTERRUPT, TARGET_NONE, BODY_NONE, "events",
                "source kind since heartbeat count", events_get_stream,
                "Interrupts and what else happens, as they come (text/event-stream), "
                "with since=ID after that event"},
        {"GET", "/v1/tokens", 2, PERMISSION_ADMIN, TARGET_NONE, BODY_NONE, "token.list", "", tokens_list,
                "All tokens, without their secrets"},
        {"POST", "/v1/tokens", 2, PERMISSION_ADMIN, TARGET_NONE, BODY_JSON, "token.create", "", tokens_post,
                "Makes a token ({\"name\", \"permissions\", \"regions\", "
                "\"seconds\"}) and shows its secret, once"},
        {"DELETE", "/v1/tokens/{token}", 3, PERMISSION_ADMIN, TARGET_NONE, BODY_NONE, "token.revoke", "",
                tokens_delete, "Revokes a token and ends its reservations"},
        {"GET", "/v1/audit", 2, PERMISSION_ADMIN, TARGET_NONE, BODY_NONE, "audit",
                "since until principal region action result limit", audit_list,
                "What was changed, refused and administered: the newest records, oldest first"},
        {"GET", "/v1/reservations", 2, PERMISSION_LIST, TARGET_NONE, BODY_NONE, "list", "",
                reservations_list, "All reservations that are held or wait"},
        {"POST", "/v1/reservations", 2, PERMISSION_RESERVE, TARGET_NONE, BODY_JSON, "reservation.take", "",
                reservations_post,
                "Reserves a region ({\"region\"}), a range of it ({\"offset\", "
                "\"length\"}) or a device ({\"device\"})"},
        {"GET", "/v1/reservations/{id}", 3, PERMISSION_LIST, TARGET_NONE, BODY_NONE, "list", "wait state",
                reservations_get,
                "One reservation; with wait=SECONDS answers when its state (waiting) or place changes"},
        {"PUT", "/v1/reservations/{id}", 3, PERMISSION_RESERVE, TARGET_NONE, BODY_JSON, "reservation.renew",
                "", reservations_put, "Renews a reservation, with {\"seconds\"} for another time"},
        {"DELETE", "/v1/reservations/{id}", 3, PERMISSION_RESERVE, TARGET_NONE, BODY_NONE,
                "reservation.release", "", reservations_delete,
                "Releases a reservation, or gives up its place"},
        {"GET", "/v1/buffers", 2, PERMISSION_LIST, TARGET_NONE, BODY_NONE, "list", "", dma_buffers_list,
                "Your buffers for DMA; of the devices that you administer all"},
        {"POST", "/v1/buffers", 2, PERMISSION_DMA, TARGET_NONE, BODY_JSON, "buffer.allocate", "",
                dma_buffers_post,
                "Allocates memory for DMA of a device ({\"device\", "
                "\"size\", \"kind\", \"address_bits\", ...})"},
        {"GET", "/v1/buffers/{id}", 3, PERMISSION_LIST, TARGET_NONE, BODY_NONE, "list", "", dma_buffers_get,
                "One buffer"},
        {"GET", "/v1/buffers/{id}/segments", 4, PERMISSION_LIST, TARGET_NONE, BODY_NONE, "list",
                "first count", dma_buffers_get_segments,
                "What of a buffer is one piece for the device, and the objects of a pool"},
        {"GET", "/v1/buffers/{id}/data", 4, PERMISSION_DMA, TARGET_NONE, BODY_NONE, "buffer.read",
                "offset length", dma_data_get, "Reads octets of a buffer, all or those of a Range"},
        {"PUT", "/v1/buffers/{id}/data", 4, PERMISSION_DMA, TARGET_NONE, BODY_STREAM, "buffer.write",
                "offset", dma_data_put, "Writes octets of a buffer, from an offset or a Content-Range on"},
        {"POST", "/v1/buffers/{id}/sync", 4, PERMISSION_DMA, TARGET_NONE, BODY_JSON, "buffer.sync", "",
                dma_sync_post,
                "Hands octets over ({\"for\": \"device\" or \"cpu\", \"offset\", \"length\"})"},
        {"POST", "/v1/buffers/{id}/fill", 4, PERMISSION_DMA, TARGET_NONE, BODY_JSON, "buffer.write", "",
                dma_fill_post, "Fills octets with a value ({\"value\", \"width\", \"offset\", \"length\"})"},
        {"PUT", "/v1/buffers/{id}", 3, PERMISSION_DMA, TARGET_NONE, BODY_JSON, "buffer.renew", "",
                dma_buffers_put, "Gives a buffer its time once more, with {\"seconds\"} another one"},
        {"DELETE", "/v1/buffers/{id}", 3, PERMISSION_DMA, TARGET_NONE, BODY_NONE, "buffer.free", "",
                dma_buffers_delete, "Frees a buffer, which its device must not use any more"},
};

const size_t route_count = ELEMENTS(routes);

void routes_list(struct call *call)
{
    struct json_writer writer = json_writer(&call->reply);

    json_begin_object(&writer, NULL);
    json_begin_array(&writer, "routes");
    for (size_t i = 0; i < route_count; i++) {
        json_begin_object(&writer, NULL);
        json_put_string(&writer, "method", routes[i].method);
        json_put_string(&writer, "path", routes[i].path);
        json_put_string(&writer, "permission", permission_name(routes[i].permission));
        json_put_string(&writer, "arguments", routes[i].arguments);
        json_put_string(&writer, "summary", routes[i].summary);
        json_end_object(&writer);
    }
    json_end_array(&writer);
    json_end_object(&writer);
    call_answer_json(call);
}
