/* hostile_test.c - 1 MB of one thing through every kind of part and model: none refuses it, and
 * none takes much more than ten times as long as for a tenth of it. */
#include <string.h>
#include <time.h>

#include "base/test.h"
#include "text/tokenizer.h"

enum { LENGTH = 1000000 };

static const char *const units[] = {
    "a",
    " ",
    "7",
    "!",
    "\n",
    "\u0301",
    "a\u0301",
    "ab",
    "aB1 ",
    "\u4E2D",
    "\U0001F469\u200D",
    "\uAC00",
    "<s",
    "  x",
    "\u1112\u1161",
};

static const char *const normalizers[] = {
    "null",
    "{\"type\":\"NFC\"}",
    "{\"type\":\"NFD\"}",
    "{\"type\":\"NFKC\"}",
    "{\"type\":\"NFKD\"}",
    "{\"type\":\"Lowercase\"}",
    "{\"type\":\"Strip\",\"strip_left\":true,\"strip_right\":true}",
    "{\"type\":\"StripAccents\"}",
    "{\"type\":\"Nmt\"}",
    "{\"type\":\"ByteLevel\"}",
    "{\"type\":\"Prepend\",\"prepend\":\"_\"}",
    "{\"type\":\"Replace\",\"pattern\":{\"String\":\"aa\"},\"content\":\"b\"}",
    "{\"type\":\"Replace\",\"pattern\":{\"Regex\":\" {2,}\"},\"content\":\" \"}",
    "{\"type\":\"BertNormalizer\",\"clean_text\":true,\"lowercase\":true}",
};

static const char *const pre_tokenizers[] = {
    "null",
    "{\"type\":\"ByteLevel\",\"add_prefix_space\":true,\"use_regex\":true}",
    "{\"type\":\"Whitespace\"}",
    "{\"type\":\"WhitespaceSplit\"}",
    "{\"type\":\"BertPreTokenizer\"}",
    "{\"type\":\"Punctuation\",\"behavior\":\"Contiguous\"}",
    "{\"type\":\"Digits\",\"individual_digits\":true}",
    "{\"type\":\"Metaspace\",\"replacement\":\"\u2581\",\"prepend_scheme\":\"always\","
    "\"split\":true}",
    "{\"type\":\"CharDelimiterSplit\",\"delimiter\":\"a\"}",
    "{\"type\":\"UnicodeScripts\"}",
    "{\"type\":\"FixedLength\",\"length\":3}",
    "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"\\\\d{1,3}(?=(?:\\\\d{3})*\\\\b)\"},"
    "\"behavior\":\"Isolated\",\"invert\":false}",
    "{\"type\":\"Split\",\"pattern\":{\"String\":\"ab\"},\"behavior\":\"MergedWithNext\","
    "\"invert\":true}",
};

