/* checked.h - size arithmetic that cannot wrap.  Every size that comes from a file goes
 * through these; they return false where the result does not fit. */
#ifndef ZX_BASE_CHECKED_H
#define ZX_BASE_CHECKED_H

#include <stdbool.h>
#include <stddef.h>

static inline bool zx_add_fits(size_t a, size_t b, size_t *sum)
{
    return !__builtin_add_overflow(a, b, sum);
}

static inline bool zx_multiply_fits(size_t a, size_t b, size_t *product)
{
    return !__builtin_mul_overflow(a, b, product);
}

/* True where [offset, offset + bytes) lies within [0, size). */
static inline bool zx_range_fits(size_t offset, size_t bytes, size_t size)
{
    return offset <= size && bytes <= size - offset;
}

#endif
