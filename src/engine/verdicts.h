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

/* The steps for which a rule was measured to pay, on this machine and graph. */
typedef struct zx_measured_rule {
    const char *rule; /* its name, or the pattern of a chain */
    zx_token_range pays;
} zx_measured_rule;

typedef struct zx_measured_rules {
    zx_measured_rule *items;
    size_t count, capacity;
} zx_measured_rules;

/* Sites that must not be fused, rules that pay for some steps only, and chains that are to be used
 * though no rule has them.  {0} is empty. */
typedef struct zx_verdicts {
    zx_arena arena;
    zx_table refused; /* "RULE/WHERE": all matches of the rule in that module */
    zx_measured_rules rules, chains;
} zx_verdicts;

/* The graph's fingerprint on this machine and in this version. */
ZMLX_MUST_CHECK zmlx_status zx_verdicts_key(const zx_graph *graph, uint64_t *key);

/* What is stored under the key; nothing where there is no store. */
ZMLX_MUST_CHECK zmlx_status zx_verdicts_load(uint64_t key, zx_verdicts *verdicts);
void zx_verdicts_fini(zx_verdicts *verdicts);
ZMLX_MUST_CHECK zmlx_status zx_verdicts_refuse(zx_verdicts *verdicts, const zx_fusion_site *site);
/* A rule by its name, a chain by its pattern. */
ZMLX_MUST_CHECK zmlx_status zx_verdicts_limit(zx_verdicts *verdicts, const char *rule,
                                              zx_token_range pays);
ZMLX_MUST_CHECK zmlx_status zx_verdicts_use(zx_verdicts *verdicts, const char *pattern,
                                            zx_token_range pays);
/* Whether the rule pays for steps of so many tokens: its own guard, and what was measured. */
bool zx_verdicts_pays(const zx_verdicts *verdicts, const zx_fusion_rule *rule, size_t tokens);
bool zx_verdicts_refused(const zx_verdicts *verdicts, const zx_fusion_site *site);

/* Replaces what is stored under the key (but for what holds of a rule or chain without an entry);
 * the store is made where it is missing. */
ZMLX_MUST_CHECK zmlx_status zx_verdicts_save(uint64_t key, const zx_verdicts *verdicts);
/* Forgets what is stored under the key. */
ZMLX_MUST_CHECK zmlx_status zx_verdicts_forget(uint64_t key);

#endif
