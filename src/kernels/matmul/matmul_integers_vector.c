/* matmul_integers_vector.c - matmuls of quantized activations as loops that compilers vectorize,
 * for any processor.
 *
 * Both sides become int16: the two planes of q16 join to one (256 high + low is below 2^15), and a
 * strip's codes are unpacked into a panel that stays in L1 while all tokens pass.  Products of
 * int16 added up in int32 are what every vector instruction set can do; no group overflows: 128
 * codes below 256 times values below 2^15 stay below 2^30. */
#include "kernels/f4.h"
#include "kernels/matmul/lanes_vector.h"

enum {
    CHUNK = 512, /* columns: a multiple of every group */
    SMALLEST_GROUP = 16,
    CHUNK_GROUPS = CHUNK / SMALLEST_GROUP,
    AT_ONCE = 4, /* rows of the weight that share what is loaded of x */
    FOUR = 4,
    Q4_1_BYTES = 20,
    LINE = 64,
};

/* A strip's columns of a chunk. */
typedef struct panel {
    int16_t codes[ZX_STRIP][CHUNK];
    float scales[CHUNK_GROUPS][ZX_STRIP], biases[CHUNK_GROUPS][ZX_STRIP];
} panel;

/* -------- unpacking -------- */

/* Codes of a group in the order of x's planes, its scale and bias. */
typedef void (*unpack_fn)(const zx_weight *weight, size_t row, size_t group, int16_t *codes,
                          float *scale, float *bias);

/* Sixteen bytes hold what thirty-two places of a plane want: low nibbles, then high ones. */
static void split_nibbles(const uint8_t *bytes, size_t count, int16_t *codes)
{
    for (size_t i = 0; i < count; i += 16, bytes += 16, codes += 32)
        for (size_t j = 0; j < 16; j++) {
            codes[j] = bytes[j] & 15;
            codes[16 + j] = bytes[j] >> 4;
        }
}

static void load_affine(const zx_weight *weight, size_t row, size_t group, float *scale,
                        float *bias)
{
    const size_t at = row * weight->scales_stride;
    *scale = zx_load(weight->dtype, weight->scales + at, group);
    *bias = zx_load(weight->dtype, weight->biases + at, group);
}

static void unpack_affine_4(const zx_weight *weight, size_t row, size_t group, int16_t *codes,
                            float *scale, float *bias)
{
    const size_t bytes = weight->group / 2;
    load_affine(weight, row, group, scale, bias);
    split_nibbles(weight->codes + row * weight->codes_stride + group * bytes, bytes, codes);
}

static void unpack_affine_8(const zx_weight *weight, size_t row, size_t group, int16_t *codes,
                            float *scale, float *bias)
{
    const size_t bytes = weight->group;
    const uint8_t *from = weight->codes + row * weight->codes_stride + group * bytes;
    load_affine(weight, row, group, scale, bias);
    for (size_t i = 0; i < bytes; i++) codes[i] = from[i];
}

static void unpack_any(const zx_weight *weight, size_t row, size_t group, int16_t *codes,
                       float *scale, float *bias)
{
    uint8_t bytes[ZX_MAX_GROUP];
    const size_t size = weight->group, run = size < 32 ? size : 32;
    zx_formats[weight->format].codes(weight, row, group, bytes, scale, bias);
    if (zx_weight_layout(weight, ZX_PRECISION_Q8).order == ZX_ORDER_NATURAL) {
        for (size_t i = 0; i < size; i++) codes[i] = bytes[i];
        return;
    }
    for (size_t first = 0; first < size; first += run)
        for (size_t i = 0; i < run / 2; i++) {
            codes[first + i] = bytes[first + 2 * i];
            codes[first + run / 2 + i] = bytes[first + 2 * i + 1];
        }
}

