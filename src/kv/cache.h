/* cache.h - the keys and values of all sequences: a pool of pages, and each sequence's table of
 * them.  Where layers are recurrent also their states: a slot for each sequence, and snapshots.
 *
 * A sequence that begins like an earlier one starts with the earlier one's full pages; with
 * recurrent layers as far as the last of them that has a snapshot.  A step leaves a snapshot at the
 * last page that it completes.  That of a step of one token replaces the one before, so that a long
 * answer does not drive out what prompts have left. Pages and slots of unused capacity cost no
 * memory. */
#ifndef ZX_KV_CACHE_H
#define ZX_KV_CACHE_H

#include "kv/blocks.h"
#include "kv/states.h"
#include "tensor/batch.h"

typedef struct zx_cache {
    zx_kv_pages pages;
    zx_blocks *blocks;
    zx_states *states; /* NULL where no layer is recurrent */
    zx_kv_layer *layers;
    zx_state_layer *state_layers;
} zx_cache;

enum { ZX_STEP_SNAPSHOTS = 2 }; /* of one sequence */

typedef struct zx_sequence { /* {0} is no sequence */
    int32_t *tokens;         /* [capacity]; those whose keys and values are in the pages */
    int32_t *table;          /* [capacity / ZX_PAGE_TOKENS, rounded up] */
    size_t length, capacity; /* tokens */
    size_t page_count, published;
    zx_prefix prefix; /* what the published pages together are known as */
    uint64_t salt;
    size_t rope_length; /* for which the rope is meant, 0: the general one; engine/ropes.h */
    int32_t state;      /* its slot; 0: none yet */
    bool torn;          /* a step failed and left the state between two tokens */
    struct {
        size_t page; /* index in the table */
        int32_t slot;
    } snapshots[ZX_STEP_SNAPSHOTS]; /* that the step at hand is to leave */
    size_t snapshot_count;
    bool rolling;         /* the snapshot at hand is of a step of one token */
    int32_t rolling_page; /* the last page that has such a one of this sequence */
    int32_t rolling_slot; /* that snapshot, or 0 */
} zx_sequence;

/* What a cache is to hold.  Offsets of the layers are filled in by zx_cache_create. */
typedef struct zx_cache_size {
    size_t pages; /* page 0 counts */
    size_t slots; /* slot 0 counts; of no meaning without recurrent layers */
} zx_cache_size;

ZMLX_MUST_CHECK zmlx_status zx_cache_create(const zx_cache_layers *layers, zx_dtype dtype,
                                            const zx_cache_size *size, zx_cache *cache);
void zx_cache_destroy(zx_cache *cache);

/* The pages and slots as zx_cache_create would make them, without memory: for what is computed
 * before anything is taken.  Fails where their bytes exceed the address space. */
ZMLX_MUST_CHECK zmlx_status zx_cache_measure(const zx_cache_layers *layers, zx_dtype dtype,
                                             const zx_cache_size *size, zx_kv_pages *pages);

/* What zx_cache_create takes: pages, slots, and the tables that say what they are. */
ZMLX_MUST_CHECK zmlx_status zx_cache_bytes(const zx_cache_layers *layers, zx_dtype dtype,
                                           const zx_cache_size *size, size_t *bytes);

/* Slots for so many sequences and as many snapshots as take a quarter of the pages' memory, but at
 * least four; 0 where no layer is recurrent. */
ZMLX_MUST_CHECK zmlx_status zx_cache_usual_slots(const zx_cache_layers *layers, zx_dtype dtype,
                                                 size_t pages, size_t sequences, size_t *slots);

/* What zx_sequence_open takes. */
ZMLX_MUST_CHECK zmlx_status zx_sequence_bytes(size_t capacity, size_t *bytes);

/* Opens an empty sequence of at most 'capacity' tokens. */
ZMLX_MUST_CHECK zmlx_status zx_sequence_open(size_t capacity, uint64_t salt, zx_sequence *sequence);
void zx_sequence_close(zx_cache *cache, zx_sequence *sequence);

/* Takes over pages that hold a prefix of these ids, but not all of them: at least one token is left
 * to compute. The sequence must be empty; its length is then the number of tokens found. */
void zx_sequence_reuse(zx_cache *cache, zx_sequence *sequence, const int32_t *ids, size_t count);

/* Makes room for 'count' more tokens; ZMLX_ERROR_MEMORY, and nothing changes, where pages or states
 * run out. */
ZMLX_MUST_CHECK zmlx_status zx_sequence_reserve(zx_cache *cache, zx_sequence *sequence,
                                                size_t count);

/* Gives up reserved room beyond the sequence's tokens. */
void zx_sequence_trim(zx_cache *cache, zx_sequence *sequence);

/* Chooses which snapshots the next 'count' tokens leave, as far as slots are left; after all the
 * step's sequences have reserved their room. */
void zx_sequence_plan_snapshots(zx_cache *cache, zx_sequence *sequence, size_t count);

/* Says that a step has computed these tokens into the reserved room; full pages can be found from
 * now on. */
void zx_sequence_commit(zx_cache *cache, zx_sequence *sequence, const int32_t *ids, size_t count);

/* Says that a step with the sequence has failed: one with a state can only be closed. */
void zx_sequence_tear(zx_cache *cache, zx_sequence *sequence);

#endif
