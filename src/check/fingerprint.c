/* fingerprint.c - fixed cases through the kernels chosen here; a digest of the bits for each class.
 *
 * Every CPU kernel returns its reference's bits, so all classes but one are the same on every
 * processor; a difference is a bug, of ours or of the machine.  Dense bf16 matmuls may round their
 * sums by the processor's own instructions. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "check/run.h"
#include "zmlx/check.h"

typedef struct probe {
    const char *class; /* probes of a class stand together */
    zx_op op;
    zx_fill fill;
    zx_dtype dtype, other_dtype;
    size_t format; /* of zx_case_formats */
    zx_precision precision;
    zx_activation activation;
    uint32_t bits;
} probe;

/* Rows of zx_case_formats. */
enum { F32, F16, BF16, AFFINE4, AFFINE8 = 10, Q4_0 = 12, Q4_1, Q8_0, MXFP4, MXFP8, NVFP4 };

#define PROBE(class, op, fill, dtype, other, ...)                              \
    {                                                                          \
        class, ZX_OP_##op, ZX_FILL_##fill, ZX_##dtype, ZX_##other, __VA_ARGS__ \
    }
#define PLAIN        0, ZX_PRECISION_F32, ZX_ACTIVATION_SILU, 0
#define WITH(x)      0, ZX_PRECISION_F32, ZX_ACTIVATION_##x, 0
#define MATRIX(f, p) f, ZX_PRECISION_##p, ZX_ACTIVATION_SILU, 0
#define BITS(x)      0, ZX_PRECISION_F32, ZX_ACTIVATION_SILU, x

static const char own_sums[] = "matmul_bf16";

/* clang-format off */
static const probe probes[] = {
    PROBE("exact", ADD, RANDOM, F32, F32, PLAIN),
    PROBE("exact", MUL, SUBNORMAL, F32, F32, PLAIN),
    PROBE("exact", SCALE, LARGE, F16, F32, PLAIN),
    PROBE("exact", MUL, MASKED, BF16, F32, PLAIN),
    PROBE("functions", ACTIVATION, RANDOM, F32, F32, WITH(SILU)),
    PROBE("functions", ACTIVATION, RANDOM, F32, F32, WITH(GELU)),
    PROBE("functions", ACTIVATION, LARGE, F16, F32, WITH(GELU_TANH)),
    PROBE("functions", SOFTCAP, LARGE, BF16, F32, PLAIN),
    PROBE("functions", POSITION_SCALE, RANDOM, F32, F32, PLAIN),
    PROBE("functions", ROPE, RANDOM, F32, F32, BITS(ZX_BIT_INTERLEAVED)),
    PROBE("sums", RMSNORM, RANDOM, F32, F32, PLAIN),
    PROBE("sums", LAYERNORM, LARGE, F16, BF16, BITS(ZX_BIT_BIAS)),
    PROBE("sums", SOFTMAX, MASKED, F32, F32, PLAIN),
    PROBE("sums", ADD_RMSNORM, RANDOM, BF16, F16, PLAIN),
    PROBE("quantize", QUANTIZE, RANDOM, F32, F32, MATRIX(AFFINE4, Q16)),
    PROBE("quantize", RMSNORM_QUANTIZE, LARGE, BF16, F32, MATRIX(Q8_0, Q8)),
    PROBE("decode", EMBED, RANDOM, F32, F32, MATRIX(AFFINE4, F32)),
    PROBE("decode", EMBED, RANDOM, BF16, F32, MATRIX(MXFP8, F32)),
    PROBE("decode", EMBED, RANDOM, F16, F32, MATRIX(NVFP4, F32)),
    PROBE("decode", EMBED, RANDOM, F32, F32, MATRIX(Q4_0, F32)),
    PROBE("matmul_f32", MATMUL, RANDOM, F32, F32, MATRIX(F32, F32)),
    PROBE("matmul_f32", MATMUL, LARGE, F16, F32, MATRIX(F16, F32)),
    PROBE("matmul_f32", MATMUL_GLU, RANDOM, BF16, F32, MATRIX(AFFINE4, F32)),
    PROBE("matmul_q16", MATMUL, RANDOM, F32, F32, MATRIX(AFFINE4, Q16)),
    PROBE("matmul_q16", MATMUL_QKV, RANDOM, BF16, F32, MATRIX(Q4_1, Q16)),
    PROBE("matmul_q16", EXPERT_MATMUL, RANDOM, F32, F32, MATRIX(MXFP4, Q16)),
    PROBE("matmul_q8", MATMUL, RANDOM, F32, F32, MATRIX(AFFINE4, Q8)),
    PROBE("matmul_q8", MATMUL_ADD, RANDOM, F16, F32, MATRIX(AFFINE8, Q8)),
    PROBE("attention", ATTENTION, RANDOM, F32, F16, PLAIN),
    PROBE("attention", ATTENTION, LARGE, BF16, BF16, BITS(ZX_BIT_LIMIT | ZX_BIT_WINDOW)),
    PROBE("attention", ATTENTION_SINKS, RANDOM, F16, F32, PLAIN),
    PROBE("cache", ROPE_APPEND, RANDOM, BF16, F16, PLAIN),
    PROBE("choice", TOPK, TIES, F32, F32, PLAIN),
    PROBE("choice", ROUTER_SIGMOID, TIES, F16, F32, BITS(ZX_BIT_GROUPS | ZX_BIT_SCALE)),
    PROBE(own_sums, MATMUL, RANDOM, BF16, BF16, MATRIX(BF16, F32)),
};
/* clang-format on */
enum { PROBES = sizeof probes / sizeof probes[0] };

