/* gguf_to_json_test.c - vocabularies of words and of SentencePiece's Unigram: a tokenizer.json made
 * of GGUF's metadata must give the ids that the metadata gives. */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/test.h"
#include "text/build.h"
#include "text/testdata.h"

#define BLOCK "\xE2\x96\x81"

typedef struct pair {
    zx_tokenizer *gguf, *json;
} pair;

static void close_pair(pair *p)
{
    zx_tokenizer_close(p->gguf);
    zx_tokenizer_close(p->json);
    *p = (pair){0};
}

static zmlx_status open_pair(const zx_gguf_vocabulary *vocabulary, pair *p)
{
    zx_text json = {0};
    *p = (pair){0};
    zmlx_status status = zx_tokenizer_open_gguf(vocabulary, &p->gguf);
    if (status == ZMLX_OK) status = zx_gguf_to_tokenizer_json(vocabulary, &json);
    if (status == ZMLX_OK)
        status = zx_tokenizer_open_json_bytes("made", json.bytes, json.length, &p->json);
    zx_text_fini(&json);
    return status;
}

/* The same ids, and text, from both; true too where memory ran out. */
static bool alike(const pair *p, const char *text, size_t length)
{
    zx_ids ids[2] = {{0}};
    zx_text texts[2] = {{0}};
    const zx_tokenizer *const both[] = {p->gguf, p->json};
    zmlx_status status = ZMLX_OK;
    for (size_t i = 0; i < 2 && status == ZMLX_OK; i++) {
        status = zx_tokenizer_encode(both[i], text, length, true, &ids[i]);
        if (status == ZMLX_OK)
            status = zx_tokenizer_decode(both[i], ids[0].items, ids[0].count, true, &texts[i]);
    }
    const bool same =
        ids[0].count == ids[1].count && texts[0].length == texts[1].length &&
        (ids[0].count == 0 ||
         memcmp(ids[0].items, ids[1].items, ids[0].count * sizeof *ids[0].items) == 0) &&
        (texts[0].length == 0 || memcmp(texts[0].bytes, texts[1].bytes, texts[0].length) == 0);
    for (size_t i = 0; i < 2; i++) {
        zx_ids_fini(&ids[i]);
        zx_text_fini(&texts[i]);
    }
    if (!same && status == ZMLX_OK)
        (void)printf("  '%.*s': '%.*s'\n", (int)length, text, (int)length, text);
    return status == ZMLX_ERROR_MEMORY || (status == ZMLX_OK && same);
}

/* The same text of ids; true too where memory ran out. */
static bool alike_decoded(const pair *p, const int32_t *ids, size_t count)
{
    zx_text texts[2] = {{0}};
    zmlx_status status = zx_tokenizer_decode(p->gguf, ids, count, false, &texts[0]);
    if (status == ZMLX_OK) status = zx_tokenizer_decode(p->json, ids, count, false, &texts[1]);
    const bool same = texts[0].length == texts[1].length && texts[0].length > 0 &&
                      memcmp(texts[0].bytes, texts[1].bytes, texts[0].length) == 0;
    zx_text_fini(&texts[0]);
    zx_text_fini(&texts[1]);
    return same || status == ZMLX_ERROR_MEMORY;
}

/* Texts of the letters, drawn from the test's seed. */
static bool alike_on_texts(const pair *p, const char *const *letters, size_t count)
{
    for (size_t round = 0; round < 400; round++) {
        char text[128];
        size_t length = 0;
        for (size_t left = zx_test_random() % 12; left > 0; left--) {
            const char *letter = letters[zx_test_random() % count];
            const size_t bytes = strlen(letter);
            memcpy(text + length, letter, bytes);
            length += bytes;
        }
        if (!alike(p, text, length)) return false;
    }
    return true;
}

/* -------- SentencePiece's Unigram -------- */

static void put_word(uint8_t *bytes, uint32_t word)
{
    for (int i = 0; i < 4; i++) bytes[i] = (uint8_t)(word >> 8 * i & 0xFF);
}

