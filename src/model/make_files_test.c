/* make_files_test.c - builds the files that the tests of this folder read and damage. */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/test.h"
#include "model/make_files.h"

enum { ALIGNMENT = 32, METER_HEAD = 64 };

static bool put(zx_text *text, const void *bytes, size_t count)
{
    return count == 0 || zx_text_add(text, bytes, count) == ZMLX_OK;
}

static bool put_number(zx_text *text, uint64_t value, size_t count)
{
    uint8_t bytes[8];
    for (size_t i = 0; i < count; i++) bytes[i] = (uint8_t)(value >> 8 * i);
    return put(text, bytes, count);
}

static bool put_string(zx_text *text, const char *string)
{
    const size_t length = strlen(string);
    return put_number(text, length, 8) && put(text, string, length);
}

bool zx_make_value(zx_gguf_maker *maker, const char *key, zx_gguf_type type, const void *bytes,
                   size_t count)
{
    maker->key_count++;
    return put_string(&maker->keys, key) && put_number(&maker->keys, (uint64_t)type, 4) &&
           put(&maker->keys, bytes, count);
}

bool zx_make_u32(zx_gguf_maker *maker, const char *key, uint32_t value)
{
    return zx_make_value(maker, key, ZX_GGUF_U32, &value, sizeof value);
}

bool zx_make_f32(zx_gguf_maker *maker, const char *key, float value)
{
    return zx_make_value(maker, key, ZX_GGUF_F32, &value, sizeof value);
}

bool zx_make_string(zx_gguf_maker *maker, const char *key, const char *value)
{
    return zx_make_value(maker, key, ZX_GGUF_STRING, NULL, 0) && put_string(&maker->keys, value);
}

bool zx_make_strings(zx_gguf_maker *maker, const char *key, const char *const *values, size_t count)
{
    bool good = zx_make_value(maker, key, ZX_GGUF_ARRAY, NULL, 0) &&
                put_number(&maker->keys, ZX_GGUF_STRING, 4) && put_number(&maker->keys, count, 8);
    for (size_t i = 0; i < count; i++) good = good && put_string(&maker->keys, values[i]);
    return good;
}

static bool pad(zx_text *text, size_t alignment)
{
    while (text->length % alignment != 0)
        if (!put(text, "", 1)) return false;
    return true;
}

static size_t alignment_of(const zx_gguf_maker *maker)
{
    return maker->alignment > 0 ? maker->alignment : ALIGNMENT;
}

bool zx_make_tensor(zx_gguf_maker *maker, const char *name, uint32_t type, const uint64_t *shape,
                    uint32_t rank, size_t bytes)
{
    bool good = pad(&maker->data, alignment_of(maker)) && put_string(&maker->infos, name) &&
                put_number(&maker->infos, rank, 4);
    for (uint32_t i = 0; i < rank; i++) good = good && put_number(&maker->infos, shape[i], 8);
    good = good && put_number(&maker->infos, type, 4) &&
           put_number(&maker->infos, maker->data.length, 8);
    for (size_t i = 0; i < bytes; i++) good = good && put_number(&maker->data, i % 61, 1);
    maker->tensor_count++;
    return good;
}

bool zx_make_file(zx_gguf_maker *maker)
{
    zx_text_clear(&maker->file);
    return put(&maker->file, "GGUF", 4) &&
           put_number(&maker->file, maker->version > 0 ? maker->version : 3, 4) &&
           put_number(&maker->file, maker->tensor_count, 8) &&
           put_number(&maker->file, maker->key_count, 8) &&
           put(&maker->file, maker->keys.bytes, maker->keys.length) &&
           put(&maker->file, maker->infos.bytes, maker->infos.length) &&
           pad(&maker->file, alignment_of(maker)) &&
           put(&maker->file, maker->data.bytes, maker->data.length);
}

void zx_gguf_maker_fini(zx_gguf_maker *maker)
{
    zx_text_fini(&maker->keys);
    zx_text_fini(&maker->infos);
    zx_text_fini(&maker->data);
    zx_text_fini(&maker->file);
    *maker = (zx_gguf_maker){0};
}

static const struct {
    const char *key;
    uint32_t value;
} llama_keys[] = {
    {"llama.block_count", 1},           {"llama.context_length", 64},
    {"llama.embedding_length", 32},     {"llama.feed_forward_length", 64},
    {"llama.attention.head_count", 2},  {"llama.attention.head_count_kv", 1},
    {"llama.rope.dimension_count", 16}, {"tokenizer.ggml.bos_token_id", 1},
    {"tokenizer.ggml.eos_token_id", 2},
};

