/* config.h - reading JSON documents and their fields, with errors that name file, section and key.
 *
 * A getter leaves *value as it was where the key is absent or null: the caller's default. */
#ifndef ZX_MODEL_CONFIG_H
#define ZX_MODEL_CONFIG_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "zmlx/status.h"

typedef struct zx_document_options { /* zero means the default */
    bool large_integers; /* every number as a real: for tokenizer_config.json and its 10^30 */
    /* A key of the outermost object whose value is read as null: it is checked to be JSON, but no
     * tree is made of it. */
    const char *without;
} zx_document_options;

/* Reads a document that must be an object; json_decref is the caller's.  Refused are documents
 * over 32 MiB or 400,000 values, 64 levels deep, or with a key twice in an object. */
ZMLX_MUST_CHECK zmlx_status zx_document_open(const char *path, const zx_document_options *options,
                                             json_t **document);
/* The same for text in memory; 'name' stands in messages. */
ZMLX_MUST_CHECK zmlx_status zx_document_parse(const char *name, const char *text, size_t size,
                                              const zx_document_options *options,
                                              json_t **document);

typedef struct zx_fields {
    const char *file;     /* for messages */
    const char *section;  /* the key under which the object lies, or NULL */
    const json_t *object; /* NULL: every key is absent */
} zx_fields;

ZMLX_MUST_CHECK zmlx_status zx_fields_integer(const zx_fields *fields, const char *key,
                                              int64_t least, int64_t most, int64_t *value);
/* Finite, from 'least' to 'most'. */
ZMLX_MUST_CHECK zmlx_status zx_fields_number(const zx_fields *fields, const char *key, double least,
                                             double most, double *value);
ZMLX_MUST_CHECK zmlx_status zx_fields_bool(const zx_fields *fields, const char *key, bool *value);
/* The string lives as long as the document. */
ZMLX_MUST_CHECK zmlx_status zx_fields_string(const zx_fields *fields, const char *key,
                                             const char **value);
ZMLX_MUST_CHECK zmlx_status zx_fields_object(const zx_fields *fields, const char *key,
                                             zx_fields *value);
/* An array of numbers as f32, in the arena. */
ZMLX_MUST_CHECK zmlx_status zx_fields_numbers(const zx_fields *fields, const char *key,
                                              zx_arena *arena, const float **values, size_t *count);
/* One integer or an array of them ("eos_token_id"), in the arena. */
ZMLX_MUST_CHECK zmlx_status zx_fields_ids(const zx_fields *fields, const char *key, zx_arena *arena,
                                          int32_t **ids, size_t *count);

/* True where the key is there and not null. */
bool zx_fields_have(const zx_fields *fields, const char *key);
/* "FILE: config key 'SECTION.KEY' is what it is; expected EXPECTED" */
zmlx_status zx_fields_fail(const zx_fields *fields, const char *key, const char *expected);

#endif
