/* write_tensors.c - one matrix after the other, a piece of rows at a time.
 *
 * A piece's rows are encoded in parallel into up to three buffers (codes, scales, biases), which go
 * to three places of the file.  No more memory is taken than the buffers, two rows of floats a
 * thread, and for what is to be turned one matrix. */
#include "model/write_tensors.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/fail.h"
#include "base/log.h"
#include "base/memory.h"
#include "model/safetensors.h"

enum { PIECE_BYTES = 8 << 20, MAX_CODE = 256 };

/* -------- the tensors of an entry -------- */

static zmlx_status name_of(const zx_outgoing *entry, const char *suffix, zx_arena *arena,
                           zx_stored_tensor *tensor)
{
    void *memory = NULL;
    const size_t length = strlen(entry->module) + strlen(suffix);
    ZX_TRY(zx_arena_alloc(arena, length + 1, &memory));
    (void)snprintf(memory, length + 1, "%s%s", entry->module, suffix);
    tensor->name = memory;
    tensor->name_length = length;
    return ZMLX_OK;
}

/* Another last dimension, dtype and suffix than the dense tensor's. */
static zmlx_status make_tensor(const zx_outgoing *entry, const char *suffix, zx_dtype dtype,
                               size_t last, zx_arena *arena, zx_stored_tensor *tensor)
{
    size_t elements = 0;
    *tensor = (zx_stored_tensor){.path = "", .type = "", .dtype = dtype, .rank = entry->rank};
    memcpy(tensor->shape, entry->shape, sizeof tensor->shape);
    if (entry->rank > 0) tensor->shape[entry->rank - 1] = last;
    if (!zx_stored_elements(tensor, &elements) ||
        !zx_multiply_fits(elements, zx_dtypes[dtype].bytes, &tensor->bytes))
        return ZX_FAIL(ZMLX_ERROR_SHAPE, "tensor '%s' is too large", entry->module);
    return name_of(entry, suffix, arena, tensor);
}

static size_t last_of(const zx_outgoing *entry)
{
    return entry->rank > 0 ? entry->shape[entry->rank - 1] : 1;
}

zmlx_status zx_outgoing_tensors(const zx_outgoing *entry, zx_arena *arena,
                                zx_stored_tensor tensors[ZX_TENSORS_OF_ENTRY], size_t *count)
{
    const size_t last = last_of(entry);
    *count = 1;
    if (entry->format == ZX_FORMAT_COUNT)
        return make_tensor(entry, entry->suffix, entry->dtype, last, arena, &tensors[0]);
    const bool affine = entry->format == ZX_FORMAT_AFFINE;
    const zx_dtype scales = affine ? entry->dtype : ZX_U8;
    const size_t groups = last / entry->group;
    *count = affine ? 3 : 2;
    ZX_TRY(make_tensor(entry, ".weight", ZX_U32, last * entry->bits / 32, arena, &tensors[0]));
    ZX_TRY(make_tensor(entry, ".scales", scales, groups, arena, &tensors[1]));
    if (!affine) return ZMLX_OK;
    return make_tensor(entry, ".biases", scales, groups, arena, &tensors[2]);
}

/* -------- rows -------- */

typedef enum trouble { FINE, TOO_LARGE, NOT_FINITE } trouble;

/* A piece: rows [first, first + count) of a matrix. */
typedef struct piece {
    const zx_outgoing *entry;
    zx_weight source;   /* the matrix */
    const float *whole; /* all of its values, where rows are its columns; NULL: not turned */
    size_t first, count;
    zx_weight to;  /* the buffers as a weight of 'count' rows */
    float *values; /* two rows a thread */
    atomic_int *trouble;
} piece;

/* Where the converters put head 'i / unit', counted key by key. */
static size_t from_tiles(const zx_outgoing *entry, size_t at)
{
    if (at < entry->skipped) return at;
    const size_t i = at - entry->skipped, head = i / entry->unit;
    const size_t group = entry->heads / entry->keys;
    const size_t tile = group > 0 ? head % group * entry->keys + head / group : head;
    return entry->skipped + tile * entry->unit + i % entry->unit;
}

/* Rows of queries, keys, values and gates of all keys, one behind the other. */
static size_t from_parts_of_keys(const zx_outgoing *entry, size_t row)
{
    const size_t key = entry->skipped, value = entry->unit, all = 2 * (key + value);
    const size_t head = row / all, at = row % all, keys = entry->keys;
    if (at < key) return head * key + at;
    if (at < 2 * key) return (keys + head) * key + at - key;
    const size_t gate = at >= 2 * key + value;
    return 2 * keys * key + (gate * keys + head) * value + at - 2 * key - gate * value;
}

