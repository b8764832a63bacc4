/* discover_test.c - a wrong rule is caught and described, right ones agree, and what was refused is
 * honoured later. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/facts.h"
#include "base/test.h"
#include "engine/discover.h"
#include "engine/engine.h"
#include "engine/variants.h"
#include "fuse/chains.h"

enum { WIDTH = 64 };

static float weights[WIDTH * WIDTH];

static const zx_weight square = {.format = ZX_FORMAT_F32,
                                 .dtype = ZX_F32,
                                 .bits = 32,
                                 .group = 1,
                                 .count = 1,
                                 .rows = WIDTH,
                                 .columns = WIDTH,
                                 .codes = (const uint8_t *)weights,
                                 .codes_stride = WIDTH * sizeof(float)};
static const zx_weight vector = {.format = ZX_FORMAT_F32,
                                 .dtype = ZX_F32,
                                 .bits = 32,
                                 .group = 1,
                                 .count = 1,
                                 .rows = 1,
                                 .columns = WIDTH,
                                 .codes = (const uint8_t *)weights,
                                 .codes_stride = WIDTH * sizeof(float)};

/* y = norm(a W + a), traced in one module; false where memory ran out. */
static bool trace(zx_graph *graph, zx_value *sum)
{
    static const zx_attributes norm = {.epsilon = 1e-5F}, embed = {.dtype = ZX_F32};
    zx_value ids, matrix, scales, x, product;
    for (size_t i = 0; i < WIDTH * WIDTH; i++) weights[i] = (float)zx_test_uniform() - 0.5F;
    return zx_graph_enter(graph, "model.layers.3") == ZMLX_OK &&
           zx_graph_input(graph, &ids) == ZMLX_OK &&
           zx_graph_weight(graph, "w", &square, &matrix) == ZMLX_OK &&
           zx_graph_weight(graph, "n", &vector, &scales) == ZMLX_OK &&
           zx_graph_add(graph, ZX_OP_EMBED, (zx_value[]){ids, matrix}, &embed, &x) == ZMLX_OK &&
           zx_graph_add(graph, ZX_OP_MATMUL, (zx_value[]){x, matrix}, NULL, &product) == ZMLX_OK &&
           zx_graph_add(graph, ZX_OP_ADD, (zx_value[]){product, x}, NULL, sum) == ZMLX_OK &&
           zx_graph_add(graph, ZX_OP_RMSNORM, (zx_value[]){*sum, scales}, &norm, &graph->output) ==
               ZMLX_OK;
}

TEST(verify_catches_a_rule_that_is_wrong)
{
    static const zx_fusion_rule wrong = {"wrong", "(add ?a ?b)", ZX_OP_MUL, ZX_EXACT, "",
                                         0,       ZX_EVERY_STEP};
    static const zx_fusion_rule right = {
        "right", "(rmsnorm !sum(add ?a ?b) ?w)", ZX_OP_ADD_RMSNORM, ZX_EXACT, "", 0, ZX_EVERY_STEP};
    char wrong_reason[ZX_REASON_BYTES] = "", right_reason[ZX_REASON_BYTES] = "";
    const zx_verifier verifier = {.kv_dtype = ZX_F32, .seed = 7};
    zx_graph graph = {0};
    zx_value sum;
    zx_match match;
    bool ran = trace(&graph, &sum) && zx_fusion_match(&wrong, &graph, sum.node, &match) &&
               zx_verify_match(&verifier, &wrong, &match, wrong_reason) == ZMLX_OK;
    ran = ran && zx_fusion_match(&right, &graph, graph.output.node, &match) &&
          zx_verify_match(&verifier, &right, &match, right_reason) == ZMLX_OK;
    zx_graph_fini(&graph);
    CHECK(ran);
    CHECK(strstr(wrong_reason,
                 "add differs with random values, seed 7, 1 tokens: first at token 0, "
                 "column 0: unfused ") == wrong_reason);
    CHECK_ON(right_reason, *right_reason == '\0');
}

