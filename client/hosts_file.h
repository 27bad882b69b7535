/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The user's short names for daemons: ${XDG_CONFIG_HOME:-~/.config}/devreg/hosts.json, as
 * {"hosts": {"rig1": "http://rig1.example:7373", "here": "/run/devregd/devregd.sock"}} */
#pragma once

#include "failure.h"

/* Looks a name up. The address is the caller's (free()). Returns 0, or -1 with the failure filled. */
int hosts_file_find(const char *name, char **ret_address, struct failure *failure);
