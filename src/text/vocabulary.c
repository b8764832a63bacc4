/* vocabulary.c - open addressing over 8-byte slots.
 *
 * A slot keeps 32 bits of the hash, so that a miss rarely touches a text and growing never
 * hashes again.  Looking up one token costs two cache misses; loading a merge list costs
 * a million look-ups, which is why find_many walks a batch in three passes with prefetch. */
#include "text/vocabulary.h"

#include <string.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/hash.h"
#include "base/memory.h"
#if defined(__APPLE__)
#include <sys/random.h>
#endif

enum { BATCH = 32, SPARE_IDS = 1 << 18 }; /* spare: without a token, 16 bytes each */

uint64_t zx_random_seed(void)
{
    uint64_t seed = (uintptr_t)&seed;
    if (getentropy(&seed, sizeof seed) != 0) seed *= 0x9E3779B97F4A7C15u;
    return seed;
}

zmlx_status zx_ids_add(zx_ids *ids, int32_t id)
{
    if (ids->count == ids->capacity)
        ZX_TRY(zx_grow(&ids->items, &ids->capacity, ids->count + 1, sizeof *ids->items, "ids"));
    ids->items[ids->count++] = id;
    return ZMLX_OK;
}

void zx_ids_fini(zx_ids *ids)
{
    zx_free(ids->items);
    *ids = (zx_ids){0};
}

void zx_vocabulary_fini(zx_vocabulary *vocabulary)
{
    zx_free(vocabulary->tokens);
    zx_free(vocabulary->slots);
    *vocabulary = (zx_vocabulary){0};
}

static zmlx_status rebuild(zx_vocabulary *vocabulary, size_t slot_count)
{
    void *memory;
    ZX_TRY(zx_alloc_array(slot_count, sizeof(uint64_t), "vocabulary", &memory));
    uint64_t *const slots = memory;
    for (size_t i = 0; i < vocabulary->slot_count; i++) {
        const uint64_t slot = vocabulary->slots[i];
        if (slot == 0) continue;
        size_t at = (size_t)(slot >> 32) & (slot_count - 1);
        while (slots[at] != 0) at = (at + 1) & (slot_count - 1);
        slots[at] = slot;
    }
    zx_free(vocabulary->slots);
    vocabulary->slots = slots;
    vocabulary->slot_count = slot_count;
    return ZMLX_OK;
}

zmlx_status zx_vocabulary_reserve(zx_vocabulary *vocabulary, size_t count)
{
    if (vocabulary->slot_count == 0) vocabulary->seed = zx_random_seed();
    size_t wanted = vocabulary->slot_count == 0 ? 64 : vocabulary->slot_count;
    while (wanted / 4 * 3 < count) wanted *= 2;
    if (wanted != vocabulary->slot_count) ZX_TRY(rebuild(vocabulary, wanted));
    return zx_grow(&vocabulary->tokens, &vocabulary->capacity, count, sizeof(zx_string_view),
                   "vocabulary");
}

static uint32_t hash_of(const zx_vocabulary *vocabulary, const char *bytes, size_t length)
{
    return (uint32_t)(zx_hash(bytes, length, vocabulary->seed) >> 32);
}

bool zx_vocabulary_has(const zx_vocabulary *vocabulary, int32_t id, const char *bytes,
                       size_t length)
{
    const zx_string_view *const token = &vocabulary->tokens[id];
    return token->length == length && memcmp(token->bytes, bytes, length) == 0;
}

/* The slot of a text, or the empty one where it belongs. */
static size_t slot_of(const zx_vocabulary *vocabulary, uint32_t hash, const char *bytes,
                      size_t length)
{
    const size_t mask = vocabulary->slot_count - 1;
    size_t at = hash & mask;
    for (;; at = (at + 1) & mask) {
        const uint64_t slot = vocabulary->slots[at];
        if (slot == 0) return at;
        if ((uint32_t)(slot >> 32) != hash) continue;
        if (zx_vocabulary_has(vocabulary, (int32_t)((uint32_t)slot - 1), bytes, length)) return at;
    }
}

