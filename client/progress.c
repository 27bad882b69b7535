/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "duration.h"
#include "size.h"
#include "util/clock.h"

#define SECOND_US UINT64_C(1000000)

enum {
    DRAWS_PER_SECOND = 10,
    TEXT_COLUMNS = 56, /* what stands beside the bar, at most */
    COLUMNS = 80,      /* of a terminal that does not say */
    BAR_LEAST = 8,     /* narrower ones tell nothing */
    BAR_MOST = 40,
};

void progress_begin(struct progress *progress, bool beside)
{
    *progress = (struct progress){.wanted = beside && isatty(STDERR_FILENO), .begun_us = clock_now_us()};
}

static unsigned terminal_columns(void)
{
    struct winsize size;

    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : COLUMNS;
}

/* "[#######-----]  " */
static void draw_bar(unsigned columns, uint64_t done, uint64_t total)
{
    unsigned width = columns > TEXT_COLUMNS ? columns - TEXT_COLUMNS : 0;
    unsigned full;

    if (width > BAR_MOST)
        width = BAR_MOST;
    if (width < BAR_LEAST)
        return;
    full = (unsigned)((double)width * (double)done / (double)total);
    fputc('[', stderr);
    for (unsigned i = 0; i < width; i++)
        fputc(i < full ? '#' : '-', stderr);
    fputs("]  ", stderr);
}

static void draw(struct progress *progress, uint64_t done, uint64_t now_us)
{
    double rate = (double)done * (double)SECOND_US / (double)(now_us - progress->begun_us);
    uint64_t total = progress->total > done ? progress->total : done;
    char amount[SIZE_TEXT], whole[SIZE_TEXT], speed[SIZE_TEXT], left[DURATION_TEXT];

    fputc('\r', stderr);
    size_format(done, amount);
    size_format((uint64_t)rate, speed);
    if (progress->total == 0) {
        fprintf(stderr, "%s  %s/s", amount, speed);
    } else {
        draw_bar(terminal_columns(), done, total);
        fprintf(stderr, "%3u%%  %s of %s  %s/s", (unsigned)((double)done * 100 / (double)total), amount,
                size_format(total, whole), speed);
        if (rate >= 1 && done < total)
            fprintf(stderr, "  %s left", duration_format((uint64_t)((double)(total - done) / rate), left));
    }
    fputs("\033[K", stderr);
    fflush(stderr);
}

void progress_show(struct progress *progress, uint64_t done)
{
    uint64_t now_us;

    if (!progress->wanted)
        return;
    now_us = clock_now_us();
    if (now_us < progress->begun_us + SECOND_US ||
            now_us < progress->drawn_us + SECOND_US / DRAWS_PER_SECOND)
        return;
    progress->shown = true;
    progress->drawn_us = now_us;
    draw(progress, done, now_us);
}

void progress_end(struct progress *progress)
{
    if (progress->shown)
        fputs("\r\033[K", stderr);
    progress->wanted = progress->shown = false;
}
