/* hash.c - a multiply-and-fold hash, and an open-addressing table on top of it.
 *
 * The 64 x 64 -> 128 bit product of two words mixed with constants, its halves folded
 * by exclusive or, spreads every input bit over the result in one multiplication; eight input bytes
 * go through each factor.  Input is read little-endian, so the value is the same everywhere. It is
 * no cryptographic hash: keys of an enemy's choice need a random seed. */
#include "base/hash.h"

#include <assert.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/clock.h"
#include "base/fail.h"
#include "base/memory.h"

__extension__ typedef unsigned __int128 wide;

/* Odd, about half of the bits set: the first digits of the fractional parts of square roots of
 * 2, 3, 5 and 7. */
static const uint64_t salt[4] = {0x6a09e667f3bcc909u, 0xbb67ae8584caa73bu, 0x3c6ef372fe94f82bu,
                                 0xa54ff53a5f1d36f1u};

static uint64_t fold(uint64_t a, uint64_t b)
{
    const wide product = (wide)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t read8(const uint8_t *bytes)
{
    uint64_t word = 0;
    memcpy(&word, bytes, sizeof word);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

/* The last 1 to 7 bytes as one word; other lengths differ in the length that is mixed in. */
static uint64_t read_few(const uint8_t *bytes, size_t count)
{
    uint64_t word = 0;
    for (size_t i = 0; i < count; i++) word |= (uint64_t)bytes[i] << (8 * i);
    return word;
}

uint64_t zx_hash(const void *bytes, size_t count, uint64_t seed)
{
    const uint8_t *at = bytes;
    uint64_t state = seed ^ fold(seed ^ salt[0], salt[1]);
    size_t left = count;
    if (left > 32) { /* two chains, so that the multiplications overlap */
        uint64_t other = state ^ salt[2];
        for (; left > 32; left -= 32, at += 32) {
            state = fold(read8(at) ^ salt[0], read8(at + 8) ^ state);
            other = fold(read8(at + 16) ^ salt[3], read8(at + 24) ^ other);
        }
        state ^= other;
    }
    for (; left > 16; left -= 16, at += 16)
        state = fold(read8(at) ^ salt[1], read8(at + 8) ^ state);
    uint64_t low = 0, high = 0;
    if (left >= 8) {
        low = read8(at);
        high = read8(at + left - 8); /* overlaps where fewer than 16 are left */
    } else {
        low = read_few(at, left);
    }
    return fold(salt[2] ^ (uint64_t)count, fold(low ^ salt[3], high ^ state) ^ salt[0]);
}

uint64_t zx_hash_seed(void)
{
    uint64_t seed = 0;
    if (getentropy(&seed, sizeof seed) != 0) {
        const double now = zx_seconds();
        const void *const here = &seed;
        seed = zx_hash(&now, sizeof now, (uint64_t)(uintptr_t)here);
    }
    return seed;
}

static size_t first_place(const zx_table *table, const char *key, size_t length)
{
    uint64_t hash = zx_hash(key, length, table->seed);
#ifdef ZX_TEST_SMALL
    hash &= ~(uint64_t)15; /* sixteen keys to a bucket: collisions are the rule */
#endif
    return (size_t)hash & (table->capacity - 1);
}

/* The slot that holds the key, or the empty one where it belongs. */
static zx_table_slot *place(const zx_table *table, const char *key, size_t length)
{
    size_t i = first_place(table, key, length);
    for (;; i = (i + 1) & (table->capacity - 1)) {
        zx_table_slot *const slot = &table->slots[i];
        if (slot->key == NULL) return slot;
        if (slot->length == length && memcmp(slot->key, key, length) == 0) return slot;
    }
}

/* At most three quarters full, so that a probe always ends. */
static bool has_room(const zx_table *table, size_t count)
{
    return count <= table->capacity / 4 * 3;
}

zmlx_status zx_table_reserve(zx_table *table, size_t count)
{
    if (has_room(table, count)) return ZMLX_OK;
    size_t bytes = 0;
    zx_table fresh = {.capacity = 16, .count = table->count, .seed = table->seed};
    while (!has_room(&fresh, count)) {
        if (!zx_multiply_fits(fresh.capacity, 2 * sizeof(zx_table_slot), &bytes))
            return ZX_FAIL(ZMLX_ERROR_MEMORY, "table of %zu keys", count);
        fresh.capacity *= 2;
    }
    void *memory = NULL;
    ZX_TRY(zx_alloc_array(fresh.capacity, sizeof(zx_table_slot), "table", &memory));
    fresh.slots = memory;
    for (size_t i = 0; i < table->capacity; i++) {
        const zx_table_slot *const slot = &table->slots[i];
        if (slot->key != NULL) *place(&fresh, slot->key, slot->length) = *slot;
    }
    zx_free(table->slots);
    *table = fresh;
    return ZMLX_OK;
}

zmlx_status zx_table_insert(zx_table *table, const char *key, size_t length, uint32_t value,
                            bool *added)
{
    assert(key != NULL || length == 0);
    if (length > UINT32_MAX)
        return ZX_FAIL(ZMLX_ERROR_ARGUMENT, "table: a key of %zu bytes is too long", length);
    if (key == NULL) key = "";
    *added = false;
    if (!has_room(table, table->count + 1)) {
        /* Looked for first: a key that is there already must not make the table grow. */
        if (table->capacity > 0 && place(table, key, length)->key != NULL) return ZMLX_OK;
        ZX_TRY(zx_table_reserve(table, table->count + 1));
    }
    zx_table_slot *const slot = place(table, key, length);
    if (slot->key != NULL) return ZMLX_OK;
    *slot = (zx_table_slot){key, (uint32_t)length, value};
    table->count++;
    *added = true;
    return ZMLX_OK;
}

bool zx_table_find(const zx_table *table, const char *key, size_t length, uint32_t *value)
{
    if (table->count == 0) return false;
    const zx_table_slot *const slot = place(table, key != NULL ? key : "", length);
    if (slot->key == NULL) return false;
    *value = slot->value;
    return true;
}

void zx_table_fini(zx_table *table)
{
    zx_free(table->slots);
    *table = (zx_table){.seed = table->seed};
}
