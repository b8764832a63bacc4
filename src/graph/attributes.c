/* attributes.c - the constants of a node as a table of fields: united, printed, hashed by it. */
#include <string.h>

#include "base/fail.h"
#include "base/hash.h"
#include "graph/chain.h"

typedef enum field_kind { FIELD_FLOAT, FIELD_UINT, FIELD_BOOL, FIELD_OTHER } field_kind;

typedef struct field {
    const char *name;
    size_t offset, bytes;
    field_kind kind;
} field;

#define FIELD(name, kind)                                                                         \
    {                                                                                             \
#name, offsetof(zx_attributes, name), sizeof(((zx_attributes *)NULL)->name), FIELD_##kind \
    }

/* Every member of zx_attributes. */
static const field fields[] = {
    FIELD(dtype, OTHER),     FIELD(epsilon, FLOAT), FIELD(offset, FLOAT), FIELD(wide, BOOL),
    FIELD(scale, FLOAT),     FIELD(limit, FLOAT),   FIELD(alpha, FLOAT),  FIELD(activation, OTHER),
    FIELD(head_size, UINT),  FIELD(first, UINT),    FIELD(size, UINT),    FIELD(transposed, BOOL),
    FIELD(value_size, UINT), FIELD(window, UINT),   FIELD(layer, UINT),   FIELD(rope, OTHER),
    FIELD(chain, OTHER),     FIELD(layout, OTHER),  FIELD(top_k, UINT),   FIELD(groups, UINT),
    FIELD(top_groups, UINT), FIELD(beta, FLOAT),    FIELD(period, UINT),  FIELD(state, UINT),
    FIELD(tiled, BOOL),
};

enum { FIELDS = sizeof fields / sizeof fields[0] };

static bool is_set(const field *row, const zx_attributes *attributes)
{
    static const char unset[sizeof(zx_attributes)];
    return memcmp((const char *)attributes + row->offset, unset, row->bytes) != 0;
}

bool zx_attributes_same(const zx_attributes *a, const zx_attributes *b)
{
    for (size_t i = 0; i < FIELDS; i++)
        if (memcmp((const char *)a + fields[i].offset, (const char *)b + fields[i].offset,
                   fields[i].bytes) != 0)
            return false;
    return true;
}

bool zx_attributes_unite(zx_attributes *a, const zx_attributes *b)
{
    zx_attributes united = *a;
    for (size_t i = 0; i < FIELDS; i++) {
        const size_t offset = fields[i].offset, bytes = fields[i].bytes;
        if (!is_set(&fields[i], b)) continue;
        if (is_set(&fields[i], &united) &&
            memcmp((char *)&united + offset, (const char *)b + offset, bytes) != 0)
            return false;
        memcpy((char *)&united + offset, (const char *)b + offset, bytes);
    }
    *a = united;
    return true;
}

static zmlx_status print_rope(const zx_rope *rope, zx_text *text)
{
    const uint64_t hash =
        zx_hash(rope->inverse_frequency, rope->dims / 2 * sizeof *rope->inverse_frequency, 0);
    return zx_text_format(text, "rope=%zu%s*%.9g/%08x", rope->dims, rope->interleaved ? "i" : "",
                          (double)rope->magnitude, (unsigned)hash);
}

static zmlx_status print_field(const field *row, const zx_attributes *attributes, zx_text *text)
{
    const char *at = (const char *)attributes + row->offset;
    float number;
    uint32_t count;
    if (row->kind == FIELD_BOOL) return zx_text_add_string(text, row->name);
    if (row->kind == FIELD_FLOAT) {
        memcpy(&number, at, sizeof number);
        return zx_text_format(text, "%s=%.9g", row->name, (double)number);
    }
    if (row->kind == FIELD_UINT) {
        memcpy(&count, at, sizeof count);
        return zx_text_format(text, "%s=%u", row->name, count);
    }
    if (row->offset == offsetof(zx_attributes, rope)) return print_rope(attributes->rope, text);
    if (row->offset == offsetof(zx_attributes, chain))
        return zx_text_add_string(text, attributes->chain->text);
    if (row->offset == offsetof(zx_attributes, dtype))
        return zx_text_add_string(text, zx_dtypes[attributes->dtype].name);
    if (row->offset == offsetof(zx_attributes, activation))
        return zx_text_add_string(text, zx_activation_names[attributes->activation]);
    ZX_TRY(zx_text_format(text, "q%d/%u", attributes->layout.planes == 2 ? 16 : 8,
                          attributes->layout.group));
    return attributes->layout.slots > 1 ? zx_text_format(text, "x%u", attributes->layout.slots)
                                        : ZMLX_OK;
}

zmlx_status zx_attributes_print(const zx_attributes *attributes, zx_text *text)
{
    const char *before = "(";
    for (size_t i = 0; i < FIELDS; i++) {
        if (!is_set(&fields[i], attributes)) continue;
        ZX_TRY(zx_text_add_string(text, before));
        ZX_TRY(print_field(&fields[i], attributes, text));
        before = ", ";
    }
    return *before == ',' ? zx_text_add_string(text, ")") : ZMLX_OK;
}
