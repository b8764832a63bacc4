/* write_folder.h - a folder that appears whole or not at all, and whose making can be taken up
 * again.
 *
 * Until it is finished the files lie in "TARGET.partial" beside it, with a list of those that are
 * whole and their sums.  A later call with the same key finds them there; with another key it
 * begins anew. */
#ifndef ZX_MODEL_WRITE_FOLDER_H
#define ZX_MODEL_WRITE_FOLDER_H

#include <stdbool.h>

#include "base/text.h"

typedef struct zx_folder_file {
    char name[64];
    uint64_t sum, bytes;
} zx_folder_file;

typedef struct zx_folder { /* {0} is closed */
    char *target, *path;   /* path: where the files lie for now */
    int lock;              /* a descriptor of it, which keeps other calls away */
    bool open;
    uint64_t key;
    zx_folder_file *files; /* whole ones */
    size_t count, capacity;
} zx_folder;

/* Fails where the target exists and is no empty folder, where another call writes it, or where no
 * folder can be made beside it. */
ZMLX_MUST_CHECK zmlx_status zx_folder_open(const char *target, uint64_t key, zx_folder *folder);

/* True where an earlier call left that file whole: size and sum are as they were noted. */
bool zx_folder_has(const zx_folder *folder, const char *name);
/* Notes that the file, which was just written, is whole. */
ZMLX_MUST_CHECK zmlx_status zx_folder_note(zx_folder *folder, const char *name);
ZMLX_MUST_CHECK zmlx_status zx_folder_write(zx_folder *folder, const char *name, const char *bytes,
                                            size_t count);
/* A copy of the file 'from', which has at most ZX_FOLDER_MOST_COPIED bytes. */
enum { ZX_FOLDER_MOST_COPIED = 256 << 20 };
ZMLX_MUST_CHECK zmlx_status zx_folder_copy(zx_folder *folder, const char *name, const char *from);

/* Gives the folder its name.  Closes it, whatever comes of it. */
ZMLX_MUST_CHECK zmlx_status zx_folder_finish(zx_folder *folder);
/* Leaves what is whole for a later call, and nothing where no file is.  Does nothing to a closed
 * one. */
void zx_folder_leave(zx_folder *folder);

/* Bytes that can still be written where the path's folder lies; SIZE_MAX where nobody knows. */
size_t zx_free_bytes(const char *path);

#endif