TEST(verify_holds_close_rules_to_their_bound)
{
    /* 'a - nothing' for 'a': the same values, and half of them for the second */
    static const zx_attributes half = {.scale = 0.5F};
    zx_fusion_rule close = {"close", "(scale ?a)", ZX_OP_SOFTCAP, ZX_CLOSE, "", 0.6, ZX_EVERY_STEP};
    char within[ZX_REASON_BYTES] = "", beyond[ZX_REASON_BYTES] = "";
    const zx_verifier verifier = {.kv_dtype = ZX_F32};
    zx_graph graph = {0};
    zx_value sum, scaled;
    zx_match match;
    bool ran = trace(&graph, &sum) &&
               zx_graph_add(&graph, ZX_OP_SCALE, &sum, &half, &scaled) == ZMLX_OK &&
               zx_fusion_match(&close, &graph, scaled.node, &match);
    match.attributes.limit = 1e30F; /* a soft cap that high is the value itself */
    ran = ran && zx_verify_match(&verifier, &close, &match, beyond) == ZMLX_OK;
    close.bound = 1.1;
    ran = ran && zx_verify_match(&verifier, &close, &match, within) == ZMLX_OK;
    zx_graph_fini(&graph);
    CHECK(ran);
    CHECK_ON(beyond, *beyond != '\0');
    CHECK_ON(within, *within == '\0');
}

static const zx_found_site *site_of(const zx_discovery *discovery, const char *rule)
{
    for (size_t i = 0; i < discovery->count; i++)
        if (strcmp(discovery->sites[i].site.rule->name, rule) == 0) return &discovery->sites[i];
    return NULL;
}

TEST(discovery_lists_sites_with_verdicts)
{
    static const char *const left_out[] = {"matmul_residual", NULL};
    const zx_fusion_choice choice = {.exclude = left_out};
    const zx_verifier verifier = {.kv_dtype = ZX_F32};
    zx_graph graph = {0};
    zx_value sum;
    zx_discovery all = {0}, some = {0};
    CHECK(trace(&graph, &sum));
    zmlx_status status =
        zx_discover(&graph, ZX_PRECISION_F32, NULL, ZX_DISCOVER_LIST, &verifier, &all);
    if (status == ZMLX_OK)
        status = zx_discover(&graph, ZX_PRECISION_F32, &choice, ZX_DISCOVER_LIST, &verifier, &some);
    zx_graph_fini(&graph);
    const zx_found_site *residual = site_of(&all, "matmul_residual");
    const bool applied = residual != NULL && residual->verdict == ZX_VERDICT_APPLIED &&
                         strcmp(residual->site.where, "model.layers.3") == 0 &&
                         residual->site.bytes_saved == 2 * WIDTH * (int64_t)sizeof(float);
    const zx_found_site *off = site_of(&some, "matmul_residual");
    const zx_found_site *instead = site_of(&some, "residual_norm");
    const bool left = off != NULL && off->verdict == ZX_VERDICT_OFF &&
                      strcmp(off->reason, "left out by name") == 0 && instead != NULL &&
                      instead->verdict == ZX_VERDICT_APPLIED;
    zx_discovery_fini(&all);
    zx_discovery_fini(&some);
    CHECK(status == ZMLX_OK);
    CHECK(applied && left);
}

