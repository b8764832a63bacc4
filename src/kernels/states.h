/* states.h - where the recurrent state of a sequence lies, and which tokens leave a snapshot. */
#ifndef ZX_KERNELS_STATES_H
#define ZX_KERNELS_STATES_H

#include <assert.h>

#include "kernels/kernels.h"

/* The op's part of a slot. */
static inline float *zx_state_of_slot(const zx_launch *launch, int32_t slot)
{
    const zx_state_slots *states = &launch->kv->states;
    const size_t layer = launch->attributes->state;
    assert(layer > 0 && layer <= states->layer_count);
    assert(slot > 0 && (size_t)slot < states->slot_count);
    return (float *)(void *)(states->memory + (size_t)(slot - 1) * states->slot_bytes +
                             states->layers[layer - 1].offset);
}

/* The op's state of a sequence, or NULL where the step begins it: the state is zeros. */
static inline const float *zx_state_before(const zx_launch *launch, size_t sequence)
{
    const zx_batch *batch = launch->batch;
    if (batch->positions[batch->token_start[sequence]] == 0) return NULL;
    return zx_state_of_slot(launch, batch->states[sequence]);
}

/* Where the state behind a token of the step is to be copied, or NULL. */
static inline float *zx_state_snapshot(const zx_launch *launch, size_t sequence, size_t token)
{
    const zx_batch *batch = launch->batch;
    const size_t end = (size_t)batch->positions[token] + 1;
    if (end % ZX_PAGE_TOKENS != 0) return NULL;
    const size_t page = (size_t)batch->page_start[sequence] + end / ZX_PAGE_TOKENS - 1;
    const int32_t slot = batch->snapshots[page];
    return slot != 0 ? zx_state_of_slot(launch, slot) : NULL;
}

#endif
