/* trie.c - edges in one hash table.
 *
 * Building needs no sorting and no list of children, and a step costs one look-up; a vocabulary
 * of 250,000 tokens makes about a million edges of 8 bytes. */
#include "text/trie.h"

#include "base/fail.h"
#include "base/memory.h"

enum { MAX_NODES = 1 << 24 };

void zx_trie_fini(zx_trie *trie)
{
    zx_free(trie->slots);
    zx_free(trie->values);
    *trie = (zx_trie){0};
}

static size_t home(uint32_t key, size_t slot_count)
{
    return (size_t)((key * 0x9E3779B97F4A7C15u) >> 32) & (slot_count - 1);
}

static zmlx_status grow_slots(zx_trie *trie)
{
    const size_t count = trie->slot_count == 0 ? 256 : trie->slot_count * 2;
    void *memory;
    ZX_TRY(zx_alloc_array(count, sizeof(uint64_t), "trie", &memory));
    uint64_t *const slots = memory;
    for (size_t i = 0; i < trie->slot_count; i++) {
        if (trie->slots[i] == 0) continue;
        size_t at = home((uint32_t)(trie->slots[i] >> 32), count);
        while (slots[at] != 0) at = (at + 1) & (count - 1);
        slots[at] = trie->slots[i];
    }
    zx_free(trie->slots);
    trie->slots = slots;
    trie->slot_count = count;
    return ZMLX_OK;
}

static zmlx_status add_node(zx_trie *trie, uint32_t *node)
{
    if (trie->node_count == MAX_NODES)
        return ZX_FAIL(ZMLX_ERROR_FORMAT, "the vocabulary's tokens are too long together");
    ZX_TRY(zx_grow(&trie->values, &trie->capacity, trie->node_count + 1, sizeof(int32_t), "trie"));
    trie->values[trie->node_count] = ZX_TRIE_NONE;
    *node = (uint32_t)trie->node_count++;
    return ZMLX_OK;
}

uint32_t zx_trie_step(const zx_trie *trie, uint32_t node, unsigned char byte)
{
    if (node == ZX_TRIE_ROOT) return trie->root[byte];
    const uint32_t key = node << 8 | byte;
    for (size_t at = home(key, trie->slot_count);; at = (at + 1) & (trie->slot_count - 1)) {
        const uint64_t slot = trie->slots[at];
        if (slot == 0) return 0;
        if ((uint32_t)(slot >> 32) == key) return (uint32_t)slot;
    }
}

static zmlx_status add_edge(zx_trie *trie, uint32_t node, unsigned char byte, uint32_t *child)
{
    ZX_TRY(add_node(trie, child));
    if (node == ZX_TRIE_ROOT) {
        trie->root[byte] = *child;
        return ZMLX_OK;
    }
    if (trie->node_count * 2 >= trie->slot_count) ZX_TRY(grow_slots(trie));
    const uint32_t key = node << 8 | byte;
    size_t at = home(key, trie->slot_count);
    while (trie->slots[at] != 0) at = (at + 1) & (trie->slot_count - 1);
    trie->slots[at] = (uint64_t)key << 32 | *child;
    return ZMLX_OK;
}

zmlx_status zx_trie_add(zx_trie *trie, const char *bytes, size_t length, int32_t value,
                        bool replace)
{
    uint32_t node = ZX_TRIE_ROOT;
    if (trie->node_count == 0) ZX_TRY(add_node(trie, &node));
    if (trie->slot_count == 0) ZX_TRY(grow_slots(trie));
    for (size_t i = 0; i < length; i++) {
        const unsigned char byte = (unsigned char)bytes[i];
        uint32_t child = zx_trie_step(trie, node, byte);
        if (child == 0) ZX_TRY(add_edge(trie, node, byte, &child));
        node = child;
    }
    if (replace || trie->values[node] == ZX_TRIE_NONE) trie->values[node] = value;
    return ZMLX_OK;
}

int32_t zx_trie_longest(const zx_trie *trie, const char *bytes, size_t count, size_t *length)
{
    int32_t found = ZX_TRIE_NONE;
    uint32_t node = ZX_TRIE_ROOT;
    for (size_t i = 0; i < count; i++) {
        node = zx_trie_step(trie, node, (unsigned char)bytes[i]);
        if (node == 0) break;
        if (trie->values[node] == ZX_TRIE_NONE) continue;
        found = trie->values[node];
        *length = i + 1;
    }
    return found;
}
