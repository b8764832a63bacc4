/* choices.h - the public enums in the library's own terms, checked. */
#ifndef ZX_MODEL_CHOICES_H
#define ZX_MODEL_CHOICES_H

#include "quant/activation.h"
#include "tensor/dtype.h"
#include "zmlx/model.h"

/* ZMLX_ERROR_ARGUMENT where it is none of the enum's; the default becomes q16. */
ZMLX_MUST_CHECK zmlx_status zx_choose_precision(zmlx_precision choice, zx_precision *precision);

/* The same; the default becomes 'usual'.  'what' is what the message calls it. */
ZMLX_MUST_CHECK zmlx_status zx_choose_dtype(zmlx_dtype choice, const char *what, zx_dtype usual,
                                            zx_dtype *dtype);

/* The other way, for f32, f16 and bf16. */
zmlx_dtype zx_public_dtype(zx_dtype dtype);

#endif
