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

enum { ZX_MAX_LAYERS = 1024 };

/* What mixes the tokens of a layer; the words of config.json's "layer_types". */
typedef enum zx_layer_type {
    ZX_LAYER_FULL,    /* "full_attention" */
    ZX_LAYER_SLIDING, /* "sliding_attention": the last 'window' keys */
    ZX_LAYER_LINEAR,  /* "linear_attention" */
    ZX_LAYER_CONV,    /* "conv" */
    ZX_LAYER_TYPES,
} zx_layer_type;

extern const char *const zx_layer_type_names[ZX_LAYER_TYPES];

typedef struct zx_heads {
    size_t head_size, kv_heads;
} zx_heads;

/* The sizes and constants that the families share; filled from config.json by rows.  Where a
 * comment gives no default, 0 stands for absent. */
enum { ZX_MAX_SIZE = 1 << 24 }; /* of a width or a count in a config */

typedef struct zx_config {
    size_t hidden_size, intermediate_size, layers, heads, kv_heads, head_size, vocabulary;
    size_t context_length; /* the longest sequence the model was made for */
    size_t window;         /* of sliding layers; 0: none */
    size_t window_pattern; /* every so-manieth layer is a full one */
    uint8_t layer_types[ZX_MAX_LAYERS];
    zx_heads heads_of[ZX_LAYER_TYPES]; /* of layers of that type; 0: head_size and kv_heads */
    size_t shared_layers;              /* the last ones, that read the cache of an earlier one */
    size_t layer_input_size; /* Gemma 4: of the embedding that every layer adds; 0: none */
    size_t layer_vocabulary; /* of its table */
    bool keys_are_values;    /* Gemma 4: full layers have no projection of values */
    bool wide_shared;        /* Gemma 4: layers that share have twice the mlp */
    double norm_epsilon;
    bool tied; /* the head is the embedding's table */

    size_t experts, experts_per_token; /* 0: no layer has experts */
    size_t expert_size;                /* of their inner values; default intermediate_size */
    size_t shared_size;                /* of the expert that every token goes to */
    size_t shared_experts;             /* so many of expert_size together */
    size_t dense_layers;               /* LFM2-MoE: the first ones, that have no experts */
    bool normalize_weights;            /* by the sum of the chosen */
    double router_scale;               /* multiplies the weights */
    size_t groups, top_groups;         /* of experts; 0: none */

    double gate_limit, gate_alpha; /* of gpt-oss's clamped gating */

    size_t conv_taps; /* of recurrent layers' convolutions */
    size_t linear_key_heads, linear_value_heads, linear_key_size, linear_value_size;
    bool linear_heads_tiled; /* head h of the values reads head h % key heads of the keys */
    bool norms_shifted; /* the file's norms have the family's offset in their weights already */

    double attention_scale;       /* of the scores; default head_size^-0.5 */
    double attention_limit;       /* soft cap of the scores */
    double logit_limit;           /* soft cap of the logits */
    double logit_scale;           /* multiplies the logits */
    double logit_divisor;         /* divides them */
    double embedding_scale;       /* multiplies the embeddings */
    bool embedding_scale_rounded; /* into the activations' dtype first */
    double residual_scale;        /* multiplies what is added to the residual */
    double query_size;            /* attention_scale is query_size^-0.5 */
    double query_scale_beta;      /* Llama 4's scale of queries by their position */
    size_t query_scale_period;    /* grows after so many positions */
    zx_activation activation;     /* of the mlp and of the experts */

    /* MLA: heads read one latent row per token */
    size_t query_rank; /* 0: queries are projected at once */
    size_t latent_size, nope_size, rope_size, value_size;
} zx_config;

typedef enum zx_field_kind {
    ZX_FIELD_SIZE,
    ZX_FIELD_NUMBER,
    ZX_FIELD_BOOL,
    ZX_FIELD_ACTIVATION
} zx_field_kind;

typedef enum zx_config_need {
    ZX_OPTIONAL,
    ZX_REQUIRED,     /* with a fallback: but not in the text part of a config */
    ZX_NULL_IS_NONE, /* optional; null is 0, not the fallback */
} zx_config_need;

typedef struct zx_config_row {
    const char *key; /* "a|b": the first of these keys that is there */
    zx_field_kind kind;
    size_t offset; /* in zx_config */
    zx_config_need need;
    double fallback; /* where the key is absent or null */
} zx_config_row;

