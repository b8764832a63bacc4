#include "engine/discover.h"

#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "base/memory.h"
#include "engine/lower.h"
#include "engine/variants.h"
#include "fuse/chains.h"

enum { SIZES = ZX_MEASURED_SIZES };

typedef struct discoverer {
    const zx_fusion_choice *choice;
    const zx_verifier *verifier;
    zx_discover_use use;
    zx_discovery *discovery;
    size_t tokens; /* of the steps that the graph at hand is for */
    char measured[ZX_REASON_BYTES];
} discoverer;

static bool never(zx_token_range range)
{
    return range.least == SIZE_MAX;
}

static zmlx_status copy_text(zx_discovery *discovery, const char *text, const char **copy)
{
    void *memory = NULL;
    const size_t bytes = strlen(text) + 1;
    ZX_TRY(zx_arena_alloc(&discovery->arena, bytes, &memory));
    *copy = memcpy(memory, text, bytes);
    return ZMLX_OK;
}

/* A chain's rule lives no longer than its turn. */
static zmlx_status keep_rule(zx_discovery *discovery, const zx_fusion_rule **rule)
{
    void *memory = NULL;
    ZX_TRY(zx_arena_alloc(&discovery->arena, sizeof **rule, &memory));
    zx_fusion_rule *const kept = memory;
    *kept = **rule;
    ZX_TRY(copy_text(discovery, (*rule)->pattern, &kept->pattern));
    *rule = kept;
    return ZMLX_OK;
}

static zmlx_status add_site(zx_discovery *discovery, const zx_found_site *site)
{
    ZX_TRY(zx_grow(&discovery->sites, &discovery->capacity, discovery->count + 1,
                   sizeof *discovery->sites, "fusion sites"));
    zx_found_site *const found = &discovery->sites[discovery->count];
    *found = *site;
    if (site->site.rule->fused == ZX_OP_CHAIN) ZX_TRY(keep_rule(discovery, &found->site.rule));
    ZX_TRY(copy_text(discovery, site->site.where, &found->site.where));
    ZX_TRY(copy_text(discovery, site->reason, &found->reason));
    discovery->count++;
    return ZMLX_OK;
}

/* The longest run of sizes that pay, as steps. */
static zx_token_range range_of(const bool pays[SIZES])
{
    size_t first = 0, last = 0, length = 0;
    for (size_t i = 0; i < SIZES; i++) {
        size_t end = i;
        while (end < SIZES && pays[end]) end++;
        if (end - i <= length) continue;
        length = end - i;
        first = i;
        last = end - 1;
    }
    if (length == 0) return (zx_token_range)ZX_NO_STEP;
    return (zx_token_range){first > 0 ? zx_measured_sizes[first] : 0,
                            last + 1 < SIZES ? zx_measured_sizes[last + 1] - 1 : 0};
}

/* For which steps the match pays.  Chains must gain for certain; rules must not certainly lose. */
static zmlx_status measure(const discoverer *at, const zx_fusion_rule *rule, const zx_match *match,
                           zx_measured_rule *measured)
{
    bool pays[SIZES];
    const bool chain = rule->fused == ZX_OP_CHAIN;
    measured->rule = chain ? rule->pattern : rule->name;
    for (size_t i = 0; i < SIZES; i++) {
        zx_gain gain;
        ZX_TRY(zx_measure_match(at->verifier, rule, match, zx_measured_sizes[i], &gain));
        pays[i] = chain ? gain.low > 1.0 : gain.high >= 1.0;
        measured->gains[i] = gain.mean;
    }
    measured->pays = range_of(pays);
    return ZMLX_OK;
}

/* For which steps a rule or chain pays at this match; measured at the first of its shape, now or in
 * an earlier run. */
