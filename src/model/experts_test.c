/* experts_test.c - the same experts written in every form a checkpoint may have, and bad ones. */
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/test.h"
#include "model/experts.h"
#include "model/make_files.h"

enum { EXPERTS = 3, HIDDEN = 32, SIZE = 64, NAME = 96 };

static bool says(const char *message)
{
    const bool fits = strstr(zmlx_error_message(), message) != NULL;
    if (!fits) (void)printf("  is '%s'\n  not '%s'\n", zmlx_error_message(), message);
    return fits;
}

/* What the matrices hold: small numbers that E2M1 can hold too, and where each stands. */
static float value(zx_projection projection, size_t expert, size_t row, size_t column)
{
    static const float values[] = {0, 0.5F, 1, 1.5F, 2, 3, 4, 6, -0.5F, -1, -1.5F, -2, -3, -4, -6};
    return values[(5 * expert + 3 * (size_t)projection + 7 * row + column) % 15];
}

static float bias_value(zx_projection projection, size_t expert, size_t row)
{
    return (float)(1000 * (size_t)projection + 100 * expert + row);
}

/* A safetensors file as it grows. */
typedef struct maker {
    zx_text header, data;
    bool good;
} maker;

static void begin(maker *m, const char *name, const char *dtype, const char *shape, size_t bytes)
{
    m->good =
        m->good &&
        zx_text_format(&m->header,
                       "%s\"m.%s\":{\"dtype\":\"%s\",\"shape\":%s,\"data_offsets\":[%zu,%zu]}",
                       m->data.length > 0 ? "," : "{", name, dtype, shape, m->data.length,
                       m->data.length + bytes) == ZMLX_OK;
}

static void put(maker *m, const void *bytes, size_t count)
{
    m->good = m->good && zx_text_add(&m->data, bytes, count) == ZMLX_OK;
}

static void put_float(maker *m, float number)
{
    put(m, &number, sizeof number);
}

static bool write_file(maker *m, const char *folder)
{
    zx_text file = {0};
    uint64_t length = 0;
    m->good = m->good && zx_text_add_string(&m->header, "}") == ZMLX_OK;
    length = m->header.length;
    m->good = m->good && zx_text_add(&file, (const char *)&length, sizeof length) == ZMLX_OK &&
              zx_text_add(&file, m->header.bytes, m->header.length) == ZMLX_OK &&
              zx_text_add(&file, m->data.bytes, m->data.length) == ZMLX_OK &&
              zx_put_file(folder, "config.json", "{}") &&
              zx_write_text(zx_in_folder(folder, "model.safetensors"), file.bytes, file.length);
    zx_text_fini(&file);
    zx_text_fini(&m->header);
    zx_text_fini(&m->data);
    return m->good;
}

static size_t rows_of(zx_projection projection)
{
    return projection == ZX_PROJECTION_DOWN ? HIDDEN : SIZE;
}

static size_t columns_of(zx_projection projection)
{
    return projection == ZX_PROJECTION_DOWN ? SIZE : HIDDEN;
}

static void put_matrix(maker *m, zx_projection projection, size_t expert)
{
    for (size_t row = 0; row < rows_of(projection); row++)
        for (size_t i = 0; i < columns_of(projection); i++)
            put_float(m, value(projection, expert, row, i));
}

/* A tensor an expert, under names such as "experts.2.w1.weight". */
static void make_each(maker *m, const char *const names[3])
{
    char name[NAME], shape[NAME];
    for (size_t expert = 0; expert < EXPERTS; expert++)
        for (zx_projection p = ZX_PROJECTION_GATE; p <= ZX_PROJECTION_DOWN; p++) {
            (void)snprintf(name, sizeof name, "experts.%zu.%s.weight", expert, names[p]);
            (void)snprintf(shape, sizeof shape, "[%zu,%zu]", rows_of(p), columns_of(p));
            begin(m, name, "F32", shape, rows_of(p) * columns_of(p) * sizeof(float));
            put_matrix(m, p, expert);
        }
}

static void make_hub(maker *m)
{
    make_each(m, (const char *const[]){"gate_proj", "up_proj", "down_proj"});
}

static void make_mixtral(maker *m)
{
    make_each(m, (const char *const[]){"w1", "w3", "w2"});
}

