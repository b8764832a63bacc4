/* text_test.c - growing strings; UTF-8 against its definition, for every code point. */
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/test.h"
#include "base/text.h"

TEST(text_grows_and_ends_with_nul)
{
    zx_text text = {0};
    size_t length = 0;
    for (int i = 0; i < 2000; i++) {
        CHECK(zx_text_add(&text, "ab\0c", (size_t)(i % 5)) == ZMLX_OK || i % 5 > 4);
        length += (size_t)(i % 5);
        CHECK(text.length == length && text.bytes[length] == 0);
    }
    CHECK(text.bytes[length - 1] == 'c' && text.bytes[length - 2] == 0);
    const size_t capacity = text.capacity;
    zx_text_clear(&text);
    CHECK(text.length == 0 && text.bytes[0] == 0 && text.capacity == capacity);
    CHECK(zx_text_add_string(&text, "anew") == ZMLX_OK);
    CHECK(strcmp(text.bytes, "anew") == 0);
    zx_text_fini(&text);
    CHECK(text.bytes == NULL && text.capacity == 0);
}

TEST(text_formats_at_the_end)
{
    zx_text text = {0};
    char expected[400] = "";
    for (int i = 0; i < 50; i++) {
        CHECK(zx_text_format(&text, "%d:%s;", i, "x") == ZMLX_OK);
        (void)snprintf(expected + strlen(expected), sizeof expected - strlen(expected), "%d:x;", i);
    }
    CHECK(strcmp(text.bytes, expected) == 0 && text.length == strlen(expected));
    zx_text_fini(&text);
}

/* Where no locale has a comma there is only this one to look at. */
TEST(text_numbers_are_of_no_locale)
{
    static const char *const locales[] = {"C", "de_DE.UTF-8", "de_DE", "fr_FR.UTF-8", "ps_AF"};
    static const struct {
        double number;
        const char *written;
    } rows[] = {
        {-3.5, "-3.5"},
        {0.1, "0.10000000000000001"},
        {1e300, "1.0000000000000001e+300"},
        {12, "12"},
        {-0.0, "-0"},
        {-2.2250738585072014e-308, NULL},
    };
    for (size_t i = 0; i < sizeof locales / sizeof *locales; i++) {
        if (setlocale(LC_NUMERIC, locales[i]) == NULL) continue;
        char written[6][ZX_NUMBER_BYTES];
        for (size_t k = 0; k < 6; k++) zx_number_write(written[k], rows[k].number);
        (void)setlocale(LC_NUMERIC, "C");
        for (size_t k = 0; k < 6; k++)
            CHECK_ON(locales[i], rows[k].written == NULL
                                     ? strtod(written[k], NULL) == rows[k].number
                                     : strcmp(written[k], rows[k].written) == 0);
    }
}

TEST(text_failing_leaves_it_unchanged)
{
    zx_text text = {0};
    CHECK(zx_text_add_string(&text, "kept") == ZMLX_OK);
    char more[1000];
    memset(more, 'y', sizeof more);
    zx_test_fail_allocation(1);
    CHECK(zx_text_add(&text, more, sizeof more) == ZMLX_ERROR_MEMORY);
    zx_test_fail_allocation(1);
    CHECK(zx_text_format(&text, "%1000d", 1) == ZMLX_ERROR_MEMORY);
    CHECK(text.length == 4 && strcmp(text.bytes, "kept") == 0);
    zx_text_fini(&text);
}

TEST(utf8_every_code_point_survives)
{
    for (uint32_t point = 0; point < 0x110200; point++) {
        char bytes[4];
        const size_t length = zx_utf8_encode(point, bytes);
        const bool is_point = point < 0x110000 && (point < 0xd800 || point > 0xdfff);
        if (!is_point) {
            CHECK(length == 0);
            continue;
        }
        uint32_t back = 0;
        const size_t expected = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
        CHECK(length == expected);
        CHECK(zx_utf8_decode(bytes, length, &back) == length && back == point);
        CHECK(zx_utf8_valid(bytes, length));
        CHECK(length == 1 || zx_utf8_decode(bytes, length - 1, &back) == 0);
    }
    CHECK(zx_utf8_encode(UINT32_MAX, (char[4]){0}) == 0);
}

