/* dtype.c - the table of number types. */
#include "tensor/dtype.h"

const zx_dtype_traits zx_dtypes[ZX_DTYPE_COUNT] = {
    [ZX_F32] = {"f32", "F32", 4, true},
    [ZX_F16] = {"f16", "F16", 2, true},
    [ZX_BF16] = {"bf16", "BF16", 2, true},
    [ZX_F64] = {"f64", "F64", 8, false},
    [ZX_I8] = {"i8", "I8", 1, false},
    [ZX_I16] = {"i16", "I16", 2, false},
    [ZX_I32] = {"i32", "I32", 4, false},
    [ZX_I64] = {"i64", "I64", 8, false},
    [ZX_U8] = {"u8", "U8", 1, false},
    [ZX_U16] = {"u16", "U16", 2, false},
    [ZX_U32] = {"u32", "U32", 4, false},
    [ZX_U64] = {"u64", "U64", 8, false},
    [ZX_BOOL] = {"bool", "BOOL", 1, false},
    [ZX_F8_E4M3] = {"f8_e4m3", "F8_E4M3", 1, false},
    [ZX_F8_E8M0] = {"f8_e8m0", "F8_E8M0", 1, false},
    [ZX_F8_E5M2] = {"f8_e5m2", "F8_E5M2", 1, false},
};

static bool equals(const char *name, const char *text, size_t length)
{
    return strlen(name) == length && memcmp(name, text, length) == 0;
}

zx_dtype zx_dtype_from_text(const char *text, size_t length)
{
    for (int dtype = 0; dtype < ZX_DTYPE_COUNT; dtype++)
        if (equals(zx_dtypes[dtype].name, text, length) ||
            equals(zx_dtypes[dtype].safetensors, text, length))
            return (zx_dtype)dtype;
    return ZX_DTYPE_COUNT;
}
