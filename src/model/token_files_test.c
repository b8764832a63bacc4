/* token_files_test.c - folders whose tokenizer is no tokenizer.json, and what a GGUF file's
 * metadata leaves unsaid. */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/test.h"
#include "model/make_files.h"
#include "model/text_source.h"

static bool says(const char *message)
{
    const bool fits = strstr(zmlx_error_message(), message) != NULL;
    if (!fits) (void)printf("  is '%s'\n  not '%s'\n", zmlx_error_message(), message);
    return fits;
}

static bool copy_file(const char *from, const char *folder, const char *name)
{
    zx_file file;
    if (zx_file_open(from, &file) != ZMLX_OK) return false;
    const bool good = zx_write_text(zx_in_folder(folder, name), file.data, file.size);
    zx_file_close(&file);
    return good;
}

static zmlx_status open_tokenizer(const char *path, zx_tokenizer **tokenizer)
{
    zx_text_source *source = NULL;
    zmlx_status status = zx_text_source_open(path, &source);
    if (status == ZMLX_OK) status = zx_text_source_tokenizer(source, tokenizer);
    zx_text_source_close(source);
    return status;
}

/* "1,2,3" for the ids of a text in the tokenizer of a folder or file. */
static bool gives(const char *path, const char *text, bool special, const char *expected)
{
    zx_tokenizer *tokenizer = NULL;
    zx_ids ids = {0};
    char got[200] = "";
    zmlx_status status = open_tokenizer(path, &tokenizer);
    if (status == ZMLX_OK)
        status = zx_tokenizer_encode(tokenizer, text, strlen(text), special, &ids);
    for (size_t i = 0, at = 0; status == ZMLX_OK && i < ids.count && at < 180; i++)
        at += (size_t)snprintf(got + at, sizeof got - at, "%s%d", i > 0 ? "," : "",
                               (int)ids.items[i]);
    const bool good = status == ZMLX_OK && strcmp(got, expected) == 0;
    if (!good)
        (void)printf("  '%s': %s, not %s\n", text, status == ZMLX_OK ? got : zmlx_error_message(),
                     expected);
    zx_ids_fini(&ids);
    zx_tokenizer_close(tokenizer);
    return good;
}

/* The ids of "Hello, world!" stand in the data's expect.jsonl. */
static void reads_sentencepiece(const char *folder)
{
    zx_tokenizer *tokenizer = NULL;
    zx_text text = {0};
    static const int32_t ids[] = {265, 901, 265};
    CHECK(copy_file("tests/data/sentencepiece/bpe/tokenizer.model", folder, "tokenizer.model"));
    CHECK(gives(folder, "Hello, world!", true, "1,457,807,301,812,822,281,274,395,858"));
    CHECK(
        zx_put_file(folder, "tokenizer_config.json",
                    "{\"add_bos_token\":false,\"add_eos_token\":true,\"eos_token\":\"<|im_end|>\","
                    "\"added_tokens_decoder\":{\"1\":{\"content\":\"<s>\",\"special\":true},"
                    "\"900\":{\"content\":\"<|im_end|>\",\"special\":true,\"rstrip\":true},"
                    "\"901\":{\"content\":\"<think>\",\"special\":false}}}"));
    CHECK(gives(folder, "a<|im_end|>  a<think>", true, "265,900,265,901,900"));
    CHECK(open_tokenizer(folder, &tokenizer) == ZMLX_OK);
    CHECK(zx_tokenizer_decode(tokenizer, ids, 3, true, &text) == ZMLX_OK);
    CHECK(text.length >= 8 && memcmp(text.bytes, "a<think>", 8) == 0);
    zx_text_fini(&text);
    zx_tokenizer_close(tokenizer);
    CHECK(zx_put_file(folder, "tokenizer_config.json", "{\"tokenizer_class\":\"T5Tokenizer\"}"));
    CHECK(gives(folder, "a", true, "265,2"));
    CHECK(zx_put_file(folder, "added_tokens.json", "{\"<old>\":900}"));
    CHECK(gives(folder, "a<old>", false, "265,900"));
    CHECK(zx_put_file(folder, "added_tokens.json", "{\"<old>\":\"x\"}"));
    CHECK(open_tokenizer(folder, &tokenizer) == ZMLX_ERROR_FORMAT);
    CHECK(says("/added_tokens.json: the id of the added token '<old>' is no token id"));
    CHECK(zx_put_file(folder, "added_tokens.json", "{}"));
    CHECK(zx_put_file(folder, "tokenizer_config.json",
                      "{\"added_tokens_decoder\":{\"x\":{\"content\":\"<s>\"}}}"));
    CHECK(open_tokenizer(folder, &tokenizer) == ZMLX_ERROR_FORMAT);
    CHECK(says("/tokenizer_config.json: 'added_tokens_decoder.x' is no "));
    CHECK(zx_put_file(folder, "tokenizer_config.json", "{\"add_bos_token\":1}"));
    CHECK(open_tokenizer(folder, &tokenizer) == ZMLX_ERROR_FORMAT);
    CHECK(says("'add_bos_token' is 1; expected true or false"));
}