/* y = norm(softcap(scale(x W)) + x): four row-wise ops that no rule takes together. */
static bool trace_chain(zx_graph *graph)
{
    static const zx_attributes norm = {.epsilon = 1e-5F}, embed = {.dtype = ZX_F32};
    static const zx_attributes cap = {.limit = 3}, half = {.scale = 0.5F};
    zx_value ids, matrix, scales, x, y;
    for (size_t i = 0; i < WIDTH * WIDTH; i++) weights[i] = (float)zx_test_uniform() - 0.5F;
    return zx_graph_enter(graph, "model") == ZMLX_OK && zx_graph_input(graph, &ids) == ZMLX_OK &&
           zx_graph_weight(graph, "w", &square, &matrix) == ZMLX_OK &&
           zx_graph_weight(graph, "n", &vector, &scales) == ZMLX_OK &&
           zx_graph_add(graph, ZX_OP_EMBED, (zx_value[]){ids, matrix}, &embed, &x) == ZMLX_OK &&
           zx_graph_add(graph, ZX_OP_MATMUL, (zx_value[]){x, matrix}, NULL, &y) == ZMLX_OK &&
           zx_graph_add(graph, ZX_OP_SCALE, &y, &half, &y) == ZMLX_OK &&
           zx_graph_add(graph, ZX_OP_SOFTCAP, &y, &cap, &y) == ZMLX_OK &&
           zx_graph_add(graph, ZX_OP_ADD, (zx_value[]){y, x}, NULL, &y) == ZMLX_OK &&
           zx_graph_add(graph, ZX_OP_RMSNORM, (zx_value[]){y, scales}, &norm, &graph->output) ==
               ZMLX_OK;
}

static const char chain_pattern[] = "(rmsnorm (add (softcap (scale ?a)) ?b) ?c)";

TEST(chains_are_proposed_and_agree)
{
    zx_chain_proposals proposals = {0};
    zx_discovery found = {0};
    const zx_verifier verifier = {.kv_dtype = ZX_F32};
    zx_graph graph = {0};
    CHECK(trace_chain(&graph));
    zmlx_status status = zx_chains_propose(&graph, &proposals);
    const bool proposed = status == ZMLX_OK && proposals.count == 1 &&
                          strcmp(proposals.items[0].pattern, chain_pattern) == 0 &&
                          proposals.items[0].launches_saved == 3 &&
                          proposals.items[0].bytes_saved == 6 * WIDTH * (int64_t)sizeof(float);
    zx_chain_proposals_fini(&proposals);
    if (status == ZMLX_OK)
        status = zx_discover(&graph, ZX_PRECISION_F32, NULL, ZX_DISCOVER_LIST, &verifier, &found);
    const zx_found_site *chain = site_of(&found, "chain");
    const bool agrees = chain != NULL && chain->verdict == ZX_VERDICT_OFF &&
                        strstr(chain->reason, "not measured") == chain->reason;
    zx_discovery_fini(&found);
    zx_graph_fini(&graph);
    CHECK(status == ZMLX_OK);
    CHECK(proposed);
    CHECK(agrees);
}

static bool holds_op(const zx_graph *graph, zx_op op)
{
    for (const zx_node *node = graph->first; node != NULL; node = node->next)
        if (node->op == op) return true;
    return false;
}

/* The store in a folder of its own, until it is closed. */
typedef struct own_store {
    char folder[40], path[64], before[256];
} own_store;

static bool open_store(own_store *store)
{
    const char *before = getenv("ZMLX_STORE");
    (void)snprintf(store->before, sizeof store->before, "%s", before != NULL ? before : "");
    (void)snprintf(store->folder, sizeof store->folder, "/tmp/zmlx-verdicts-XXXXXX");
    if (mkdtemp(store->folder) == NULL) return false;
    (void)snprintf(store->path, sizeof store->path, "%s/facts.sqlite", store->folder);
    return setenv("ZMLX_STORE", store->path, 1) == 0;
}

static void close_store(const own_store *store)
{
    (void)setenv("ZMLX_STORE", store->before, 1);
    (void)unlink(store->path);
    (void)rmdir(store->folder);
}

static const zx_verdicts_key other_graph = {42, 1};

static zmlx_status key_of(const zx_graph *traced, size_t threads, zx_verdicts_key *key)
{
    zx_graph lowered = {0};
    zmlx_status status = zx_graph_copy(traced, &lowered);
    if (status == ZMLX_OK) status = zx_graph_sort(&lowered);
    if (status == ZMLX_OK) status = zx_verdicts_key_of(&lowered, threads, key);
    zx_graph_fini(&lowered);
    return status;
}

