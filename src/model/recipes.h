/* recipes.h - which of a checkpoint's tensors are quantized, and how: what was asked for, module by
 * module, and what config.json says of it. */
#ifndef ZX_MODEL_RECIPES_H
#define ZX_MODEL_RECIPES_H

#include <jansson.h>

#include "model/outgoing.h"
#include "zmlx/convert.h"

/* Fails where the options are not known or do not fit together; the message names the option. */
ZMLX_MUST_CHECK zmlx_status zx_recipe_check(const zmlx_convert_options *options);

/* Fills format, bits, group and dtype of every entry.  'usual' is the dtype of what blocks of GGUF
 * and MLX's fp modes become where none is asked for. */
ZMLX_MUST_CHECK zmlx_status zx_recipe_apply(const zmlx_convert_options *options,
                                            const zx_family *family, const zx_config *config,
                                            zx_dtype usual, zx_outgoing_list *list);

/* config.json's "quantization" for the entries, a new reference; '*settings' is NULL where nothing
 * is quantized.  'before' is what the source's config has, or NULL. */
ZMLX_MUST_CHECK zmlx_status zx_recipe_settings(const zmlx_convert_options *options,
                                               const zx_outgoing_list *list, const json_t *before,
                                               json_t **settings);

/* '*' any characters, '?' one; the whole name must fit. */
bool zx_glob_fits(const char *pattern, const char *name);

#endif
