/* pool.c - workers that take parts from one counter.
 *
 * 'left' counts the parts of the present job that nobody has taken.  A part is taken by a
 * compare-and-swap of n to n - 1 with n > 0; the job's function, context and part count are
 * plain fields, read after the swap and never before.  Why that is right, also for a worker
 * that wakes up late:
 *  1. Who swaps n to n - 1 owns part (parts - n) of the job that is current at that moment, and
 *     nobody else does.  It does not matter how old the n is that it compares with, nor whether
 *     an older job had the same count: what it knows of a job it reads afterwards.
 *  2. A run returns only when every part is finished ('pending' is 0), and the caller writes the
 *     fields only at the start of a run.  Who owns a part has not finished it, so the fields
 *     stay those of its job for as long as it owns the part.  They were written before 'left'
 *     was stored with release; the swap acquires from that store or from a swap after it, which
 *     belongs to its release sequence.
 *  3. A worker that slept through a job finds 0 and touches nothing.
 *  4. Finishing a part is the decrement of 'pending' (release), the worker's last touch of the
 *     job; the caller acquires the zero.  So all that the parts wrote is visible to the caller,
 *     and the fields' reads are over before they are written again.
 * Sleeping.  A worker announces itself in 'sleepers', reads 'epoch', looks at 'left' once more,
 * then sleeps while 'epoch' is unchanged.  The caller stores 'left', then reads 'sleepers', and
 * if there are some adds one to 'epoch' and wakes.  Both sides are sequentially consistent:
 * either the worker sees the parts, or the caller sees the worker, and then the worker sees the
 * new epoch or is woken.  The caller sleeps on 'pending' itself, with a bit in it that asks who
 * finishes last to wake it.
 *
 * Forbidden: running on a pool from inside one of its parts, or from two threads at once. */
#include "base/pool.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#if defined(__linux__)
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "base/clock.h"
#include "base/fail.h"
#include "base/memory.h"

enum {
    LINE_BYTES = 64,
    MOST_THREADS = 1024,
    LOOKS_PER_CLOCK = 64, /* how often a spinning thread looks between two readings of the clock */
};

static const uint32_t caller_sleeps = (uint32_t)1 << 31; /* in 'pending' */
static const double spin_seconds = 30e-6;

typedef struct worker {
    zx_pool *pool;
    size_t index;
    pthread_t thread;
} worker;

struct zx_pool {
    /* Written by the caller between runs. */
    zx_part_fn run;
    const void *context;
    size_t parts;

    size_t threads; /* with the caller */
    size_t started; /* of the workers */
    double spin;    /* seconds; 0 where there are more threads than cores */
#if !defined(__linux__)
    pthread_mutex_t mutex;
    pthread_cond_t changed;
#endif

    /* Each on a cache line of its own: they are written by different threads. */
    alignas(LINE_BYTES) _Atomic uint32_t left;
    alignas(LINE_BYTES) _Atomic uint32_t pending;
    alignas(LINE_BYTES) _Atomic uint32_t epoch;
    _Atomic uint32_t sleepers;
    atomic_bool stop;
    alignas(LINE_BYTES) worker workers[];
};

