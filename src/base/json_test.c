/* json_test.c - every event of good documents, a refusal for every bad one, exact numbers. */
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/memory.h"
#include "base/test.h"

/* Reads to the end and writes the events down: "{ k:a n:1 }". */
static zmlx_status trace(const char *bytes, size_t count, zx_text *events)
{
    static const char *const marks[] = {"", "{", "}", "[", "]", "k:", "s:", "n:", "T", "F", "N"};
    zx_json json;
    zx_json_init(&json, "test.json", bytes, count);
    zmlx_status status = ZMLX_OK;
    do {
        status = zx_json_next(&json);
        if (status != ZMLX_OK || json.kind == ZX_JSON_END) break;
        status = zx_text_format(events, "%s%s", events->length > 0 ? " " : "", marks[json.kind]);
        if (status == ZMLX_OK && (json.kind == ZX_JSON_KEY || json.kind == ZX_JSON_STRING))
            status = zx_text_add(events, json.string, json.length);
        if (status == ZMLX_OK && json.kind == ZX_JSON_NUMBER)
            status = zx_text_format(events, "%.17g", json.number);
    } while (status == ZMLX_OK);
    zx_json_fini(&json);
    return status;
}

typedef struct good_row {
    const char *text, *events;
} good_row;

static const good_row good[] = {
    {"{}", "{ }"},
    {" [ ] ", "[ ]"},
    {"\t\r\n0\n", "n:0"},
    {"\"\"", "s:"},
    {"true", "T"},
    {"[true,false,null]", "[ T F N ]"},
    {"{\"a\":1,\"b\":[2,{\"c\":\"d\"}],\"e\":{}}", "{ k:a n:1 k:b [ n:2 { k:c s:d } ] k:e { } }"},
    {"{ \"a\" : 1 , \"a\" : 2 }", "{ k:a n:1 k:a n:2 }"},
    {"[[],[[]],{}]", "[ [ ] [ [ ] ] { } ]"},
    {"[1,-2,0,-0,3.5,-4.25e2,5E-1,6e+1]", "[ n:1 n:-2 n:0 n:-0 n:3.5 n:-425 n:0.5 n:60 ]"},
    {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "s:\"\\/\b\f\n\r\t"},
    {"\"\\u0041\\u00e9\\u20AC\\ud83d\\uDE00!\"", "s:A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80!"},
    {"\"plain \xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"",
     "s:plain \xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"},
    {"\"\\uFFFF\\ud7ff\\ue000\"", "s:\xef\xbf\xbf\xed\x9f\xbf\xee\x80\x80"},
    {"{\"\\n\":\"\x7f\"}", "{ k:\n s:\x7f }"},
};

TEST(json_good_documents_give_their_events)
{
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        zx_text events = {0};
        CHECK_ON(good[i].text, trace(good[i].text, strlen(good[i].text), &events) == ZMLX_OK);
        CHECK_ON(good[i].text, strcmp(events.bytes, good[i].events) == 0);
        zx_text_fini(&events);
    }
}

typedef struct bad_row {
    const char *text;
    int at; /* the byte that the message names */
} bad_row;

