/* normalizers.c - the rows of the normalizers: each rewrites the text before it is cut. */
#include <string.h>

#include "base/fail.h"
#include "text/bytemap.h"
#include "text/charsmap.h"
#include "text/normal_forms.h"
#include "text/part.h"
#include "text/unicode.h"

/* What one code point becomes: at most four, perhaps none. */
typedef size_t point_map(uint32_t point, uint32_t out[4]);

static zmlx_status map_points(zx_normal *normal, point_map *map)
{
    zx_text *out;
    ZX_TRY(zx_normal_begin(normal, normal->length, &out));
    for (size_t at = 0; at < normal->length;) {
        uint32_t point, mapped[4];
        const size_t length = zx_utf8_next(normal->bytes + at, &point);
        const size_t count = map(point, mapped);
        for (size_t i = 0; i < count; i++) ZX_TRY(zx_normal_add_point(normal, at, mapped[i]));
        at += length;
    }
    zx_normal_commit(normal);
    return ZMLX_OK;
}

static zmlx_status run_nfc(const zx_part *part, zx_work *work)
{
    (void)part;
    return zx_normal_form(&work->normal, false, true);
}

static zmlx_status run_nfd(const zx_part *part, zx_work *work)
{
    (void)part;
    return zx_normal_form(&work->normal, false, false);
}

static zmlx_status run_nfkc(const zx_part *part, zx_work *work)
{
    (void)part;
    return zx_normal_form(&work->normal, true, true);
}

static zmlx_status run_nfkd(const zx_part *part, zx_work *work)
{
    (void)part;
    return zx_normal_form(&work->normal, true, false);
}

static size_t lower_point(uint32_t point, uint32_t out[4])
{
    return zx_lower(point, out);
}

static zmlx_status run_lowercase(const zx_part *part, zx_work *work)
{
    (void)part;
    return map_points(&work->normal, lower_point);
}

static size_t without_mark(uint32_t point, uint32_t out[4])
{
    out[0] = point;
    return zx_is_mark(point) ? 0 : 1;
}

static zmlx_status run_strip_accents(const zx_part *part, zx_work *work)
{
    (void)part;
    return map_points(&work->normal, without_mark);
}

static zmlx_status run_strip(const zx_part *part, zx_work *work)
{
    zx_normal *const normal = &work->normal;
    size_t start = 0, end = normal->length;
    uint32_t point;
    while (part->left && start < end) {
        const size_t length = zx_utf8_next(normal->bytes + start, &point);
        if (!zx_is_space(point)) break;
        start += length;
    }
    while (part->right && start < end) {
        const size_t before = zx_utf8_before(normal->bytes, end);
        zx_utf8_next(normal->bytes + before, &point);
        if (!zx_is_space(point)) break;
        end = before;
    }
    normal->bytes += start;
    normal->length = end - start;
    normal->origin = normal->origin > start ? normal->origin - start : 0;
    return ZMLX_OK;
}

static zmlx_status run_replace(const zx_part *part, zx_work *work)
{
    zx_normal *const normal = &work->normal;
    zx_matches matches;
    zx_matches_start(&matches, part->regex, &work->matcher, normal->bytes, normal->length);
    bool found;
    size_t start, end, copied = 0;
    ZX_TRY(zx_matches_next(&matches, &found, &start, &end));
    if (!found) return ZMLX_OK;
    zx_text *out;
    ZX_TRY(zx_normal_begin(normal, normal->length, &out));
    while (found) {
        const size_t origin = normal->origin;
        if (start > copied) {
            ZX_TRY(zx_normal_add(normal, copied, normal->bytes + copied, start - copied));
            if (origin < start && origin > copied) normal->out_origin -= start - origin;
        }
        if (part->text.length > 0)
            ZX_TRY(
                zx_normal_add(normal, end > 0 ? end - 1 : 0, part->text.bytes, part->text.length));
        copied = end;
        ZX_TRY(zx_matches_next(&matches, &found, &start, &end));
    }
    if (normal->length > copied)
        ZX_TRY(zx_normal_add(normal, copied, normal->bytes + copied, normal->length - copied));
    if (normal->origin > copied && normal->origin < normal->length)
        normal->out_origin -= normal->length - normal->origin;
    zx_normal_commit(normal);
    return ZMLX_OK;
}

