/* gated_delta_test.c - the rule against double, the same bits in steps of any size, and every row;
 * and what of a state decays. */
#include "kernels/states_testing.h"

enum { DTYPES = 3, KEY_HEADS = 2 };

static const zx_dtype dtypes[DTYPES] = {ZX_F32, ZX_F16, ZX_BF16};
static const size_t lengths[STATES_SEQUENCES] = {130, 66, 3};
static const size_t chunks[] = {200, 1, 7, 64};
enum { ROWS = 199, CHUNKS = 4 };

typedef struct shape {
    size_t key_size, value_size, group; /* value heads of a key head */
    bool tiled;
} shape;

static const shape shapes[] = {
    {16, 16, 1, false}, {8, 37, 2, false}, {33, 64, 3, false}, {5, 1, 1, false}, {9, 35, 3, true}};

typedef struct fixture {
    shape shape;
    size_t heads;
    zx_operand queries, keys, values, decays, rates, y;
    zx_attributes attributes;
    testing_states states;
    zx_launch all;
} fixture;

/* Keys of length 1, and factors in [0, 1). */
static void shape_inputs(fixture *f)
{
    for (size_t row = 0; row < ROWS; row++) {
        float *const keys = (float *)(void *)((char *)f->keys.data + row * f->keys.stride);
        for (size_t h = 0; h < KEY_HEADS; h++) {
            float *const key = keys + h * f->shape.key_size;
            float squares = 1e-6F;
            for (size_t i = 0; i < f->shape.key_size; i++) squares += key[i] * key[i];
            for (size_t i = 0; i < f->shape.key_size; i++) key[i] /= sqrtf(squares);
        }
        for (size_t h = 0; h < f->heads; h++) {
            zx_store(ZX_F32, (char *)f->decays.data + row * f->decays.stride, h,
                     1 - (float)zx_test_uniform() * 0.3F);
            zx_store(f->rates.dtype, (char *)f->rates.data + row * f->rates.stride, h,
                     (float)zx_test_uniform());
        }
    }
}

static void open_fixture(zx_dtype dtype, const shape *s, fixture *f)
{
    const size_t heads = KEY_HEADS * s->group;
    *f = (fixture){.shape = *s, .heads = heads};
    f->queries = testing_random(ZX_F32, ROWS, KEY_HEADS * s->key_size, 1);
    f->keys = testing_random(ZX_F32, ROWS, KEY_HEADS * s->key_size, 1);
    f->values = testing_random(dtype, ROWS, heads * s->value_size, 2);
    f->decays = testing_random(ZX_F32, ROWS, heads, 1);
    f->rates = testing_random(dtype, ROWS, heads, 1);
    f->y = testing_operand(dtype, (zx_activation_layout){0}, ROWS, heads * s->value_size, 0);
    shape_inputs(f);
    f->attributes = (zx_attributes){.scale = 0.3F,
                                    .head_size = (uint32_t)s->key_size,
                                    .value_size = (uint32_t)s->value_size,
                                    .state = STATES_LAYER,
                                    .tiled = s->tiled};
    testing_states_open(heads * s->key_size * s->value_size, &f->states);
    f->all = (zx_launch){.inputs = {f->queries, f->keys, f->values, f->decays, f->rates},
                         .outputs = {f->y},
                         .attributes = &f->attributes};
}

static void close_fixture(fixture *f)
{
    for (int i = 0; i < 5; i++) testing_free(f->all.inputs[i].data);
    testing_free(f->y.data);
    testing_states_close(&f->states);
}

static double at(const zx_operand *x, size_t row, size_t column)
{
    return (double)zx_load(x->dtype, (char *)x->data + row * x->stride, column);
}

/* The rule for one column of one head of a sequence that begins at row 'begin': the largest error
 * of y, relative to 1 + what is wanted, and the state behind the last token, [key_size]. */
static double column_error(const fixture *f, size_t begin, size_t length, size_t column,
                           double *state)
{
    const size_t key_size = f->shape.key_size, head = column / f->shape.value_size;
    const size_t key_head = f->shape.tiled ? head % KEY_HEADS : head / f->shape.group;
    const size_t first = key_head * key_size;
    double largest = 0;
    for (size_t row = begin; row < begin + length; row++) {
        double read = 0, result = 0;
        for (size_t i = 0; i < key_size; i++) {
            state[i] *= at(&f->decays, row, head);
            read += state[i] * at(&f->keys, row, first + i);
        }
        const double delta = (at(&f->values, row, column) - read) * at(&f->rates, row, head);
        for (size_t i = 0; i < key_size; i++) {
            state[i] += delta * at(&f->keys, row, first + i);
            result += state[i] * at(&f->queries, row, first + i) * (double)0.3F;
        }
        const double error = fabs(at(&f->y, row, column) - result) / (1 + fabs(result));
        largest = isnan(error) || error > largest ? error : largest;
    }
    return largest;
}

