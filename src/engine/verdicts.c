#include "engine/verdicts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "base/facts.h"
#include "base/fail.h"
#include "base/memory.h"
#include "zmlx/runtime.h"

enum { KEY_BYTES = 64, SITE_BYTES = 384 };

const size_t zx_measured_sizes[ZX_MEASURED_SIZES] = {1, 8, 64, 256};

/* Refusals: "GRAPH/RULE/WHERE". */
static const char refusals[] = "fusion verdicts";
/* "GRAPH/THREADS/rule/NUMBER" or ".../chain/...": "LEAST MOST SHAPE GAIN GAIN GAIN GAIN TEXT", the
 * text a rule's name or a chain's pattern.  The number in the name is the form's. */
static const char measures[] = "fusion measures 2";
/* What the first form kept among the refusals, without threads and shape: passed over. */
static const char *const former[] = {"/use/", "/pays/"};

static bool holds(const char *const *names, const char *name)
{
    for (size_t i = 0; names[i] != NULL; i++)
        if (strcmp(names[i], name) == 0) return true;
    return false;
}

bool zx_fusion_chosen(const zx_fusion_choice *choice, const zx_fusion_rule *rule)
{
    if (choice == NULL) return rule->fidelity == ZX_EXACT;
    if (choice->exclude != NULL && holds(choice->exclude, rule->name)) return false;
    if (choice->include != NULL) return holds(choice->include, rule->name);
    return rule->fidelity == ZX_EXACT;
}

zmlx_status zx_verdicts_key_of(const zx_graph *graph, size_t threads, zx_verdicts_key *key)
{
    const uint32_t features = zx_cpu_features();
    const char *version = zmlx_version();
    *key = (zx_verdicts_key){.threads = threads};
    ZX_TRY(zx_graph_fingerprint(graph, &key->graph));
    key->graph = zx_hash(&features, sizeof features, key->graph);
    key->graph = zx_hash(version, strlen(version), key->graph);
    return ZMLX_OK;
}

static void site_text(const zx_fusion_site *site, char text[SITE_BYTES])
{
    (void)snprintf(text, SITE_BYTES, "%s/%s", site->rule->name, site->where);
}

static void graph_prefix(const zx_verdicts_key *key, char text[KEY_BYTES])
{
    (void)snprintf(text, KEY_BYTES, "%016llx/", (unsigned long long)key->graph);
}

static void measures_prefix(const zx_verdicts_key *key, const char *kind, char text[KEY_BYTES])
{
    (void)snprintf(text, KEY_BYTES, "%016llx/%zu/%s", (unsigned long long)key->graph, key->threads,
                   kind);
}

static zmlx_status copy_text(zx_verdicts *verdicts, const char *text, const char **copy)
{
    const size_t bytes = strlen(text) + 1;
    void *memory = NULL;
    ZX_TRY(zx_arena_alloc(&verdicts->arena, bytes, &memory));
    *copy = memcpy(memory, text, bytes);
    return ZMLX_OK;
}

static zmlx_status insert(zx_verdicts *verdicts, const char *site)
{
    const char *copy = NULL;
    bool added = false;
    ZX_TRY(copy_text(verdicts, site, &copy));
    return zx_table_insert(&verdicts->refused, copy, strlen(copy), 0, &added);
}

static zmlx_status add(zx_verdicts *verdicts, zx_measured_rules *list,
                       const zx_measured_rule *measured)
{
    const char *copy = NULL;
    ZX_TRY(copy_text(verdicts, measured->rule, &copy));
    ZX_TRY(zx_grow(&list->items, &list->capacity, list->count + 1, sizeof *list->items,
                   "measured rules"));
    zx_measured_rule *const item = &list->items[list->count++];
    *item = *measured;
    item->rule = copy;
    return ZMLX_OK;
}

zmlx_status zx_verdicts_measured(zx_verdicts *verdicts, const zx_fusion_rule *rule,
                                 const zx_measured_rule *measured)
{
    const bool chain = rule->fused == ZX_OP_CHAIN;
    return add(verdicts, chain ? &verdicts->chains : &verdicts->rules, measured);
}

