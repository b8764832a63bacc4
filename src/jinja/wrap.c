/* wrap.c - breaking a line: into chunks (words, the parts of hyphenated words, dashes, spaces),
 * and chunks into lines as wide as fit. */
#include "jinja/wrap.h"

#include <string.h>

#include "jinja/run.h"
#include "jinja/unicode.h"

/* --- chunks --- */

static bool is_blank(uint32_t point)
{
    return point == ' ' || (point >= '\t' && point <= '\r');
}

static bool is_letter(uint32_t point)
{
    return zx_unicode_is_word(point) && !zx_unicode_is_decimal(point);
}

/* What may stand before a dash: a word character or punctuation that ends a word. */
static bool is_word_end(uint32_t point)
{
    return zx_unicode_is_word(point) ||
           (point < 0x80 && point > 0 && strchr("!\"'&.,?", (int)point));
}

/* The code point at 'at', or 0 beyond the end; 'next' is where the one behind it begins. */
static uint32_t point_at(const zx_jstring *text, size_t at, size_t *next)
{
    size_t bytes = 0;
    *next = at;
    if (at >= text->length) return 0;
    const uint32_t point = zx_jstring_at(text, at, &bytes);
    *next = at + bytes;
    return point;
}

static uint32_t point_before(const zx_jstring *text, size_t at, size_t *previous)
{
    size_t bytes = 0;
    *previous = at;
    if (at == 0) return 0;
    const uint32_t point = zx_jstring_before(text, at, &bytes);
    *previous = at - bytes;
    return point;
}

/* Whether a word may be broken behind the hyphen at 'at': "ab-cd", "a-b-c". */
static bool breaks_behind(const zx_jstring *text, size_t at)
{
    size_t one = 0, two = 0, next = 0, after = 0;
    const uint32_t b = point_before(text, at, &one), a = point_before(text, one, &two);
    size_t three = 0;
    const bool letters = is_letter(a) && is_letter(b);
    const bool dashed = is_letter(b) && a == '-' && is_letter(point_before(text, two, &three));
    if (!letters && !dashed) return false;
    if (!is_letter(point_at(text, at + 1, &next))) return false;
    uint32_t follower = point_at(text, next, &after);
    if (follower == '-') follower = point_at(text, after, &after);
    return is_letter(follower);
}

/* How many hyphens begin here. */
static size_t count_dashes(const zx_jstring *text, size_t at)
{
    size_t count = 0;
    while (at + count < text->length && text->bytes[at + count] == '-') count++;
    return count;
}

/* Whether a dash of two hyphens or more between words begins at 'at'. */
static bool is_dash(const zx_jstring *text, size_t at)
{
    size_t other = 0;
    if (!is_word_end(point_before(text, at, &other))) return false;
    const size_t dashes = count_dashes(text, at);
    return dashes >= 2 && zx_unicode_is_word(point_at(text, at + dashes, &other));
}

static size_t end_of_blanks(const zx_jstring *text, size_t at)
{
    while (at < text->length && is_blank((unsigned char)text->bytes[at])) at++;
    return at;
}

static size_t end_of_chunk(const zx_jstring *text, size_t start, bool hyphens)
{
    size_t at = start;
    if (is_blank((unsigned char)text->bytes[start])) return end_of_blanks(text, start);
    if (hyphens && is_dash(text, start)) return start + count_dashes(text, start);
    while (at < text->length) {
        size_t next = 0;
        const uint32_t point = point_at(text, at, &next);
        if (is_blank(point)) return at;
        if (hyphens && at > start && is_dash(text, at)) return at;
        at = next;
        if (hyphens && point == '-' && at - 1 > start && breaks_behind(text, at - 1)) return at;
    }
    return at;
}

/* --- lines --- */

typedef struct chunk {
    size_t start, end;
    int64_t points;
} chunk;

typedef struct wrapper {
    zx_jrun *run;
    const zx_jstring *text;
    const zx_jwrap_style *style;
    chunk *chunks;
    size_t count, at;        /* 'at' is the next one */
    size_t start, last, end; /* the present line, and where its last piece begins */
    size_t pieces;
    int64_t points;
} wrapper;

