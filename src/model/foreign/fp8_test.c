/* fp8_test.c - E4M3 with scales by block, row or matrix, alone and in stacks. */
#include <math.h>

#include "model/foreign/foreign_testing.h"

enum { HIGH = 3, WIDE = 6 };

/* 1, 2, 3, -1, 2^-9 and 448, on each row */
static const uint8_t e4m3[HIGH * WIDE] = {0x38, 0x40, 0x44, 0xb8, 0x01, 0x7e, 0x38, 0x40, 0x44,
                                          0xb8, 0x01, 0x7e, 0x38, 0x40, 0x44, 0xb8, 0x01, 0x7e};
static const float e4m3_values[WIDE] = {1.0F, 2.0F, 3.0F, -1.0F, 0x1p-9F, 448.0F};
static const float four_scales[] = {1.1F, 2.0F, 0.5F, 4.0F};
static const uint8_t four_powers[] = {127, 128, 126, 129}; /* E8M0: 1, 2, 0.5, 4 */

/* Which of the scales a value has. */
typedef struct fp8_case {
    const char *config, *scale;
    size_t rows, columns; /* of the scales; rows 0: a vector */
    uint8_t of[HIGH][WIDE];
    const char *message; /* NULL: it is read */
    zx_dtype dtype;      /* of the scales */
} fp8_case;

#define FP8_CONFIG "{\"quantization_config\":{\"quant_method\":\"fp8\""
#define BLOCKS     ",\"weight_block_size\":[2,4]}}"
#define FLOAT_BEGIN                                                                         \
    "{\"quantization_config\":{\"quant_method\":\"compressed-tensors\",\"format\":\"float-" \
    "quantized\""
#define FLOAT_CONFIG FLOAT_BEGIN "}}"
#define FLOAT_BLOCKS                                                                        \
    FLOAT_BEGIN ",\"config_groups\":{\"a\":{\"weights\":{\"block_structure\":null}},\"b\":" \
                "{\"weights\":{\"block_structure\":[2,4]}}}}}"
#define IN_BLOCKS                               \
    {                                           \
        {0, 0, 0, 0, 1, 1}, {0, 0, 0, 0, 1, 1}, \
        {                                       \
            2, 2, 2, 2, 3, 3                    \
        }                                       \
    }

static const fp8_case fp8_cases[] = {
    {FP8_CONFIG BLOCKS, "m.weight_scale_inv", 2, 2, IN_BLOCKS, NULL, ZX_F32},
    {FP8_CONFIG BLOCKS, "m.weight_scale_inv", 2, 2, IN_BLOCKS, NULL, ZX_F8_E8M0},
    {FP8_CONFIG BLOCKS, "m.weight_scale_inv", 2, 2, IN_BLOCKS, NULL, ZX_U8},
    {FLOAT_BLOCKS, "m.weight_scale", 2, 2, IN_BLOCKS, NULL, ZX_F32},
    /* 128 rows and columns, which a config that is silent means */
    {FP8_CONFIG "}}", "m.weight_scale_inv", 1, 1, {{0}}, NULL, ZX_F8_E8M0},
    /* groups of columns, which only the scales tell */
    {FLOAT_CONFIG,
     "m.weight_scale",
     1,
     3,
     {{0, 0, 1, 1, 2, 2}, {0, 0, 1, 1, 2, 2}, {0, 0, 1, 1, 2, 2}},
     NULL,
     ZX_F32},
    {FP8_CONFIG "}}", "m.weight_scale", 0, 1, {{0}}, NULL, ZX_F32},
    {FP8_CONFIG BLOCKS, "m.weight_scale_inv", 1, 1, {{0}}, NULL, ZX_F32},
    {FLOAT_CONFIG,
     "m.weight_scale",
     3,
     1,
     {{0}, {1, 1, 1, 1, 1, 1}, {2, 2, 2, 2, 2, 2}},
     NULL,
     ZX_F32},
    {FP8_CONFIG "}}",
     "m.weight_scale_inv",
     2,
     2,
     {{0}},
     "module 'm': its scales are neither one",
     ZX_F32},
    {FP8_CONFIG ",\"fmt\":\"e5m2\"}}",
     "m.weight_scale_inv",
     2,
     2,
     {{0}},
     "config key 'quantization_config.fmt' is the string 'e5m2'; expected 'e4m3'",
     ZX_F32},
    {FP8_CONFIG ",\"weight_block_size\":[2]}}",
     "m.weight_scale_inv",
     2,
     2,
     {{0}},
     "config key 'quantization_config.weight_block_size' is ",
     ZX_F32},
};

