/* work.c - the tensors that modules become, and making their values.
 *
 * All values of a checkpoint lie in one region of addresses, which takes memory only as the jobs
 * write it.  The jobs' rows are cut into parts of ZX_FOREIGN_STEP, which threads take in any order;
 * each writes bytes of its own, so the result does not depend on their number.  A job whose tensors
 * nobody wants is never run. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/fail.h"
#include "base/memory.h"
#include "base/pool.h"
#include "base/region.h"
#include "model/foreign/methods.h"

enum { ALIGNMENT = 64 };

struct zx_foreign_work {
    const char *path; /* of the config, for messages */
    zx_foreign_job *jobs;
    size_t count, capacity;
    uint8_t *region;
    size_t bytes;
    pthread_mutex_t lock; /* held while values are made, and for what follows */
    size_t made;          /* bytes */
};

static const zx_format formats[ZX_DTYPE_COUNT] = {
    [ZX_F32] = ZX_FORMAT_F32, [ZX_F16] = ZX_FORMAT_F16, [ZX_BF16] = ZX_FORMAT_BF16};

/* -------- tensors -------- */

static zmlx_status too_large(const zx_foreign_module *module)
{
    char shown[ZX_SHOWN_NAME];
    return ZX_FAIL(ZMLX_ERROR_MEMORY, "%s: module '%s' exceeds the address space",
                   module->from->path, zx_shown_name(module->name, strlen(module->name), shown));
}

zmlx_status zx_foreign_take(const zx_foreign_module *module, size_t count, size_t bytes,
                            void **memory)
{
    size_t all = 0;
    if (!zx_multiply_fits(count, bytes, &all)) return too_large(module);
    return zx_arena_alloc(module->from->arena, all, memory);
}

static zmlx_status put(zx_foreign_module *module, const char *suffix, zx_dtype dtype,
                       zx_foreign_shape shape, zx_stored_tensor **made)
{
    char name[ZX_FOREIGN_FULL_NAME];
    void *memory = NULL;
    size_t bytes = 0;
    if (!zx_multiply_fits(shape.rows, shape.columns, &bytes) ||
        !zx_multiply_fits(bytes, shape.stack > 0 ? shape.stack : 1, &bytes) ||
        !zx_multiply_fits(bytes, zx_dtypes[dtype].bytes, &bytes))
        return too_large(module);
    zx_foreign_name(module, suffix, name);
    const size_t length = strlen(name);
    ZX_TRY(zx_foreign_take(module, 1, sizeof(zx_stored_tensor) + length + 1, &memory));
    zx_stored_tensor *tensor = memory;
    const char *word = memcpy((char *)memory + sizeof *tensor, name, length + 1);
    *tensor = (zx_stored_tensor){
        .path = module->from->path,
        .name = word,
        .name_length = length,
        .dtype = dtype,
        .format = zx_dtypes[dtype].is_float ? formats[dtype] : ZX_FORMAT_COUNT,
        .type = zx_dtypes[dtype].safetensors,
        .rank = 2,
        .shape = {shape.rows, shape.columns},
        .bytes = bytes,
    };
    if (shape.stack > 0) {
        tensor->rank = 3;
        tensor->shape[0] = shape.stack;
        tensor->shape[1] = shape.rows;
        tensor->shape[2] = shape.columns;
    }
    module->words[module->count] = word;
    module->tensors[module->count++] = tensor;
    *made = tensor;
    return ZMLX_OK;
}

zmlx_status zx_foreign_put(zx_foreign_module *module, const char *suffix, zx_dtype dtype,
                           zx_foreign_shape shape, const void *data)
{
    zx_stored_tensor *tensor = NULL;
    ZX_TRY(put(module, suffix, dtype, shape, &tensor));
    tensor->data = data;
    return ZMLX_OK;
}

zmlx_status zx_foreign_put_later(zx_foreign_module *module, const char *suffix, zx_dtype dtype,
                                 zx_foreign_shape shape, zx_foreign_job *job)
{
    zx_foreign_work *work = module->work;
    size_t end = 0, padded = 0;
    zx_stored_tensor **tensor = &job->tensors[job->count];
    ZX_TRY(put(module, suffix, dtype, shape, tensor));
    if (!zx_add_fits(work->bytes, (*tensor)->bytes, &end) ||
        !zx_add_fits(end, ALIGNMENT - 1, &padded))
        return too_large(module);
    job->offsets[job->count++] = work->bytes;
    work->bytes = padded / ALIGNMENT * ALIGNMENT;
    return ZMLX_OK;
}

zmlx_status zx_foreign_add_job(zx_foreign_module *module, const zx_foreign_job *job)
{
    zx_foreign_work *work = module->work;
    ZX_TRY(zx_grow(&work->jobs, &work->capacity, work->count + 1, sizeof *work->jobs,
                   "list of weights to make"));
    work->jobs[work->count++] = *job;
    return ZMLX_OK;
}

/* -------- the whole -------- */

zmlx_status zx_foreign_work_create(const char *path, zx_foreign_work **work)
{
    void *memory = NULL;
    ZX_TRY(zx_alloc(sizeof(zx_foreign_work), "weights to make", &memory));
    zx_foreign_work *fresh = memory;
    fresh->path = path;
    (void)pthread_mutex_init(&fresh->lock, NULL);
    *work = fresh;
    return ZMLX_OK;
}