static zmlx_status run_prepend(const zx_part *part, zx_work *work)
{
    zx_normal *const normal = &work->normal;
    if (normal->length == 0 || part->text.length == 0) return ZMLX_OK;
    zx_text *out;
    ZX_TRY(zx_normal_begin(normal, part->text.length + normal->length, &out));
    ZX_TRY(zx_normal_add(normal, 0, part->text.bytes, part->text.length));
    ZX_TRY(zx_normal_add(normal, normal->length, normal->bytes, normal->length));
    if (normal->origin > 0) normal->out_origin = part->text.length + normal->origin;
    zx_normal_commit(normal);
    return ZMLX_OK;
}

static zmlx_status run_byte_level(const zx_part *part, zx_work *work)
{
    (void)part;
    zx_normal *const normal = &work->normal;
    zx_text *out;
    ZX_TRY(zx_normal_begin(normal, normal->length * 2, &out));
    for (size_t at = 0; at < normal->length; at++) {
        out->length += zx_byte_write((unsigned char)normal->bytes[at], out->bytes + out->length);
        if (at < normal->origin) normal->out_origin = out->length;
    }
    zx_normal_commit(normal);
    return ZMLX_OK;
}

static size_t nmt_point(uint32_t point, uint32_t out[4])
{
    out[0] = point;
    if ((point >= 1 && point <= 8) || point == 0xB || (point >= 0xE && point <= 0x1F) ||
        point == 0x7F || point == 0x8F || point == 0x9F)
        return 0;
    if (point == 9 || point == 0xA || point == 0xC || point == 0xD || point == 0x1680 ||
        (point >= 0x200B && point <= 0x200F) || point == 0x2028 || point == 0x2029 ||
        point == 0x2581 || point == 0xFEFF || point == 0xFFFD)
        out[0] = ' ';
    return 1;
}

static zmlx_status run_nmt(const zx_part *part, zx_work *work)
{
    (void)part;
    return map_points(&work->normal, nmt_point);
}

static size_t clean_point(uint32_t point, uint32_t out[4])
{
    const bool line = point == '\t' || point == '\n' || point == '\r';
    if (point == 0 || point == 0xFFFD || (!line && zx_is_other(point))) return 0;
    out[0] = zx_is_space(point) ? ' ' : point;
    return 1;
}

static size_t chinese_point(uint32_t point, uint32_t out[4])
{
    out[0] = point;
    if (!zx_is_chinese(point)) return 1;
    out[0] = out[2] = ' ';
    out[1] = point;
    return 3;
}

static size_t without_nonspacing(uint32_t point, uint32_t out[4])
{
    out[0] = point;
    return zx_is_nonspacing_mark(point) ? 0 : 1;
}

static zmlx_status run_bert(const zx_part *part, zx_work *work)
{
    zx_normal *const normal = &work->normal;
    const bool accents = part->accents_given ? part->accents : part->lowercase;
    if (part->clean) ZX_TRY(map_points(normal, clean_point));
    if (part->chinese) ZX_TRY(map_points(normal, chinese_point));
    if (accents) {
        ZX_TRY(zx_normal_form(normal, false, false));
        ZX_TRY(map_points(normal, without_nonspacing));
    }
    return part->lowercase ? map_points(normal, lower_point) : ZMLX_OK;
}

static zmlx_status prepare_charsmap(const zx_build *build, zx_part *part)
{
    if (part->text.length == 0) return ZMLX_OK;
    zx_charsmap *map;
    ZX_TRY(zx_charsmap_read_base64(build->source, part->text, &build->store->arena, &map));
    part->data = map;
    return ZMLX_OK;
}