static size_t source_row(const zx_outgoing *entry, size_t row)
{
    const size_t size = entry->heads > 0 ? entry->rows / entry->heads : 0;
    if (entry->order == ZX_ROWS_FROM_TILES) return from_tiles(entry, row);
    if (entry->order == ZX_ROWS_BY_KEY) return from_parts_of_keys(entry, row);
    if (size < 3) return row; /* a head of two is one pair, in its order */
    if (entry->order == ZX_ROWS_FROM_PAIRS) {
        const size_t half = size / 2, i = row % size;
        return row - i + (i < half ? 2 * i : 2 * (i - half) + 1);
    }
    if (entry->order == ZX_ROWS_FROM_PARTS) {
        const size_t head = row / size, part = row % size / (size / 3), i = row % (size / 3);
        return (part * entry->heads + head) * (size / 3) + i;
    }
    return row;
}

/* The matrix that the row lies in, and where. */
static const zx_weight *find_row(const piece *p, size_t row, size_t *at)
{
    *at = source_row(p->entry, row);
    if (p->entry->order != ZX_ROWS_BY_KEY || *at < p->source.rows) return &p->source;
    *at -= p->source.rows;
    return &p->entry->second;
}

/* 'values' has room for two rows. */
static void read_row(const piece *p, size_t row, float *values)
{
    const zx_outgoing *entry = p->entry;
    const size_t columns = entry->columns;
    if (p->whole == NULL) {
        size_t from = 0;
        const bool tiles = entry->order == ZX_COLUMNS_FROM_TILES;
        const zx_weight *source = find_row(p, row, &from);
        float *const decoded = tiles ? values + columns : values;
        zx_formats[source->format].decode(source, from, 0, columns, decoded);
        for (size_t i = 0; i < columns && tiles; i++) values[i] = decoded[from_tiles(entry, i)];
        for (size_t i = 0; i < columns && entry->logarithm; i++)
            values[i] = (float)log(-(double)values[i]);
        return;
    }
    const float *at = p->whole + entry->first + entry->step * row;
    for (size_t i = 0; i < columns; i++) values[i] = at[i * p->source.columns];
}

/* Without branches, so that it costs little. */
static bool is_finite(const float *values, size_t count)
{
    uint32_t worst = 0;
    for (size_t i = 0; i < count; i++) {
        const uint32_t magnitude = zx_bits_from_float(values[i]) & 0x7fffffffu;
        worst = magnitude > worst ? magnitude : worst;
    }
    return worst < 0x7f800000u;
}

/* The row in the entry's dtype, as f32. */
static trouble cast_row(const zx_outgoing *entry, float *values)
{
    const bool same = !entry->encoded && entry->source.dtype == entry->dtype && entry->shift == 0 &&
                      !entry->logarithm;
    const bool given = is_finite(values, entry->columns);
    for (size_t i = 0; i < entry->columns && !same; i++)
        values[i] =
            zx_round_to(entry->dtype, entry->shift != 0 ? values[i] + entry->shift : values[i]);
    if (same ? given : is_finite(values, entry->columns)) return FINE;
    if (given) return TOO_LARGE;
    return entry->format != ZX_FORMAT_COUNT ? NOT_FINITE : FINE;
}

/* The affine form of the source's own codes. */
static void copy_codes(const piece *p, size_t row, size_t to)
{
    const zx_format_traits *traits = &zx_formats[p->source.format];
    uint8_t codes[MAX_CODE];
    size_t from = 0;
    const zx_weight *source = find_row(p, row, &from);
    const bool tiles = p->entry->order == ZX_COLUMNS_FROM_TILES;
    const size_t size = p->entry->group, groups = size > 0 ? p->entry->columns / size : 0;
    for (size_t group = 0; group < groups; group++) {
        float scale, bias;
        const size_t at = tiles ? from_tiles(p->entry, group * size) / size : group;
        traits->codes(source, from, at, codes, &scale, &bias);
        if (traits->integer == ZX_INTEGER_CENTERED) bias = -scale * (float)traits->zero;
        zx_affine_put(&p->to, to, group, codes, scale, bias);
    }
}

static void run_rows(const void *context, size_t part, size_t parts, size_t thread)
{
    const piece *p = context;
    const zx_outgoing *entry = p->entry;
    float *values = p->values + 2 * thread * entry->columns;
    size_t first, end;
    zx_split(p->count, 1, part, parts, &first, &end);
    for (size_t i = first; i < end; i++) {
        if (entry->exact) {
            copy_codes(p, p->first + i, i);
            continue;
        }
        read_row(p, p->first + i, values);
        const trouble found = cast_row(entry, values);
        if (found != FINE) atomic_store(p->trouble, (int)found);
        zx_formats[p->to.format].encode(&p->to, i, values);
    }
}

