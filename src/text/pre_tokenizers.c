/* pre_tokenizers.c - the rows of the pre-tokenizers: each cuts, and perhaps rewrites, the pieces.
 */
#include <string.h>

#include "base/fail.h"
#include "text/bytemap.h"
#include "text/part.h"
#include "text/split.h"
#include "text/unicode.h"

static const char gpt2_pattern[] =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/* Puts 'prefix' before pieces; 'wanted' says which. */
static zmlx_status prepend(zx_work *work, const char *prefix, size_t length,
                           bool (*wanted)(const zx_part *part, const zx_piece *piece,
                                          const char *bytes),
                           const zx_part *part)
{
    bool any = false;
    for (size_t i = 0; i < work->pieces.count && !any; i++) {
        const zx_piece *const piece = &work->pieces.items[i];
        any = piece->id < 0 && wanted(part, piece, work->bytes + piece->start);
    }
    if (!any) return ZMLX_OK;
    zx_text_clear(&work->rewritten);
    for (size_t i = 0; i < work->pieces.count; i++) {
        zx_piece piece = work->pieces.items[i];
        const char *const bytes = work->bytes + piece.start;
        const bool add = piece.id < 0 && wanted(part, &piece, bytes);
        piece.start = work->rewritten.length;
        if (add) ZX_TRY(zx_text_add(&work->rewritten, prefix, length));
        ZX_TRY(zx_text_add(&work->rewritten, bytes, piece.length));
        if (add) piece.length += length;
        if (add && piece.origin > 0) piece.origin += length;
        ZX_TRY(zx_work_cut(work, piece));
    }
    zx_work_commit(work, true);
    return ZMLX_OK;
}

static bool lacks_space(const zx_part *part, const zx_piece *piece, const char *bytes)
{
    (void)part;
    return piece->length > 0 && bytes[0] != ' ';
}

static zmlx_status map_bytes(zx_work *work)
{
    zx_text *const out = &work->rewritten;
    zx_text_clear(out);
    for (size_t i = 0; i < work->pieces.count; i++) {
        zx_piece piece = work->pieces.items[i];
        const unsigned char *const bytes = (const unsigned char *)work->bytes + piece.start;
        if (out->length + piece.length * 2 >= out->capacity)
            ZX_TRY(zx_text_room(out, piece.length * 2));
        char *at = out->bytes + out->length;
        size_t origin = 0;
        for (size_t j = 0; j < piece.length && piece.id < 0; j++) {
            at += zx_byte_write(bytes[j], at);
            if (j < piece.origin) origin = (size_t)(at - out->bytes) - out->length;
        }
        piece.start = out->length;
        piece.length = (size_t)(at - out->bytes) - out->length;
        piece.origin = origin;
        out->length += piece.length;
        ZX_TRY(zx_work_cut(work, piece));
    }
    zx_work_commit(work, true);
    return ZMLX_OK;
}

static zmlx_status prepare_byte_level(const zx_build *build, zx_part *part)
{
    if (!part->use_regex) return ZMLX_OK;
    return zx_build_regex(build, gpt2_pattern, strlen(gpt2_pattern), false, &part->regex);
}

static zmlx_status run_byte_level(const zx_part *part, zx_work *work)
{
    if (part->add_prefix_space) ZX_TRY(prepend(work, " ", 1, lacks_space, part));
    if (part->use_regex)
        ZX_TRY(zx_split_pieces(work, &(zx_finder){.regex = part->regex}, ZX_ISOLATED, false));
    return map_bytes(work);
}

static zmlx_status prepare_split(const zx_build *build, zx_part *part)
{
    if (part->regex != NULL) return ZMLX_OK;
    return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: a Split has no \"pattern\"", build->source);
}

static zmlx_status run_split(const zx_part *part, zx_work *work)
{
    return zx_split_pieces(work, &(zx_finder){.regex = part->regex}, part->behavior, part->invert);
}

static zmlx_status run_digits(const zx_part *part, zx_work *work)
{
    return zx_split_pieces(work, &(zx_finder){.class = zx_is_number},
                           part->individual ? ZX_ISOLATED : ZX_CONTIGUOUS, false);
}

static zmlx_status run_punctuation(const zx_part *part, zx_work *work)
{
    return zx_split_pieces(work, &(zx_finder){.class = zx_is_punctuation}, part->behavior, false);
}

static zmlx_status run_whitespace_split(const zx_part *part, zx_work *work)
{
    (void)part;
    return zx_split_pieces(work, &(zx_finder){.class = zx_is_space}, ZX_REMOVED, false);
}