const zx_measured_rule *zx_verdicts_find(const zx_verdicts *verdicts, const zx_fusion_rule *rule,
                                         uint64_t shape)
{
    const bool chain = rule->fused == ZX_OP_CHAIN;
    const zx_measured_rules *list = chain ? &verdicts->chains : &verdicts->rules;
    const char *name = chain ? rule->pattern : rule->name;
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].shape == shape && strcmp(list->items[i].rule, name) == 0)
            return &list->items[i];
    return NULL;
}

zmlx_status zx_verdicts_pays(const zx_verdicts *verdicts, const zx_fusion_rule *rule,
                             const zx_match *match, size_t tokens, bool *pays)
{
    const bool chain = rule->fused == ZX_OP_CHAIN;
    uint64_t shape = 0;
    *pays = zx_tokens_within(rule->guard, tokens) && !chain;
    if (verdicts->rules.count + verdicts->chains.count == 0) return ZMLX_OK;
    ZX_TRY(zx_fusion_shape(match, &shape));
    const zx_measured_rule *measured = zx_verdicts_find(verdicts, rule, shape);
    if (measured != NULL)
        *pays = zx_tokens_within(rule->guard, tokens) && zx_tokens_within(measured->pays, tokens);
    return ZMLX_OK;
}

zmlx_status zx_verdicts_refuse(zx_verdicts *verdicts, const zx_fusion_site *site)
{
    char text[SITE_BYTES];
    site_text(site, text);
    return insert(verdicts, text);
}

bool zx_verdicts_refused(const zx_verdicts *verdicts, const zx_fusion_site *site)
{
    char text[SITE_BYTES];
    uint32_t value = 0;
    if (verdicts->refused.count == 0) return false;
    site_text(site, text);
    return zx_table_find(&verdicts->refused, text, strlen(text), &value);
}

static zmlx_status open_store(bool create, zx_facts **store)
{
    zx_text path = {0};
    zmlx_status status = zx_facts_path(&path);
    *store = NULL;
    if (status == ZMLX_OK)
        status = zx_facts_open(path.bytes, create, store);
    else if (!create)
        status = ZMLX_OK; /* nowhere to keep it, so nothing is kept */
    zx_text_fini(&path);
    return status;
}

/* A number and the blank behind it; false where the text reads otherwise. */
static bool read_count(const char **at, int base, uint64_t *count)
{
    char *end = NULL;
    *count = strtoull(*at, &end, base);
    if (end == *at || *end != ' ') return false;
    *at = end + 1;
    return true;
}

static bool read_gain(const char **at, double *gain)
{
    char *end = NULL;
    *gain = strtod(*at, &end);
    if (end == *at || *end != ' ') return false;
    *at = end + 1;
    return true;
}

typedef struct reader {
    zx_verdicts *verdicts;
    zx_measured_rules *list;
} reader;

/* What reads otherwise than it is written is passed over: it will be measured again. */
static zmlx_status visit_measure(const char *key, const char *value, void *user)
{
    reader *at = user;
    zx_measured_rule measured = {0};
    uint64_t least = 0, most = 0;
    (void)key;
    if (!read_count(&value, 10, &least) || !read_count(&value, 10, &most) ||
        !read_count(&value, 16, &measured.shape) || most == SIZE_MAX)
        return ZMLX_OK;
    for (size_t i = 0; i < ZX_MEASURED_SIZES; i++)
        if (!read_gain(&value, &measured.gains[i])) return ZMLX_OK;
    measured.pays = (zx_token_range){least, most};
    measured.rule = value;
    return add(at->verdicts, at->list, &measured);
}

static zmlx_status visit_refusal(const char *key, const char *value, void *user)
{
    const char *const site = strchr(key, '/');
    (void)value;
    if (site == NULL) return ZMLX_OK;
    for (size_t i = 0; i < sizeof former / sizeof former[0]; i++)
        if (strncmp(site, former[i], strlen(former[i])) == 0) return ZMLX_OK;
    return insert(user, site + 1);
}

static zmlx_status load_measures(zx_facts *store, const zx_verdicts_key *key, const char *kind,
                                 zx_verdicts *verdicts, zx_measured_rules *list)
{
    char prefix[KEY_BYTES];
    reader at = {verdicts, list};
    measures_prefix(key, kind, prefix);
    return zx_facts_each(store, measures, prefix, visit_measure, &at);
}

