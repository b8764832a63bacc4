/* strings.h - handing texts and ids over to the caller of the public interface. */
#ifndef ZX_MODEL_STRINGS_H
#define ZX_MODEL_STRINGS_H

#include "base/text.h"
#include "text/tokenizer.h"
#include "zmlx/text.h"

/* Moves the text; it is then empty. */
void zx_string_give(zx_text *text, zmlx_string *string);
void zx_ids_give(zx_ids *ids, zmlx_ids *given);

#endif
