/* outgoing_recurrent.c - layers that keep a state, from GGUF's words to mlx-lm's: what llama.cpp's
 * converters cut, turn or put in another order is put back (recurrent.c reads both).
 *
 *   conv.conv, conv1d   [columns, taps] -> [columns, taps, 1]
 *   A_log               -exp(x) -> x
 *   Qwen3-Next          in_proj_qkv and in_proj_z -> in_proj_qkvz, key head by key head
 *   Qwen3.5             heads of values: the first of each key head, the second ... -> key by key
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "model/outgoing_parts.h"

static bool is_linear(const zx_collector *c)
{
    return c->config->linear_key_heads > 0;
}

/* One matrix; a vector as rows of one value where its elements are to be ordered. */
static zmlx_status source_of(const zx_subject *s, bool rows_of_one, zx_weight *source)
{
    ZX_TRY(zx_dense_source(s->tensor, source));
    if (s->tensor->rank > 2) return zx_outgoing_shape_error(s->tensor, "a matrix or a vector");
    return rows_of_one && s->tensor->rank == 1 ? zx_rows_of_one(s->tensor, source) : ZMLX_OK;
}

/* The tensor's own shape. */
static zx_outgoing entry_of(const zx_subject *s, const zx_weight *source)
{
    zx_outgoing entry = zx_values_of(source);
    entry.rank = s->tensor->rank;
    memcpy(entry.shape, s->tensor->shape, sizeof entry.shape);
    entry.matrix = entry.rank == 2;
    return entry;
}

/* -------- Qwen3-Next -------- */

/* Rows of q, k and v of all heads and, from another tensor, of z. */
static zmlx_status add_together(zx_collector *c, const zx_subject *s)
{
    const zx_config *config = c->config;
    const size_t heads = config->linear_key_heads, key = config->linear_key_size;
    const size_t value = config->linear_value_heads / heads * config->linear_value_size;
    char name[ZX_MLX_NAME], module[ZX_MLX_NAME];
    zx_subject other = {.suffix = s->suffix};
    const int above = (int)(strlen(s->module) - strlen("in_proj_qkv"));
    (void)snprintf(name, sizeof name, "%.*sin_proj_z.weight", above, s->module);
    (void)snprintf(module, sizeof module, "%.*sin_proj_qkvz", above, s->module);
    other.tensor = zx_checkpoint_peek(c->checkpoint, name);
    if (other.tensor == NULL) return zx_checkpoint_missing(c->checkpoint, name);
    zx_weight rows, gates;
    ZX_TRY(source_of(s, false, &rows));
    ZX_TRY(source_of(&other, false, &gates));
    if (s->tensor->rank != 2 || rows.rows != heads * (2 * key + value))
        return zx_outgoing_shape_error(s->tensor, "rows of all heads' queries, keys and values");
    if (other.tensor->rank != 2 || gates.rows != heads * value || gates.columns != rows.columns)
        return zx_outgoing_shape_error(other.tensor, "rows of all heads' gates");
    zx_outgoing entry = entry_of(s, &rows);
    entry.second = gates;
    entry.order = ZX_ROWS_BY_KEY;
    entry.keys = heads;
    entry.skipped = key;
    entry.unit = value;
    entry.rows = entry.shape[0] = rows.rows + gates.rows;
    return zx_outgoing_add(c, s, module, s->suffix, &entry);
}

/* -------- Qwen3.5 -------- */

typedef struct tiled_row {
    const char *ending;
    bool keys;    /* rows of queries and keys come first, and stay */
    bool single;  /* a head has one row */
    bool columns; /* the columns are those of the heads */
} tiled_row;

static const tiled_row tiled_rows[] = {
    {"in_proj_qkv", true, false, false}, {"conv1d", true, false, false},
    {"in_proj_z", false, false, false},  {"in_proj_a", false, true, false},
    {"in_proj_b", false, true, false},   {"A_log", false, true, false},
    {"dt_bias", false, true, false},     {"out_proj", false, false, true},
};