static zx_case_shape shape_of(size_t index)
{
    const probe *row = &probes[index];
    zx_case_shape shape = {.op = row->op,
                           .dtype = row->dtype,
                           .other_dtype = row->other_dtype,
                           .format = row->format,
                           .precision = row->precision,
                           .activation = row->activation,
                           .fill = row->fill,
                           .bits = row->bits,
                           .seed = 1 + index,
                           .dims = {5, 3, 37, 2, 3, 40, 12, 3, 70}};
    if (zx_case_width(&shape, ZX_WIDTH_COLUMNS) < 64) shape.dims[ZX_DIM_UNITS] = 261;
    zx_case_fit(&shape);
    return shape;
}

static zmlx_status run_probe(size_t index, uint64_t *digest)
{
    const zx_case_shape shape = shape_of(index);
    zx_case made;
    zx_results results;
    zx_ran ran = ZX_RAN;
    zmlx_status status = zx_case_open(&shape, &made);
    if (status == ZMLX_OK) status = zx_results_open(&made, (zx_placement){0, 0}, 0xff, &results);
    if (status == ZMLX_OK) {
        const zx_kernel *kernel = zx_kernel_choose(shape.op, &made.launch);
        const zx_run run = zx_run_all(&made, kernel);
        status = zx_case_run(&made, &run, &results, &ran);
    }
    if (status == ZMLX_OK && ran != ZX_RAN)
        status = ZX_FAIL(ZMLX_ERROR_UNSUPPORTED, "fingerprint: probe %zu, of %s, did not run",
                         index, zx_ops[shape.op].text);
    if (status == ZMLX_OK) status = zx_results_digest(&made, &results, digest);
    zx_case_close(&made);
    return status;
}

zmlx_status zmlx_fingerprint_take(zmlx_fingerprint *fingerprint)
{
    *fingerprint = (zmlx_fingerprint){.probes = PROBES};
    zmlx_fingerprint_class *class = NULL;
    for (size_t i = 0; i < PROBES; i++) {
        if (class == NULL || strcmp(class->name, probes[i].class) != 0) {
            class = &fingerprint->classes[fingerprint->count++];
            class->name = probes[i].class;
            class->may_differ = strcmp(class->name, own_sums) == 0;
        }
        const zmlx_status status = run_probe(i, &class->digest);
        if (status != ZMLX_OK) return status;
        class->probes++;
    }
    return ZMLX_OK;
}

void zmlx_fingerprint_print(const zmlx_fingerprint *fingerprint, char text[ZMLX_FINGERPRINT_TEXT])
{
    size_t used = 0;
    *text = 0;
    for (size_t i = 0; i < fingerprint->count && used < ZMLX_FINGERPRINT_TEXT; i++) {
        const zmlx_fingerprint_class *class = &fingerprint->classes[i];
        used += (size_t)snprintf(text + used, ZMLX_FINGERPRINT_TEXT - used, "%s%s=%016" PRIx64,
                                 i > 0 ? " " : "", class->name, class->digest);
    }
}
