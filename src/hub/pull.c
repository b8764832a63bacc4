/* pull.c - zmlx_pull: asks for the list, fetches what lacks, several files at once, and last of all
 * writes the ref.
 *
 * Nothing is believed until it is checked: a blob has the size of the list and hashes to its name,
 * or it is removed. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/pool.h"
#include "hub/cache.h"
#include "hub/client.h"
#include "hub/plan.h"
#include "hub/sha.h"
#include "hub/store.h"
#include "zmlx/hub.h"

enum { LIST_BYTES = 16 << 20, DEFAULT_JOBS = 4, MOST_JOBS = 16, READ_BYTES = 1 << 16 };

typedef struct pull {
    const zmlx_pull_options *options;
    zx_hub_name name;
    zx_text repo, revision, url; /* url: of the files, up to their names */
    zx_hub_client client;
    zx_plan plan;
    zx_store store;
    zx_http *http[MOST_JOBS];
    atomic_bool stopped, failed;
    pthread_mutex_t lock; /* of what follows */
    size_t there;         /* bytes */
    size_t fetched_files, fetched_bytes;
    zmlx_status status; /* of the file that failed first */
    char message[1024];
} pull;

static bool must_stop(void *user)
{
    pull *const run = user;
    if (run->options->stop != NULL && run->options->stop(run->options->user))
        atomic_store(&run->stopped, true);
    return atomic_load(&run->stopped) || atomic_load(&run->failed);
}

/* 'gone' bytes turned out to be worth nothing, 'come' are new. */
static void count_bytes(pull *run, size_t gone, size_t come, bool fetched)
{
    (void)pthread_mutex_lock(&run->lock);
    run->there = run->there - gone + come;
    if (fetched) run->fetched_bytes += come;
    zx_progress("downloading", run->there, run->plan.bytes);
    (void)pthread_mutex_unlock(&run->lock);
}

typedef struct pull_blob { /* a file on its way */
    pull *run;
    const zx_plan_file *file;
    const char *path; /* of the part */
    int descriptor;
    bool begun; /* the first piece of the answer was looked at */
    zx_sha sha;
    zx_hub_download *download;
} pull_blob;

static void start_hash(pull_blob *blob)
{
    char head[48];
    if (blob->file->large) {
        zx_sha256_start(&blob->sha);
        return;
    }
    zx_sha1_start(&blob->sha); /* as git names a file */
    const int length = snprintf(head, sizeof head, "blob %zu", blob->file->size);
    zx_sha_add(&blob->sha, head, (size_t)length + 1);
}

static zmlx_status blob_error(const pull_blob *blob, const char *doing)
{
    return ZX_FAIL(ZMLX_ERROR_IO, "%s: %s: %s", blob->path, doing, strerror(errno));
}

/* Throws away what came so far. */
static zmlx_status restart(pull_blob *blob)
{
    count_bytes(blob->run, blob->download->done, 0, false);
    blob->download->done = 0;
    start_hash(blob);
    if (ftruncate(blob->descriptor, 0) != 0 || lseek(blob->descriptor, 0, SEEK_SET) != 0)
        return blob_error(blob, "cannot empty it");
    return ZMLX_OK;
}

/* What an earlier run left counts, where it can be the beginning of the file. */
static zmlx_status take_part(pull_blob *blob)
{
    char bytes[READ_BYTES];
    ssize_t count = 0;
    start_hash(blob);
    while ((count = read(blob->descriptor, bytes, sizeof bytes)) > 0) {
        if (must_stop(blob->run)) return ZX_FAIL(ZMLX_ERROR_IO, "%s: stopped", blob->path);
        if ((size_t)count > blob->file->size - blob->download->done) return restart(blob);
        zx_sha_add(&blob->sha, bytes, (size_t)count);
        blob->download->done += (size_t)count;
        count_bytes(blob->run, 0, (size_t)count, false);
    }
    return count < 0 ? blob_error(blob, "cannot read it") : ZMLX_OK;
}

static void begin_blob(void *user)
{
    ((pull_blob *)user)->begun = false;
}