TEST(gguf_unigram_as_json)
{
    enum { UNITS = 0x400, BYTES = 4 + UNITS * 4 + 2 };
    static const zx_string_view tokens[] = {
        {"<pad>", 5},   {"</s>", 4}, {"<unk>", 5}, {BLOCK, 3},     {"a", 1},
        {BLOCK "a", 4}, {"ab\"", 3}, {"b", 1},     {"b" BLOCK, 4}, {"<own>", 5},
        {"bab", 3},     {"y", 1},    {"<0x41>", 6}};
    static const int32_t types[] = {3, 3, 2, 1, 1, 1, 1, 1, 1, 4, 5, 5, 6};
    static const float scores[] = {0,     0,     0, -2.5F,    -2.1F,    -3.3F, -3.7F,
                                   -2.9F, -4.2F, 0, -1000.0F, -1000.0F, 0};
    static const char *const letters[] = {"a", "b", "\"",   " ",     "  ", "A",
                                          "x", "y", "</s>", "<own>", "\n", "<0x41>"};
    static const int32_t unreached[] = {10, 12, 6};
    static uint8_t map[BYTES]; /* "A" becomes "a": see token_files_test.c */
    memset(map, 0, sizeof map);
    put_word(map, UNITS * 4);
    put_word(map + 4, 0x100 << 10);
    put_word(map + 4 + 4 * (0x100 ^ 'A'), 0x200u << 10 | 1u << 8 | 'A');
    put_word(map + 4 + 4 * (0x100 ^ 'A' ^ 0x200), 1u << 31);
    map[BYTES - 2] = 'a';
    for (unsigned variant = 0; variant < 8; variant++) {
        const zx_gguf_vocabulary vocabulary = {.source = "tiny",
                                               .model = "t5",
                                               .token_count = sizeof tokens / sizeof *tokens,
                                               .tokens = tokens,
                                               .types = types,
                                               .scores = scores,
                                               .bos = -1,
                                               .eos = 1,
                                               .unknown = 2,
                                               .add_eos = true,
                                               .charsmap = variant & 4 ? (char *)map : NULL,
                                               .charsmap_bytes = variant & 4 ? BYTES : 0,
                                               .add_space_prefix = variant & 1,
                                               .remove_extra_whitespaces = (variant & 2) != 0};
        pair p;
        const zmlx_status status = open_pair(&vocabulary, &p);
        const bool good = status == ZMLX_OK &&
                          alike_on_texts(&p, letters, sizeof letters / sizeof *letters) &&
                          alike_decoded(&p, unreached, sizeof unreached / sizeof *unreached);
        close_pair(&p);
        if (status == ZMLX_ERROR_MEMORY) return;
        CHECK(good);
    }
}

/* -------- words -------- */

/* The vocabulary of a tokenizer.json as llama.cpp's converter writes it: words begin with U+2581,
 * other pieces have no prefix. */
static zmlx_status to_gguf(const zx_tokenizer *tokenizer, zx_string_view *tokens, int32_t *types,
                           zx_text *texts)
{
    const zx_vocabulary *const vocabulary = &tokenizer->model.vocabulary;
    for (size_t i = 0; i < vocabulary->size; i++) {
        const zx_string_view token = vocabulary->tokens[i];
        const bool piece = token.length > 2 && memcmp(token.bytes, "##", 2) == 0;
        const bool control = token.length > 2 && token.bytes[0] == '[';
        const size_t first = texts->length;
        zmlx_status status = ZMLX_OK;
        if (!piece && !control) status = zx_text_add_string(texts, BLOCK);
        if (status == ZMLX_OK)
            status = zx_text_add(texts, token.bytes + 2 * piece, token.length - 2 * piece);
        if (status != ZMLX_OK) return status;
        tokens[i] = (zx_string_view){NULL, texts->length - first};
        types[i] = control ? 3 : 1;
    }
    const char *at = texts->bytes;
    for (size_t i = 0; i < vocabulary->size; i++) {
        tokens[i].bytes = at;
        at += tokens[i].length;
    }
    return ZMLX_OK;
}