static void make_biases(maker *m, const char *name, zx_projection projection)
{
    char shape[NAME];
    (void)snprintf(shape, sizeof shape, "[%d,%zu]", EXPERTS, rows_of(projection));
    begin(m, name, "F32", shape, EXPERTS * rows_of(projection) * sizeof(float));
    for (size_t i = 0; i < EXPERTS * rows_of(projection); i++)
        put_float(m, bias_value(projection, i / rows_of(projection), i % rows_of(projection)));
}

static void make_stacked(maker *m)
{
    static const char *const names[] = {"gate_proj", "up_proj", "down_proj"};
    char name[NAME], shape[NAME];
    for (zx_projection p = ZX_PROJECTION_GATE; p <= ZX_PROJECTION_DOWN; p++) {
        (void)snprintf(name, sizeof name, "switch_mlp.%s.weight", names[p]);
        (void)snprintf(shape, sizeof shape, "[%d,%zu,%zu]", EXPERTS, rows_of(p), columns_of(p));
        begin(m, name, "F32", shape, EXPERTS * rows_of(p) * columns_of(p) * sizeof(float));
        for (size_t expert = 0; expert < EXPERTS; expert++) put_matrix(m, p, expert);
        (void)snprintf(name, sizeof name, "switch_mlp.%s.bias", names[p]);
        make_biases(m, name, p);
    }
}

/* Gemma 4's, as MLX converts them. */
static void make_switch_glu(maker *m)
{
    static const char *const names[] = {"gate_proj", "up_proj", "down_proj"};
    char name[NAME], shape[NAME];
    for (zx_projection p = ZX_PROJECTION_GATE; p <= ZX_PROJECTION_DOWN; p++) {
        (void)snprintf(name, sizeof name, "experts.switch_glu.%s.weight", names[p]);
        (void)snprintf(shape, sizeof shape, "[%d,%zu,%zu]", EXPERTS, rows_of(p), columns_of(p));
        begin(m, name, "F32", shape, EXPERTS * rows_of(p) * columns_of(p) * sizeof(float));
        for (size_t expert = 0; expert < EXPERTS; expert++) put_matrix(m, p, expert);
    }
}

static void make_together(maker *m, const char *first, const char *second)
{
    const size_t bytes = EXPERTS * SIZE * HIDDEN * sizeof(float);
    char shape[NAME];
    (void)snprintf(shape, sizeof shape, "[%d,%d,%d]", EXPERTS, 2 * SIZE, HIDDEN);
    begin(m, first, "F32", shape, 2 * bytes);
    for (size_t expert = 0; expert < EXPERTS; expert++) {
        put_matrix(m, ZX_PROJECTION_GATE, expert);
        put_matrix(m, ZX_PROJECTION_UP, expert);
    }
    (void)snprintf(shape, sizeof shape, "[%d,%d,%d]", EXPERTS, HIDDEN, SIZE);
    begin(m, second, "F32", shape, bytes);
    for (size_t expert = 0; expert < EXPERTS; expert++) put_matrix(m, ZX_PROJECTION_DOWN, expert);
}

static void make_fused(maker *m)
{
    make_together(m, "experts.gate_up_proj", "experts.down_proj");
}

static void make_granite(maker *m)
{
    make_together(m, "input_linear.weight", "output_linear.weight");
}

/* gpt-oss's biases: those of gate and up take turns. */
static void make_turns_of_biases(maker *m)
{
    char shape[NAME];
    (void)snprintf(shape, sizeof shape, "[%d,%d]", EXPERTS, 2 * SIZE);
    begin(m, "experts.gate_up_proj_bias", "F32", shape, EXPERTS * 2 * SIZE * sizeof(float));
    for (size_t i = 0; i < EXPERTS * 2 * SIZE; i++)
        put_float(m, bias_value((zx_projection)(i % 2), i / (2 * SIZE), i % (2 * SIZE) / 2));
    make_biases(m, "experts.down_proj_bias", ZX_PROJECTION_DOWN);
}

