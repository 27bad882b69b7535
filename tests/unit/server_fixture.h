/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The daemon of api_fixture.h behind a socket, and clients that talk HTTP to it by octets. What they do runs
 * the daemon's loop beside. */
#pragma once

#include "api_fixture.h"
#include "http/server.h"
#include "util/buffer.h"

struct server_fixture {
    struct api_fixture api;
    struct server *server;
    char path[300];
};

extern struct server_fixture fixture;

/* For each test. */
int set_up(void **state);
int tear_down(void **state);

/* A connection. */
int dial(void);

/* Whether all was taken; false: the daemon closed the connection before, as it had heard enough. */
bool send_all(int fd, const void *data, size_t size);
bool send_text(int fd, const char *text);

struct response {
    unsigned status; /* 0: the connection was closed without an answer */
    bool closed;
    char head[2048];
    struct buffer body;
};

/* One answer; when `until_closed`, also what comes after it, which must be nothing but the end. */
void receive_response(int fd, struct response *response, bool until_closed);

/* A request on a connection of its own. Returns the status. */
unsigned ask(const void *request, size_t size, struct response *response);

#define HOST   "Host: a\r\n"
#define JSON   "Content-Type: application/json\r\n"
#define OCTETS "Content-Type: application/octet-stream\r\n"
#define END    "\r\n"

struct row {
    const char *request;
    unsigned status;
    const char *text; /* in the head or the body; NULL: anything */
};

/* Each row's request must be answered like this. */
void check_rows(const struct row *rows, size_t count);
