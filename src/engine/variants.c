#include "engine/variants.h"

#include <string.h>

#include "base/checked.h"
#include "base/fail.h"
#include "engine/lower.h"
#include "fuse/chains.h"

typedef struct starter {
    const zx_fusion_choice *choice;
    const zx_verdicts *verdicts;
    size_t tokens;
} starter;

static zmlx_status judge(const zx_graph *graph, const zx_fusion_site *site, const zx_match *match,
                         bool *apply, void *user)
{
    const starter *at = user;
    (void)graph;
    *apply = false;
    if (!zx_fusion_chosen(at->choice, site->rule) || zx_verdicts_refused(at->verdicts, site))
        return ZMLX_OK;
    return zx_verdicts_pays(at->verdicts, site->rule, match, at->tokens, apply);
}

/* Whether the chain at 'index' stands there before, measured at another shape. */
static bool is_repeated(const zx_measured_rules *chains, size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (strcmp(chains->items[i].rule, chains->items[index].rule) == 0) return true;
    return false;
}

/* Fuses for steps of so many tokens. */
static zmlx_status fuse(const zx_engine_options *options, const zx_verdicts *verdicts,
                        size_t tokens, zx_graph *graph)
{
    starter at = {options->choice, verdicts, tokens};
    zmlx_status status = zx_fuse_across_rows(graph, judge, &at);
    for (size_t i = 0; i < verdicts->chains.count && status == ZMLX_OK; i++) {
        if (is_repeated(&verdicts->chains, i)) continue;
        const zx_fusion_rule chain = zx_chain_rule(verdicts->chains.items[i].rule);
        status = zx_fuse_rule(&chain, graph, judge, &at);
    }
    return status == ZMLX_OK ? zx_fuse_rows(graph, judge, &at) : status;
}

/* A lowered copy, and what is known about it. */
static zmlx_status prepare(const zx_graph *traced, const zx_engine_options *options,
                           zx_graph *graph, zx_verdicts *verdicts)
{
    zx_verdicts_key key;
    *verdicts = (zx_verdicts){0};
    zmlx_status status = zx_graph_copy(traced, graph);
    if (status == ZMLX_OK) status = zx_lower_to_precision(graph, options->precision);
    if (status == ZMLX_OK && !options->no_fuse)
        status = zx_verdicts_key_of(graph, options->threads, &key);
    if (status == ZMLX_OK && !options->no_fuse) status = zx_verdicts_load(&key, verdicts);
    if (status != ZMLX_OK) zx_graph_fini(graph);
    return status;
}

zmlx_status zx_engine_graph(const zx_graph *traced, const zx_engine_options *options,
                            zx_graph *graph)
{
    const size_t tokens = options->limits.tokens > 0 ? options->limits.tokens : SIZE_MAX - 1;
    zx_verdicts verdicts;
    ZX_TRY(prepare(traced, options, graph, &verdicts));
    zmlx_status status = ZMLX_OK;
    if (!options->no_fuse) status = fuse(options, &verdicts, tokens, graph);
    zx_verdicts_fini(&verdicts);
    if (status != ZMLX_OK) zx_graph_fini(graph);
    return status;
}

/* Steps of 'tokens' begin a range; the list stays sorted.  Where it is full, the range joins its
 * neighbour: that costs time, not correctness. */
static void cut_at(size_t tokens, size_t most, size_t starts[ZX_MOST_VARIANTS], size_t *count)
{
    size_t i = 0;
    while (i < *count && starts[i] < tokens) i++;
    if (tokens > most || *count == ZX_MOST_VARIANTS || (i < *count && starts[i] == tokens)) return;
    for (size_t k = (*count)++; k > i; k--) starts[k] = starts[k - 1];
    starts[i] = tokens;
}

static void cut_range(zx_token_range range, size_t most, size_t starts[ZX_MOST_VARIANTS],
                      size_t *count)
{
    if (range.least > 1) cut_at(range.least, most, starts, count);
    if (range.most > 0) cut_at(range.most + 1, most, starts, count);
}