/* Sleeps while the number at 'address' is 'value'; may return without a reason. */
static void sleep_on(zx_pool *pool, _Atomic uint32_t *address, uint32_t value)
{
#if defined(__linux__)
    (void)pool;
    (void)syscall(SYS_futex, address, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
#else
    (void)pthread_mutex_lock(&pool->mutex);
    while (atomic_load(address) == value) (void)pthread_cond_wait(&pool->changed, &pool->mutex);
    (void)pthread_mutex_unlock(&pool->mutex);
#endif
}

/* Wakes at least 'count' of those who sleep on the address; its value has changed before. */
static void wake(zx_pool *pool, _Atomic uint32_t *address, size_t count)
{
#if defined(__linux__)
    (void)pool;
    (void)syscall(SYS_futex, address, FUTEX_WAKE_PRIVATE, (int)count, NULL, NULL, 0);
#else
    (void)address, (void)count;
    (void)pthread_mutex_lock(&pool->mutex);
    (void)pthread_cond_broadcast(&pool->changed);
    (void)pthread_mutex_unlock(&pool->mutex);
#endif
}

static void pause_briefly(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("isb"); /* 'yield' does nothing on most cores */
#endif
}

/* Takes parts and runs them until none is left. */
static void work(zx_pool *pool, size_t thread)
{
    uint32_t left = atomic_load_explicit(&pool->left, memory_order_relaxed);
    while (left != 0) {
        /* On failure 'left' becomes the present value. */
        if (!atomic_compare_exchange_weak_explicit(&pool->left, &left, left - 1,
                                                   memory_order_acquire, memory_order_relaxed))
            continue;
        pool->run(pool->context, pool->parts - left, pool->parts, thread);
        const uint32_t before = atomic_fetch_sub_explicit(&pool->pending, 1, memory_order_acq_rel);
        if (before == (caller_sleeps | 1)) wake(pool, &pool->pending, 1);
        left = atomic_load_explicit(&pool->left, memory_order_relaxed);
    }
}

/* Waits, awake, for parts; false when the time is over. */
static bool spin_for_parts(zx_pool *pool)
{
    if (pool->spin <= 0) return atomic_load(&pool->left) != 0;
    for (const double begin = zx_seconds(); zx_seconds() - begin < pool->spin;) {
        for (int i = 0; i < LOOKS_PER_CLOCK; i++) {
            if (atomic_load_explicit(&pool->left, memory_order_relaxed) != 0) return true;
            pause_briefly();
        }
    }
    return false;
}

static void *worker_main(void *argument)
{
    const worker *const self = argument;
    zx_pool *const pool = self->pool;
    while (!atomic_load(&pool->stop)) {
        if (spin_for_parts(pool)) {
            work(pool, self->index);
            continue;
        }
        atomic_fetch_add(&pool->sleepers, 1);
        const uint32_t epoch = atomic_load(&pool->epoch);
        if (atomic_load(&pool->left) == 0 && !atomic_load(&pool->stop))
            sleep_on(pool, &pool->epoch, epoch);
        atomic_fetch_sub(&pool->sleepers, 1);
    }
    return NULL;
}

static void wake_workers(zx_pool *pool, size_t wanted)
{
    const size_t asleep = atomic_load(&pool->sleepers);
    if (asleep == 0) return;
    atomic_fetch_add(&pool->epoch, 1);
    wake(pool, &pool->epoch, asleep < wanted ? asleep : wanted);
}

/* Returns when every part is finished; all have been begun. */
static void wait_for_parts(zx_pool *pool)
{
    const double begin = zx_seconds();
    do {
        for (int i = 0; i < LOOKS_PER_CLOCK; i++) {
            if (atomic_load_explicit(&pool->pending, memory_order_acquire) == 0) return;
            pause_briefly();
        }
    } while (zx_seconds() - begin < pool->spin);
    uint32_t left = atomic_fetch_or(&pool->pending, caller_sleeps) | caller_sleeps;
    while (left != caller_sleeps) {
        sleep_on(pool, &pool->pending, left);
        left = atomic_load(&pool->pending);
    }
    atomic_store_explicit(&pool->pending, 0, memory_order_relaxed);
}

void zx_pool_run(zx_pool *pool, size_t parts, zx_part_fn run, const void *context)
{
    if (pool == NULL || pool->threads == 1 || parts <= 1 || parts >= caller_sleeps) {
        for (size_t part = 0; part < parts; part++) run(context, part, parts, 0);
        return;
    }
    assert(atomic_load_explicit(&pool->pending, memory_order_relaxed) == 0);
    pool->run = run;
    pool->context = context;
    pool->parts = parts;
    atomic_store_explicit(&pool->pending, (uint32_t)parts, memory_order_relaxed);
    atomic_store(&pool->left, (uint32_t)parts);
    wake_workers(pool, parts - 1);
    work(pool, 0);
    if (atomic_load_explicit(&pool->pending, memory_order_acquire) != 0) wait_for_parts(pool);
}

/* Starts the workers with every signal blocked: signals are the program's, not ours. */
static zmlx_status start_workers(zx_pool *pool)
{
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = 0;
    while (error == 0 && pool->started + 1 < pool->threads) {
        worker *const fresh = &pool->workers[pool->started];
        *fresh = (worker){.pool = pool, .index = pool->started + 1};
        error = pthread_create(&fresh->thread, NULL, worker_main, fresh);
        if (error == 0) pool->started++;
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error == 0) return ZMLX_OK;
    return ZX_FAIL(ZMLX_ERROR_MEMORY, "thread %zu of %zu cannot be started: %s", pool->started + 2,
                   pool->threads, strerror(error));
}

zmlx_status zx_pool_create_unstarted(size_t threads, zx_pool **pool)
{
    if (threads == 0 || threads > MOST_THREADS)
        return ZX_FAIL(ZMLX_ERROR_ARGUMENT, "%zu threads asked; 1 to %d are possible", threads,
                       (int)MOST_THREADS);
    void *memory = NULL;
    ZX_TRY(zx_alloc(sizeof(zx_pool) + (threads - 1) * sizeof(worker), "thread pool", &memory));
    zx_pool *const fresh = memory;
    fresh->threads = threads;
    fresh->spin = threads <= zx_usable_cores() ? spin_seconds : 0;
#if !defined(__linux__)
    (void)pthread_mutex_init(&fresh->mutex, NULL);
    (void)pthread_cond_init(&fresh->changed, NULL);
#endif
    *pool = fresh;
    return ZMLX_OK;
}

zmlx_status zx_pool_create(size_t threads, zx_pool **pool)
{
    zx_pool *fresh = NULL;
    ZX_TRY(zx_pool_create_unstarted(threads, &fresh));
    const zmlx_status status = start_workers(fresh);
    if (status == ZMLX_OK)
        *pool = fresh;
    else
        zx_pool_destroy(fresh);
    return status;
}

void zx_pool_destroy(zx_pool *pool)
{
    if (pool == NULL) return;
    atomic_store(&pool->stop, true);
    atomic_fetch_add(&pool->epoch, 1);
    wake(pool, &pool->epoch, pool->threads);
    for (size_t i = 0; i < pool->started; i++) (void)pthread_join(pool->workers[i].thread, NULL);
#if !defined(__linux__)
    (void)pthread_cond_destroy(&pool->changed);
    (void)pthread_mutex_destroy(&pool->mutex);
#endif
    zx_free(pool);
}

size_t zx_pool_threads(const zx_pool *pool)
{
    return pool != NULL ? pool->threads : 1;
}

void zx_split(size_t count, size_t step, size_t part, size_t parts, size_t *first, size_t *end)
{
    assert(step > 0 && part < parts);
    const size_t units = count / step + (count % step != 0);
    const size_t each = units / parts, longer = units % parts; /* so many have one more */
    const size_t begin = part * each + (part < longer ? part : longer);
    const size_t stop = begin + each + (part < longer);
    *first = begin < units ? begin * step : count;
    *end = stop < units ? stop * step : count;
}
