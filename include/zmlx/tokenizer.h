/* tokenizer.h - text to token ids and back, and chat templates, of a model folder or GGUF file.
 *
 * Weights are not read.  A tokenizer never changes after it was opened: any number of threads may
 * use it. */
#ifndef ZMLX_TOKENIZER_H
#define ZMLX_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "zmlx/status.h"
#include "zmlx/text.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct zmlx_tokenizer zmlx_tokenizer;

/* MODEL: a folder with tokenizer.json (or else tokenizer.model or tiktoken.model), a .gguf file, or
 * a name in the Hugging Face cache (model.h). ZMLX_ERROR_FORMAT names what is missing or wrong. */
ZMLX_MUST_CHECK ZMLX_API zmlx_status zmlx_tokenizer_open(const char *model,
                                                         zmlx_tokenizer **tokenizer);
ZMLX_API void zmlx_tokenizer_close(zmlx_tokenizer *tokenizer);

/* One more than the largest id. */
ZMLX_API size_t zmlx_tokenizer_size(const zmlx_tokenizer *tokenizer);

/* The ids of 'length' bytes of text.  'add_special': BOS, EOS and the like where the tokenizer says
 * so; added tokens inside the text are recognized either way. */
ZMLX_MUST_CHECK ZMLX_API zmlx_status zmlx_tokenizer_encode(const zmlx_tokenizer *tokenizer,
                                                           const char *text, size_t length,
                                                           bool add_special, zmlx_ids *ids);

/* The text of the ids; bytes that are no UTF-8 become U+FFFD. */
ZMLX_MUST_CHECK ZMLX_API zmlx_status zmlx_tokenizer_decode(const zmlx_tokenizer *tokenizer,
                                                           const int32_t *ids, size_t count,
                                                           bool skip_special, zmlx_string *text);

typedef struct zmlx_template_options { /* zero means the default */
    bool no_generation_prompt;
    const char *kwargs; /* a JSON object whose members are variables too, or NULL */
} zmlx_template_options;

/* Renders the model's chat template.  'conversation' is the JSON object
 * {"messages": [...], "tools": [...], ...}; every member is a variable.  As in Hugging Face's
 * transformers, members of a message that are null are left out, and reasoning
 * ("reasoning_content", "thinking" or "reasoning") is there under the first two names.
 * ZMLX_ERROR_FORMAT where there are no messages or one is no object, ZMLX_ERROR_ARGUMENT with the
 * template's own message where the template raises. */
ZMLX_MUST_CHECK ZMLX_API zmlx_status zmlx_tokenizer_render(const zmlx_tokenizer *tokenizer,
                                                           const char *conversation, size_t length,
                                                           const zmlx_template_options *options,
                                                           zmlx_string *prompt);

/* True where the model has a chat template. */
ZMLX_API bool zmlx_tokenizer_has_template(const zmlx_tokenizer *tokenizer);

#ifdef __cplusplus
}
#endif
#endif
