/* log_test.c - lines and progress reach the callback, whole and alone. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/test.h"

typedef struct heard {
    int calls;
    zmlx_log_level level;
    char line[2000];
    size_t done, total;
} heard;

static void hear_line(zmlx_log_level level, const char *line, void *user)
{
    heard *const all = user;
    all->calls++;
    all->level = level;
    (void)snprintf(all->line, sizeof all->line, "%s", line);
}

static void hear_progress(const char *what, size_t done, size_t total, void *user)
{
    heard *const all = user;
    all->calls++;
    all->done = done;
    all->total = total;
    (void)snprintf(all->line, sizeof all->line, "%s", what);
}

TEST(log_hands_over_one_line)
{
    heard all = {0};
    zmlx_set_log(hear_line, &all);
    zx_log(ZMLX_LOG_WARNING, "row %d\nof %s", 3, "many");
    zmlx_set_log(NULL, NULL);
    zx_log(ZMLX_LOG_ERROR, "nobody hears this");
    CHECK(all.calls == 1 && all.level == ZMLX_LOG_WARNING);
    CHECK(strcmp(all.line, "row 3 of many") == 0);
}

TEST(log_cuts_an_endless_line)
{
    heard all = {0};
    char endless[5000];
    memset(endless, 'x', sizeof endless - 1);
    endless[sizeof endless - 1] = 0;
    zmlx_set_log(hear_line, &all);
    zx_log(ZMLX_LOG_INFO, "%s", endless);
    zmlx_set_log(NULL, NULL);
    CHECK(all.calls == 1);
    CHECK(strlen(all.line) > 500 && strlen(all.line) < sizeof all.line - 1);
}

TEST(log_progress_reaches_the_callback)
{
    heard all = {0};
    zmlx_set_progress(hear_progress, &all);
    zx_progress("loading", 3, 10);
    zmlx_set_progress(NULL, NULL);
    zx_progress("loading", 4, 10);
    CHECK(all.calls == 1 && all.done == 3 && all.total == 10);
    CHECK(strcmp(all.line, "loading") == 0);
}
