/* text_part.h - the language model inside a checkpoint that can do more than text: its config is an
 * object of the whole config, its tensors have a prefix. */
#ifndef ZX_MODEL_TEXT_PART_H
#define ZX_MODEL_TEXT_PART_H

#include <jansson.h>
#include <stdbool.h>

#include "zmlx/status.h"

/* Whether the config is that of a whole with a text part. */
bool zx_has_text_part(const json_t *config);

/* Puts what "text_config" says into the config itself, where it counts more than what stands there;
 * its architectures follow those of the whole.  Nothing happens where there is none. */
ZMLX_MUST_CHECK zmlx_status zx_text_part_config(const char *path, json_t *config);

/* The usual name of a tensor: "model.language_model.layers.0..." is "model.layers.0...".  A part of
 * 'name' where only a prefix goes, else made in 'buffer' ('size' bytes; a name that does not fit
 * stays as it is). */
const char *zx_text_part_name(const char *name, char *buffer, size_t size);

#endif
