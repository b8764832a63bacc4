/* trie.h - finds which of many texts begin at a place, one byte at a time. */
#ifndef ZX_TEXT_TRIE_H
#define ZX_TEXT_TRIE_H

#include "text/tokenizer.h"

enum { ZX_TRIE_ROOT = 0, ZX_TRIE_NONE = -1 };

typedef struct zx_trie { /* {0} is empty */
    uint64_t *slots;     /* (node, byte) in the upper half, the child in the lower; 0 is free */
    size_t slot_count;   /* a power of two */
    int32_t *values;     /* by node; ZX_TRIE_NONE where no text ends; NULL while empty */
    size_t node_count, capacity;
    uint32_t root[256]; /* the root's children, 0 for none */
} zx_trie;

void zx_trie_fini(zx_trie *trie);
/* Adds a text that is not empty; one that is there keeps its value unless 'replace'. */
ZMLX_MUST_CHECK zmlx_status zx_trie_add(zx_trie *trie, const char *bytes, size_t length,
                                        int32_t value, bool replace);
/* The child of a node, or 0. */
uint32_t zx_trie_step(const zx_trie *trie, uint32_t node, unsigned char byte);
/* The longest text that begins here: its value and *length, or ZX_TRIE_NONE. */
int32_t zx_trie_longest(const zx_trie *trie, const char *bytes, size_t count, size_t *length);

#endif