size_t zx_variant_starts(const zx_verdicts *verdicts, size_t most, size_t starts[ZX_MOST_VARIANTS])
{
    size_t count = 1;
    starts[0] = 1;
    for (size_t i = 0; i < zx_fusion_rule_count; i++)
        cut_range(zx_fusion_rules[i].guard, most, starts, &count);
    for (size_t i = 0; i < verdicts->rules.count; i++)
        cut_range(verdicts->rules.items[i].pays, most, starts, &count);
    for (size_t i = 0; i < verdicts->chains.count; i++)
        cut_range(verdicts->chains.items[i].pays, most, starts, &count);
    return count;
}

static zmlx_status add_variant(const zx_graph *lowered, const zx_engine_options *options,
                               const zx_verdicts *verdicts, size_t first, size_t most,
                               zx_variants *variants)
{
    zx_variant *const variant = &variants->items[variants->count];
    ZX_TRY(zx_graph_copy(lowered, &variant->graph));
    variant->most = most;
    variants->count++;
    return options->no_fuse ? ZMLX_OK : fuse(options, verdicts, first, &variant->graph);
}

zmlx_status zx_variants_init(const zx_graph *traced, const zx_engine_options *options,
                             zx_variants *variants)
{
    size_t starts[ZX_MOST_VARIANTS];
    zx_graph lowered;
    zx_verdicts verdicts;
    *variants = (zx_variants){0};
    ZX_TRY(prepare(traced, options, &lowered, &verdicts));
    size_t count = 1;
    starts[0] = 1;
    if (!options->no_fuse) count = zx_variant_starts(&verdicts, options->limits.tokens, starts);
    zmlx_status status = ZMLX_OK;
    for (size_t i = 0; i < count && status == ZMLX_OK; i++) {
        const size_t most = i + 1 < count ? starts[i + 1] - 1 : options->limits.tokens;
        status = add_variant(&lowered, options, &verdicts, starts[i], most, variants);
    }
    zx_graph_fini(&lowered);
    zx_verdicts_fini(&verdicts);
    if (status != ZMLX_OK) zx_variants_fini(variants);
    return status;
}

void zx_variants_fini(zx_variants *variants)
{
    for (size_t i = 0; i < variants->count; i++) {
        zx_plan_destroy(variants->items[i].plan);
        zx_graph_fini(&variants->items[i].graph);
    }
    *variants = (zx_variants){0};
}

static size_t least_of(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* A step has at most as many sequences and sampled rows as tokens. */
static zx_plan_limits limits_of(const zx_variant *variant, const zx_engine_options *options)
{
    return (zx_plan_limits){variant->most, least_of(variant->most, options->limits.sequences),
                            least_of(variant->most, options->limits.sampled_rows)};
}

zmlx_status zx_variants_plan_all(zx_variants *variants, const zx_engine_options *options,
                                 zx_pool *pool, const zx_kv_pages *kv)
{
    for (size_t i = 0; i < variants->count; i++) {
        zx_variant *const variant = &variants->items[i];
        const zx_plan_limits limits = limits_of(variant, options);
        ZX_TRY(zx_plan_create(&variant->graph, &limits, pool, kv, &variant->plan));
    }
    return ZMLX_OK;
}

zmlx_status zx_variants_bytes(const zx_variants *variants, const zx_engine_options *options,
                              zx_pool *pool, const zx_kv_pages *kv, size_t *bytes)
{
    *bytes = 0;
    for (size_t i = 0; i < variants->count; i++) {
        const zx_plan_limits limits = limits_of(&variants->items[i], options);
        size_t own = 0;
        ZX_TRY(zx_plan_bytes(&variants->items[i].graph, &limits, pool, kv, &own));
        if (!zx_add_fits(*bytes, own, bytes))
            return ZX_FAIL(ZMLX_ERROR_MEMORY, "activations exceed the address space");
    }
    return ZMLX_OK;
}

zx_plan *zx_variants_plan(const zx_variants *variants, size_t tokens)
{
    size_t i = 0;
    while (i + 1 < variants->count && variants->items[i].most < tokens) i++;
    return variants->items[i].plan;
}
