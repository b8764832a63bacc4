/* fill_test.c - the generator's numbers, and that each sort of values is what its name says. */
#include "kernels/fill.h"
#include "kernels/rows_testing.h"

enum { ROWS = 9, COLUMNS = 101 };

/* What a sort of values holds. */
typedef struct tally {
    size_t zeros, nans, infinities, negative_infinities, subnormals, large, repeated;
} tally;

static tally count_values(zx_fill fill, uint64_t seed)
{
    zx_operand x = testing_operand(ZX_F32, (zx_activation_layout){0}, ROWS, COLUMNS, 12);
    tally seen = {0};
    float first = 0;
    zx_fill_rows(fill, &seed, &x);
    for (size_t i = 0; i < (size_t)ROWS * COLUMNS; i++) {
        const char *row = (char *)x.data + i / COLUMNS * x.stride;
        const float value = zx_load(ZX_F32, row, i % COLUMNS);
        if (i == 0) first = value;
        seen.zeros += fpclassify(value) == FP_ZERO;
        seen.nans += isnan(value) ? 1 : 0;
        seen.infinities += isinf(value) && value > 0;
        seen.negative_infinities += isinf(value) && value < 0;
        seen.subnormals += fpclassify(value) == FP_SUBNORMAL;
        seen.large += isfinite(value) && fabsf(value) > 1000;
        seen.repeated += value >= first && value <= first;
    }
    for (size_t row = 0; row < ROWS; row++) /* between rows nothing is written */
        if (!testing_untouched((uint8_t *)x.data + row * x.stride + COLUMNS * sizeof(float), 12))
            seen = (tally){0};
    testing_free(x.data);
    return seen;
}

TEST(the_generator_is_splitmix64)
{
    uint64_t state = 0;
    CHECK(zx_fill_random(&state) == UINT64_C(0xe220a8397b1dcdaf));
    CHECK(zx_fill_random(&state) == UINT64_C(0x6e789e6aa1b965f4));
    for (int i = 0; i < 1000; i++) {
        const float value = zx_fill_uniform(&state);
        CHECK(value >= -1 && value < 1);
    }
}

TEST(each_sort_of_values_is_what_its_name_says)
{
    enum { ALL = ROWS * COLUMNS };
    const tally plain = count_values(ZX_FILL_RANDOM, 7);
    CHECK(plain.repeated == 1 && plain.zeros == 0 && plain.large == 0 && plain.nans == 0);
    CHECK(count_values(ZX_FILL_TIES, 7).repeated > ALL / 10);
    CHECK(count_values(ZX_FILL_LARGE, 7).large > ALL / 50);
    CHECK(count_values(ZX_FILL_SUBNORMAL, 7).subnormals == ALL);
    const tally masked = count_values(ZX_FILL_MASKED, 7);
    CHECK(masked.zeros > ALL / 4 && masked.negative_infinities > ALL / 50 &&
          masked.infinities == 0);
    CHECK(count_values(ZX_FILL_ZERO, 7).zeros == ALL);
    CHECK(count_values(ZX_FILL_NAN, 7).nans == 1);
    CHECK(count_values(ZX_FILL_INFINITY, 7).infinities == 1);
}

TEST(no_rows_take_no_values)
{
    uint64_t state = 1;
    const zx_operand none = {.columns = 3, .dtype = ZX_F32};
    zx_fill_rows(ZX_FILL_NAN, &state, &none);
    CHECK(state == 1);
}
