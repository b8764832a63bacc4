/* file.c - files through the system's own calls, so that errors keep their reason.
 *
 * Mapped files are not copied; the pages are the kernel's.  Written files appear whole or not
 * at all: the bytes go to a new file in the same folder, which takes the name at the end. */
#include "base/file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/memory.h"
#include "base/text.h"

enum {
    READ_CHUNK = 64 * 1024,
    LARGEST_CALL = 1 << 30,
    LARGE_PAGE = 2 << 20, /* bytes; others gain nothing */
    NAME_TRIES = 100,
};

static zmlx_status system_error(const char *path, const char *doing)
{
    const zmlx_status status = errno == ENOMEM ? ZMLX_ERROR_MEMORY : ZMLX_ERROR_IO;
    return ZX_FAIL(status, "%s: %s: %s", path, doing, strerror(errno));
}

static zmlx_status copy_string(const char *string, char **copy)
{
    void *memory = NULL;
    ZX_TRY(zx_alloc(strlen(string) + 1, "path", &memory));
    *copy = memcpy(memory, string, strlen(string) + 1);
    return ZMLX_OK;
}

/* Asks for large pages: a model read once a token is read about half as fast again with them, as
 * software and hardware fetch ahead across their ends only by walking the page tables.  Systems
 * that cannot (the file system decides) stay with small ones. */
static void ask_for_large_pages(void *data, size_t size)
{
#ifdef MADV_HUGEPAGE
    if (size >= LARGE_PAGE) (void)madvise(data, size, MADV_HUGEPAGE);
#else
    (void)data, (void)size;
#endif
}

static zmlx_status map(const char *path, int descriptor, zx_file *file)
{
    struct stat about;
    if (fstat(descriptor, &about) != 0) return system_error(path, "cannot look at it");
    if (S_ISDIR(about.st_mode)) return ZX_FAIL(ZMLX_ERROR_IO, "%s: is a folder, not a file", path);
    if (!S_ISREG(about.st_mode)) return ZX_FAIL(ZMLX_ERROR_IO, "%s: is not a regular file", path);
    if ((uintmax_t)about.st_size > PTRDIFF_MAX)
        return ZX_FAIL(ZMLX_ERROR_IO, "%s: is larger than the address space", path);
    const size_t size = (size_t)about.st_size;
    if (size == 0) return ZMLX_OK; /* the system maps no empty file */
    void *const data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, descriptor, 0);
    if (data == MAP_FAILED) return system_error(path, "cannot map it");
    ask_for_large_pages(data, size);
    zx_memory_taken(data, size, "mapped file");
    file->data = data;
    file->size = size;
    return ZMLX_OK;
}

zmlx_status zx_file_open(const char *path, zx_file *file)
{
    *file = (zx_file){0};
    /* O_NONBLOCK: opening a pipe without a writer would wait for ever. */
    const int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0) return system_error(path, "cannot open it");
    zx_file fresh = {0};
    zmlx_status status = map(path, descriptor, &fresh);
    (void)close(descriptor);
    if (status == ZMLX_OK) status = copy_string(path, &fresh.path);
    if (status != ZMLX_OK) {
        zx_file_close(&fresh);
        return status;
    }
    *file = fresh;
    return ZMLX_OK;
}

void zx_file_close(zx_file *file)
{
    if (file->data != NULL) {
        /* The mapping is ours to undo; 'const' only keeps readers from writing to it. */
        void *data = NULL;
        memcpy(&data, &file->data, sizeof data);
        zx_memory_freed(data);
        (void)munmap(data, file->size);
    }
    zx_free(file->path);
    *file = (zx_file){0};
}

/* Appends what the descriptor gives until its end; more than 'limit' bytes is an error. */
static zmlx_status read_all(const char *path, int descriptor, size_t limit, zx_text *text)
{
    struct stat about;
    size_t expected = READ_CHUNK;
    if (fstat(descriptor, &about) == 0 && S_ISREG(about.st_mode)) {
        if ((uintmax_t)about.st_size > limit)
            return ZX_FAIL(ZMLX_ERROR_IO, "%s: has %ju bytes; at most %zu are read", path,
                           (uintmax_t)about.st_size, limit);
        expected = (size_t)about.st_size + 1;
    }
    for (;;) {
        if (text->capacity - text->length < 2)
            ZX_TRY(zx_grow(&text->bytes, &text->capacity, text->length + expected + 1, 1, path));
        size_t room = text->capacity - text->length - 1;
        if (room > LARGEST_CALL) room = LARGEST_CALL;
        const ssize_t count = read(descriptor, text->bytes + text->length, room);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return system_error(path, "cannot read it");
        if (count == 0) break;
        text->length += (size_t)count;
        if (text->length > limit)
            return ZX_FAIL(ZMLX_ERROR_IO, "%s: has more than %zu bytes", path, limit);
        expected = READ_CHUNK;
    }
    text->bytes[text->length] = 0;
    return ZMLX_OK;
}

