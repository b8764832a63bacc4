/* write_config.h - config.json of a folder that is written, and the small files that go with it. */
#ifndef ZX_MODEL_WRITE_CONFIG_H
#define ZX_MODEL_WRITE_CONFIG_H

#include "model/outgoing.h"
#include "model/write_folder.h"
#include "zmlx/convert.h"

/* The source's config.json as it stands in the file, without what mlx-lm leaves out; a new
 * reference. Of a GGUF file: as gguf_export.h makes it. */
ZMLX_MUST_CHECK zmlx_status zx_written_config(const zx_checkpoint *checkpoint, const char *folder,
                                              const zx_family *family, const zx_config *config,
                                              json_t **document);

/* Sets "quantization" (NULL: removes it), the dtype (DEFAULT: as it is), and whether the head is
 * tied. */
ZMLX_MUST_CHECK zmlx_status zx_finish_config(json_t *document, json_t *quantization,
                                             zmlx_dtype dtype, bool tied);

/* A document as mlx-lm writes it: four spaces, keys in order. */
ZMLX_MUST_CHECK zmlx_status zx_write_document(zx_folder *folder, const char *name,
                                              const json_t *document);

/* Fails where one of the files that zx_copy_side_files would copy is too large for it. */
ZMLX_MUST_CHECK zmlx_status zx_check_side_files(const char *from);
/* Copies the tokenizer's and other small files of a model's folder. */
ZMLX_MUST_CHECK zmlx_status zx_copy_side_files(zx_folder *folder, const char *from);

#endif
