#include "kernels/fill.h"

#include <math.h>

const char *const zx_fill_names[ZX_FILLS] = {
    "random values",       "ties",  "large values", "subnormal values",
    "zeros and -infinity", "zeros", "a NaN",        "an infinity"};

uint64_t zx_fill_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

float zx_fill_uniform(uint64_t *state)
{
    return (float)(zx_fill_random(state) >> 40) * 0x1p-23F - 1.0F;
}

static float value_of(zx_fill fill, uint64_t *state)
{
    const float value = zx_fill_uniform(state);
    const uint64_t pick = zx_fill_random(state) % 16;
    switch (fill) {
    case ZX_FILL_TIES: return (float)(int)(value * 3) * 0.5F;
    case ZX_FILL_LARGE: return value * (pick == 0 ? 6e4F : 300.0F);
    case ZX_FILL_SUBNORMAL: return value * 0x1p-130F;
    case ZX_FILL_MASKED: return pick == 0 ? -INFINITY : pick < 8 ? 0.0F : value;
    case ZX_FILL_ZERO: return pick < 8 ? 0.0F : -0.0F;
    case ZX_FILL_RANDOM:
    case ZX_FILL_NAN:
    case ZX_FILL_INFINITY:
    case ZX_FILLS: break;
    }
    return value * 3;
}

void zx_fill_rows(zx_fill fill, uint64_t *state, const zx_operand *x)
{
    for (size_t row = 0; row < x->rows; row++)
        for (size_t i = 0; i < x->columns; i++)
            zx_store(x->dtype, (char *)x->data + row * x->stride, i, value_of(fill, state));
    if (x->rows == 0 || x->columns == 0) return;
    char *const row = (char *)x->data + zx_fill_random(state) % x->rows * x->stride;
    const size_t column = (size_t)(zx_fill_random(state) % x->columns);
    if (fill == ZX_FILL_NAN) zx_store(x->dtype, row, column, NAN);
    if (fill == ZX_FILL_INFINITY) zx_store(x->dtype, row, column, INFINITY);
}