/* A run of word characters, or one of characters that are neither words nor spaces. */
static bool next_run(const char *bytes, size_t length, size_t at, size_t *start, size_t *end)
{
    int kind = 0; /* 1: word, 2: neither */
    while (at < length) {
        uint32_t point;
        const size_t step = zx_utf8_next(bytes + at, &point);
        const int here = zx_is_word(point) ? 1 : zx_is_space(point) ? 0 : 2;
        if (kind != 0 && here != kind) break;
        if (kind == 0) *start = at;
        kind = here;
        at += step;
        *end = at;
    }
    return kind != 0;
}

static zmlx_status run_whitespace(const zx_part *part, zx_work *work)
{
    (void)part;
    return zx_split_pieces(work, &(zx_finder){.next = next_run}, ZX_REMOVED, true);
}

static zmlx_status run_bert(const zx_part *part, zx_work *work)
{
    ZX_TRY(run_whitespace_split(part, work));
    return zx_split_pieces(work, &(zx_finder){.class = zx_is_punctuation}, ZX_ISOLATED, false);
}

static zmlx_status run_delimiter(const zx_part *part, zx_work *work)
{
    return zx_split_pieces(work, &(zx_finder){.point = part->point}, ZX_REMOVED, false);
}

static bool begins_with(const zx_part *part, const zx_piece *piece, const char *bytes)
{
    return piece->length >= part->text.length &&
           memcmp(bytes, part->text.bytes, part->text.length) == 0;
}

static bool wants_replacement(const zx_part *part, const zx_piece *piece, const char *bytes)
{
    if (part->scheme == ZX_PREPEND_NEVER || piece->length == 0) return false;
    if (part->scheme == ZX_PREPEND_FIRST && piece->origin == 0) return false;
    return part->scheme == ZX_PREPEND_AGAIN || !begins_with(part, piece, bytes);
}

/* 'text' becomes the replacement as UTF-8. */
static zmlx_status prepare_metaspace(const zx_build *build, zx_part *part)
{
    void *memory;
    ZX_TRY(zx_arena_alloc(&build->store->arena, 4, &memory));
    part->text = (zx_string_view){memory, zx_utf8_encode(part->point, memory)};
    if (part->prefix_given && !part->add_prefix_space) part->scheme = ZX_PREPEND_NEVER;
    return ZMLX_OK;
}

static zmlx_status replace_spaces(const zx_part *part, zx_work *work)
{
    zx_text *const out = &work->rewritten;
    zx_text_clear(out);
    for (size_t i = 0; i < work->pieces.count; i++) {
        zx_piece piece = work->pieces.items[i];
        const char *const bytes = work->bytes + piece.start;
        const size_t start = out->length, source_origin = piece.origin;
        piece.origin = 0;
        for (size_t from = 0; from < piece.length;) {
            const char *const space = memchr(bytes + from, ' ', piece.length - from);
            const size_t to = space == NULL ? piece.length : (size_t)(space - bytes);
            ZX_TRY(zx_text_add(out, bytes + from, to - from));
            if (from < source_origin)
                piece.origin = out->length - start - (to > source_origin ? to - source_origin : 0);
            if (space != NULL) ZX_TRY(zx_text_add(out, part->text.bytes, part->text.length));
            if (space != NULL && to < source_origin) piece.origin = out->length - start;
            from = space == NULL ? to : to + 1;
        }
        piece.start = start;
        piece.length = out->length - start;
        ZX_TRY(zx_work_cut(work, piece));
    }
    zx_work_commit(work, true);
    return ZMLX_OK;
}

static zmlx_status run_metaspace(const zx_part *part, zx_work *work)
{
    ZX_TRY(replace_spaces(part, work));
    ZX_TRY(prepend(work, part->text.bytes, part->text.length, wants_replacement, part));
    if (!part->split) return ZMLX_OK;
    return zx_split_pieces(work, &(zx_finder){.point = part->point}, ZX_MERGED_WITH_NEXT, false);
}

static zmlx_status prepare_fixed_length(const zx_build *build, zx_part *part)
{
    if (part->length > 0) return ZMLX_OK;
    return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: FixedLength needs a \"length\" of at least 1",
                   build->source);
}

static zmlx_status run_fixed_length(const zx_part *part, zx_work *work)
{
    for (size_t i = 0; i < work->pieces.count; i++) {
        const zx_piece *const piece = &work->pieces.items[i];
        const char *const bytes = work->bytes + piece->start;
        if (piece->id >= 0) ZX_TRY(zx_work_cut(work, *piece));
        for (size_t at = 0; at < piece->length && piece->id < 0;) {
            size_t end = at;
            uint32_t point;
            for (size_t n = 0; n < part->length && end < piece->length; n++)
                end += zx_utf8_next(bytes + end, &point);
            ZX_TRY(zx_work_cut(work, zx_piece_part(piece, at, end - at)));
            at = end;
        }
    }
    zx_work_commit(work, false);
    return ZMLX_OK;
}

