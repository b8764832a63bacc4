/* dense.c - rows of f32, f16 or bf16: every value is its own group. */
#include "base/fail.h"
#include "quant/families.h"

zmlx_status zx_dense_check(const zx_weight *weight)
{
    static const zx_format formats[] = {
        [ZX_F32] = ZX_FORMAT_F32, [ZX_F16] = ZX_FORMAT_F16, [ZX_BF16] = ZX_FORMAT_BF16};
    if (formats[weight->dtype] != weight->format)
        return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s weight: its dtype is %s",
                       zx_formats[weight->format].name, zx_dtypes[weight->dtype].name);
    return zx_check_rows(weight, zx_weight_row_bytes(weight), 0);
}

void zx_dense_decode(const zx_weight *weight, size_t row, size_t first, size_t count, float *values)
{
    const uint8_t *bytes = weight->codes + row * weight->codes_stride;
    if (weight->dtype == ZX_F32) {
        memcpy(values, bytes + first * sizeof *values, count * sizeof *values);
        return;
    }
    for (size_t i = 0; i < count; i++) values[i] = zx_load(weight->dtype, bytes, first + i);
}

void zx_dense_encode(const zx_weight *weight, size_t row, const float *values)
{
    uint8_t *bytes = zx_writable(weight->codes + row * weight->codes_stride);
    for (size_t i = 0; i < weight->columns; i++) zx_store(weight->dtype, bytes, i, values[i]);
}
