/* methods_text.c - methods of strings that search, cut and replace. */
#include <string.h>

#include "jinja/call.h"
#include "jinja/run.h"
#include "jinja/unicode.h"

/* --- searching --- */

/* The bytes [start, end) of a text that the arguments 'start' and 'end' choose. */
typedef struct region {
    zx_jstring *text;
    size_t start, end;
    bool valid; /* false where it begins beyond the end: nothing is found there, not even "" */
} region;

static zmlx_status region_bound(zx_jrun *run, zx_jvalue value, int64_t length, int64_t otherwise,
                                int64_t *index)
{
    *index = otherwise;
    if (value.kind == ZX_J_NONE) return ZMLX_OK;
    ZX_TRY(zx_jarg_int_or(run, value, "a slice index", otherwise, index));
    if (*index < 0) *index = *index < -length ? 0 : *index + length;
    return ZMLX_OK;
}

static zmlx_status find_region(zx_jrun *run, zx_jstring *text, zx_jvalue first, zx_jvalue last,
                               region *found)
{
    *found = (region){.text = text, .end = text->length, .valid = true};
    ZX_TRY(zx_jrun_pay_search(run, text->length));
    if (first.kind == ZX_J_MISSING && last.kind == ZX_J_MISSING) return ZMLX_OK;
    const int64_t length = (int64_t)zx_jstring_points(text);
    int64_t start = 0, end = length;
    ZX_TRY(region_bound(run, first, length, 0, &start));
    ZX_TRY(region_bound(run, last, length, length, &end));
    if (end > length) end = length;
    found->valid = start <= end;
    if (!found->valid) return ZMLX_OK;
    found->start = zx_jstring_offset(text, (size_t)start);
    found->end = zx_jstring_offset(text, (size_t)end);
    return ZMLX_OK;
}

/* The byte offset of the first 'piece' in a region; SIZE_MAX where it is not there. */
static size_t search(const region *in, const zx_jstring *piece)
{
    if (!in->valid || piece->length > in->end - in->start) return SIZE_MAX;
    const char *const bytes = in->text->bytes;
    if (piece->length == 0) return in->start;
    const char *const found =
        memmem(bytes + in->start, in->end - in->start, piece->bytes, piece->length);
    return found != NULL ? (size_t)(found - bytes) : SIZE_MAX;
}

zmlx_status zx_jstring_find_last(zx_jrun *run, const zx_jstring *text, const zx_jstring *piece,
                                 const size_t bounds[2], size_t *at)
{
    const size_t length = piece->length;
    *at = bounds[1];
    if (length == 0) return ZMLX_OK;
    *at = SIZE_MAX;
    if (length > bounds[1] - bounds[0]) return ZMLX_OK;
    for (size_t place = bounds[1] - length + 1; place > bounds[0]; place--) {
        const char *const here = text->bytes + place - 1;
        if (*here != *piece->bytes || here[length - 1] != piece->bytes[length - 1]) continue;
        ZX_TRY(zx_jrun_pay_bytes(run, length)); /* a hostile text is nearly the same everywhere */
        if (memcmp(here, piece->bytes, length) != 0) continue;
        *at = place - 1;
        break;
    }
    return ZMLX_OK;
}

static zmlx_status locate(zx_jrun *run, const zx_jcall *call, bool last, int64_t *index)
{
    zx_jstring *const text = call->self.as.string, *piece = NULL;
    region in;
    *index = -1;
    ZX_TRY(zx_jarg_string(run, call->arg[0], "the text to find", &piece));
    ZX_TRY(find_region(run, text, call->arg[1], call->arg[2], &in));
    size_t at = search(&in, piece);
    if (last && at != SIZE_MAX)
        ZX_TRY(zx_jstring_find_last(run, text, piece, (const size_t[2]){in.start, in.end}, &at));
    if (at == SIZE_MAX) return ZMLX_OK;
    zx_jstring before = {.bytes = text->bytes, .length = at};
    *index = (int64_t)zx_jstring_points(&before);
    return ZMLX_OK;
}

static zmlx_status do_find(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    *result = zx_jint(0);
    return locate(run, call, false, &result->as.integer);
}

static zmlx_status do_rfind(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    *result = zx_jint(0);
    return locate(run, call, true, &result->as.integer);
}

static zmlx_status do_index(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    ZX_TRY(do_find(run, call, result));
    return result->as.integer < 0 ? ZX_JFAIL(run, "substring not found") : ZMLX_OK;
}