/* Runs of one script.  Spaces and code points without a script go with what is before them, and
 * vanish at the start; Japanese kana counts as Han. */
static zmlx_status prepare_scripts(const zx_build *build, zx_part *part)
{
    static const char names[] =
        "Latin Cyrillic Greek Arabic Hebrew Devanagari Hangul Thai Inherited Armenian "
        "Georgian Bengali Tamil Telugu Kannada Malayalam Gujarati Gurmukhi Oriya Sinhala Lao "
        "Tibetan Myanmar Ethiopic Khmer Mongolian Cherokee Canadian_Aboriginal Ogham Runic "
        "Tagalog Hanunoo Buhid Tagbanwa Limbu Tai_Le New_Tai_Lue Buginese Tai_Tham Balinese "
        "Sundanese Batak Lepcha Ol_Chiki Glagolitic Coptic Tifinagh Bopomofo Yi Lisu Vai Bamum "
        "Syloti_Nagri Phags_Pa Saurashtra Kayah_Li Rejang Javanese Cham Tai_Viet Meetei_Mayek "
        "Linear_B Lycian Carian Old_Italic Gothic Old_Permic Ugaritic Old_Persian Deseret "
        "Shavian Osmanya Osage Elbasan Caucasian_Albanian Linear_A Cypriot Imperial_Aramaic "
        "Palmyrene Nabataean Hatran Phoenician Lydian Meroitic_Hieroglyphs Meroitic_Cursive "
        "Kharoshthi Old_South_Arabian Old_North_Arabian Manichaean Avestan "
        "Inscriptional_Parthian Inscriptional_Pahlavi Psalter_Pahlavi Old_Turkic Old_Hungarian "
        "Brahmi Kaithi Sora_Sompeng Chakma Mahajani Sharada Khojki Multani Khudawadi Grantha Newa "
        "Tirhuta Siddham Modi Takri Ahom Warang_Citi Pau_Cin_Hau Bhaiksuki Marchen Cuneiform "
        "Anatolian_Hieroglyphs Mro Bassa_Vah Pahawh_Hmong Miao Tangut Duployan SignWriting "
        "Mende_Kikakui Adlam Braille Syriac Thaana Nko Samaritan Mandaic Egyptian_Hieroglyphs ";
    /* Younger scripts count as none.  So do younger code points of old scripts in the format's
     * table, but not here: they are 125 ranges. */
    static const char none[] =
        " \\p{Cn}\\p{Co}\\p{Dogra}\\p{Gunjala_Gondi}\\p{Hanifi_Rohingya}\\p{Makasar}"
        "\\p{Medefaidrin}\\p{Old_Sogdian}\\p{Sogdian}\\p{Elymaic}\\p{Nandinagari}"
        "\\p{Nyiakeng_Puachue_Hmong}\\p{Wancho}\\p{Chorasmian}\\p{Dives_Akuru}"
        "\\p{Khitan_Small_Script}\\p{Yezidi}\\p{Cypro_Minoan}\\p{Old_Uyghur}\\p{Tangsa}"
        "\\p{Toto}\\p{Vithkuqi}\\p{Masaram_Gondi}\\p{Nushu}\\p{Soyombo}\\p{Zanabazar_Square}";
    /* What the format's own table, of Unicode 9, has elsewhere than newer ones. */
    static const struct {
        const char *script, *more, *less;
    } moved[] = {
        {"Armenian ", "", "(?!\\x{589})"}, /* to Common, as the next one */
        {"Arabic ", "", "(?!\\x{61c})"},
        {"Devanagari ", "\\x{953}\\x{954}", ""},
        {"Inherited ", "", "(?![\\x{953}\\x{954}])"},
    };
    zx_text pattern = {0};
    zmlx_status status = zx_text_format(&pattern,
                                        "[\\p{Han}\\p{Hiragana}\\p{Katakana}\\x{30fc}]"
                                        "[\\p{Han}\\p{Hiragana}\\p{Katakana}\\x{30fc}%s]*"
                                        "|(?![ \\x{30fc}])[\\p{Common}\\x{589}\\x{61c}]"
                                        "(?:(?!\\x{30fc})[\\p{Common}\\x{589}\\x{61c}%s])*",
                                        none, none);
    for (const char *at = names; status == ZMLX_OK && *at != 0;) {
        const int length = (int)strcspn(at, " ");
        const char *more = "", *less = "";
        for (size_t i = 0; i < sizeof moved / sizeof *moved; i++) {
            if (strncmp(moved[i].script, at, (size_t)length + 1) != 0) continue;
            more = moved[i].more;
            less = moved[i].less;
        }
        status = zx_text_format(&pattern, "|%s[\\p{%.*s}%s](?:%s[\\p{%.*s}%s%s])*+", less, length,
                                at, more, less, length, at, more, none);
        at += length + 1;
    }
    if (status == ZMLX_OK)
        status = zx_build_regex(build, pattern.bytes, pattern.length, false, &part->regex);
    zx_text_fini(&pattern);
    return status;
}