zmlx_status zx_file_read(const char *path, size_t limit, char **text, size_t *size)
{
    const bool standard_input = strcmp(path, "-") == 0;
    const char *const name = standard_input ? "standard input" : path;
    const int descriptor = standard_input ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return system_error(name, "cannot open it");
    zx_text all = {0};
    const zmlx_status status = read_all(name, descriptor, limit, &all);
    if (!standard_input) (void)close(descriptor);
    if (status != ZMLX_OK) {
        zx_text_fini(&all);
        return status;
    }
    *text = all.bytes;
    *size = all.length;
    return ZMLX_OK;
}

zmlx_status zx_path_make_folders(const char *path)
{
    zx_text folder = {0};
    zmlx_status status = zx_text_add_string(&folder, path);
    for (size_t i = 1; status == ZMLX_OK && i < folder.length; i++) {
        if (folder.bytes[i] != '/') continue;
        folder.bytes[i] = '\0';
        if (mkdir(folder.bytes, 0777) != 0 && errno != EEXIST)
            status = ZX_FAIL(ZMLX_ERROR_IO, "%s: the folder cannot be made: %s", folder.bytes,
                             strerror(errno));
        folder.bytes[i] = '/';
    }
    zx_text_fini(&folder);
    return status;
}

bool zx_path_is_directory(const char *path)
{
    struct stat about;
    return stat(path, &about) == 0 && S_ISDIR(about.st_mode);
}

bool zx_path_exists(const char *path)
{
    struct stat about;
    return stat(path, &about) == 0;
}

static bool stays_inside(const char *name)
{
    if (*name == 0 || *name == '/') return false;
    for (const char *part = name; part != NULL;) {
        const size_t length = strcspn(part, "/");
        if (length == 2 && memcmp(part, "..", 2) == 0) return false;
        part = part[length] != 0 ? part + length + 1 : NULL;
    }
    return true;
}

zmlx_status zx_path_join(const char *folder, const char *name, char **joined)
{
    if (!stays_inside(name))
        return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: the file name '%s' points outside the folder",
                       folder, name);
    const size_t length = strlen(folder);
    const char *const between = length == 0 || folder[length - 1] == '/' ? "" : "/";
    zx_text path = {0};
    const zmlx_status status = zx_text_format(&path, "%s%s%s", folder, between, name);
    if (status != ZMLX_OK) return status;
    *joined = path.bytes;
    return ZMLX_OK;
}

/* Follows links, so that writing through one replaces the file and not the link. */
static zmlx_status resolve(const char *path, struct stat *about, char **target)
{
    char followed[PATH_MAX];
    *about = (struct stat){0};
    if (stat(path, about) != 0) {
        if (errno != ENOENT) return system_error(path, "cannot write it");
        return copy_string(path, target);
    }
    if (S_ISDIR(about->st_mode))
        return ZX_FAIL(ZMLX_ERROR_IO, "%s: cannot write it: is a folder", path);
    if (realpath(path, followed) == NULL) return system_error(path, "cannot write it");
    return copy_string(S_ISREG(about->st_mode) ? followed : path, target);
}