static const bad_row bad[] = {
    {"", 0},
    {"  ", 2},
    {"[", 1},
    {"]", 0},
    {"{", 1},
    {"}", 0},
    {"[1,]", 3},
    {"[,1]", 1},
    {"[1 2]", 3},
    {"{\"a\":1,}", 7},
    {"{\"a\"}", 4},
    {"{\"a\" 1}", 5},
    {"{a:1}", 1},
    {"{1:1}", 1},
    {"{\"a\":}", 5},
    {"{\"a\":1", 6},
    {"[1", 2},
    {"[}", 1},
    {"{]", 1},
    {"{\"a\":1]", 6},
    {"[1}", 2},
    {"{,}", 1},
    {"1 2", 2},
    {"{} x", 3},
    {"[]]", 2},
    {"tru", 0},
    {"True", 0},
    {"nulll", 4},
    {"nan", 0},
    {"NaN", 0},
    {"Infinity", 0},
    {"-Infinity", 1},
    {"01", 1},
    {"-", 1},
    {"-01", 2},
    {"+1", 0},
    {".5", 0},
    {"1.", 2},
    {"1.e1", 2},
    {"1e", 2},
    {"1e+", 3},
    {"0x10", 1},
    {"1e999", 0},
    {"[-1e400]", 1},
    {"'a'", 0},
    {"\"a", 2},
    {"\"", 1},
    {"\"\\", 1},
    {"\"\\\"", 3},
    {"\"\\x\"", 1},
    {"\"a\nb\"", 2},
    {"\"\t\"", 1},
    {"\"\x1f\"", 1},
    {"\"\\u12\"", 1},
    {"\"\\u12g4\"", 1},
    {"\"\\ud800\"", 1},
    {"\"\\udc00\"", 1},
    {"\"\\ud800\\u0041\"", 1},
    {"\"\\ud800x\"", 1},
    {"\"\\ud800\\ud800\"", 1},
    {"\"\\ud800\\\"", 1},
    {"\"\x80\"", 1},
    {"\"ab\xc3\"", 3},
    {"\"\xc0\x80\"", 1},
    {"\"\xed\xa0\x80\"", 1},
    {"\"\xf5\x80\x80\x80\"", 1},
    {"\"12345678\xff\"", 9},
    {"\"1234567\x01\"", 8},
    {"\"\xe2\x82", 1},
    {"\xef\xbb\xbf{}", 0},
    {"[1]//", 3},
    {"/**/1", 0},
    {"\x0c"
     "1",
     0},
};

TEST(json_bad_documents_are_refused_at_the_byte)
{
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        zx_text events = {0};
        char place[64];
        (void)snprintf(place, sizeof place, "test.json: byte %d: ", bad[i].at);
        const zmlx_status status = trace(bad[i].text, strlen(bad[i].text), &events);
        zx_text_fini(&events);
        CHECK_ON(bad[i].text, status == ZMLX_ERROR_FORMAT);
        CHECK_ON(bad[i].text, strncmp(zmlx_error_message(), place, strlen(place)) == 0);
    }
}

TEST(json_every_prefix_of_a_document_is_refused)
{
    static const char whole[] =
        "{\"key \\u00e9\":[1.5e3,true,false,null,\"\xe2\x82\xac\\ud83d\\ude00\"],\"b\":{}}";
    for (size_t length = 0; length < sizeof whole - 1; length++) {
        /* A block of exactly this size, so that the address sanitizer sees a byte too many. */
        void *memory = NULL;
        zx_text events = {0};
        CHECK(zx_alloc(length, "prefix", &memory) == ZMLX_OK);
        memcpy(memory, whole, length);
        const zmlx_status status = trace(memory, length, &events);
        zx_text_fini(&events);
        zx_free(memory);
        CHECK(status == ZMLX_ERROR_FORMAT);
    }
    zx_text events = {0};
    CHECK(trace(whole, sizeof whole - 1, &events) == ZMLX_OK);
    zx_text_fini(&events);
}

TEST(json_spoilt_documents_never_break_it)
{
    static const char whole[] =
        "{\"a\\n\":[1.5e3,-12,true,null,\"\xe2\x82\xac\\ud83d\\ude00\"],\"b\":{\"c\":[[],\"x\"]}}";
    static const char pool[] = "{}[]\",:\\u0123456789eE+-. \n\x01\x7f\x80\xc3\xe2\xf0\xff"
                               "dtfn";
    size_t refused = 0;
    for (int i = 0; i < 20000; i++) {
        char text[sizeof whole];
        memcpy(text, whole, sizeof whole);
        const size_t changes = 1 + zx_test_below(4);
        for (size_t j = 0; j < changes; j++)
            text[zx_test_below(sizeof whole - 1)] = pool[zx_test_below(sizeof pool)];
        zx_text events = {0};
        refused += trace(text, zx_test_below(sizeof whole), &events) != ZMLX_OK;
        zx_text_fini(&events);
    }
    CHECK(refused > 15000);
}