static zmlx_status do_rindex(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    ZX_TRY(do_rfind(run, call, result));
    return result->as.integer < 0 ? ZX_JFAIL(run, "substring not found") : ZMLX_OK;
}

static zmlx_status do_count(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    zx_jstring *piece = NULL;
    region in;
    ZX_TRY(zx_jarg_string(run, call->arg[0], "the text to count", &piece));
    ZX_TRY(find_region(run, call->self.as.string, call->arg[1], call->arg[2], &in));
    *result = zx_jint(0);
    if (piece->length == 0 && in.valid) {
        zx_jstring inside = {.bytes = in.text->bytes + in.start, .length = in.end - in.start};
        *result = zx_jsized(zx_jstring_points(&inside) + 1);
        return ZMLX_OK;
    }
    for (size_t at = search(&in, piece); at != SIZE_MAX; at = search(&in, piece)) {
        result->as.integer++;
        in.start = at + piece->length;
    }
    return ZMLX_OK;
}

/* startswith and endswith take a string or a tuple of strings. */
static zmlx_status matches_end(zx_jrun *run, const zx_jcall *call, bool at_end, zx_jvalue *result)
{
    const zx_jvalue pieces = call->arg[0];
    const size_t count = pieces.kind == ZX_J_TUPLE ? pieces.as.list->count : 1;
    region in;
    ZX_TRY(find_region(run, call->self.as.string, call->arg[1], call->arg[2], &in));
    *result = zx_jbool(false);
    for (size_t i = 0; i < count && !result->as.boolean; i++) {
        zx_jstring *piece = NULL;
        ZX_TRY(zx_jarg_string(run, pieces.kind == ZX_J_TUPLE ? pieces.as.list->items[i] : pieces,
                              "the text to look for", &piece));
        if (!in.valid || piece->length > in.end - in.start) continue;
        const size_t at = at_end ? in.end - piece->length : in.start;
        result->as.boolean =
            piece->length == 0 || memcmp(in.text->bytes + at, piece->bytes, piece->length) == 0;
    }
    return ZMLX_OK;
}

static zmlx_status do_startswith(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    return matches_end(run, call, false, result);
}

static zmlx_status do_endswith(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    return matches_end(run, call, true, result);
}

/* --- cutting --- */

/* The characters that strip takes away: NULL stands for whitespace. */
typedef struct strip_set {
    zx_jrun *run;
    const zx_jstring *chars;
    bool ascii[128];
} strip_set;

static zmlx_status is_stripped(const strip_set *set, uint32_t point, bool *stripped)
{
    *stripped = false;
    if (set->chars == NULL) *stripped = zx_unicode_is_space(point);
    if (set->chars != NULL && point < 128) *stripped = set->ascii[point];
    if (set->chars == NULL || point < 128) return ZMLX_OK;
    ZX_TRY(zx_jrun_pay_bytes(set->run, set->chars->length));
    for (size_t at = 0, bytes = 0; at < set->chars->length && !*stripped; at += bytes)
        *stripped = zx_jstring_at(set->chars, at, &bytes) == point;
    return ZMLX_OK;
}

static zmlx_status strip(zx_jrun *run, const zx_jcall *call, bool left, bool right,
                         zx_jvalue *result)
{
    const zx_jstring *const text = call->self.as.string;
    const zx_jvalue given = call->arg[0];
    strip_set set = {.run = run};
    size_t start = 0, end = text->length, bytes = 0;
    bool more = true;
    if (given.kind != ZX_J_MISSING && given.kind != ZX_J_NONE) {
        zx_jstring *chars = NULL;
        ZX_TRY(zx_jarg_string(run, given, "the characters to strip", &chars));
        ZX_TRY(zx_jrun_pay_bytes(run, chars->length));
        for (size_t i = 0; i < chars->length; i++)
            if ((unsigned char)chars->bytes[i] < 128) set.ascii[(size_t)chars->bytes[i]] = true;
        set.chars = chars;
    }
    while (left && start < end) {
        ZX_TRY(is_stripped(&set, zx_jstring_at(text, start, &bytes), &more));
        if (!more) break;
        start += bytes;
    }
    while (right && end > start) {
        ZX_TRY(is_stripped(&set, zx_jstring_before(text, end, &bytes), &more));
        if (!more) break;
        end -= bytes;
    }
    ZX_TRY(zx_jrun_pay_points(run, text->length - (end - start)));
    return zx_jstring_borrow(run, text->bytes + start, end - start, result);
}

