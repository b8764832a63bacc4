/* blocks.c - a ring of free pages by index, and a chained hash table inside the same array.
 *
 * A page's key is its content's hash chained with its parent's identity.  Since a parent page can
 * be taken and filled anew, its identity is (page, generation): a stale child can never be found.
 */
#include "kv/blocks.h"

#include <assert.h>
#include <string.h>

#include "base/checked.h"
#include "base/fail.h"
#include "base/hash.h"
#include "base/memory.h"

enum { NOT_LISTED = -1, NO_PAGE = 0 };

typedef struct block {
    int32_t previous, next; /* in the ring of free pages; NOT_LISTED while owned */
    int32_t owners;
    int32_t chain; /* next page of the same bucket, or NO_PAGE */
    bool known;    /* its content can be found */
    uint32_t generation;
    zx_prefix parent;
    uint64_t salt, hash;
    int32_t tokens[ZX_PAGE_TOKENS];
} block;

struct zx_blocks {
    block *pages; /* [count + 1]; pages[count] closes the ring */
    size_t count, free_count, bucket_count;
    int32_t *buckets;
};

zmlx_status zx_blocks_bytes(size_t pages, size_t *bytes)
{
    const size_t each = sizeof(block) + 2 * sizeof(int32_t); /* two buckets a page */
    if (!zx_multiply_fits(pages, each, bytes) ||
        !zx_add_fits(*bytes, sizeof(zx_blocks) + sizeof(block), bytes))
        return ZX_FAIL(ZMLX_ERROR_MEMORY, "a table of %zu pages exceeds the address space", pages);
    return ZMLX_OK;
}

zmlx_status zx_blocks_create(size_t pages, zx_blocks **blocks)
{
    void *memory = NULL;
    if (pages < 2 || pages > INT32_MAX)
        return ZX_FAIL(ZMLX_ERROR_ARGUMENT, "%zu pages; expected 2 to %d", pages, INT32_MAX);
    ZX_TRY(zx_alloc(sizeof(zx_blocks), "block table", &memory));
    zx_blocks *fresh = memory;
    fresh->count = pages;
    fresh->bucket_count = pages * 2;
    zmlx_status status = zx_alloc_array(pages + 1, sizeof(block), "blocks", &memory);
    if (status == ZMLX_OK) {
        fresh->pages = memory;
        status = zx_alloc_array(fresh->bucket_count, sizeof(int32_t), "block index", &memory);
    }
    if (status != ZMLX_OK) {
        zx_blocks_destroy(fresh);
        return status;
    }
    fresh->buckets = memory;
    const int32_t ring = (int32_t)pages;
    for (int32_t i = 1; i <= ring; i++) {
        fresh->pages[i].previous = i > 1 ? i - 1 : ring;
        fresh->pages[i].next = i < ring ? i + 1 : 1;
    }
    fresh->pages[0].previous = fresh->pages[0].next = NOT_LISTED;
    fresh->free_count = pages - 1;
    *blocks = fresh;
    return ZMLX_OK;
}

void zx_blocks_destroy(zx_blocks *blocks)
{
    if (blocks == NULL) return;
    zx_free(blocks->pages);
    zx_free(blocks->buckets);
    zx_free(blocks);
}

size_t zx_blocks_free_count(const zx_blocks *blocks)
{
    return blocks->free_count;
}

static void unlist(zx_blocks *blocks, int32_t page)
{
    block *b = &blocks->pages[page];
    assert(b->next != NOT_LISTED);
    blocks->pages[b->previous].next = b->next;
    blocks->pages[b->next].previous = b->previous;
    b->previous = b->next = NOT_LISTED;
    blocks->free_count--;
}

/* Puts the page into the ring after 'previous'. */
static void list_after(zx_blocks *blocks, int32_t previous, int32_t page)
{
    block *b = &blocks->pages[page];
    assert(b->next == NOT_LISTED && b->owners == 0);
    b->previous = previous;
    b->next = blocks->pages[previous].next;
    blocks->pages[b->next].previous = page;
    blocks->pages[previous].next = page;
    blocks->free_count++;
}

static void forget_page(zx_blocks *blocks, int32_t page)
{
    block *b = &blocks->pages[page];
    if (!b->known) return;
    int32_t *link = &blocks->buckets[b->hash % blocks->bucket_count];
    while (*link != page) link = &blocks->pages[*link].chain;
    *link = b->chain;
    b->chain = NO_PAGE;
    b->known = false;
}

int32_t zx_blocks_take(zx_blocks *blocks)
{
    if (blocks->free_count == 0) return NO_PAGE;
    const int32_t page = blocks->pages[blocks->count].next;
    unlist(blocks, page);
    forget_page(blocks, page);
    blocks->pages[page].owners = 1;
    blocks->pages[page].generation++;
    return page;
}