static zmlx_status check_start(pull_blob *blob, const zx_http_answer *answer)
{
    zx_hub_download *const download = blob->download;
    blob->begun = true;
    if (answer->code == 200) return download->done > 0 ? restart(blob) : ZMLX_OK;
    if (!answer->has_range || answer->first != download->done)
        return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: the answer begins at byte %zu, expected byte %zu",
                       download->what, answer->first, download->done);
    return ZMLX_OK;
}

static zmlx_status take_blob(void *user, const zx_http_answer *answer, const char *bytes,
                             size_t count)
{
    pull_blob *const blob = user;
    if (!blob->begun) ZX_TRY(check_start(blob, answer));
    if (count > blob->file->size - blob->download->done)
        return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: more than the %zu bytes of the list came",
                       blob->download->what, blob->file->size);
    for (size_t written = 0; written < count;) {
        const ssize_t some = write(blob->descriptor, bytes + written, count - written);
        if (some < 0 && errno == EINTR) continue;
        if (some <= 0) return blob_error(blob, "cannot write it");
        written += (size_t)some;
    }
    zx_sha_add(&blob->sha, bytes, count);
    blob->download->done += count;
    count_bytes(blob->run, 0, count, true);
    return ZMLX_OK;
}

static zmlx_status check_digest(pull_blob *blob)
{
    char digits[ZX_SHA_DIGITS + 1];
    zx_sha_finish(&blob->sha, digits);
    if (strcmp(digits, blob->file->etag) == 0) return ZMLX_OK;
    return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: its %s is %s, expected %s; what came was removed (%s)",
                   blob->download->what, blob->file->large ? "SHA-256" : "SHA-1", digits,
                   blob->file->etag, blob->path);
}

/* A part that contradicts the list is removed: going on with it would fail for ever. */
static zmlx_status download_blob(pull *run, zx_http *http, pull_blob *blob)
{
    zmlx_status status = take_part(blob);
    if (status == ZMLX_OK && blob->download->done < blob->file->size)
        status = zx_hub_get(&run->client, http, blob->download);
    if (status == ZMLX_OK) status = check_digest(blob);
    if (status == ZMLX_ERROR_FORMAT) (void)unlink(blob->path);
    if (status == ZMLX_OK && fsync(blob->descriptor) != 0)
        status = blob_error(blob, "cannot write it to the disk");
    return status;
}