static zmlx_status run_scripts(const zx_part *part, zx_work *work)
{
    return zx_split_pieces(work, &(zx_finder){.regex = part->regex}, ZX_REMOVED, true);
}

static zmlx_status run_sequence(const zx_part *part, zx_work *work)
{
    for (size_t i = 0; i < part->child_count; i++)
        ZX_TRY(zx_pre_tokenize(&part->children[i], work));
    return ZMLX_OK;
}

static const char *const behaviors[] = {"Removed",        "Isolated",   "MergedWithPrevious",
                                        "MergedWithNext", "Contiguous", NULL};
static const char *const schemes[] = {"always", "first", "never", NULL};

static const zx_field byte_level_fields[] = {
    {"add_prefix_space", ZX_FIELD_FLAG, offsetof(zx_part, add_prefix_space), NULL},
    {"use_regex", ZX_FIELD_FLAG, offsetof(zx_part, use_regex), NULL},
    {NULL, ZX_FIELD_FLAG, 0, NULL},
};
static const zx_field split_fields[] = {
    {"pattern", ZX_FIELD_PATTERN, offsetof(zx_part, regex), NULL},
    {"behavior", ZX_FIELD_CHOICE, offsetof(zx_part, behavior), behaviors},
    {"invert", ZX_FIELD_FLAG, offsetof(zx_part, invert), NULL},
    {NULL, ZX_FIELD_FLAG, 0, NULL},
};
static const zx_field digits_fields[] = {
    {"individual_digits", ZX_FIELD_FLAG, offsetof(zx_part, individual), NULL},
    {NULL, ZX_FIELD_FLAG, 0, NULL},
};
static const zx_field delimiter_fields[] = {
    {"delimiter", ZX_FIELD_POINT, offsetof(zx_part, point), NULL},
    {NULL, ZX_FIELD_FLAG, 0, NULL},
};
static const zx_field metaspace_fields[] = {
    {"replacement", ZX_FIELD_POINT, offsetof(zx_part, point), NULL},
    {"prepend_scheme", ZX_FIELD_CHOICE, offsetof(zx_part, scheme), schemes},
    {"add_prefix_space", ZX_FIELD_FLAG, offsetof(zx_part, add_prefix_space), NULL},
    {"split", ZX_FIELD_FLAG, offsetof(zx_part, split), NULL},
    {NULL, ZX_FIELD_FLAG, 0, NULL},
};
static const zx_field length_fields[] = {
    {"length", ZX_FIELD_COUNT, offsetof(zx_part, length), NULL},
    {NULL, ZX_FIELD_FLAG, 0, NULL},
};
static const zx_field sequence_fields[] = {
    {"pretokenizers", ZX_FIELD_PARTS, 0, NULL},
    {NULL, ZX_FIELD_FLAG, 0, NULL},
};
static const zx_part byte_level_defaults = {.add_prefix_space = true, .use_regex = true};
static const zx_part isolated_default = {.behavior = ZX_ISOLATED};
static const zx_part metaspace_defaults = {.point = 0x2581, .split = true};
static const zx_part length_default = {.length = 5};

static const zx_part_row rows[] = {
    {.type = "Sequence", .fields = sequence_fields, .split = run_sequence},
    {.type = "ByteLevel",
     .fields = byte_level_fields,
     .defaults = &byte_level_defaults,
     .prepare = prepare_byte_level,
     .split = run_byte_level},
    {.type = "Split", .fields = split_fields, .prepare = prepare_split, .split = run_split},
    {.type = "Digits", .fields = digits_fields, .split = run_digits},
    {.type = "Punctuation",
     .fields = &split_fields[1],
     .defaults = &isolated_default,
     .split = run_punctuation},
    {.type = "Whitespace", .split = run_whitespace},
    {.type = "WhitespaceSplit", .split = run_whitespace_split},
    {.type = "BertPreTokenizer", .split = run_bert},
    {.type = "CharDelimiterSplit", .fields = delimiter_fields, .split = run_delimiter},
    {.type = "Metaspace",
     .fields = metaspace_fields,
     .defaults = &metaspace_defaults,
     .prepare = prepare_metaspace,
     .split = run_metaspace},
    {.type = "UnicodeScripts", .prepare = prepare_scripts, .split = run_scripts},
    {.type = "FixedLength",
     .fields = length_fields,
     .defaults = &length_default,
     .prepare = prepare_fixed_length,
     .split = run_fixed_length},
};

const zx_part_table zx_pre_tokenizers = {"pre-tokenizer", rows, sizeof rows / sizeof *rows};
