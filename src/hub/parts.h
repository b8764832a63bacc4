/* parts.h - names of a GGUF model in several files: NAME-00001-of-00003.gguf. */
#ifndef ZX_HUB_PARTS_H
#define ZX_HUB_PARTS_H

#include <stdbool.h>

/* True of every part but the first: the first stands for the model. */
bool zx_parts_is_later(const char *name);

/* True where the names are the same, or those of two parts of one model. */
bool zx_parts_same_model(const char *one, const char *other);

#endif
