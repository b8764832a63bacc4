/* family.h - what a model family is: names, config rows, and how one layer is traced.
 *
 * Adding one is a file in families/ and a row in families.c.  A trace builds the graph from the
 * shared blocks of blocks.h and touches no weights beyond their shapes. */
#ifndef ZX_MODEL_FAMILY_H
#define ZX_MODEL_FAMILY_H

#include <jansson.h>

#include "graph/graph.h"
#include "model/checkpoint.h"
#include "tensor/batch.h"

/* The sizes and constants that the families share; filled from config.json by rows. */
typedef struct zx_config {
    size_t hidden_size, intermediate_size, layers, heads, kv_heads, head_size, vocabulary;
    size_t context_length; /* the longest sequence the model was made for */
    size_t window;         /* 0: none */
    double norm_epsilon;
    bool tied; /* the head is the embedding's table */
} zx_config;

typedef enum zx_field_kind { ZX_FIELD_SIZE, ZX_FIELD_NUMBER, ZX_FIELD_BOOL } zx_field_kind;

typedef struct zx_config_row {
    const char *key;
    zx_field_kind kind;
    size_t offset; /* in zx_config */
    bool required;
    double fallback; /* where the key is absent or null */
} zx_config_row;

typedef struct zx_trace zx_trace; /* blocks.h */

typedef struct zx_family {
    const char *name;
    const char *architectures[4]; /* config.json's "architectures", NULL at the end */
    const char *model_types[4];   /* its "model_type", where no architecture is written */
    const zx_config_row *config;  /* key NULL at the end; read after the common rows */
    /* Checks what no row can, and fills what follows from other fields. */
    zmlx_status (*check)(const zx_checkpoint *checkpoint, zx_config *config);
    /* Adds layer 'layer' to the graph: x in, x out. */
    zmlx_status (*trace_block)(zx_trace *trace, size_t layer, zx_value *x);
} zx_family;

extern const zx_family *const zx_families[]; /* NULL at the end */

/* The family of a config, or ZMLX_ERROR_UNSUPPORTED with the list of those there are. */
ZMLX_MUST_CHECK zmlx_status zx_family_find(const zx_checkpoint *checkpoint,
                                           const zx_family **family);

/* Fills 'config' from the common rows and the family's own. */
ZMLX_MUST_CHECK zmlx_status zx_config_read(const zx_family *family, const zx_checkpoint *checkpoint,
                                           zx_config *config);

#endif
