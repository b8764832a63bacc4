/* token_files.h - the tokenizer of a model folder, whichever file holds it. */
#ifndef ZX_MODEL_TOKEN_FILES_H
#define ZX_MODEL_TOKEN_FILES_H

#include <jansson.h>

#include "text/tokenizer.h"

/* tokenizer.json; where it is missing SentencePiece's tokenizer.model or a tiktoken file, with the
 * added tokens and BOS and EOS of tokenizer_config.json and added_tokens.json.  'special' holds the
 * folder's special tokens by name.  Fails, naming the files that were looked for, where there is
 * none. */
ZMLX_MUST_CHECK zmlx_status zx_token_files_open(const char *folder, const json_t *special,
                                                zx_tokenizer **tokenizer);

#endif
