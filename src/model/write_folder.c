/* write_folder.c - the list of whole files is a file itself, replaced at each step; what it does
 * not name, or names with another sum, counts for nothing. */
#include "model/write_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/memory.h"

enum { MAX_LIST = 4 << 20 };

static const char list_name[] = "zmlx-partial.txt";
static const char list_head[] = "zmlx partial folder 1";

static zmlx_status system_error(const char *path, const char *doing)
{
    return ZX_FAIL(ZMLX_ERROR_IO, "%s: %s: %s", path, doing, strerror(errno));
}

static zmlx_status path_of(const zx_folder *folder, const char *name, zx_text *path)
{
    zx_text_clear(path);
    return zx_text_format(path, "%s/%s", folder->path, name);
}

/* -------- the target -------- */

static bool is_empty(const char *path)
{
    DIR *directory = opendir(path);
    bool empty = directory != NULL;
    for (const struct dirent *entry; empty && (entry = readdir(directory)) != NULL;)
        empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
    if (directory != NULL) (void)closedir(directory);
    return empty;
}

/* The folder that a path lies in. */
static zmlx_status folder_above(const char *path, zx_text *above)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? zx_text_add_string(above, ".")
                         : zx_text_add(above, path, (size_t)(slash - path) + 1);
}

/* The finished folder takes the place of an empty one, which must not be a disk's mount point. */
static zmlx_status check_disk(const char *target, const struct stat *about)
{
    const char *slash = strrchr(target, '/');
    const char *name = slash == NULL ? target : slash + 1;
    struct stat parent;
    zx_text above = {0};
    zmlx_status status = folder_above(target, &above);
    if (status == ZMLX_OK && (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
                              stat(above.bytes, &parent) != 0 || parent.st_dev != about->st_dev))
        status = ZX_FAIL(ZMLX_ERROR_IO,
                         "%s: cannot be replaced as a whole (a mount point, or no name of its "
                         "own); expected a new name, such as a folder in it",
                         target);
    zx_text_fini(&above);
    return status;
}

static zmlx_status check_target(const char *target)
{
    struct stat about;
    if (lstat(target, &about) != 0)
        return errno == ENOENT ? ZMLX_OK : system_error(target, "cannot look at it");
    if (!S_ISDIR(about.st_mode))
        return ZX_FAIL(ZMLX_ERROR_IO, "%s: exists and is no folder; expected a new name", target);
    if (is_empty(target)) return check_disk(target, &about);
    return ZX_FAIL(ZMLX_ERROR_IO,
                   "%s: exists and is not empty; expected a new name or an empty folder", target);
}

/* The target without slashes at its end, and the name beside it. */
static zmlx_status make_names(const char *target, zx_folder *folder)
{
    zx_text name = {0}, path = {0};
    size_t length = strlen(target);
    while (length > 1 && target[length - 1] == '/') length--;
    if (length == 0) return ZX_FAIL(ZMLX_ERROR_ARGUMENT, "the folder to write has no name");
    zmlx_status status = zx_text_add(&name, target, length);
    if (status == ZMLX_OK) status = zx_text_format(&path, "%s.partial", name.bytes);
    folder->target = name.bytes;
    folder->path = path.bytes;
    return status;
}

/* -------- the list -------- */

static zmlx_status add_file(zx_folder *folder, const zx_folder_file *file)
{
    ZX_TRY(zx_grow(&folder->files, &folder->capacity, folder->count + 1, sizeof *folder->files,
                   "list of whole files"));
    folder->files[folder->count++] = *file;
    return ZMLX_OK;
}

static zmlx_status write_list(zx_folder *folder)
{
    zx_text text = {0};
    zmlx_status status = zx_text_format(&text, "%s %016" PRIx64 "\n", list_head, folder->key);
    for (size_t i = 0; i < folder->count && status == ZMLX_OK; i++)
        status = zx_text_format(&text, "%s %016" PRIx64 " %" PRIu64 "\n", folder->files[i].name,
                                folder->files[i].sum, folder->files[i].bytes);
    if (status == ZMLX_OK) status = zx_folder_write(folder, list_name, text.bytes, text.length);
    zx_text_fini(&text);
    return status;
}

/* A number that ends a word, or a line. */
static bool read_number(const char *text, int base, uint64_t *number)
{
    char *end = NULL;
    if (text == NULL) return false;
    errno = 0;
    *number = strtoull(text, &end, base);
    return errno == 0 && end != text && *end == 0;
}