static zmlx_status do_strip(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    return strip(run, call, true, true, result);
}

static zmlx_status do_lstrip(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    return strip(run, call, true, false, result);
}

static zmlx_status do_rstrip(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    return strip(run, call, false, true, result);
}

static zmlx_status do_removeprefix(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    const zx_jstring *const text = call->self.as.string;
    zx_jstring *piece = NULL;
    ZX_TRY(zx_jarg_string(run, call->arg[0], "the prefix", &piece));
    const bool there = piece->length <= text->length && piece->length > 0 &&
                       memcmp(text->bytes, piece->bytes, piece->length) == 0;
    const size_t cut = there ? piece->length : 0;
    return zx_jstring_borrow(run, text->bytes + cut, text->length - cut, result);
}

static zmlx_status do_removesuffix(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    const zx_jstring *const text = call->self.as.string;
    zx_jstring *piece = NULL;
    ZX_TRY(zx_jarg_string(run, call->arg[0], "the suffix", &piece));
    const bool there =
        piece->length <= text->length && piece->length > 0 &&
        memcmp(text->bytes + text->length - piece->length, piece->bytes, piece->length) == 0;
    return zx_jstring_borrow(run, text->bytes, text->length - (there ? piece->length : 0), result);
}

/* --- replacing --- */

/* "" is found before every code point and at the end. */
static zmlx_status insert_between(zx_jrun *run, const zx_jstring *text, const zx_jstring *piece,
                                  int64_t count, zx_jbuilder *builder)
{
    size_t at = 0, bytes = 0;
    for (; count > 0; count--) {
        ZX_TRY(zx_jrun_pay(run, 1));
        ZX_TRY(zx_jbuilder_string(run, builder, piece));
        if (at == text->length) return ZMLX_OK;
        (void)zx_jstring_at(text, at, &bytes);
        ZX_TRY(zx_jbuilder_add(run, builder, text->bytes + at, bytes));
        at += bytes;
    }
    return zx_jbuilder_add(run, builder, text->bytes + at, text->length - at);
}

static zmlx_status do_replace(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    zx_jstring *const text = call->self.as.string, *old = NULL, *new = NULL;
    zx_jvalue replacement = call->arg[1];
    zx_jbuilder builder = {0};
    int64_t count = -1;
    ZX_TRY(zx_jarg_string(run, call->arg[0], "the text to replace", &old));
    if (text->markup) ZX_TRY(zx_jvalue_escape(run, replacement, &replacement));
    ZX_TRY(zx_jarg_string(run, replacement, "the replacement", &new));
    ZX_TRY(zx_jarg_int_or(run, call->arg[2], "the count", -1, &count));
    if (count < 0) count = INT64_MAX;
    if (old->length == 0) {
        ZX_TRY(insert_between(run, text, new, count, &builder));
        return zx_jbuilder_finish(run, &builder, result);
    }
    region in = {.text = text, .end = text->length, .valid = true};
    ZX_TRY(zx_jrun_pay_search(run, text->length));
    for (; count > 0; count--) {
        const size_t at = search(&in, old);
        if (at == SIZE_MAX) break;
        ZX_TRY(zx_jrun_pay(run, 1));
        ZX_TRY(zx_jbuilder_add(run, &builder, text->bytes + in.start, at - in.start));
        ZX_TRY(zx_jbuilder_string(run, &builder, new));
        in.start = at + old->length;
    }
    if (in.start == 0) return zx_jstring_borrow(run, text->bytes, text->length, result);
    ZX_TRY(zx_jbuilder_add(run, &builder, text->bytes + in.start, text->length - in.start));
    return zx_jbuilder_finish(run, &builder, result);
}

/* table[point] of a dict or sequence; MISSING where the code point stays as it is. */
static zmlx_status look_up(zx_jrun *run, zx_jvalue table, uint32_t point, zx_jvalue *found)
{
    const zx_jvalue key = zx_jint(point);
    if (table.kind == ZX_J_DICT) return zx_jdict_get(run, table.as.dict, key, found);
    if (!zx_jvalue_is_sequence(table) && table.kind != ZX_J_STRING && table.kind != ZX_J_RANGE &&
        table.kind != ZX_J_UNDEFINED)
        return ZX_JFAIL(run, "'%s' object is no table of characters", zx_jvalue_type(table));
    ZX_TRY(zx_jvalue_item(run, table, key, found));
    if (found->kind == ZX_J_UNDEFINED) *found = zx_jmissing();
    return ZMLX_OK;
}