typedef struct zx_trace zx_trace; /* blocks.h */

/* Which norm a family's blocks have. */
typedef struct zx_norm {
    bool layernorm;
    float offset; /* added to the weight; files of llama.cpp have it in the weight already */
    bool wide;    /* see graph/ops.h */
} zx_norm;

/* The modules outside the layers, and what stands before a layer's number; NULL: the usual ones,
 * which are here in the comments. */
typedef struct zx_outer_names {
    const char *embedding; /* "model.embed_tokens" */
    const char *layers;    /* "model.layers" */
    const char *norm;      /* "model.norm" */
    const char *head;      /* "lm_head" */
} zx_outer_names;

struct zx_rope_settings;

typedef struct zx_family {
    const char *name;
    zx_norm norm;
    const char *architectures[4]; /* config.json's "architectures", NULL at the end */
    const char *model_types[4];   /* its "model_type", where no architecture is written */
    zx_outer_names names;
    zx_outer_names converted; /* as mlx-lm saves them; where its embedding is in the checkpoint */
    double rope_theta;        /* where a config has none; 0: 10000 */
    bool partial_rope;        /* a config may turn a share of the heads; else they turn whole */
    const zx_config_row *config; /* key NULL at the end */
    /* Checks what no row can, and fills what follows from other fields. */
    zmlx_status (*check)(const zx_checkpoint *checkpoint, zx_config *config);
    /* Changes what rope_config.h read for layers of that type; NULL: nothing. */
    zmlx_status (*adjust_rope)(const zx_checkpoint *checkpoint, const zx_config *config,
                               zx_layer_type type, struct zx_rope_settings *settings);
    /* Adds what all layers read besides x, the embeddings; NULL: nothing. */
    zmlx_status (*trace_inputs)(zx_trace *trace, zx_value x);
    /* Adds layer 'layer' to the graph: x in, x out. */
    zmlx_status (*trace_block)(zx_trace *trace, size_t layer, zx_value *x);
} zx_family;

extern const zx_family *const zx_families[]; /* NULL at the end */

/* The family of a config, or ZMLX_ERROR_UNSUPPORTED with the list of those there are. */
ZMLX_MUST_CHECK zmlx_status zx_family_find(const zx_checkpoint *checkpoint,
                                           const zx_family **family);

/* The family's names in this checkpoint, with the usual ones filled in. */
zx_outer_names zx_family_names(const zx_family *family, const zx_checkpoint *checkpoint);

/* The rope of layers of that type: what the config says, the family's theta where it says none, and
 * the family's changes.  Arrays lie in the arena. */
ZMLX_MUST_CHECK zmlx_status zx_family_rope(const zx_family *family, const zx_checkpoint *checkpoint,
                                           const zx_config *config, zx_layer_type type,
                                           zx_arena *arena, struct zx_rope_settings *settings);

/* Fills 'config' from the common rows and the family's own, which go before common ones for the
 * same field. */
ZMLX_MUST_CHECK zmlx_status zx_config_read(const zx_family *family, const zx_checkpoint *checkpoint,
                                           zx_config *config);

/* The heads of layers of a type. */
zx_heads zx_config_heads(const zx_config *config, zx_layer_type type);

/* Every layer slides where there is a window, whatever "layer_types" says. */
void zx_config_windows(zx_config *config);

/* Layers without a word of their own in "layer_types": every 'period'-th is full, the others are
 * of 'type'.  Nothing changes where the config has "layer_types". */
void zx_config_pattern(const zx_checkpoint *checkpoint, size_t period, zx_layer_type type,
                       zx_config *config);

/* "FILE: config key 'KEY' is VALUE; expected EXPECTED", the key as zx_checkpoint_key has it. */
zmlx_status zx_config_refuse(const zx_checkpoint *checkpoint, const char *key, size_t value,
                             const char *expected);
/* Fails unless every layer is of one of two types. */
ZMLX_MUST_CHECK zmlx_status zx_config_expect_types(const zx_checkpoint *checkpoint,
                                                   const zx_config *config, zx_layer_type a,
                                                   zx_layer_type b);
/* Fails where a key is there that says the model computes something this family does not. */
ZMLX_MUST_CHECK zmlx_status zx_config_refuse_true(const zx_checkpoint *checkpoint, const char *key);

#endif
