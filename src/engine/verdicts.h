/* verdicts.h - what discovery found out about a graph on a machine, kept in the store: read at
 * every start, written by discovery alone. */
#ifndef ZX_ENGINE_VERDICTS_H
#define ZX_ENGINE_VERDICTS_H

#include "base/arena.h"
#include "base/hash.h"
#include "fuse/rules.h"

/* Which rules may be applied, by name; NULL lists end nothing and start nothing. */
typedef struct zx_fusion_choice {
    const char *const *include; /* NULL at the end; NULL: every exact rule */
    const char *const *exclude; /* NULL at the end */
} zx_fusion_choice;

/* Whether the choice (NULL: none was made) lets the rule be applied. */
bool zx_fusion_chosen(const zx_fusion_choice *choice, const zx_fusion_rule *rule);

/* Sites that must not be fused, and chains that are to be.  {0} is empty. */
typedef struct zx_verdicts {
    zx_arena arena;
    zx_table refused;    /* "RULE/ORDINAL/WHERE" */
    const char **chains; /* patterns of chains that were found to be faster, in order */
    size_t chain_count, chain_capacity;
} zx_verdicts;

/* The graph's fingerprint on this machine and in this version. */
ZMLX_MUST_CHECK zmlx_status zx_verdicts_key(const zx_graph *graph, uint64_t *key);

/* What is stored under the key; nothing where there is no store. */
ZMLX_MUST_CHECK zmlx_status zx_verdicts_load(uint64_t key, zx_verdicts *verdicts);
void zx_verdicts_fini(zx_verdicts *verdicts);
ZMLX_MUST_CHECK zmlx_status zx_verdicts_refuse(zx_verdicts *verdicts, const zx_fusion_site *site);
ZMLX_MUST_CHECK zmlx_status zx_verdicts_use(zx_verdicts *verdicts, const char *pattern);
bool zx_verdicts_refused(const zx_verdicts *verdicts, const zx_fusion_site *site);

/* Replaces what is stored under the key; the store is made where it is missing. */
ZMLX_MUST_CHECK zmlx_status zx_verdicts_save(uint64_t key, const zx_verdicts *verdicts);
/* Forgets what is stored under the key. */
ZMLX_MUST_CHECK zmlx_status zx_verdicts_forget(uint64_t key);

#endif