static zmlx_status do_translate(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    const zx_jstring *const text = call->self.as.string;
    zx_jbuilder builder = {0};
    ZX_TRY(zx_jrun_pay_points(run, text->length));
    for (size_t at = 0, bytes = 0; at < text->length; at += bytes) {
        int64_t point = zx_jstring_at(text, at, &bytes);
        zx_jvalue found;
        ZX_TRY(look_up(run, call->arg[0], (uint32_t)point, &found));
        if (found.kind == ZX_J_NONE) continue;
        if (found.kind == ZX_J_STRING) {
            ZX_TRY(zx_jbuilder_string(run, &builder, found.as.string));
            continue;
        }
        if (found.kind != ZX_J_MISSING && !zx_jvalue_is_integer(found, &point))
            return ZX_JFAIL(run, "a character becomes an integer, None or str");
        if (point < 0 || point > 0x10ffff || (point >= 0xd800 && point < 0xe000))
            return ZX_JFAIL(run, "a character becomes no code point");
        ZX_TRY(zx_jbuilder_point(run, &builder, (uint32_t)point));
    }
    return zx_jbuilder_finish(run, &builder, result);
}

/* A dict with its keys, which are characters or numbers already, as code points. */
static zmlx_status numbered(zx_jrun *run, const zx_jdict *from, zx_jvalue *result)
{
    for (size_t i = 0; i < from->count; i++) {
        zx_jvalue key = from->pairs[i].key;
        size_t bytes = 0;
        if (key.kind == ZX_J_STRING && zx_jstring_points(key.as.string) == 1)
            key = zx_jint(zx_jstring_at(key.as.string, 0, &bytes));
        else if (!zx_jvalue_is_number(key) || key.kind == ZX_J_FLOAT)
            return ZX_JFAIL(run, "a key of the table must be a character or an integer");
        ZX_TRY(zx_jdict_set(run, result->as.dict, key, from->pairs[i].value));
    }
    return ZMLX_OK;
}

static zmlx_status do_maketrans(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    zx_jstring *from = NULL, *to = NULL, *gone = NULL;
    size_t at = 0, other = 0, bytes = 0, other_bytes = 0;
    ZX_TRY(zx_jdict_make(run, ZX_J_DICT, result));
    if (call->arg[1].kind == ZX_J_MISSING) {
        if (call->arg[0].kind != ZX_J_DICT) return ZX_JFAIL(run, "one argument must be a dict");
        return numbered(run, call->arg[0].as.dict, result);
    }
    ZX_TRY(zx_jarg_string(run, call->arg[0], "what is replaced", &from));
    ZX_TRY(zx_jarg_string(run, call->arg[1], "what replaces it", &to));
    if (zx_jstring_points(from) != zx_jstring_points(to))
        return ZX_JFAIL(run, "the first two arguments must have equal length");
    for (; at < from->length; at += bytes, other += other_bytes)
        ZX_TRY(zx_jdict_set(run, result->as.dict, zx_jint(zx_jstring_at(from, at, &bytes)),
                            zx_jint(zx_jstring_at(to, other, &other_bytes))));
    if (call->arg[2].kind == ZX_J_MISSING) return ZMLX_OK;
    ZX_TRY(zx_jarg_string(run, call->arg[2], "what is taken away", &gone));
    for (at = 0; at < gone->length; at += bytes)
        ZX_TRY(zx_jdict_set(run, result->as.dict, zx_jint(zx_jstring_at(gone, at, &bytes)),
                            zx_jnone()));
    return ZMLX_OK;
}

const zx_jbuiltin zx_jmethods_text[] = {
    {"find", "/sub start? end?", do_find},
    {"rfind", "/sub start? end?", do_rfind},
    {"index", "/sub start? end?", do_index},
    {"rindex", "/sub start? end?", do_rindex},
    {"count", "/sub start? end?", do_count},
    {"startswith", "/prefix start? end?", do_startswith},
    {"endswith", "/suffix start? end?", do_endswith},
    {"strip", "/chars?", do_strip},
    {"lstrip", "/chars?", do_lstrip},
    {"rstrip", "/chars?", do_rstrip},
    {"removeprefix", "/prefix", do_removeprefix},
    {"removesuffix", "/suffix", do_removesuffix},
    {"replace", "/old new count?", do_replace},
    {"translate", "/table", do_translate},
    {"maketrans", "/x y? z?", do_maketrans},
    {NULL, NULL, NULL},
};
