/* pool_test.c - every part runs once, on one thread at a time, with its own job's function. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/pool.h"
#include "base/test.h"

enum { MOST_PARTS = 300, MOST_THREADS = 8 };

/* What the parts of one run leave behind; plain fields, so that the thread sanitizer sees any
 * that is not ordered by the pool. */
typedef struct record {
    unsigned job;
    size_t parts;
    unsigned *ran;     /* [parts] the job that ran it */
    atomic_uint *busy; /* [threads] */
    size_t threads;
    atomic_uint wrong;
} record;

static void note(const void *context, size_t part, size_t parts, size_t thread)
{
    record *const all = *(record *const *)context;
    if (parts != all->parts || part >= parts || thread >= all->threads ||
        atomic_exchange(&all->busy[thread], 1) != 0) {
        atomic_fetch_add(&all->wrong, 1);
        return;
    }
    if (all->ran[part] == all->job) atomic_fetch_add(&all->wrong, 1);
    all->ran[part] = all->job;
    atomic_store(&all->busy[thread], 0);
}

/* Many runs one after another, of changing size, each looked at before the next. */
static size_t stress(size_t threads, unsigned jobs, size_t most_parts)
{
    zx_pool *pool = NULL;
    if (zx_pool_create(threads, &pool) != ZMLX_OK) return SIZE_MAX;
    static unsigned ran[2][MOST_PARTS];
    static atomic_uint busy[MOST_THREADS];
    memset(ran, 0, sizeof ran);
    size_t wrong = 0;
    /* Two records in turn: a worker that is late with the old one writes into the other. */
    record both[2] = {{.ran = ran[0], .busy = busy, .threads = threads},
                      {.ran = ran[1], .busy = busy, .threads = threads}};
    for (unsigned job = 1; job <= jobs; job++) {
        record *const all = &both[job % 2];
        all->job = job;
        all->parts = 1 + zx_test_below(most_parts);
        zx_pool_run(pool, all->parts, note, &all);
        for (size_t part = 0; part < all->parts; part++) wrong += all->ran[part] != job;
        if (zx_test_below(500) == 0) { /* long enough that workers go to sleep */
            const struct timespec pause = {.tv_nsec = 200 * 1000};
            (void)nanosleep(&pause, NULL);
        }
    }
    zx_pool_destroy(pool);
    return wrong + atomic_load(&both[0].wrong) + atomic_load(&both[1].wrong);
}

TEST(pool_short_runs_are_complete)
{
    CHECK(stress(2, 20000, 4) == 0);
}

TEST(pool_oversubscribed_runs_are_complete)
{
    CHECK(stress(8, 5000, 20) == 0);
}

TEST(pool_runs_of_many_parts_are_complete)
{
    CHECK(stress(3, 500, MOST_PARTS) == 0);
}

TEST(pool_of_one_or_none_runs_here)
{
    unsigned ran[5] = {0};
    atomic_uint busy[1] = {0};
    record all = {.job = 1, .parts = 5, .ran = ran, .busy = busy, .threads = 1};
    const record *const context = &all;
    zx_pool_run(NULL, 5, note, &context);
    for (int i = 0; i < 5; i++) CHECK(ran[i] == 1);
    zx_pool *pool = NULL;
    CHECK(zx_pool_create(1, &pool) == ZMLX_OK);
    all.job = 2;
    zx_pool_run(pool, 5, note, &context);
    zx_pool_run(pool, 0, note, &context);
    for (int i = 0; i < 5; i++) CHECK(ran[i] == 2);
    CHECK(zx_pool_threads(pool) == 1 && zx_pool_threads(NULL) == 1);
    CHECK(atomic_load(&all.wrong) == 0);
    zx_pool_destroy(pool);
    zx_pool_destroy(NULL);
}

TEST(pool_refuses_impossible_counts)
{
    zx_pool *pool = NULL;
    CHECK(zx_pool_create(0, &pool) == ZMLX_ERROR_ARGUMENT);
    CHECK(zx_pool_create(1000000, &pool) == ZMLX_ERROR_ARGUMENT);
    CHECK(strstr(zmlx_error_message(), "1000000") != NULL);
    zx_test_fail_allocation(1);
    CHECK(zx_pool_create(2, &pool) == ZMLX_ERROR_MEMORY);
    CHECK(pool == NULL);
}