zmlx_status zx_verdicts_load(const zx_verdicts_key *key, zx_verdicts *verdicts)
{
    char prefix[KEY_BYTES];
    zx_facts *store = NULL;
    *verdicts = (zx_verdicts){0};
    ZX_TRY(open_store(false, &store));
    if (store == NULL) return ZMLX_OK;
    graph_prefix(key, prefix);
    zmlx_status status = zx_facts_each(store, refusals, prefix, visit_refusal, verdicts);
    if (status == ZMLX_OK) status = load_measures(store, key, "rule/", verdicts, &verdicts->rules);
    if (status == ZMLX_OK)
        status = load_measures(store, key, "chain/", verdicts, &verdicts->chains);
    zx_facts_close(store);
    if (status != ZMLX_OK) zx_verdicts_fini(verdicts);
    return status;
}

void zx_verdicts_fini(zx_verdicts *verdicts)
{
    zx_free(verdicts->rules.items);
    zx_free(verdicts->chains.items);
    zx_table_fini(&verdicts->refused);
    zx_arena_reset(&verdicts->arena);
    *verdicts = (zx_verdicts){0};
}

static zmlx_status put_all(zx_facts *store, const char *prefix, const zx_table *refused)
{
    for (size_t i = 0; i < refused->capacity; i++) {
        zx_text key = {0};
        if (refused->slots[i].key == NULL) continue;
        zmlx_status status = zx_text_format(&key, "%s%s", prefix, refused->slots[i].key);
        if (status == ZMLX_OK) status = zx_facts_put(store, refusals, key.bytes, "refused");
        zx_text_fini(&key);
        ZX_TRY(status);
    }
    return ZMLX_OK;
}

static zmlx_status put_measured(zx_facts *store, const char *prefix, const zx_measured_rules *list)
{
    for (size_t i = 0; i < list->count; i++) {
        const zx_measured_rule *item = &list->items[i];
        char key[KEY_BYTES + 24];
        zx_text value = {0};
        (void)snprintf(key, sizeof key, "%s%06zu", prefix, i);
        zmlx_status status = zx_text_format(&value, "%zu %zu %llx ", item->pays.least,
                                            item->pays.most, (unsigned long long)item->shape);
        for (size_t k = 0; k < ZX_MEASURED_SIZES && status == ZMLX_OK; k++)
            status = zx_text_format(&value, "%.2f ", item->gains[k]);
        if (status == ZMLX_OK) status = zx_text_add_string(&value, item->rule);
        if (status == ZMLX_OK) status = zx_facts_put(store, measures, key, value.bytes);
        zx_text_fini(&value);
        ZX_TRY(status);
    }
    return ZMLX_OK;
}

static zmlx_status replace(zx_facts *store, const zx_verdicts_key *key, const zx_verdicts *verdicts)
{
    char prefix[KEY_BYTES];
    ZX_TRY(zx_facts_begin(store));
    graph_prefix(key, prefix);
    ZX_TRY(zx_facts_remove(store, refusals, prefix));
    ZX_TRY(put_all(store, prefix, &verdicts->refused));
    measures_prefix(key, "", prefix);
    ZX_TRY(zx_facts_remove(store, measures, prefix));
    measures_prefix(key, "rule/", prefix);
    ZX_TRY(put_measured(store, prefix, &verdicts->rules));
    measures_prefix(key, "chain/", prefix);
    ZX_TRY(put_measured(store, prefix, &verdicts->chains));
    return zx_facts_commit(store);
}

zmlx_status zx_verdicts_save(const zx_verdicts_key *key, const zx_verdicts *verdicts)
{
    zx_facts *store = NULL;
    ZX_TRY(open_store(true, &store));
    const zmlx_status status = replace(store, key, verdicts);
    zx_facts_close(store);
    return status;
}

static zmlx_status forget(zx_facts *store, const zx_verdicts_key *key)
{
    char prefix[KEY_BYTES];
    graph_prefix(key, prefix);
    ZX_TRY(zx_facts_begin(store));
    ZX_TRY(zx_facts_remove(store, refusals, prefix));
    ZX_TRY(zx_facts_remove(store, measures, prefix));
    return zx_facts_commit(store);
}

zmlx_status zx_verdicts_forget(const zx_verdicts_key *key)
{
    zx_facts *store = NULL;
    ZX_TRY(open_store(false, &store));
    if (store == NULL) return ZMLX_OK;
    const zmlx_status status = forget(store, key);
    zx_facts_close(store);
    return status;
}