/* Rows that keep their bytes. */
static bool is_copied(const zx_outgoing *entry)
{
    if (entry->copied < ZX_DTYPE_COUNT) return true;
    return entry->format == ZX_FORMAT_COUNT && !entry->turned && !entry->encoded &&
           entry->order == ZX_ROWS_AS_THEY_ARE && entry->shift == 0 && !entry->logarithm &&
           entry->source.dtype == entry->dtype;
}

typedef struct whole_matrix {
    const zx_weight *source;
    float *values;
} whole_matrix;

static void run_decode(const void *context, size_t part, size_t parts, size_t thread)
{
    const whole_matrix *w = context;
    size_t first, end;
    (void)thread;
    zx_split(w->source->rows, 1, part, parts, &first, &end);
    for (size_t row = first; row < end; row++)
        zx_formats[w->source->format].decode(w->source, row, 0, w->source->columns,
                                             w->values + row * w->source->columns);
}

/* -------- a matrix -------- */

/* The place of an entry in the file, and the buffers that all entries share. */
typedef struct output {
    zx_writer *writer;
    zx_tensor_writing *writing;
    size_t offsets[ZX_TENSORS_OF_ENTRY], rows[ZX_TENSORS_OF_ENTRY]; /* bytes of a row */
    size_t parts;                                                   /* of these three */
    uint8_t *buffers[ZX_TENSORS_OF_ENTRY];
    float *values, *whole;
    size_t piece_rows;
    atomic_int trouble;
} output;

static zmlx_status trouble_with(const output *out, const zx_outgoing *entry, trouble found)
{
    const char *const source = out->writing->source;
    if (found == TOO_LARGE)
        return ZX_FAIL(ZMLX_ERROR_FORMAT,
                       "%s: tensor '%s' holds values that are too large for %s; take another dtype",
                       source, entry->origin, zx_dtypes[entry->dtype].name);
    return ZX_FAIL(ZMLX_ERROR_FORMAT,
                   "%s: tensor '%s' holds values that are not finite, which cannot be quantized",
                   source, entry->origin);
}

static zmlx_status step(output *out, size_t bytes)
{
    zx_tensor_writing *writing = out->writing;
    writing->done += bytes;
    zx_progress("writing weights", writing->done, writing->total);
    if (writing->keep_going == NULL || writing->keep_going(writing->user)) return ZMLX_OK;
    writing->interrupted = true;
    return ZX_FAIL(ZMLX_ERROR_IO, "interrupted");
}

/* Puts 'rows' rows of the buffers behind what is there. */
static zmlx_status put(output *out, size_t rows)
{
    size_t bytes = 0;
    for (size_t i = 0; i < out->parts; i++) {
        const size_t count = rows * out->rows[i];
        ZX_TRY(zx_writer_put(out->writer, out->offsets[i], out->buffers[i], count));
        out->offsets[i] += count;
        bytes += count;
    }
    return step(out, bytes);
}

static zmlx_status copy_matrix(output *out, const zx_weight *source)
{
    const size_t row = out->rows[0];
    size_t at = 0;
    if (source->codes_stride == row) { /* as it lies there */
        const size_t bytes = source->rows * row;
        while (at < bytes) {
            const size_t count = bytes - at < PIECE_BYTES ? bytes - at : (size_t)PIECE_BYTES;
            ZX_TRY(zx_writer_put(out->writer, out->offsets[0], source->codes + at, count));
            out->offsets[0] += count;
            at += count;
            ZX_TRY(step(out, count));
        }
        return ZMLX_OK;
    }
    while (at < source->rows) {
        const size_t left = source->rows - at;
        const size_t rows = left < out->piece_rows ? left : out->piece_rows;
        for (size_t i = 0; i < rows; i++)
            memcpy(out->buffers[0] + i * row, source->codes + (at + i) * source->codes_stride, row);
        ZX_TRY(put(out, rows));
        at += rows;
    }
    return ZMLX_OK;
}

