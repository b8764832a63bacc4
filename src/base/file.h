/* file.h - files as memory: mapped read-only, read whole, or written atomically.
 *
 * Errors name the path and the system's reason (ZMLX_ERROR_IO). */
#ifndef ZX_BASE_FILE_H
#define ZX_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "zmlx/status.h"

typedef struct zx_file { /* {0} is a valid closed file */
    const uint8_t *data; /* mapped read-only; NULL for an empty file */
    size_t size;
    char *path;
} zx_file;

/* Maps a regular file; a directory, a missing or an unreadable one is an error. */
ZMLX_MUST_CHECK zmlx_status zx_file_open(const char *path, zx_file *file);
void zx_file_close(zx_file *file);

/* Reads a whole file of at most 'limit' bytes into a block for zx_free; a NUL follows the
 * last byte and is not counted.  The path "-" reads standard input. */
ZMLX_MUST_CHECK zmlx_status zx_file_read(const char *path, size_t limit, char **text, size_t *size);

bool zx_path_is_directory(const char *path);
bool zx_path_exists(const char *path);

/* Makes every folder on the way to a file that is missing. */
ZMLX_MUST_CHECK zmlx_status zx_path_make_folders(const char *path);

/* 'folder/name' in a block for zx_free.  A name that is absolute or holds a ".." part is
 * refused (ZMLX_ERROR_FORMAT): an index file may not point outside its folder. */
ZMLX_MUST_CHECK zmlx_status zx_path_join(const char *folder, const char *name, char **joined);

/* A file written under a temporary name in the same folder and renamed by commit. */
typedef struct zx_writer {
    int descriptor; /* -1 when closed */
    char *path, *temporary;
    size_t written;
    bool unsynced; /* set it where a file that a power failure tore does no harm */
} zx_writer;

ZMLX_MUST_CHECK zmlx_status zx_writer_open(const char *path, zx_writer *writer);
ZMLX_MUST_CHECK zmlx_status zx_writer_add(zx_writer *writer, const void *bytes, size_t count);
/* Writes at 'offset' from the file's start; what zx_writer_add writes goes on where it was. */
ZMLX_MUST_CHECK zmlx_status zx_writer_put(zx_writer *writer, size_t offset, const void *bytes,
                                          size_t count);
/* Flushes and renames; on failure the temporary file is removed.  Closes the writer. */
ZMLX_MUST_CHECK zmlx_status zx_writer_commit(zx_writer *writer);
/* Removes the temporary file; a committed or closed writer is left alone. */
void zx_writer_abandon(zx_writer *writer);

#endif
