/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See journal_fixture.h. The format (systemd.io/JOURNAL_EXPORT_FORMATS) has values as the journal's socket
 * takes them. */
#include "journal_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/audit_text.h"
#include "util/cleanup.h"

void journal_open(struct journal_fixture *fixture)
{
    *fixture = (struct journal_fixture){.directory = test_directory_new()};
    fixture->export = strdup(test_path(fixture->directory, "export"));
    test_write_text(fixture->export, "");
}

void journal_close(struct journal_fixture *fixture)
{
    free(fixture->export);
    test_directory_remove(fixture->directory);
}

void journal_add(
        struct journal_fixture *fixture, uint64_t time_us, unsigned uid, const struct audit_record *record)
{
    _cleanup_close_ int fd = open(fixture->export, O_WRONLY | O_APPEND | O_CLOEXEC);
    struct buffer text = {0};

    buffer_append_format(&text,
            "__REALTIME_TIMESTAMP=%" PRIu64
            "\n__MONOTONIC_TIMESTAMP=%u\n_BOOT_ID=0123456789abcdef0123456789abcdef\n_UID=%u\n",
            time_us, ++fixture->count, uid);
    audit_text_journal(&text, record);
    buffer_append_char(&text, '\n');
    assert_true(fd >= 0 && write(fd, text.data, text.size) == (ssize_t)text.size);
    buffer_done(&text);
}

static void run_remote(void *context)
{
    const struct journal_fixture *fixture = context;
    char output[512];
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

    snprintf(output, sizeof(output), "--output=%s/test.journal", fixture->directory);
    dup2(null, STDERR_FILENO);
    execl("/lib/systemd/systemd-journal-remote", "systemd-journal-remote", output, fixture->export,
            (char *)NULL);
    _exit(127);
}

void journal_finish(struct journal_fixture *fixture)
{
    int status = test_in_child(run_remote, fixture);

    test_that(WIFEXITED(status) && WEXITSTATUS(status) == 0,
            "systemd-journal-remote (package systemd-journal-remote) gave %d", status);
}