void zx_blocks_share(zx_blocks *blocks, int32_t page)
{
    assert(page > 0 && blocks->pages[page].known);
    if (blocks->pages[page].owners++ == 0) unlist(blocks, page);
}

void zx_blocks_release(zx_blocks *blocks, int32_t page)
{
    block *b = &blocks->pages[page];
    assert(page > 0 && b->owners > 0);
    if (--b->owners > 0) return;
    const int32_t ring = (int32_t)blocks->count;
    list_after(blocks, b->known ? blocks->pages[ring].previous : ring, page);
}

static uint64_t key_of(zx_prefix parent, uint64_t salt, const int32_t *tokens)
{
    const uint64_t origin[2] = {((uint64_t)(uint32_t)parent.page << 32) | parent.generation, salt};
    return zx_hash(tokens, ZX_PAGE_TOKENS * sizeof *tokens, zx_hash(origin, sizeof origin, 0));
}

static bool same_prefix(zx_prefix a, zx_prefix b)
{
    return a.page == b.page && a.generation == b.generation;
}

zx_prefix zx_blocks_find(const zx_blocks *blocks, zx_prefix parent, uint64_t salt,
                         const int32_t tokens[ZX_PAGE_TOKENS])
{
    const uint64_t hash = key_of(parent, salt, tokens);
    int32_t page = blocks->buckets[hash % blocks->bucket_count];
    for (; page != NO_PAGE; page = blocks->pages[page].chain) {
        const block *b = &blocks->pages[page];
        if (b->hash == hash && same_prefix(b->parent, parent) && b->salt == salt &&
            memcmp(b->tokens, tokens, sizeof b->tokens) == 0)
            return (zx_prefix){page, b->generation};
    }
    return (zx_prefix){0};
}

zx_prefix zx_blocks_publish(zx_blocks *blocks, int32_t page, zx_prefix parent, uint64_t salt,
                            const int32_t tokens[ZX_PAGE_TOKENS])
{
    block *b = &blocks->pages[page];
    assert(page > 0 && b->owners > 0);
    const zx_prefix twin = zx_blocks_find(blocks, parent, salt, tokens);
    if (twin.page != NO_PAGE) return twin;
    assert(!b->known);
    b->parent = parent;
    b->salt = salt;
    b->hash = key_of(parent, salt, tokens);
    memcpy(b->tokens, tokens, sizeof b->tokens);
    int32_t *bucket = &blocks->buckets[b->hash % blocks->bucket_count];
    b->chain = *bucket;
    *bucket = page;
    b->known = true;
    return (zx_prefix){page, b->generation};
}

bool zx_blocks_forget(zx_blocks *blocks)
{
    if (blocks->free_count != blocks->count - 1) return false;
    for (size_t page = 1; page < blocks->count; page++) forget_page(blocks, (int32_t)page);
    return true;
}

static zmlx_status check_ring(const zx_blocks *blocks)
{
    const int32_t ring = (int32_t)blocks->count;
    size_t seen = 0;
    int32_t previous = ring;
    for (int32_t page = blocks->pages[ring].next; page != ring; page = blocks->pages[page].next) {
        const block *b = &blocks->pages[page];
        if (page <= 0 || page > ring || b->previous != previous || b->owners != 0)
            return ZX_FAIL(ZMLX_ERROR_ARGUMENT, "free page %d is linked wrongly or owned", page);
        if (++seen > blocks->count) return ZX_FAIL(ZMLX_ERROR_ARGUMENT, "the ring does not close");
        previous = page;
    }
    if (seen != blocks->free_count)
        return ZX_FAIL(ZMLX_ERROR_ARGUMENT, "%zu pages are listed, %zu counted", seen,
                       blocks->free_count);
    return ZMLX_OK;
}

zmlx_status zx_blocks_check(const zx_blocks *blocks)
{
    ZX_TRY(check_ring(blocks));
    size_t known = 0, indexed = 0;
    for (size_t page = 1; page < blocks->count; page++) {
        const block *b = &blocks->pages[page];
        if ((b->owners == 0) != (b->next != NOT_LISTED))
            return ZX_FAIL(ZMLX_ERROR_ARGUMENT, "page %zu has %d owners and is%s listed", page,
                           b->owners, b->next == NOT_LISTED ? " not" : "");
        known += b->known ? 1 : 0;
    }
    for (size_t i = 0; i < blocks->bucket_count; i++)
        for (int32_t page = blocks->buckets[i]; page != NO_PAGE; page = blocks->pages[page].chain) {
            if (!blocks->pages[page].known || blocks->pages[page].hash % blocks->bucket_count != i)
                return ZX_FAIL(ZMLX_ERROR_ARGUMENT, "page %d is in the wrong bucket", page);
            indexed++;
        }
    if (known != indexed)
        return ZX_FAIL(ZMLX_ERROR_ARGUMENT, "%zu pages are known, %zu indexed", known, indexed);
    return ZMLX_OK;
}