static const zx_fusion_rule *rule_named(const char *name)
{
    size_t i = 0;
    while (i + 1 < zx_fusion_rule_count && strcmp(zx_fusion_rules[i].name, name) != 0) i++;
    return &zx_fusion_rules[i];
}

/* Keeps, as measured with so many threads, that the rule pays for those steps where its match is
 * like the first one of the graph. */
static zmlx_status keep_range(zx_graph *traced, const zx_fusion_rule *rule, size_t threads,
                              zx_token_range pays)
{
    const bool chain = rule->fused == ZX_OP_CHAIN;
    zx_measured_rule measured = {chain ? rule->pattern : rule->name, 0, pays, {0.25, 3, 3, 3}};
    zx_verdicts verdicts = {0};
    zx_verdicts_key key;
    zx_match match;
    zx_node *node = traced->first;
    while (node != NULL && !zx_fusion_match(rule, traced, node, &match)) node = node->next;
    zmlx_status status = node != NULL ? key_of(traced, threads, &key) : ZMLX_ERROR_ARGUMENT;
    if (status == ZMLX_OK) status = zx_fusion_shape(&match, &measured.shape);
    if (status == ZMLX_OK) status = zx_verdicts_measured(&verdicts, rule, &measured);
    if (status == ZMLX_OK) status = zx_verdicts_save(&key, &verdicts);
    zx_verdicts_fini(&verdicts);
    return status;
}

TEST(stored_refusals_are_honoured_and_forgotten)
{
    own_store store;
    const zx_fusion_site site = {.rule = &zx_fusion_rules[0], .where = "model.layers.3"};
    zx_verdicts verdicts = {0}, loaded = {0}, forgotten = {0};
    zx_verdicts_key threads = other_graph;
    threads.threads = 7; /* a refusal holds whatever the threads */
    CHECK(open_store(&store));
    zmlx_status status = zx_verdicts_refuse(&verdicts, &site);
    if (status == ZMLX_OK) status = zx_verdicts_save(&other_graph, &verdicts);
    if (status == ZMLX_OK) status = zx_verdicts_load(&threads, &loaded);
    const bool honoured = zx_verdicts_refused(&loaded, &site);
    zx_fusion_site other = site;
    other.where = "model.layers.4";
    const bool only_there = !zx_verdicts_refused(&loaded, &other);
    if (status == ZMLX_OK) status = zx_verdicts_forget(&other_graph);
    if (status == ZMLX_OK) status = zx_verdicts_load(&other_graph, &forgotten);
    const bool gone = !zx_verdicts_refused(&forgotten, &site);
    close_store(&store);
    zx_verdicts_fini(&verdicts);
    zx_verdicts_fini(&loaded);
    zx_verdicts_fini(&forgotten);
    CHECK(status == ZMLX_OK);
    CHECK(honoured && only_there && gone);
}

/* A chain that was found to be faster is in the graph that an engine runs. */
TEST(a_stored_chain_is_used)
{
    own_store store;
    zx_graph traced = {0}, run = {0};
    const zx_engine_options options = {.precision = ZX_PRECISION_F32, .threads = 1};
    const zx_fusion_rule chain = zx_chain_rule(chain_pattern);
    CHECK(open_store(&store));
    zmlx_status status = trace_chain(&traced) ? ZMLX_OK : ZMLX_ERROR_MEMORY;
    if (status == ZMLX_OK) status = keep_range(&traced, &chain, 1, (zx_token_range)ZX_EVERY_STEP);
    if (status == ZMLX_OK) status = zx_engine_graph(&traced, &options, &run);
    const bool used = holds_op(&run, ZX_OP_CHAIN) && !holds_op(&run, ZX_OP_RMSNORM);
    zx_graph_fini(&traced);
    zx_graph_fini(&run);
    close_store(&store);
    CHECK(status == ZMLX_OK);
    CHECK(used);
}

