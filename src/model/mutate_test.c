/* mutate_test.c - finds the fields of good files and spoils them. */
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/test.h"
#include "model/gguf.h"
#include "model/mutate.h"

enum { MOST_CUTS = 256, MOST_NUMBERS = 4096, NESTED = 100000, LONG = 70000 };

static const uint64_t bad_numbers[] = {
    0,
    1,
    7,
    64,
    255,
    65537,
    INT32_MAX,
    1U << 31,
    UINT32_MAX,
    INT64_MAX,
    UINT64_MAX,
    UINT64_MAX / 2 + 1,
    UINT64_MAX - 7,
    1ULL << 40,
    UINT64_MAX / 8 + 1,
};
enum { BAD_NUMBERS = sizeof bad_numbers / sizeof *bad_numbers };

static const char *const bad_texts[] = {
    "0",
    "1",
    "-1",
    "2147483647",
    "4294967295",
    "9223372036854775807",
    "1e308",
    "1e999",
    "-0",
    "18446744073709551615",
    "0.5",
    "00",
    "null",
    "true",
    "[]",
    "{}",
    "",
    "NaN",
    "\"\"",
    "\"a",
    "\"\\u0000\"",
    "\"\xff\xfe\"",
    "\"\\ud800\"",
    "\"../../etc/passwd\"",
    "\xc0\x80",
    "\"/etc/passwd\"",
    "99999999999999999999999999",
    "-9223372036854775808",
};

static bool put(zx_text *text, const char *bytes, size_t count)
{
    return count == 0 || zx_text_add(text, bytes, count) == ZMLX_OK;
}

static uint64_t load(const zx_seed_file *seed, size_t offset, size_t width)
{
    uint64_t value = 0;
    for (size_t i = 0; i < width && offset + i < seed->bytes.length; i++)
        value |= (uint64_t)(uint8_t)seed->bytes.bytes[offset + i] << 8 * i;
    return value;
}

/* Takes a field and moves past it. */
static bool spot(zx_seed_file *seed, size_t *at, size_t width, zx_spot_kind kind)
{
    if (width > seed->bytes.length - *at) return false;
    if (zx_grow(&seed->spots, &seed->capacity, seed->count + 1, sizeof *seed->spots, "spots") !=
        ZMLX_OK)
        return false;
    seed->spots[seed->count++] = (zx_spot){*at, width, kind};
    *at += width;
    return true;
}

static bool spot_string(zx_seed_file *seed, size_t *at)
{
    const size_t length = (size_t)load(seed, *at, 8);
    return spot(seed, at, 8, ZX_SPOT_U64) && spot(seed, at, length, ZX_SPOT_OTHER);
}

static bool spot_value(zx_seed_file *seed, size_t *at, zx_gguf_type type)
{
    static const uint8_t widths[ZX_GGUF_TYPE_COUNT] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    if (type == ZX_GGUF_STRING) return spot_string(seed, at);
    if (type != ZX_GGUF_ARRAY) {
        const size_t width = widths[type];
        return spot(seed, at, width,
                    width == 8   ? ZX_SPOT_U64
                    : width == 4 ? ZX_SPOT_U32
                                 : ZX_SPOT_OTHER);
    }
    const zx_gguf_type inner = (zx_gguf_type)load(seed, *at, 4);
    const size_t count = (size_t)load(seed, *at + 4, 8);
    bool good = spot(seed, at, 4, ZX_SPOT_U32) && spot(seed, at, 8, ZX_SPOT_U64);
    for (size_t i = 0; i < count && good; i++) good = spot_value(seed, at, inner);
    return good;
}

bool zx_spots_of_gguf(zx_seed_file *seed)
{
    size_t at = 0;
    const size_t tensors = (size_t)load(seed, 8, 8), keys = (size_t)load(seed, 16, 8);
    bool good = spot(seed, &at, 4, ZX_SPOT_OTHER) && spot(seed, &at, 4, ZX_SPOT_U32) &&
                spot(seed, &at, 8, ZX_SPOT_U64) && spot(seed, &at, 8, ZX_SPOT_U64);
    for (size_t i = 0; i < keys && good; i++) {
        good = spot_string(seed, &at);
        const zx_gguf_type type = (zx_gguf_type)load(seed, at, 4);
        good = good && type < ZX_GGUF_TYPE_COUNT && spot(seed, &at, 4, ZX_SPOT_U32) &&
               spot_value(seed, &at, type);
    }
    for (size_t i = 0; i < tensors && good; i++) {
        good = spot_string(seed, &at);
        const size_t rank = (size_t)load(seed, at, 4);
        good = good && spot(seed, &at, 4, ZX_SPOT_U32);
        for (size_t k = 0; k < rank && good; k++) good = spot(seed, &at, 8, ZX_SPOT_U64);
        good = good && spot(seed, &at, 4, ZX_SPOT_U32) && spot(seed, &at, 8, ZX_SPOT_U64);
    }
    return good && spot(seed, &at, seed->bytes.length - at, ZX_SPOT_OTHER);
}

