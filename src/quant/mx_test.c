/* mx_test.c - the microscaling modes, value by value: what MLX's quantize and dequantize say of a
 * few bytes (tests/oracle compares many more with MLX itself). */
#include <math.h>
#include <string.h>

#include "base/test.h"
#include "quant/format.h"

enum { COLUMNS = 64 };

typedef struct small {
    uint8_t codes[COLUMNS], scales[COLUMNS / 16];
    zx_weight weight;
} small;

static void init_small(small *s, zx_format format)
{
    *s = (small){.weight = {.format = format,
                            .dtype = ZX_F32,
                            .bits = zx_formats[format].bits,
                            .group = zx_formats[format].group,
                            .count = 1,
                            .rows = 1,
                            .columns = COLUMNS}};
    s->weight.codes = s->codes;
    s->weight.codes_stride = zx_weight_row_bytes(&s->weight);
    s->weight.scales = s->scales;
    s->weight.scales_stride = sizeof s->scales;
}

static float value_at(const small *s, size_t index)
{
    float values[COLUMNS];
    zx_formats[s->weight.format].decode(&s->weight, 0, 0, COLUMNS, values);
    return values[index];
}

TEST(e4m3_has_one_nan_of_either_sign)
{
    small s;
    init_small(&s, ZX_FORMAT_MXFP8);
    static const uint8_t codes[] = {0x7e, 0x7f, 0xff, 0x01, 0x08, 0x80, 0xfe, 0x38};
    static const float values[] = {448.0F, 0, 0, 0x1p-9F, 0x1p-6F, 0.0F, -448.0F, 1.0F};
    memcpy(s.codes, codes, sizeof codes);
    s.scales[0] = s.scales[1] = 127;
    for (size_t i = 0; i < sizeof codes; i++) {
        const float value = value_at(&s, i);
        CHECK((codes[i] & 0x7f) == 0x7f ? isnan(value) : value == values[i]);
    }
    init_small(&s, ZX_FORMAT_NVFP4);
    s.codes[0] = 0x22; /* 1, 1 */
    s.scales[0] = 0x7f;
    CHECK(isnan(value_at(&s, 0)));
    s.scales[0] = 0x7e;
    CHECK(value_at(&s, 0) == 448.0F && value_at(&s, 1) == 448.0F);
}

TEST(scales_round_up_to_a_power_of_two)
{
    static const struct {
        zx_format format;
        float largest;
        uint8_t scale, code;
    } cases[] = {
        {ZX_FORMAT_MXFP4, 6.0F, 127, 7},      {ZX_FORMAT_MXFP4, 6.5F, 128, 5},
        {ZX_FORMAT_MXFP4, 0.0F, 127, 0},      {ZX_FORMAT_MXFP4, 13.0F, 129, 5},
        {ZX_FORMAT_MXFP8, 448.0F, 127, 0x7e}, {ZX_FORMAT_MXFP8, 449.0F, 128, 0x76},
        {ZX_FORMAT_MXFP8, 6.0F, 121, 0x7c},   {ZX_FORMAT_MXFP8, 0.0F, 127, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        small s;
        const float values[COLUMNS] = {cases[i].largest};
        init_small(&s, cases[i].format);
        zx_formats[cases[i].format].encode(&s.weight, 0, values);
        CHECK(s.scales[0] == cases[i].scale && s.scales[1] == 127);
        CHECK(s.codes[0] == cases[i].code && s.codes[1] == 0);
    }
}

TEST(nvfp4_scales_are_e4m3_and_saturate)
{
    small s;
    float values[COLUMNS] = {6.0F, -3.0F, 1.0F};
    init_small(&s, ZX_FORMAT_NVFP4);
    values[16] = 6.0F * 500.0F;
    values[32] = 6.0F * 0x1p-9F;
    zx_formats[ZX_FORMAT_NVFP4].encode(&s.weight, 0, values);
    CHECK(s.scales[0] == 0x38 && s.scales[1] == 0x7e && s.scales[2] == 0x01 && s.scales[3] == 0);
    CHECK(s.codes[0] == 0xd7 && s.codes[1] == 0x02 && s.codes[8] == 0x07 && s.codes[16] == 0x07);
    CHECK(value_at(&s, 16) == 2688.0F && value_at(&s, 32) == 6.0F * 0x1p-9F);
}
