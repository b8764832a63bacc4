/* batch.h - what one step of a plan is fed: tokens of several sequences, and the block tables that
 * say in which pages each sequence keeps its keys and values, and in which slot its recurrent
 * state.
 *
 *   tokens     | a0 a1 a2 | b0 | c0 c1 |      token_start = 0 3 4 6
 *   pages      | 7 2      | 5  | 9     |      page_start  = 0 2 3 4
 *
 * Positions inside a sequence are consecutive.  Page 0 and slot 0 are never handed out. */
#ifndef ZX_TENSOR_BATCH_H
#define ZX_TENSOR_BATCH_H

#include <stddef.h>
#include <stdint.h>

#include "tensor/dtype.h"

enum { ZX_PAGE_TOKENS = 64, ZX_SPAN_TILES = 8 }; /* a span of keys is 8 pages */

struct zx_rope_table; /* graph/rope.h */

typedef struct zx_batch {
    size_t tokens, sequences, sampled_rows;
    const int32_t *ids;         /* [tokens] */
    const int32_t *positions;   /* [tokens] */
    const int32_t *token_start; /* [sequences + 1] */
    const int32_t *page_start;  /* [sequences + 1] */
    const int32_t *pages;       /* [page_start[sequences]]; enough for every position of the step */
    const int32_t *sampled;     /* [sampled_rows]: the tokens whose logits are wanted, ascending */
    const struct zx_rope_table *ropes; /* NULL where no rope depends on a sequence's length */
    const int32_t *states;    /* [sequences]: their slots; NULL where no layer is recurrent */
    const int32_t *snapshots; /* beside 'pages': the slot that gets a copy of the state behind the
                               * page's last token, where the step computes it; 0: none */
} zx_batch;

/* The part of every page that belongs to one layer:
 *   keys   [kv_heads][key_size][ZX_PAGE_TOKENS]    dimension-major: the lanes are keys
 *   values [kv_heads][ZX_PAGE_TOKENS][value_size] */
typedef struct zx_kv_layer {
    size_t kv_heads, key_size, value_size;
    size_t keys_offset, values_offset; /* bytes from the start of a page */
} zx_kv_layer;

/* The part of every slot that belongs to one recurrent op: f32 values, whose order is the op's. A
 * sequence at position 0 begins with zeros, whatever its slot holds. */
typedef struct zx_state_layer {
    size_t values;
    size_t offset; /* bytes from the start of a slot */
} zx_state_layer;

typedef struct zx_state_slots { /* {0}: no layer is recurrent */
    uint8_t *memory;            /* slot 1 begins here */
    size_t slot_bytes, slot_count;
    size_t layer_count;
    const zx_state_layer *layers;
} zx_state_slots;

typedef struct zx_kv_pages {
    uint8_t *memory;
    size_t page_bytes, page_count;
    zx_dtype dtype; /* f32, f16 or bf16 */
    size_t layer_count;
    const zx_kv_layer *layers;
    zx_state_slots states;
} zx_kv_pages;

/* What a model's layers keep between steps; offsets need not be filled in. */
typedef struct zx_cache_layers {
    const zx_kv_layer *kv;
    size_t kv_count;
    const zx_state_layer *states;
    size_t state_count;
} zx_cache_layers;

#endif
