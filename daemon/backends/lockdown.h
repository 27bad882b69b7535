/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Kernel lockdown (kernel_lockdown(7)): the mode in brackets in /sys/kernel/security/lockdown. */
#pragma once

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>

#include "util/file.h"

static inline bool lockdown_is_on(void)
{
    char line[64];

    return file_read_line_at(AT_FDCWD, "/sys/kernel/security/lockdown", line, sizeof(line)) == 0 &&
           !strstr(line, "[none]");
}
