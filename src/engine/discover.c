#include "engine/discover.h"

#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "base/memory.h"
#include "engine/lower.h"

typedef struct discoverer {
    const zx_fusion_choice *choice;
    const zx_verifier *verifier;
    zx_discovery *discovery;
} discoverer;

static zmlx_status copy_text(zx_discovery *discovery, const char *text, const char **copy)
{
    void *memory = NULL;
    const size_t bytes = strlen(text) + 1;
    ZX_TRY(zx_arena_alloc(&discovery->arena, bytes, &memory));
    *copy = memcpy(memory, text, bytes);
    return ZMLX_OK;
}

static zmlx_status add_site(zx_discovery *discovery, const zx_fusion_site *site, zx_verdict verdict,
                            const char *reason)
{
    ZX_TRY(zx_grow(&discovery->sites, &discovery->capacity, discovery->count + 1,
                   sizeof *discovery->sites, "fusion sites"));
    zx_found_site *const found = &discovery->sites[discovery->count];
    *found = (zx_found_site){.site = *site, .verdict = verdict};
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
    (void)graph;
    ZX_TRY(zx_verify_match(at->verifier, site->rule, match, reason));
    zx_verdict verdict = *reason == '\0' ? ZX_VERDICT_APPLIED : ZX_VERDICT_REFUSED;
    if (verdict == ZX_VERDICT_APPLIED && !zx_fusion_chosen(at->choice, site->rule)) {
        verdict = ZX_VERDICT_OFF;
        (void)snprintf(reason, sizeof reason, "%s",
                       site->rule->fidelity == ZX_CLOSE ? "not exact; applied only when asked for"
                                                        : "left out by name");
    }
    *apply = verdict == ZX_VERDICT_APPLIED;
    return add_site(at->discovery, site, verdict, reason);
}

zmlx_status zx_discover(const zx_graph *traced, zx_precision precision,
                        const zx_fusion_choice *choice, const zx_verifier *verifier,
                        zx_discovery *discovery)
{
    zx_graph graph = {0};
    discoverer at = {choice, verifier, discovery};
    *discovery = (zx_discovery){0};
    zmlx_status status = zx_graph_copy(traced, &graph);
    if (status == ZMLX_OK) status = zx_lower_to_precision(&graph, precision);
    if (status == ZMLX_OK) status = zx_verdicts_key(&graph, &discovery->key);
    if (status == ZMLX_OK) status = zx_fuse(&graph, judge, &at);
    zx_graph_fini(&graph);
    if (status != ZMLX_OK) zx_discovery_fini(discovery);
    return status;
}

void zx_discovery_fini(zx_discovery *discovery)
{
    zx_free(discovery->sites);
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
    if (status == ZMLX_OK) status = zx_verdicts_save(discovery->key, &verdicts);
    zx_verdicts_fini(&verdicts);
    return status;
}
