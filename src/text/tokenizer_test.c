/* tokenizer_test.c - published and small tokenizer.json files against the ids and texts that the
 * 'tokenizers' library gives for them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/memory.h"
#include "base/test.h"
#include "text/testdata.h"
#include "text/tokenizer.h"

static const char *const published[] = {"llama3", "qwen3", "deepseek_v3", "gemma3"};

static const char *const small[] = {
    "added_tokens_normalized", "bpe_bytelevel",          "bpe_bytelevel_prefix_roberta",
    "bpe_continuing_prefix",   "bpe_end_of_word_suffix", "bpe_metaspace_first",
    "bpe_sentencepiece",       "bpe_split_digits_nfc",   "truncation_padding_in_file",
    "unigram_byte_fallback",   "unigram_metaspace_nfkc", "wordlevel_whitespace",
    "wordpiece_bert",
};

static bool same_ids(const zx_ids *got, const int *expected, size_t count)
{
    if (got->count != count) return false;
    for (size_t i = 0; i < count; i++)
        if (got->items[i] != expected[i]) return false;
    return true;
}

static bool same_text(const zx_text *got, const zx_text *expected)
{
    return got->length == expected->length &&
           (got->length == 0 || memcmp(got->bytes, expected->bytes, got->length) == 0);
}

static bool encodes(const zx_tokenizer *tokenizer, const zx_text *text, bool special,
                    const int *expected, size_t count)
{
    zx_ids ids = {0};
    const bool good =
        zx_tokenizer_encode(tokenizer, text->bytes, text->length, special, &ids) == ZMLX_OK &&
        same_ids(&ids, expected, count);
    zx_ids_fini(&ids);
    return good;
}

/* Decodes as a whole and as a stream, whose output must at every step begin the whole. */
static bool decodes(const zx_tokenizer *tokenizer, const int *ids, size_t count, bool skip,
                    const zx_text *expected)
{
    zx_text whole = {0}, streamed = {0};
    zx_decode_stream *stream = NULL;
    bool good = zx_tokenizer_decode(tokenizer, ids, count, skip, &whole) == ZMLX_OK &&
                same_text(&whole, expected) &&
                zx_decode_stream_create(tokenizer, skip, &stream) == ZMLX_OK;
    for (size_t i = 0; i < count && good; i++)
        good = zx_decode_stream_push(stream, ids[i], &streamed) == ZMLX_OK &&
               streamed.length <= whole.length && zx_utf8_valid(streamed.bytes, streamed.length) &&
               (streamed.length == 0 || memcmp(streamed.bytes, whole.bytes, streamed.length) == 0);
    good = good && zx_decode_stream_finish(stream, &streamed) == ZMLX_OK &&
           same_text(&streamed, &whole);
    zx_decode_stream_destroy(stream);
    zx_text_fini(&whole);
    zx_text_fini(&streamed);
    return good;
}

static bool meets(const zx_tokenizer *tokenizer, const zx_expectation *e)
{
    if (!encodes(tokenizer, &e->text, false, e->ids_no_special, e->id_count_no_special))
        return false;
    if (e->has_ids && !encodes(tokenizer, &e->text, true, e->ids, e->id_count)) return false;
    if (e->has_decoded && !decodes(tokenizer, e->ids, e->id_count, false, &e->decoded))
        return false;
    if (e->has_decoded_no_special && !decodes(tokenizer, e->ids_no_special, e->id_count_no_special,
                                              false, &e->decoded_no_special))
        return false;
    return !e->has_decoded_skip_special ||
           decodes(tokenizer, e->ids, e->id_count, true, &e->decoded_skip_special);
}

typedef struct checking {
    const zx_tokenizer *tokenizer;
    zx_expectation expected;
    size_t seen;
} checking;

static bool check_line(const char *line, size_t length, void *user)
{
    checking *const c = user;
    zx_json json;
    zx_json_init(&json, "expectation", line, length);
    bool good = zx_expectation_read(&json, &c->expected);
    zx_json_fini(&json);
    if (good && c->expected.text_file.length > 0) {
        char name[256];
        (void)snprintf(name, sizeof name, "texts/%s", c->expected.text_file.bytes);
        good = zx_testdata_read(name, &c->expected.text);
    }
    c->seen++;
    if (good && meets(c->tokenizer, &c->expected)) return true;
    (void)printf("  case %zu: %.*s\n", c->seen, (int)(length < 200 ? length : 200), line);
    return false;
}