static void make_transposed(maker *m)
{
    const size_t bytes = EXPERTS * SIZE * HIDDEN * sizeof(float);
    char shape[NAME];
    (void)snprintf(shape, sizeof shape, "[%d,%d,%d]", EXPERTS, HIDDEN, 2 * SIZE);
    begin(m, "experts.gate_up_proj", "F32", shape, 2 * bytes);
    for (size_t i = 0; i < EXPERTS * HIDDEN * 2 * SIZE; i++)
        put_float(m, value((zx_projection)(i % 2), i / (HIDDEN * 2 * SIZE), i % (2 * SIZE) / 2,
                           i / (2 * SIZE) % HIDDEN));
    (void)snprintf(shape, sizeof shape, "[%d,%d,%d]", EXPERTS, SIZE, HIDDEN);
    begin(m, "experts.down_proj", "F32", shape, bytes);
    for (size_t i = 0; i < EXPERTS * SIZE * HIDDEN; i++)
        put_float(m, value(ZX_PROJECTION_DOWN, i / (SIZE * HIDDEN), i % HIDDEN, i / HIDDEN % SIZE));
    make_turns_of_biases(m);
}

static uint8_t e2m1(float number)
{
    static const float values[] = {0, 0.5F, 1, 1.5F, 2, 3, 4, 6};
    uint8_t code = number < 0 ? 8 : 0;
    for (uint8_t i = 0; i < 8; i++)
        if (values[i] == (number < 0 ? -number : number)) code = (uint8_t)(code + i);
    return code;
}

static void put_codes(maker *m, zx_projection projection, size_t expert, size_t row)
{
    for (size_t i = 0; i < columns_of(projection); i += 2) {
        const uint8_t low = e2m1(value(projection, expert, row, i));
        const uint8_t high = e2m1(value(projection, expert, row, i + 1));
        put(m, &(uint8_t){(uint8_t)(low | high << 4)}, 1);
    }
}

/* Every scale is 2^0. */
static void put_ones(maker *m, const char *name, const char *shape, size_t count)
{
    begin(m, name, "U8", shape, count);
    for (size_t i = 0; i < count; i++) put(m, &(uint8_t){127}, 1);
}

static void make_blocks(maker *m)
{
    const size_t bytes = EXPERTS * SIZE * HIDDEN / 2;
    char shape[NAME];
    (void)snprintf(shape, sizeof shape, "[%d,%d,%d,16]", EXPERTS, 2 * SIZE, HIDDEN / 32);
    begin(m, "experts.gate_up_proj_blocks", "U8", shape, 2 * bytes);
    for (size_t i = 0; i < EXPERTS * 2 * SIZE; i++)
        put_codes(m, (zx_projection)(i % 2), i / (2 * SIZE), i % (2 * SIZE) / 2);
    (void)snprintf(shape, sizeof shape, "[%d,%d,%d]", EXPERTS, 2 * SIZE, HIDDEN / 32);
    put_ones(m, "experts.gate_up_proj_scales", shape, EXPERTS * 2 * SIZE * HIDDEN / 32);
    (void)snprintf(shape, sizeof shape, "[%d,%d,%d,16]", EXPERTS, HIDDEN, SIZE / 32);
    begin(m, "experts.down_proj_blocks", "U8", shape, bytes);
    for (size_t i = 0; i < EXPERTS * HIDDEN; i++)
        put_codes(m, ZX_PROJECTION_DOWN, i / HIDDEN, i % HIDDEN);
    (void)snprintf(shape, sizeof shape, "[%d,%d,%d]", EXPERTS, HIDDEN, SIZE / 32);
    put_ones(m, "experts.down_proj_scales", shape, EXPERTS * HIDDEN * SIZE / 32);
    make_turns_of_biases(m);
}

/* Whether the weight holds what value() and bias_value() say. */
static bool is_right(const zx_weight *weight, zx_projection projection, bool with_bias)
{
    bool right = weight->count == EXPERTS;
    for (size_t expert = 0; right && expert < EXPERTS; expert++) {
        const zx_weight matrix = zx_weight_matrix(weight, expert);
        right = matrix.rows == rows_of(projection) && matrix.columns == columns_of(projection) &&
                (matrix.bias != NULL) == with_bias && matrix.count == 1;
        for (size_t row = 0; right && row < matrix.rows; row++) {
            float values[SIZE] = {0};
            zx_formats[matrix.format].decode(&matrix, row, 0, matrix.columns, values);
            for (size_t i = 0; i < matrix.columns; i++)
                right = right && values[i] == value(projection, expert, row, i);
            if (with_bias)
                right = right && zx_load(matrix.bias_dtype, matrix.bias, row) ==
                                     bias_value(projection, expert, row);
        }
    }
    return right;
}