TEST(token_files_read_sentencepiece)
{
    zx_with_folder(reads_sentencepiece);
}

static void reads_tiktoken(const char *folder)
{
    static const char config[] =
        "{\"bos_token\":\"<|bos|>\",\"added_tokens_decoder\":{\"2000\":{\"content\":\"<|bos|>\","
        "\"special\":true}}}";
    zx_tokenizer *tokenizer = NULL;
    CHECK(open_tokenizer(folder, &tokenizer) == ZMLX_ERROR_FORMAT);
    CHECK(says(": tokenizer.json is missing, and so are tokenizer.model and tiktoken.model"));
    CHECK(zx_put_file(folder, "tokenizer_config.json", config));
    CHECK(copy_file("tests/data/tiktoken/small/tokenizer.model", folder, "tiktoken.model"));
    CHECK(gives(folder, "  <|bos|>", true, "256,2000"));
    CHECK(copy_file("tests/data/tiktoken/small/tokenizer.model", folder, "tokenizer.model"));
    CHECK(gives(folder, "  ", true, "2000,256")); /* Llama 3's form begins with BOS */
}

TEST(token_files_read_tiktoken)
{
    zx_with_folder(reads_tiktoken);
}

/* --- GGUF: what llama.cpp takes where a key is absent --- */

static const struct {
    const char *model, *pre, *expected; /* ids of "a" in the vocabulary below */
} unsaid[] = {
    {"gpt2", NULL, "3"},          {"gpt2", "gpt-2", "3"},     {"gpt2", "qwen2", "3"},
    {"gpt2", "smollm", "3"},      {"gpt2", "youtu", "3"},     {"gpt2", "llama-bpe", "1,3"},
    {"gpt2", "llama3", "1,3"},    {"gpt2", "falcon3", "1,3"}, {"gpt2", "tekken", "1,3"},
    {"gpt2", "chameleon", "1,3"}, {"llama", NULL, "1,5"},     {"t5", NULL, "3,2"},
    {"bert", NULL, "1,5,2"},      {"gpt2", "gemma4", "1,3"},  {"gemma4", NULL, "1,3"},
    {"gpt2", "sarvam-moe", "3"},  {"whitespace", NULL, "3"},
};

static bool put_vocabulary(const char *path, const char *model, const char *pre, bool said,
                           const char *family)
{
    static const char *const tokens[] = {"<unk>", "<s>", "</s>", "a", "\u2581", "\u2581a"};
    static const char *const merges[] = {"\u2581 a"};
    float scores[6] = {0, 0, 0, -1, -2, -1};
    int32_t types[6] = {2, 3, 3, 1, 1, 1};
    uint8_t numbers[2][12 + sizeof scores] = {{ZX_GGUF_F32, 0, 0, 0, 6}, {ZX_GGUF_I32, 0, 0, 0, 6}};
    zx_gguf_maker maker = {0};
    memcpy(numbers[0] + 12, scores, sizeof scores);
    memcpy(numbers[1] + 12, types, sizeof types);
    bool good = (family == NULL || zx_make_string(&maker, "general.architecture", family)) &&
                zx_make_string(&maker, "tokenizer.ggml.model", model) &&
                (pre == NULL || zx_make_string(&maker, "tokenizer.ggml.pre", pre)) &&
                zx_make_strings(&maker, "tokenizer.ggml.tokens", tokens, 6) &&
                zx_make_strings(&maker, "tokenizer.ggml.merges", merges, 1) &&
                zx_make_value(&maker, "tokenizer.ggml.scores", ZX_GGUF_ARRAY, numbers[0],
                              sizeof numbers[0]) &&
                zx_make_value(&maker, "tokenizer.ggml.token_type", ZX_GGUF_ARRAY, numbers[1],
                              sizeof numbers[1]) &&
                zx_make_u32(&maker, "tokenizer.ggml.bos_token_id", 1) &&
                zx_make_u32(&maker, "tokenizer.ggml.eos_token_id", 2) &&
                zx_make_u32(&maker, "tokenizer.ggml.seperator_token_id", 2) &&
                zx_make_u32(&maker, "tokenizer.ggml.unknown_token_id", 0);
    if (said) {
        const uint8_t no = 0, yes = 1;
        good = good &&
               zx_make_value(&maker, "tokenizer.ggml.add_bos_token", ZX_GGUF_BOOL, &no, 1) &&
               zx_make_value(&maker, "tokenizer.ggml.add_eos_token", ZX_GGUF_BOOL, &yes, 1) &&
               zx_make_value(&maker, "tokenizer.ggml.add_space_prefix", ZX_GGUF_BOOL, &no, 1) &&
               zx_make_value(&maker, "tokenizer.ggml.normalizer.lowercase", ZX_GGUF_BOOL, &no, 1);
    }
    good = good && zx_make_file(&maker) && zx_write_text(path, maker.file.bytes, maker.file.length);
    zx_gguf_maker_fini(&maker);
    return good;
}

