/* decoders.c - the rows of the decoders.
 *
 * decode(decoding, stage, bytes, count, end) gets bytes of a token, or a whole token where the row
 * says 'whole', and hands on with give().  bytes NULL means that all tokens have come. */
#include <string.h>

#include "base/fail.h"
#include "text/bytemap.h"
#include "text/decode.h"
#include "text/unicode.h"

static zmlx_status give(zx_decoding *decoding, size_t stage, const char *bytes, size_t count,
                        bool end)
{
    return zx_decoding_give(decoding, stage + 1, bytes, count, end);
}

static void swap(zx_text *a, zx_text *b)
{
    const zx_text old = *a;
    *a = *b;
    *b = old;
}

/* As Rust's replace does where there is nothing to look for: 'to' before each character and behind
 * the last. */
static zmlx_status put_between(zx_text *text, zx_text *scratch, const char *to)
{
    zx_text_clear(scratch);
    ZX_TRY(zx_text_add_string(scratch, to));
    for (size_t at = 0; at < text->length;) {
        uint32_t point;
        const size_t length = zx_utf8_next(text->bytes + at, &point);
        ZX_TRY(zx_text_add(scratch, text->bytes + at, length));
        ZX_TRY(zx_text_add_string(scratch, to));
        at += length;
    }
    swap(text, scratch);
    return ZMLX_OK;
}

/* Replaces each 'from' in a text in place of scratch; 'to' may be empty. */
static zmlx_status replace_all(zx_text *text, zx_text *scratch, const char *from,
                               size_t from_length, const char *to)
{
    if (from_length == 0) return *to == 0 ? ZMLX_OK : put_between(text, scratch, to);
    if (text->length < from_length) return ZMLX_OK;
    const char *at = text->bytes, *const end = text->bytes + text->length;
    const char *hit = memmem(at, text->length, from, from_length);
    if (hit == NULL) return ZMLX_OK;
    zx_text_clear(scratch);
    while (hit != NULL) {
        ZX_TRY(zx_text_add(scratch, at, (size_t)(hit - at)));
        ZX_TRY(zx_text_add_string(scratch, to));
        at = hit + from_length;
        hit = memmem(at, (size_t)(end - at), from, from_length);
    }
    ZX_TRY(zx_text_add(scratch, at, (size_t)(end - at)));
    swap(text, scratch);
    return ZMLX_OK;
}

