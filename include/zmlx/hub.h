/* hub.h - models from the Hugging Face hub, put into the cache that its own clients use.
 *
 * The variables of the huggingface_hub package hold here too: HF_ENDPOINT, HF_TOKEN,
 * HF_TOKEN_PATH, HF_HUB_DISABLE_IMPLICIT_TOKEN, HF_HOME, HF_HUB_CACHE, HF_HUB_OFFLINE,
 * TRANSFORMERS_OFFLINE, HF_HUB_ETAG_TIMEOUT, HF_HUB_DOWNLOAD_TIMEOUT, SSL_CERT_FILE and
 * SSL_CERT_DIR. */
#ifndef ZMLX_HUB_H
#define ZMLX_HUB_H

#include <stdbool.h>
#include <stddef.h>

#include "zmlx/status.h"
#include "zmlx/text.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct zmlx_pull_options { /* zero means the default */
    size_t jobs;                   /* files at once; default 4, at most 16 */
    bool (*stop)(void *user);      /* asked again and again, from any thread; true: leave off */
    void *user;
} zmlx_pull_options;

typedef struct zmlx_pull_result { /* {0} holds nothing */
    zmlx_string path;             /* of the snapshot's folder */
    char commit[41];              /* hexadecimal digits */
    size_t files, bytes;          /* of the snapshot, as far as it was asked for */
    size_t fetched_files;         /* of them the ones that were not in the cache */
    size_t fetched_bytes;         /* that came over the network */
    bool stopped;                 /* 'stop' said so: the snapshot is not complete */
} zmlx_pull_result;

/* Fetches "ORG/NAME[@REVISION][:FILE]": the files of the revision (default main) that zmlx reads
 * and the cache lacks, or FILE alone.  Each is checked against its digest before it takes its name;
 * one that was cut off is gone on with.  Reports its progress in bytes (zmlx_set_progress).
 * ZMLX_ERROR_ARGUMENT: no such name, file or kind of file, or several GGUF files and none chosen;
 * ZMLX_ERROR_IO: the network, the hub's refusal or the disk; ZMLX_ERROR_FORMAT: an answer that is
 * not what it should be, a digest among it; ZMLX_ERROR_UNSUPPORTED: built without libcurl. */
ZMLX_MUST_CHECK ZMLX_API zmlx_status zmlx_pull(const char *name, const zmlx_pull_options *options,
                                               zmlx_pull_result *result);
/* Frees what the result holds; {0} does nothing. */
ZMLX_API void zmlx_pull_result_free(zmlx_pull_result *result);

#ifdef __cplusplus
}
#endif
#endif
