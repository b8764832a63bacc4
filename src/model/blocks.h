/* blocks.h - the parts that model families are traced from.
 *
 * Names of modules are relative to the module being traced and without ".weight". */
#ifndef ZX_MODEL_BLOCKS_H
#define ZX_MODEL_BLOCKS_H

#include "graph/rope.h"
#include "model/family.h"

enum { ZX_LAYER_STATES = 2 }; /* the most that a layer keeps */

struct zx_trace {
    const zx_checkpoint *checkpoint;
    const zx_family *family;
    const zx_config *config;
    zx_graph *graph; /* its arena holds the weights' descriptions and the rope tables too */
    zx_dtype dtype;  /* of activations */
    bool mlx_cpu_decode;
    const zx_rope *ropes;            /* [ZX_LAYER_TYPES]; those of layers that attend */
    zx_value caches[ZX_LAYER_TYPES]; /* of the last layer of that type with one of its own */
    zx_value layer_inputs;           /* [T, layers * layer_input_size]: of trace_inputs */
    size_t kv_layer_count;
    zx_kv_layer *kv_layers; /* [config->layers] */
    size_t state_layer_count;
    zx_state_layer *state_layers;    /* [ZX_LAYER_STATES * config->layers] */
    size_t parameters, weight_bytes; /* of all weights traced so far */
};

/* Nodes and names from now on belong to the module 'name' of the present one; 'outer' is to be
 * given to zx_block_leave. */
ZMLX_MUST_CHECK zmlx_status zx_block_enter(zx_trace *trace, const char *name, const char **outer);
void zx_block_leave(zx_trace *trace, const char *outer);

/* The name of the module 'name' of the present one, "PATH.NAME". */
enum { ZX_MODULE_NAME = 256 };
void zx_block_name(const zx_trace *trace, const char *name, char text[ZX_MODULE_NAME]);
/* A node for a weight of that full name, which is counted. */
ZMLX_MUST_CHECK zmlx_status zx_block_weight(zx_trace *trace, const char *name,
                                            const zx_weight *weight, zx_value *value);

/* The weight nodes of a module: a matrix with its bias, or a vector. */
ZMLX_MUST_CHECK zmlx_status zx_block_matrix(zx_trace *trace, const char *name, size_t rows,
                                            size_t columns, zx_value *weight);
ZMLX_MUST_CHECK zmlx_status zx_block_vector(zx_trace *trace, const char *name, size_t columns,
                                            zx_value *weight);

/* As many matrices of one shape, a head's behind another's: a tensor of three dimensions. */
ZMLX_MUST_CHECK zmlx_status zx_block_matrices(zx_trace *trace, const char *name, size_t count,
                                              size_t rows, size_t columns, zx_value *weight);

/* y = x W^T (+ bias), W [rows, columns of x]. */
ZMLX_MUST_CHECK zmlx_status zx_block_linear(zx_trace *trace, zx_value x, const char *name,
                                            size_t rows, zx_value *y);
/* The same with some rows of a matrix that has 'all'. */
typedef struct zx_row_range {
    size_t all, first, count;
} zx_row_range;
ZMLX_MUST_CHECK zmlx_status zx_block_linear_part(zx_trace *trace, zx_value x, const char *name,
                                                 zx_row_range rows, zx_value *y);

/* Whether the checkpoint has the weight of this module of the one that is traced. */
bool zx_block_has(const zx_trace *trace, const char *name);

/* The family's norm of x. */
ZMLX_MUST_CHECK zmlx_status zx_block_norm(zx_trace *trace, zx_value x, const char *name,
                                          zx_value *y);
/* rmsnorm with a weight and an epsilon of its own, whatever the family's norm. */
ZMLX_MUST_CHECK zmlx_status zx_block_rmsnorm(zx_trace *trace, zx_value x, const char *name,
                                             double epsilon, zx_value *y);
/* The family's norm of every run of head_size columns. */
ZMLX_MUST_CHECK zmlx_status zx_block_head_norm(zx_trace *trace, zx_value x, const char *name,
                                               size_t head_size, zx_value *y);

