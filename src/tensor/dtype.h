/* dtype.h - the number types of tensors, and exact conversion between them.
 *
 * RN means rounding to nearest, ties to even, in every conversion. */
#ifndef ZX_TENSOR_DTYPE_H
#define ZX_TENSOR_DTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef enum zx_dtype {
    ZX_F32,
    ZX_F16,
    ZX_BF16,
    ZX_F64,
    ZX_I8,
    ZX_I16,
    ZX_I32,
    ZX_I64,
    ZX_U8,
    ZX_U16,
    ZX_U32,
    ZX_U64,
    ZX_BOOL,
    ZX_F8_E4M3,
    ZX_F8_E8M0,
    ZX_F8_E5M2,
    ZX_DTYPE_COUNT,
    ZX_QUANTIZED = ZX_DTYPE_COUNT, /* a row of activations as integers; see quant/activation.h */
} zx_dtype;

typedef struct zx_dtype_traits {
    const char *name;        /* "f16" */
    const char *safetensors; /* "F16" */
    size_t bytes;
    bool is_float; /* f32, f16, bf16: what activations may be */
} zx_dtype_traits;

extern const zx_dtype_traits zx_dtypes[ZX_DTYPE_COUNT];

/* The dtype of that name (either column), or ZX_DTYPE_COUNT. */
zx_dtype zx_dtype_from_text(const char *text, size_t length);

static inline float zx_float_from_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline uint32_t zx_bits_from_float(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline float zx_bf16_to_f32(uint16_t half)
{
    return zx_float_from_bits((uint32_t)half << 16);
}

static inline uint16_t zx_f32_to_bf16(float value)
{
    const uint32_t bits = zx_bits_from_float(value);
    const uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
    const uint32_t quiet = (bits >> 16) | 0x40u;
    return (uint16_t)((bits & 0x7fffffffu) > 0x7f800000u ? quiet : rounded);
}

/* Branch-free, so that loops over it vectorize: the exponent is rebased by a multiplication, which
 * is exact and also brings subnormals to their place. */
static inline float zx_f16_to_f32(uint16_t half)
{
    const uint32_t magnitude = (uint32_t)(half & 0x7fffu) << 13;
    const float scaled = zx_float_from_bits(magnitude) * 0x1p112F;
    const uint32_t special = magnitude >= 0x0f800000u ? 0x7f800000u : 0u;
    const uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
    return zx_float_from_bits(zx_bits_from_float(scaled) | special | sign);
}

/* Choices are masks here: gcc makes branches of the others, and loops stay scalar. */
static inline uint16_t zx_f32_to_f16(float value)
{
    const uint32_t bits = zx_bits_from_float(value);
    const uint32_t magnitude = bits & 0x7fffffffu;
    const uint32_t most = 0x47800000u; /* 2^16, which becomes infinity */
    const uint32_t capped = magnitude < most ? magnitude : most;
    /* subnormal results: adding 0.5 leaves the rounded multiple of 2^-24 in the low bits */
    const uint32_t small = zx_bits_from_float(zx_float_from_bits(capped) + 0.5F) - 0x3f000000u;
    const uint32_t normal = (capped + 0xc8000fffu + ((capped >> 13) & 1u)) >> 13;
    const uint32_t is_small = 0u - ((capped - 0x38800000u) >> 31);
    const uint32_t is_nan = 0u - ((0x7f800000u - magnitude) >> 31);
    const uint32_t half = (small & is_small) | (normal & ~is_small) | (is_nan & 0x200u);
    return (uint16_t)(half | ((bits >> 16) & 0x8000u));
}

/* E4M3: as f16 bits it is 2^-8 of its value, but for its two NaN, 0x7f and 0xff. */
static inline float zx_e4m3_to_f32(uint8_t code)
{
    const unsigned magnitude = code & 0x7fu, is_nan = (magnitude + 1) & 0x80u;
    const float value = zx_f16_to_f32((uint16_t)((magnitude | is_nan) << 7)) * 256.0F;
    return code & 0x80u ? -value : value;
}

/* A power of two; 255 is infinity. */
static inline float zx_e8m0_to_f32(uint8_t code)
{
    return zx_float_from_bits(code == 0 ? 0x00400000u : (uint32_t)code << 23);
}

/* RN_T: the nearest value that the dtype (f32, f16 or bf16) can hold. */
static inline float zx_round_to(zx_dtype dtype, float value)
{
    if (dtype == ZX_F16) return zx_f16_to_f32(zx_f32_to_f16(value));
    if (dtype == ZX_BF16) return zx_bf16_to_f32(zx_f32_to_bf16(value));
    return value;
}

/* Element 'index' of an array of f32, f16 or bf16, as f32.  The array need not be aligned. */
static inline float zx_load(zx_dtype dtype, const void *array, size_t index)
{
    float value;
    uint16_t half;
    if (dtype == ZX_F32) {
        memcpy(&value, (const char *)array + index * sizeof value, sizeof value);
        return value;
    }
    memcpy(&half, (const char *)array + index * sizeof half, sizeof half);
    return dtype == ZX_F16 ? zx_f16_to_f32(half) : zx_bf16_to_f32(half);
}

/* Stores RN_T(value); the array need not be aligned either. */
static inline void zx_store(zx_dtype dtype, void *array, size_t index, float value)
{
    const uint16_t half = dtype == ZX_F16 ? zx_f32_to_f16(value) : zx_f32_to_bf16(value);
    if (dtype == ZX_F32)
        memcpy((char *)array + index * sizeof value, &value, sizeof value);
    else
        memcpy((char *)array + index * sizeof half, &half, sizeof half);
}

#endif