static zmlx_status run_precompiled(const zx_part *part, zx_work *work)
{
    return part->data == NULL ? ZMLX_OK : zx_charsmap_run(part->data, &work->normal);
}

static zmlx_status run_sequence(const zx_part *part, zx_work *work)
{
    for (size_t i = 0; i < part->child_count; i++) ZX_TRY(zx_normalize(&part->children[i], work));
    return ZMLX_OK;
}

static zmlx_status prepare_replace(const zx_build *build, zx_part *part)
{
    if (part->regex != NULL) return ZMLX_OK;
    return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: a Replace has no \"pattern\"", build->source);
}

static const zx_field strip_fields[] = {
    {"strip_left", ZX_FIELD_FLAG, offsetof(zx_part, left), NULL},
    {"strip_right", ZX_FIELD_FLAG, offsetof(zx_part, right), NULL},
    {NULL, ZX_FIELD_FLAG, 0, NULL},
};
static const zx_field replace_fields[] = {
    {"pattern", ZX_FIELD_PATTERN, offsetof(zx_part, regex), NULL},
    {"content", ZX_FIELD_TEXT, offsetof(zx_part, text), NULL},
    {NULL, ZX_FIELD_FLAG, 0, NULL},
};
static const zx_field prepend_fields[] = {
    {"prepend", ZX_FIELD_TEXT, offsetof(zx_part, text), NULL},
    {NULL, ZX_FIELD_FLAG, 0, NULL},
};
static const zx_field bert_fields[] = {
    {"clean_text", ZX_FIELD_FLAG, offsetof(zx_part, clean), NULL},
    {"handle_chinese_chars", ZX_FIELD_FLAG, offsetof(zx_part, chinese), NULL},
    {"strip_accents", ZX_FIELD_FLAG, offsetof(zx_part, accents), NULL},
    {"lowercase", ZX_FIELD_FLAG, offsetof(zx_part, lowercase), NULL},
    {NULL, ZX_FIELD_FLAG, 0, NULL},
};
static const zx_field precompiled_fields[] = {
    {"precompiled_charsmap", ZX_FIELD_TEXT, offsetof(zx_part, text), NULL},
    {NULL, ZX_FIELD_FLAG, 0, NULL},
};
static const zx_field sequence_fields[] = {
    {"normalizers", ZX_FIELD_PARTS, 0, NULL},
    {NULL, ZX_FIELD_FLAG, 0, NULL},
};
static const zx_part strip_defaults = {.left = true, .right = true};
static const zx_part bert_defaults = {.clean = true, .chinese = true, .lowercase = true};

static const zx_part_row rows[] = {
    {.type = "Sequence", .fields = sequence_fields, .normalize = run_sequence},
    {.type = "NFC", .normalize = run_nfc},
    {.type = "NFD", .normalize = run_nfd},
    {.type = "NFKC", .normalize = run_nfkc},
    {.type = "NFKD", .normalize = run_nfkd},
    {.type = "Lowercase", .normalize = run_lowercase},
    {.type = "Strip", .fields = strip_fields, .defaults = &strip_defaults, .normalize = run_strip},
    {.type = "StripAccents", .normalize = run_strip_accents},
    {.type = "Replace",
     .fields = replace_fields,
     .prepare = prepare_replace,
     .normalize = run_replace},
    {.type = "Prepend", .fields = prepend_fields, .normalize = run_prepend},
    {.type = "ByteLevel", .normalize = run_byte_level},
    {.type = "Nmt", .normalize = run_nmt},
    {.type = "BertNormalizer",
     .fields = bert_fields,
     .defaults = &bert_defaults,
     .normalize = run_bert},
    {.type = "Precompiled",
     .fields = precompiled_fields,
     .prepare = prepare_charsmap,
     .normalize = run_precompiled},
};

const zx_part_table zx_normalizers = {"normalizer", rows, sizeof rows / sizeof *rows};