static void meet(const void *context, size_t part, size_t parts, size_t thread)
{
    (void)part, (void)thread;
    atomic_size_t *const arrived = *(atomic_size_t *const *)context;
    atomic_fetch_add(arrived, 1);
    const double begin = zx_seconds();
    while (atomic_load(arrived) < parts && zx_seconds() - begin < 10) {
        const struct timespec pause = {.tv_nsec = 1000};
        (void)nanosleep(&pause, NULL);
    }
}

TEST(pool_workers_do_take_part)
{
    zx_pool *pool = NULL;
    CHECK(zx_pool_create(4, &pool) == ZMLX_OK);
    CHECK(zx_pool_threads(pool) == 4);
    for (int i = 0; i < 20; i++) {
        /* Each part waits for the others: without four threads it takes ten seconds. */
        atomic_size_t arrived = 0;
        atomic_size_t *const context = &arrived;
        const double begin = zx_seconds();
        zx_pool_run(pool, 4, meet, &context);
        CHECK(atomic_load(&arrived) == 4 && zx_seconds() - begin < 9);
        const struct timespec pause = {.tv_nsec = i % 4 * 500 * 1000};
        (void)nanosleep(&pause, NULL);
    }
    zx_pool_destroy(pool);
}

TEST(pool_allocates_nothing_per_run)
{
    zx_pool *pool = NULL;
    CHECK(zx_pool_create(2, &pool) == ZMLX_OK);
    atomic_size_t arrived = 100;
    atomic_size_t *const context = &arrived;
    const size_t before = zx_allocation_count();
    for (int i = 0; i < 100; i++) zx_pool_run(pool, 3, meet, &context);
    CHECK(zx_allocation_count() == before);
    CHECK(atomic_load(&arrived) == 400);
    zx_pool_destroy(pool);
}

static void *run_with(void *pool)
{
    atomic_size_t arrived = 100;
    atomic_size_t *const context = &arrived;
    for (int i = 0; i < 100; i++) zx_pool_run(pool, 3, meet, &context);
    return atomic_load(&arrived) == 400 ? pool : NULL;
}

TEST(pool_may_be_run_by_one_thread_after_another)
{
    zx_pool *pool = NULL;
    CHECK(zx_pool_create(3, &pool) == ZMLX_OK);
    for (int i = 0; i < 3; i++) {
        pthread_t thread;
        void *result = NULL;
        CHECK(pthread_create(&thread, NULL, run_with, pool) == 0);
        CHECK(pthread_join(thread, &result) == 0 && result == pool);
    }
    zx_pool_destroy(pool);
}

TEST(pool_starts_and_stops_quickly)
{
    for (int i = 0; i < 100; i++) {
        zx_pool *pool = NULL;
        atomic_size_t arrived = 10;
        atomic_size_t *const context = &arrived;
        CHECK(zx_pool_create(1 + zx_test_below(4), &pool) == ZMLX_OK);
        if (i % 2 == 0) zx_pool_run(pool, 2, meet, &context);
        zx_pool_destroy(pool);
    }
}

TEST(split_covers_everything_once)
{
    for (int i = 0; i < 3000; i++) {
        const size_t count = zx_test_below(200), step = 1 + zx_test_below(20);
        const size_t parts = 1 + zx_test_below(30);
        size_t at = 0, least = SIZE_MAX, most = 0;
        for (size_t part = 0; part < parts; part++) {
            size_t first = SIZE_MAX, end = SIZE_MAX;
            zx_split(count, step, part, parts, &first, &end);
            CHECK(first == at && end >= first && end <= count);
            CHECK(first % step == 0 || first == count);
            const size_t units = (end - first + step - 1) / step;
            least = units < least ? units : least;
            most = units > most ? units : most;
            at = end;
        }
        CHECK(at == count && most - least <= 1);
    }
}

TEST(split_does_not_wrap)
{
    size_t first = 0, end = 0, at = 0;
    for (size_t part = 0; part < 7; part++) {
        zx_split(SIZE_MAX, 1000, part, 7, &first, &end);
        CHECK(first == at && end > first);
        at = end;
    }
    CHECK(at == SIZE_MAX);
}