/* Creates "PATH.NUMBER.tmp"; not mkstemp, which would leave the file unreadable to others. */
static zmlx_status create_temporary(zx_writer *writer)
{
    static atomic_uint counter;
    for (int i = 0; i < NAME_TRIES; i++) {
        zx_text name = {0};
        ZX_TRY(zx_text_format(&name, "%s.%ld-%u.tmp", writer->path, (long)getpid(),
                              atomic_fetch_add(&counter, 1)));
        writer->descriptor = open(name.bytes, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (writer->descriptor >= 0) {
            writer->temporary = name.bytes;
            return ZMLX_OK;
        }
        const int error = errno;
        zx_text_fini(&name);
        errno = error;
        if (error != EEXIST) break;
    }
    return system_error(writer->path, "cannot write it");
}

zmlx_status zx_writer_open(const char *path, zx_writer *writer)
{
    *writer = (zx_writer){.descriptor = -1};
    zx_writer fresh = {.descriptor = -1};
    struct stat about;
    ZX_TRY(resolve(path, &about, &fresh.path));
    zmlx_status status = ZMLX_OK;
    if (about.st_mode != 0 && !S_ISREG(about.st_mode)) {
        /* A device or pipe cannot be replaced; it is written to. */
        fresh.descriptor = open(path, O_WRONLY | O_CLOEXEC);
        if (fresh.descriptor < 0) status = system_error(path, "cannot write it");
    } else {
        status = create_temporary(&fresh);
        if (status == ZMLX_OK && about.st_mode != 0)
            (void)fchmod(fresh.descriptor, about.st_mode & 0777);
    }
    if (status != ZMLX_OK) {
        zx_free(fresh.path);
        return status;
    }
    *writer = fresh;
    return ZMLX_OK;
}

zmlx_status zx_writer_add(zx_writer *writer, const void *bytes, size_t count)
{
    assert(writer->path != NULL);
    const char *at = bytes;
    for (size_t left = count; left > 0;) {
        const ssize_t done =
            write(writer->descriptor, at, left < LARGEST_CALL ? left : LARGEST_CALL);
        if (done < 0 && errno == EINTR) continue;
        if (done < 0) return system_error(writer->path, "cannot write it");
        at += done;
        left -= (size_t)done;
    }
    writer->written += count;
    return ZMLX_OK;
}

zmlx_status zx_writer_put(zx_writer *writer, size_t offset, const void *bytes, size_t count)
{
    assert(writer->path != NULL);
    const char *at = bytes;
    for (size_t left = count; left > 0;) {
        const ssize_t done = pwrite(writer->descriptor, at,
                                    left < LARGEST_CALL ? left : LARGEST_CALL, (off_t)offset);
        if (done < 0 && errno == EINTR) continue;
        if (done < 0) return system_error(writer->path, "cannot write it");
        at += done;
        offset += (size_t)done;
        left -= (size_t)done;
    }
    writer->written += count;
    return ZMLX_OK;
}

/* Makes the new name last through a power failure; the file is complete either way. */
static void flush_folder(const char *path)
{
    char folder[PATH_MAX];
    const char *const slash = strrchr(path, '/');
    const size_t length = slash == NULL ? 0 : (size_t)(slash - path) + 1;
    if (length >= sizeof folder) return;
    memcpy(folder, slash == NULL ? "." : path, slash == NULL ? 1 : length);
    folder[slash == NULL ? 1 : length] = 0;
    const int descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) return;
    (void)fsync(descriptor);
    (void)close(descriptor);
}

/* Gives everything back; the temporary file, where there still is one, goes. */
static void drop(zx_writer *writer)
{
    if (writer->descriptor >= 0) (void)close(writer->descriptor);
    if (writer->temporary != NULL) (void)unlink(writer->temporary);
    zx_free(writer->temporary);
    zx_free(writer->path);
    *writer = (zx_writer){.descriptor = -1};
}

zmlx_status zx_writer_commit(zx_writer *writer)
{
    assert(writer->path != NULL);
    zmlx_status status = ZMLX_OK;
    const bool synced = writer->temporary != NULL && !writer->unsynced;
    const int flushed = synced ? fsync(writer->descriptor) : 0;
    if (flushed != 0 && errno != EINVAL && errno != ENOTSUP)
        status = system_error(writer->path, "cannot flush it");
    const int closed = close(writer->descriptor);
    writer->descriptor = -1;
    if (status == ZMLX_OK && closed != 0) status = system_error(writer->path, "cannot close it");
    if (status == ZMLX_OK && writer->temporary != NULL) {
        if (rename(writer->temporary, writer->path) != 0) {
            status = system_error(writer->path, "cannot put it in place");
        } else {
            zx_free(writer->temporary);
            writer->temporary = NULL;
            if (synced) flush_folder(writer->path);
        }
    }
    drop(writer);
    return status;
}

void zx_writer_abandon(zx_writer *writer)
{
    if (writer->path != NULL) drop(writer);
}