/* Also holds the states that were left to the rule. */
static double largest_error(const fixture *f)
{
    double largest = 0;
    const size_t key_size = f->shape.key_size, value_size = f->shape.value_size;
    size_t begin = 0;
    for (size_t s = 0; s < STATES_SEQUENCES; begin += lengths[s++]) {
        const float *left = testing_state(&f->states, f->states.states[s]);
        for (size_t column = 0; column < f->heads * value_size; column++) {
            double state[64] = {0};
            largest = fmax(largest, column_error(f, begin, lengths[s], column, state));
            const size_t head = column / value_size;
            for (size_t i = 0; i < key_size; i++) {
                const float is = left[(head * key_size + i) * value_size + column % value_size];
                largest = fmax(largest, fabs((double)is - state[i]) / (1 + fabs(state[i])));
            }
        }
    }
    return largest;
}

/* A step that begins where another sequence's snapshot ends finds its bits. */
static bool snapshots_hold(const fixture *a, const fixture *b)
{
    for (size_t s = 0; s < STATES_SEQUENCES; s++) {
        const size_t bytes = a->states.layers[STATES_LAYER - 1].values * sizeof(float);
        const int32_t slots[] = {a->states.states[s], a->states.snapshots[s * STATES_PAGES]};
        for (size_t i = 0; i < 2; i++)
            if (memcmp(testing_state(&a->states, slots[i]), testing_state(&b->states, slots[i]),
                       bytes) != 0)
                return false;
        const bool full = lengths[s] >= ZX_PAGE_TOKENS;
        if (isnan(testing_state(&a->states, slots[1])[0]) == full) return false;
    }
    return true;
}

TEST(gated_delta_is_its_rule_in_steps_of_any_size)
{
    static const double bounds[] = {[ZX_F32] = 1e-5, [ZX_F16] = 2e-3, [ZX_BF16] = 1.6e-2};
    for (size_t i = 0; i < DTYPES * sizeof shapes / sizeof shapes[0]; i++) {
        const zx_dtype dtype = dtypes[i % DTYPES];
        fixture whole, parts;
        open_fixture(dtype, &shapes[i / DTYPES], &whole);
        const char *differs =
            testing_run_steps(ZX_OP_GATED_DELTA, &whole.states, &whole.all, lengths, chunks[0]);
        const double error = largest_error(&whole);
        open_fixture(dtype, &shapes[i / DTYPES], &parts);
        for (int k = 0; k < 5; k++) {
            testing_free(parts.all.inputs[k].data);
            parts.all.inputs[k] = whole.all.inputs[k];
        }
        bool same = true;
        for (size_t k = 1; k < CHUNKS && same && differs == NULL; k++) {
            memset(parts.y.data, TESTING_FILL, ROWS * parts.y.stride);
            differs =
                testing_run_steps(ZX_OP_GATED_DELTA, &parts.states, &parts.all, lengths, chunks[k]);
            same = memcmp(parts.y.data, whole.y.data, ROWS * whole.y.stride) == 0 &&
                   snapshots_hold(&whole, &parts);
        }
        for (int k = 0; k < 5; k++) parts.all.inputs[k].data = NULL;
        close_fixture(&parts);
        close_fixture(&whole);
        CHECK_ON(differs, differs == NULL);
        CHECK_ON(zx_dtypes[dtype].name, error < bounds[dtype]);
        CHECK(same);
    }
}

TEST(decay_is_its_formula)
{
    enum { HEADS = 19 };
    for (size_t i = 0; i < DTYPES * DTYPES; i++) {
        zx_operand x = testing_random(dtypes[i % DTYPES], 5, HEADS, 8);
        zx_operand logs =
            testing_operand(dtypes[i / DTYPES], (zx_activation_layout){0}, 1, HEADS, 0);
        zx_operand biases = testing_operand(ZX_F32, (zx_activation_layout){0}, 1, HEADS, 0);
        testing_fill(&logs, 2);
        testing_fill(&biases, 2);
        zx_store(x.dtype, x.data, 0, INFINITY);
        zx_store(x.dtype, x.data, 1, -INFINITY);
        zx_store(x.dtype, x.data, 2, NAN);
        const zx_weight weights[] = {testing_weight(&logs), testing_weight(&biases)};
        zx_operand y = testing_operand(ZX_F32, (zx_activation_layout){0}, 5, HEADS, 8);
        const zx_launch launch = {.inputs = {x, {.weight = &weights[0]}, {.weight = &weights[1]}},
                                  .outputs = {y}};
        const char *differs = testing_rows_differ(ZX_OP_DECAY, &launch);
        double largest = 0;
        for (size_t k = 3; k < 5 * HEADS; k++) {
            const double a = at(&x, k / HEADS, k % HEADS) + at(&biases, 0, k % HEADS);
            const double softplus = fmax(a, 0) + log1p(exp(-fabs(a)));
            const double wanted = exp(-exp(at(&logs, 0, k % HEADS)) * softplus);
            largest = fmax(largest, fabs(at(&y, k / HEADS, k % HEADS) - wanted));
        }
        const bool ends = at(&y, 0, 0) == 0 && at(&y, 0, 1) == 1 && isnan(at(&y, 0, 2));
        testing_free(x.data);
        testing_free(logs.data);
        testing_free(biases.data);
        testing_free(y.data);
        CHECK_ON(differs, differs == NULL);
        CHECK(largest < 1e-6 && ends);
    }
}
