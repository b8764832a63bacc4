/* work_test.c - what other threads see while values are being made. */
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "base/region.h"
#include "base/test.h"
#include "model/foreign/methods.h"

enum { ROWS = 4, COLUMNS = 1 << 20 };

typedef struct scene {
    zx_foreign_work *work;
    const zx_stored_tensor *tensors[1];
    zmlx_status status;
    size_t available;
    atomic_bool begun, released, answered;
} scene;

static scene *now;

static void rest(void)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    (void)nanosleep(&pause, NULL);
}

static void wait_for(const zx_foreign_job *job, size_t first, size_t end)
{
    atomic_store(&now->begun, true);
    while (!atomic_load(&now->released)) rest();
    memset(job->to[0] + first * COLUMNS * 2, 1, (end - first) * COLUMNS * 2);
}

static void *make(void *context)
{
    scene *s = context;
    const bool used = true;
    const zx_foreign_wanted wanted = {s->tensors, &used, 1};
    s->status = zx_foreign_make(s->work, &wanted, 1);
    atomic_store(&s->begun, true); /* or there was no memory */
    return NULL;
}

static void *ask(void *context)
{
    scene *s = context;
    s->available = zx_foreign_available(s->work);
    atomic_store(&s->answered, true);
    return NULL;
}

static bool plan(scene *s, zx_arena *arena)
{
    const char *words[1];
    zx_foreign from = {.path = "f", .arena = arena};
    zx_foreign_module module = {.from = &from, .words = words, .tensors = s->tensors, .name = "m"};
    zx_foreign_job job = {.rows = ROWS, .run = wait_for};
    if (zx_foreign_work_create("f", &s->work) != ZMLX_OK) return false;
    module.work = s->work;
    return zx_foreign_put_later(&module, "weight", ZX_BF16, (zx_foreign_shape){ROWS, COLUMNS, 0},
                                &job) == ZMLX_OK &&
           zx_foreign_add_job(&module, &job) == ZMLX_OK &&
           zx_foreign_work_place(s->work) == ZMLX_OK;
}

/* Otherwise a session created meanwhile would find the memory taken and no weights. */
TEST(foreign_memory_is_asked_for_before_or_after_values_are_made)
{
    scene s = {0};
    zx_arena arena = {0};
    pthread_t maker, asker;
    bool early = false;
    now = &s;
    const bool planned = plan(&s, &arena);
    const size_t before = planned ? zx_foreign_available(s.work) : 0;
    const bool started = planned && pthread_create(&maker, NULL, make, &s) == 0;
    while (started && !atomic_load(&s.begun)) rest();
    const bool asked = started && pthread_create(&asker, NULL, ask, &s) == 0;
    for (size_t i = 0; asked && i < 20; i++) rest();
    early = atomic_load(&s.answered);
    atomic_store(&s.released, true);
    if (asked) (void)pthread_join(asker, NULL);
    if (started) (void)pthread_join(maker, NULL);
    const size_t made = zx_foreign_made(s.work);
    zx_foreign_close(s.work);
    zx_arena_reset(&arena);
    if (!planned || s.status != ZMLX_OK) return; /* no memory */
    CHECK(started && asked && !early && before > 0);
    CHECK(made == (size_t)2 * ROWS * COLUMNS && s.available >= made);
}