/* y = a W + a, twice, and once more at twice the width. */
static bool trace_shapes(zx_graph *graph)
{
    static float wide[4 * WIDTH * WIDTH];
    static zx_weight larger, wider;
    static const zx_attributes embed = {.dtype = ZX_F32};
    zx_value ids, matrix, widen, last, x, y;
    larger = wider = square;
    wider.codes = larger.codes = (const uint8_t *)wide;
    wider.rows = larger.rows = 2 * WIDTH;
    larger.columns = 2 * WIDTH;
    larger.codes_stride = 2 * WIDTH * sizeof(float);
    for (size_t i = 0; i < WIDTH * WIDTH; i++) weights[i] = (float)zx_test_uniform() - 0.5F;
    for (size_t i = 0; i < 4 * WIDTH * WIDTH; i++) wide[i] = (float)zx_test_uniform() - 0.5F;
    bool made = zx_graph_input(graph, &ids) == ZMLX_OK &&
                zx_graph_weight(graph, "w", &square, &matrix) == ZMLX_OK &&
                zx_graph_weight(graph, "v", &wider, &widen) == ZMLX_OK &&
                zx_graph_weight(graph, "l", &larger, &last) == ZMLX_OK &&
                zx_graph_add(graph, ZX_OP_EMBED, (zx_value[]){ids, matrix}, &embed, &x) == ZMLX_OK;
    for (int layer = 0; made && layer < 3; layer++) {
        const zx_value weight = layer < 2 ? matrix : last;
        made = zx_graph_enter(graph, "model.layers.%d", layer) == ZMLX_OK &&
               (layer < 2 ||
                zx_graph_add(graph, ZX_OP_MATMUL, (zx_value[]){x, widen}, NULL, &x) == ZMLX_OK) &&
               zx_graph_add(graph, ZX_OP_MATMUL, (zx_value[]){x, weight}, NULL, &y) == ZMLX_OK &&
               zx_graph_add(graph, ZX_OP_ADD, (zx_value[]){y, x}, NULL, &x) == ZMLX_OK;
    }
    graph->output = x;
    return made;
}

static size_t count_op(const zx_graph *graph, zx_op op)
{
    size_t count = 0;
    for (const zx_node *node = graph->first; node != NULL; node = node->next)
        count += node->op == op;
    return count;
}

TEST(what_was_measured_holds_for_its_shape_and_threads)
{
    static const size_t threads[] = {1, 2}, fused[] = {1, 3};
    own_store store;
    zx_graph traced = {0};
    CHECK(open_store(&store));
    zmlx_status status = trace_shapes(&traced) ? ZMLX_OK : ZMLX_ERROR_MEMORY;
    if (status == ZMLX_OK)
        status = keep_range(&traced, rule_named("matmul_residual"), 1, (zx_token_range)ZX_NO_STEP);
    bool right = true;
    for (size_t i = 0; status == ZMLX_OK && i < 2; i++) {
        const zx_engine_options options = {.precision = ZX_PRECISION_F32, .threads = threads[i]};
        zx_graph run = {0};
        status = zx_engine_graph(&traced, &options, &run);
        right = right && count_op(&run, ZX_OP_MATMUL_ADD) == fused[i];
        zx_graph_fini(&run);
    }
    zx_graph_fini(&traced);
    close_store(&store);
    CHECK(status == ZMLX_OK);
    CHECK(right);
}

static const zx_found_site *site_in(const zx_discovery *discovery, const char *where)
{
    for (size_t i = 0; i < discovery->count; i++)
        if (strcmp(discovery->sites[i].site.where, where) == 0) return &discovery->sites[i];
    return NULL;
}

