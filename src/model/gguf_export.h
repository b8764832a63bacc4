/* gguf_export.h - what a GGUF file's metadata says, as the files of a Hugging Face folder. */
#ifndef ZX_MODEL_GGUF_EXPORT_H
#define ZX_MODEL_GGUF_EXPORT_H

#include "model/family.h"
#include "model/write_folder.h"

/* config.json, in the words that mlx-lm's models read too; a new reference.  What it cannot say is
 * logged, or ZMLX_ERROR_UNSUPPORTED where the model would compute something else. */
ZMLX_MUST_CHECK zmlx_status zx_gguf_export_config(const zx_checkpoint *checkpoint,
                                                  const zx_family *family, const zx_config *config,
                                                  json_t **document);

/* tokenizer.json, tokenizer_config.json and generation_config.json.  A vocabulary that
 * tokenizer.json cannot express is logged, and no such file is written. */
ZMLX_MUST_CHECK zmlx_status zx_gguf_export_tokenizer(const zx_checkpoint *checkpoint,
                                                     zx_folder *folder);

#endif
