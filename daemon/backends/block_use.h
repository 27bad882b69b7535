/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is on the block devices of a device: mounted file systems and swap, directly or on what is stacked
 * above them (partitions, dm, md, bcache, loop devices). */
#pragma once

#include "backends/machine.h"
#include "util/error.h"

/* directory is the device's real one in sysfs. Returns 0 when nobody uses a block device below it,
 * -ETXTBSY with who does, also when that can't be found out. */
int block_use_check(const struct machine *machine, const char *directory, struct error *error);