static int64_t points_of(const zx_jstring *text, size_t start, size_t end)
{
    zx_jstring part = {.bytes = text->bytes + start, .length = end - start};
    return (int64_t)zx_jstring_points(&part);
}

static bool is_all_space(const zx_jstring *text, size_t start, size_t end)
{
    for (size_t bytes = 0; start < end; start += bytes)
        if (!zx_unicode_is_space(zx_jstring_at(text, start, &bytes))) return false;
    return true;
}

static zmlx_status split_chunks(wrapper *all)
{
    void *memory = NULL;
    const zx_jstring *const text = all->text;
    ZX_TRY(zx_jrun_pay_points(all->run, text->length));
    ZX_TRY(zx_jalloc(all->run, text->length, sizeof(chunk), &memory));
    all->chunks = memory;
    for (size_t at = 0; at < text->length;) {
        const size_t end = end_of_chunk(text, at, all->style->break_on_hyphens);
        all->chunks[all->count++] =
            (chunk){.start = at, .end = end, .points = points_of(text, at, end)};
        at = end;
    }
    return ZMLX_OK;
}

static void add_piece(wrapper *all, size_t end, int64_t points)
{
    all->last = all->end;
    all->end = end;
    all->points += points;
    all->pieces++;
}

/* A chunk wider than a line: as much of it as this line has room for, which may be nothing. */
static void add_long(wrapper *all, chunk *next)
{
    if (!all->style->break_long_words) {
        if (all->pieces > 0) return; /* it gets a line of its own, too wide */
        add_piece(all, next->end, next->points);
        all->at++;
        return;
    }
    int64_t room = all->style->width - all->points;
    zx_jstring part = {.bytes = all->text->bytes + next->start,
                       .length = next->end - next->start,
                       .points = (size_t)next->points};
    size_t cut = zx_jstring_offset(&part, (size_t)room);
    if (all->style->break_on_hyphens) {
        const char *const hyphen = memrchr(part.bytes, '-', cut);
        const size_t at = hyphen != NULL ? (size_t)(hyphen - part.bytes) : 0;
        size_t dashes = 0;
        while (dashes < at && part.bytes[dashes] == '-') dashes++;
        if (dashes < at) cut = at + 1;
        room = points_of(&part, 0, cut);
    }
    add_piece(all, next->start + cut, room);
    next->start += cut;
    next->points -= room;
}

/* Takes the pieces of the next line. */
static void fill_line(wrapper *all)
{
    const int64_t width = all->style->width;
    all->start = all->last = all->end = all->at < all->count ? all->chunks[all->at].start : 0;
    all->points = 0;
    all->pieces = 0;
    while (all->at < all->count && all->points + all->chunks[all->at].points <= width) {
        add_piece(all, all->chunks[all->at].end, all->chunks[all->at].points);
        all->at++;
    }
    if (all->at < all->count && all->chunks[all->at].points > width)
        add_long(all, &all->chunks[all->at]);
    if (all->pieces == 0 || !is_all_space(all->text, all->last, all->end)) return;
    all->end = all->last; /* the blanks at the end */
    all->pieces--;
}

zmlx_status zx_jwrap_line(zx_jrun *run, const zx_jstring *line, const zx_jwrap_style *style,
                          zx_jbuilder *builder)
{
    wrapper all = {.run = run, .text = line, .style = style};
    ZX_TRY(split_chunks(&all));
    for (size_t lines = 0; all.at < all.count;) {
        ZX_TRY(zx_jrun_pay(run, 1));
        const chunk *const next = &all.chunks[all.at];
        if (lines > 0 && is_all_space(line, next->start, next->end)) all.at++;
        fill_line(&all);
        if (all.pieces == 0) continue;
        if (lines++ > 0) ZX_TRY(zx_jbuilder_string(run, builder, style->separator));
        ZX_TRY(zx_jbuilder_add(run, builder, line->bytes + all.start, all.end - all.start));
    }
    return ZMLX_OK;
}
