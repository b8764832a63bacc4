/* blocks.h - which pages are free, who shares them, and which hold a known prefix.
 *
 * Every operation is O(1) except zx_blocks_create.  Free pages form a ring in the order in which
 * they will be taken: pages without a known content at its head, pages that still hold a prefix at
 * its tail, so the prefix that was let go longest ago is lost first.  A page with a known content
 * is never written.
 *
 *    take --> [ 7 | 3 | 12 | ... | 5 | 9 ] <-- let go (known)
 *               ^-- let go (unknown)
 *
 * Page 0 is never handed out, so that 0 can mean 'no page'. */
#ifndef ZX_KV_BLOCKS_H
#define ZX_KV_BLOCKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tensor/batch.h"
#include "zmlx/status.h"

typedef struct zx_blocks zx_blocks;

/* What zx_blocks_create takes for so many pages; ZMLX_ERROR_MEMORY where that exceeds the address
 * space. */
ZMLX_MUST_CHECK zmlx_status zx_blocks_bytes(size_t pages, size_t *bytes);

/* 'pages' counts page 0 too. */
ZMLX_MUST_CHECK zmlx_status zx_blocks_create(size_t pages, zx_blocks **blocks);
void zx_blocks_destroy(zx_blocks *blocks);

size_t zx_blocks_free_count(const zx_blocks *blocks);

/* Takes a page (reference count 1, content unknown), or returns 0 when none is free. */
int32_t zx_blocks_take(zx_blocks *blocks);
/* One more owner of a page that zx_blocks_find gave. */
void zx_blocks_share(zx_blocks *blocks, int32_t page);
/* One owner less.  Let the last page of a sequence go first. */
void zx_blocks_release(zx_blocks *blocks, int32_t page);

/* What a full page stands for: the page and how often it had been taken by then, so that a page
 * which was taken anew is never mistaken for what it held before.  {0}: the start of a sequence. */
typedef struct zx_prefix {
    int32_t page;
    uint32_t generation;
} zx_prefix;

/* Says that a full page holds these tokens after 'parent', in the namespace 'salt'; returns what
 * the longer prefix is known as.  Where another page of the same content is known already, it is
 * that one. */
zx_prefix zx_blocks_publish(zx_blocks *blocks, int32_t page, zx_prefix parent, uint64_t salt,
                            const int32_t tokens[ZX_PAGE_TOKENS]);
/* The page that holds these tokens after 'parent', or page 0; the tokens themselves are compared.
 */
zx_prefix zx_blocks_find(const zx_blocks *blocks, zx_prefix parent, uint64_t salt,
                         const int32_t tokens[ZX_PAGE_TOKENS]);

/* Forgets every known content; false, and nothing changes, while any page is in use. */
bool zx_blocks_forget(zx_blocks *blocks);

/* Checks every invariant; the message says which does not hold. */
ZMLX_MUST_CHECK zmlx_status zx_blocks_check(const zx_blocks *blocks);

#endif
