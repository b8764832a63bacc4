/* leftover.h - the tensors of a checkpoint that nothing read. */
#ifndef ZX_MODEL_LEFTOVER_H
#define ZX_MODEL_LEFTOVER_H

#include "model/family.h"

/* Fails, naming the first few and how many there are, where a tensor was not asked for while the
 * model was traced and no row says that it changes no logits.  Those with a row are logged, one
 * line per reason. */
ZMLX_MUST_CHECK zmlx_status zx_check_leftover(const zx_checkpoint *checkpoint,
                                              const zx_config *config);

/* Which tensors a row knows to change no logits: those that only bear on inputs, outputs or layers
 * that are not computed.  'words' is filled once, for zx_is_leftover. */
typedef struct zx_leftover_words {
    bool tied;
    size_t layers, extra_layers; /* extra ones predict further tokens */
    size_t shared_layers;        /* the last ones, that read an earlier one's cache */
    bool foreign;                /* of another quantizer */
} zx_leftover_words;

ZMLX_MUST_CHECK zmlx_status zx_leftover_words_of(const zx_checkpoint *checkpoint,
                                                 const zx_config *config, zx_leftover_words *words);
bool zx_is_leftover(const zx_stored_tensor *tensor, const zx_leftover_words *words);

#endif