static const char *const models[] = {
    "{\"type\":\"BPE\",\"unk_token\":\"u\",\"fuse_unk\":true,\"vocab\":{\"u\":0,\"a\":1,\"aa\":2,"
    "\"aaaa\":3,\"b\":4,\"ab\":5,\"abab\":6,\"7\":7,\"77\":8,\" \":9,\"  \":10,\"!\":11},"
    "\"merges\":[\"a a\",\"aa aa\",\"a b\",\"ab ab\",\"7 7\",[\" \",\" \"]]}",
    "{\"type\":\"BPE\",\"continuing_subword_prefix\":\"#\",\"unk_token\":\"u\",\"vocab\":{\"u\":0,"
    "\"a\":1,\"#a\":2,\"aa\":3,\"#aa\":4},\"merges\":[\"a #a\",\"#a #a\"]}",
    "{\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":[[\"u\",0],[\"a\",-1],[\"aaaaaaaaaaaaaaaa\",-2],"
    "[\"aaaa\",-1.5],[\"ab\",-2],[\" \",-1],[\"   \",-1]]}",
    "{\"type\":\"WordPiece\",\"unk_token\":\"u\",\"max_input_chars_per_word\":100,\"vocab\":{"
    "\"u\":0,\"a\":1,\"##a\":2,\"##aa\":3}}",
    "{\"type\":\"WordPiece\",\"unk_token\":\"u\",\"max_input_chars_per_word\":2000000,\"vocab\":{"
    "\"u\":0,\"a\":1,\"##a\":2,\"##aa\":3}}",
    "{\"type\":\"WordLevel\",\"unk_token\":\"u\",\"vocab\":{\"u\":0,\"a\":1}}",
};

static zmlx_status open_parts(const char *normalizer, const char *pre_tokenizer, const char *model,
                              zx_tokenizer **tokenizer)
{
    zx_text json = {0};
    zmlx_status status = zx_text_format(
        &json,
        "{\"version\":\"1.0\",\"added_tokens\":[{\"id\":100,\"content\":\"<s>\",\"special\":true,"
        "\"lstrip\":true,\"rstrip\":true,\"normalized\":true},{\"id\":101,\"content\":\"<<\","
        "\"single_word\":true,\"lstrip\":true}],\"normalizer\":%s,\"pre_tokenizer\":%s,"
        "\"model\":%s}",
        normalizer, pre_tokenizer, model);
    if (status == ZMLX_OK)
        status = zx_tokenizer_open_json_bytes("parts", json.bytes, json.length, tokenizer);
    zx_text_fini(&json);
    return status;
}

static zmlx_status time_of(const zx_tokenizer *tokenizer, const char *bytes, size_t length,
                           double *seconds)
{
    zx_ids ids = {0};
    const clock_t begin = clock(); /* of the processor: other programs do not count */
    const zmlx_status status = zx_tokenizer_encode(tokenizer, bytes, length, true, &ids);
    *seconds = (double)(clock() - begin) / CLOCKS_PER_SEC;
    zx_ids_fini(&ids);
    return status;
}

/* The generous bounds are for other processes on the machine: quadratic time is a hundredfold. */
static void check_parts(const char *normalizer, const char *pre_tokenizer, const char *model)
{
    zx_tokenizer *tokenizer = NULL;
    const zmlx_status opened = open_parts(normalizer, pre_tokenizer, model, &tokenizer);
    if (opened == ZMLX_ERROR_MEMORY) return;
    CHECK_ON(normalizer, opened == ZMLX_OK && tokenizer != NULL);
    zx_text text = {0};
    const char *wrong = NULL;
    zmlx_status status = ZMLX_OK;
    for (size_t i = 0; i < sizeof units / sizeof *units && wrong == NULL; i++) {
        zx_text_clear(&text);
        while (text.length < LENGTH && status == ZMLX_OK)
            status = zx_text_add_string(&text, units[i]);
        double once, tenfold;
        const size_t few = LENGTH / 10 / strlen(units[i]) * strlen(units[i]);
        if (status == ZMLX_OK) status = time_of(tokenizer, text.bytes, few, &once);
        if (status == ZMLX_OK) status = time_of(tokenizer, text.bytes, text.length, &tenfold);
        if (status == ZMLX_ERROR_MEMORY) break;
        if (status != ZMLX_OK || tenfold > 30 * once + 0.2) wrong = units[i];
    }
    zx_text_fini(&text);
    zx_tokenizer_close(tokenizer);
    CHECK_ON(wrong, wrong == NULL);
}

TEST_MARKED(hostile_text_through_normalizers, "slow")
{
    for (size_t i = 0; i < sizeof normalizers / sizeof *normalizers; i++)
        check_parts(normalizers[i], "null", models[0]);
}

TEST_MARKED(hostile_text_through_pre_tokenizers, "slow")
{
    for (size_t i = 0; i < sizeof pre_tokenizers / sizeof *pre_tokenizers; i++)
        check_parts("null", pre_tokenizers[i], models[0]);
}

TEST_MARKED(hostile_text_through_models, "slow")
{
    for (size_t i = 0; i < sizeof models / sizeof *models; i++)
        check_parts("null", "null", models[i]);
}
