/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The configuration's "access": a list of rules, as core/access.h has them. */
#pragma once

#include "config_file.h"

/* Reads the list; field is struct config's access. */
void config_take_access(struct config_reader *reader, const json_t *value, void *field);

/* The rules of a configuration that has none: root and the user that devregd runs as may do everything, the
 * group devreg and tokens, which only these can make, everything but administer. Returns 0 or -ENOMEM. */
int config_access_built_in(struct access_rules *ret_rules);

/* The rules of --demo: everybody may do everything. Returns 0 or -ENOMEM. */
int config_access_demo(struct access_rules *ret_rules);
