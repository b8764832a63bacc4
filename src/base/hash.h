/* hash.h - 64-bit hashing of bytes, and a table from byte strings to numbers. */
#ifndef ZX_BASE_HASH_H
#define ZX_BASE_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "zmlx/status.h"

/* Equal on every machine; 'seed' chains (the hash of what came before). */
uint64_t zx_hash(const void *bytes, size_t count, uint64_t seed);

/* A seed that nobody outside can guess, for tables whose keys come from outside. */
uint64_t zx_hash_seed(void);

/* Open addressing; keys are borrowed and must outlive the table.  {0} is empty. */
typedef struct zx_table_slot {
    const char *key;
    uint32_t length;
    uint32_t value;
} zx_table_slot;

typedef struct zx_table {
    zx_table_slot *slots;
    size_t capacity, count;
    uint64_t seed; /* zx_hash_seed() where keys come from outside; fixed once a key is in */
} zx_table;

/* Makes room for 'count' keys, so that that many insertions do not grow the table. */
ZMLX_MUST_CHECK zmlx_status zx_table_reserve(zx_table *table, size_t count);
/* Adds a key; *added is false, and nothing changes, where it was there already. */
ZMLX_MUST_CHECK zmlx_status zx_table_insert(zx_table *table, const char *key, size_t length,
                                            uint32_t value, bool *added);
bool zx_table_find(const zx_table *table, const char *key, size_t length, uint32_t *value);
void zx_table_fini(zx_table *table);

#endif
