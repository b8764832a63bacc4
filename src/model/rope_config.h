/* rope_config.h - the rotary embedding that a config describes, as frequencies.
 *
 * The formulas and their rounding to f32 are those of Hugging Face's transformers, from whose
 * frequencies models were trained. */
#ifndef ZX_MODEL_ROPE_CONFIG_H
#define ZX_MODEL_ROPE_CONFIG_H

#include "graph/rope.h"
#include "model/checkpoint.h"

typedef enum zx_rope_type {
    ZX_ROPE_DEFAULT,
    ZX_ROPE_LINEAR,
    ZX_ROPE_DYNAMIC,
    ZX_ROPE_LLAMA3,
    ZX_ROPE_YARN,
    ZX_ROPE_LONGROPE,
    ZX_ROPE_PROPORTIONAL, /* the first of a whole head's frequencies; the others are 0 */
} zx_rope_type;

typedef struct zx_rope_settings {
    zx_rope_type type;
    double theta;
    size_t dims;  /* of a head that turn */
    size_t turns; /* proportional: so many of the dims / 2 frequencies are not 0 */
    bool interleaved;
    double factor; /* 0: not written */
    double low_freq_factor, high_freq_factor;
    double beta_fast, beta_slow;
    double mscale, mscale_all_dim, attention_factor; /* 0: not written */
    bool truncate;
    double max_length, original_length; /* max_position_embeddings, and before it was extended */
    const float *long_factors, *short_factors; /* [dims / 2] */
    const float *divisors;                     /* [dims / 2] of the frequencies, or NULL */
    const char *file;                          /* for messages, or NULL */
} zx_rope_settings;

/* Reads "rope_parameters" (transformers 5) or "rope_scaling" and "rope_theta".  'layer_type' names
 * the object inside rope_parameters where layers differ ("sliding_attention"), else NULL. */
ZMLX_MUST_CHECK zmlx_status zx_rope_settings_read(const zx_fields *config, const char *layer_type,
                                                  size_t head_size, zx_arena *arena,
                                                  zx_rope_settings *settings);

/* The object that describes the rope: the one of the layer's type (unless that is NULL), else
 * "rope_scaling" where that says anything, else "rope_parameters".  Its object is NULL where the
 * config has none. */
ZMLX_MUST_CHECK zmlx_status zx_rope_object(const zx_fields *config, const char *layer_type,
                                           zx_fields *rope);

/* What 'max_position_embeddings' means as a context: dynamic stretches it by its factor. */
ZMLX_MUST_CHECK zmlx_status zx_rope_context(const zx_fields *config, size_t *length);

/* The frequencies for sequences of 'length' tokens (0: no longer than the original context); only
 * dynamic and longrope depend on it.  The table lies in the arena. */
ZMLX_MUST_CHECK zmlx_status zx_rope_build(const zx_rope_settings *settings, size_t length,
                                          zx_arena *arena, zx_rope *rope);

/* The rope of a graph: the frequencies of short sequences, and for dynamic and longrope how they
 * follow from the length.  The settings are copied; their arrays must live as long as the arena. */
ZMLX_MUST_CHECK zmlx_status zx_rope_create(const zx_rope_settings *settings, zx_arena *arena,
                                           zx_rope *rope);

/* zx_rope_settings_read for a checkpoint.  GGUF's rope_freqs.weight divides the frequencies; its
 * rope_factors_long.weight and _short.weight make the rope a longrope. */
ZMLX_MUST_CHECK zmlx_status zx_checkpoint_rope_settings(const zx_checkpoint *checkpoint,
                                                        const char *layer_type, size_t head_size,
                                                        zx_arena *arena,
                                                        zx_rope_settings *settings);

/* False where the config leaves theta of such layers to the family. */
bool zx_checkpoint_has_theta(const zx_checkpoint *checkpoint, const char *layer_type);

/* False where the config leaves to the family which share of the heads turns. */
bool zx_checkpoint_has_share(const zx_checkpoint *checkpoint);

/* Both in one, for a checkpoint whose layers are all alike. */
ZMLX_MUST_CHECK zmlx_status zx_checkpoint_rope(const zx_checkpoint *checkpoint, size_t head_size,
                                               zx_arena *arena, zx_rope *rope);

#endif
