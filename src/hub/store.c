/* store.c - folders, locks, links and refs of the cache. */
#include "hub/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/fail.h"
#include "base/file.h"
#include "base/memory.h"

static zmlx_status system_error(const char *path, const char *doing)
{
    return ZX_FAIL(ZMLX_ERROR_IO, "%s: %s: %s", path, doing, strerror(errno));
}

/* Makes the folders on the way to 'path', and itself where 'whole'. */
static zmlx_status make_folders(const char *path, bool whole)
{
    zx_text part = {0};
    zmlx_status status = ZMLX_OK;
    for (size_t at = 1; status == ZMLX_OK; at++) {
        const bool end = path[at] == 0;
        if (!end && path[at] != '/') continue;
        if (end && !whole) break;
        zx_text_clear(&part);
        status = zx_text_add(&part, path, at);
        if (status == ZMLX_OK && mkdir(part.bytes, 0777) != 0 && !zx_path_is_directory(part.bytes))
            status = system_error(part.bytes, "cannot make the folder");
        if (end) break;
    }
    zx_text_fini(&part);
    return status;
}

static zmlx_status make_store(const zx_hub_name *name, const char *commit, zx_store *store)
{
    ZX_TRY(zx_hub_repo_folder(name, &store->repo));
    ZX_TRY(zx_text_format(&store->snapshot, "%s/snapshots/%s", store->repo.bytes, commit));
    const char *const last = strrchr(store->repo.bytes, '/');
    ZX_TRY(zx_text_format(&store->locks, "%.*s/.locks%s", (int)(last - store->repo.bytes),
                          store->repo.bytes, last));
    zx_text blobs = {0};
    zmlx_status status = zx_text_format(&blobs, "%s/blobs", store->repo.bytes);
    if (status == ZMLX_OK) status = make_folders(blobs.bytes, true);
    if (status == ZMLX_OK) status = make_folders(store->locks.bytes, true);
    if (status == ZMLX_OK) status = make_folders(store->snapshot.bytes, true);
    zx_text_fini(&blobs);
    return status;
}

zmlx_status zx_store_open(const zx_hub_name *name, const char *commit, zx_store *store)
{
    *store = (zx_store){0};
    const zmlx_status status = make_store(name, commit, store);
    if (status != ZMLX_OK) zx_store_close(store);
    return status;
}

void zx_store_close(zx_store *store)
{
    zx_text_fini(&store->repo);
    zx_text_fini(&store->snapshot);
    zx_text_fini(&store->locks);
    *store = (zx_store){0};
}

static bool has_size(const char *path, size_t size)
{
    struct stat about;
    return stat(path, &about) == 0 && S_ISREG(about.st_mode) && (uintmax_t)about.st_size == size;
}

zmlx_status zx_store_has(const zx_store *store, const zx_plan_file *file, bool *has)
{
    char *path = NULL;
    ZX_TRY(zx_path_join(store->snapshot.bytes, file->name, &path));
    *has = has_size(path, file->size);
    zx_free(path);
    return ZMLX_OK;
}

zmlx_status zx_store_blob(const zx_store *store, const zx_plan_file *file, bool part, zx_text *path)
{
    return zx_text_format(path, "%s/blobs/%s%s", store->repo.bytes, file->etag,
                          part ? ".incomplete" : "");
}

zmlx_status zx_store_check_space(const zx_store *store, size_t bytes)
{
    struct statvfs about;
    size_t available = 0;
    if (statvfs(store->repo.bytes, &about) != 0) return ZMLX_OK; /* writing will tell */
    if (!zx_multiply_fits(about.f_bavail, about.f_frsize, &available) || bytes <= available)
        return ZMLX_OK;
    return ZX_FAIL(ZMLX_ERROR_IO, "%s: %zu MiB are to be fetched, the disk has %zu MiB free",
                   store->repo.bytes, bytes >> 20, available >> 20);
}

/* Whether the path still is the file that was opened: another process may remove a lock's file when
 * it lets go of it. */
static bool is_same_file(int descriptor, const char *path)
{
    struct stat one, two;
    return fstat(descriptor, &one) == 0 && stat(path, &two) == 0 && one.st_ino == two.st_ino &&
           one.st_dev == two.st_dev;
}