static bool in(char c, const char *from, const char *to)
{
    return c >= *from && c <= *to;
}

static bool is_digit(char c)
{
    return in(c, "0", "9") || c == '.';
}

static bool is_word(char c)
{
    return in(c, "0", "9") || in(c, "a", "z") || in(c, "A", "Z") || c == '_' || c == '=' ||
           c == '+';
}

/* The length of what begins at 'at'. */
static size_t lex(const char *at, const char *end, zx_spot_kind *kind)
{
    const char *to = at + 1;
    *kind = ZX_SPOT_OTHER;
    if (*at == '"' || *at == '\'') {
        while (to < end && *to != *at) to += 1 + (*to == '\\' && end - to > 1);
        *kind = ZX_SPOT_STRING;
        return (size_t)(to - at) + (to < end);
    }
    if (is_word(*at)) {
        bool digits = is_digit(*at);
        for (; to < end && (is_word(*to) || *to == '.'); to++) digits = digits && is_digit(*to);
        if (digits) *kind = ZX_SPOT_NUMBER;
    }
    return (size_t)(to - at);
}

static bool spots_of_text(zx_seed_file *seed, size_t at, size_t end)
{
    bool good = true;
    while (good && at < end) {
        zx_spot_kind kind = ZX_SPOT_OTHER;
        const size_t width = lex(seed->bytes.bytes + at, seed->bytes.bytes + end, &kind);
        good = spot(seed, &at, width, kind);
    }
    return good;
}

bool zx_spots_of_text(zx_seed_file *seed)
{
    return spots_of_text(seed, 0, seed->bytes.length);
}

bool zx_spots_of_safetensors(zx_seed_file *seed)
{
    size_t at = 0;
    const size_t end = 8 + (size_t)load(seed, 0, 8);
    seed->has_head = true;
    if (!spot(seed, &at, 8, ZX_SPOT_U64) || !spots_of_text(seed, at, end)) return false;
    at = end;
    return spot(seed, &at, seed->bytes.length - at, ZX_SPOT_OTHER);
}

static bool spot_varint(zx_seed_file *seed, size_t *at, size_t *value)
{
    size_t width = 0;
    uint8_t byte = 0x80;
    *value = 0;
    for (; byte >= 0x80 && width < 10; width++) {
        byte = (uint8_t)load(seed, *at + width, 1);
        *value |= (size_t)(byte & 0x7f) << 7 * width;
    }
    return spot(seed, at, width, ZX_SPOT_VARINT);
}

/* Fields of the document, and of what is nested in it one level deep: pieces, settings. */
static bool spots_of_message(zx_seed_file *seed, size_t *at, size_t end, bool inside)
{
    enum { VARINT, FIXED64, BYTES, FIXED32 = 5 };
    bool good = true;
    while (good && *at < end) {
        size_t tag = 0, value = 0;
        good = spot_varint(seed, at, &tag);
        const size_t wire = tag & 7;
        if (good && (wire == VARINT || wire == BYTES)) good = spot_varint(seed, at, &value);
        if (!good || wire == VARINT) continue;
        if (wire == BYTES && !inside)
            good = spots_of_message(seed, at, *at + value, true);
        else
            good = spot(seed, at, wire == BYTES ? value : wire == FIXED32 ? 4 : 8, ZX_SPOT_OTHER);
    }
    return good && *at == end;
}

bool zx_spots_of_protobuf(zx_seed_file *seed)
{
    size_t at = 0;
    return spots_of_message(seed, &at, seed->bytes.length, false);
}

void zx_seed_file_fini(zx_seed_file *seed)
{
    zx_text_fini(&seed->bytes);
    zx_free(seed->spots);
    *seed = (zx_seed_file){0};
}

static bool is_binary(zx_spot_kind kind)
{
    return kind == ZX_SPOT_U32 || kind == ZX_SPOT_U64 || kind == ZX_SPOT_VARINT;
}

static size_t count_binary(const zx_seed_file *seed)
{
    size_t count = 0;
    for (size_t i = 0; i < seed->count; i++) count += is_binary(seed->spots[i].kind);
    return count * BAD_NUMBERS <= MOST_NUMBERS ? count : 0;
}

static size_t count_cuts(const zx_seed_file *seed)
{
    return seed->count < MOST_CUTS ? seed->count : MOST_CUTS;
}