static zmlx_status match_pays(discoverer *at, const zx_fusion_rule *rule, const zx_match *match,
                              zx_token_range *range)
{
    zx_verdicts *verdicts = &at->discovery->measured;
    zx_measured_rule fresh = {0};
    const bool chain = rule->fused == ZX_OP_CHAIN;
    *range = chain ? (zx_token_range)ZX_NO_STEP : rule->guard;
    (void)snprintf(at->measured, sizeof at->measured,
                   "not measured; --apply does, and applies what is faster");
    ZX_TRY(zx_fusion_shape(match, &fresh.shape));
    const zx_measured_rule *known = zx_verdicts_find(verdicts, rule, fresh.shape);
    if (known == NULL && at->use != ZX_DISCOVER_APPLY) return ZMLX_OK;
    if (known == NULL) {
        ZX_TRY(measure(at, rule, match, &fresh));
        ZX_TRY(zx_verdicts_measured(verdicts, rule, &fresh));
        known = &fresh;
    }
    *range = known->pays;
    (void)snprintf(at->measured, sizeof at->measured,
                   "measured: %.2f, %.2f, %.2f, %.2f times as fast for %zu, %zu, %zu, %zu tokens",
                   known->gains[0], known->gains[1], known->gains[2], known->gains[3],
                   zx_measured_sizes[0], zx_measured_sizes[1], zx_measured_sizes[2],
                   zx_measured_sizes[3]);
    return ZMLX_OK;
}

/* Off though it agrees: why. */
static const char *reason_off(const discoverer *at, const zx_fusion_rule *rule, bool chosen)
{
    if (chosen) return at->measured;
    return rule->fidelity == ZX_CLOSE ? "not exact; applied only when asked for"
                                      : "left out by name";
}

/* Whether the site was found in the graph for other steps. */
static bool is_known(const zx_discovery *discovery, const zx_found_site *site)
{
    for (size_t i = 0; i < discovery->count; i++) {
        const zx_found_site *known = &discovery->sites[i];
        if (known->verdict == site->verdict && known->site.ordinal == site->site.ordinal &&
            strcmp(known->site.rule->name, site->site.rule->name) == 0 &&
            strcmp(known->site.rule->pattern, site->site.rule->pattern) == 0 &&
            strcmp(known->site.where, site->site.where) == 0)
            return true;
    }
    return false;
}

static zmlx_status judge(const zx_graph *graph, const zx_fusion_site *site, const zx_match *match,
                         bool *apply, void *user)
{
    discoverer *at = user;
    zx_verdicts *measured = &at->discovery->measured;
    const zx_fusion_rule *rule = site->rule;
    zx_found_site found = {.site = *site, .verdict = ZX_VERDICT_REFUSED};
    char reason[ZX_REASON_BYTES];
    (void)graph;
    *apply = false;
    ZX_TRY(zx_verify_match(at->verifier, rule, match, reason));
    if (*reason == '\0' && zx_verdicts_refused(measured, site))
        (void)snprintf(reason, sizeof reason,
                       "a match in this module was refused, here or in an earlier run");
    found.reason = reason;
    if (*reason != '\0') {
        ZX_TRY(zx_verdicts_refuse(measured, site));
        return is_known(at->discovery, &found) ? ZMLX_OK : add_site(at->discovery, &found);
    }
    const bool chosen = zx_fusion_chosen(at->choice, rule);
    if (chosen) ZX_TRY(match_pays(at, rule, match, &found.pays));
    const bool applied = chosen && !never(found.pays);
    *apply = applied && zx_tokens_within(found.pays, at->tokens);
    found.verdict = applied ? ZX_VERDICT_APPLIED : ZX_VERDICT_OFF;
    if (!applied) found.reason = reason_off(at, rule, chosen);
    return is_known(at->discovery, &found) ? ZMLX_OK : add_site(at->discovery, &found);
}

static bool is_listed(const zx_measured_rules *chains, size_t count, const char *pattern)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(chains->items[i].rule, pattern) == 0) return true;
    return false;
}

static zmlx_status try_chain(discoverer *at, const char *pattern, zx_graph *graph)
{
    const zx_fusion_rule chain = zx_chain_rule(pattern);
    return zx_fuse_rule(&chain, graph, judge, at);
}

/* Runs of row-wise ops that the rules leave; each is verified like a match of a rule.  First those
 * that were measured, in the order in which an engine takes them. */
