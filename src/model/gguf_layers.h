/* gguf_layers.h - metadata with an element for each of a file's blocks. */
#ifndef ZX_MODEL_GGUF_LAYERS_H
#define ZX_MODEL_GGUF_LAYERS_H

#include "model/gguf_architectures.h"

enum { ZX_GGUF_MOST_LAYERS = 1024 };

/* Fails, naming the key, unless the value is a list of numbers or truths, one for each block of
 * "ARCHITECTURE.block_count"; 'expected' says of what in the message. */
ZMLX_MUST_CHECK zmlx_status zx_gguf_check_list(const zx_gguf *gguf, const zx_gguf_value *value,
                                               const char *expected);

/* Sets the config's "layer_types" from the list "NAME.WORD": words[1] where an element is not 0,
 * else words[0].  Blocks behind the config's layers are left out. */
ZMLX_MUST_CHECK zmlx_status zx_gguf_set_layer_types(const zx_gguf *gguf, const char *name,
                                                    const char *word, const char *const words[2],
                                                    json_t *config);

/* What a key of the config, which "NAME.WORD" has filled, holds for the layers of a type. */
typedef struct zx_gguf_layers {
    const char *word, *key, *type;
} zx_gguf_layers;

/* The element that all these layers have in a list; the number itself where it is one for all, 0
 * where no layer is of the type.  Fails, naming the metadata key, where two of them differ or one
 * is 0. */
ZMLX_MUST_CHECK zmlx_status zx_gguf_layers_value(const zx_gguf *gguf, const char *name,
                                                 const json_t *config, const zx_gguf_layers *layers,
                                                 json_int_t *value);

#endif