/* Checks every line of a file. */
static bool check_lines(const zx_tokenizer *tokenizer, const char *name)
{
    zx_text lines = {0};
    void *memory = NULL;
    bool good = zx_alloc(sizeof(checking), "expectations", &memory) == ZMLX_OK;
    checking *const c = memory;
    good = good && zx_testdata_read(name, &lines);
    if (good) {
        c->tokenizer = tokenizer;
        good = zx_testdata_lines(&lines, check_line, c) && c->seen > 0;
    }
    if (c != NULL) zx_expectation_fini(&c->expected);
    zx_free(c);
    zx_text_fini(&lines);
    return good;
}

/* {"01_english.txt": {...}, ...} */
static bool check_texts(const zx_tokenizer *tokenizer, const char *name)
{
    zx_text bytes = {0};
    if (!zx_testdata_read(name, &bytes)) return false;
    void *memory = NULL;
    zx_json json;
    zx_json_init(&json, name, bytes.bytes, bytes.length);
    bool good = zx_alloc(sizeof(checking), "expectations", &memory) == ZMLX_OK;
    checking *const c = memory;
    good = good && zx_json_expect(&json, ZX_JSON_OBJECT) == ZMLX_OK;
    size_t seen = 0;
    for (; good; seen++) {
        char file[256];
        good = zx_json_next(&json) == ZMLX_OK;
        if (!good || json.kind == ZX_JSON_OBJECT_END) break;
        (void)snprintf(file, sizeof file, "texts/%.*s", (int)json.length, json.string);
        good = zx_expectation_read(&json, &c->expected) &&
               zx_testdata_read(file, &c->expected.text) && meets(tokenizer, &c->expected);
        if (!good) (void)printf("  %s\n", file);
    }
    if (c != NULL) zx_expectation_fini(&c->expected);
    zx_free(c);
    zx_json_fini(&json);
    zx_text_fini(&bytes);
    return good && seen > 30;
}

static zx_tokenizer *open_json(const char *name)
{
    zx_text bytes = {0};
    zx_tokenizer *tokenizer = NULL;
    if (!zx_testdata_read(name, &bytes)) return NULL;
    if (zx_tokenizer_open_json_bytes(name, bytes.bytes, bytes.length, &tokenizer) != ZMLX_OK)
        (void)printf("  %s\n", zmlx_error_message());
    zx_text_fini(&bytes);
    return tokenizer;
}

TEST_MARKED(tokenizer_published_vocabularies, "slow")
{
    if (zx_testdata_path("tokenizers") == NULL) SKIP("the shared data is missing");
    for (size_t i = 0; i < sizeof published / sizeof *published; i++) {
        char name[128];
        (void)snprintf(name, sizeof name, "tokenizers/%s/tokenizer.json.xz", published[i]);
        zx_tokenizer *const tokenizer = open_json(name);
        CHECK_ON(published[i], tokenizer != NULL);
        (void)snprintf(name, sizeof name, "tokenizers/%s/expect.json.xz", published[i]);
        const bool texts = check_texts(tokenizer, name);
        (void)snprintf(name, sizeof name, "tokenizers/%s/generated.jsonl.xz", published[i]);
        const bool generated = check_lines(tokenizer, name);
        zx_tokenizer_close(tokenizer);
        CHECK_ON(published[i], texts);
        CHECK_ON(published[i], generated);
    }
}

TEST(tokenizer_small_vocabularies)
{
    for (size_t i = 0; i < sizeof small / sizeof *small; i++) {
        char name[128];
        (void)snprintf(name, sizeof name, "tokenizers-small/%s/tokenizer.json", small[i]);
        zx_tokenizer *const tokenizer = open_json(name);
        CHECK_ON(small[i], tokenizer != NULL);
        (void)snprintf(name, sizeof name, "tokenizers-small/%s/expect.jsonl", small[i]);
        const bool good = check_lines(tokenizer, name);
        zx_tokenizer_close(tokenizer);
        CHECK_ON(small[i], good);
    }
}

