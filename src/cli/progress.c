/* progress.c - one progress line and the log. */
#include "cli/progress.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { BAR_CELLS = 24, TENTHS = 10 };
static const double redraw_seconds = 0.1;
static const double plain_seconds = 1; /* work that is done sooner is worth no lines */

/* stderr belongs to the process, and so does this; any thread may log. */
static struct {
    pthread_mutex_t lock;
    bool terminal, colour, quiet, verbose;
    bool drawn;    /* a progress line stands on the terminal */
    double last;   /* when it was drawn */
    char what[64]; /* of the work reported last */
    double began;  /* when it was first reported */
    size_t tenth;  /* the last one printed where there is no terminal */
} state = {.lock = PTHREAD_MUTEX_INITIALIZER};

double zx_cli_seconds(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void clear_line(void)
{
    if (!state.drawn) return;
    (void)fputs("\r\033[K", stderr);
    (void)fflush(stderr);
    state.drawn = false;
}

static void draw(const char *what, size_t done, size_t total)
{
    char bar[BAR_CELLS + 1];
    if (total == 0) {
        (void)fprintf(stderr, "\r%-.40s %zu", what, done);
    } else {
        const double share = (double)done / (double)total;
        const size_t filled = (size_t)(share * BAR_CELLS);
        memset(bar, '.', BAR_CELLS);
        memset(bar, '#', filled < BAR_CELLS ? filled : BAR_CELLS);
        bar[BAR_CELLS] = '\0';
        (void)fprintf(stderr, "\r%-.40s [%s%s%s] %3.0f %%", what, state.colour ? "\033[32m" : "",
                      bar, state.colour ? "\033[0m" : "", share * 100);
    }
    (void)fflush(stderr);
    state.drawn = true;
}

static void report_on_terminal(const char *what, size_t done, size_t total)
{
    const double now = zx_cli_seconds();
    if (total != 0 && done >= total) {
        clear_line();
    } else if (now - state.last >= redraw_seconds) {
        draw(what, done, total);
        state.last = now;
    }
}

static void report_plainly(const char *what, size_t done, size_t total)
{
    if (total == 0) return;
    const size_t tenth = (size_t)((double)done / (double)total * TENTHS);
    if (tenth == state.tenth || zx_cli_seconds() - state.began < plain_seconds) return;
    (void)fprintf(stderr, "%s: %zu %%\n", what, tenth * 100 / TENTHS);
    state.tenth = tenth;
}

static void on_progress(const char *what, size_t done, size_t total, void *user)
{
    (void)user;
    if (state.quiet) return;
    (void)pthread_mutex_lock(&state.lock);
    if (strncmp(state.what, what, sizeof state.what - 1) != 0) {
        clear_line();
        (void)snprintf(state.what, sizeof state.what, "%s", what);
        state.tenth = 0;
        state.began = state.last = zx_cli_seconds(); /* work that is done at once shows nothing */
    }
    if (state.terminal)
        report_on_terminal(what, done, total);
    else
        report_plainly(what, done, total);
    (void)pthread_mutex_unlock(&state.lock);
}

static void on_log(zmlx_log_level level, const char *line, void *user)
{
    (void)user;
    static const char *const names[] = {"error: ", "warning: ", "", ""};
    static const char *const colours[] = {"\033[31m", "\033[33m", "", "\033[2m"};
    const zmlx_log_level most = state.verbose && !state.quiet ? ZMLX_LOG_DEBUG : ZMLX_LOG_WARNING;
    if (level > most) return;
    (void)pthread_mutex_lock(&state.lock);
    clear_line();
    (void)fprintf(stderr, "%s%s%s%s\n", state.colour ? colours[level] : "", names[level], line,
                  state.colour ? "\033[0m" : "");
    (void)pthread_mutex_unlock(&state.lock);
}

void zx_cli_progress_start(const zx_cli_common *common)
{
    const char *no_color = getenv("NO_COLOR");
    const char *term = getenv("TERM");
    const bool dumb = term == NULL || strcmp(term, "dumb") == 0;
    state.terminal = isatty(STDERR_FILENO) == 1 && !dumb;
    state.colour = state.terminal && (no_color == NULL || *no_color == '\0');
    state.quiet = common->quiet;
    state.verbose = common->verbose;
    zmlx_set_log(on_log, NULL);
    zmlx_set_progress(on_progress, NULL);
}

void zx_cli_progress_clear(void)
{
    (void)pthread_mutex_lock(&state.lock);
    clear_line();
    (void)pthread_mutex_unlock(&state.lock);
}
