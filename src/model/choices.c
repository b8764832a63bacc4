#include "model/choices.h"

#include "base/fail.h"

enum { PRECISIONS = ZMLX_PRECISION_Q8 + 1, DTYPES = ZMLX_DTYPE_BF16 + 1 };

static const zx_precision precisions[PRECISIONS] = {
    [ZMLX_PRECISION_DEFAULT] = ZX_PRECISION_Q16,
    [ZMLX_PRECISION_F32] = ZX_PRECISION_F32,
    [ZMLX_PRECISION_Q16] = ZX_PRECISION_Q16,
    [ZMLX_PRECISION_Q8] = ZX_PRECISION_Q8,
};

static const zx_dtype dtypes[DTYPES] = {
    [ZMLX_DTYPE_F32] = ZX_F32, [ZMLX_DTYPE_F16] = ZX_F16, [ZMLX_DTYPE_BF16] = ZX_BF16};

zmlx_status zx_choose_precision(zmlx_precision choice, zx_precision *precision)
{
    if ((size_t)choice >= PRECISIONS)
        return ZX_FAIL(ZMLX_ERROR_ARGUMENT, "precision %d is not known; expected 0 to %d",
                       (int)choice, PRECISIONS - 1);
    *precision = precisions[choice];
    return ZMLX_OK;
}

zmlx_status zx_choose_dtype(zmlx_dtype choice, const char *what, zx_dtype usual, zx_dtype *dtype)
{
    if ((size_t)choice >= DTYPES)
        return ZX_FAIL(ZMLX_ERROR_ARGUMENT, "%s: dtype %d is not known; expected 0 to %d", what,
                       (int)choice, DTYPES - 1);
    *dtype = choice == ZMLX_DTYPE_DEFAULT ? usual : dtypes[choice];
    return ZMLX_OK;
}

zmlx_dtype zx_public_dtype(zx_dtype dtype)
{
    for (int choice = ZMLX_DTYPE_F32; choice < DTYPES; choice++)
        if (dtypes[choice] == dtype) return (zmlx_dtype)choice;
    return ZMLX_DTYPE_DEFAULT;
}