static const struct {
    const char *name;
    void (*make)(maker *m);
    bool transposed, with_bias;
} forms[] = {
    {"hub", make_hub, false, false},         {"mixtral", make_mixtral, false, false},
    {"stacked", make_stacked, false, true},  {"fused", make_fused, false, false},
    {"granite", make_granite, false, false}, {"transposed", make_transposed, true, true},
    {"blocks", make_blocks, true, true},     {"switch_glu", make_switch_glu, false, false},
};

static void reads_every_form(const char *folder)
{
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        maker m = {.good = true};
        zx_checkpoint *checkpoint = NULL;
        zx_arena arena = {0};
        bool right = true;
        forms[i].make(&m);
        CHECK(write_file(&m, folder));
        CHECK(zx_checkpoint_open(folder, &checkpoint) == ZMLX_OK);
        for (zx_projection p = ZX_PROJECTION_GATE; p <= ZX_PROJECTION_DOWN; p++) {
            const zx_expert_request request = {
                "m", p, EXPERTS, rows_of(p), columns_of(p), forms[i].transposed};
            zx_weight weight;
            right = right &&
                    zx_checkpoint_experts(checkpoint, &request, &arena, &weight) == ZMLX_OK &&
                    is_right(&weight, p, forms[i].with_bias);
        }
        zx_arena_reset(&arena);
        zx_checkpoint_close(checkpoint);
        CHECK_ON(forms[i].name, right);
    }
}

TEST(experts_are_read_in_every_form)
{
    zx_with_folder(reads_every_form);
}

static void refuses_misfits(const char *folder)
{
    static const struct {
        size_t form;
        zx_expert_request request;
        const char *message;
    } rows[] = {
        {0,
         {"m", ZX_PROJECTION_UP, 4, SIZE, HIDDEN, false},
         "tensor 'm.experts.3.up_proj.weight' is missing"},
        {0,
         {"m", ZX_PROJECTION_DOWN, 3, SIZE, HIDDEN, false},
         "tensor 'm.experts.0.down_proj.weight' is F32 [32, 64]; expected F32, F16 or BF16 [64, "
         "32]"},
        {0,
         {"n", ZX_PROJECTION_GATE, 3, SIZE, HIDDEN, false},
         "tensor 'n.experts.0.gate_proj.weight' is missing"},
        {2,
         {"m", ZX_PROJECTION_GATE, 4, SIZE, HIDDEN, false},
         "tensor 'm.switch_mlp.gate_proj.weight' is F32 [3, 64, 32]; expected F32, F16 or BF16 [4, "
         "64, 32]"},
        {3,
         {"m", ZX_PROJECTION_UP, 3, HIDDEN, SIZE, false},
         "tensor 'm.experts.gate_up_proj' is F32 [3, 128, 32]; expected [3, 64, 64]"},
        {5,
         {"m", ZX_PROJECTION_DOWN, 3, SIZE, HIDDEN, true},
         "tensor 'm.experts.down_proj' is F32 [3, 64, 32]; expected [3, 32, 64]"},
        {6,
         {"m", ZX_PROJECTION_GATE, 3, SIZE, 2 * HIDDEN, true},
         "tensor 'm.experts.gate_up_proj_blocks' is U8 [3, 128, 1, 16]; expected [3, 128, 2, 16]"},
        {6,
         {"m", ZX_PROJECTION_GATE, 3, SIZE, 40, true},
         "m.experts.gate_up_proj: 40 columns are no multiple of 32"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        maker m = {.good = true};
        zx_checkpoint *checkpoint = NULL;
        zx_arena arena = {0};
        zx_weight weight;
        forms[rows[i].form].make(&m);
        CHECK(write_file(&m, folder));
        CHECK(zx_checkpoint_open(folder, &checkpoint) == ZMLX_OK);
        const zmlx_status status =
            zx_checkpoint_experts(checkpoint, &rows[i].request, &arena, &weight);
        zx_arena_reset(&arena);
        zx_checkpoint_close(checkpoint);
        CHECK_ON(rows[i].message, status != ZMLX_OK);
        CHECK(says(rows[i].message));
    }
}

TEST(experts_that_do_not_fit_are_refused)
{
    zx_with_folder(refuses_misfits);
}
