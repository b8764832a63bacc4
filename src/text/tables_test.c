/* tables_test.c - what the tokenizers are built on: characters, the byte alphabet, vocabulary,
 * trie, compiled replacements. */
#include <stdio.h>
#include <string.h>

#include "base/test.h"
#include "text/bytemap.h"
#include "text/charsmap.h"
#include "text/trie.h"
#include "text/unicode.h"
#include "text/vocabulary.h"

static const struct {
    const char *name;
    zx_char_class *is;
    uint32_t members[8], others[8]; /* each ends with 0 */
} class_rows[] = {
    {"space",
     zx_is_space,
     {' ', '\t', 0x85, 0xA0, 0x1680, 0x2029, 0x3000},
     {'a', 0x180E, 0x200B, 0x1C, 0xFEFF}},
    {"number", zx_is_number, {'0', 0xB2, 0xBD, 0x2160, 0x0967}, {'a', 0x4E00, '.'}},
    {"punctuation",
     zx_is_punctuation,
     {'!', '$', '~', '_', 0x3002, 0xBF},
     {'a', ' ', 0xA3, 0x20AC}},
    {"mark", zx_is_mark, {0x301, 0x903, 0x20DD}, {'a', 0xB4, 0x2C6}},
    {"nonspacing mark", zx_is_nonspacing_mark, {0x301, 0x93C}, {0x903, 0x20DD, 'a'}},
    {"other", zx_is_other, {1, 0x7F, 0x85, 0xAD, 0x200B, 0xE000}, {'a', ' ', 0x378}},
    {"word",
     zx_is_word,
     {'a', '_', '9', 0xE9, 0x301, 0x200D, 0x24D0, 0x2160},
     {'-', 0xB2, ' ', 0x2460}},
    {"chinese", zx_is_chinese, {0x4E00, 0x3400, 0xF900, 0x20000}, {'a', 0x3042, 0xAC00}},
};

TEST(unicode_classes)
{
    for (size_t i = 0; i < sizeof class_rows / sizeof *class_rows; i++) {
        for (const uint32_t *point = class_rows[i].members;
             point < class_rows[i].members + 8 && *point != 0; point++)
            CHECK_ON(class_rows[i].name, class_rows[i].is(*point));
        for (const uint32_t *point = class_rows[i].others;
             point < class_rows[i].others + 8 && *point != 0; point++)
            CHECK_ON(class_rows[i].name, !class_rows[i].is(*point));
    }
}

TEST(unicode_lower_case)
{
    uint32_t lower[2];
    CHECK(zx_lower('Q', lower) == 1 && lower[0] == 'q');
    CHECK(zx_lower(0x3A3, lower) == 1 && lower[0] == 0x3C3);
    CHECK(zx_lower(0x130, lower) == 2 && lower[0] == 'i' && lower[1] == 0x307);
    CHECK(zx_lower(0x10400, lower) == 1 && lower[0] == 0x10428);
}

/* What is given, what comes out at once, and what in the end. */
static const struct {
    const char *bytes, *open, *closed;
} lossy_rows[] = {
    {"abc", "abc", "abc"},
    {"a\xFFz", "a\uFFFDz", "a\uFFFDz"},
    {"\xE6\xBC", "", "\uFFFD"},
    {"\xE6\xBC\xA2", "\u6F22", "\u6F22"},
    {"\xE6\xBCz", "\uFFFDz", "\uFFFDz"},
    {"\xF0\x9F\x98", "", "\uFFFD"},
    {"\xED\xA0\x80", "\uFFFD\uFFFD\uFFFD", "\uFFFD\uFFFD\uFFFD"},
    {"\xC0\x80", "\uFFFD\uFFFD", "\uFFFD\uFFFD"},
    {"\xF4\x90\x80\x80", "\uFFFD\uFFFD\uFFFD\uFFFD", "\uFFFD\uFFFD\uFFFD\uFFFD"},
    {"\xE0\x80", "\uFFFD\uFFFD", "\uFFFD\uFFFD"},
};

