/* plan.h - which of a repository's files are fetched: from the hub's answer about a revision to a
 * list of names, sizes and digests. */
#ifndef ZX_HUB_PLAN_H
#define ZX_HUB_PLAN_H

#include <stdbool.h>
#include <stddef.h>

#include "zmlx/status.h"

enum { ZX_PLAN_COMMIT = 40, ZX_PLAN_ETAG = 64 };

typedef struct zx_plan_file {
    char *name;                  /* below the snapshot; '/' between folders */
    size_t size;                 /* bytes */
    char etag[ZX_PLAN_ETAG + 1]; /* what its blob is called and what it must hash to: */
    bool large;                  /* SHA-256 of the bytes, else SHA-1 as git takes it */
} zx_plan_file;

typedef struct zx_plan { /* {0} is empty */
    char commit[ZX_PLAN_COMMIT + 1];
    zx_plan_file *files;
    size_t count, capacity, bytes;
} zx_plan;

/* Whether zmlx reads files of that name: safetensors, GGUF, JSON, templates, tokenizers' files. */
bool zx_plan_wants(const char *name);

/* Reads the answer to /api/models/REPO/revision/REV?blobs=true ('source' for messages).  'only' is
 * one file, or NULL for all that are wanted: not consolidated*.safetensors where the same weights
 * are there under the names that zmlx reads.  ZMLX_ERROR_FORMAT for what is not such an answer or
 * holds a name that leads outside; ZMLX_ERROR_ARGUMENT where 'only' is not there or not wanted, and
 * for several GGUF files of which none was chosen. */
ZMLX_MUST_CHECK zmlx_status zx_plan_make(const char *source, const char *json, size_t length,
                                         const char *only, zx_plan *plan);
void zx_plan_fini(zx_plan *plan);

#endif