/* Under the lock of the blob. */
static zmlx_status fetch_blob(pull *run, zx_http *http, const zx_plan_file *file)
{
    zx_text path = {0}, url = {0}, what = {0};
    zmlx_status status = zx_store_blob(&run->store, file, true, &path);
    if (status == ZMLX_OK) status = zx_text_add(&url, run->url.bytes, run->url.length);
    if (status == ZMLX_OK) status = zx_hub_quote(file->name, strlen(file->name), true, &url);
    if (status == ZMLX_OK) status = zx_text_format(&what, "%s: %s", run->repo.bytes, file->name);
    zx_hub_download download = {.what = what.bytes,
                                .url = url.bytes,
                                .size = file->size,
                                .begin = begin_blob,
                                .take = take_blob};
    pull_blob blob = {.run = run, .file = file, .path = path.bytes, .download = &download};
    download.user = &blob;
    if (status == ZMLX_OK) {
        blob.descriptor = open(path.bytes, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
        status = blob.descriptor < 0 ? blob_error(&blob, "cannot write it")
                                     : download_blob(run, http, &blob);
        if (blob.descriptor >= 0) (void)close(blob.descriptor);
    }
    if (status == ZMLX_OK) status = zx_store_finish(&run->store, file);
    zx_text_fini(&path);
    zx_text_fini(&url);
    zx_text_fini(&what);
    return status;
}

static zmlx_status has_blob(const pull *run, const zx_plan_file *file, bool *has)
{
    struct stat about;
    zx_text path = {0};
    ZX_TRY(zx_store_blob(&run->store, file, false, &path));
    *has = stat(path.bytes, &about) == 0 && (uintmax_t)about.st_size == file->size;
    zx_text_fini(&path);
    return ZMLX_OK;
}

static zmlx_status fetch_file(pull *run, zx_http **http, const zx_plan_file *file)
{
    bool has = false;
    int lock = -1;
    ZX_TRY(zx_store_has(&run->store, file, &has));
    if (has) {
        count_bytes(run, 0, file->size, false);
        return ZMLX_OK;
    }
    ZX_TRY(zx_store_lock(&run->store, file, must_stop, run, &lock));
    if (lock < 0) return ZMLX_OK; /* stopped */
    zmlx_status status = has_blob(run, file, &has);
    if (status == ZMLX_OK && has) count_bytes(run, 0, file->size, false);
    if (status == ZMLX_OK && !has && *http == NULL) status = zx_hub_client_open(&run->client, http);
    if (status == ZMLX_OK && !has) status = fetch_blob(run, *http, file);
    zx_store_unlock(lock);
    if (status == ZMLX_OK) status = zx_store_link(&run->store, file);
    if (status == ZMLX_OK && !has) {
        (void)pthread_mutex_lock(&run->lock);
        run->fetched_files++;
        (void)pthread_mutex_unlock(&run->lock);
    }
    return status;
}

typedef struct pull_work { /* what the pool hands to its threads */
    pull *run;
} pull_work;

static void run_part(const void *context, size_t part, size_t parts, size_t thread)
{
    pull *const run = ((const pull_work *)context)->run;
    (void)parts;
    if (must_stop(run)) return;
    const zmlx_status status = fetch_file(run, &run->http[thread], &run->plan.files[part]);
    if (status == ZMLX_OK) return;
    (void)pthread_mutex_lock(&run->lock);
    if (run->status == ZMLX_OK && !atomic_load(&run->stopped)) {
        run->status = status;
        (void)snprintf(run->message, sizeof run->message, "%s", zmlx_error_message());
    }
    (void)pthread_mutex_unlock(&run->lock);
    atomic_store(&run->failed, true);
}

static zmlx_status fetch_all(pull *run)
{
    size_t jobs = run->options->jobs > 0 ? run->options->jobs : DEFAULT_JOBS;
    zx_pool *pool = NULL;
    if (jobs > MOST_JOBS) jobs = MOST_JOBS;
    if (jobs > run->plan.count) jobs = run->plan.count;
    ZX_TRY(zx_pool_create(jobs, &pool));
    const pull_work work = {run};
    zx_pool_run(pool, run->plan.count, run_part, &work);
    zx_pool_destroy(pool);
    return run->status == ZMLX_OK ? ZMLX_OK : ZX_FAIL(run->status, "%s", run->message);
}

/* How much must still come: what is neither there nor begun. */
static zmlx_status check_space(const pull *run)
{
    size_t bytes = 0;
    for (size_t i = 0; i < run->plan.count; i++) {
        const zx_plan_file *const file = &run->plan.files[i];
        struct stat about;
        bool has = false;
        zx_text part = {0};
        ZX_TRY(zx_store_has(&run->store, file, &has)); /* a copy without links has no blobs */
        if (!has) ZX_TRY(has_blob(run, file, &has));
        if (has) continue;
        ZX_TRY(zx_store_blob(&run->store, file, true, &part));
        const size_t begun = stat(part.bytes, &about) == 0 ? (size_t)about.st_size : 0;
        zx_text_fini(&part);
        bytes += begun < file->size ? file->size - begun : 0; /* no more than plan.bytes */
    }
    return zx_store_check_space(&run->store, bytes);
}

typedef struct pull_list {
    zx_text text;
    const char *what;
} pull_list;

static void begin_list(void *user)
{
    zx_text_clear(&((pull_list *)user)->text);
}

static zmlx_status take_list(void *user, const zx_http_answer *answer, const char *bytes,
                             size_t count)
{
    pull_list *const list = user;
    (void)answer;
    if (count > LIST_BYTES - list->text.length)
        return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: the list of files has more than %d bytes",
                       list->what, LIST_BYTES);
    return zx_text_add(&list->text, bytes, count);
}