zmlx_status zx_vocabulary_add(zx_vocabulary *vocabulary, const char *bytes, size_t length,
                              uint32_t id, bool *added)
{
    if (id > SPARE_IDS && id - SPARE_IDS > vocabulary->file_bytes)
        return ZX_FAIL(ZMLX_ERROR_FORMAT,
                       "%s: token id %u is far beyond the tokens that %zu bytes can have",
                       vocabulary->source != NULL ? vocabulary->source : "vocabulary", id,
                       vocabulary->file_bytes);
    if (vocabulary->slot_count / 4 * 3 <= vocabulary->count)
        ZX_TRY(zx_vocabulary_reserve(vocabulary, vocabulary->count * 2 + 32));
    const uint32_t hash = hash_of(vocabulary, bytes, length);
    const size_t at = slot_of(vocabulary, hash, bytes, length);
    *added = vocabulary->slots[at] == 0;
    if (id >= vocabulary->capacity)
        ZX_TRY(zx_grow(&vocabulary->tokens, &vocabulary->capacity, (size_t)id + 1,
                       sizeof(zx_string_view), "vocabulary"));
    if (*added) vocabulary->slots[at] = (uint64_t)hash << 32 | (id + 1);
    vocabulary->count += *added;
    vocabulary->tokens[id] = (zx_string_view){bytes, length};
    if (id >= vocabulary->size) vocabulary->size = (size_t)id + 1;
    return ZMLX_OK;
}

zmlx_status zx_vocabulary_add_over(zx_vocabulary *vocabulary, const char *bytes, size_t length,
                                   uint32_t id)
{
    bool added;
    ZX_TRY(zx_vocabulary_add(vocabulary, bytes, length, id, &added));
    if (added) return ZMLX_OK;
    const uint32_t hash = hash_of(vocabulary, bytes, length);
    vocabulary->slots[slot_of(vocabulary, hash, bytes, length)] = (uint64_t)hash << 32 | (id + 1);
    vocabulary->count++;
    vocabulary->repeats = true;
    return ZMLX_OK;
}

int32_t zx_vocabulary_find(const zx_vocabulary *vocabulary, const char *bytes, size_t length)
{
    if (vocabulary->slot_count == 0) return -1;
    const uint32_t hash = hash_of(vocabulary, bytes, length);
    return (int32_t)(uint32_t)vocabulary->slots[slot_of(vocabulary, hash, bytes, length)] - 1;
}

static void find_batch(const zx_vocabulary *vocabulary, const zx_string_view *texts, size_t count,
                       int32_t *ids)
{
    uint32_t hashes[BATCH];
    const size_t mask = vocabulary->slot_count - 1;
    for (size_t i = 0; i < count; i++) {
        hashes[i] = hash_of(vocabulary, texts[i].bytes, texts[i].length);
        __builtin_prefetch(&vocabulary->slots[hashes[i] & mask]);
    }
    for (size_t i = 0; i < count; i++) {
        const uint32_t id = (uint32_t)vocabulary->slots[hashes[i] & mask];
        if (id != 0) __builtin_prefetch(&vocabulary->tokens[id - 1]);
    }
    for (size_t i = 0; i < count; i++) {
        const uint32_t id = (uint32_t)vocabulary->slots[hashes[i] & mask];
        if (id != 0) __builtin_prefetch(vocabulary->tokens[id - 1].bytes);
    }
    for (size_t i = 0; i < count; i++) {
        const size_t at = slot_of(vocabulary, hashes[i], texts[i].bytes, texts[i].length);
        ids[i] = (int32_t)(uint32_t)vocabulary->slots[at] - 1;
    }
}

void zx_vocabulary_find_many(const zx_vocabulary *vocabulary, const zx_string_view *texts,
                             size_t count, int32_t *ids)
{
    for (size_t i = 0; i < count && vocabulary->slot_count == 0; i++) ids[i] = -1;
    if (vocabulary->slot_count == 0) return;
    for (size_t at = 0; at < count; at += BATCH)
        find_batch(vocabulary, texts + at, count - at < BATCH ? count - at : BATCH, ids + at);
}