/* "NAME SUM BYTES" */
static bool read_line(char *line, zx_folder_file *file)
{
    char *rest = NULL;
    const char *name = strtok_r(line, " ", &rest);
    if (name == NULL || strlen(name) >= sizeof file->name) return false;
    memcpy(file->name, name, strlen(name) + 1);
    return read_number(strtok_r(NULL, " ", &rest), 16, &file->sum) &&
           read_number(strtok_r(NULL, " ", &rest), 10, &file->bytes);
}

/* A list of another key, or none that can be read, is no list. */
static zmlx_status read_list(zx_folder *folder)
{
    const size_t head = sizeof list_head - 1;
    zx_text path = {0};
    char *text = NULL, *line = NULL, *rest = NULL;
    size_t size = 0;
    uint64_t key = 0;
    zmlx_status status = path_of(folder, list_name, &path);
    if (status == ZMLX_OK && zx_path_exists(path.bytes))
        status = zx_file_read(path.bytes, MAX_LIST, &text, &size);
    zx_text_fini(&path);
    if (text != NULL) line = strtok_r(text, "\n", &rest);
    const bool ours = line != NULL && strncmp(line, list_head, head) == 0 && line[head] == ' ' &&
                      read_number(line + head + 1, 16, &key) && key == folder->key;
    while (ours && status == ZMLX_OK && (line = strtok_r(NULL, "\n", &rest)) != NULL) {
        zx_folder_file file = {0};
        if (read_line(line, &file)) status = add_file(folder, &file);
    }
    zx_free(text);
    return status;
}

static bool is_listed(const zx_folder *folder, const char *name)
{
    for (size_t i = 0; i < folder->count; i++)
        if (strcmp(folder->files[i].name, name) == 0) return true;
    return false;
}

/* Removes what the list does not name. */
static void sweep(const zx_folder *folder)
{
    DIR *directory = opendir(folder->path);
    if (directory == NULL) return;
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;)
        if (entry->d_name[0] != '.' && strcmp(entry->d_name, list_name) != 0 &&
            !is_listed(folder, entry->d_name))
            (void)unlinkat(folder->lock, entry->d_name, 0);
    (void)closedir(directory);
}

/* -------- opening -------- */