size_t zx_mutations(const zx_seed_file *seed)
{
    return count_cuts(seed) + count_binary(seed) * BAD_NUMBERS;
}

/* The file with 'cut' bytes at 'offset' replaced. */
static bool splice(const zx_seed_file *seed, size_t offset, size_t cut, const char *bytes,
                   size_t count, zx_text *file)
{
    const zx_text *const from = &seed->bytes;
    return put(file, from->bytes, offset) && put(file, bytes, count) &&
           put(file, from->bytes + offset + cut, from->length - offset - cut);
}

static bool set_number(const zx_seed_file *seed, const zx_spot *at, uint64_t value, zx_text *file)
{
    char bytes[10];
    size_t width = 0;
    if (at->kind == ZX_SPOT_VARINT) {
        for (; value >= 0x80; value >>= 7) bytes[width++] = (char)(value | 0x80);
        bytes[width++] = (char)value;
    } else {
        for (; width < at->width; width++) bytes[width] = (char)(unsigned char)(value >> 8 * width);
    }
    return splice(seed, at->offset, at->width, bytes, width, file);
}

/* What is done at a spot 'at' and a later spot 'to' (or the same). */
static bool set(const zx_seed_file *seed, const zx_spot *at, const zx_spot *to, zx_text *file)
{
    (void)to;
    if (is_binary(at->kind))
        return set_number(seed, at, bad_numbers[zx_test_below(BAD_NUMBERS)], file);
    const char *const bad = bad_texts[zx_test_below(sizeof bad_texts / sizeof *bad_texts)];
    return splice(seed, at->offset, at->width, bad, strlen(bad), file);
}

static bool flip(const zx_seed_file *seed, const zx_spot *at, const zx_spot *to, zx_text *file)
{
    (void)to;
    if (at->width == 0) return put(file, seed->bytes.bytes, seed->bytes.length);
    const size_t offset = at->offset + zx_test_below(at->width);
    const char byte = (char)(seed->bytes.bytes[offset] ^ 1 << zx_test_below(8));
    return splice(seed, offset, 1, &byte, 1, file);
}

static bool spoil(const zx_seed_file *seed, const zx_spot *at, const zx_spot *to, zx_text *file)
{
    static const char bytes[] = "\0\xff\xc0\x80\x7f\xed\xa0\x80";
    (void)to;
    const size_t offset = at->offset + zx_test_below(at->width + 1);
    const size_t cut = offset < seed->bytes.length ? zx_test_below(2) : 0;
    return splice(seed, offset, cut, bytes + zx_test_below(5), 1 + zx_test_below(3), file);
}

static bool cut(const zx_seed_file *seed, const zx_spot *at, const zx_spot *to, zx_text *file)
{
    (void)to;
    return put(file, seed->bytes.bytes, at->offset + zx_test_below(at->width + 1));
}

static bool drop(const zx_seed_file *seed, const zx_spot *at, const zx_spot *to, zx_text *file)
{
    return splice(seed, at->offset, to->offset - at->offset, "", 0, file);
}

static bool twice(const zx_seed_file *seed, const zx_spot *at, const zx_spot *to, zx_text *file)
{
    return splice(seed, at->offset, 0, seed->bytes.bytes + at->offset, to->offset - at->offset,
                  file);
}

/* What lies between the spots changes its place with as many spots before them. */
static bool swap(const zx_seed_file *seed, const zx_spot *at, const zx_spot *to, zx_text *file)
{
    const char *const bytes = seed->bytes.bytes;
    const size_t between = (size_t)(to - at), before = (size_t)(at - seed->spots);
    const zx_spot *const from = at - (between < before ? between : before);
    return put(file, bytes, from->offset) &&
           put(file, bytes + at->offset, to->offset - at->offset) &&
           put(file, bytes + from->offset, at->offset - from->offset) &&
           put(file, bytes + to->offset, seed->bytes.length - to->offset);
}

static bool nest(const zx_seed_file *seed, const zx_spot *at, const zx_spot *to, zx_text *file)
{
    static const char array[12] = {9, 0, 0, 0, 1}; /* of GGUF: one array in an array */
    static const char *const open[] = {"[", "{\"a\":", "(", "{{ (", "{% if a %}", "-", "a."};
    static const size_t depths[] = {5, 66, 1000, NESTED};
    (void)to;
    const size_t depth = depths[zx_test_below(sizeof depths / sizeof *depths)];
    const bool binary = is_binary(at->kind);
    const char *const text = open[zx_test_below(sizeof open / sizeof *open)];
    bool good = put(file, seed->bytes.bytes, at->offset);
    for (size_t i = 0; i < depth && good; i++)
        good = binary ? put(file, array, sizeof array) : put(file, text, strlen(text));
    return good && put(file, seed->bytes.bytes + at->offset, seed->bytes.length - at->offset);
}