static const struct {
    const char *name;
    uint32_t type, rank;
    uint64_t shape[2];
    size_t bytes;
} llama_tensors[] = {
    {"token_embd.weight", 8, 2, {32, 6}, 6 * 34},
    {"blk.0.attn_norm.weight", 0, 1, {32}, 32 * 4},
    {"blk.0.attn_q.weight", 2, 2, {32, 32}, 32 * 18},
    {"blk.0.attn_q.bias", 0, 1, {32}, 32 * 4},
    {"blk.0.attn_k.weight", 3, 2, {32, 16}, 16 * 20},
    {"blk.0.attn_v.weight", 1, 2, {32, 16}, 16 * 64},
    {"blk.0.attn_output.weight", 30, 2, {32, 32}, 32 * 64},
    {"blk.0.ffn_norm.weight", 1, 1, {32}, 32 * 2},
    {"blk.0.ffn_gate.weight", 3, 2, {32, 64}, 64 * 20},
    {"blk.0.ffn_up.weight", 3, 2, {32, 64}, 64 * 20},
    {"blk.0.ffn_down.weight", 3, 2, {64, 32}, 32 * 40},
    {"output_norm.weight", 0, 1, {32}, 32 * 4},
};

bool zx_make_llama(zx_gguf_maker *maker, const char *skip)
{
    static const char *const tokens[] = {"<unk>", "<s>", "</s>", "a", "b", "ab"};
    static const char *const merges[] = {"a b"};
    if (skip == NULL) skip = "";
    bool good = strcmp(skip, "general.architecture") == 0 ||
                zx_make_string(maker, "general.architecture", "llama");
    for (size_t i = 0; i < sizeof llama_keys / sizeof *llama_keys; i++)
        if (strcmp(skip, llama_keys[i].key) != 0)
            good = good && zx_make_u32(maker, llama_keys[i].key, llama_keys[i].value);
    good = good && zx_make_f32(maker, "llama.attention.layer_norm_rms_epsilon", 1e-5F) &&
           zx_make_f32(maker, "llama.rope.freq_base", 5000.0F);
    if (strcmp(skip, "tokenizer.ggml.model") != 0)
        good = good && zx_make_string(maker, "tokenizer.ggml.model", "gpt2");
    if (strcmp(skip, "tokenizer.ggml.tokens") != 0)
        good = good && zx_make_strings(maker, "tokenizer.ggml.tokens", tokens, 6);
    good = good && zx_make_strings(maker, "tokenizer.ggml.merges", merges, 1);
    for (size_t i = 0; i < sizeof llama_tensors / sizeof *llama_tensors; i++)
        if (strcmp(skip, llama_tensors[i].name) != 0)
            good = good && zx_make_tensor(maker, llama_tensors[i].name, llama_tensors[i].type,
                                          llama_tensors[i].shape, llama_tensors[i].rank,
                                          llama_tensors[i].bytes);
    return good && zx_make_file(maker);
}

bool zx_make_safetensors(zx_text *file, const char *header, size_t data_bytes)
{
    zx_text_clear(file);
    bool good = put_string(file, header);
    for (size_t i = 0; i < data_bytes; i++) good = good && put_number(file, i % 61, 1);
    return good;
}

bool zx_write_text(const char *path, const void *bytes, size_t count)
{
    FILE *stream = fopen(path, "wb");
    if (stream == NULL) return false;
    const bool good = fwrite(bytes, 1, count, stream) == count;
    return fclose(stream) == 0 && good;
}

/* The size stands before the block, which keeps its alignment. */
static void *meter_alloc(size_t bytes, void *user)
{
    zx_meter *const meter = user;
    uint8_t *const memory = meter->inner.alloc(bytes + METER_HEAD, meter->inner.user);
    if (memory == NULL) return NULL;
    memcpy(memory, &bytes, sizeof bytes);
    meter->now += bytes;
    if (meter->now > meter->peak) meter->peak = meter->now;
    return memory + METER_HEAD;
}

static void meter_free(void *memory, void *user)
{
    zx_meter *const meter = user;
    size_t bytes = 0;
    uint8_t *const head = (uint8_t *)memory - METER_HEAD;
    memcpy(&bytes, head, sizeof bytes);
    meter->now -= bytes;
    meter->inner.free(head, meter->inner.user);
}

void zx_meter_start(zx_meter *meter)
{
    *meter = (zx_meter){.inner = zx_test_allocator()};
    const zmlx_allocator allocator = {meter_alloc, meter_free, meter};
    zmlx_set_allocator(&allocator);
}

void zx_meter_stop(const zx_meter *meter)
{
    zmlx_set_allocator(&meter->inner);
}

static void empty_folder(const char *folder)
{
    DIR *directory = opendir(folder);
    const struct dirent *entry = NULL;
    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        char path[1300];
        (void)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (entry->d_name[0] == '.' || remove(path) == 0) continue;
        zx_remove_folder(path);
    }
    if (directory != NULL) (void)closedir(directory);
}

void zx_remove_folder(const char *folder)
{
    empty_folder(folder);
    (void)remove(folder);
}

void zx_with_folder(void (*body)(const char *folder))
{
    const char *folder = zx_test_scratch();
    if (!zx_test_check(mkdir(folder, 0700) == 0, "mkdir", folder, __FILE__, __LINE__)) return;
    body(folder);
    empty_folder(folder);
}

const char *zx_in_folder(const char *folder, const char *name)
{
    static char path[1024];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

bool zx_put_file(const char *folder, const char *name, const char *text)
{
    return zx_write_text(zx_in_folder(folder, name), text, strlen(text));
}
