/* text_source_test.c - where tokenizer, templates and special tokens come from. */
#include <stdio.h>
#include <string.h>

#include "base/test.h"
#include "model/make_files.h"
#include "model/text_source.h"

static bool says(const char *message)
{
    const bool fits = strstr(zmlx_error_message(), message) != NULL;
    if (!fits) (void)printf("  is '%s'\n  not '%s'\n", zmlx_error_message(), message);
    return fits;
}

static bool is_template(const zx_text_source *source, const char *name, const char *expected)
{
    zx_string_view text;
    return zx_text_source_template(source, name, &text) && text.length == strlen(expected) &&
           memcmp(text.bytes, expected, text.length) == 0;
}

static bool is_token(const zx_text_source *source, const char *name, const char *expected)
{
    const json_t *value = json_object_get(zx_text_source_special_tokens(source), name);
    return json_is_string(value) && strcmp(json_string_value(value), expected) == 0;
}

static void reads_folder(const char *folder)
{
    zx_text_source *source = NULL;
    zx_tokenizer *tokenizer = NULL;
    zx_string_view text;
    CHECK(zx_text_source_open(folder, &source) == ZMLX_OK); /* nothing there is no error */
    CHECK(!zx_text_source_template(source, "default", &text));
    CHECK(zx_text_source_tokenizer(source, &tokenizer) == ZMLX_ERROR_FORMAT);
    CHECK(says(": tokenizer.json is missing"));
    zx_text_source_close(source);
    CHECK(zx_put_file(folder, "tokenizer_config.json",
                      "{\"bos_token\":\"<s>\",\"eos_token\":{\"content\":\"</s>\"},"
                      "\"pad_token\":null,\"additional_special_tokens\":[\"<a>\",{\"content\":"
                      "\"<b>\"}],\"model_max_length\":1000000000000000019884624838656,"
                      "\"chat_template\":\"{{ one }}\"}"));
    CHECK(zx_put_file(folder, "special_tokens_map.json",
                      "{\"bos_token\":\"<other>\",\"unk_token\":\"<unk>\"}"));
    CHECK(zx_text_source_open(folder, &source) == ZMLX_OK);
    CHECK(is_template(source, "default", "{{ one }}"));
    CHECK(is_token(source, "bos_token", "<s>") && is_token(source, "eos_token", "</s>"));
    CHECK(is_token(source, "unk_token", "<unk>"));
    const json_t *special = zx_text_source_special_tokens(source);
    CHECK(json_object_get(special, "pad_token") == NULL);
    CHECK(json_array_size(json_object_get(special, "additional_special_tokens")) == 2);
    zx_text_source_close(source);
    CHECK(zx_put_file(folder, "tokenizer_config.json",
                      "{\"chat_template\":[{\"name\":\"default\",\"template\":\"D\"},"
                      "{\"name\":\"tool_use\",\"template\":\"T\"}]}"));
    CHECK(zx_text_source_open(folder, &source) == ZMLX_OK);
    CHECK(is_template(source, "default", "D") && is_template(source, "tool_use", "T"));
    zx_text_source_close(source);
    CHECK(zx_put_file(folder, "chat_template.jinja", "from the file"));
    CHECK(zx_text_source_open(folder, &source) == ZMLX_OK);
    CHECK(is_template(source, "default", "from the file") && is_template(source, "tool_use", "T"));
    zx_text_source_close(source);
    CHECK(zx_put_file(folder, "tokenizer_config.json", "{\"chat_template\":7}"));
    CHECK(zx_text_source_open(folder, &source) == ZMLX_ERROR_FORMAT);
    CHECK(says("/tokenizer_config.json: 'chat_template' is no string and no list of"));
    CHECK(zx_text_source_open(zx_in_folder(folder, "none"), &source) == ZMLX_ERROR_IO);
    CHECK(says("/none: cannot open it"));
}

TEST(text_source_reads_folders)
{
    zx_with_folder(reads_folder);
}

static void reads_gguf(const char *folder)
{
    static const int32_t five[5] = {1, 1, 1, 1, 1};
    uint8_t types[12 + sizeof five] = {ZX_GGUF_I32, 0, 0, 0, 5};
    memcpy(types + 12, five, sizeof five);
    zx_gguf_maker maker = {0};
    zx_text_source *source = NULL;
    zx_tokenizer *tokenizer = NULL;
    const char *path = zx_in_folder(folder, "model.gguf");
    CHECK(zx_make_llama(&maker, NULL) && zx_make_string(&maker, "tokenizer.chat_template", "D") &&
          zx_make_string(&maker, "tokenizer.chat_template.tool_use", "T") && zx_make_file(&maker));
    CHECK(zx_write_text(path, maker.file.bytes, maker.file.length));
    CHECK(zx_text_source_open(path, &source) == ZMLX_OK);
    CHECK(is_template(source, "default", "D") && is_template(source, "tool_use", "T"));
    CHECK(is_token(source, "bos_token", "<s>") && is_token(source, "eos_token", "</s>"));
    zx_text_source_close(source);
    CHECK(zx_make_value(&maker, "tokenizer.ggml.token_type", ZX_GGUF_ARRAY, types, sizeof types) &&
          zx_make_file(&maker));
    CHECK(zx_write_text(path, maker.file.bytes, maker.file.length));
    CHECK(zx_text_source_open(path, &source) == ZMLX_OK);
    CHECK(zx_text_source_tokenizer(source, &tokenizer) == ZMLX_ERROR_FORMAT);
    CHECK(says("'tokenizer.ggml.token_type' has not one element for each of the 6 tokens"));
    zx_text_source_close(source);
    zx_gguf_maker_fini(&maker);
    static const char *const missing[] = {"tokenizer.ggml.model", "tokenizer.ggml.tokens"};
    for (int i = 0; i < 2; i++) {
        char message[64];
        CHECK(zx_make_llama(&maker, missing[i]));
        CHECK(zx_write_text(path, maker.file.bytes, maker.file.length));
        CHECK(zx_text_source_open(path, &source) == ZMLX_OK);
        CHECK(zx_text_source_tokenizer(source, &tokenizer) == ZMLX_ERROR_FORMAT);
        (void)snprintf(message, sizeof message, "metadata key '%s' is missing", missing[i]);
        CHECK(says(message));
        zx_text_source_close(source);
        zx_gguf_maker_fini(&maker);
    }
}

TEST(text_source_reads_gguf)
{
    zx_with_folder(reads_gguf);
}