/* The first shape was measured before, and its verdict stays; the second is measured now. */
TEST(every_shape_is_measured_once_and_for_all)
{
    const zx_verifier verifier = {.kv_dtype = ZX_F32};
    own_store store;
    zx_graph traced = {0};
    zx_discovery found = {0}, again = {0};
    CHECK(open_store(&store));
    zmlx_status status = trace_shapes(&traced) ? ZMLX_OK : ZMLX_ERROR_MEMORY;
    if (status == ZMLX_OK)
        status = keep_range(&traced, rule_named("matmul_residual"), 1, (zx_token_range){8, 63});
    if (status == ZMLX_OK)
        status = zx_discover(&traced, ZX_PRECISION_F32, NULL, ZX_DISCOVER_APPLY, &verifier, &found);
    if (status == ZMLX_OK) status = zx_discovery_save(&found);
    if (status == ZMLX_OK)
        status = zx_discover(&traced, ZX_PRECISION_F32, NULL, ZX_DISCOVER_LIST, &verifier, &again);
    bool right = found.measured.rules.count == 2 && again.measured.rules.count == 2 &&
                 found.count == again.count && found.count >= 3;
    for (int layer = 0; right && layer < 2; layer++) {
        const zx_found_site *site =
            site_in(&found, layer == 0 ? "model.layers.0" : "model.layers.1");
        right = site != NULL && site->verdict == ZX_VERDICT_APPLIED && site->pays.least == 8 &&
                site->pays.most == 63;
    }
    for (size_t i = 0; right && i < found.count; i++)
        right = found.sites[i].verdict == again.sites[i].verdict &&
                found.sites[i].pays.least == again.sites[i].pays.least &&
                found.sites[i].pays.most == again.sites[i].pays.most &&
                strcmp(found.sites[i].reason, again.sites[i].reason) == 0;
    zx_discovery_fini(&found);
    zx_discovery_fini(&again);
    zx_graph_fini(&traced);
    close_store(&store);
    CHECK(status == ZMLX_OK);
    CHECK(right);
}

/* The first form had neither threads nor shape; it is neither a measure nor a refusal. */
TEST(what_the_first_form_measured_is_passed_over)
{
    own_store store;
    zx_facts *facts = NULL;
    zx_verdicts loaded = {0};
    CHECK(open_store(&store));
    zmlx_status status = zx_facts_open(store.path, true, &facts);
    if (status == ZMLX_OK)
        status = zx_facts_put(facts, "fusion verdicts", "000000000000002a/pays/0000", "8 63 glu");
    if (status == ZMLX_OK)
        status = zx_facts_put(facts, "fusion verdicts", "000000000000002a/use/0000", "0 0 (add)");
    if (status == ZMLX_OK)
        status = zx_facts_put(facts, "fusion verdicts", "000000000000002a/glu/mlp", "refused");
    if (status == ZMLX_OK)
        status = zx_facts_put(facts, "fusion measures 2", "000000000000002a/1/rule/0", "8 x glu");
    zx_facts_close(facts);
    if (status == ZMLX_OK) status = zx_verdicts_load(&other_graph, &loaded);
    const bool right =
        loaded.rules.count == 0 && loaded.chains.count == 0 && loaded.refused.count == 1 &&
        zx_verdicts_refused(&loaded, &(zx_fusion_site){.rule = rule_named("glu"), .where = "mlp"});
    zx_verdicts_fini(&loaded);
    close_store(&store);
    CHECK(status == ZMLX_OK);
    CHECK(right);
}