TEST(unicode_damaged_bytes)
{
    for (size_t i = 0; i < sizeof lossy_rows / sizeof *lossy_rows; i++) {
        zx_text open = {0}, closed = {0};
        size_t taken, all;
        const size_t count = strlen(lossy_rows[i].bytes);
        bool good =
            zx_text_add_lossy(&open, lossy_rows[i].bytes, count, false, &taken) == ZMLX_OK &&
            zx_text_add_lossy(&closed, lossy_rows[i].bytes, count, true, &all) == ZMLX_OK;
        good = good && all == count && taken <= count &&
               strcmp(open.length == 0 ? "" : open.bytes, lossy_rows[i].open) == 0 &&
               strcmp(closed.bytes, lossy_rows[i].closed) == 0;
        zx_text_fini(&open);
        zx_text_fini(&closed);
        CHECK_ON(lossy_rows[i].closed, good);
    }
}

TEST(byte_alphabet_is_one_to_one)
{
    int seen[ZX_BYTE_POINTS] = {0};
    for (int byte = 0; byte < 256; byte++) {
        const uint32_t point = zx_byte_to_point((unsigned char)byte);
        CHECK(point < ZX_BYTE_POINTS && seen[point]++ == 0);
        CHECK(zx_point_to_byte(point) == byte);
        char text[2];
        uint32_t back;
        CHECK(zx_byte_write((unsigned char)byte, text) == zx_utf8_next(text, &back));
        CHECK(back == point);
    }
    CHECK(zx_byte_to_point(' ') == 0x120 && zx_byte_to_point('\n') == 0x10A);
    CHECK(zx_point_to_byte(' ') == -1 && zx_point_to_byte(0x4E00) == -1);
}

TEST(vocabulary_grows_and_finds)
{
    enum { COUNT = 5000 };
    static char texts[COUNT][8];
    zx_vocabulary vocabulary = {0};
    bool good = true, added;
    for (uint32_t i = 0; i < COUNT && good; i++) {
        (void)snprintf(texts[i], sizeof texts[i], "t%u", i);
        good =
            zx_vocabulary_add(&vocabulary, texts[i], strlen(texts[i]), i * 2, &added) == ZMLX_OK &&
            added;
    }
    good = good && zx_vocabulary_add(&vocabulary, "t7", 2, 1, &added) == ZMLX_OK && !added;
    zx_string_view views[100];
    int32_t ids[100];
    for (size_t i = 0; i < 100; i++)
        views[i] = (zx_string_view){texts[i * 50], strlen(texts[i * 50])};
    zx_vocabulary_find_many(&vocabulary, views, 100, ids);
    for (size_t i = 0; i < 100 && good; i++)
        good = ids[i] == (int32_t)(i * 100) &&
               zx_vocabulary_find(&vocabulary, views[i].bytes, views[i].length) == ids[i];
    good = good && zx_vocabulary_find(&vocabulary, "t7", 2) == 14 &&
           zx_vocabulary_find(&vocabulary, "x", 1) == -1 && vocabulary.count == COUNT &&
           vocabulary.size == COUNT * 2 - 1 && vocabulary.tokens[3].bytes == NULL &&
           !vocabulary.repeats;
    good = good && zx_vocabulary_add_over(&vocabulary, "new", 3, 3) == ZMLX_OK &&
           !vocabulary.repeats && zx_vocabulary_find(&vocabulary, "new", 3) == 3 &&
           zx_vocabulary_add_over(&vocabulary, "t7", 2, 5) == ZMLX_OK && vocabulary.repeats &&
           zx_vocabulary_find(&vocabulary, "t7", 2) == 5 && vocabulary.count == COUNT + 2 &&
           vocabulary.tokens[14].length == 2;
    vocabulary.source = "far.json";
    vocabulary.file_bytes = 100000;
    const zmlx_status near = zx_vocabulary_add(&vocabulary, "near", 4, (1U << 18) + 100000, &added);
    const zmlx_status far = zx_vocabulary_add(&vocabulary, "far", 3, (1U << 18) + 100001, &added);
    const bool named = strstr(zmlx_error_message(), "far.json: token id ") != NULL;
    zx_vocabulary_fini(&vocabulary);
    CHECK(good);
    CHECK(near == ZMLX_OK && far == ZMLX_ERROR_FORMAT);
    CHECK(named);
    CHECK(zx_vocabulary_find(&vocabulary, "t7", 2) == -1);
}

