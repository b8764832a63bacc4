/* states.h - which slots of recurrent state are free, which belong to a sequence, and which are
 * snapshots: what the state was behind the last token of a page.
 *
 * Every operation but zx_states_create is O(1).  Slots without an owner form a ring in the order in
 * which they will be taken: free ones at its head, then snapshots, the one used longest ago first.
 *
 *    take --> [ 4 | 7 | (2: page 9) | ... | (5: page 3) ] <-- kept or used just now
 *
 * Slot 0 is never handed out, so that 0 can mean 'no slot'. */
#ifndef ZX_KV_STATES_H
#define ZX_KV_STATES_H

#include <stddef.h>
#include <stdint.h>

#include "zmlx/status.h"

typedef struct zx_states zx_states;

/* What zx_states_create takes; ZMLX_ERROR_MEMORY where that exceeds the address space. */
ZMLX_MUST_CHECK zmlx_status zx_states_bytes(size_t slots, size_t pages, size_t *bytes);

/* 'slots' counts slot 0, 'pages' page 0. */
ZMLX_MUST_CHECK zmlx_status zx_states_create(size_t slots, size_t pages, zx_states **states);
void zx_states_destroy(zx_states *states);

/* Takes a slot (a snapshot is lost where none is free), or returns 0 when all have owners. */
int32_t zx_states_take(zx_states *states);
/* Gives a taken slot back. */
void zx_states_release(zx_states *states, int32_t slot);

/* Makes a taken slot the page's snapshot; gives it back where the page has one already. */
void zx_states_keep(zx_states *states, int32_t slot, int32_t page);
/* The page's snapshot, or 0. */
int32_t zx_states_find(const zx_states *states, int32_t page);
/* The page's snapshot was of use: it is the last to be lost. */
void zx_states_touch(zx_states *states, int32_t page);
/* The page has no snapshot any more, if it had one. */
void zx_states_forget(zx_states *states, int32_t page);

/* As zx_states_keep, of a step of one token: the snapshot lasts until its sequence leaves the next.
 * Returns the slot, or 0 where the page has a snapshot already. */
int32_t zx_states_roll(zx_states *states, int32_t slot, int32_t page);
/* Gives up what zx_states_roll returned for the page, unless that was lost, or zx_states_keep has
 * since been asked for the same snapshot. */
void zx_states_replace(zx_states *states, int32_t slot, int32_t page);

/* Slots without an owner, snapshots included. */
size_t zx_states_left(const zx_states *states);

/* Checks every invariant; the message says which does not hold. */
ZMLX_MUST_CHECK zmlx_status zx_states_check(const zx_states *states);

#endif