static zmlx_status try_lock(const char *path, int *lock)
{
    const int descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (descriptor < 0) return system_error(path, "cannot open it");
    const bool locked = flock(descriptor, LOCK_EX | LOCK_NB) == 0;
    const int error = locked ? 0 : errno;
    if (locked && is_same_file(descriptor, path)) {
        *lock = descriptor;
        return ZMLX_OK;
    }
    (void)close(descriptor);
    if (locked || error == EWOULDBLOCK || error == EINTR) return ZMLX_OK;
    errno = error; /* a disk without locks would be waited for in vain */
    return system_error(path, "cannot lock it");
}

zmlx_status zx_store_lock(const zx_store *store, const zx_plan_file *file, bool (*stop)(void *user),
                          void *user, int *lock)
{
    zx_text path = {0};
    *lock = -1;
    zmlx_status status = zx_text_format(&path, "%s/%s.lock", store->locks.bytes, file->etag);
    while (status == ZMLX_OK && *lock < 0) {
        if (stop != NULL && stop(user)) break;
        status = try_lock(path.bytes, lock);
        if (status == ZMLX_OK && *lock < 0)
            (void)nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    }
    zx_text_fini(&path);
    return status;
}

void zx_store_unlock(int lock)
{
    if (lock >= 0) (void)close(lock);
}

zmlx_status zx_store_finish(const zx_store *store, const zx_plan_file *file)
{
    zx_text part = {0}, blob = {0};
    zmlx_status status = zx_store_blob(store, file, true, &part);
    if (status == ZMLX_OK) status = zx_store_blob(store, file, false, &blob);
    if (status == ZMLX_OK && rename(part.bytes, blob.bytes) != 0)
        status = system_error(blob.bytes, "cannot give it its name");
    zx_text_fini(&part);
    zx_text_fini(&blob);
    return status;
}

/* The link is made under another name first: whoever reads sees the old one or the new one. */
static zmlx_status replace_link(const char *target, const char *path)
{
    zx_text fresh = {0};
    zmlx_status status = zx_text_format(&fresh, "%s.%ld.tmp", path, (long)getpid());
    if (status != ZMLX_OK) return status;
    (void)unlink(fresh.bytes);
    if (symlink(target, fresh.bytes) != 0 || rename(fresh.bytes, path) != 0) {
        status = system_error(path, "cannot make the link");
        (void)unlink(fresh.bytes);
    }
    zx_text_fini(&fresh);
    return status;
}

zmlx_status zx_store_link(const zx_store *store, const zx_plan_file *file)
{
    zx_text target = {0};
    char *path = NULL;
    zmlx_status status = zx_path_join(store->snapshot.bytes, file->name, &path);
    if (status == ZMLX_OK) status = make_folders(path, false);
    if (status == ZMLX_OK) status = zx_text_add_string(&target, "../../");
    for (const char *at = file->name; status == ZMLX_OK && (at = strchr(at, '/')) != NULL; at++)
        status = zx_text_add_string(&target, "../");
    if (status == ZMLX_OK) status = zx_text_format(&target, "blobs/%s", file->etag);
    if (status == ZMLX_OK) status = replace_link(target.bytes, path);
    zx_text_fini(&target);
    zx_free(path);
    return status;
}

zmlx_status zx_store_set_ref(const zx_store *store, const char *revision, const char *commit)
{
    zx_text refs = {0};
    char *path = NULL;
    zx_writer writer = {.descriptor = -1};
    zmlx_status status = zx_text_format(&refs, "%s/refs", store->repo.bytes);
    if (status == ZMLX_OK) status = zx_path_join(refs.bytes, revision, &path);
    if (status == ZMLX_OK) status = make_folders(path, false);
    if (status == ZMLX_OK) status = zx_writer_open(path, &writer);
    if (status == ZMLX_OK) {
        status = zx_writer_add(&writer, commit, strlen(commit));
        if (status == ZMLX_OK)
            status = zx_writer_commit(&writer);
        else
            zx_writer_abandon(&writer);
    }
    zx_text_fini(&refs);
    zx_free(path);
    return status;
}
