#include "engine/ropes.h"

#include <assert.h>

#include "base/checked.h"
#include "base/fail.h"
#include "base/memory.h"

/* A length that no sequence is opened for. */
static const size_t unfilled = SIZE_MAX;

static bool is_new(const zx_ropes *ropes, const zx_rope *rope)
{
    if (rope == NULL || rope->by_length == NULL) return false;
    for (size_t i = 0; i < ropes->table.count; i++)
        if (ropes->general[i] == rope) return false;
    return true;
}

/* At most one rope per node; most graphs have none at all. */
static zmlx_status collect(const zx_graph *graph, zx_ropes *ropes, size_t *floats)
{
    size_t most = 0;
    void *memory = NULL;
    *floats = 0;
    for (const zx_node *node = graph->first; node != NULL; node = node->next)
        most += is_new(ropes, node->attributes.rope) ? 1 : 0;
    if (most == 0) return ZMLX_OK;
    ZX_TRY(zx_alloc_array(most, sizeof *ropes->general, "ropes", &memory));
    ropes->general = memory;
    for (const zx_node *node = graph->first; node != NULL; node = node->next) {
        if (!is_new(ropes, node->attributes.rope)) continue;
        ropes->general[ropes->table.count++] = node->attributes.rope;
        *floats += node->attributes.rope->dims / 2;
    }
    return ZMLX_OK;
}

static zmlx_status reserve(zx_ropes *ropes, size_t sequences, size_t floats)
{
    size_t places = 0, all = 0;
    void *memory = NULL;
    if (!zx_multiply_fits(sequences, ropes->table.count, &places) ||
        !zx_multiply_fits(sequences, floats, &all))
        return ZX_FAIL(ZMLX_ERROR_ARGUMENT, "%zu sequences of %zu ropes", sequences,
                       ropes->table.count);
    ZX_TRY(zx_alloc_array(places, sizeof *ropes->own, "ropes of sequences", &memory));
    ropes->own = memory;
    ZX_TRY(zx_alloc_array(sequences, sizeof *ropes->lengths, "lengths of sequences", &memory));
    ropes->lengths = memory;
    ZX_TRY(zx_alloc_array(all, sizeof(float), "rope frequencies", &memory));
    ropes->frequencies = memory;
    float *next = memory;
    for (size_t s = 0; s < sequences; s++) {
        ropes->lengths[s] = unfilled;
        for (size_t i = 0; i < ropes->table.count; i++) {
            zx_rope *const own = &ropes->own[s * ropes->table.count + i];
            *own = *ropes->general[i];
            own->inverse_frequency = next;
            next += own->dims / 2;
        }
    }
    return ZMLX_OK;
}

zmlx_status zx_ropes_init(const zx_graph *graph, size_t sequences, zx_ropes *ropes)
{
    size_t floats = 0;
    *ropes = (zx_ropes){0};
    zmlx_status status = collect(graph, ropes, &floats);
    if (status == ZMLX_OK && ropes->table.count > 0) status = reserve(ropes, sequences, floats);
    if (status != ZMLX_OK) zx_ropes_fini(ropes);
    ropes->table.general = ropes->general;
    ropes->table.own = ropes->own;
    return status;
}

void zx_ropes_fini(zx_ropes *ropes)
{
    zx_free(ropes->general);
    zx_free(ropes->own);
    zx_free(ropes->frequencies);
    zx_free(ropes->lengths);
    *ropes = (zx_ropes){0};
}

/* The longest of the ropes' own shortest ones: each rope's class of lengths reaches to it. */
size_t zx_ropes_length(const zx_ropes *ropes, size_t length)
{
    size_t shortest = 0;
    for (size_t i = 0; i < ropes->table.count; i++) {
        const zx_rope_by_length *rule = ropes->general[i]->by_length;
        const size_t own = rule->shortest(rule->settings, length);
        if (own > shortest) shortest = own;
    }
    return shortest;
}

void zx_ropes_set(zx_ropes *ropes, size_t index, size_t length)
{
    if (ropes->table.count == 0 || ropes->lengths[index] == length) return;
    float *frequencies = ropes->frequencies;
    size_t floats = 0;
    for (size_t i = 0; i < ropes->table.count; i++) floats += ropes->general[i]->dims / 2;
    frequencies += index * floats;
    for (size_t i = 0; i < ropes->table.count; i++) {
        const zx_rope_by_length *rule = ropes->general[i]->by_length;
        zx_rope *const own = &ropes->own[index * ropes->table.count + i];
        assert(own->inverse_frequency == frequencies);
        rule->fill(rule->settings, length, frequencies, &own->magnitude);
        frequencies += own->dims / 2;
    }
    ropes->lengths[index] = length;
}