static void fills_what_is_unsaid(const char *folder)
{
    const char *path = zx_in_folder(folder, "v.gguf");
    for (size_t i = 0; i < sizeof unsaid / sizeof *unsaid; i++) {
        char subject[64];
        (void)snprintf(subject, sizeof subject, "%s %s", unsaid[i].model,
                       unsaid[i].pre != NULL ? unsaid[i].pre : "");
        CHECK_ON(subject, put_vocabulary(path, unsaid[i].model, unsaid[i].pre, false, NULL));
        CHECK_ON(subject, gives(path, "a", true, unsaid[i].expected));
    }
    CHECK(put_vocabulary(path, "llama", NULL, true, NULL) && gives(path, "a", true, "3,2"));
    CHECK(put_vocabulary(path, "gpt2", "llama3", true, NULL) && gives(path, "a", true, "3,2"));
    CHECK(put_vocabulary(path, "bert", NULL, false, NULL) && gives(path, "A", false, "5"));
    CHECK(put_vocabulary(path, "bert", NULL, true, NULL) && gives(path, "A", false, "0"));
    /* Of Phi-3 the special tokens take the white space behind them, but for some. */
    CHECK(put_vocabulary(path, "llama", NULL, false, "phi3"));
    CHECK(gives(path, "</s> \n a<s>  a", false, "2,5,1,4,4,5"));
    CHECK(put_vocabulary(path, "llama", NULL, false, "llama"));
    CHECK(gives(path, "</s>  a<s>  a", false, "2,4,4,5,1,4,4,5"));
    /* Gemma 4's texts begin with BOS even where the file denies it. */
    CHECK(put_vocabulary(path, "gemma4", NULL, true, NULL) && gives(path, "a", true, "1,3,2"));
}

TEST(token_files_fill_what_gguf_leaves_unsaid)
{
    zx_with_folder(fills_what_is_unsaid);
}

static void put_word(uint8_t *bytes, uint32_t word)
{
    for (int i = 0; i < 4; i++) bytes[i] = (uint8_t)(word >> 8 * i & 0xFF);
}

/* SentencePiece's fields of a t5 vocabulary: a map of "A" to "a" (its root's offset is 0x100, that
 * of 'A' 0x200), and what becomes of spaces. */
static void reads_t5(const char *folder)
{
    enum { UNITS = 0x400, BYTES = 4 + UNITS * 4 + 4, HEAD = 12 };
    static const char *const tokens[] = {"<unk>", "<s>", "</s>", "a", "\u2581", "\u2581a"};
    static const float scores[6] = {0, 0, 0, -3, -2, -1};
    static uint8_t map[HEAD + BYTES];
    uint8_t numbers[HEAD + sizeof scores] = {ZX_GGUF_F32, 0, 0, 0, 6};
    const char *path = zx_in_folder(folder, "t5.gguf");
    memcpy(numbers + HEAD, scores, sizeof scores);
    put_word(map + 4, BYTES);
    put_word(map + HEAD, UNITS * 4);
    put_word(map + HEAD + 4, 0x100 << 10);
    put_word(map + HEAD + 4 + 4 * (0x100 ^ 'A'), 0x200u << 10 | 1u << 8 | 'A');
    put_word(map + HEAD + 4 + 4 * (0x100 ^ 'A' ^ 0x200), 1u << 31);
    memcpy(map + HEAD + 4 + UNITS * 4, "a", 2);
    for (int variant = 0; variant < 4; variant++) {
        const uint8_t flag = variant < 2;
        zx_gguf_maker maker = {0};
        put_word(map, variant == 1 ? ZX_GGUF_I8 : ZX_GGUF_U8);
        bool good =
            zx_make_string(&maker, "tokenizer.ggml.model", "t5") &&
            zx_make_strings(&maker, "tokenizer.ggml.tokens", tokens, 6) &&
            zx_make_u32(&maker, "tokenizer.ggml.unknown_token_id", 0) &&
            zx_make_u32(&maker, "tokenizer.ggml.eos_token_id", 2) &&
            zx_make_value(&maker, "tokenizer.ggml.scores", ZX_GGUF_ARRAY, numbers,
                          sizeof numbers) &&
            zx_make_value(&maker, "tokenizer.ggml.add_space_prefix", ZX_GGUF_BOOL, &flag, 1) &&
            zx_make_value(&maker, "tokenizer.ggml.remove_extra_whitespaces", ZX_GGUF_BOOL, &flag,
                          1);
        if (variant < 3) /* without it there is no map */
            good = good && zx_make_value(&maker, "tokenizer.ggml.precompiled_charsmap",
                                         ZX_GGUF_ARRAY, map, sizeof map);
        good = good && zx_make_file(&maker) &&
               zx_write_text(path, maker.file.bytes, maker.file.length);
        zx_gguf_maker_fini(&maker);
        CHECK(good);
        static const char *const expected[] = {"5,5,2", "5,5,2", "3,4,5,4,2", "0,4,5,4,2"};
        CHECK(gives(path, "A  a ", true, expected[variant]));
    }
}

TEST(token_files_read_the_fields_of_t5)
{
    zx_with_folder(reads_t5);
}