static zmlx_status try_chains(discoverer *at, zx_graph *graph)
{
    zx_chain_proposals proposals;
    const zx_measured_rules *known = &at->discovery->measured.chains;
    const size_t before = known->count;
    for (size_t i = 0; i < before; i++)
        if (!is_listed(known, i, known->items[i].rule))
            ZX_TRY(try_chain(at, known->items[i].rule, graph));
    ZX_TRY(zx_chains_propose(graph, &proposals));
    zmlx_status status = ZMLX_OK;
    for (size_t i = 0; i < proposals.count && status == ZMLX_OK; i++)
        if (!is_listed(known, before, proposals.items[i].pattern))
            status = try_chain(at, proposals.items[i].pattern, graph);
    zx_chain_proposals_fini(&proposals);
    return status;
}

/* Goes over the graph as it is fused for steps of so many tokens. */
static zmlx_status walk(discoverer *at, const zx_graph *lowered, size_t tokens)
{
    zx_graph graph = {0};
    at->tokens = tokens;
    zmlx_status status = zx_graph_copy(lowered, &graph);
    if (status == ZMLX_OK) status = zx_fuse_across_rows(&graph, judge, at);
    if (status == ZMLX_OK) status = try_chains(at, &graph);
    if (status == ZMLX_OK) status = zx_fuse_rows(&graph, judge, at);
    zx_graph_fini(&graph);
    return status;
}

static bool was_walked(const size_t *walked, size_t count, size_t tokens)
{
    for (size_t i = 0; i < count; i++)
        if (walked[i] == tokens) return true;
    return false;
}

/* What was measured and refused earlier stays: another seed, or the rules left out this time, may
 * not come upon it. */
static zmlx_status recall(discoverer *at, const zx_graph *lowered)
{
    zx_discovery *const discovery = at->discovery;
    ZX_TRY(zx_verdicts_key_of(lowered, zx_pool_threads(at->verifier->pool), &discovery->key));
    return zx_verdicts_load(&discovery->key, &discovery->measured);
}

/* Every graph that an engine may run: what is measured in one makes further ones. */
static zmlx_status walk_all(discoverer *at, const zx_graph *graph)
{
    enum { WALKS = 2 * ZX_MOST_VARIANTS };
    size_t starts[ZX_MOST_VARIANTS], walked[WALKS], count = 0;
    for (bool again = true; again;) {
        again = false;
        const size_t ranges = zx_variant_starts(&at->discovery->measured, SIZE_MAX - 1, starts);
        for (size_t i = 0; i < ranges && count < WALKS; i++) {
            if (was_walked(walked, count, starts[i])) continue;
            walked[count++] = starts[i];
            ZX_TRY(walk(at, graph, starts[i]));
            again = true;
        }
    }
    return ZMLX_OK;
}

/* What was measured or refused late changes what is met before it, so the graphs are gone over
 * until nothing comes new: the last time is what every later run does, match by match. */
static zmlx_status discover(discoverer *at, zx_precision precision, zx_graph *graph)
{
    zx_discovery *const discovery = at->discovery;
    const zx_verdicts *known = &discovery->measured;
    size_t before = 0, now = 0;
    ZX_TRY(zx_lower_to_precision(graph, precision));
    ZX_TRY(recall(at, graph));
    do {
        before = known->rules.count + known->chains.count + known->refused.count;
        discovery->count = 0;
        ZX_TRY(walk_all(at, graph));
        now = known->rules.count + known->chains.count + known->refused.count;
    } while (now > before);
    return ZMLX_OK;
}

zmlx_status zx_discover(const zx_graph *traced, zx_precision precision,
                        const zx_fusion_choice *choice, zx_discover_use use,
                        const zx_verifier *verifier, zx_discovery *discovery)
{
    zx_graph graph = {0};
    discoverer at = {.choice = choice, .verifier = verifier, .use = use, .discovery = discovery};
    *discovery = (zx_discovery){0};
    zmlx_status status = zx_graph_copy(traced, &graph);
    if (status == ZMLX_OK) status = discover(&at, precision, &graph);
    zx_graph_fini(&graph);
    if (status != ZMLX_OK) zx_discovery_fini(discovery);
    return status;
}

void zx_discovery_fini(zx_discovery *discovery)
{
    zx_free(discovery->sites);
    zx_verdicts_fini(&discovery->measured);
    zx_arena_reset(&discovery->arena);
    *discovery = (zx_discovery){0};
}

zmlx_status zx_discovery_save(const zx_discovery *discovery)
{
    return zx_verdicts_save(&discovery->key, &discovery->measured);
}
