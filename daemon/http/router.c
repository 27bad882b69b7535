/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A dozen routes are compared segment by segment, which costs less than a lookup structure would. */
#include "http/router.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Whether the path is the route's; parameters are the values for its braces. The number of segments tells
 * most routes apart, so it is looked at first. */
static bool match(const struct route *route, const struct uri *uri, const char **parameters)
{
    const char *path = route->path;
    size_t parameter = 0;

    if (route->segments != uri->segment_count)
        return false;
    for (size_t i = 0; i < uri->segment_count; i++) {
        const char *segment = uri->segments[i];

        path++;
        if (*path == '{') {
            parameters[parameter++] = segment;
            while (*path && *path != '/')
                path++;
            continue;
        }
        while (*segment && *segment == *path) {
            segment++;
            path++;
        }
        if (*segment || (*path && *path != '/'))
            return false;
    }
    return true;
}

int router_find(const char *method, const struct uri *uri, struct call *call, char allow[ROUTER_ALLOW_SIZE],
        struct error *error)
{
    allow[0] = 0;
    for (size_t i = 0; i < route_count; i++) {
        const struct route *route = &routes[i];
        size_t used = strlen(allow);

        if (!match(route, uri, call->parameters))
            continue;
        if (strcmp(route->method, method) == 0) {
            call->route = route;
            memcpy(call->arguments, uri->arguments, sizeof(call->arguments));
            call->argument_count = uri->argument_count;
            return 0;
        }
        snprintf(allow + used, ROUTER_ALLOW_SIZE - used, "%s%s", used ? ", " : "", route->method);
    }
    if (allow[0])
        return error_set(error, -ENOSYS, "this path does not take %.16s: it takes %s", method, allow);
    return error_set(error, -ENOENT, "there is no such path: /v1 lists what there is");
}