static void unpack_q4_1(const zx_weight *weight, size_t row, size_t group, int16_t *codes,
                        float *scale, float *bias)
{
    const uint8_t *block = weight->codes + row * weight->codes_stride + group * Q4_1_BYTES;
    *scale = zx_load(ZX_F16, block, 0);
    *bias = zx_load(ZX_F16, block, 1);
    split_nibbles(block + 4, 16, codes);
}

static unpack_fn unpack_of(const zx_weight *weight)
{
    if (weight->format == ZX_FORMAT_Q4_1) return unpack_q4_1;
    if (weight->format != ZX_FORMAT_AFFINE) return unpack_any;
    if (weight->bits == 4) return unpack_affine_4;
    return weight->bits == 8 ? unpack_affine_8 : unpack_any;
}

static void fill_panel(const zx_weight *weight, size_t first, size_t column, size_t columns,
                       panel *p)
{
    const unpack_fn unpack = unpack_of(weight);
    for (size_t row = 0; row < ZX_STRIP; row++)
        for (size_t at = 0, i = 0; at < columns; at += weight->group, i++)
            unpack(weight, first + row, column / weight->group + i, p->codes[row] + at,
                   &p->scales[i][row], &p->biases[i][row]);
}

/* -------- products -------- */

/* t[row] = sum_i x_i codes_row,i of a group; 'count' is a multiple of SMALLEST_GROUP. */
static void multiply_group(const int16_t *x, const int16_t *codes, size_t count,
                           int32_t t[ZX_STRIP])
{
    count = count / SMALLEST_GROUP * SMALLEST_GROUP; /* which the compiler cannot know */
    for (size_t row = 0; row < ZX_STRIP; row += AT_ONCE, codes += AT_ONCE * CHUNK) {
        int32_t sum[AT_ONCE] = {0};
        for (size_t i = 0; i < count; i++) {
            sum[0] += codes[i] * x[i];
            sum[1] += codes[CHUNK + i] * x[i];
            sum[2] += codes[2 * CHUNK + i] * x[i];
            sum[3] += codes[3 * CHUNK + i] * x[i];
        }
        memcpy(t + row, sum, sizeof sum);
    }
}

/* sums[16 rows] += the columns of a panel, whose first group is 'group'. */
static void add_panel(const zx_weight *weight, const panel *p, size_t group, size_t columns,
                      const int16_t *x, const zx_activation_row *parts, float sums[ZX_STRIP])
{
    const zx_format_traits *traits = &zx_formats[weight->format];
    const bool affine = traits->integer == ZX_INTEGER_AFFINE;
    for (size_t at = 0, i = 0; at < columns; at += weight->group, i++) {
        int32_t t[ZX_STRIP];
        const float scale = parts->scale[group + i], sum = parts->sum[group + i];
        const int32_t off = affine ? 0 : traits->zero * parts->total[group + i];
        multiply_group(x + at, p->codes[0] + at, weight->group, t);
        for (size_t row = 0; row < ZX_STRIP; row += FOUR) {
            f4 value = f4_from(sums + row);
            if (affine) value = f4_fma(f4_from(p->biases[i] + row), f4_set1(sum), value);
            const f4 product = __builtin_convertvector((i4)f4_from(t + row) - off, f4) * scale;
            f4_store(sums + row, f4_fma(product, f4_from(p->scales[i] + row), value));
        }
    }
}

/* -------- a launch -------- */

/* Scratch: x as int16, then per thread a panel and two sets of sums. */
static size_t x_bytes(const zx_operand *x)
{
    return zx_round_up(x->rows * x->columns * sizeof(int16_t), LINE);
}

static size_t thread_bytes(const zx_operand *x)
{
    return zx_round_up(sizeof(panel) + 2 * x->rows * ZX_STRIP * sizeof(float), LINE);
}

size_t zx_scratch_matmul_integers_vector(const zx_launch *launch)
{
    const zx_operand *x = &launch->inputs[0];
    return x_bytes(x) + zx_pool_threads(launch->pool) * thread_bytes(x);
}

