/* regex_test.c - Oniguruma's patterns give Oniguruma's matches; no text takes forever. */
#include <string.h>

#include "base/clock.h"
#include "base/fail.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/test.h"
#include "text/gguf_splits.h"
#include "text/regex.h"
#include "text/unicode.h"

static const char sample[] = "1234567aaab\n\nbcd\u6F22\u30FC\u5B57 a\013x\u180E\u3000A\u00B2\n";

/* The matches in the sample, joined by '|'. */
static const struct {
    const char *pattern, *matches;
} rows[] = {
    {"\\p{N}{1,3}+", "1234567|\u00B2"},
    {"a{,2}b", "aab|b"},
    {"\\h+", "1234567aaab|bcd|a|A"},
    {"[a-z&&[^aeiou]]+", "b|bcd|x"},
    {"\\p{Han}+", "\u6F22|\u5B57"},
    {"\\p{Uppercase_Letter}", "A"},
    {"(?m:.)+", "1234567aaab\n\nbcd\u6F22\u30FC\u5B57 a\013x\u180E\u3000A\u00B2\n"},
    {"^b", "b"},
    {"\\v", "\013"},
    {"\\u0061", "a|a|a|a"},
    {"\\x{6f22}", "\u6F22"},
    {"\\p{^L}+", "1234567|\n\n| |\013|\u180E\u3000|\u00B2\n"},
    {"\\p{Alpha}+", "aaab|bcd\u6F22\u30FC\u5B57|a|x|A"},
    {"[[^a]b]+", "1234567|b\n\nbcd\u6F22\u30FC\u5B57 |\013x\u180E\u3000A\u00B2\n"},
    {"\\s+", "\n\n| |\013|\u3000|\n"},
    {"\\w+", "1234567aaab|bcd\u6F22\u30FC\u5B57|a|x|A\u00B2"},
    {"[\\w]+", "1234567aaab|bcd\u6F22\u30FC\u5B57|a|x|A"},
    {"\\bx", "x"},
    {"[[:punct:]]", ""},
    {"[^\\S\\n]", " |\013|\u3000"},
    {"[^\\W\\d]+", "aaab|bcd\u6F22\u30FC\u5B57|a|x|A"},
    {"a{2}?", "aa"},
    {"(?i:A)", "a|a|a|a|A"},
    {"\\O",
     "1|2|3|4|5|6|7|a|a|a|b|\n|\n|b|c|d|\u6F22|\u30FC|\u5B57| |a|\013|x|\u180E|\u3000|A|\u00B2|\n"},
    {"[]a]", "a|a|a|a"},
};

static zmlx_status join_matches(const zx_regex *regex, const char *text, size_t length,
                                zx_text *joined)
{
    zx_matcher matcher = {0};
    zx_matches matches;
    zx_matches_start(&matches, regex, &matcher, text, length);
    zmlx_status status = ZMLX_OK;
    for (size_t count = 0; status == ZMLX_OK; count++) {
        bool found;
        size_t start, end;
        status = zx_matches_next(&matches, &found, &start, &end);
        if (status != ZMLX_OK || !found) break;
        if (start == end) continue;
        if (joined->length > 0) status = zx_text_add(joined, "|", 1);
        if (status == ZMLX_OK) status = zx_text_add(joined, text + start, end - start);
    }
    zx_matcher_fini(&matcher);
    return status;
}

TEST(regex_matches_as_oniguruma)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        zx_regex *regex = NULL;
        zx_text joined = {0};
        const bool good =
            zx_regex_compile("row", rows[i].pattern, strlen(rows[i].pattern), false, &regex) ==
                ZMLX_OK &&
            join_matches(regex, sample, sizeof sample - 1, &joined) == ZMLX_OK &&
            joined.length == strlen(rows[i].matches) &&
            (joined.length == 0 || memcmp(joined.bytes, rows[i].matches, joined.length) == 0);
        zx_regex_free(regex);
        zx_text_fini(&joined);
        CHECK_ON(rows[i].pattern, good);
    }
}

TEST(regex_literals_and_empty_matches)
{
    zx_regex *literal = NULL, *empty = NULL;
    zx_text joined = {0};
    bool good = zx_regex_compile("row", "a.b", 3, true, &literal) == ZMLX_OK &&
                join_matches(literal, "a.ba-ba.b", 9, &joined) == ZMLX_OK && joined.length == 7 &&
                memcmp(joined.bytes, "a.b|a.b", 7) == 0;
    zx_regex_free(literal);
    CHECK(good);
    /* An empty match right behind the last match does not count. */
    zx_matcher matcher = {0};
    zx_matches matches;
    size_t ends[8], count = 0;
    bool found = true;
    good = zx_regex_compile("row", "x*", 2, false, &empty) == ZMLX_OK;
    zx_matches_start(&matches, empty, &matcher, "axxb", 4);
    for (size_t start; good && found && count < 8; count += found)
        good = zx_matches_next(&matches, &found, &start, &ends[count]) == ZMLX_OK;
    zx_matcher_fini(&matcher);
    zx_regex_free(empty);
    zx_text_fini(&joined);
    CHECK(good && count == 3 && ends[0] == 0 && ends[1] == 3 && ends[2] == 4);
}

static const char *const refused[] = {"(",    "[a",  "\\", "(?~a)", "\\p{NoSuchScript}",
                                      "\\pL", "a\\y"};

TEST(regex_refuses_what_it_does_not_know)
{
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        zx_regex *regex = NULL;
        const zmlx_status status =
            zx_regex_compile("row", refused[i], strlen(refused[i]), false, &regex);
        zx_regex_free(regex);
        CHECK_ON(refused[i], status == ZMLX_ERROR_UNSUPPORTED);
    }
}

