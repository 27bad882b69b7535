/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The user's short names for daemons: ${XDG_CONFIG_HOME:-~/.config}/devreg/hosts.json, as
 * {"hosts": {"here": "/run/devregd/devregd.sock",
 *            "rig1": {"url": "https://rig1.example:7373", "token_file": "rig1.token", "cacert": "lab.crt"}}}
 */
#pragma once

#include "failure.h"

/* What is known of a host; all are owned, and NULL when they are not there. */
struct hosts_entry {
    char *url; /* an URL, or a socket's path */
    char *token_file;
    char *cacert;
    char *cert;
    char *key;
};

void hosts_entry_done(struct hosts_entry *entry);
#define _cleanup_hosts_entry_ _cleanup_(hosts_entry_done)

/* Looks a name up. Files are absolute, or below the folder of hosts.json or, after "~/", the user's. Returns
 * 0, or -1 with the failure filled. */
int hosts_file_find(const char *name, struct hosts_entry *ret_entry, struct failure *failure);
