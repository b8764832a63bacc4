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

/* Sizes of the steps that are measured, in tokens; what holds for one holds up to the next. */
enum { ZX_MEASURED_SIZES = 4 };
extern const size_t zx_measured_sizes[ZX_MEASURED_SIZES];

/* The steps for which a rule was measured to pay, on this machine and with this many threads, where
 * its match has this shape. */
typedef struct zx_measured_rule {
    const char *rule; /* its name, or the pattern of a chain */
    uint64_t shape;   /* zx_fusion_shape */
    zx_token_range pays;
    double gains[ZX_MEASURED_SIZES]; /* unfused time / fused time, to two places */
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

/* Under what it is kept: refusals for the graph, what was measured for the threads too. */
typedef struct zx_verdicts_key {
    uint64_t graph; /* its fingerprint on this machine and in this version */
    size_t threads;
} zx_verdicts_key;

ZMLX_MUST_CHECK zmlx_status zx_verdicts_key_of(const zx_graph *graph, size_t threads,
                                               zx_verdicts_key *key);

/* What is stored under the key; nothing where there is no store. */
ZMLX_MUST_CHECK zmlx_status zx_verdicts_load(const zx_verdicts_key *key, zx_verdicts *verdicts);
void zx_verdicts_fini(zx_verdicts *verdicts);
ZMLX_MUST_CHECK zmlx_status zx_verdicts_refuse(zx_verdicts *verdicts, const zx_fusion_site *site);
/* Keeps what was measured of a rule or a chain; its text is copied. */
ZMLX_MUST_CHECK zmlx_status zx_verdicts_measured(zx_verdicts *verdicts, const zx_fusion_rule *rule,
                                                 const zx_measured_rule *measured);
/* What was measured of matches of that shape; NULL: nothing. */
const zx_measured_rule *zx_verdicts_find(const zx_verdicts *verdicts, const zx_fusion_rule *rule,
                                         uint64_t shape);
/* Whether the rule pays there for steps of so many tokens: its own guard, and what was measured.
 * Where nothing was, a rule does and a chain does not. */
ZMLX_MUST_CHECK zmlx_status zx_verdicts_pays(const zx_verdicts *verdicts,
                                             const zx_fusion_rule *rule, const zx_match *match,
                                             size_t tokens, bool *pays);
bool zx_verdicts_refused(const zx_verdicts *verdicts, const zx_fusion_site *site);

/* Replaces what is stored under the key; the store is made where it is missing. */
ZMLX_MUST_CHECK zmlx_status zx_verdicts_save(const zx_verdicts_key *key,
                                             const zx_verdicts *verdicts);
/* Forgets what is stored for the graph, whatever the threads. */
ZMLX_MUST_CHECK zmlx_status zx_verdicts_forget(const zx_verdicts_key *key);

#endif
