/* fusion.c - discovery and choice of fusion rules, for the public API. */
#include "zmlx/fusion.h"

#include <string.h>

#include "base/cores.h"
#include "base/fail.h"
#include "base/memory.h"
#include "engine/discover.h"
#include "engine/lower.h"
#include "model/choices.h"
#include "model/model.h"

struct zmlx_discovery {
    zx_discovery found;
};

static bool is_rule(const char *name)
{
    for (size_t i = 0; i < zx_fusion_rule_count; i++)
        if (strcmp(zx_fusion_rules[i].name, name) == 0) return true;
    return false;
}

static zmlx_status check_names(const char *const *names)
{
    for (size_t i = 0; names != NULL && names[i] != NULL; i++)
        if (!is_rule(names[i]))
            return ZX_FAIL(ZMLX_ERROR_ARGUMENT,
                           "no fusion rule is called '%.40s'; 'zmlx patterns' lists them",
                           names[i]);
    return ZMLX_OK;
}

/* What sessions keep keys and values in by default. */
static zx_dtype kv_dtype(const zmlx_model *model, zx_precision precision)
{
    return model->dtype != ZX_F32 || precision == ZX_PRECISION_F32 ? model->dtype : ZX_F16;
}

static zmlx_status discover(const zmlx_model *model, const zmlx_discover_options *options,
                            zx_discovery *found)
{
    zx_precision precision;
    const bool named = options->include != NULL || options->exclude != NULL;
    const zx_fusion_choice own = {options->include, options->exclude};
    const size_t threads = options->threads > 0 ? options->threads : zx_usable_cores();
    zx_verifier verifier = {.layers = &model->layers, .seed = options->seed};
    ZX_TRY(zx_choose_precision(options->precision, &precision));
    verifier.kv_dtype = kv_dtype(model, precision);
    ZX_TRY(zx_pool_create(threads, &verifier.pool));
    zmlx_status status = zx_checkpoint_make(model->checkpoint, threads);
    if (status == ZMLX_OK)
        status =
            zx_discover(&model->graph, precision, named ? &own : zx_model_choice(model),
                        options->apply ? ZX_DISCOVER_APPLY : ZX_DISCOVER_LIST, &verifier, found);
    zx_pool_destroy(verifier.pool);
    if (status == ZMLX_OK && options->keep) status = zx_discovery_save(found);
    return status;
}

zmlx_status zmlx_discover(const zmlx_model *model, const zmlx_discover_options *options,
                          zmlx_discovery **discovery)
{
    static const zmlx_discover_options defaults;
    void *memory = NULL;
    if (options == NULL) options = &defaults;
    ZX_TRY(check_names(options->include));
    ZX_TRY(check_names(options->exclude));
    ZX_TRY(zx_alloc(sizeof(zmlx_discovery), "discovery", &memory));
    zmlx_discovery *const fresh = memory;
    const zmlx_status status = discover(model, options, &fresh->found);
    if (status == ZMLX_OK)
        *discovery = fresh;
    else
        zmlx_discovery_close(fresh);
    return status;
}

size_t zmlx_discovery_count(const zmlx_discovery *discovery)
{
    return discovery->found.count;
}

zmlx_status zmlx_discovery_site(const zmlx_discovery *discovery, size_t index,
                                zmlx_fusion_site *site)
{
    static const zmlx_fusion_verdict verdicts[] = {[ZX_VERDICT_APPLIED] = ZMLX_FUSION_APPLIED,
                                                   [ZX_VERDICT_REFUSED] = ZMLX_FUSION_REFUSED,
                                                   [ZX_VERDICT_OFF] = ZMLX_FUSION_OFF};
    if (index >= discovery->found.count)
        return ZX_FAIL(ZMLX_ERROR_ARGUMENT, "no fusion site %zu; there are %zu", index,
                       discovery->found.count);
    const zx_found_site *found = &discovery->found.sites[index];
    *site = (zmlx_fusion_site){.rule = found->site.rule->name,
                               .pattern = found->site.rule->pattern,
                               .where = found->site.where,
                               .verdict = verdicts[found->verdict],
                               .reason = found->reason,
                               .least_tokens = found->pays.least,
                               .most_tokens = found->pays.most,
                               .bytes_saved = found->site.bytes_saved};
    return ZMLX_OK;
}

void zmlx_discovery_close(zmlx_discovery *discovery)
{
    if (discovery == NULL) return;
    zx_discovery_fini(&discovery->found);
    zx_free(discovery);
}

zmlx_status zmlx_discover_forget(const zmlx_model *model, zmlx_precision precision)
{
    zx_graph graph = {0};
    zx_verdicts_key key;
    zx_precision how;
    ZX_TRY(zx_choose_precision(precision, &how));
    zmlx_status status = zx_graph_copy(&model->graph, &graph);
    if (status == ZMLX_OK) status = zx_lower_to_precision(&graph, how);
    if (status == ZMLX_OK) status = zx_verdicts_key_of(&graph, 0, &key);
    zx_graph_fini(&graph);
    return status == ZMLX_OK ? zx_verdicts_forget(&key) : status;
}

static zmlx_status copy_names(zx_arena *arena, const char *const *names, const char *const **copied)
{
    size_t count = 0;
    void *memory = NULL;
    *copied = NULL;
    if (names == NULL) return ZMLX_OK;
    while (names[count] != NULL) count++;
    ZX_TRY(zx_arena_alloc(arena, (count + 1) * sizeof(char *), &memory));
    const char **const list = memory;
    for (size_t i = 0; i < count; i++) {
        const size_t bytes = strlen(names[i]) + 1;
        ZX_TRY(zx_arena_alloc(arena, bytes, &memory));
        list[i] = memcpy(memory, names[i], bytes);
    }
    list[count] = NULL;
    *copied = list;
    return ZMLX_OK;
}

zmlx_status zmlx_fuse(zmlx_model *model, const char *const *include, const char *const *exclude)
{
    zx_arena arena = {0};
    zx_fusion_choice choice = {0};
    ZX_TRY(check_names(include));
    ZX_TRY(check_names(exclude));
    zmlx_status status = copy_names(&arena, include, &choice.include);
    if (status == ZMLX_OK) status = copy_names(&arena, exclude, &choice.exclude);
    if (status != ZMLX_OK) {
        zx_arena_reset(&arena);
        return status;
    }
    zx_arena_reset(&model->choice_arena);
    model->choice_arena = arena;
    model->choice = choice;
    model->chosen = include != NULL || exclude != NULL;
    model->unfused = false;
    return ZMLX_OK;
}

void zmlx_unfuse(zmlx_model *model)
{
    model->unfused = true;
}

const zx_fusion_choice *zx_model_choice(const zmlx_model *model)
{
    return model->chosen ? &model->choice : NULL;
}