TEST(json_depth_is_bounded)
{
    char text[2 * ZX_JSON_MAX_DEPTH + 2];
    for (size_t depth = ZX_JSON_MAX_DEPTH; depth <= ZX_JSON_MAX_DEPTH + 1; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        zx_text events = {0};
        const zmlx_status status = trace(text, 2 * depth, &events);
        zx_text_fini(&events);
        CHECK(status == (depth > ZX_JSON_MAX_DEPTH ? ZMLX_ERROR_FORMAT : ZMLX_OK));
    }
    CHECK(strstr(zmlx_error_message(), "nested") != NULL);
}

TEST(json_strings_may_hold_nul_and_lie_in_place)
{
    static const char text[] = "[\"a\\u0000b\",\"plain\",\"a\\n\"]";
    zx_json json;
    zx_json_init(&json, "test.json", text, sizeof text - 1);
    CHECK(zx_json_expect(&json, ZX_JSON_ARRAY) == ZMLX_OK);
    CHECK(zx_json_expect(&json, ZX_JSON_STRING) == ZMLX_OK);
    CHECK(json.length == 3 && memcmp(json.string, "a\0b", 3) == 0 && !json.in_place);
    CHECK(!zx_json_is(&json, "a"));
    CHECK(zx_json_expect(&json, ZX_JSON_STRING) == ZMLX_OK);
    CHECK(zx_json_is(&json, "plain") && json.in_place);
    CHECK(json.string >= text && json.string < text + sizeof text);
    CHECK(zx_json_expect(&json, ZX_JSON_STRING) == ZMLX_OK);
    CHECK(zx_json_is(&json, "a\n") && !zx_json_is(&json, "a\nb") && !json.in_place);
    CHECK(zx_json_expect(&json, ZX_JSON_ARRAY_END) == ZMLX_OK);
    CHECK(zx_json_expect(&json, ZX_JSON_END) == ZMLX_OK);
    CHECK(zx_json_next(&json) == ZMLX_OK && json.kind == ZX_JSON_END);
    zx_json_fini(&json);
}

TEST(json_special_bytes_are_found_at_every_place)
{
    /* The scan looks at eight bytes at a time: each special byte at each place among each
     * other byte. */
    for (size_t at = 0; at < 20; at++)
        for (unsigned other = 0x20; other < 0x80; other++) {
            if (other == '"' || other == '\\') continue;
            char text[32];
            zx_text events = {0};
            memset(text, (int)other, sizeof text);
            text[0] = '"';
            text[1 + at] = '"';
            CHECK(trace(text, at + 2, &events) == ZMLX_OK && events.length == at + 2);
            zx_text_clear(&events);
            text[1 + at] = '\\', text[2 + at] = 'n', text[3 + at] = '"';
            CHECK(trace(text, at + 4, &events) == ZMLX_OK && events.length == at + 3);
            text[1 + at] = 0x1f;
            CHECK(trace(text, at + 4, &events) == ZMLX_ERROR_FORMAT);
            text[1 + at] = (char)0x80;
            CHECK(trace(text, at + 4, &events) == ZMLX_ERROR_FORMAT);
            zx_text_fini(&events);
        }
}

typedef struct integer_row {
    const char *text;
    bool is_integer;
    int64_t integer;
} integer_row;

static const integer_row integers[] = {
    {"0", true, 0},
    {"-0", true, 0},
    {"-1", true, -1},
    {"9223372036854775807", true, INT64_MAX},
    {"9223372036854775808", false, 0},
    {"-9223372036854775808", true, INT64_MIN},
    {"-9223372036854775809", false, 0},
    {"18446744073709551616", false, 0},
    {"18446744073709551617", false, 0},
    {"99999999999999999999999999", false, 0},
    {"9007199254740993", true, 9007199254740993},
    {"1.0", false, 0},
    {"1e2", false, 0},
};