/* Puts punctuation and English contractions back to the word before. */
static zmlx_status clean_up(zx_text *text, zx_text *scratch)
{
    static const char *const pairs[][2] = {
        {" .", "."},   {" ?", "?"},     {" !", "!"},     {" ,", ","},
        {" ' ", "'"},  {" n't", "n't"}, {" 'm", "'m"},   {" do not", " don't"},
        {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        ZX_TRY(replace_all(text, scratch, pairs[i][0], strlen(pairs[i][0]), pairs[i][1]));
    return ZMLX_OK;
}

/* ByteLevel: every token's characters stand for bytes, unless one of them does not; then
 * the token is its own bytes.  All tokens become one text. */
static zmlx_status decode_byte_level(zx_decoding *decoding, size_t stage, const char *bytes,
                                     size_t count, bool end)
{
    (void)end;
    zx_text *const held = &decoding->stages[stage].held, *const text =
                                                             &decoding->stages[stage].scratch;
    const size_t before = held->length;
    ZX_TRY(zx_text_room(held, count));
    for (size_t at = 0; at < count;) {
        uint32_t point;
        at += zx_utf8_next(bytes + at, &point);
        const int byte = zx_point_to_byte(point);
        if (byte < 0) {
            held->length = before;
            ZX_TRY(zx_text_add(held, bytes, count));
            break;
        }
        held->bytes[held->length++] = (char)byte;
    }
    size_t taken;
    zx_text_clear(text);
    ZX_TRY(zx_text_add_lossy(text, held->bytes, held->length, bytes == NULL, &taken));
    memmove(held->bytes, held->bytes + taken, held->length - taken);
    held->length -= taken;
    return give(decoding, stage, text->length == 0 ? "" : text->bytes, text->length, bytes == NULL);
}

static zmlx_status decode_fuse(zx_decoding *decoding, size_t stage, const char *bytes, size_t count,
                               bool end)
{
    (void)end;
    return give(decoding, stage, bytes == NULL ? "" : bytes, count, bytes == NULL);
}

/* Hands on the held token, which is now known not to be the last one. */
static zmlx_status give_suffixed(zx_decoding *decoding, size_t stage, const char *space)
{
    zx_stage *const own = &decoding->stages[stage];
    const zx_part *const part = own->part;
    ZX_TRY(replace_all(&own->held, &own->scratch, part->text.bytes, part->text.length, space));
    ZX_TRY(give(decoding, stage, own->held.length == 0 ? "" : own->held.bytes, own->held.length,
                true));
    zx_text_clear(&own->held);
    return ZMLX_OK;
}

/* BPEDecoder: the suffix of a word's last token is a space, at the very end nothing. */
static zmlx_status decode_bpe(zx_decoding *decoding, size_t stage, const char *bytes, size_t count,
                              bool end)
{
    (void)end;
    zx_stage *const own = &decoding->stages[stage];
    if (own->flag) ZX_TRY(give_suffixed(decoding, stage, bytes == NULL ? "" : " "));
    own->flag = bytes != NULL;
    return bytes == NULL ? ZMLX_OK : zx_text_add(&own->held, bytes, count);
}

static zmlx_status decode_wordpiece(zx_decoding *decoding, size_t stage, const char *bytes,
                                    size_t count, bool end)
{
    (void)end;
    if (bytes == NULL) return ZMLX_OK;
    zx_stage *const own = &decoding->stages[stage];
    const zx_string_view prefix = own->part->text;
    zx_text *const text = &own->held;
    zx_text_clear(text);
    const bool joined = count >= prefix.length && memcmp(bytes, prefix.bytes, prefix.length) == 0;
    if (own->count > 0 && joined) {
        bytes += prefix.length;
        count -= prefix.length;
    } else if (own->count > 0) {
        ZX_TRY(zx_text_add(text, " ", 1));
    }
    ZX_TRY(zx_text_add(text, bytes, count));
    if (own->part->clean) ZX_TRY(clean_up(text, &own->scratch));
    own->count++;
    return give(decoding, stage, text->length == 0 ? "" : text->bytes, text->length, true);
}

static zmlx_status decode_metaspace(zx_decoding *decoding, size_t stage, const char *bytes,
                                    size_t count, bool end)
{
    (void)end;
    if (bytes == NULL) return ZMLX_OK;
    zx_stage *const own = &decoding->stages[stage];
    const bool drop = own->count == 0 && own->part->scheme != ZX_PREPEND_NEVER;
    zx_text_clear(&own->held);
    ZX_TRY(zx_text_add(&own->held, bytes, count));
    ZX_TRY(replace_all(&own->held, &own->scratch, own->part->text.bytes, own->part->text.length,
                       drop ? "" : " "));
    own->count++;
    return give(decoding, stage, own->held.length == 0 ? "" : own->held.bytes, own->held.length,
                true);
}

/* The byte of "<0x41>", or -1.  A sign before one digit is taken as well, as Rust reads numbers. */
static int fallback_byte(const char *bytes, size_t count)
{
    if (count != 6 || memcmp(bytes, "<0x", 3) != 0 || bytes[5] != '>') return -1;
    int value = 0;
    for (int i = 3; i < 5; i++) {
        const char c = bytes[i];
        if (i == 3 && c == '+') continue;
        const int digit = c >= '0' && c <= '9'   ? c - '0'
                          : c >= 'a' && c <= 'f' ? c - 'a' + 10
                          : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                                 : -1;
        if (digit < 0) return -1;
        value = value * 16 + digit;
    }
    return value;
}

static zmlx_status flush_bytes(zx_decoding *decoding, size_t stage)
{
    zx_text *const held = &decoding->stages[stage].held;
    if (held->length == 0) return ZMLX_OK;
    if (zx_utf8_valid(held->bytes, held->length)) {
        ZX_TRY(give(decoding, stage, held->bytes, held->length, true));
    } else {
        for (size_t i = 0; i < held->length; i++)
            ZX_TRY(give(decoding, stage, "\xEF\xBF\xBD", 3, true));
    }
    zx_text_clear(held);
    return ZMLX_OK;
}

/* SentencePiece's way with a run of byte tokens: its characters as they come, one U+FFFD for each
 * byte that is in none. */
static zmlx_status give_characters(zx_decoding *decoding, size_t stage, bool final)
{
    zx_text *const held = &decoding->stages[stage].held;
    size_t at = 0;
    while (at < held->length) {
        uint32_t point;
        const size_t left = held->length - at;
        const size_t length = zx_utf8_decode(held->bytes + at, left, &point);
        if (length == 0 && !final && zx_utf8_incomplete_tail(held->bytes + at, left) == left) break;
        ZX_TRY(length == 0 ? give(decoding, stage, "\xEF\xBF\xBD", 3, true)
                           : give(decoding, stage, held->bytes + at, length, true));
        at += length == 0 ? 1 : length;
    }
    if (at > 0) memmove(held->bytes, held->bytes + at, held->length - at);
    held->length -= at;
    return ZMLX_OK;
}

/* ByteFallback: a run of byte tokens is a text if it is UTF-8, else one U+FFFD for each; so nothing
 * of it is certain before it ends. */
static zmlx_status decode_byte_fallback(zx_decoding *decoding, size_t stage, const char *bytes,
                                        size_t count, bool end)
{
    (void)end;
    const int byte = bytes == NULL ? -1 : fallback_byte(bytes, count);
    const bool by_character = decoding->stages[stage].part->individual;
    if (byte >= 0) {
        const char one = (char)byte;
        ZX_TRY(zx_text_add(&decoding->stages[stage].held, &one, 1));
        return by_character ? give_characters(decoding, stage, false) : ZMLX_OK;
    }
    ZX_TRY(by_character ? give_characters(decoding, stage, true) : flush_bytes(decoding, stage));
    return bytes == NULL ? ZMLX_OK : give(decoding, stage, bytes, count, true);
}

/* Strip: takes up to 'start' characters 'point' from the front of each token and up to 'stop' from
 * its back.  count is how many went from the front; flag says that the front is past. */
static zmlx_status decode_strip(zx_decoding *decoding, size_t stage, const char *bytes,
                                size_t count, bool end)
{
    if (bytes == NULL) return ZMLX_OK;
    zx_stage *const own = &decoding->stages[stage];
    const zx_part *const part = own->part;
    char unit[4];
    const size_t length = zx_utf8_encode(part->point, unit);
    while (!own->flag && count > 0) {
        own->flag = own->count >= part->start || count < length || memcmp(bytes, unit, length) != 0;
        if (own->flag) break;
        bytes += length;
        count -= length;
        own->count++;
    }
    ZX_TRY(zx_text_add(&own->held, bytes, count));
    size_t keep = own->held.length, run = 0;
    while (run < part->stop && keep >= length &&
           memcmp(own->held.bytes + keep - length, unit, length) == 0) {
        keep -= length;
        run++;
    }
    ZX_TRY(give(decoding, stage, keep == 0 ? "" : own->held.bytes, keep, end));
    if (end) {
        own->count = 0;
        own->flag = false;
        keep = own->held.length;
    }
    if (keep > 0) memmove(own->held.bytes, own->held.bytes + keep, own->held.length - keep);
    own->held.length -= keep;
    return ZMLX_OK;
}

/* Replaces what is certain in the held text and keeps what may be the start of a match. */
static zmlx_status replace_literal(zx_decoding *decoding, size_t stage, bool end)
{
    zx_stage *const own = &decoding->stages[stage];
    const zx_regex *const regex = own->part->regex;
    zx_text *const held = &own->held;
    size_t at = 0;
    while (at < held->length) {
        const char *const hit =
            memmem(held->bytes + at, held->length - at, regex->literal, regex->literal_length);
        if (hit == NULL) break;
        const size_t place = (size_t)(hit - held->bytes);
        ZX_TRY(give(decoding, stage, held->bytes + at, place - at, false));
        ZX_TRY(give(decoding, stage, own->part->text.bytes, own->part->text.length, false));
        at = place + regex->literal_length;
    }
    size_t tail = held->length - at;
    if (!end && tail >= regex->literal_length) tail = regex->literal_length - 1;
    while (!end && tail > 0 && memcmp(held->bytes + held->length - tail, regex->literal, tail) != 0)
        tail--;
    if (end) tail = 0;
    ZX_TRY(give(decoding, stage, held->length == 0 ? "" : held->bytes + at,
                held->length - tail - at, end));
    if (tail > 0) memmove(held->bytes, held->bytes + held->length - tail, tail);
    held->length = tail;
    return ZMLX_OK;
}

static zmlx_status replace_pattern(zx_decoding *decoding, size_t stage)
{
    zx_stage *const own = &decoding->stages[stage];
    const zx_text *const held = &own->held;
    const char *const bytes = held->length == 0 ? "" : held->bytes;
    zx_matches matches;
    zx_matches_start(&matches, own->part->regex, &decoding->matcher, bytes, held->length);
    size_t at = 0, start, stop;
    for (;;) {
        bool found;
        ZX_TRY(zx_matches_next(&matches, &found, &start, &stop));
        if (!found) break;
        ZX_TRY(give(decoding, stage, bytes + at, start - at, false));
        ZX_TRY(give(decoding, stage, own->part->text.bytes, own->part->text.length, false));
        at = stop;
    }
    ZX_TRY(give(decoding, stage, bytes + at, held->length - at, true));
    zx_text_clear(&own->held);
    return ZMLX_OK;
}

static zmlx_status decode_replace(zx_decoding *decoding, size_t stage, const char *bytes,
                                  size_t count, bool end)
{
    if (bytes == NULL) return ZMLX_OK;
    zx_stage *const own = &decoding->stages[stage];
    ZX_TRY(zx_text_add(&own->held, bytes, count));
    if (own->part->regex->literal != NULL) return replace_literal(decoding, stage, end);
    return end ? replace_pattern(decoding, stage) : ZMLX_OK;
}

/* CTC: a repeated token counts once, the padding token is nothing.  held is the last token. */
static zmlx_status decode_ctc(zx_decoding *decoding, size_t stage, const char *bytes, size_t count,
                              bool end)
{
    (void)end;
    if (bytes == NULL) return ZMLX_OK;
    zx_stage *const own = &decoding->stages[stage];
    const zx_part *const part = own->part;
    if (own->flag && own->held.length == count &&
        (count == 0 || memcmp(own->held.bytes, bytes, count) == 0))
        return ZMLX_OK;
    own->flag = true;
    zx_text text = {0};
    zx_text_clear(&own->held);
    zmlx_status status = zx_text_add(&own->held, bytes, count);
    if (status == ZMLX_OK) status = zx_text_add(&text, bytes, count);
    if (status == ZMLX_OK)
        status = replace_all(&text, &own->scratch, part->text.bytes, part->text.length, "");
    if (status == ZMLX_OK && part->clean) status = clean_up(&text, &own->scratch);
    if (status == ZMLX_OK && part->clean)
        status = replace_all(&text, &own->scratch, part->second.bytes, part->second.length, " ");
    if (status == ZMLX_OK && text.length > 0)
        status = give(decoding, stage, text.bytes, text.length, true);
    zx_text_fini(&text);
    return status;
}

/* The space that SentencePiece's normalizer put before the text: 'left' says that it did, 'right'
 * that it takes away spaces at the start.  flag is set once something was written. */
static zmlx_status decode_spm_start(zx_decoding *decoding, size_t stage, const char *bytes,
                                    size_t count, bool end)
{
    (void)end;
    if (bytes == NULL) return ZMLX_OK;
    zx_stage *const own = &decoding->stages[stage];
    const bool space =
        own->part->left && !own->flag && count >= 3 && memcmp(bytes, "\xE2\x96\x81", 3) == 0;
    if (space) {
        bytes += 3;
        count -= 3;
    }
    own->flag |= count > 0 || (space && !own->part->right);
    return give(decoding, stage, bytes, count, true);
}

const zx_part_row zx_spm_start = {
    .type = "SentencePieceStart", .decode = decode_spm_start, .whole = true};

static zmlx_status prepare_point(const zx_build *build, zx_part *part)
{
    void *memory;
    ZX_TRY(zx_arena_alloc(&build->store->arena, 4, &memory));
    part->text = (zx_string_view){memory, zx_utf8_encode(part->point, memory)};
    if (part->prefix_given && !part->add_prefix_space) part->scheme = ZX_PREPEND_NEVER;
    return ZMLX_OK;
}

static zmlx_status prepare_replace(const zx_build *build, zx_part *part)
{
    if (part->text.bytes == NULL) part->text.bytes = "";
    if (part->regex != NULL) return ZMLX_OK;
    return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: a Replace has no \"pattern\"", build->source);
}

static const char *const schemes[] = {"always", "first", "never", NULL};

static const zx_field bpe_fields[] = {
    {"suffix", ZX_FIELD_TEXT, offsetof(zx_part, text), NULL},
    {NULL, ZX_FIELD_FLAG, 0, NULL},
};
static const zx_field wordpiece_fields[] = {
    {"prefix", ZX_FIELD_TEXT, offsetof(zx_part, text), NULL},
    {"cleanup", ZX_FIELD_FLAG, offsetof(zx_part, clean), NULL},
    {NULL, ZX_FIELD_FLAG, 0, NULL},
};
static const zx_field metaspace_fields[] = {
    {"replacement", ZX_FIELD_POINT, offsetof(zx_part, point), NULL},
    {"prepend_scheme", ZX_FIELD_CHOICE, offsetof(zx_part, scheme), schemes},
    {"add_prefix_space", ZX_FIELD_FLAG, offsetof(zx_part, add_prefix_space), NULL},
    {NULL, ZX_FIELD_FLAG, 0, NULL},
};
static const zx_field strip_fields[] = {
    {"content", ZX_FIELD_POINT, offsetof(zx_part, point), NULL},
    {"start", ZX_FIELD_COUNT, offsetof(zx_part, start), NULL},
    {"stop", ZX_FIELD_COUNT, offsetof(zx_part, stop), NULL},
    {NULL, ZX_FIELD_FLAG, 0, NULL},
};
static const zx_field replace_fields[] = {
    {"pattern", ZX_FIELD_PATTERN, offsetof(zx_part, regex), NULL},
    {"content", ZX_FIELD_TEXT, offsetof(zx_part, text), NULL},
    {NULL, ZX_FIELD_FLAG, 0, NULL},
};
static const zx_field ctc_fields[] = {
    {"pad_token", ZX_FIELD_TEXT, offsetof(zx_part, text), NULL},
    {"word_delimiter_token", ZX_FIELD_TEXT, offsetof(zx_part, second), NULL},
    {"cleanup", ZX_FIELD_FLAG, offsetof(zx_part, clean), NULL},
    {NULL, ZX_FIELD_FLAG, 0, NULL},
};
static const zx_field sequence_fields[] = {
    {"decoders", ZX_FIELD_PARTS, 0, NULL},
    {NULL, ZX_FIELD_FLAG, 0, NULL},
};
static const zx_part bpe_defaults = {.text = {"</w>", 4}};
static const zx_part wordpiece_defaults = {.text = {"##", 2}, .clean = true};
static const zx_part metaspace_defaults = {.point = 0x2581};
static const zx_part strip_defaults = {.point = ' '};
static const zx_part ctc_defaults = {.text = {"<pad>", 5}, .second = {"|", 1}, .clean = true};

static const zx_part_row rows[] = {
    {.type = "Sequence", .fields = sequence_fields},
    {.type = "ByteLevel", .decode = decode_byte_level, .whole = true},
    {.type = "ByteFallback", .decode = decode_byte_fallback, .whole = true},
    {.type = "Fuse", .decode = decode_fuse},
    {.type = "Strip", .fields = strip_fields, .defaults = &strip_defaults, .decode = decode_strip},
    {.type = "Replace",
     .fields = replace_fields,
     .prepare = prepare_replace,
     .decode = decode_replace},
    {.type = "Metaspace",
     .fields = metaspace_fields,
     .defaults = &metaspace_defaults,
     .prepare = prepare_point,
     .decode = decode_metaspace,
     .whole = true},
    {.type = "WordPiece",
     .fields = wordpiece_fields,
     .defaults = &wordpiece_defaults,
     .decode = decode_wordpiece,
     .whole = true},
    {.type = "BPEDecoder",
     .fields = bpe_fields,
     .defaults = &bpe_defaults,
     .decode = decode_bpe,
     .whole = true},
    {.type = "CTC",
     .fields = ctc_fields,
     .defaults = &ctc_defaults,
     .decode = decode_ctc,
     .whole = true},
};

const zx_part_table zx_decoders = {"decoder", rows, sizeof rows / sizeof *rows};
