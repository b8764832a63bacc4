/* blocks_test.c - GGUF's blocks: every type against a row that the Python package gguf decoded, bit
 * for bit (tests/golden/blocks.txt, made by tests/golden/make/gguf_blocks.py), by its decoder and
 * through its integer form; scales that are no numbers. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/test.h"
#include "quant/format.h"

enum { MOST_COLUMNS = 256, MOST_TEXT = 4096 };

/* Bytes of hex digits, at most 'most'. */
static size_t read_hex(const char *text, uint8_t *bytes, size_t most)
{
    size_t count = 0;
    unsigned byte;
    for (; count < most && sscanf(text + 2 * count, "%2x", &byte) == 1; count++)
        bytes[count] = (uint8_t)byte;
    return count;
}

static zx_weight row_of(zx_format format, size_t columns, const uint8_t *bytes)
{
    zx_weight weight = {.format = format,
                        .dtype = ZX_F32,
                        .bits = zx_formats[format].bits,
                        .group = zx_formats[format].group,
                        .count = 1,
                        .rows = 1,
                        .columns = columns,
                        .codes = bytes};
    weight.codes_stride = zx_weight_row_bytes(&weight);
    return weight;
}

static zx_format format_of(const char *name)
{
    static const char *const own[][2] = {{"MXFP4", "mxfp4_b"}};
    if (strcmp(name, own[0][0]) == 0) name = own[0][1];
    for (size_t i = 0; i < ZX_FORMAT_COUNT; i++)
        if (zx_formats[i].block > 0 && strcasecmp(name, zx_formats[i].name) == 0)
            return (zx_format)i;
    return ZX_FORMAT_COUNT;
}

static bool decodes(const zx_weight *weight, const uint8_t *expected)
{
    const zx_format_traits *traits = &zx_formats[weight->format];
    float values[MOST_COLUMNS];
    traits->decode(weight, 0, 0, weight->columns, values);
    for (size_t i = 0; i < weight->columns; i++) {
        const uint8_t *e = expected + 4 * i;
        const uint32_t bits =
            (uint32_t)e[0] << 24 | (uint32_t)e[1] << 16 | (uint32_t)e[2] << 8 | e[3];
        if (zx_bits_from_float(values[i]) != bits) return false;
    }
    return true;
}

static bool forms_agree(const zx_weight *weight, const uint8_t *expected)
{
    const zx_format_traits *traits = &zx_formats[weight->format];
    uint8_t codes[ZX_MAX_GROUP];
    for (size_t group = 0; group < zx_weight_groups(weight); group++) {
        float scale, bias, value[ZX_MAX_GROUP];
        traits->codes(weight, 0, group, codes, &scale, &bias);
        traits->decode(weight, 0, group * traits->group, traits->group, value);
        for (size_t i = 0; i < traits->group; i++) {
            const float product = (float)(codes[i] - traits->zero) * scale;
            const bool affine = traits->integer == ZX_INTEGER_AFFINE;
            if (value[i] != (affine ? product + bias : product)) return false;
        }
    }
    return expected != NULL;
}

TEST(blocks_decode_as_the_package_gguf_says)
{
    char name[32];
    static char text[MOST_TEXT], values[MOST_TEXT];
    uint8_t bytes[512], expected[4 * MOST_COLUMNS];
    size_t columns = 0, rows = 0;
    FILE *file = fopen("tests/golden/blocks.txt", "r");
    CHECK(file != NULL);
    while (fscanf(file, "%31s %zu %4095s %4095s", name, &columns, text, values) == 4) {
        const zx_format format = format_of(name);
        if (format == ZX_FORMAT_COUNT || columns > MOST_COLUMNS) break;
        const zx_weight weight = row_of(format, columns, bytes);
        if (read_hex(text, bytes, sizeof bytes) != weight.codes_stride ||
            read_hex(values, expected, sizeof expected) != 4 * columns ||
            !decodes(&weight, expected) || !forms_agree(&weight, expected))
            break;
        rows++;
    }
    (void)fclose(file);
    size_t types = 0;
    for (size_t i = 0; i < ZX_FORMAT_COUNT; i++) types += zx_formats[i].block > 0;
    CHECK_ON(name, rows == types);
}

TEST(a_block_is_whole_and_its_scale_may_be_no_number)
{
    uint8_t bytes[512];
    for (size_t i = 0; i < ZX_FORMAT_COUNT; i++) {
        const zx_format_traits *traits = &zx_formats[i];
        if (traits->block == 0) continue;
        float values[MOST_COLUMNS];
        zx_weight weight = row_of((zx_format)i, traits->block, bytes);
        CHECK_ON(traits->name, zx_weight_check(&weight) == ZMLX_OK);
        weight.columns += traits->group / 2;
        CHECK_ON(traits->name, zx_weight_check(&weight) == ZMLX_ERROR_SHAPE);
        weight.columns = traits->block;
        memset(bytes, 0xff, sizeof bytes);
        traits->decode(&weight, 0, 0, weight.columns, values);
        CHECK_ON(traits->name, i == ZX_FORMAT_MXFP4_B ? isfinite(values[1]) || isinf(values[1])
                                                      : isnan(values[0]));
    }
}
