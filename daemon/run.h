/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The daemon from start to end. */
#pragma once

#include "config.h"
#include "options.h"

/* Runs until a signal ends it. Logs its failures. Returns the exit status. */
int daemon_run(const struct options *options, struct config *config);
