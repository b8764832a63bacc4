#include "engine/verdicts.h"

#include <stdio.h>
#include <string.h>

#include "base/cpu.h"
#include "base/facts.h"
#include "base/fail.h"
#include "base/memory.h"
#include "zmlx/runtime.h"

enum { KEY_BYTES = 32, SITE_BYTES = 384 };

static const char space[] = "fusion verdicts";
static const char use_prefix[] = "/use/"; /* of a chain's key; its value is the pattern */

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
    (void)snprintf(text, SITE_BYTES, "%s/%zu/%s", site->rule->name, site->ordinal, site->where);
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

zmlx_status zx_verdicts_use(zx_verdicts *verdicts, const char *pattern)
{
    ZX_TRY(zx_grow(&verdicts->chains, &verdicts->chain_capacity, verdicts->chain_count + 1,
                   sizeof *verdicts->chains, "chains"));
    return copy_text(verdicts, pattern, &verdicts->chains[verdicts->chain_count++]);
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

static zmlx_status visit(const char *key, const char *value, void *user)
{
    const char *const site = strchr(key, '/');
    if (site == NULL) return ZMLX_OK;
    const bool use = strncmp(site, use_prefix, sizeof use_prefix - 1) == 0;
    return use ? zx_verdicts_use(user, value) : insert(user, site + 1);
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
    zx_free(verdicts->chains);
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

static zmlx_status put_chains(zx_facts *store, const char *prefix, const zx_verdicts *verdicts)
{
    for (size_t i = 0; i < verdicts->chain_count; i++) {
        char key[2 * KEY_BYTES];
        (void)snprintf(key, sizeof key, "%suse/%04zu", prefix, i);
        ZX_TRY(zx_facts_put(store, space, key, verdicts->chains[i]));
    }
    return ZMLX_OK;
}

/* Replaces the key's entries; 'verdicts' NULL: by nothing. */
static zmlx_status replace(zx_facts *store, uint64_t key, const zx_verdicts *verdicts)
{
    char prefix[KEY_BYTES];
    key_text(key, prefix);
    ZX_TRY(zx_facts_begin(store));
    ZX_TRY(zx_facts_remove(store, space, prefix));
    if (verdicts != NULL) ZX_TRY(put_all(store, prefix, &verdicts->refused));
    if (verdicts != NULL) ZX_TRY(put_chains(store, prefix, verdicts));
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