static bool stretch(const zx_seed_file *seed, const zx_spot *at, const zx_spot *to, zx_text *file)
{
    (void)to;
    const size_t offset = at->offset + (at->width > 0);
    bool good = put(file, seed->bytes.bytes, offset);
    for (size_t i = 0; i < LONG && good; i++) good = put(file, "9", 1);
    return good && put(file, seed->bytes.bytes + offset, seed->bytes.length - offset);
}

static const struct {
    const char *name;
    bool (*apply)(const zx_seed_file *seed, const zx_spot *at, const zx_spot *to, zx_text *file);
    size_t weight;
} rows[] = {
    {"set", set, 8},      {"flip a bit of", flip, 4}, {"spoil", spoil, 3},
    {"cut in", cut, 1},   {"drop from", drop, 3},     {"repeat from", twice, 3},
    {"swap at", swap, 3}, {"nest at", nest, 1},       {"stretch", stretch, 1},
};

static bool mutate_randomly(const zx_seed_file *seed, zx_text *file, char what[96])
{
    size_t sum = 0, row = 0;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) sum += rows[i].weight;
    for (size_t left = zx_test_below(sum); left >= rows[row].weight; row++)
        left -= rows[row].weight;
    const size_t at = zx_test_below(seed->count), most = seed->count - 1 - at;
    size_t span = zx_test_below(2) == 0 ? 4 : 1 + zx_test_below(8); /* "key": value, */
    if (span > most) span = most;
    (void)snprintf(what, 96, "%s field %zu at byte %zu, %zu fields", rows[row].name, at,
                   seed->spots[at].offset, span);
    return rows[row].apply(seed, &seed->spots[at], &seed->spots[at + span], file);
}

/* Half of the damaged headers get the length that they now have. */
static void fit_head(const zx_seed_file *seed, zx_text *file)
{
    if (!seed->has_head || file->length < 8 || zx_test_below(2) == 0) return;
    const uint64_t length = load(seed, 0, 8) + file->length - seed->bytes.length;
    for (size_t i = 0; i < 8; i++) file->bytes[i] = (char)(unsigned char)(length >> 8 * i);
}

bool zx_mutate(const zx_seed_file *seed, size_t index, zx_text *file, char what[96])
{
    const size_t cuts = count_cuts(seed);
    zx_text_clear(file);
    if (index < cuts) {
        const zx_spot *const at = &seed->spots[index * seed->count / cuts];
        (void)snprintf(what, 96, "cut at byte %zu", at->offset);
        return put(file, seed->bytes.bytes, at->offset);
    }
    index -= cuts;
    if (index < count_binary(seed) * BAD_NUMBERS) {
        const zx_spot *at = seed->spots;
        for (size_t left = index / BAD_NUMBERS;; at++)
            if (is_binary(at->kind) && left-- == 0) break;
        const uint64_t value = bad_numbers[index % BAD_NUMBERS];
        (void)snprintf(what, 96, "number at byte %zu set to %ju", at->offset, (uintmax_t)value);
        return set_number(seed, at, value, file);
    }
    const bool good = mutate_randomly(seed, file, what);
    if (good) fit_head(seed, file);
    return good;
}

/* Every byte belongs to one field. */
static bool covers(const char *bytes, size_t count, zx_spot_finder find, size_t spots)
{
    zx_seed_file seed = {0};
    size_t end = 0;
    bool good = put(&seed.bytes, bytes, count) && find(&seed) && seed.count == spots;
    for (size_t i = 0; i < seed.count && good; i++) {
        good = seed.spots[i].offset == end;
        end += seed.spots[i].width;
    }
    good = good && end == count;
    zx_seed_file_fini(&seed);
    return good;
}

TEST(mutation_finds_the_fields)
{
    static const char gguf[] = "GGUF\3\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0"
                               "\1\0\0\0\0\0\0\0k\4\0\0\0\7\0\0";
    static const char head[] = "\7\0\0\0\0\0\0\0{\"a\":1}data";
    CHECK(covers("{\"a\": 1.5, \"b\\\"\": true}", 23, zx_spots_of_text, 12));
    CHECK(covers("YQ== 12\n", 8, zx_spots_of_text, 4));
    CHECK(covers(head, sizeof head - 1, zx_spots_of_safetensors, 7));
    CHECK(covers("\x0a\x03\x0a\x01"
                 "a\x10\x05",
                 7, zx_spots_of_protobuf, 7));
    CHECK(covers(gguf, sizeof gguf, zx_spots_of_gguf, 9));
}