void zx_foreign_close(zx_foreign_work *work)
{
    if (work == NULL) return;
    zx_region_unmap(work->region, work->bytes);
    zx_free(work->jobs);
    (void)pthread_mutex_destroy(&work->lock);
    zx_free(work);
}

zmlx_status zx_foreign_work_place(zx_foreign_work *work)
{
    void *region = NULL;
    if (work->bytes > 0) ZX_TRY(zx_region_map(work->bytes, "weights to make", &region));
    work->region = region;
    for (size_t i = 0; i < work->count; i++) {
        zx_foreign_job *job = &work->jobs[i];
        for (size_t k = 0; k < job->count; k++) {
            job->to[k] = work->region + job->offsets[k];
            job->tensors[k]->data = job->to[k];
        }
    }
    return ZMLX_OK;
}

/* -------- making -------- */

/* What one call makes. */
typedef struct run {
    zx_foreign_job **jobs;
    size_t count, parts, bytes;
} run;

bool zx_foreign_makes(const zx_foreign_work *work, const zx_stored_tensor *tensor)
{
    return work != NULL && work->region != NULL && tensor->data >= work->region &&
           tensor->data < work->region + work->bytes;
}

/* The job that makes the tensor: their places follow each other. */
static zx_foreign_job *job_of(const zx_foreign_work *work, const zx_stored_tensor *tensor)
{
    const size_t at = (size_t)(tensor->data - work->region);
    size_t low = 0, high = work->count; /* it is one of these */
    while (high - low > 1) {
        const size_t middle = low + (high - low) / 2;
        if (work->jobs[middle].offsets[0] <= at)
            low = middle;
        else
            high = middle;
    }
    return &work->jobs[low];
}

static void run_part(const void *context, size_t part, size_t parts, size_t thread)
{
    const run *r = context;
    size_t low = 0, high = r->count; /* the job is one of these */
    (void)parts, (void)thread;
    while (high - low > 1) {
        const size_t middle = low + (high - low) / 2;
        if (r->jobs[middle]->first_part <= part)
            low = middle;
        else
            high = middle;
    }
    const zx_foreign_job *job = r->jobs[low];
    const size_t first = (part - job->first_part) * ZX_FOREIGN_STEP;
    const size_t left = job->rows - first;
    job->run(job, first, first + (left < ZX_FOREIGN_STEP ? left : ZX_FOREIGN_STEP));
}

/* Adds the tensor's job, which counts as made from now on. */
static void add_to_run(run *r, zx_foreign_job *job)
{
    if (job->made) return;
    job->made = true;
    job->first_part = r->parts;
    r->parts += job->rows / ZX_FOREIGN_STEP + (job->rows % ZX_FOREIGN_STEP != 0);
    for (size_t i = 0; i < job->count; i++) r->bytes += job->tensors[i]->bytes;
    r->jobs[r->count++] = job;
}

static zmlx_status run_jobs(const zx_foreign_work *work, const run *r, size_t threads)
{
    zx_pool *pool = NULL;
    const size_t available = zx_memory_available();
    const double mib = 1.0 / (1 << 20);
    if (r->bytes > available)
        return ZX_FAIL(ZMLX_ERROR_MEMORY,
                       "%s: its weights are made into others of %.0f MiB, %.0f MiB available",
                       work->path, (double)r->bytes * mib, (double)available * mib);
    if (r->parts > 1) ZX_TRY(zx_pool_create(threads > 0 ? threads : zx_usable_cores(), &pool));
    zx_pool_run(pool, r->parts, run_part, r);
    zx_pool_destroy(pool);
    return ZMLX_OK;
}

static zmlx_status make_locked(zx_foreign_work *work, const zx_foreign_wanted *wanted,
                               size_t threads)
{
    void *memory = NULL;
    run r = {0};
    ZX_TRY(zx_alloc_array(work->count, sizeof *r.jobs, "weights to make", &memory));
    r.jobs = memory;
    for (size_t i = 0; i < wanted->count; i++)
        if (wanted->used[i] && zx_foreign_makes(work, wanted->tensors[i]))
            add_to_run(&r, job_of(work, wanted->tensors[i]));
    const zmlx_status status = r.count > 0 ? run_jobs(work, &r, threads) : ZMLX_OK;
    for (size_t i = 0; i < r.count; i++) r.jobs[i]->made = status == ZMLX_OK;
    if (status == ZMLX_OK) work->made += r.bytes;
    zx_free(memory);
    return status;
}

zmlx_status zx_foreign_make(zx_foreign_work *work, const zx_foreign_wanted *wanted, size_t threads)
{
    if (work == NULL || work->count == 0) return ZMLX_OK;
    (void)pthread_mutex_lock(&work->lock);
    const zmlx_status status = make_locked(work, wanted, threads);
    (void)pthread_mutex_unlock(&work->lock);
    return status;
}

size_t zx_foreign_made(zx_foreign_work *work)
{
    if (work == NULL) return 0;
    (void)pthread_mutex_lock(&work->lock);
    const size_t made = work->made;
    (void)pthread_mutex_unlock(&work->lock);
    return made;
}

size_t zx_foreign_available(zx_foreign_work *work)
{
    if (work == NULL) return zx_memory_available();
    (void)pthread_mutex_lock(&work->lock);
    const size_t available = zx_memory_available() + work->made;
    (void)pthread_mutex_unlock(&work->lock);
    return available;
}
