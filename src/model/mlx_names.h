/* mlx_names.h - what mlx-lm calls a module that this house calls by Hugging Face's name, and what
 * it makes of some. */
#ifndef ZX_MODEL_MLX_NAMES_H
#define ZX_MODEL_MLX_NAMES_H

#include "model/family.h"

enum { ZX_MLX_NAME = 320 };

/* Whether mlx-lm's model of the text is a part of another, "language_model": where the config has a
 * "text_config" (NULL: none), and where the class has it always. */
bool zx_mlx_is_wrapped(const zx_family *family, const json_t *text);
/* The module's name, without suffix; false where it is too long. */
bool zx_mlx_name(const zx_family *family, bool wrapped, const char *module, char name[ZX_MLX_NAME]);

/* Where a family's stacked experts lie below the module of its mixture: "switch_mlp". */
const char *zx_mlx_experts(const zx_family *family);

/* False for a matrix that mlx-lm never quantizes. */
bool zx_mlx_may_quantize(const zx_family *family, const char *name);
/* True for a matrix that mlx-lm's model wants in 8 bits, groups of 64: the small ones that choose
 * experts. */
bool zx_mlx_wants_8_bits(const zx_family *family, const zx_config *config, const char *name);
/* False for a tensor that mlx-lm's model wants in its own dtype. */
bool zx_mlx_may_cast(const zx_family *family, const char *name);

/* What is to be added to a norm's weight so that it is as mlx-lm's model has it. */
float zx_mlx_shift(const zx_family *family, const zx_checkpoint *checkpoint,
                   const zx_config *config, const char *module);

#endif
