/* model.h - a checkpoint that was opened and traced: weights (mapped, shared), config, graph.
 *
 * A model never changes after it was opened: any number of sessions, on any thread, may use it; it
 * must outlive them. */
#ifndef ZMLX_MODEL_H
#define ZMLX_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "zmlx/status.h"
#include "zmlx/text.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct zmlx_model zmlx_model;

typedef enum zmlx_dtype {
    ZMLX_DTYPE_DEFAULT = 0, /* what the checkpoint or the precision suggests */
    ZMLX_DTYPE_F32,
    ZMLX_DTYPE_F16,
    ZMLX_DTYPE_BF16,
} zmlx_dtype;

/* How quantized matrices are multiplied. */
typedef enum zmlx_precision {
    ZMLX_PRECISION_DEFAULT = 0, /* q16 */
    ZMLX_PRECISION_F32,         /* weights decoded, f32 arithmetic */
    ZMLX_PRECISION_Q16,         /* activations as 16-bit integers per group */
    ZMLX_PRECISION_Q8,          /* activations as 8-bit integers per group */
} zmlx_precision;

typedef struct zmlx_model_options { /* zero means the default */
    zmlx_dtype dtype;    /* of activations; default: the final norm's weight, f32 for GGUF */
    bool mlx_cpu_decode; /* decode affine weights as MLX's CPU build does */
} zmlx_model_options;

/* Opens an MLX or Hugging Face folder, a .gguf file, or "ORG/NAME[@REVISION][:FILE]", a name that
 * is looked for in the local Hugging Face cache where there is no such path.  Errors name the file
 * and the tensor, key or field; an unknown architecture is ZMLX_ERROR_UNSUPPORTED and the message
 * lists the known ones.  So is a tensor that the architecture does not read, unless it is known to
 * change nothing: that is logged. */
ZMLX_MUST_CHECK ZMLX_API zmlx_status zmlx_model_open(const char *path,
                                                     const zmlx_model_options *options,
                                                     zmlx_model **model);
ZMLX_API void zmlx_model_close(zmlx_model *model);

typedef struct zmlx_model_info { /* strings live as long as the model */
    const char *path;            /* of a name: where it lies */
    const char *architecture;    /* "LlamaForCausalLM" */
    zmlx_dtype dtype;            /* of activations */
    size_t layers, hidden_size, vocabulary, context_length;
    size_t parameters;
    size_t weight_bytes;    /* of all matrices and vectors */
    size_t bytes_per_token; /* of weights that one decoded token reads */
} zmlx_model_info;

ZMLX_API void zmlx_model_describe(const zmlx_model *model, zmlx_model_info *info);

typedef struct zmlx_graph_options { /* zero means the default */
    bool no_fuse;                   /* as traced */
    bool dot;                       /* Graphviz; default: text */
    zmlx_precision precision;
} zmlx_graph_options;

/* The model's graph, printed. */
ZMLX_MUST_CHECK ZMLX_API zmlx_status zmlx_model_print_graph(const zmlx_model *model,
                                                            const zmlx_graph_options *options,
                                                            zmlx_string *text);

/* What a model as above or a .safetensors file holds, judged from headers alone, as a JSON
 * object: architecture, parameters, bits_per_weight, tensors, memory, config, unusual. */
ZMLX_MUST_CHECK ZMLX_API zmlx_status zmlx_inspect(const char *path, zmlx_string *json);

#ifdef __cplusplus
}
#endif
#endif
