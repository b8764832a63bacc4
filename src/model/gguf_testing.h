/* gguf_testing.h - metadata of an architecture, for tests that make GGUF files. */
#ifndef ZX_MODEL_GGUF_TESTING_H
#define ZX_MODEL_GGUF_TESTING_H

#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "model/checkpoint.h"
#include "model/gguf_architectures.h"
#include "model/make_files.h"

static inline bool says(const char *message)
{
    const bool fits = strstr(zmlx_error_message(), message) != NULL;
    if (!fits) (void)printf("  is '%s'\n  not '%s'\n", zmlx_error_message(), message);
    return fits;
}

/* "NAME.WORD" = value */
static inline bool put(zx_gguf_maker *maker, const char *name, const char *word, uint32_t value)
{
    char key[ZX_GGUF_KEY];
    zx_gguf_key(name, word, key);
    return zx_make_u32(maker, key, value);
}

static inline bool put_number(zx_gguf_maker *maker, const char *name, const char *word, float value)
{
    char key[ZX_GGUF_KEY];
    zx_gguf_key(name, word, key);
    return zx_make_f32(maker, key, value);
}

/* A list of up to 8 elements of one byte each. */
static inline bool put_bytes(zx_gguf_maker *maker, const char *name, const char *word,
                             zx_gguf_type type, const uint8_t *elements, uint8_t count)
{
    char key[ZX_GGUF_KEY];
    uint8_t bytes[4 + 8 + 8] = {(uint8_t)type, 0, 0, 0, count};
    memcpy(bytes + 12, elements, count);
    zx_gguf_key(name, word, key);
    return zx_make_value(maker, key, ZX_GGUF_ARRAY, bytes, 12u + count);
}

/* What every architecture needs: 4 blocks, hidden 32, 4 heads. */
static inline bool start(zx_gguf_maker *maker, const char *name)
{
    return zx_make_string(maker, "general.architecture", name) &&
           put(maker, name, "block_count", 4) && put(maker, name, "embedding_length", 32) &&
           put(maker, name, "feed_forward_length", 48) &&
           put(maker, name, "attention.head_count", 4) && put(maker, name, "vocab_size", 96);
}

/* Opens what was made, and puts it away. */
static inline zmlx_status open_maker(zx_gguf_maker *maker, zx_checkpoint **checkpoint)
{
    *checkpoint = NULL;
    if (!zx_make_file(maker)) return ZMLX_ERROR_MEMORY;
    return zx_checkpoint_open_gguf("f.gguf", maker->file.bytes, maker->file.length, checkpoint);
}

#endif