TEST(json_integers_are_exact)
{
    for (size_t i = 0; i < sizeof integers / sizeof *integers; i++) {
        zx_json json;
        zx_json_init(&json, "test.json", integers[i].text, strlen(integers[i].text));
        CHECK_ON(integers[i].text, zx_json_expect(&json, ZX_JSON_NUMBER) == ZMLX_OK);
        CHECK_ON(integers[i].text, json.is_integer == integers[i].is_integer);
        CHECK_ON(integers[i].text, !json.is_integer || json.integer == integers[i].integer);
        CHECK_ON(integers[i].text, json.number == strtod(integers[i].text, NULL));
        zx_json_fini(&json);
    }
}

static bool same_double(const char *text)
{
    zx_json json;
    zx_json_init(&json, "test.json", text, strlen(text));
    const zmlx_status status = zx_json_next(&json);
    const double expected = strtod(text, NULL), found = json.number;
    zx_json_fini(&json);
    if (isinf(expected)) return status != ZMLX_OK;
    return status == ZMLX_OK && memcmp(&expected, &found, sizeof found) == 0;
}

TEST(json_doubles_are_correctly_rounded)
{
    static const char *const hard[] = {
        "9007199254740993",
        "9007199254740992.5",
        "0.1",
        "2.2250738585072011e-308",
        "2.2250738585072014e-308",
        "4.9406564584124654e-324",
        "2.4703282292062327e-324",
        "2.4703282292062328e-324",
        "1.7976931348623157e308",
        "1.7976931348623159e308",
        "123456789012345678901e-30",
        "-0.0",
        "0e999999999999999999999",
        "1e-999999999999999999999",
        "0.000000000000000000000001e23",
        "1e22",
        "1e23",
        "8.5e22",
        "6631.0692133999995e-22",
        "1.00000000000000011102230246251565404236316680908203125",
        "100000000000000000000000000000000000000000000000e-20",
    };
    for (size_t i = 0; i < sizeof hard / sizeof *hard; i++) CHECK_ON(hard[i], same_double(hard[i]));
    for (int i = 0; i < 20000; i++) {
        char text[64];
        const uint64_t bits = zx_test_random();
        double value = 0;
        memcpy(&value, &bits, sizeof value);
        if (!isfinite(value)) continue;
        (void)snprintf(text, sizeof text, "%.*e", (int)zx_test_below(25), value);
        CHECK_ON(text, same_double(text));
        (void)snprintf(text, sizeof text, "%.*f", (int)zx_test_below(20), zx_test_uniform() * 40);
        CHECK_ON(text, same_double(text));
    }
}

TEST(json_doubles_of_a_thousand_digits_are_correctly_rounded)
{
    /* Halfway between two doubles, with and without a 1 far behind. */
    static const char halfway[] = "1.00000000000000011102230246251565404236316680908203125";
    char text[4000];
    for (size_t zeros = 0; zeros < 1500; zeros += 100) {
        memcpy(text, halfway, sizeof halfway - 1);
        memset(text + sizeof halfway - 1, '0', zeros);
        text[sizeof halfway - 1 + zeros] = 0;
        CHECK_ON("tie", same_double(text));
        text[sizeof halfway - 1 + zeros] = '1';
        text[sizeof halfway + zeros] = 0;
        CHECK_ON("above", same_double(text));
        text[0] = '0';
        CHECK_ON("below one", same_double(text));
    }
    memset(text, '7', 2000);
    (void)snprintf(text + 2000, 100, "e-1900");
    CHECK(same_double(text));
    (void)snprintf(text, 3, "0.");
    memset(text + 2, '0', 2000);
    (void)snprintf(text + 2002, 100, "123e2000");
    CHECK(same_double(text));
}

TEST(json_numbers_do_not_depend_on_the_locale)
{
    static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "de_DE"};
    static const char text[] = "1234.56789012345678901";
    const char *found = NULL;
    const double expected = strtod(text, NULL);
    for (size_t i = 0; i < sizeof names / sizeof *names && found == NULL; i++)
        found = setlocale(LC_NUMERIC, names[i]);
    zx_json json;
    zx_json_init(&json, "test.json", text, sizeof text - 1);
    const zmlx_status status = zx_json_next(&json);
    const double read = json.number;
    zx_json_fini(&json);
    (void)setlocale(LC_NUMERIC, "C");
    CHECK(status == ZMLX_OK && read == expected);
    if (found == NULL) SKIP("no locale with a decimal comma is installed");
}