TEST(trie_finds_the_longest)
{
    static const char *const texts[] = {"a", "ab", "abcd", "b", "\xFF"};
    zx_trie trie = {0};
    size_t length = 0;
    bool good = true;
    for (int32_t i = 0; i < 5 && good; i++)
        good = zx_trie_add(&trie, texts[i], strlen(texts[i]), i, false) == ZMLX_OK;
    good = good && zx_trie_add(&trie, "ab", 2, 9, false) == ZMLX_OK;
    const int32_t ab = zx_trie_longest(&trie, "abcx", 4, &length);
    const size_t ab_length = length;
    const int32_t whole = zx_trie_longest(&trie, "abcde", 5, &length);
    const int32_t none = zx_trie_longest(&trie, "xab", 3, &length);
    good = good && zx_trie_add(&trie, "ab", 2, 9, true) == ZMLX_OK;
    const int32_t replaced = zx_trie_longest(&trie, "ab", 2, &length);
    zx_trie_fini(&trie);
    CHECK(good && ab == 1 && ab_length == 2 && whole == 2 && none == ZX_TRIE_NONE);
    CHECK(replaced == 9);
}

static void put_word(char *bytes, uint32_t word)
{
    for (int i = 0; i < 4; i++) bytes[i] = (char)(word >> 8 * i & 0xFF);
}

/* A map of "A" to "bc": the root's offset is 0x100, that of 'A' 0x200. */
TEST(charsmap_looks_up_what_it_holds)
{
    enum { UNITS = 0x400 };
    static char bytes[4 + UNITS * 4 + 4];
    put_word(bytes, UNITS * 4);
    put_word(bytes + 4, 0x100 << 10);
    put_word(bytes + 4 + 4 * (0x100 ^ 'A'), 0x200u << 10 | 1u << 8 | 'A');
    put_word(bytes + 4 + 4 * (0x100 ^ 'A' ^ 0x200), 1u << 31);
    memcpy(bytes + 4 + UNITS * 4, "bc", 3);
    zx_arena arena = {0};
    zx_charsmap *map = NULL;
    const zmlx_status status = zx_charsmap_read("map", bytes, sizeof bytes, &arena, &map);
    zx_string_view text = {0};
    size_t used = 0;
    const bool found = status == ZMLX_OK && zx_charsmap_longest(map, "AB", 2, &used, &text);
    const bool right = found && used == 1 && text.length == 2 && memcmp(text.bytes, "bc", 2) == 0;
    const bool other = status == ZMLX_OK && zx_charsmap_longest(map, "BA", 2, &used, &text);
    const zmlx_status cut = zx_charsmap_read("map", bytes, 100, &arena, &map);
    zx_arena_reset(&arena);
    CHECK(right && !other);
    CHECK(cut == ZMLX_ERROR_FORMAT);
}

TEST(base64_is_read_with_and_without_padding)
{
    static const struct {
        const char *text, *bytes;
    } rows[] = {{"", ""},       {"YQ==", "a"},   {"YQ", "a"},
                {"YWI=", "ab"}, {"YWJj", "abc"}, {"8J+YgA==", "\U0001F600"}};
    char out[16];
    size_t count;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const zmlx_status status =
            zx_base64_decode("row", rows[i].text, strlen(rows[i].text), out, &count);
        CHECK_ON(rows[i].text, status == ZMLX_OK && count == strlen(rows[i].bytes));
        CHECK_ON(rows[i].text, memcmp(out, rows[i].bytes, count) == 0);
    }
    CHECK(zx_base64_decode("row", "a-", 2, out, &count) == ZMLX_ERROR_FORMAT);
}
