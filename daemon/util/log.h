/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lines on standard error, each with the severity that journald and syslog know (sd-daemon(3)'s "<4>"
 * prefix when the journal reads them, the program's name on a terminal). Only the top layers log. Any thread
 * may. */
#pragma once

#include <syslog.h>

/* Never waits: a line for which there is no room is dropped, and the next one that is written comes after
 * one that says how many were. */
void log_line(int severity, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Waits until there is room: for threads that may. */
void log_line_waiting(int severity, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...)   log_line(LOG_ERR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_WARNING, __VA_ARGS__)
#define log_notice(...)  log_line(LOG_NOTICE, __VA_ARGS__)
#define log_info(...)    log_line(LOG_INFO, __VA_ARGS__)