TEST(json_skip_passes_a_whole_value)
{
    static const char text[] = "{\"a\":{\"b\":[1,{\"c\":2}]},\"d\":3,\"e\":[],\"f\":\"g\",\"h\":4}";
    zx_json json;
    zx_json_init(&json, "test.json", text, sizeof text - 1);
    CHECK(zx_json_expect(&json, ZX_JSON_OBJECT) == ZMLX_OK);
    CHECK(zx_json_expect(&json, ZX_JSON_KEY) == ZMLX_OK && zx_json_is(&json, "a"));
    CHECK(zx_json_expect(&json, ZX_JSON_OBJECT) == ZMLX_OK);
    CHECK(zx_json_skip(&json) == ZMLX_OK);
    CHECK(zx_json_expect(&json, ZX_JSON_KEY) == ZMLX_OK && zx_json_is(&json, "d"));
    CHECK(zx_json_expect(&json, ZX_JSON_NUMBER) == ZMLX_OK && zx_json_skip(&json) == ZMLX_OK);
    CHECK(zx_json_expect(&json, ZX_JSON_KEY) == ZMLX_OK && zx_json_is(&json, "e"));
    CHECK(zx_json_skip(&json) == ZMLX_OK); /* from the key */
    CHECK(zx_json_expect(&json, ZX_JSON_KEY) == ZMLX_OK && zx_json_is(&json, "f"));
    CHECK(zx_json_skip(&json) == ZMLX_OK);
    CHECK(zx_json_expect(&json, ZX_JSON_KEY) == ZMLX_OK && zx_json_is(&json, "h"));
    CHECK(zx_json_skip(&json) == ZMLX_OK);
    CHECK(zx_json_expect(&json, ZX_JSON_OBJECT_END) == ZMLX_OK);
    zx_json_fini(&json);
    zx_json_init(&json, "test.json", "[1,{]", 5);
    CHECK(zx_json_expect(&json, ZX_JSON_ARRAY) == ZMLX_OK);
    CHECK(zx_json_skip(&json) == ZMLX_ERROR_FORMAT);
    zx_json_fini(&json);
}

TEST(json_expect_names_both_kinds)
{
    zx_json json;
    zx_json_init(&json, "model.json", "[\"x\"]", 5);
    CHECK(zx_json_expect(&json, ZX_JSON_OBJECT) == ZMLX_ERROR_FORMAT);
    CHECK(strstr(zmlx_error_message(), "model.json: byte 1: expected an object, found an array"));
    CHECK(zx_json_fail(&json, "of our own") == ZMLX_ERROR_FORMAT);
    CHECK(strcmp(zmlx_error_message(), "model.json: byte 1: of our own") == 0);
    zx_json_fini(&json);
}

TEST(json_without_memory_says_so)
{
    static const char text[] = "\"a\\nb\"";
    const size_t live = zx_test_live_blocks();
    zx_json json;
    zx_json_init(&json, "test.json", text, sizeof text - 1);
    zx_test_fail_allocation(1);
    CHECK(zx_json_next(&json) == ZMLX_ERROR_MEMORY);
    zx_json_fini(&json);
    CHECK(zx_test_live_blocks() == live);
}

TEST(json_quotes_what_it_reads_back)
{
    static const char *const texts[] = {
        "", "plain", "a\"b\\c", "\n\x01\t", "\xE2\x96\x81\xF0\x9F\x99\x82", "\\", "\"\""};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        zx_text quoted = {0};
        zx_json json = {0};
        bool same = zx_json_quote(&quoted, texts[i], strlen(texts[i])) == ZMLX_OK;
        if (same) {
            zx_json_init(&json, "quoted", quoted.bytes, quoted.length);
            same = zx_json_expect(&json, ZX_JSON_STRING) == ZMLX_OK &&
                   zx_json_is(&json, texts[i]) && zx_json_expect(&json, ZX_JSON_END) == ZMLX_OK;
            zx_json_fini(&json);
        }
        zx_text_fini(&quoted);
        CHECK_ON(texts[i], same);
    }
}
