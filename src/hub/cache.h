/* cache.h - the Hugging Face cache as it lies on the disk: where it is, and what a name means in
 * it.
 *
 *     HF_HUB_CACHE/models--ORG--NAME/refs/REVISION            a commit's 40 hexadecimal digits
 *                                   /snapshots/COMMIT/FILE    a link to ../../blobs/ETAG
 *
 * Nothing here writes and nothing asks a network.  The variables are read at each call, in the
 * order and with the expansions of the huggingface_hub package, so that both see the same files. */
#ifndef ZX_HUB_CACHE_H
#define ZX_HUB_CACHE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"

/* "ORG/NAME[@REVISION][:FILE]", taken apart; the parts lie in the text that was parsed. */
typedef struct zx_hub_name {
    const char *repo, *revision, *file; /* revision and file: NULL where they are not given */
    size_t repo_length, revision_length, file_length;
} zx_hub_name;

/* Whether the text is a model's name by the hub's own rules: one or two parts of at most 96
 * letters, digits, '-', '_' and '.', none of them at an end of a part unless '_', no "--", no "..".
 */
bool zx_hub_parse(const char *text, zx_hub_name *name);

/* Whether a revision or a file's name is at most 255 bytes without control characters and
 * backslashes; zx_path_join refuses what leads outside. */
bool zx_hub_is_plain(const char *text, size_t length);

/* Whether the text is a commit's 40 hexadecimal digits. */
bool zx_hub_is_commit(const char *text, size_t length);

/* Appends a path with ~ and $NAME expanded. */
ZMLX_MUST_CHECK zmlx_status zx_hub_expand(const char *path, zx_text *text);
/* Appends HF_HOME or what stands for it: where the hub's clients keep all they have, tokens too. */
ZMLX_MUST_CHECK zmlx_status zx_hub_home(zx_text *text);

/* Appends CACHE/models--ORG--NAME; 'path' is empty before. */
ZMLX_MUST_CHECK zmlx_status zx_hub_repo_folder(const zx_hub_name *name, zx_text *path);

/* The cache's folder: HF_HUB_CACHE, else HUGGINGFACE_HUB_CACHE, else HF_HOME/hub, else
 * XDG_CACHE_HOME/huggingface/hub, else ~/.cache/huggingface/hub. */
ZMLX_MUST_CHECK zmlx_status zx_hub_folder(zx_text *folder);

/* What MODEL names, as a path for zx_free: a path that exists as it is; else a name's snapshot in
 * the cache, or in a snapshot without config.json its one .gguf file.  What is neither path nor
 * name is handed back as it is, for whoever opens it to complain about.  Errors (ZMLX_ERROR_IO) say
 * what was looked for and where; several .gguf files are listed. */
ZMLX_MUST_CHECK zmlx_status zx_hub_resolve(const char *model, char **path);

#endif