static zmlx_status encode_matrix(output *out, const zx_outgoing *entry, const zx_weight *source)
{
    static const zx_format dense[] = {
        [ZX_F32] = ZX_FORMAT_F32, [ZX_F16] = ZX_FORMAT_F16, [ZX_BF16] = ZX_FORMAT_BF16};
    const bool plain = entry->format == ZX_FORMAT_COUNT;
    zx_pool *pool = out->writing->pool;
    piece p = {.entry = entry,
               .source = *source,
               .values = out->values,
               .trouble = &out->trouble,
               .to = {.format = plain ? dense[entry->dtype] : entry->format,
                      .dtype = entry->dtype,
                      .bits = entry->bits,
                      .group = plain ? 1 : entry->group,
                      .count = 1,
                      .columns = entry->columns,
                      .codes = out->buffers[0],
                      .codes_stride = out->rows[0],
                      .scales = out->buffers[1],
                      .biases = out->buffers[2],
                      .scales_stride = out->rows[1]}};
    if (entry->turned) {
        const whole_matrix whole = {source, out->whole};
        zx_pool_run(pool, 4 * zx_pool_threads(pool), run_decode, &whole);
        p.whole = out->whole;
    }
    for (; p.first < entry->rows; p.first += p.count) {
        const size_t left = entry->rows - p.first;
        p.count = left < out->piece_rows ? left : out->piece_rows;
        p.to.rows = p.count;
        zx_pool_run(pool, 4 * zx_pool_threads(pool), run_rows, &p);
        const trouble found = (trouble)atomic_load(&out->trouble);
        if (found != FINE) return trouble_with(out, entry, found);
        ZX_TRY(put(out, p.count));
    }
    return ZMLX_OK;
}

/* Room for pieces of this entry. */
static zmlx_status take_buffers(output *out, const zx_outgoing *entry)
{
    const size_t threads = zx_pool_threads(out->writing->pool);
    size_t row = entry->columns * sizeof(float);
    void *memory = NULL;
    for (size_t i = 0; i < out->parts; i++) row += out->rows[i];
    out->piece_rows = row > 0 && row < PIECE_BYTES ? PIECE_BYTES / row : 1;
    if (out->piece_rows > entry->rows) out->piece_rows = entry->rows;
    for (size_t i = 0; i < out->parts; i++) {
        ZX_TRY(zx_alloc_array(out->piece_rows, out->rows[i], "rows to write", &memory));
        out->buffers[i] = memory;
    }
    ZX_TRY(zx_alloc_array(2 * threads, entry->columns * sizeof(float), "rows of values", &memory));
    out->values = memory;
    if (!entry->turned) return ZMLX_OK;
    ZX_TRY(zx_alloc_array(entry->source.rows, entry->source.columns * sizeof(float),
                          "a matrix to turn", &memory));
    out->whole = memory;
    return ZMLX_OK;
}

static void free_buffers(output *out)
{
    for (size_t i = 0; i < ZX_TENSORS_OF_ENTRY; i++) {
        zx_free(out->buffers[i]);
        out->buffers[i] = NULL;
    }
    zx_free(out->values);
    zx_free(out->whole);
    out->values = out->whole = NULL;
}

static zmlx_status write_entry(output *out, const zx_outgoing *entry)
{
    /* nothing to write, and columns that no byte of the file stands for */
    if (entry->rows == 0 || entry->source.count == 0) return ZMLX_OK;
    zmlx_status status = take_buffers(out, entry);
    for (size_t i = 0; i < entry->source.count && status == ZMLX_OK; i++) {
        const zx_weight matrix = zx_weight_matrix(&entry->source, i);
        status = is_copied(entry) ? copy_matrix(out, &matrix) : encode_matrix(out, entry, &matrix);
    }
    free_buffers(out);
    return status;
}

/* -------- a file -------- */

static zmlx_status list_tensors(const zx_outgoing *entries, size_t count, zx_arena *arena,
                                zx_stored_tensor *tensors, size_t *total)
{
    *total = 0;
    for (size_t i = 0; i < count; i++) {
        size_t more = 0;
        ZX_TRY(zx_outgoing_tensors(&entries[i], arena, &tensors[*total], &more));
        *total += more;
    }
    return ZMLX_OK;
}

static zmlx_status write_all(output *out, const zx_outgoing *entries, size_t count,
                             const zx_stored_tensor *tensors, size_t offset)
{
    for (size_t i = 0; i < count; i++) {
        const zx_outgoing *entry = &entries[i];
        const size_t rows = entry->source.count * entry->rows;
        out->parts = entry->format == ZX_FORMAT_COUNT    ? 1
                     : entry->format == ZX_FORMAT_AFFINE ? 3
                                                         : 2;
        for (size_t k = 0; k < out->parts; k++, tensors++) {
            out->offsets[k] = offset;
            out->rows[k] = rows > 0 ? tensors->bytes / rows : 0;
            offset += tensors->bytes;
        }
        ZX_TRY(write_entry(out, entry));
    }
    return ZMLX_OK;
}

