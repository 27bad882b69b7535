/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A daemon without transport: the simulated boards `edu`, `odd`, which has a source of interrupts, and `ram`
 * (whose file a test can keep away),
 * and requests to the handlers that the table of routes names. */
#pragma once

#include <jansson.h>

#include "api/routes.h"
#include "test.h"

enum {
    API_DEVICES = 3,
    API_RAM_SIZE = 8192,
    API_EVENTS = 16, /* that are kept */
};

struct api_fixture {
    char *directory;
    char ram_path[256];
    struct region_description regions[API_DEVICES];
    struct device_description devices[API_DEVICES];
    struct daemon daemon;
    struct principal *principal; /* who asks from now on; NULL: anonymous. The test's to release */
};

struct api_answer {
    unsigned status;
    char content_type[64];
    char *text; /* terminated */
    size_t size;
    json_t *json; /* NULL when it is none */
};

void api_open(struct api_fixture *fixture, bool with_ram_file);
void api_close(struct api_fixture *fixture);

/* path is the route's, with its braces; parameters fill them, separated by blanks; the query has the form
 * name=value&name=value. Waits for the answer, which stays valid until the next request. */
const struct api_answer *api_request(struct api_fixture *fixture, const char *method, const char *path,
        const char *parameters, const char *query, const void *body, size_t body_size);

#define API_REGISTER "/v1/regions/{region}/registers/{register}"
#define API_DATA     "/v1/regions/{region}/data"

/* A request with a text as its body, or NULL, that must be answered with this status, and with these texts
 * (or NULL) in the answer. */
#define api_expect(fixture, method, path, parameters, query, body, wanted_status, wanted_text)              \
    do {                                                                                                    \
        const char *api_body = (body);                                                                      \
        const char *api_text = (wanted_text);                                                               \
        const struct api_answer *api_answer = api_request((fixture), (method), (path), (parameters),        \
                (query), api_body, api_body ? strlen(api_body) : 0);                                        \
                                                                                                            \
        test_that(                                                                                          \
                api_answer->status == (wanted_status) && (!api_text || strstr(api_answer->text, api_text)), \
                "%s %s [%s] ?%s %s was answered with %u %s expected %u with %s", (method), (path),          \
                (parameters), (query), api_body ? api_body : "", api_answer->status, api_answer->text,      \
                (wanted_status), api_text ? api_text : "anything");                                         \
    } while (0)