static bool put_fp8(const char *folder, const fp8_case *row)
{
    static const float input_scale = 1.0F;
    const void *const scales = row->dtype == ZX_F32 ? (const void *)four_scales : four_powers;
    const zx_stored_tensor tensors[] = {
        tensor_of("m.weight", ZX_F8_E4M3, HIGH, WIDE, e4m3),
        tensor_of(row->scale, row->dtype, row->rows, row->columns, scales),
        tensor_of("m.input_scale", ZX_F32, 0, 1, &input_scale),
    };
    return zx_put_file(folder, "config.json", row->config) &&
           zx_safetensors_write(zx_in_folder(folder, "model.safetensors"), tensors, 3) == ZMLX_OK;
}

static bool holds_fp8(const zx_checkpoint *checkpoint, const fp8_case *row)
{
    zx_weight weight;
    if (zx_checkpoint_weight(checkpoint, "m", HIGH, WIDE, &weight) != ZMLX_OK ||
        zx_checkpoint_make(checkpoint, 1) != ZMLX_OK)
        return false;
    bool good = weight.format == ZX_FORMAT_BF16 && zx_checkpoint_count(checkpoint) == 1;
    for (size_t i = 0; good && i < HIGH * WIDE; i++) {
        const size_t at = row->of[i / WIDE][i % WIDE];
        const float scale =
            row->dtype == ZX_F32 ? four_scales[at] : ldexpf(1.0F, (int)four_powers[at] - 127);
        good = zx_load(ZX_BF16, weight.codes, i) ==
               zx_round_to(ZX_BF16, e4m3_values[i % WIDE] * scale);
    }
    /* 3 * 1.1, by hand */
    return good && (row->of[0][2] != 0 || row->dtype != ZX_F32 ||
                    zx_load(ZX_BF16, weight.codes, 2) == 3.296875F);
}

static void reads_fp8(const char *folder)
{
    for (size_t i = 0; i < sizeof fp8_cases / sizeof *fp8_cases; i++) {
        const fp8_case *row = &fp8_cases[i];
        zx_checkpoint *checkpoint = NULL;
        CHECK_ON(row->config, put_fp8(folder, row));
        const zmlx_status status = zx_checkpoint_open(folder, &checkpoint);
        const bool good = status == ZMLX_OK && holds_fp8(checkpoint, row);
        if (status == ZMLX_OK) zx_checkpoint_close(checkpoint);
        CHECK_ON(row->config, row->message != NULL ? status != ZMLX_OK : good);
        CHECK_ON(row->config, row->message == NULL || says(row->message));
    }
}

/* Rows without end, but no bytes. */
static void refuses_empty_fp8(const char *folder)
{
    zx_checkpoint *checkpoint = NULL;
    CHECK(zx_put_file(folder, "config.json", FP8_CONFIG "}}"));
    CHECK(put_header(folder,
                     "{\"m.weight\":{\"dtype\":\"F8_E4M3\",\"shape\":[1000000000000000,0],"
                     "\"data_offsets\":[0,0]},\"m.weight_scale\":{\"dtype\":\"F32\",\"shape\":[1],"
                     "\"data_offsets\":[0,4]}}",
                     4));
    CHECK(zx_checkpoint_open(folder, &checkpoint) == ZMLX_ERROR_UNSUPPORTED);
    CHECK(says("module 'm': its weight is empty"));
}

TEST(foreign_refuses_empty_fp8)
{
    zx_with_folder(refuses_empty_fp8);
}

TEST(foreign_reads_fp8)
{
    zx_with_folder(reads_fp8);
}

/* -------- stacks of FP8 -------- */

enum { STACK = 2 };

/* Which of the scales a value of the second matrix has; the first has those before. */
typedef struct stack_case {
    const char *weight, *scale;
    size_t shape[3];
    uint8_t of[HIGH][WIDE];
    const char *message;
} stack_case;

static const stack_case stack_cases[] = {
    {"m",
     "m_scale_inv",
     {STACK, 2, 2},
     {{4, 4, 4, 4, 5, 5}, {4, 4, 4, 4, 5, 5}, {6, 6, 6, 6, 7, 7}},
     NULL},
    {"m.weight",
     "m.weight_scale_inv",
     {STACK, 2, 2},
     {{4, 4, 4, 4, 5, 5}, {4, 4, 4, 4, 5, 5}, {6, 6, 6, 6, 7, 7}},
     NULL},
    {"m",
     "m_scale_inv",
     {STACK, 1, 1},
     {{1, 1, 1, 1, 1, 1}, {1, 1, 1, 1, 1, 1}, {1, 1, 1, 1, 1, 1}},
     NULL},
    {"m",
     "m_scale",
     {STACK, HIGH, 1},
     {{3, 3, 3, 3, 3, 3}, {4, 4, 4, 4, 4, 4}, {5, 5, 5, 5, 5, 5}},
     NULL},
    {"m", "m_scale_inv", {1, 1, 1}, {{0}}, NULL},
    {"m", "m_scale_inv", {STACK, 2, 1}, {{0}}, "module 'm': its scales are neither one for each"},
};