zmlx_status zx_write_entries(const char *path, const zx_outgoing *entries, size_t count,
                             zx_tensor_writing *writing)
{
    zx_arena arena = {0};
    zx_text head = {0};
    zx_writer writer = {.descriptor = -1};
    output out = {.writer = &writer, .writing = writing};
    void *memory = NULL;
    size_t total = 0;
    zmlx_status status = zx_alloc_array(ZX_TENSORS_OF_ENTRY * count, sizeof(zx_stored_tensor),
                                        "list of tensors", &memory);
    zx_stored_tensor *tensors = memory;
    if (status == ZMLX_OK) status = list_tensors(entries, count, &arena, tensors, &total);
    if (status == ZMLX_OK) status = zx_safetensors_head(tensors, total, "mlx", &head);
    if (status == ZMLX_OK) status = zx_writer_open(path, &writer);
    if (status == ZMLX_OK) status = zx_writer_add(&writer, head.bytes, head.length);
    if (status == ZMLX_OK) status = write_all(&out, entries, count, tensors, head.length);
    if (status == ZMLX_OK)
        status = zx_writer_commit(&writer);
    else
        zx_writer_abandon(&writer);
    zx_text_fini(&head);
    zx_free(tensors);
    zx_arena_reset(&arena);
    return status;
}

/* -------- exact forms -------- */

typedef struct inspection {
    const zx_outgoing *entry;
    const zx_weight *source;
    atomic_bool *exact;
} inspection;

static bool holds(zx_dtype dtype, float value)
{
    return zx_round_to(dtype, value) == value;
}

static bool row_is_exact(const zx_outgoing *entry, const zx_weight *matrix, size_t row)
{
    const zx_format_traits *traits = &zx_formats[matrix->format];
    uint8_t codes[MAX_CODE];
    const size_t size = matrix->group, groups = size > 0 ? matrix->columns / size : 0;
    for (size_t group = 0; group < groups; group++) {
        float scale, bias;
        unsigned most = 0;
        traits->codes(matrix, row, group, codes, &scale, &bias);
        if (traits->integer == ZX_INTEGER_CENTERED) bias = -scale * (float)traits->zero;
        for (size_t i = 0; i < size; i++) most |= codes[i];
        if (most >> traits->bits != 0 || !holds(entry->dtype, scale) || !holds(entry->dtype, bias))
            return false;
    }
    return true;
}

static void run_inspection(const void *context, size_t part, size_t parts, size_t thread)
{
    const inspection *i = context;
    const zx_weight *source = i->source;
    size_t first, end;
    (void)thread;
    zx_split(source->count * source->rows, 1, part, parts, &first, &end);
    for (size_t row = first; row < end && atomic_load(i->exact); row++) {
        const zx_weight matrix = zx_weight_matrix(source, row / source->rows);
        if (!row_is_exact(i->entry, &matrix, row % source->rows)) atomic_store(i->exact, false);
    }
}

static bool may_be_exact(const zx_outgoing *entry)
{
    const zx_format_traits *traits = &zx_formats[entry->source.format];
    const unsigned bits = traits->bits, group = traits->group;
    return entry->source.format > ZX_FORMAT_NVFP4 && traits->integer != ZX_INTEGER_NONE &&
           (bits == 2 || bits == 3 || bits == 4 || bits == 5 || bits == 6 || bits == 8) &&
           (group == 32 || group == 64 || group == 128) &&
           (entry->order != ZX_COLUMNS_FROM_TILES || entry->unit % group == 0) &&
           (entry->order != ZX_ROWS_BY_KEY || entry->second.format == entry->source.format);
}

void zx_outgoing_find_exact(zx_outgoing_list *list, zx_pool *pool)
{
    for (size_t i = 0; i < list->count; i++) {
        zx_outgoing *entry = &list->items[i];
        atomic_bool exact = true;
        const inspection sources[] = {{entry, &entry->source, &exact},
                                      {entry, &entry->second, &exact}};
        if (!entry->matrix || !entry->encoded || entry->turned || !may_be_exact(entry)) continue;
        for (size_t k = 0; k < (entry->order == ZX_ROWS_BY_KEY ? 2 : 1); k++)
            zx_pool_run(pool, 4 * zx_pool_threads(pool), run_inspection, &sources[k]);
        if (!atomic_load(&exact)) continue;
        entry->exact = true;
        entry->format = ZX_FORMAT_AFFINE;
        entry->bits = zx_formats[entry->source.format].bits;
        entry->group = zx_formats[entry->source.format].group;
    }
}
