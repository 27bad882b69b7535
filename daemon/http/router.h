/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From method and path to a line of the table of routes. */
#pragma once

#include "api/routes.h"
#include "http/uri.h"

enum { ROUTER_ALLOW_SIZE = 64 };

/* Finds the route and fills in the call's route, parameters and arguments; they point into what uri points
 * into. Returns 0, -ENOENT for a path that does not exist, -ENOSYS for a method that the path does not take;
 * then allow is the list of those it does. */
int router_find(const char *method, const struct uri *uri, struct call *call, char allow[ROUTER_ALLOW_SIZE],
        struct error *error);
