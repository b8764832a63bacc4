#include "engine/discover.h"

#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "base/memory.h"
#include "engine/lower.h"
#include "fuse/chains.h"

typedef struct discoverer {
    const zx_fusion_choice *choice;
    const zx_verifier *verifier;
    zx_discovery *discovery;
    bool chain_is_faster; /* of the chain at hand */
    char chain_reason[ZX_REASON_BYTES];
} discoverer;

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

static zmlx_status add_site(zx_discovery *discovery, const zx_fusion_site *site, zx_verdict verdict,
                            const char *reason)
{
    ZX_TRY(zx_grow(&discovery->sites, &discovery->capacity, discovery->count + 1,
                   sizeof *discovery->sites, "fusion sites"));
    zx_found_site *const found = &discovery->sites[discovery->count];
    *found = (zx_found_site){.site = *site, .verdict = verdict};
    if (site->rule->fused == ZX_OP_CHAIN) ZX_TRY(keep_rule(discovery, &found->site.rule));
    ZX_TRY(copy_text(discovery, site->where, &found->site.where));
    ZX_TRY(copy_text(discovery, reason, &found->reason));
    discovery->count++;
    return ZMLX_OK;
}

static zmlx_status judge(const zx_graph *graph, const zx_fusion_site *site, const zx_match *match,
                         bool *apply, void *user)
{
    const discoverer *at = user;
    char reason[ZX_REASON_BYTES];
    const bool chain = site->rule->fused == ZX_OP_CHAIN;
    (void)graph;
    ZX_TRY(zx_verify_match(at->verifier, site->rule, match, reason));
    zx_verdict verdict = *reason == '\0' ? ZX_VERDICT_APPLIED : ZX_VERDICT_REFUSED;
    if (verdict == ZX_VERDICT_APPLIED && !zx_fusion_chosen(at->choice, site->rule)) {
        verdict = ZX_VERDICT_OFF;
        (void)snprintf(reason, sizeof reason, "%s",
                       site->rule->fidelity == ZX_CLOSE ? "not exact; applied only when asked for"
                                                        : "left out by name");
    }
    if (verdict == ZX_VERDICT_APPLIED && chain && !at->chain_is_faster) {
        verdict = ZX_VERDICT_OFF;
        (void)snprintf(reason, sizeof reason, "%s", at->chain_reason);
    }
    *apply = verdict == ZX_VERDICT_APPLIED;
    return add_site(at->discovery, site, verdict, reason);
}

/* The first match of a rule. */
static bool find_match(const zx_fusion_rule *rule, const zx_graph *graph, zx_match *match)
{
    for (zx_node *node = graph->first; node != NULL; node = node->next)
        if (zx_fusion_match(rule, graph, node, match)) return true;
    return false;
}

/* A chain pays where prompts gain for certain and single tokens lose nothing to speak of. */
static zmlx_status measure_chain(discoverer *at, const zx_fusion_rule *rule, const zx_graph *graph)
{
    zx_match match;
    zx_gain one = {0}, many = {0};
    if (!find_match(rule, graph, &match)) return ZMLX_OK;
    ZX_TRY(zx_measure_match(at->verifier, rule, &match, 1, &one));
    ZX_TRY(zx_measure_match(at->verifier, rule, &match, 256, &many));
    at->chain_is_faster = many.low > 1.0 && one.mean > 0.97;
    (void)snprintf(at->chain_reason, sizeof at->chain_reason,
                   "measured: %.2f times as fast for 1 token, %.2f for 256 (at least %.2f)",
                   one.mean, many.mean, many.low);
    return ZMLX_OK;
}

/* Runs of row-wise ops that the rules leave; each is verified like a match of a rule. */
static zmlx_status try_chains(discoverer *at, zx_chain_use use, zx_graph *graph)
{
    zx_chain_proposals proposals;
    ZX_TRY(zx_chains_propose(graph, &proposals));
    zmlx_status status = ZMLX_OK;
    for (size_t i = 0; i < proposals.count && status == ZMLX_OK; i++) {
        const zx_fusion_rule rule = zx_chain_rule(proposals.items[i].pattern);
        at->chain_is_faster = false;
        (void)snprintf(at->chain_reason, sizeof at->chain_reason,
                       "not measured; --apply does, and applies what is faster");
        if (use == ZX_CHAINS_APPLY) status = measure_chain(at, &rule, graph);
        if (status == ZMLX_OK) status = zx_fuse_rule(&rule, graph, judge, at);
        if (status == ZMLX_OK && at->chain_is_faster)
            status = zx_verdicts_use(&at->discovery->chains, rule.pattern);
    }
    zx_chain_proposals_fini(&proposals);
    return status;
}

static zmlx_status discover(discoverer *at, zx_precision precision, zx_chain_use chains,
                            zx_graph *graph)
{
    ZX_TRY(zx_lower_to_precision(graph, precision));
    ZX_TRY(zx_verdicts_key(graph, &at->discovery->key));
    ZX_TRY(zx_fuse_across_rows(graph, judge, at));
    ZX_TRY(try_chains(at, chains, graph));
    return zx_fuse_rows(graph, judge, at);
}

zmlx_status zx_discover(const zx_graph *traced, zx_precision precision,
                        const zx_fusion_choice *choice, zx_chain_use chains,
                        const zx_verifier *verifier, zx_discovery *discovery)
{
    zx_graph graph = {0};
    discoverer at = {.choice = choice, .verifier = verifier, .discovery = discovery};
    *discovery = (zx_discovery){0};
    zmlx_status status = zx_graph_copy(traced, &graph);
    if (status == ZMLX_OK) status = discover(&at, precision, chains, &graph);
    zx_graph_fini(&graph);
    if (status != ZMLX_OK) zx_discovery_fini(discovery);
    return status;
}

void zx_discovery_fini(zx_discovery *discovery)
{
    zx_free(discovery->sites);
    zx_verdicts_fini(&discovery->chains);
    zx_arena_reset(&discovery->arena);
    *discovery = (zx_discovery){0};
}

zmlx_status zx_discovery_save(const zx_discovery *discovery)
{
    zx_verdicts verdicts = {0};
    zmlx_status status = ZMLX_OK;
    for (size_t i = 0; i < discovery->count && status == ZMLX_OK; i++)
        if (discovery->sites[i].verdict == ZX_VERDICT_REFUSED)
            status = zx_verdicts_refuse(&verdicts, &discovery->sites[i].site);
    for (size_t i = 0; i < discovery->chains.chain_count && status == ZMLX_OK; i++)
        status = zx_verdicts_use(&verdicts, discovery->chains.chains[i]);
    if (status == ZMLX_OK) status = zx_verdicts_save(discovery->key, &verdicts);
    zx_verdicts_fini(&verdicts);
    return status;
}