/* The folder may be left from an earlier call; a link in its place is not followed. */
static zmlx_status lock_folder(zx_folder *folder)
{
    if (mkdir(folder->path, 0777) != 0 && errno != EEXIST)
        return system_error(folder->path, "cannot make the folder");
    folder->lock = open(folder->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (folder->lock < 0) return system_error(folder->path, "cannot open the folder");
    folder->open = true;
    if (flock(folder->lock, LOCK_EX | LOCK_NB) == 0) return ZMLX_OK;
    const int error = errno;
    (void)close(folder->lock);
    folder->open = false;
    errno = error;
    if (error != EWOULDBLOCK) return system_error(folder->path, "cannot lock the folder");
    return ZX_FAIL(ZMLX_ERROR_IO, "%s: another call is writing it", folder->path);
}

/* Only a folder that we have made, or an empty one, is written to. */
static zmlx_status check_ours(const zx_folder *folder)
{
    zx_text path = {0};
    zmlx_status status = path_of(folder, list_name, &path);
    if (status == ZMLX_OK && !zx_path_exists(path.bytes) && !is_empty(folder->path))
        status = ZX_FAIL(ZMLX_ERROR_IO,
                         "%s: holds files but no %s, so it is not the work of an earlier call; "
                         "expected it to be empty or absent",
                         folder->path, list_name);
    zx_text_fini(&path);
    return status;
}

static void fini(zx_folder *folder)
{
    if (folder->open) (void)close(folder->lock);
    zx_free(folder->target);
    zx_free(folder->path);
    zx_free(folder->files);
    *folder = (zx_folder){0};
}

zmlx_status zx_folder_open(const char *target, uint64_t key, zx_folder *folder)
{
    *folder = (zx_folder){.key = key};
    zmlx_status status = make_names(target, folder);
    if (status == ZMLX_OK) status = check_target(folder->target);
    if (status == ZMLX_OK) status = lock_folder(folder);
    if (status == ZMLX_OK) status = check_ours(folder);
    if (status == ZMLX_OK) status = read_list(folder);
    if (status == ZMLX_OK) {
        sweep(folder);
        status = write_list(folder);
    }
    if (status != ZMLX_OK) fini(folder);
    return status;
}

/* -------- files -------- */

static zmlx_status sum_of(const zx_folder *folder, const char *name, uint64_t *sum, uint64_t *bytes)
{
    zx_text path = {0};
    zx_file file = {0};
    zmlx_status status = path_of(folder, name, &path);
    if (status == ZMLX_OK) status = zx_file_open(path.bytes, &file);
    if (status == ZMLX_OK) {
        *sum = zx_hash(file.data, file.size, 0);
        *bytes = file.size;
    }
    zx_file_close(&file);
    zx_text_fini(&path);
    return status;
}

bool zx_folder_has(const zx_folder *folder, const char *name)
{
    uint64_t sum = 0, bytes = 0;
    for (size_t i = 0; i < folder->count; i++) {
        const zx_folder_file *file = &folder->files[i];
        if (strcmp(file->name, name) != 0) continue;
        return sum_of(folder, name, &sum, &bytes) == ZMLX_OK && sum == file->sum &&
               bytes == file->bytes;
    }
    return false;
}

zmlx_status zx_folder_note(zx_folder *folder, const char *name)
{
    zx_folder_file file = {0};
    (void)snprintf(file.name, sizeof file.name, "%s", name);
    ZX_TRY(sum_of(folder, name, &file.sum, &file.bytes));
    for (size_t i = 0; i < folder->count; i++)
        if (strcmp(folder->files[i].name, name) == 0) folder->files[i] = file;
    if (!is_listed(folder, name)) ZX_TRY(add_file(folder, &file));
    return write_list(folder);
}

zmlx_status zx_folder_write(zx_folder *folder, const char *name, const char *bytes, size_t count)
{
    zx_text path = {0};
    zx_writer writer = {.descriptor = -1};
    zmlx_status status = path_of(folder, name, &path);
    if (status == ZMLX_OK) status = zx_writer_open(path.bytes, &writer);
    zx_text_fini(&path);
    if (status != ZMLX_OK) return status;
    status = zx_writer_add(&writer, bytes, count);
    if (status == ZMLX_OK) return zx_writer_commit(&writer);
    zx_writer_abandon(&writer);
    return status;
}

zmlx_status zx_folder_copy(zx_folder *folder, const char *name, const char *from)
{
    char *bytes = NULL;
    size_t size = 0;
    ZX_TRY(zx_file_read(from, ZX_FOLDER_MOST_COPIED, &bytes, &size));
    const zmlx_status status = zx_folder_write(folder, name, bytes, size);
    zx_free(bytes);
    return status;
}

/* -------- the end -------- */

zmlx_status zx_folder_finish(zx_folder *folder)
{
    zmlx_status status = check_target(folder->target);
    if (status == ZMLX_OK) {
        (void)fsync(folder->lock);
        /* an empty folder is replaced, one that has filled meanwhile is not */
        if (rename(folder->path, folder->target) != 0)
            status = system_error(folder->target, "cannot put the folder in place");
        else
            (void)unlinkat(folder->lock, list_name, 0);
    }
    if (status == ZMLX_OK) {
        zx_text above = {0};
        const int descriptor = folder_above(folder->target, &above) == ZMLX_OK
                                   ? open(above.bytes, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
                                   : -1;
        if (descriptor >= 0) {
            (void)fsync(descriptor);
            (void)close(descriptor);
        }
        zx_text_fini(&above);
    }
    if (status == ZMLX_OK)
        fini(folder);
    else
        zx_folder_leave(folder);
    return status;
}

void zx_folder_leave(zx_folder *folder)
{
    if (!folder->open) return;
    if (folder->count == 0) {
        sweep(folder);
        (void)unlinkat(folder->lock, list_name, 0);
        (void)rmdir(folder->path);
    }
    fini(folder);
}

size_t zx_free_bytes(const char *path)
{
    char above[PATH_MAX];
    struct statvfs about;
    const char *slash = strrchr(path, '/');
    const size_t length = slash == NULL ? 0 : (size_t)(slash - path) + 1;
    if (length >= sizeof above) return SIZE_MAX;
    memcpy(above, slash == NULL ? "." : path, slash == NULL ? 1 : length);
    above[slash == NULL ? 1 : length] = 0;
    if (statvfs(above, &about) != 0 || about.f_frsize == 0) return SIZE_MAX;
    const uintmax_t bytes = (uintmax_t)about.f_bavail * about.f_frsize;
    return bytes > SIZE_MAX ? SIZE_MAX : (size_t)bytes;
}
