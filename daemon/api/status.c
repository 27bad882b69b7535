/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The daemon about itself. */
#include <unistd.h>

#include "api/handlers.h"
#include "core/dma_buffers.h"
#include "util/clock.h"
#include "util/json_writer.h"

void status_get_health(struct call *call)
{
    buffer_append_string(&call->reply, "ok\n");
    call_answer(call, 200, "text/plain");
}

static void write_limits(struct json_writer *writer, const struct limits *limits)
{
    json_begin_object(writer, "limits");
    json_put_count(writer, "connections", limits->connections);
    json_put_count(writer, "connections_per_principal", limits->connections_per_principal);
    json_put_count(writer, "requests_per_principal", limits->requests_per_principal);
    json_put_count(writer, "head_bytes", limits->head_bytes);
    json_put_count(writer, "json_body_bytes", limits->json_body_bytes);
    json_put_count(writer, "data_bytes", limits->data_bytes);
    json_put_count(writer, "data_principal_bytes", limits->data_principal_bytes);
    json_put_count(writer, "data_total_bytes", limits->data_total_bytes);
    json_put_count(writer, "values", limits->values);
    json_put_count(writer, "queue", limits->queue);
    json_put_count(writer, "device_seconds", limits->device_seconds);
    json_put_count(writer, "idle_seconds", limits->idle_seconds);
    json_put_count(writer, "request_seconds", limits->request_seconds);
    json_put_count(writer, "reservations", limits->reservations);
    json_put_count(writer, "reservations_per_principal", limits->reservations_per_principal);
    json_put_count(writer, "events", limits->events);
    json_put_count(writer, "interrupts_per_second", limits->interrupts_per_second);
    json_put_count(writer, "tokens", limits->tokens);
    json_put_count(writer, "streams", limits->streams);
    json_put_count(writer, "streams_per_principal", limits->streams_per_principal);
    json_put_count(writer, "buffers", limits->buffers);
    json_put_count(writer, "buffers_per_principal", limits->buffers_per_principal);
    json_put_count(writer, "buffer_bytes", limits->buffer_bytes);
    json_put_count(writer, "buffer_bytes_per_principal", limits->buffer_bytes_per_principal);
    json_end_object(writer);
}

static void write_counters(struct json_writer *writer, const struct daemon *daemon)
{
    const struct counters *counters = &daemon->counters;

    json_begin_object(writer, "counters");
    json_put_count(writer, "connections", counters->connections);
    json_put_count(writer, "requests", counters->requests);
    json_put_count(writer, "refused", counters->refused);
    json_put_count(writer, "failed", counters->failed);
    json_put_count(writer, "bus_faults", counters->bus_faults);
    json_put_count(writer, "unauthenticated", counters->unauthenticated);
    json_put_count(writer, "denied", counters->denied);
    json_put_count(writer, "reserved", counters->reserved);
    json_put_count(writer, "over_limit", counters->over_limit);
    json_put_count(writer, "connections_refused", counters->connections_refused);
    json_put_count(writer, "timed_out", counters->timed_out);
    json_put_count(writer, "buffers", dma_buffers_count(daemon));
    json_put_count(writer, "buffer_bytes", dma_buffers_bytes(daemon));
    json_end_object(writer);
}

static void write_backends(struct json_writer *writer)
{
    json_begin_array(writer, "backends");
    for (size_t i = 0; backends[i]; i++) {
        struct error error = {0};
        bool usable = backends[i]->usable(&error) == 0;

        json_begin_object(writer, NULL);
        json_put_string(writer, "name", backends[i]->name);
        json_put_string(writer, "summary", backends[i]->summary);
        json_put_bool(writer, "usable", usable);
        if (!usable)
            json_put_string(writer, "reason", error.message);
        json_end_object(writer);
    }
    json_end_array(writer);
}

static void write_warnings(struct json_writer *writer, const struct daemon *daemon)
{
    json_begin_array(writer, "warnings");
    if (daemon->insecure)
        json_put_string(writer, NULL,
                "started with --insecure: whoever reaches its port can read and write every register");
    if (daemon->demo)
        json_put_string(writer, NULL,
                "started with --demo: the boards are simulated, and whoever can connect may do everything");
    json_end_array(writer);
}

void status_get(struct call *call)
{
    const struct daemon *daemon = call->daemon;
    struct json_writer writer = json_writer(&call->reply);

    json_begin_object(&writer, NULL);
    json_put_string(&writer, "version", DEVREG_VERSION);
    json_put_count(&writer, "uptime_seconds", (clock_now_us() - daemon->started_us) / 1000000);
    json_put_count(&writer, "pid", (uint64_t)getpid());
    json_put_bool(&writer, "demo", daemon->demo);
    json_put_bool(&writer, "insecure", daemon->insecure);
    json_begin_array(&writer, "listen");
    for (size_t i = 0; daemon->listening && daemon->listening[i]; i++)
        json_put_string(&writer, NULL, daemon->listening[i]);
    json_end_array(&writer);
    write_limits(&writer, &daemon->limits);
    write_counters(&writer, daemon);
    write_backends(&writer);
    write_warnings(&writer, daemon);
    json_end_object(&writer);
    call_answer_json(call);
}
