/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where the kernel shows itself. Tests bring folders of their own, and stand for the kernel there. */
#pragma once

struct machine {
    const char *sysfs; /* "/sys" */
    const char *proc;  /* "/proc" */
    const char *dev;   /* "/dev" */

    /* Writes a value to an attribute. Returns 0 or a negative errno. NULL: a plain write. */
    int (*store)(const char *path, const char *value);

    /* Whether nobody has the block device for himself: 0, or a negative errno, -EBUSY when somebody has.
     * NULL: it is opened for oneself alone, and closed again. */
    int (*claim)(const char *path);
};

/* The machine that this runs on. */
extern const struct machine machine_here;
