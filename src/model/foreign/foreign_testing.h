/* foreign_testing.h - small checkpoints of other quantizers, for the tests of this folder. */
#ifndef ZX_MODEL_FOREIGN_TESTING_H
#define ZX_MODEL_FOREIGN_TESTING_H

#include <stdio.h>
#include <string.h>

#include "base/test.h"
#include "model/checkpoint.h"
#include "model/make_files.h"
#include "model/safetensors.h"

#define INTEGER_CONFIG \
    "{\"quantization_config\":{\"quant_method\":\"compressed-tensors\",\"format\":\"%s\"}}"

static inline bool says(const char *message)
{
    const bool fits = strstr(zmlx_error_message(), message) != NULL;
    if (!fits) (void)printf("  is '%s'\n  not '%s'\n", zmlx_error_message(), message);
    return fits;
}

static inline bool put_header(const char *folder, const char *header, size_t bytes)
{
    zx_text file = {0};
    const bool good =
        zx_make_safetensors(&file, header, bytes) &&
        zx_write_text(zx_in_folder(folder, "model.safetensors"), file.bytes, file.length);
    zx_text_fini(&file);
    return good;
}

static inline zx_stored_tensor tensor_of(const char *name, zx_dtype dtype, size_t rows,
                                         size_t columns, const void *data)
{
    return (zx_stored_tensor){.name = name,
                              .name_length = strlen(name),
                              .dtype = dtype,
                              .rank = rows > 0 ? 2 : 1,
                              .shape = {rows > 0 ? rows : columns, rows > 0 ? columns : 0},
                              .data = data,
                              .bytes = (rows > 0 ? rows : 1) * columns * zx_dtypes[dtype].bytes};
}

#endif
