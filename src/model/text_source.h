/* text_source.h - what a model's files say about text: tokenizer, chat template, special tokens.
 *
 * Weights are not read.  A folder without tokenizer or template can be opened; what is missing
 * is an error where it is asked for. */
#ifndef ZX_MODEL_TEXT_SOURCE_H
#define ZX_MODEL_TEXT_SOURCE_H

#include <jansson.h>

#include "text/tokenizer.h"

typedef struct zx_text_source zx_text_source;

/* A model folder, a .gguf file, any file of a folder (its folder is taken), or a name in the hub's
 * cache. */
ZMLX_MUST_CHECK zmlx_status zx_text_source_open(const char *path, zx_text_source **source);
void zx_text_source_close(zx_text_source *source);

ZMLX_MUST_CHECK zmlx_status zx_text_source_tokenizer(const zx_text_source *source,
                                                     zx_tokenizer **tokenizer);

/* A GGUF file's vocabulary as a tokenizer.json; ZMLX_ERROR_UNSUPPORTED for kinds that it does not
 * express. */
ZMLX_MUST_CHECK zmlx_status zx_text_source_tokenizer_json(const zx_text_source *source,
                                                          zx_text *json);

/* The chat template of that name ("default", "tool_use"); false where there is none.  The view
 * lives as long as the source. */
bool zx_text_source_template(const zx_text_source *source, const char *name, zx_string_view *text);

/* An object: "bos_token", "eos_token" ... as strings, "additional_special_tokens" as an array:
 * variables for the template. */
const json_t *zx_text_source_special_tokens(const zx_text_source *source);

/* All templates, name: text. */
const json_t *zx_text_source_templates(const zx_text_source *source);

const char *zx_text_source_path(const zx_text_source *source);

#endif
