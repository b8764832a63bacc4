/* short_conv_test.c - the formula over whole sequences, whatever the steps; every row; and the
 * fused ops as what they replace. */
#include "kernels/states_testing.h"

enum { COLUMNS = 70, DTYPES = 3 };

static const zx_dtype dtypes[DTYPES] = {ZX_F32, ZX_F16, ZX_BF16};
static const size_t lengths[STATES_SEQUENCES] = {140, 67, 3};
static const size_t chunks[] = {1, 7, 64, 200};
enum { ROWS = 210 };

typedef struct fixture {
    zx_operand x, weights, biases, y;
    zx_weight weight;
    zx_attributes attributes;
    testing_states states;
    zx_launch all;
} fixture;

static void open_fixture(zx_dtype dtype, size_t taps, bool bias, fixture *f)
{
    f->x = testing_random(dtype, ROWS, COLUMNS, 2);
    f->weights =
        testing_operand(dtypes[taps % DTYPES], (zx_activation_layout){0}, taps, COLUMNS, 0);
    f->biases =
        testing_operand(dtypes[(taps + 1) % DTYPES], (zx_activation_layout){0}, 1, COLUMNS, 0);
    testing_fill(&f->weights, 1);
    testing_fill(&f->biases, 1);
    f->weight = testing_weight(&f->weights);
    if (bias) {
        f->weight.bias = f->biases.data;
        f->weight.bias_dtype = f->biases.dtype;
    }
    f->y = testing_operand(dtype, (zx_activation_layout){0}, ROWS, COLUMNS, 0);
    f->attributes = (zx_attributes){.state = STATES_LAYER};
    testing_states_open((taps - 1) * COLUMNS, &f->states);
    f->all = (zx_launch){
        .inputs = {f->x, {.weight = &f->weight}}, .outputs = {f->y}, .attributes = &f->attributes};
}

static void close_fixture(fixture *f)
{
    testing_free(f->x.data);
    testing_free(f->weights.data);
    testing_free(f->biases.data);
    testing_free(f->y.data);
    testing_states_close(&f->states);
}

static float at(const zx_operand *x, size_t row, size_t column)
{
    return zx_load(x->dtype, (char *)x->data + row * x->stride, column);
}

/* Token 't' of a sequence that begins at row 'begin'. */
static float wanted(const fixture *f, size_t begin, size_t t, size_t column)
{
    const size_t taps = f->weights.rows;
    float sum = 0;
    for (size_t j = 0; j < taps; j++) {
        const float x = t + 1 + j < taps ? 0 : at(&f->x, begin + t + 1 + j - taps, column);
        sum = fmaf(at(&f->weights, j, column), x, sum);
    }
    if (f->weight.bias != NULL) sum += at(&f->biases, 0, column);
    return zx_round_to(f->y.dtype, sum);
}

static bool formula_holds(const fixture *f)
{
    size_t begin = 0;
    for (size_t s = 0; s < STATES_SEQUENCES; begin += lengths[s++])
        for (size_t i = 0; i < lengths[s] * COLUMNS; i++)
            if (at(&f->y, begin + i / COLUMNS, i % COLUMNS) !=
                wanted(f, begin, i / COLUMNS, i % COLUMNS))
                return false;
    return true;
}

/* The last inputs of the sequence's first 'count' tokens. */
static bool state_holds(const fixture *f, int32_t slot, size_t begin, size_t count)
{
    const float *state = testing_state(&f->states, slot);
    const size_t kept = f->weights.rows - 1;
    for (size_t i = 0; i < kept * COLUMNS; i++) {
        const size_t j = i / COLUMNS;
        const float x = count + j < kept ? 0 : at(&f->x, begin + count + j - kept, i % COLUMNS);
        if (state[i] != x) return false;
    }
    return true;
}

static bool states_hold(const fixture *f)
{
    const int32_t *snapshots = f->states.snapshots;
    size_t begin = 0;
    for (size_t s = 0; s < STATES_SEQUENCES; begin += lengths[s++]) {
        if (!state_holds(f, f->states.states[s], begin, lengths[s])) return false;
        const bool full = lengths[s] >= ZX_PAGE_TOKENS;
        const int32_t slot = snapshots[s * STATES_PAGES];
        if (full ? !state_holds(f, slot, begin, ZX_PAGE_TOKENS)
                 : !isnan(testing_state(&f->states, slot)[0]))
            return false;
    }
    return true;
}

TEST(short_conv_is_its_formula_in_steps_of_any_size)
{
    static const size_t taps[] = {2, 3, 4, 16};
    for (size_t i = 0; i < 4 * DTYPES * 4; i++) {
        fixture f;
        open_fixture(dtypes[i / 4 % DTYPES], taps[i / 4 / DTYPES], i % 2 == 1, &f);
        const char *differs =
            testing_run_steps(ZX_OP_SHORT_CONV, &f.states, &f.all, lengths, chunks[i % 4]);
        const bool same = formula_holds(&f), kept = states_hold(&f);
        close_fixture(&f);
        CHECK_ON(differs, differs == NULL);
        CHECK(same && kept);
    }
}

