/* check.h - the engine behind zmlx_check_kernels, for tables of kernels of one's own: tests hand it
 * broken ones. */
#ifndef ZX_CHECK_CHECK_H
#define ZX_CHECK_CHECK_H

#include "kernels/kernels.h"
#include "zmlx/check.h"

ZMLX_MUST_CHECK zmlx_status zx_check_table(const zx_kernel *kernels, size_t count,
                                           const zmlx_check_options *options, zmlx_check **check);

#endif