TEST(gguf_words_of_one_spelling_are_refused)
{
    static const zx_string_view pairs[][2] = {{{"un", 2}, {BLOCK "##un", 7}},
                                              {{"[x]", 3}, {BLOCK "[x]", 6}},
                                              {{BLOCK "##x", 6}, {"x", 1}}};
    static const int32_t kinds[][2] = {{1, 1}, {3, 1}, {1, 1}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        const zx_string_view tokens[] = {{"[UNK]", 5}, pairs[i][0], pairs[i][1]};
        const int32_t types[] = {2, kinds[i][0], kinds[i][1]};
        const zx_gguf_vocabulary vocabulary = {.source = "twice",
                                               .model = "bert",
                                               .token_count = 3,
                                               .tokens = tokens,
                                               .types = types,
                                               .bos = -1,
                                               .eos = -1,
                                               .unknown = 0};
        zx_text json = {0};
        const zmlx_status status = zx_gguf_to_tokenizer_json(&vocabulary, &json);
        zx_text_fini(&json);
        CHECK(status == ZMLX_ERROR_UNSUPPORTED || status == ZMLX_ERROR_MEMORY);
    }
}

typedef struct three {
    pair p;
    const zx_tokenizer *origin;
    size_t seen;
    zx_expectation expected;
} three;

/* As the tokenizer.json that the vocabulary comes from has it. */
static bool check_line(const char *line, size_t length, void *user)
{
    three *const t = user;
    zx_json json;
    zx_ids ids = {0};
    zx_json_init(&json, "expect.jsonl", line, length);
    bool good = zx_expectation_read(&json, &t->expected);
    zx_json_fini(&json);
    const zx_text *const text = &t->expected.text;
    const char *const bytes = text->length > 0 ? text->bytes : "";
    good = good && zx_tokenizer_encode(t->p.json, bytes, text->length, true, &ids) == ZMLX_OK &&
           ids.count == t->expected.id_count;
    for (size_t i = 0; good && i < ids.count; i++) good = ids.items[i] == t->expected.ids[i];
    zx_ids_fini(&ids);
    t->seen++;
    return good && alike(&t->p, bytes, text->length);
}

TEST(gguf_words_as_json)
{
    enum { MOST = 4096 };
    static zx_string_view tokens[MOST];
    static int32_t types[MOST];
    const char *path = zx_testdata_path("tokenizers-small/wordpiece_bert/tokenizer.json");
    zx_tokenizer *origin = NULL;
    zx_text texts = {0}, lines = {0};
    void *memory = NULL;
    CHECK(path != NULL);
    zmlx_status status = zx_tokenizer_open_json(path, &origin);
    if (status == ZMLX_OK && zx_tokenizer_size(origin) > MOST) status = ZMLX_ERROR_SHAPE;
    if (status == ZMLX_OK) status = to_gguf(origin, tokens, types, &texts);
    if (status == ZMLX_OK) status = zx_alloc(sizeof(three), "expectations", &memory);
    three *const t = memory;
    const zx_gguf_vocabulary vocabulary = {.source = "bert",
                                           .model = "bert",
                                           .token_count =
                                               origin != NULL ? zx_tokenizer_size(origin) : 0,
                                           .tokens = tokens,
                                           .types = types,
                                           .bos = -1,
                                           .eos = -1,
                                           .unknown = 1,
                                           .lowercase = true,
                                           .strip_accents = true};
    if (status == ZMLX_OK) status = open_pair(&vocabulary, &t->p);
    path = zx_testdata_path("tokenizers-small/wordpiece_bert/expect.jsonl");
    if (status == ZMLX_OK && path == NULL) status = ZMLX_ERROR_IO;
    if (status == ZMLX_OK) status = zx_file_read(path, 1 << 24, &lines.bytes, &lines.length);
    const bool good = status == ZMLX_OK && zx_testdata_lines(&lines, check_line, t) && t->seen > 10;
    if (t != NULL) {
        zx_expectation_fini(&t->expected);
        close_pair(&t->p);
    }
    zx_free(memory);
    zx_text_fini(&texts);
    zx_text_fini(&lines);
    zx_tokenizer_close(origin);
    CHECK(good || status == ZMLX_ERROR_MEMORY);
}
