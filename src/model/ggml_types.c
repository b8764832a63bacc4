/* ggml_types.c - the table.  Supporting one more type is a format in quant/ and its name here. */
#include "model/ggml_types.h"

static const zx_ggml_type types[] = {
    [0] = {"F32", 1, 4, ZX_F32, ZX_FORMAT_F32},
    [1] = {"F16", 1, 2, ZX_F16, ZX_FORMAT_F16},
    [2] = {"Q4_0", 32, 18, ZX_DTYPE_COUNT, ZX_FORMAT_Q4_0},
    [3] = {"Q4_1", 32, 20, ZX_DTYPE_COUNT, ZX_FORMAT_Q4_1},
    [6] = {"Q5_0", 32, 22, ZX_DTYPE_COUNT, ZX_FORMAT_Q5_0},
    [7] = {"Q5_1", 32, 24, ZX_DTYPE_COUNT, ZX_FORMAT_Q5_1},
    [8] = {"Q8_0", 32, 34, ZX_DTYPE_COUNT, ZX_FORMAT_Q8_0},
    [9] = {"Q8_1", 32, 36, ZX_DTYPE_COUNT, ZX_FORMAT_COUNT},
    [10] = {"Q2_K", 256, 84, ZX_DTYPE_COUNT, ZX_FORMAT_Q2_K},
    [11] = {"Q3_K", 256, 110, ZX_DTYPE_COUNT, ZX_FORMAT_Q3_K},
    [12] = {"Q4_K", 256, 144, ZX_DTYPE_COUNT, ZX_FORMAT_Q4_K},
    [13] = {"Q5_K", 256, 176, ZX_DTYPE_COUNT, ZX_FORMAT_Q5_K},
    [14] = {"Q6_K", 256, 210, ZX_DTYPE_COUNT, ZX_FORMAT_Q6_K},
    [15] = {"Q8_K", 256, 292, ZX_DTYPE_COUNT, ZX_FORMAT_COUNT},
    [16] = {"IQ2_XXS", 256, 66, ZX_DTYPE_COUNT, ZX_FORMAT_COUNT},
    [17] = {"IQ2_XS", 256, 74, ZX_DTYPE_COUNT, ZX_FORMAT_COUNT},
    [18] = {"IQ3_XXS", 256, 98, ZX_DTYPE_COUNT, ZX_FORMAT_COUNT},
    [19] = {"IQ1_S", 256, 50, ZX_DTYPE_COUNT, ZX_FORMAT_COUNT},
    [20] = {"IQ4_NL", 32, 18, ZX_DTYPE_COUNT, ZX_FORMAT_IQ4_NL},
    [21] = {"IQ3_S", 256, 110, ZX_DTYPE_COUNT, ZX_FORMAT_COUNT},
    [22] = {"IQ2_S", 256, 82, ZX_DTYPE_COUNT, ZX_FORMAT_COUNT},
    [23] = {"IQ4_XS", 256, 136, ZX_DTYPE_COUNT, ZX_FORMAT_IQ4_XS},
    [24] = {"I8", 1, 1, ZX_I8, ZX_FORMAT_COUNT},
    [25] = {"I16", 1, 2, ZX_I16, ZX_FORMAT_COUNT},
    [26] = {"I32", 1, 4, ZX_I32, ZX_FORMAT_COUNT},
    [27] = {"I64", 1, 8, ZX_I64, ZX_FORMAT_COUNT},
    [28] = {"F64", 1, 8, ZX_F64, ZX_FORMAT_COUNT},
    [29] = {"IQ1_M", 256, 56, ZX_DTYPE_COUNT, ZX_FORMAT_COUNT},
    [30] = {"BF16", 1, 2, ZX_BF16, ZX_FORMAT_BF16},
    /* 31 to 33 and 36 to 38: orders of Q4_0 and IQ4_NL for one processor, given up by ggml. */
    [31] = {"Q4_0_4_4", 32, 18, ZX_DTYPE_COUNT, ZX_FORMAT_COUNT},
    [32] = {"Q4_0_4_8", 32, 18, ZX_DTYPE_COUNT, ZX_FORMAT_COUNT},
    [33] = {"Q4_0_8_8", 32, 18, ZX_DTYPE_COUNT, ZX_FORMAT_COUNT},
    [34] = {"TQ1_0", 256, 54, ZX_DTYPE_COUNT, ZX_FORMAT_COUNT},
    [35] = {"TQ2_0", 256, 66, ZX_DTYPE_COUNT, ZX_FORMAT_COUNT},
    [36] = {"IQ4_NL_4_4", 32, 18, ZX_DTYPE_COUNT, ZX_FORMAT_COUNT},
    [37] = {"IQ4_NL_4_8", 32, 18, ZX_DTYPE_COUNT, ZX_FORMAT_COUNT},
    [38] = {"IQ4_NL_8_8", 32, 18, ZX_DTYPE_COUNT, ZX_FORMAT_COUNT},
    [39] = {"MXFP4", 32, 17, ZX_DTYPE_COUNT, ZX_FORMAT_MXFP4_B},
    [40] = {"NVFP4", 64, 36, ZX_DTYPE_COUNT, ZX_FORMAT_COUNT},
    [41] = {"Q1_0", 128, 18, ZX_DTYPE_COUNT, ZX_FORMAT_COUNT},
    [42] = {"Q2_0", 64, 18, ZX_DTYPE_COUNT, ZX_FORMAT_COUNT},
};

const zx_ggml_type *zx_ggml_type_of(uint32_t number)
{
    const bool known = number < sizeof types / sizeof types[0] && types[number].name != NULL;
    return known ? &types[number] : NULL;
}
