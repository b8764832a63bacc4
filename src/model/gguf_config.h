/* gguf_config.h - the metadata of a GGUF file told as config.json tells a model. */
#ifndef ZX_MODEL_GGUF_CONFIG_H
#define ZX_MODEL_GGUF_CONFIG_H

#include "model/gguf_architectures.h"

/* The config as config.json would hold it; 'architecture' is the file's row or NULL. */
ZMLX_MUST_CHECK zmlx_status zx_gguf_config(const zx_gguf *gguf,
                                           const zx_gguf_architecture *architecture,
                                           json_t **config);

/* The file's own key ("llama.block_count") that config.json's key was made from; false where it is
 * none of those that are told by a row. */
bool zx_gguf_config_key(const zx_gguf *gguf, const char *hub, char key[ZX_GGUF_KEY]);

#endif
