/* convert.h - writing a model as an MLX folder: quantized, dequantized, in another dtype, or from
 * GGUF.
 *
 * The folder is what mlx-lm's convert would write: names and shapes as its models have them,
 * config.json with "quantization", shards of 5 GiB with an index, and the tokenizer's files.
 * Tensors go through memory a few rows at a time. */
#ifndef ZMLX_CONVERT_H
#define ZMLX_CONVERT_H

#include <stdbool.h>
#include <stddef.h>

#include "zmlx/model.h"
#include "zmlx/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum zmlx_quantization {
    ZMLX_QUANTIZATION_NONE = 0, /* nothing is quantized that is not */
    ZMLX_QUANTIZATION_AFFINE,   /* 2, 3, 4, 5, 6 or 8 bits, groups of 32, 64 or 128 */
    ZMLX_QUANTIZATION_MXFP4,    /* 4 bits, groups of 32 */
    ZMLX_QUANTIZATION_MXFP8,    /* 8 bits, groups of 32 */
    ZMLX_QUANTIZATION_NVFP4,    /* 4 bits, groups of 16 */
} zmlx_quantization;

/* What modules whose name fits a pattern get; the first that fits counts. */
typedef struct zmlx_module_rule {
    const char *pattern;    /* of the whole name, as it is written: '*' any characters, '?' one */
    zmlx_quantization mode; /* NONE: the module stays as it is */
    size_t bits, group;     /* 0: the mode's usual ones, for affine 4 and 64 */
} zmlx_module_rule;

typedef struct zmlx_convert_options { /* zero means the default */
    zmlx_quantization mode;
    size_t bits, group; /* 0: the mode's usual ones, for affine 4 and 64 */
    const char *recipe; /* "mixed_2_6", "mixed_3_4", "mixed_3_6" or "mixed_4_6"; affine alone */
    const zmlx_module_rule *rules; /* before recipe and mode */
    size_t rule_count;
    bool dequantize;     /* what is quantized becomes dense; not together with a mode */
    zmlx_dtype dtype;    /* of all that is not quantized, and of affine scales and biases;
                          * default: as it is; from GGUF f16, bf16 where the file has no other */
    bool mlx_cpu_decode; /* decode as MLX's CPU build does */
    size_t threads;      /* 0: all usable cores */
    size_t shard_bytes;  /* 0: 5 GiB */
    /* Asked between pieces of some megabytes; false ends the call.  NULL: goes on. */
    bool (*keep_going)(void *user);
    void *user;
} zmlx_convert_options;

typedef struct zmlx_convert_report {
    size_t tensors, quantized; /* tensors written; modules that were quantized */
    size_t kept;               /* modules that were quantized already and stay so */
    size_t parameters, bytes;  /* of all tensors written */
    size_t shards, reused;     /* files of weights; those of an interrupted run that were whole */
    bool interrupted;          /* keep_going said so */
} zmlx_convert_report;

/* Writes the model 'source' (a folder or a .gguf file) as the folder 'target', which must not exist
 * or be empty, and appears whole or not at all: until then the work lies in "TARGET.partial" beside
 * it. An interrupted or failed call leaves there the shards that are whole, and the same call with
 * the same source goes on behind them.  'report' may be NULL.  What cannot be carried over but is
 * no reason to stop is logged as a warning.  Errors: ZMLX_ERROR_ARGUMENT for options that do not
 * fit together, ZMLX_ERROR_UNSUPPORTED for an architecture or tensor type that is not known,
 * ZMLX_ERROR_IO (an interrupted call too) names the file and the system's reason. */
ZMLX_MUST_CHECK ZMLX_API zmlx_status zmlx_convert(const char *source, const char *target,
                                                  const zmlx_convert_options *options,
                                                  zmlx_convert_report *report);

#ifdef __cplusplus
}
#endif
#endif
