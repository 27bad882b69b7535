/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where the daemon listens and what it takes there: the keys listen, tls, hosts and origins. */
#pragma once

#include "config_file.h"

void config_take_listen(struct config_reader *reader, const json_t *value, void *field);
void config_take_tls(struct config_reader *reader, const json_t *value, void *field);
void config_take_hosts(struct config_reader *reader, const json_t *value, void *field);
void config_take_origins(struct config_reader *reader, const json_t *value, void *field);

/* What holds for the places to listen at together with the other keys, when all have been read. */
void config_check_listen(struct config_reader *reader, const json_t *document);