TEST(a_rule_runs_in_the_steps_for_which_it_pays)
{
    static const size_t sizes[] = {1, 7, 8, 63, 64, 256}, of[] = {0, 0, 1, 1, 2, 2};
    const zx_engine_options options = {
        .precision = ZX_PRECISION_F32, .threads = 1, .limits = {256, 2, 4}};
    const zx_kv_pages pages = {0};
    own_store store;
    zx_graph traced = {0};
    zx_value sum;
    zx_variants variants = {0};
    size_t bytes = 0, sized = 0;
    CHECK(open_store(&store));
    zmlx_status status = trace(&traced, &sum) ? ZMLX_OK : ZMLX_ERROR_MEMORY;
    if (status == ZMLX_OK)
        status = keep_range(&traced, rule_named("matmul_residual"), 1, (zx_token_range){8, 63});
    if (status == ZMLX_OK) status = zx_variants_init(&traced, &options, &variants);
    if (status == ZMLX_OK) status = zx_variants_plan_all(&variants, &options, NULL, &pages);
    if (status == ZMLX_OK) status = zx_variants_bytes(&variants, &options, NULL, &pages, &bytes);
    bool right = status == ZMLX_OK && variants.count == 3;
    for (size_t i = 0; right && i < 3; i++) {
        right = holds_op(&variants.items[i].graph, ZX_OP_MATMUL_ADD) == (i == 1);
        sized += zx_plan_memory(variants.items[i].plan);
    }
    for (size_t i = 0; right && i < 6; i++)
        right = zx_variants_plan(&variants, sizes[i]) == variants.items[of[i]].plan;
    zx_variants_fini(&variants);
    zx_graph_fini(&traced);
    close_store(&store);
    CHECK(status == ZMLX_OK);
    CHECK(right && bytes == sized);
}

/* What is measured is not the same in every run; that it is measured, kept and honoured is. */
TEST(applying_measures_every_rule_once)
{
    const zx_verifier verifier = {.kv_dtype = ZX_F32};
    zx_graph graph = {0};
    zx_value sum;
    zx_discovery found = {0};
    CHECK(trace(&graph, &sum));
    const zmlx_status status =
        zx_discover(&graph, ZX_PRECISION_F32, NULL, ZX_DISCOVER_APPLY, &verifier, &found);
    zx_graph_fini(&graph);
    const zx_found_site *site = site_of(&found, "matmul_residual");
    const zx_measured_rules *rules = &found.measured.rules;
    bool kept =
        site != NULL && rules->count > 0 && strcmp(rules->items[0].rule, "matmul_residual") == 0;
    if (kept && site->verdict == ZX_VERDICT_APPLIED)
        kept = site->pays.least == rules->items[0].pays.least &&
               site->pays.most == rules->items[0].pays.most;
    else if (kept)
        kept = strstr(site->reason, "measured: ") == site->reason;
    zx_discovery_fini(&found);
    CHECK(status == ZMLX_OK);
    CHECK(kept);
}

/* Whatever was measured, sessions run nothing that discovery has not verified. */
TEST(every_fused_op_of_every_variant_was_discovered)
{
    const zx_engine_options options = {
        .precision = ZX_PRECISION_F32, .threads = 1, .limits = {512, 1, 1}};
    const zx_verifier verifier = {.kv_dtype = ZX_F32};
    own_store store;
    zx_graph graph = {0};
    zx_value sum;
    zx_discovery found = {0};
    zx_variants variants = {0};
    CHECK(open_store(&store));
    zmlx_status status = trace(&graph, &sum) ? ZMLX_OK : ZMLX_ERROR_MEMORY;
    if (status == ZMLX_OK)
        status = zx_discover(&graph, ZX_PRECISION_F32, NULL, ZX_DISCOVER_APPLY, &verifier, &found);
    if (status == ZMLX_OK) status = zx_discovery_save(&found);
    if (status == ZMLX_OK) status = zx_variants_init(&graph, &options, &variants);
    bool seen = status == ZMLX_OK;
    for (size_t i = 0; seen && i < variants.count; i++)
        for (const zx_node *node = variants.items[i].graph.first; seen && node; node = node->next) {
            seen = node->op < ZX_OP_CHAIN;
            for (size_t k = 0; !seen && k < found.count; k++)
                seen = found.sites[k].site.rule->fused == node->op;
        }
    zx_variants_fini(&variants);
    zx_discovery_fini(&found);
    zx_graph_fini(&graph);
    close_store(&store);
    CHECK(status == ZMLX_OK);
    CHECK(seen);
}