static zmlx_status ask_list(pull *run)
{
    zx_text url = {0};
    pull_list list = {.what = run->repo.bytes};
    zmlx_status status = zx_text_format(&url, "%s/api/models/%s/revision/",
                                        run->client.endpoint.bytes, run->repo.bytes);
    if (status == ZMLX_OK)
        status = zx_hub_quote(run->revision.bytes, run->revision.length, false, &url);
    if (status == ZMLX_OK) status = zx_text_add_string(&url, "?blobs=true");
    if (status == ZMLX_OK) status = zx_hub_client_open(&run->client, &run->http[0]);
    if (status == ZMLX_OK) {
        zx_hub_download download = {.what = run->repo.bytes,
                                    .url = url.bytes,
                                    .size = SIZE_MAX,
                                    .begin = begin_list,
                                    .take = take_list,
                                    .user = &list};
        status = zx_hub_get(&run->client, run->http[0], &download);
    }
    if (status == ZMLX_OK)
        status = zx_plan_make(run->repo.bytes, list.text.bytes != NULL ? list.text.bytes : "",
                              list.text.length, run->name.file, &run->plan);
    zx_text_fini(&url);
    zx_text_fini(&list.text);
    return status;
}

static zmlx_status start(pull *run, const char *name)
{
    if (!zx_hub_parse(name, &run->name))
        return ZX_FAIL(ZMLX_ERROR_ARGUMENT,
                       "'%s' is no model's name; expected ORG/NAME[@REVISION][:FILE]", name);
    ZX_TRY(zx_text_add(&run->repo, run->name.repo, run->name.repo_length));
    if (run->name.revision != NULL)
        ZX_TRY(zx_text_add(&run->revision, run->name.revision, run->name.revision_length));
    else
        ZX_TRY(zx_text_add_string(&run->revision, "main"));
    ZX_TRY(zx_hub_client_init(&run->client));
    run->client.stop = must_stop;
    run->client.user = run;
    return ZMLX_OK;
}

static zmlx_status do_pull(pull *run, const char *name)
{
    ZX_TRY(start(run, name));
    ZX_TRY(ask_list(run));
    const bool is_commit = zx_hub_is_commit(run->revision.bytes, run->revision.length);
    if (is_commit && strcmp(run->plan.commit, run->revision.bytes) != 0)
        return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: the hub answered with commit %s, expected %s",
                       run->repo.bytes, run->plan.commit, run->revision.bytes);
    ZX_TRY(zx_text_format(&run->url, "%s/%s/resolve/%s/", run->client.endpoint.bytes,
                          run->repo.bytes, run->plan.commit));
    ZX_TRY(zx_store_open(&run->name, run->plan.commit, &run->store));
    ZX_TRY(check_space(run));
    ZX_TRY(fetch_all(run));
    if (is_commit || atomic_load(&run->stopped)) return ZMLX_OK;
    return zx_store_set_ref(&run->store, run->revision.bytes, run->plan.commit);
}

/* Hands over what was found; a stop is no failure. */
static zmlx_status report(pull *run, zmlx_status status, zmlx_pull_result *result)
{
    if (atomic_load(&run->stopped)) {
        result->stopped = true;
        status = ZMLX_OK;
    }
    if (status != ZMLX_OK) return status;
    memcpy(result->commit, run->plan.commit, sizeof result->commit);
    result->files = run->plan.count;
    result->bytes = run->plan.bytes;
    result->fetched_files = run->fetched_files;
    result->fetched_bytes = run->fetched_bytes;
    result->path = (zmlx_string){run->store.snapshot.bytes, run->store.snapshot.length};
    run->store.snapshot = (zx_text){0};
    return ZMLX_OK;
}

zmlx_status zmlx_pull(const char *name, const zmlx_pull_options *options, zmlx_pull_result *result)
{
    pull run = {.options = options, .lock = PTHREAD_MUTEX_INITIALIZER};
    *result = (zmlx_pull_result){0};
    const zmlx_status status = report(&run, do_pull(&run, name), result);
    for (size_t i = 0; i < MOST_JOBS; i++) zx_http_close(run.http[i]);
    zx_hub_client_fini(&run.client);
    zx_plan_fini(&run.plan);
    zx_store_close(&run.store);
    zx_text_fini(&run.repo);
    zx_text_fini(&run.revision);
    zx_text_fini(&run.url);
    (void)pthread_mutex_destroy(&run.lock);
    return status;
}

void zmlx_pull_result_free(zmlx_pull_result *result)
{
    zmlx_string_free(&result->path);
}