/* Every byte of the alphabet as a token, 'a' with itself up to 8 times, and two special tokens. */
static zmlx_status open_tiny(zx_tokenizer **tokenizer)
{
    static const char json[] =
        "{\"version\":\"1.0\",\"added_tokens\":["
        "{\"id\":5,\"content\":\"<s>\",\"special\":true},"
        "{\"id\":6,\"content\":\"<mask>\",\"lstrip\":true,\"rstrip\":true,\"special\":false}],"
        "\"normalizer\":null,"
        "\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":["
        "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"x+\"},\"behavior\":\"Isolated\"}]},"
        "\"decoder\":{\"type\":\"Fuse\"},"
        "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":["
        "{\"SpecialToken\":{\"id\":\"<s>\",\"type_id\":0}},{\"Sequence\":{\"id\":\"A\"}}],"
        "\"special_tokens\":{\"<s>\":{\"id\":\"<s>\",\"ids\":[5],\"tokens\":[\"<s>\"]}}},"
        "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"aa\":1,\"aaaa\":2,\"aaaaaaaa\":3,\"x\":4}"
        ","
        "\"merges\":[\"a a\",[\"aa\",\"aa\"],\"aaaa aaaa\"]}}";
    return zx_tokenizer_open_json_bytes("tiny", json, sizeof json - 1, tokenizer);
}

TEST(tokenizer_short_and_long_pieces_merge_alike)
{
    zx_tokenizer *tokenizer;
    CHECK(open_tiny(&tokenizer) == ZMLX_OK);
    char text[100];
    memset(text, 'a', sizeof text);
    bool good = true;
    for (size_t length = 1; length <= sizeof text && good; length++) {
        zx_ids ids = {0};
        const size_t expected = length / 8 + (length >> 2 & 1) + (length >> 1 & 1) + (length & 1);
        good = zx_tokenizer_encode(tokenizer, text, length, false, &ids) == ZMLX_OK &&
               ids.count == expected &&
               ids.items[expected - 1] == (length & 1   ? 0
                                           : length & 2 ? 1
                                           : length & 4 ? 2
                                                        : 3);
        zx_ids_fini(&ids);
    }
    zx_tokenizer_close(tokenizer);
    CHECK(good);
}

TEST(tokenizer_added_tokens_swallow_spaces)
{
    zx_tokenizer *tokenizer;
    CHECK(open_tiny(&tokenizer) == ZMLX_OK);
    static const char text[] = "aa \t<mask>\n x<s>a";
    static const int expected[] = {5, 1, 6, 4, 5, 0};
    const zx_text view = {.bytes = (char *)(size_t)text, .length = sizeof text - 1};
    const bool good = encodes(tokenizer, &view, true, expected, 6);
    const int32_t mask = zx_tokenizer_find(tokenizer, "<mask>");
    const int32_t none = zx_tokenizer_find(tokenizer, "<none>");
    const size_t size = zx_tokenizer_size(tokenizer);
    zx_tokenizer_close(tokenizer);
    CHECK(good);
    CHECK(mask == 6 && none == -1 && size == 7);
}

/* The format's list of tokens may repeat one: it is the last, new tokens come behind all, and each
 * of its ids is as special as the text. */
TEST(tokenizer_with_a_token_twice)
{
    static const char json[] = "{\"added_tokens\":[{\"content\":\"ab\",\"special\":true},{"
                               "\"content\":\"new\"}],\"model\":{"
                               "\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":[[\"<unk>\",0],[\"ab\","
                               "0],[\"ab\",-1],[\"c\",-1],"
                               "[\"c\",-9]]}}";
    static const int expected[] = {2, 4, 5, 4};
    static const int32_t ids[] = {1, 2, 3, 4};
    static const char text[] = "abcnewc";
    const zx_text given = {.bytes = (char *)(size_t)text, .length = sizeof text - 1};
    zx_tokenizer *tokenizer;
    zx_text all = {0}, some = {0};
    CHECK(zx_tokenizer_open_json_bytes("twice", json, sizeof json - 1, &tokenizer) == ZMLX_OK);
    const bool good = encodes(tokenizer, &given, true, expected, 4) &&
                      zx_tokenizer_decode(tokenizer, ids, 4, false, &all) == ZMLX_OK &&
                      zx_tokenizer_decode(tokenizer, ids, 4, true, &some) == ZMLX_OK &&
                      all.length == 9 && memcmp(all.bytes, "ab ab c c", 9) == 0 &&
                      some.length == 3 && memcmp(some.bytes, "c c", 3) == 0;
    zx_text_fini(&all);
    zx_text_fini(&some);
    zx_tokenizer_close(tokenizer);
    CHECK(good);
}

TEST(tokenizer_refuses_bad_input)
{
    zx_tokenizer *tokenizer;
    CHECK(open_tiny(&tokenizer) == ZMLX_OK);
    zx_ids ids = {0};
    zx_text text = {0};
    const zmlx_status malformed = zx_tokenizer_encode(tokenizer, "a\xFF", 2, false, &ids);
    const int32_t outside[] = {7}, negative[] = {-1};
    const zmlx_status beyond = zx_tokenizer_decode(tokenizer, outside, 1, false, &text);
    const zmlx_status below = zx_tokenizer_decode(tokenizer, negative, 1, false, &text);
    zx_text_fini(&text);
    zx_ids_fini(&ids);
    zx_tokenizer_close(tokenizer);
    CHECK(malformed == ZMLX_ERROR_ARGUMENT);
    CHECK(beyond == ZMLX_ERROR_ARGUMENT && below == ZMLX_ERROR_ARGUMENT);
}

/* Files that must be refused, and how. */
static const struct {
    const char *json;
    zmlx_status status;
} refused[] = {
    {"", ZMLX_ERROR_FORMAT},
    {"{}", ZMLX_ERROR_FORMAT},
    {"{\"version\":\"2.0\"}", ZMLX_ERROR_UNSUPPORTED},
    {"{\"model\":{\"type\":\"BPE\"}}", ZMLX_ERROR_FORMAT},
    {"{\"model\":{\"type\":\"Magic\",\"vocab\":{}}}", ZMLX_ERROR_UNSUPPORTED},
    {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"a\":1},\"merges\":[]}}", ZMLX_ERROR_FORMAT},
    {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[\"a b\"]}}", ZMLX_ERROR_FORMAT},
    {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[\"a\"]}}", ZMLX_ERROR_FORMAT},
    {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":2000000000},\"merges\":[]}}",
     ZMLX_ERROR_FORMAT},
    {"{\"model\":{\"type\":\"Unigram\",\"unk_id\":5,\"vocab\":[[\"a\",0.5]]}}", ZMLX_ERROR_FORMAT},
    {"{\"model\":{\"type\":\"WordLevel\",\"vocab\":{}},\"normalizer\":{\"type\":\"Odd\"}}",
     ZMLX_ERROR_UNSUPPORTED},
    {"{\"model\":{\"type\":\"WordLevel\",\"vocab\":{}},\"pre_tokenizer\":{\"type\":\"Split\","
     "\"pattern\":{\"Regex\":\"(\"},\"behavior\":\"Isolated\"}}",
     ZMLX_ERROR_UNSUPPORTED},
    {"{\"model\":{\"type\":\"WordLevel\",\"vocab\":{}},\"post_processor\":{\"type\":"
     "\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"x\"}}],"
     "\"special_tokens\":{}}}",
     ZMLX_ERROR_FORMAT},
};

TEST(tokenizer_refuses_bad_files)
{
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        zx_tokenizer *tokenizer = NULL;
        const zmlx_status status = zx_tokenizer_open_json_bytes(
            "bad", refused[i].json, strlen(refused[i].json), &tokenizer);
        zx_tokenizer_close(tokenizer);
        CHECK_ON(refused[i].json, status == refused[i].status);
    }
}

/* A vocabulary in a GGUF file: just enough of the format for the two published ones. */
typedef struct gguf_file {
    zx_text bytes;
    size_t at;
    zx_gguf_vocabulary vocabulary;
    zx_string_view *tokens, *merges;
    bool failed; /* memory ran out */
} gguf_file;

static uint64_t take_number(gguf_file *file, size_t width)
{
    uint64_t number = 0;
    if (file->bytes.length - file->at < width) return 0;
    memcpy(&number, file->bytes.bytes + file->at, width);
    file->at += width;
    return number;
}

static zx_string_view take_string(gguf_file *file)
{
    size_t length = (size_t)take_number(file, 8);
    if (length > file->bytes.length - file->at) length = file->bytes.length - file->at;
    const zx_string_view view = {file->bytes.bytes + file->at, length};
    file->at += length;
    return view;
}

static zx_string_view *take_strings(gguf_file *file, size_t count)
{
    void *memory = NULL;
    if (zx_alloc_array(count, sizeof(zx_string_view), "strings", &memory) != ZMLX_OK) {
        file->failed = true;
        return NULL;
    }
    zx_string_view *const list = memory;
    for (size_t i = 0; i < count; i++) list[i] = take_string(file);
    return list;
}

static const size_t type_widths[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

static void take_array(gguf_file *file, const char *key)
{
    zx_gguf_vocabulary *const v = &file->vocabulary;
    const size_t type = (size_t)take_number(file, 4), count = (size_t)take_number(file, 8);
    const char *const items = file->bytes.bytes + file->at;
    if (strcmp(key, "tokens") == 0) {
        v->tokens = file->tokens = take_strings(file, count);
        v->token_count = count;
    } else if (strcmp(key, "merges") == 0) {
        v->merges = file->merges = take_strings(file, count);
        v->merge_count = count;
    } else if (type != 8) {
        void *copy = NULL;
        if (zx_alloc_array(count, type_widths[type], "array", &copy) != ZMLX_OK) {
            file->failed = true;
            return;
        }
        memcpy(copy, items, count * type_widths[type]);
        if (strcmp(key, "token_type") == 0)
            v->types = copy;
        else if (strcmp(key, "scores") == 0)
            v->scores = copy;
        else
            zx_free(copy);
        file->at += count * type_widths[type];
    }
}

static void take_value(gguf_file *file, const char *key)
{
    static char model[32], pre[32];
    zx_gguf_vocabulary *const v = &file->vocabulary;
    const size_t type = (size_t)take_number(file, 4);
    if (type == 9) {
        take_array(file, key);
        return;
    }
    if (type == 8) {
        const zx_string_view text = take_string(file);
        char *const place = strcmp(key, "model") == 0 ? model
                            : strcmp(key, "pre") == 0 ? pre
                                                      : NULL;
        if (place == NULL) return;
        (void)snprintf(place, 32, "%.*s", (int)text.length, text.bytes);
        *(place == model ? &v->model : &v->pre) = place;
        return;
    }
    const uint64_t number = take_number(file, type_widths[type]);
    if (strcmp(key, "bos_token_id") == 0) v->bos = (int32_t)number;
    if (strcmp(key, "eos_token_id") == 0) v->eos = (int32_t)number;
    if (strcmp(key, "unknown_token_id") == 0) v->unknown = (int32_t)number;
    if (strcmp(key, "add_bos_token") == 0) v->add_bos = number != 0;
    if (strcmp(key, "add_eos_token") == 0) v->add_eos = number != 0;
    if (strcmp(key, "add_space_prefix") == 0) v->add_space_prefix = number != 0;
}

/* The same by way of a tokenizer.json that is made of the vocabulary. */
static zmlx_status open_as_json(const zx_gguf_vocabulary *vocabulary, zx_tokenizer **tokenizer)
{
    zx_text json = {0};
    zmlx_status status = zx_gguf_to_tokenizer_json(vocabulary, &json);
    if (status == ZMLX_OK)
        status =
            zx_tokenizer_open_json_bytes(vocabulary->source, json.bytes, json.length, tokenizer);
    zx_text_fini(&json);
    return status;
}

static zx_tokenizer *open_gguf(const char *name, bool as_json)
{
    gguf_file file = {0};
    zx_tokenizer *tokenizer = NULL;
    if (!zx_testdata_read(name, &file.bytes)) return NULL;
    file.vocabulary = (zx_gguf_vocabulary){
        .source = name, .bos = -1, .eos = -1, .unknown = -1, .add_space_prefix = true};
    file.at = 16;
    const uint64_t count = take_number(&file, 8);
    for (uint64_t i = 0; i < count && !file.failed; i++) {
        char key[128];
        const zx_string_view text = take_string(&file);
        (void)snprintf(key, sizeof key, "%.*s", (int)text.length, text.bytes);
        const char *const last = strrchr(key, '.');
        take_value(&file, strncmp(key, "tokenizer.ggml.", 15) == 0 ? last + 1 : "");
    }
    zmlx_status status = ZMLX_OK;
    if (!file.failed)
        status = as_json ? open_as_json(&file.vocabulary, &tokenizer)
                         : zx_tokenizer_open_gguf(&file.vocabulary, &tokenizer);
    if (status != ZMLX_OK) (void)printf("  %s\n", zmlx_error_message());
    zx_free(file.tokens);
    zx_free(file.merges);
    zx_free((void *)(size_t)file.vocabulary.types);
    zx_free((void *)(size_t)file.vocabulary.scores);
    zx_text_fini(&file.bytes);
    return tokenizer;
}

/* NAME.inp holds texts between divider lines, NAME.out a line of ids for each. */
static bool check_published_cases(const zx_tokenizer *tokenizer, const char *name)
{
    static const char divider[] = "\n__ggml_vocab_test__\n";
    zx_text texts = {0}, answers = {0};
    char path[128];
    (void)snprintf(path, sizeof path, "%s.inp", name);
    bool good = zx_testdata_read(path, &texts);
    (void)snprintf(path, sizeof path, "%s.out", name);
    good = good && zx_testdata_read(path, &answers);
    const char *at = texts.bytes;
    char *answer = answers.bytes;
    size_t seen = 0;
    while (good && at != NULL) {
        const char *const stop = strstr(at, divider);
        if (stop == NULL) break;
        int expected[1024];
        size_t count = 0;
        char *const line_end = strchr(answer, '\n');
        while (answer < line_end && count < 1024) {
            expected[count++] = (int)strtol(answer, &answer, 10);
            while (*answer == ' ') answer++;
        }
        if (line_end != NULL) answer = line_end + 1;
        const zx_text view = {.bytes = (char *)(size_t)at, .length = (size_t)(stop - at)};
        good = encodes(tokenizer, &view, false, expected, count);
        if (!good) (void)printf("  %.*s\n", (int)view.length, view.bytes);
        at = stop + sizeof divider - 1;
        seen++;
    }
    zx_text_fini(&texts);
    zx_text_fini(&answers);
    return good && seen > 20;
}

static void check_gguf(const char *name, bool as_json)
{
    char path[128];
    if (zx_testdata_path("vocab") == NULL) SKIP("the shared data is missing");
    (void)snprintf(path, sizeof path, "vocab/%s.gguf", name);
    zx_tokenizer *const tokenizer = open_gguf(path, as_json);
    CHECK_ON(name, tokenizer != NULL);
    const bool cases = check_published_cases(tokenizer, path);
    (void)snprintf(path, sizeof path, "vocab/%s.texts.jsonl.xz", name);
    const bool texts = check_lines(tokenizer, path);
    zx_tokenizer_close(tokenizer);
    CHECK_ON(name, cases);
    CHECK_ON(name, texts);
}

TEST(tokenizer_gguf_byte_level)
{
    check_gguf("ggml-vocab-gpt-2", false);
}

TEST(tokenizer_gguf_sentencepiece)
{
    check_gguf("ggml-vocab-llama-spm", false);
}

TEST(tokenizer_gguf_as_json_byte_level)
{
    check_gguf("ggml-vocab-gpt-2", true);
}

TEST(tokenizer_gguf_as_json_sentencepiece)
{
    check_gguf("ggml-vocab-llama-spm", true);
}

static void check_model(const char *folder, bool add_bos)
{
    char name[128];
    (void)snprintf(name, sizeof name, "%s/tokenizer.model", folder);
    const char *const path = zx_testdata_path(name);
    CHECK_ON(folder, path != NULL);
    zx_tokenizer *tokenizer = NULL;
    const zmlx_status status =
        zx_tokenizer_open_model(path, &(zx_tokenizer_options){.add_bos = add_bos}, &tokenizer);
    CHECK_ON(status == ZMLX_OK ? folder : zmlx_error_message(), status == ZMLX_OK);
    (void)snprintf(name, sizeof name, "%s/expect.jsonl", folder);
    const bool good = check_lines(tokenizer, name);
    zx_tokenizer_close(tokenizer);
    CHECK_ON(folder, good);
}

TEST(tokenizer_model_files)
{
    check_model("sentencepiece/unigram", true);
    check_model("sentencepiece/bpe", true);
    check_model("tiktoken/small", false);
}

static void count_notes(zmlx_log_level level, const char *message, void *user)
{
    int *const counts = user;
    counts[0] += level == ZMLX_LOG_INFO && strstr(message, "\"truncation\" is not applied") != NULL;
    counts[1] += level == ZMLX_LOG_INFO && strstr(message, "\"padding\" is not applied") != NULL;
}

TEST(tokenizer_notes_what_it_leaves_alone)
{
    int counts[2] = {0, 0};
    zmlx_set_log(count_notes, counts);
    zx_tokenizer *const noted =
        open_json("tokenizers-small/truncation_padding_in_file/tokenizer.json");
    zx_tokenizer *const plain = open_json("tokenizers-small/bpe_bytelevel/tokenizer.json");
    zmlx_set_log(NULL, NULL);
    const bool opened = noted != NULL && plain != NULL;
    zx_tokenizer_close(noted);
    zx_tokenizer_close(plain);
    CHECK(opened);
    CHECK(counts[0] == 1 && counts[1] == 1);
}