static float stack_scale(size_t index)
{
    return 1.1F + 0.3F * (float)index;
}

static bool put_stack(const char *folder, const stack_case *row)
{
    uint8_t codes[STACK * HIGH * WIDE];
    float scales[16];
    for (size_t i = 0; i < 16; i++) scales[i] = stack_scale(i);
    for (size_t i = 0; i < sizeof codes; i++) codes[i] = e4m3[i % (HIGH * WIDE)];
    zx_stored_tensor tensors[] = {
        tensor_of(row->weight, ZX_F8_E4M3, STACK, HIGH * WIDE, codes),
        tensor_of(row->scale, ZX_F32, row->shape[0], row->shape[1] * row->shape[2], scales),
        tensor_of("m_activation_scale", ZX_F32, 0, STACK, scales),
    };
    const size_t shape[] = {STACK, HIGH, WIDE};
    memcpy(tensors[0].shape, shape, sizeof shape);
    memcpy(tensors[1].shape, row->shape, sizeof row->shape);
    tensors[0].rank = tensors[1].rank = 3;
    return zx_put_file(folder, "config.json", FP8_CONFIG BLOCKS) &&
           zx_safetensors_write(zx_in_folder(folder, "model.safetensors"), tensors,
                                row->weight[1] == 0 ? 3 : 2) == ZMLX_OK;
}

static bool holds_stack(const zx_checkpoint *checkpoint, const stack_case *row)
{
    const zx_stored_tensor *tensor = zx_checkpoint_find(checkpoint, row->weight);
    bool good = zx_checkpoint_make(checkpoint, 1) == ZMLX_OK && tensor != NULL &&
                tensor->dtype == ZX_BF16 && tensor->rank == 3 && tensor->shape[0] == STACK &&
                tensor->shape[1] == HIGH && tensor->shape[2] == WIDE &&
                zx_checkpoint_count(checkpoint) == 1;
    const size_t each = row->shape[1] * row->shape[2];
    for (size_t i = 0; good && i < (size_t)STACK * HIGH * WIDE; i++) {
        const size_t matrix = i / ((size_t)HIGH * WIDE), r = i / WIDE % HIGH, column = i % WIDE;
        const size_t last = row->of[r][column]; /* of the second matrix */
        const size_t at = matrix == 1 || row->shape[0] == 1 ? last : last - each;
        const float value = e4m3_values[column] * stack_scale(at);
        good = zx_load(ZX_BF16, tensor->data, i) == zx_round_to(ZX_BF16, value);
    }
    return good;
}

static void reads_stacks(const char *folder)
{
    for (size_t i = 0; i < sizeof stack_cases / sizeof *stack_cases; i++) {
        const stack_case *row = &stack_cases[i];
        zx_checkpoint *checkpoint = NULL;
        char name[24];
        (void)snprintf(name, sizeof name, "case %zu", i);
        CHECK_ON(name, put_stack(folder, row));
        const zmlx_status status = zx_checkpoint_open(folder, &checkpoint);
        const bool good = status == ZMLX_OK && holds_stack(checkpoint, row);
        if (status == ZMLX_OK) zx_checkpoint_close(checkpoint);
        CHECK_ON(name, row->message != NULL ? status != ZMLX_OK && says(row->message) : good);
    }
}

TEST(foreign_reads_stacks_of_fp8)
{
    zx_with_folder(reads_stacks);
}

/* -------- what is made, and when -------- */

static bool put_list(const char *folder, const zx_stored_tensor *tensors, size_t count)
{
    return zx_put_file(folder, "config.json", FP8_CONFIG "}}") &&
           zx_safetensors_write(zx_in_folder(folder, "model.safetensors"), tensors, count) ==
               ZMLX_OK;
}

