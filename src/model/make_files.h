/* make_files.h - small weight files made in memory, for the tests of this folder. */
#ifndef ZX_MODEL_MAKE_FILES_H
#define ZX_MODEL_MAKE_FILES_H

#include "base/text.h"
#include "model/gguf.h"
#include "zmlx/runtime.h"

/* A GGUF file as it grows; every step returns false where memory ran out. */
typedef struct zx_gguf_maker { /* {0} is empty */
    zx_text keys, infos, data, file;
    uint64_t key_count, tensor_count;
    uint32_t version, alignment; /* 0: version 3, alignment 32 */
} zx_gguf_maker;

bool zx_make_u32(zx_gguf_maker *maker, const char *key, uint32_t value);
bool zx_make_f32(zx_gguf_maker *maker, const char *key, float value);
bool zx_make_string(zx_gguf_maker *maker, const char *key, const char *value);
/* Any value: its type and its bytes. */
bool zx_make_value(zx_gguf_maker *maker, const char *key, zx_gguf_type type, const void *bytes,
                   size_t count);
bool zx_make_strings(zx_gguf_maker *maker, const char *key, const char *const *values,
                     size_t count);
/* A tensor of a ggml type; shape innermost first; its bytes count up. */
bool zx_make_tensor(zx_gguf_maker *maker, const char *name, uint32_t type, const uint64_t *shape,
                    uint32_t rank, size_t bytes);
/* Puts the parts together into maker->file. */
bool zx_make_file(zx_gguf_maker *maker);
void zx_gguf_maker_fini(zx_gguf_maker *maker);

/* A whole llama of one layer: hidden 32, two heads, one kv head, ff 64, six tokens; types F32, F16,
 * BF16, Q4_0, Q4_1 and Q8_0 all occur.  'skip' names a tensor or key to leave out, or is NULL. */
bool zx_make_llama(zx_gguf_maker *maker, const char *skip);

/* A safetensors file: the header's text and that many bytes of data. */
bool zx_make_safetensors(zx_text *file, const char *header, size_t data_bytes);

/* Writes a file; false where that fails. */
bool zx_write_text(const char *path, const void *bytes, size_t count);

/* Calls 'body' with a folder of its own, which is emptied and removed afterwards. */
void zx_with_folder(void (*body)(const char *folder));
/* With all that is in it, but for names with a dot; nothing happens where there is none. */
void zx_remove_folder(const char *folder);
/* "FOLDER/NAME", valid until the next call. */
const char *zx_in_folder(const char *folder, const char *name);
bool zx_put_file(const char *folder, const char *name, const char *text);

/* Watches how much memory the library holds; puts itself between it and the tests' allocator. */
typedef struct zx_meter {
    zmlx_allocator inner;
    size_t now, peak;
} zx_meter;

void zx_meter_start(zx_meter *meter);
void zx_meter_stop(const zx_meter *meter);

#endif