/* Runs a row-wise op on whole operands. */
static bool run_op(zx_op op, const zx_launch *launch)
{
    return testing_run(zx_kernel_reference(op), launch);
}

static bool same_rows(const zx_operand *a, const zx_operand *b)
{
    for (size_t row = 0; row < a->rows; row++)
        if (!testing_same_row(a, (char *)a->data + row * a->stride,
                              (char *)b->data + row * b->stride))
            return false;
    return true;
}

TEST(short_conv_activation_is_short_conv_then_activation)
{
    for (size_t i = 0; i < DTYPES * 4; i++) {
        fixture f, fused;
        const zx_dtype dtype = dtypes[i / 4];
        const zx_attributes silu = {.activation = ZX_ACTIVATION_SILU};
        open_fixture(dtype, 4, i % 2 == 1, &f);
        open_fixture(dtype, 4, false, &fused);
        fused.all.inputs[0] = f.x;
        fused.all.inputs[1].weight = &f.weight;
        fused.attributes.activation = ZX_ACTIVATION_SILU;
        const char *differs =
            testing_run_steps(ZX_OP_SHORT_CONV, &f.states, &f.all, lengths, chunks[i % 4]);
        const char *fused_differs = testing_run_steps(ZX_OP_SHORT_CONV_ACTIVATION, &fused.states,
                                                      &fused.all, lengths, chunks[(i + 1) % 4]);
        const zx_launch activation = {.inputs = {f.y}, .outputs = {f.y}, .attributes = &silu};
        const bool same = run_op(ZX_OP_ACTIVATION, &activation) && same_rows(&f.y, &fused.y);
        close_fixture(&f);
        close_fixture(&fused);
        CHECK_ON(differs, differs == NULL);
        CHECK_ON(fused_differs, fused_differs == NULL);
        CHECK(same);
    }
}

TEST(short_conv_gated_is_mul_short_conv_mul)
{
    for (size_t i = 0; i < DTYPES * 4; i++) {
        fixture f, fused;
        const zx_dtype dtype = dtypes[i / 4];
        open_fixture(dtype, 3, i % 2 == 1, &f);
        open_fixture(dtype, 3, false, &fused);
        zx_operand a = testing_random(dtype, ROWS, COLUMNS, 2);
        zx_operand b = testing_random(dtype, ROWS, COLUMNS, 2);
        zx_operand gate = testing_random(dtype, ROWS, COLUMNS, 2);
        const zx_launch before = {.inputs = {a, b}, .outputs = {f.x}};
        const zx_launch behind = {.inputs = {f.y, gate}, .outputs = {f.y}};
        bool ran = run_op(ZX_OP_MUL, &before);
        const char *differs =
            testing_run_steps(ZX_OP_SHORT_CONV, &f.states, &f.all, lengths, chunks[i % 4]);
        ran = ran && run_op(ZX_OP_MUL, &behind);
        fused.all.inputs[0] = a;
        fused.all.inputs[1] = b;
        fused.all.inputs[2] = (zx_operand){.weight = &f.weight};
        fused.all.inputs[3] = gate;
        const char *fused_differs = testing_run_steps(ZX_OP_SHORT_CONV_GATED, &fused.states,
                                                      &fused.all, lengths, chunks[(i + 1) % 4]);
        const bool same = ran && same_rows(&f.y, &fused.y);
        testing_free(a.data);
        testing_free(b.data);
        testing_free(gate.data);
        close_fixture(&f);
        close_fixture(&fused);
        CHECK_ON(differs, differs == NULL);
        CHECK_ON(fused_differs, fused_differs == NULL);
        CHECK(same);
    }
}

/* NaN and infinity stay in their column, and leave it after so many tokens. */
TEST(short_conv_forgets_what_is_not_finite)
{
    fixture f;
    open_fixture(ZX_F32, 3, false, &f);
    zx_store(ZX_F32, (char *)f.x.data + 10 * f.x.stride, 5, NAN);
    zx_store(ZX_F32, (char *)f.x.data + 10 * f.x.stride, 69, INFINITY);
    const char *differs = testing_run_steps(ZX_OP_SHORT_CONV, &f.states, &f.all, lengths, 7);
    bool right = true;
    for (size_t i = 0; i < lengths[0] * COLUMNS; i++) {
        const size_t row = i / COLUMNS, column = i % COLUMNS;
        const bool hit = row >= 10 && row < 13 && (column == 5 || column == 69);
        right = right && isfinite(at(&f.y, row, column)) == !hit;
    }
    close_fixture(&f);
    CHECK_ON(differs, differs == NULL);
    CHECK(right);
}