/* Looks to the end of the digits at every place: quadratic if it were let run. */
TEST(regex_gives_up_on_hard_text)
{
    enum { LENGTH = 1 << 20 };
    static const char pattern[] = "(?:\\d{1,3})(?=(?:\\d{3})*\\b)";
    void *memory = NULL;
    zx_regex *regex = NULL;
    zx_text joined = {0};
    CHECK(zx_alloc(LENGTH, "digits", &memory) == ZMLX_OK);
    memset(memory, '7', LENGTH);
    zmlx_status status = zx_regex_compile("row", pattern, sizeof pattern - 1, false, &regex);
    if (status == ZMLX_OK) status = join_matches(regex, memory, LENGTH, &joined);
    zx_regex_free(regex);
    zx_text_fini(&joined);
    zx_free(memory);
    CHECK(status == ZMLX_ERROR_ARGUMENT);
}

/* All matches, empty ones too, as a hash; a pattern in parentheses has no scanner. */
static zmlx_status hash_matches(const char *pattern, const char *text, size_t length,
                                uint64_t *hash)
{
    zx_regex *regex = NULL;
    ZX_TRY(zx_regex_compile("row", pattern, strlen(pattern), false, &regex));
    zx_matcher matcher = {0};
    zx_matches matches;
    zx_matches_start(&matches, regex, &matcher, text, length);
    zmlx_status status = ZMLX_OK;
    *hash = 1;
    for (bool found = true; found && status == ZMLX_OK;) {
        size_t range[2] = {0};
        status = zx_matches_next(&matches, &found, &range[0], &range[1]);
        if (found) *hash = zx_hash(range, sizeof range, *hash);
    }
    zx_matcher_fini(&matcher);
    zx_regex_free(regex);
    return status;
}

TEST(regex_scanners_find_what_the_patterns_find)
{
    static const char *const units[] = {"1", "22",     "333",     "a",         " ",
                                        ".", "\u0662", "\u00B2",  "\u200D",    "\u0301",
                                        "_", "\n",     "4444444", "\U0001D7D8"};
    static const char *const pairs[][2] = {
        {"\\d{1,3}(?=(?:\\d{3})*\\b)", "(?:\\d{1,3}(?=(?:\\d{3})*\\b))"},
        {"\\p{Nd}{1,3}(?=(?:\\p{Nd}{3})*(?!\\p{Nd}))",
         "(?:\\p{Nd}{1,3}(?=(?:\\p{Nd}{3})*(?!\\p{Nd})))"},
        {"(?=(\\d{3})+(?!\\d))", "(?:(?=(\\d{3})+(?!\\d)))"},
    };
    uint64_t state = 1;
    for (int round = 0; round < 400; round++) {
        zx_text text = {0};
        for (int i = 0; i < round % 40; i++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            const size_t pick = (size_t)(state >> 33) % (sizeof units / sizeof *units);
            if (zx_text_add_string(&text, units[(state >> 62) == 0 ? pick : pick % 3]) != ZMLX_OK)
                break;
        }
        bool alike = true;
        for (size_t i = 0; i < sizeof pairs / sizeof *pairs && text.length > 0 && alike; i++) {
            uint64_t ours = 0, theirs = 0;
            alike = hash_matches(pairs[i][0], text.bytes, text.length, &ours) == ZMLX_OK &&
                    hash_matches(pairs[i][1], text.bytes, text.length, &theirs) == ZMLX_OK &&
                    ours == theirs;
        }
        zx_text_fini(&text);
        CHECK(alike);
    }
}

/* Every pattern of a GGUF kind over 1 MB of one thing: none gives up, and none looks so far ahead
 * that ten times the text takes much more than ten times as long. */
TEST_MARKED(regex_gguf_patterns_take_linear_time, "slow")
{
    enum { LENGTH = 1000000, SHORT = LENGTH / 10 };
    static const char *const units[] = {"a",      "A",       "7",      " ",
                                        "\n",     "\r\n",    "!",      "'",
                                        "\u0301", "aB1 ",    "\u4E2D", "\U0001F469\u200D",
                                        "\u3000", "a\u0301", "  x"};
    zx_text text = {0};
    for (size_t u = 0; u < sizeof units / sizeof *units; u++) {
        zx_text_clear(&text);
        while (text.length < LENGTH)
            if (zx_text_add_string(&text, units[u]) != ZMLX_OK) goto done;
        for (const zx_gguf_split *row = zx_gguf_splits; row->names != NULL; row++) {
            for (size_t i = 0; i < ZX_MAX_SPLITS && row->patterns[i] != NULL; i++) {
                uint64_t hash;
                const size_t few = SHORT / strlen(units[u]) * strlen(units[u]);
                const double begin = zx_seconds();
                const zmlx_status short_status =
                    hash_matches(row->patterns[i], text.bytes, few, &hash);
                const double middle = zx_seconds();
                const zmlx_status status =
                    hash_matches(row->patterns[i], text.bytes, text.length, &hash);
                const double once = middle - begin, tenfold = zx_seconds() - middle;
                if (short_status == ZMLX_ERROR_MEMORY || status == ZMLX_ERROR_MEMORY) goto done;
                CHECK_ON(row->patterns[i], short_status == ZMLX_OK && status == ZMLX_OK);
                CHECK_ON(row->patterns[i], tenfold < 30 * once + 0.2);
            }
        }
    }
done:
    zx_text_fini(&text);
}
