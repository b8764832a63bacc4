#include "engine/verdicts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "base/facts.h"
#include "base/fail.h"
#include "base/memory.h"
#include "zmlx/runtime.h"

enum { KEY_BYTES = 32, SITE_BYTES = 384 };

static const char space[] = "fusion verdicts";
/* Kinds of entries beside refusals, in an entry's key; the values are "LEAST MOST TEXT", the text a
 * chain's pattern or a rule's name. */
static const char use_prefix[] = "/use/", pays_prefix[] = "/pays/";

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

zmlx_status zx_verdicts_key(const zx_graph *graph, uint64_t *key)
{
    const uint32_t features = zx_cpu_features();
    const char *version = zmlx_version();
    ZX_TRY(zx_graph_fingerprint(graph, key));
    *key = zx_hash(&features, sizeof features, *key);
    *key = zx_hash(version, strlen(version), *key);
    return ZMLX_OK;
}

static void site_text(const zx_fusion_site *site, char text[SITE_BYTES])
{
    (void)snprintf(text, SITE_BYTES, "%s/%s", site->rule->name, site->where);
}

static void key_text(uint64_t key, char text[KEY_BYTES])
{
    (void)snprintf(text, KEY_BYTES, "%016llx/", (unsigned long long)key);
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

static zmlx_status add(zx_verdicts *verdicts, zx_measured_rules *list, const char *rule,
                       zx_token_range pays)
{
    const char *copy = NULL;
    ZX_TRY(copy_text(verdicts, rule, &copy));
    ZX_TRY(zx_grow(&list->items, &list->capacity, list->count + 1, sizeof *list->items,
                   "measured rules"));
    list->items[list->count++] = (zx_measured_rule){copy, pays};
    return ZMLX_OK;
}

zmlx_status zx_verdicts_use(zx_verdicts *verdicts, const char *pattern, zx_token_range pays)
{
    return add(verdicts, &verdicts->chains, pattern, pays);
}

zmlx_status zx_verdicts_limit(zx_verdicts *verdicts, const char *rule, zx_token_range pays)
{
    return add(verdicts, &verdicts->rules, rule, pays);
}

bool zx_verdicts_pays(const zx_verdicts *verdicts, const zx_fusion_rule *rule, size_t tokens)
{
    const bool chain = rule->fused == ZX_OP_CHAIN;
    const zx_measured_rules *list = chain ? &verdicts->chains : &verdicts->rules;
    const char *name = chain ? rule->pattern : rule->name;
    if (!zx_tokens_within(rule->guard, tokens)) return false;
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->items[i].rule, name) == 0)
            return zx_tokens_within(list->items[i].pays, tokens);
    return true;
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

static bool starts(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* "LEAST MOST TEXT"; what reads otherwise is passed over. */
static zmlx_status read_measured(zx_verdicts *verdicts, zx_measured_rules *list, const char *value)
{
    zx_token_range pays;
    char *end = NULL;
    pays.least = strtoull(value, &end, 10);
    if (end == value || *end != ' ') return ZMLX_OK;
    value = end + 1;
    pays.most = strtoull(value, &end, 10);
    if (end == value || *end != ' ' || pays.most == SIZE_MAX) return ZMLX_OK;
    return add(verdicts, list, end + 1, pays);
}

static zmlx_status visit(const char *key, const char *value, void *user)
{
    zx_verdicts *verdicts = user;
    const char *const site = strchr(key, '/');
    if (site == NULL) return ZMLX_OK;
    if (starts(site, use_prefix)) return read_measured(verdicts, &verdicts->chains, value);
    if (starts(site, pays_prefix)) return read_measured(verdicts, &verdicts->rules, value);
    return insert(verdicts, site + 1);
}

zmlx_status zx_verdicts_load(uint64_t key, zx_verdicts *verdicts)
{
    char prefix[KEY_BYTES];
    zx_facts *store = NULL;
    *verdicts = (zx_verdicts){0};
    ZX_TRY(open_store(false, &store));
    if (store == NULL) return ZMLX_OK;
    key_text(key, prefix);
    const zmlx_status status = zx_facts_each(store, space, prefix, visit, verdicts);
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
        if (status == ZMLX_OK) status = zx_facts_put(store, space, key.bytes, "refused");
        zx_text_fini(&key);
        ZX_TRY(status);
    }
    return ZMLX_OK;
}

static zmlx_status put_measured(zx_facts *store, const char *prefix, const char *kind,
                                const zx_measured_rules *list, zx_token_range usual)
{
    for (size_t i = 0; i < list->count; i++) {
        const zx_measured_rule *item = &list->items[i];
        if (item->pays.least == usual.least && item->pays.most == usual.most) continue;
        char key[2 * KEY_BYTES];
        zx_text value = {0};
        (void)snprintf(key, sizeof key, "%s%s%04zu", prefix, kind + 1, i);
        zmlx_status status =
            zx_text_format(&value, "%zu %zu %s", item->pays.least, item->pays.most, item->rule);
        if (status == ZMLX_OK) status = zx_facts_put(store, space, key, value.bytes);
        zx_text_fini(&value);
        ZX_TRY(status);
    }
    return ZMLX_OK;
}

/* Replaces the key's entries; 'verdicts' NULL: by nothing. */
static zmlx_status replace(zx_facts *store, uint64_t key, const zx_verdicts *verdicts)
{
    static const zx_token_range never = ZX_NO_STEP, always = ZX_EVERY_STEP;
    char prefix[KEY_BYTES];
    key_text(key, prefix);
    ZX_TRY(zx_facts_begin(store));
    ZX_TRY(zx_facts_remove(store, space, prefix));
    if (verdicts != NULL) ZX_TRY(put_all(store, prefix, &verdicts->refused));
    if (verdicts != NULL) ZX_TRY(put_measured(store, prefix, use_prefix, &verdicts->chains, never));
    if (verdicts != NULL)
        ZX_TRY(put_measured(store, prefix, pays_prefix, &verdicts->rules, always));
    return zx_facts_commit(store);
}

zmlx_status zx_verdicts_save(uint64_t key, const zx_verdicts *verdicts)
{
    zx_facts *store = NULL;
    ZX_TRY(open_store(true, &store));
    const zmlx_status status = replace(store, key, verdicts);
    zx_facts_close(store);
    return status;
}

zmlx_status zx_verdicts_forget(uint64_t key)
{
    zx_facts *store = NULL;
    ZX_TRY(open_store(false, &store));
    if (store == NULL) return ZMLX_OK;
    const zmlx_status status = replace(store, key, NULL);
    zx_facts_close(store);
    return status;
}