/* Two modules, of which one is used. */
static void makes_what_is_used(const char *folder)
{
    const zx_stored_tensor tensors[] = {
        tensor_of("a.weight", ZX_F8_E4M3, HIGH, WIDE, e4m3),
        tensor_of("a.weight_scale", ZX_F32, 0, 1, four_scales),
        tensor_of("b.weight", ZX_F8_E4M3, HIGH, WIDE, e4m3),
        tensor_of("b.weight_scale", ZX_F32, 0, 1, four_scales),
    };
    const size_t each = sizeof(uint16_t) * HIGH * WIDE;
    size_t made[4] = {0};
    zx_weight a, b;
    zx_checkpoint *checkpoint = NULL;
    CHECK(put_list(folder, tensors, 4));
    if (zx_checkpoint_open(folder, &checkpoint) != ZMLX_OK) return;
    bool good = zx_checkpoint_make(checkpoint, 1) == ZMLX_OK;
    made[0] = zx_checkpoint_made(checkpoint);
    good = good && zx_checkpoint_weight(checkpoint, "b", HIGH, WIDE, &b) == ZMLX_OK &&
           zx_checkpoint_make(checkpoint, 1) == ZMLX_OK;
    made[1] = zx_checkpoint_made(checkpoint);
    const zx_stored_tensor *other = zx_checkpoint_peek(checkpoint, "a.weight");
    good = good && other != NULL && zx_checkpoint_makes(checkpoint, other) &&
           zx_load(ZX_BF16, other->data, 0) == 0 && zx_load(ZX_BF16, b.codes, 1) == 2.203125F;
    /* and the other later */
    good = good && zx_checkpoint_weight(checkpoint, "a", HIGH, WIDE, &a) == ZMLX_OK &&
           zx_checkpoint_make(checkpoint, 1) == ZMLX_OK;
    made[2] = zx_checkpoint_made(checkpoint);
    good = good && zx_load(ZX_BF16, a.codes, 1) == 2.203125F &&
           zx_checkpoint_make(checkpoint, 1) == ZMLX_OK;
    made[3] = zx_checkpoint_made(checkpoint);
    zx_checkpoint_close(checkpoint);
    CHECK(good && made[0] == 0 && made[1] == each && made[2] == 2 * each && made[3] == 2 * each);
}

TEST(foreign_values_that_nobody_uses_are_not_made)
{
    zx_with_folder(makes_what_is_used);
}

/* A convolution's weight is turned when the model is opened. */
static void reads_conv(const char *folder)
{
    static const char *const scales[] = {"m.weight_scale", "m.weight_scale_inv"};
    for (size_t i = 0; i < 2; i++) {
        zx_stored_tensor tensors[] = {
            tensor_of("m.weight", ZX_F8_E4M3, HIGH, WIDE, e4m3),
            tensor_of(scales[i], ZX_F32, 0, 1, four_scales),
        };
        const size_t shape[] = {HIGH, 1, WIDE}; /* columns and taps */
        zx_checkpoint *checkpoint = NULL;
        zx_arena arena = {0};
        zx_weight weight;
        memcpy(tensors[0].shape, shape, sizeof shape);
        tensors[0].rank = 3;
        CHECK(put_list(folder, tensors, 2));
        if (zx_checkpoint_open(folder, &checkpoint) != ZMLX_OK) return;
        const zmlx_status status = zx_checkpoint_conv(checkpoint, "m", HIGH, WIDE, &arena, &weight);
        bool good = status == ZMLX_OK;
        for (size_t k = 0; good && k < HIGH * WIDE; k++)
            good = zx_load(ZX_F32, weight.codes, k) ==
                   zx_round_to(ZX_BF16, e4m3_values[k / HIGH] * four_scales[0]);
        zx_arena_reset(&arena);
        zx_checkpoint_close(checkpoint);
        CHECK_ON(scales[i], good || status == ZMLX_ERROR_MEMORY);
    }
}

TEST(foreign_reads_convolutions_of_fp8)
{
    zx_with_folder(reads_conv);
}

/* Scales whose name says no more: only where a tensor of E4M3 has it too are they its. */
static void keeps_other_scales(const char *folder)
{
    static const float values[2] = {1.0F, 2.0F};
    const zx_stored_tensor tensors[] = {
        tensor_of("m.weight", ZX_F8_E4M3, HIGH, WIDE, e4m3),
        tensor_of("m.weight_scale", ZX_F32, 0, 1, four_scales),
        tensor_of("router.per_expert_scale", ZX_F32, 0, 2, values),
        tensor_of("attn.k_scale", ZX_F32, 0, 1, values),
        tensor_of("block", ZX_F32, 1, 2, values),
        tensor_of("block_scale", ZX_F32, 0, 1, values),
    };
    static const char *const kept[] = {"router.per_expert_scale", "attn.k_scale", "block",
                                       "block_scale", "m.weight"};
    enum { KEPT = sizeof kept / sizeof *kept };
    bool there[KEPT];
    zx_checkpoint *checkpoint = NULL;
    CHECK(put_list(folder, tensors, sizeof tensors / sizeof *tensors));
    const zmlx_status status = zx_checkpoint_open(folder, &checkpoint);
    if (status == ZMLX_ERROR_MEMORY) return;
    CHECK(status == ZMLX_OK);
    for (size_t i = 0; i < KEPT; i++) there[i] = zx_checkpoint_peek(checkpoint, kept[i]) != NULL;
    const size_t count = zx_checkpoint_count(checkpoint);
    zx_checkpoint_close(checkpoint);
    for (size_t i = 0; i < KEPT; i++) CHECK_ON(kept[i], there[i]);
    CHECK(count == KEPT);
}

TEST(foreign_keeps_scales_of_no_weight)
{
    zx_with_folder(keeps_other_scales);
}