/* All that is well-formed, from the definition: what encodes to exactly these bytes. */
static bool is_shortest_form(const unsigned char *b, size_t count)
{
    static const uint32_t masks[5] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t point = b[0] & masks[count];
    for (size_t i = 1; i < count; i++) {
        if ((b[i] & 0xc0) != 0x80) return false;
        point = point << 6 | (b[i] & 0x3f);
    }
    char bytes[4];
    return zx_utf8_encode(point, bytes) == count && memcmp(bytes, b, count) == 0;
}

TEST(utf8_refuses_what_is_no_shortest_form)
{
    uint32_t point = 0;
    for (unsigned first = 0; first < 0x10000; first++) {
        const unsigned char b[4] = {(unsigned char)(first >> 8), (unsigned char)(first & 0xff),
                                    0x80, 0xbf};
        size_t expected = 0;
        for (size_t count = 1; count <= 4 && expected == 0; count++)
            if (is_shortest_form(b, count)) expected = count;
        CHECK(zx_utf8_decode((const char *)b, 4, &point) == expected);
    }
    CHECK(zx_utf8_decode("", 0, &point) == 0);
    CHECK(zx_utf8_decode("\xe2\x82X", 3, &point) == 0);
    CHECK(zx_utf8_decode("\xf0\x9f\x92\x29", 4, &point) == 0);
}

TEST(utf8_valid_looks_at_every_byte)
{
    char text[40];
    for (size_t length = 1; length < sizeof text; length++) {
        memset(text, 'a', length);
        CHECK(zx_utf8_valid(text, length));
        for (size_t bad = 0; bad < length; bad++) {
            text[bad] = (char)0xff;
            CHECK(!zx_utf8_valid(text, length));
            text[bad] = (char)0xc3;
            CHECK(!zx_utf8_valid(text, length));
            if (bad + 1 < length) {
                text[bad + 1] = (char)0xa9;
                CHECK(zx_utf8_valid(text, length));
                text[bad + 1] = 'a';
            }
            text[bad] = 'a';
        }
    }
    CHECK(zx_utf8_valid("", 0) && zx_utf8_valid("\0", 1));
}

TEST(utf8_incomplete_tail_is_what_could_go_on)
{
    static const struct {
        const char *bytes;
        size_t tail;
    } rows[] = {
        {"", 0},
        {"abc", 0},
        {"a\xc3", 1},
        {"\xc3\xa9", 0},
        {"a\xe2", 1},
        {"a\xe2\x82", 2},
        {"\xe2\x82\xac", 0},
        {"\xf0", 1},
        {"\xf0\x9f", 2},
        {"\xf0\x9f\x98", 3},
        {"\xf0\x9f\x98\x80", 0},
        {"\x98", 0},
        {"\x82\x98\x98\x98", 0},
        {"\xff", 0},
        {"\xc0", 0},
        {"\xe0\x80", 0}, /* overlong: nothing makes it well-formed */
        {"\xed\xa0", 0}, /* a surrogate */
        {"\xf4\x90", 0}, /* past U+10FFFF */
        {"\xf5", 0},
        {"\xe2\x82\xac\xe2\x82", 2},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char subject[24];
        (void)snprintf(subject, sizeof subject, "row %zu", i);
        CHECK_ON(subject,
                 zx_utf8_incomplete_tail(rows[i].bytes, strlen(rows[i].bytes)) == rows[i].tail);
    }
}

TEST(utf8_every_proper_prefix_is_an_incomplete_tail)
{
    for (uint32_t point = 0x80; point < 0x110000; point += 1 + (uint32_t)zx_test_below(50)) {
        char bytes[4];
        const size_t length = zx_utf8_encode(point, bytes);
        for (size_t cut = 1; cut < length; cut++) CHECK(zx_utf8_incomplete_tail(bytes, cut) == cut);
        CHECK(zx_utf8_incomplete_tail(bytes, length) == 0);
    }
}