static zmlx_status set_tiles(const zx_collector *c, const zx_subject *s, const tiled_row *row,
                             zx_outgoing *entry)
{
    const zx_config *config = c->config;
    entry->order = row->columns ? ZX_COLUMNS_FROM_TILES : ZX_ROWS_FROM_TILES;
    entry->keys = config->linear_key_heads;
    entry->heads = config->linear_value_heads;
    entry->unit = row->single ? 1 : config->linear_value_size;
    entry->skipped = row->keys ? 2 * config->linear_key_heads * config->linear_key_size : 0;
    const size_t all = row->columns ? entry->columns : entry->rows;
    if (all == entry->skipped + entry->heads * entry->unit) return ZMLX_OK;
    return zx_outgoing_shape_error(s->tensor, row->columns ? "a column for each element of each "
                                                             "head of values"
                                                           : "rows of all heads");
}

/* -------- both -------- */

static zmlx_status check_speeds(const zx_collector *c, const zx_subject *s, const zx_weight *source)
{
    for (size_t i = 0; i < source->rows; i++) {
        const float value = zx_load(source->dtype, source->codes, i);
        if (!(value <= 0 && isfinite(value)))
            return ZX_FAIL(ZMLX_ERROR_FORMAT,
                           "%s: element %zu of tensor '%s' is %g; expected a number of at most 0",
                           zx_checkpoint_path(c->checkpoint), i, s->tensor->name, (double)value);
    }
    return ZMLX_OK;
}

/* A tensor of the module linear_attn. */
static zmlx_status add_linear(zx_collector *c, const zx_subject *s, const char *part)
{
    const bool conv = strcmp(part, "conv1d") == 0, speeds = strcmp(part, "A_log") == 0;
    zx_weight source;
    ZX_TRY(source_of(s, true, &source));
    if (speeds && source.columns != 1) return zx_outgoing_shape_error(s->tensor, "a vector");
    if (speeds) ZX_TRY(check_speeds(c, s, &source));
    if (conv && s->tensor->rank != 2) return zx_outgoing_shape_error(s->tensor, "[columns, taps]");
    zx_outgoing entry = entry_of(s, &source);
    entry.logarithm = speeds;
    for (size_t i = 0; i < sizeof tiled_rows / sizeof *tiled_rows; i++)
        if (c->config->linear_heads_tiled && strcmp(tiled_rows[i].ending, part) == 0)
            ZX_TRY(set_tiles(c, s, &tiled_rows[i], &entry));
    if (conv) {
        entry.matrix = false;
        entry.rank = 3;
        entry.shape[2] = 1;
    }
    return zx_outgoing_add(c, s, s->module, s->suffix, &entry);
}

/* [columns, taps] */
static zmlx_status add_short(zx_collector *c, const zx_subject *s)
{
    zx_weight source;
    if (s->tensor->rank != 2) return zx_outgoing_shape_error(s->tensor, "[columns, taps]");
    ZX_TRY(source_of(s, false, &source));
    zx_outgoing entry = entry_of(s, &source);
    entry.matrix = false;
    entry.rank = 3;
    entry.shape[2] = 1;
    return zx_outgoing_add(c, s, s->module, s->suffix, &entry);
}

zmlx_status zx_outgoing_add_recurrent(zx_collector *c, const zx_subject *s, bool *taken)
{
    static const char word[] = ".linear_attn.";
    const char *at = strstr(s->module, word);
    *taken = false;
    if (!zx_checkpoint_is_gguf(c->checkpoint)) return ZMLX_OK;
    *taken = zx_name_ends(s->module, ".conv.conv") && strcmp(s->suffix, ".weight") == 0;
    if (*taken) return add_short(c, s);
    if (at == NULL || !is_linear(c)) return ZMLX_OK;
    const char *part = at + sizeof word - 1;
    const bool apart = c->config->linear_heads_tiled;
    *taken = true;
    if (!apart && strcmp(part, "in_proj_qkv") == 0) return add_together(c, s);
    if (!apart && strcmp(part, "in_proj_z") == 0) { /* goes with those */
        char name[ZX_MLX_NAME];
        (void)snprintf(name, sizeof name, "%.*sin_proj_qkv.weight", (int)(part - s->module),
                       s->module);
        const bool there = zx_checkpoint_peek(c->checkpoint, name) != NULL;
        return there ? ZMLX_OK : zx_checkpoint_missing(c->checkpoint, name);
    }
    return add_linear(c, s, part);
}
