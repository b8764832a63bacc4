/* gguf_names.h - the tensors of a GGUF file by the names that Hugging Face has for them. */
#ifndef ZX_MODEL_GGUF_NAMES_H
#define ZX_MODEL_GGUF_NAMES_H

#include "model/gguf_architectures.h"

enum { ZX_TENSOR_NAME = 320 };

/* "blk.3.attn_q.weight" -> "model.layers.3.self_attn.q_proj.weight"; a name without a row stays.
 * 'architecture' may be NULL: only the usual names. */
void zx_gguf_to_hub_name(const zx_gguf_architecture *architecture, const char *name,
                         char hub[ZX_TENSOR_NAME]);
/* The reverse; false where no row fits. */
bool zx_hub_to_gguf_name(const zx_gguf_architecture *architecture, const char *hub,
                         char name[ZX_TENSOR_NAME]);

#endif
