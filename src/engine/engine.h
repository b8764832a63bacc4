/* engine.h - a traced graph made runnable: fused, planned, with threads and a cache of keys, values
 * and recurrent states.
 *
 * One thread uses an engine at a time. */
#ifndef ZX_ENGINE_ENGINE_H
#define ZX_ENGINE_ENGINE_H

#include "engine/options.h"
#include "kv/cache.h"

typedef struct zx_engine zx_engine;

/* 'traced' is copied (its weights are shared and must outlive the engine). */
ZMLX_MUST_CHECK zmlx_status zx_engine_create(const zx_graph *traced, const zx_cache_layers *layers,
                                             const zx_engine_options *options, zx_engine **engine);
void zx_engine_destroy(zx_engine *engine);

/* What zx_engine_create would take for activations, scratch and a batch, in bytes; starts no
 * thread. */
ZMLX_MUST_CHECK zmlx_status zx_engine_activation_bytes(const zx_graph *traced,
                                                       const zx_cache_layers *layers,
                                                       const zx_engine_options *options,
                                                       size_t *bytes);

/* What its cache would take, in bytes. */
ZMLX_MUST_CHECK zmlx_status zx_engine_cache_bytes(const zx_cache_layers *layers,
                                                  const zx_engine_options *options, size_t *bytes);

/* Opens an empty sequence of at most 'capacity' tokens.  Where the model's rope depends on the
 * length it is that for 'length' tokens as long as the sequence lives, and prefixes are shared only
 * with sequences of the same rope.  (zx_sequence_open alone: the rope of short sequences.) */
ZMLX_MUST_CHECK zmlx_status zx_engine_open_sequence(zx_engine *engine, size_t capacity,
                                                    size_t length, zx_sequence *sequence);

typedef struct zx_feed { /* one sequence's part of a step */
    zx_sequence *sequence;
    const int32_t *ids;
    size_t count;   /* tokens to compute, at least 1 */
    size_t sampled; /* of how many of the last of them the logits are wanted */
} zx_feed;

/* Computes one step over 'count' different sequences.  Room in the cache is reserved, and given up
 * again when that fails for any of them; nothing is computed then.  Allocates nothing.  Where a
 * kernel fails, sequences with recurrent state can only be closed. */
ZMLX_MUST_CHECK zmlx_status zx_engine_step(zx_engine *engine, const zx_feed feeds[], size_t count);

/* Row 'row' of the last step's logits as f32 [vocabulary]; the rows are those sampled, in order.
 * Valid until the next step or the next call for a 16-bit model. */
const float *zx_engine_logits(zx_engine *engine, size_t row);
size_t zx_engine_vocabulary(const zx_engine *engine);

/* What the engine took for activations, scratch and a batch, in bytes. */
size_t zx_engine_activations(const zx_engine *engine);

zx_cache *zx_engine_cache(zx_engine *engine);
/* The plan of the last step; before the first, that of steps of one token. */
zx_plan *zx_engine_plan(zx_engine *engine);
const zx_engine_options *zx_engine_settings(const zx_engine *engine);

#endif
