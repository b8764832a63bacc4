/* gguf_names.h - a GGUF file told as Hugging Face tells a model: config.json and tensor names. */
#ifndef ZX_MODEL_GGUF_NAMES_H
#define ZX_MODEL_GGUF_NAMES_H

#include <jansson.h>

#include "model/gguf.h"

enum { ZX_TENSOR_NAME = 320 };

/* "blk.3.attn_q.weight" -> "model.layers.3.self_attn.q_proj.weight"; a name without a row stays. */
void zx_gguf_to_hub_name(const char *name, char hub[ZX_TENSOR_NAME]);
/* The reverse; false where no row fits. */
bool zx_hub_to_gguf_name(const char *hub, char name[ZX_TENSOR_NAME]);

/* The config as config.json would hold it.  *interleaved: the rows of q and k are ordered so that
 * rope turns neighbours, (2i, 2i + 1). */
ZMLX_MUST_CHECK zmlx_status zx_gguf_config(const zx_gguf *gguf, json_t **config, bool *interleaved);

#endif
