/* tensor_file.h - writes one f32 tensor into a safetensors file, row by row.
 *
 * The rows go to a temporary file beside the target, which takes the target's name only when it is
 * complete: a reader never sees half a file, and a failure leaves what was there. */
#ifndef ZX_CLI_TENSOR_FILE_H
#define ZX_CLI_TENSOR_FILE_H

#include <stdio.h>

#include "cli/command.h"

typedef struct zx_cli_tensor_file {
    const zx_cli_common *common;
    const char *option; /* what messages call the path: "--out" */
    const char *path;   /* as the user wrote it */
    char *target;       /* where it leads */
    char *temporary;    /* NULL: the target is a device or pipe, written directly */
    FILE *stream;
} zx_cli_tensor_file;

/* Creates the file and writes the header of tensor 'name' f32 [rows, columns].  Prints what is
 * wrong and returns the exit code, as the others do. */
int zx_cli_tensor_file_create(const zx_cli_common *common, const char *option, const char *path,
                              zx_cli_tensor_file *file);
int zx_cli_tensor_file_header(zx_cli_tensor_file *file, const char *name, size_t rows,
                              size_t columns);
int zx_cli_tensor_file_write(zx_cli_tensor_file *file, const float *values, size_t count);
/* 'keep' puts the file in its place, else it is dropped. */
int zx_cli_tensor_file_close(zx_cli_tensor_file *file, bool keep);

#endif
