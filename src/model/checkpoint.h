/* checkpoint.h - one view of a model's files: an MLX or Hugging Face folder, a .gguf file, or a
 * .safetensors file beside its config.json.
 *
 * Whatever the files say arrives in Hugging Face's words: config.json and tensor names such as
 * "model.layers.0.self_attn.q_proj.weight".  Weights stay where they lie in the mapped files
 * and must not outlive the checkpoint.  What a checkpoint was asked for is remembered without a
 * lock: one thread at a time. */
#ifndef ZX_MODEL_CHECKPOINT_H
#define ZX_MODEL_CHECKPOINT_H

#include <jansson.h>

#include "model/config.h"
#include "model/gguf.h"
#include "quant/format.h"

typedef struct zx_checkpoint zx_checkpoint;

/* A path, or a name in the hub's cache. */
ZMLX_MUST_CHECK zmlx_status zx_checkpoint_open(const char *path, zx_checkpoint **checkpoint);
/* A GGUF file in memory, which must outlive the checkpoint; 'name' stands in messages. */
ZMLX_MUST_CHECK zmlx_status zx_checkpoint_open_gguf(const char *name, const void *bytes,
                                                    size_t size, zx_checkpoint **checkpoint);
/* A config.json without weights, in memory. */
ZMLX_MUST_CHECK zmlx_status zx_checkpoint_open_config(const char *name, const char *text,
                                                      size_t size, zx_checkpoint **checkpoint);
void zx_checkpoint_close(zx_checkpoint *checkpoint);

/* Weights of another quantizer (foreign/foreign.h) have their shapes and addresses when the
 * checkpoint is open, but no values until this makes them: those of all tensors that were found so
 * far.  Whoever reads values calls it first, once everything that is read was found; each is made
 * once, whatever the number of calls, from any thread.  'threads' 0: all that the process may use.
 * Other checkpoints: does nothing. */
ZMLX_MUST_CHECK zmlx_status zx_checkpoint_make(const zx_checkpoint *checkpoint, size_t threads);
/* The values of one tensor, for whoever reads them here and now: made, where no file has them. */
ZMLX_MUST_CHECK zmlx_status zx_checkpoint_values(const zx_checkpoint *checkpoint,
                                                 const zx_stored_tensor *tensor,
                                                 const uint8_t **values);
/* True for a tensor whose values are made: no file has them. */
bool zx_checkpoint_makes(const zx_checkpoint *checkpoint, const zx_stored_tensor *tensor);
/* Bytes of the process's memory that such weights take so far. */
size_t zx_checkpoint_made(const zx_checkpoint *checkpoint);
/* Those and what this machine can still give, at the same moment: room for a model, its weights
 * counted.  Waits for values that are being made. */
size_t zx_checkpoint_available(const zx_checkpoint *checkpoint);
/* True where another quantizer's weights were found. */
bool zx_checkpoint_is_foreign(const zx_checkpoint *checkpoint);
/* The weight files, by number; NULL behind the last. */
const char *zx_checkpoint_file(const zx_checkpoint *checkpoint, size_t index);

const char *
zx_checkpoint_path(const zx_checkpoint *checkpoint); /* as opened: of a name, where it lies */
const json_t *zx_checkpoint_config(const zx_checkpoint *checkpoint);
/* The config for the getters of config.h; messages name its file. */
zx_fields zx_checkpoint_fields(const zx_checkpoint *checkpoint);
/* "config key 'KEY'", or "metadata key 'llama.block_count'" in a GGUF file's own words; of "a|b"
 * the first that is there, or else the first. */
enum { ZX_KEY_TEXT = 160 };
const char *zx_checkpoint_key(const zx_checkpoint *checkpoint, const char *key,
                              char text[ZX_KEY_TEXT]);
bool zx_checkpoint_is_gguf(const zx_checkpoint *checkpoint);
const zx_gguf *zx_checkpoint_gguf(const zx_checkpoint *checkpoint); /* NULL where it is none */
/* True where rope turns neighbours (2i, 2i + 1): the rows of q and k are ordered so. */
bool zx_checkpoint_interleaved_rope(const zx_checkpoint *checkpoint);
/* True where no factor among the tensors concerns the rope of sliding layers. */
bool zx_checkpoint_plain_sliding_rope(const zx_checkpoint *checkpoint);
/* The ids that end an answer: generation_config.json's, else config.json's; may be none. */
void zx_checkpoint_end_ids(const zx_checkpoint *checkpoint, const int32_t **ids, size_t *count);

/* The tensor of that full name, which counts as used from now on; NULL where there is none. */
const zx_stored_tensor *zx_checkpoint_find(const zx_checkpoint *checkpoint, const char *name);
/* The same, but it does not count as used. */
const zx_stored_tensor *zx_checkpoint_peek(const zx_checkpoint *checkpoint, const char *name);
/* All tensors, in no particular order, and whether they were asked for. */
size_t zx_checkpoint_count(const zx_checkpoint *checkpoint);
const zx_stored_tensor *zx_checkpoint_tensor(const zx_checkpoint *checkpoint, size_t index,
                                             bool *used);
/* Its name in Hugging Face's words, by which zx_checkpoint_find knows it. */
const char *zx_checkpoint_name(const zx_checkpoint *checkpoint, size_t index);
/* "FILE: tensor 'NAME' is missing", with its name in the file's own words too. */
zmlx_status zx_checkpoint_missing(const zx_checkpoint *checkpoint, const char *name);

/* Bits of the codes of MLX's quantized module 'name' by the config's settings for it; 0 where the
 * config says nothing of it, or nothing that holds. */
size_t zx_checkpoint_bits(const zx_checkpoint *checkpoint, const char *name);

/* The matrix [rows, columns] of the module 'name' ("model.layers.0.self_attn.q_proj"), with its
 * bias where it has one.  Dense, quantized by MLX where NAME.scales is there, or GGUF's blocks. The
 * modes without scales of a float type decode to f32. */
ZMLX_MUST_CHECK zmlx_status zx_checkpoint_weight(const zx_checkpoint *checkpoint, const char *name,
                                                 size_t rows, size_t columns, zx_weight *weight);
/* The same for a module whose tensors hold 'count' matrices, one behind the other. */
ZMLX_MUST_CHECK zmlx_status zx_checkpoint_stack(const zx_checkpoint *checkpoint, const char *name,
                                                size_t count, size_t rows, size_t columns,
                                                zx_weight *weight);
/* The vector [columns] of the module 'name': a norm's weight, with its bias where it has one.
 * Always dense; a tensor may also be called NAME without ".weight". */
ZMLX_MUST_CHECK zmlx_status zx_checkpoint_vector(const zx_checkpoint *checkpoint, const char *name,
                                                 size_t columns, zx_weight *weight);

/* The weight of a convolution of every column by itself, as f32 [taps, columns] in the arena, with
 * its bias of 'columns' values where it has one.  The tensor is [columns, 1, taps] (Hugging Face),
 * [columns, taps, 1] (MLX) or [columns, taps] (GGUF). */
ZMLX_MUST_CHECK zmlx_status zx_checkpoint_conv(const zx_checkpoint *checkpoint, const char *name,
                                               size_t columns, size_t taps, zx_arena *arena,
                                               zx_weight *weight);
/* True where that tensor of a convolution is laid out as MLX has it. */
bool zx_stored_is_mlx_conv(const zx_stored_tensor *tensor);

#endif
