/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The HTTP that the programs of this folder need: one request after the other on a connection, and the end
 * of the program when anything fails. */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { REQUEST_ANSWER_BYTES = 4096 };

__attribute__((noreturn, format(printf, 1, 2))) void fail(const char *format, ...);

/* A socket's path, or the number of a loopback port. */
int connect_to(const char *place);

void send_all(int fd, const void *data, size_t size);

/* The number after a key of JSON without blanks, or of a header. */
uint64_t number_in(const char *text, const char *key);

/* The head of a request whose body is then sent with send_all(). The path has no blanks or lines. */
void send_head(int fd, const char *method, const char *path, const char *type, uint64_t size);

/* Receives the head of an answer that must be 2xx, and as much after it as there is room for or has come.
 * Returns how many octets of the body, which begins at *ret_body, are in the answer. */
size_t receive_head(int fd, char answer[REQUEST_ANSWER_BYTES], char **ret_body);

/* With a small answer, which is ended by a NUL. */
void ask(int fd, const char *method, const char *path, const char *type, const void *body, size_t size,
        char answer[REQUEST_ANSWER_BYTES]);
