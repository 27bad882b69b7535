/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Principals by their names, whether they are here or not. */
#pragma once

#include "core/daemon.h"

/* Makes the principal that the text names, as it would be if it came now: "user:alice" or "user:1000" with
 * the groups that the machine's user database gives it, "token:ci" with its scope, "certificate:rig1",
 * "anonymous". Release with principal_unref(). -EINVAL when it is no principal's name, -ENOENT when there is
 * no such user or token. */
int principals_find(
        struct daemon *daemon, const char *text, struct principal **ret_principal, struct error *error);
