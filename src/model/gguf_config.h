/* gguf_config.h - the metadata of a GGUF file told as config.json tells a model. */
#ifndef ZX_MODEL_GGUF_CONFIG_H
#define ZX_MODEL_GGUF_CONFIG_H

#include "model/gguf_architectures.h"

/* The config as config.json would hold it; 'architecture' is the file's row or NULL. */
ZMLX_MUST_CHECK zmlx_status zx_gguf_config(const zx_gguf *gguf,
                                           const zx_gguf_architecture *architecture,
                                           json_t **config);

#endif