static void join_planes(const void *context, size_t part, size_t parts, size_t thread)
{
    (void)thread;
    const zx_matmul *matmul = context;
    const zx_operand *x = matmul->x;
    size_t row, end;
    zx_split(x->rows, 1, part, parts, &row, &end);
    for (; row < end; row++) {
        const zx_activation_row from =
            zx_activation_parts(x->layout, x->columns, zx_operand_row(x, row));
        int16_t *to = (int16_t *)matmul->launch->scratch + row * x->columns;
        const int8_t *const high = from.plane[0], *const low = from.plane[1];
        const int factor = x->layout.planes == 1 ? 1 : 256;
        if (factor == 1)
            for (size_t i = 0; i < x->columns; i++) to[i] = (int16_t)(factor * high[i]);
        else
            for (size_t i = 0; i < x->columns; i++) to[i] = (int16_t)(factor * high[i] + low[i]);
    }
}

/* sums[token][16 rows] of a strip. */
static void multiply_strip(const zx_matmul *matmul, const zx_weight *weight, size_t first, panel *p,
                           float *sums)
{
    const zx_operand *x = matmul->x;
    const int16_t *values = matmul->launch->scratch;
    memset(sums, 0, x->rows * ZX_STRIP * sizeof *sums);
    for (size_t column = 0; column < x->columns; column += CHUNK) {
        const size_t left = x->columns - column, columns = left < CHUNK ? left : CHUNK;
        fill_panel(weight, first, column, columns, p);
        for (size_t token = 0; token < x->rows; token++) {
            const zx_activation_row parts =
                zx_activation_parts(x->layout, x->columns, zx_operand_row(x, token));
            add_panel(weight, p, column / weight->group, columns,
                      values + token * x->columns + column, &parts, sums + token * ZX_STRIP);
        }
    }
}

static void run_strips(const void *context, size_t part, size_t parts, size_t thread)
{
    const zx_matmul *matmul = context;
    const zx_operand *x = matmul->x;
    char *memory = (char *)matmul->launch->scratch + x_bytes(x) + thread * thread_bytes(x);
    panel *p = (panel *)(void *)memory;
    float *sums = (float *)(void *)(memory + sizeof *p), *up = sums + x->rows * ZX_STRIP;
    size_t index, end;
    zx_split(zx_count_strips(matmul), 1, part, parts, &index, &end);
    for (; index < end; index++) {
        const zx_strip strip = zx_strip_at(matmul, index);
        multiply_strip(matmul, matmul->weights[strip.matrix], strip.row, p, sums);
        if (matmul->gated) multiply_strip(matmul, matmul->weights[1], strip.row, p, up);
        for (size_t token = 0; token < x->rows; token++)
            zx_finish_strip(matmul, strip, token, sums + token * ZX_STRIP, up + token * ZX_STRIP);
    }
}

static zmlx_status run(const zx_matmul *matmul)
{
    zx_pool *pool = matmul->launch->pool;
    if (matmul->x->rows == 0) return ZMLX_OK;
    zx_pool_run(pool, zx_row_parts(matmul->launch), join_planes, matmul);
    zx_pool_run(pool, zx_strip_parts(matmul, 1), run_strips, matmul);
    return ZMLX_OK;
}

zmlx_status zx_matmul_integers_vector(const zx_launch *launch)
{
    const zx_matmul matmul = zx_matmul_plain(launch);
    return run(&matmul);
}

zmlx_status zx_matmul_add_integers_vector(const zx_launch *launch)
{
    const zx_matmul matmul = zx_matmul_with_residual(launch);
    return run(&matmul);
}

zmlx_status zx_matmul_qkv_integers_vector(const zx_launch *launch)
{
    const zx_matmul matmul = zx_matmul_three(launch);
    return run(&matmul);
}

zmlx_status zx_matmul_glu_integers_vector(const zx_launch *launch)
{
    const zx_matmul matmul = zx_matmul_gated(launch);
    return run(&matmul);
}
