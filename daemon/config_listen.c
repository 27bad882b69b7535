/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See config_listen.h. */
#include "config_listen.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "http/listen.h"
#include "http/origin.h"
#include "util/cleanup.h"

/* A list of texts, each with a check of its own. */
static void take_list(struct config_reader *reader, const json_t *value, char ***list, const char *of,
        int (*check)(struct config_reader *reader, const char *text, struct error *error))
{
    size_t index, count = 0;
    json_t *element;

    if (!json_is_array(value) || json_array_size(value) == 0) {
        config_report(reader, false, "expected a list of %s", of);
        return;
    }
    *list = calloc(json_array_size(value) + 1, sizeof(**list));
    if (!*list) {
        config_report(reader, false, "out of memory");
        return;
    }
    json_array_foreach (value, index, element) {
        struct error error = {0};
        size_t before = config_enter_element(reader, index);

        config_take_string(reader, element, &(*list)[count]);
        if ((*list)[count] && check(reader, (*list)[count], &error) < 0)
            config_report(reader, false, "%s", error.message);
        if ((*list)[count])
            count++;
        config_leave(reader, before);
    }
}

/* Whether TLS is configured is known only when all has been read: see check_listen_tls(). */
static int check_listen(struct config_reader *reader, const char *text, struct error *error)
{
    const struct listen_policy policy = {
            .insecure = reader->insecure, .has_certificate = true, .has_key = true, .authenticates = true};

    return listen_check(text, &policy, error);
}

void config_take_listen(struct config_reader *reader, const json_t *value, void *field)
{
    take_list(reader, value, field, "socket paths, ADDRESS:PORT and https://ADDRESS:PORT", check_listen);
}

void config_check_listen(struct config_reader *reader, const json_t *document)
{
    const struct listen_policy policy = config_listen_policy(reader->config, reader->insecure);
    const json_t *list = json_object_get(document, "listen");
    size_t before = config_enter(reader, "listen");
    size_t index;
    json_t *element;

    json_array_foreach (list, index, element) {
        const char *text = json_string_value(element);
        size_t outside = config_enter_element(reader, index);
        struct error error;

        if (text && listen_is_tls(text) && listen_check(text, &policy, &error) == -EPERM)
            config_report(reader, false, "%s", error.message);
        config_leave(reader, outside);
    }
    config_leave(reader, before);
}

#define TLS(key) offsetof(struct tls_settings, key)

static const struct config_key tls_keys[] = {
        {"certificate", config_take_string, TLS(certificate), 0},
        {"key", config_take_string, TLS(key), 0},
        {"client_ca", config_take_string, TLS(client_ca), 0},
};

void config_take_tls(struct config_reader *reader, const json_t *value, void *field)
{
    uint32_t bits = 0;

    config_read_object(reader, value, tls_keys, ELEMENTS(tls_keys), field, &bits);
    if (json_is_object(value) && !json_object_get(value, "certificate"))
        config_report(reader, false, "the key 'certificate' is missing");
    if (json_is_object(value) && !json_object_get(value, "key"))
        config_report(reader, false, "the key 'key' is missing");
}

static int check_host(struct config_reader *reader, const char *text, struct error *error)
{
    (void)reader;
    return origin_check_host(text, error);
}

void config_take_hosts(struct config_reader *reader, const json_t *value, void *field)
{
    take_list(reader, value, field, "names such as \"rig1.lab.example\"", check_host);
}

static int check_origin(struct config_reader *reader, const char *text, struct error *error)
{
    (void)reader;
    return origin_check_origin(text, error);
}

void config_take_origins(struct config_reader *reader, const json_t *value, void *field)
{
    take_list(reader, value, field, "origins such as \"https://bench.lab.example\"", check_origin);
}
