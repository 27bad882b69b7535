/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Access rules beside each other, the regions, and the users and groups of this machine. */
#pragma once

#include "config_file.h"

/* To be called when all files were read without a mistake; the reader stands at the file that has the rules,
 * with its text. Finds the groups' numbers. Reports rules that contradict each other; warns of those that
 * never have an effect. */
void config_access_check(struct config_reader *reader);
