/* leftover.h - the tensors of a checkpoint that nothing read. */
#ifndef ZX_MODEL_LEFTOVER_H
#define ZX_MODEL_LEFTOVER_H

#include "model/family.h"

/* Fails, naming the first few and how many there are, where a tensor was not asked for while the
 * model was traced and no row says that it changes no logits.  Those with a row are logged, one
 * line per reason. */
ZMLX_MUST_CHECK zmlx_status zx_check_leftover(const zx_checkpoint *checkpoint,
                                              const zx_config *config);

#endif
