/* gguf_recurrent.h - of gguf_architectures.c's rows: families whose layers keep a state. */
#ifndef ZX_MODEL_GGUF_RECURRENT_H
#define ZX_MODEL_GGUF_RECURRENT_H

#include "model/gguf_architectures.h"

extern const zx_gguf_name zx_gguf_lfm2_top_names[], zx_gguf_lfm2_names[];
extern const zx_gguf_name zx_gguf_qwen_next_names[]; /* also of Qwen3.5 */

ZMLX_MUST_CHECK zmlx_status zx_gguf_finish_lfm2(const zx_gguf *gguf, const char *name,
                                                json_t *config);
ZMLX_MUST_CHECK zmlx_status zx_gguf_finish_lfm2_moe(const zx_gguf *gguf, const char *name,
                                                    json_t *config);
ZMLX_MUST_CHECK zmlx_status zx_gguf_finish_qwen_next(const zx_gguf *gguf, const char *name,
                                                     json_t *config);

#endif