/* The weight of a norm that has none: a vector of ones, which is not counted. */
ZMLX_MUST_CHECK zmlx_status zx_block_ones(zx_trace *trace, size_t columns, zx_value *weight);

ZMLX_MUST_CHECK zmlx_status zx_block_add(zx_trace *trace, zx_value a, zx_value b, zx_value *y);
/* y = activation(x) */
ZMLX_MUST_CHECK zmlx_status zx_block_activation(zx_trace *trace, zx_value x,
                                                zx_activation activation, zx_value *y);
/* The part [first, first + size) of every run of 'head_size' columns. */
ZMLX_MUST_CHECK zmlx_status zx_block_columns(zx_trace *trace, zx_value x, size_t head_size,
                                             size_t first, size_t size, zx_value *y);
/* x * scale; x itself where the scale is 0 (not set) or 1. */
ZMLX_MUST_CHECK zmlx_status zx_block_scale(zx_trace *trace, zx_value x, double scale, zx_value *y);
/* x + residual_scale * part */
ZMLX_MUST_CHECK zmlx_status zx_block_residual(zx_trace *trace, zx_value part, zx_value *x);

/* Self-attention with grouped heads; zx_attention_usual is what most families have. */
typedef struct zx_attention {
    const char *module; /* "self_attn" */
    const char *query, *key, *value, *output;
    const char *together;              /* one matrix of queries, keys, values; or NULL */
    const char *query_norm, *key_norm; /* NULL: none */
    bool whole_norm;                   /* of all heads as one row (OLMo) */
    bool gated;                        /* behind every head's queries stands a gate: the output is
                                        * multiplied by its sigmoid (Qwen3-Next) */
    const char *sinks;                 /* a vector, or NULL */
    bool keys_are_values;              /* no projection of values; they have the keys' */
    bool value_norm;                   /* an rmsnorm of every head of the values, without weight */
    bool shares_cache;                 /* of the last layer of this type: no keys and values */
    const zx_rope *rope;               /* NULL: none */
    size_t window;                     /* 0: all earlier keys */
    zx_layer_type type;
    zx_heads heads;
} zx_attention;

zx_attention zx_attention_usual(const zx_trace *trace, size_t layer);
ZMLX_MUST_CHECK zmlx_status zx_block_attention(zx_trace *trace, zx_value x,
                                               const zx_attention *attention, zx_value *y);

/* Rope (may be NULL), cache and attention between the projections; qkv are queries, keys and values
 * as attention->heads says, the last two unused where the cache is shared. */
ZMLX_MUST_CHECK zmlx_status zx_block_attend(zx_trace *trace, const zx_value qkv[3],
                                            const zx_attention *attention, zx_value *y);

/* down(activation(gate x) * up x), the config's activation, of a module with gate_proj, up_proj and
 * down_proj. */
ZMLX_MUST_CHECK zmlx_status zx_block_glu(zx_trace *trace, zx_value x, const char *module,
                                         size_t size, zx_value *y);
/* The same over one matrix gate_up_proj of 2 * size rows. */
ZMLX_MUST_CHECK zmlx_status zx_block_glu_together(zx_trace *trace, zx_value x, const char *module,
                                                  size_t size, zx_value *y);
/* down(activation(up x)) of the module "mlp", the config's activation: an mlp without gate. */
ZMLX_MUST_CHECK zmlx_status zx_block_mlp(zx_trace *trace, zx_value x, const char *up,
                                         const char *down, zx_value *y);
/* activation(gate) * up */
ZMLX_MUST_CHECK zmlx_status zx_block_gate(zx_trace *trace, zx_value gate, zx_value up,
                                          zx_activation activation, zx_value *y);

/* The rows of a table at the tokens' ids, times a scale: [T, columns]. */
typedef struct zx_embedding {
    const char *name;
    size_t rows, columns;
    double scale; /* 0: none */
} zx_embedding;
ZMLX_MUST_CHECK zmlx_status zx_block_embed(zx_trace *trace, const zx_embedding *table, zx_value *y);

/* The whole model: embed, the family's blocks, head. */
ZMLX_MUST_CHECK zmlx_status zx_trace_model(zx_trace *trace);

#endif
