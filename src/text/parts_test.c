/* parts_test.c - every row of the normalizers, pre-tokenizers and decoders, against what the
 * 'tokenizers' library gives.  In the JSON of a row ' stands for ". */
#include <string.h>

#include "base/test.h"
#include "text/decode.h"
#include "text/part.h"
#include "text/unicode.h"

/* A part with all that it stands on. */
typedef struct bench {
    zx_store store;
    zx_part *part;
    zx_work work;
} bench;

static zmlx_status bench_read(bench *b, const zx_part_table *table, const char *quoted)
{
    char text[4096];
    const size_t length = strlen(quoted);
    if (length >= sizeof text) return ZMLX_ERROR_SHAPE;
    for (size_t i = 0; i <= length; i++) text[i] = (char)(quoted[i] == '\'' ? '"' : quoted[i]);
    const zx_build build = {"row", &b->store};
    zx_json json;
    zx_json_init(&json, "row", text, length);
    const zmlx_status status = zx_part_read(&build, table, &json, &b->part);
    zx_json_fini(&json);
    return status;
}

static void bench_fini(bench *b)
{
    zx_store_fini(&b->store);
    zx_work_fini(&b->work);
}

static bool same(const char *bytes, size_t length, const char *expected)
{
    return length == strlen(expected) && (length == 0 || memcmp(bytes, expected, length) == 0);
}

typedef struct row {
    const char *part, *text, *expected;
} row;

static const row normalizer_rows[] = {
    {"{'type':'NFC'}", "e\u0301 q\u0307\u0323 \u1100\u1161\u11A8 \uAC00\u11A7",
     "\u00E9 q\u0323\u0307 \uAC01 \uAC00\u11A7"},
    {"{'type':'NFD'}", "\u00E9 \u1E9B\u0323 \uAC01 q\u0307\u0323",
     "e\u0301 \u017F\u0323\u0307 \u1100\u1161\u11A8 q\u0323\u0307"},
    {"{'type':'NFKC'}", "\uFB01 \u00B2 \u1E9B\u0323 \u2460", "fi 2 \u1E69 1"},
    {"{'type':'NFKD'}", "\uFB01 \u00BD \uAC01", "fi 1\u20442 \u1100\u1161\u11A8"},
    {"{'type':'Lowercase'}", "A\u0130\u03A3\u1E9E \u01C5", "ai\u0307\u03C3\u00DF \u01C6"},
    {"{'type':'Strip','strip_left':true,'strip_right':true}", " \u3000a b\u2003\n", "a b"},
    {"{'type':'Strip','strip_left':true,'strip_right':false}", " a ", "a "},
    {"{'type':'StripAccents'}", "e\u0301a\u0903b\u20DD", "eab"},
    {"{'type':'Replace','pattern':{'String':'ab'},'content':'x'}", "abcabab", "xcxx"},
    {"{'type':'Replace','pattern':{'Regex':'\\\\s+'},'content':' '}", "a \n b\u3000\u3000c",
     "a b c"},
    {"{'type':'Replace','pattern':{'Regex':'x*'},'content':'-'}", "axxb", "-a-b-"},
    {"{'type':'Replace','pattern':{'String':' '},'content':''}", " a b ", "ab"},
    {"{'type':'Prepend','prepend':'\u2581'}", "ab", "\u2581ab"},
    {"{'type':'Prepend','prepend':'\u2581'}", "", ""},
    {"{'type':'ByteLevel'}", "a \u00E9\n\u00AD", "a\u0120\u00C3\u00A9\u010A\u00C2\u0143"},
    {"{'type':'Nmt'}", "a\001b\011c\u200Bd\u2581e\uFEFF\177", "ab c d e "},
    {"{'type':'BertNormalizer','clean_text':true,'handle_chinese_chars':true,'strip_accents':null,'"
     "lowercase':true}",
     "H\u00C9\007l\011o \u6F22x\uFFFD\u200D", "hel o  \u6F22 x"},
    {"{'type':'BertNormalizer','clean_text':false,'handle_chinese_chars':false,'strip_accents':"
     "true,'lowercase':false}",
     "\u00C9\u6F22\007", "E\u6F22\007"},
    {"{'type':'BertNormalizer','clean_text':true,'handle_chinese_chars':false,'strip_accents':"
     "false,'lowercase':true}",
     "\u00C9\u00A0\302\205", "\u00E9 "},
    {"{'type':'Sequence','normalizers':[{'type':'Strip','strip_left':true,'strip_right':true},{'"
     "type'"
     ":'Replace','pattern':{'Regex':'x*'},'content':'-'}]}",
     " ", ""},
    {"{'type':'Sequence','normalizers':[{'type':'NFD'},{'type':'StripAccents'},{'type':'Lowercase'}"
     "]}",
     "\u00C9T\u00C9", "ete"},
    {"{'type':'Precompiled','precompiled_charsmap':''}", "ab", "ab"},
};

TEST(normalizers_give_what_the_reference_gives)
{
    for (size_t i = 0; i < sizeof normalizer_rows / sizeof *normalizer_rows; i++) {
        const row *const r = &normalizer_rows[i];
        bench b = {0};
        bool good = bench_read(&b, &zx_normalizers, r->part) == ZMLX_OK;
        b.work.normal.bytes = r->text;
        b.work.normal.length = strlen(r->text);
        good = good && zx_normalize(b.part, &b.work) == ZMLX_OK &&
               same(b.work.normal.bytes, b.work.normal.length, r->expected);
        bench_fini(&b);
        CHECK_ON(r->part, good);
    }
}

TEST(normalizers_all_have_a_row_here)
{
    for (size_t i = 0; i < zx_normalizers.count; i++) {
        bool found = false;
        for (size_t j = 0; j < sizeof normalizer_rows / sizeof *normalizer_rows; j++)
            found |= strstr(normalizer_rows[j].part, zx_normalizers.rows[i].type) != NULL;
        CHECK_ON(zx_normalizers.rows[i].type, found);
    }
}

/* Pieces are joined by '|'. */
static const row pre_tokenizer_rows[] = {
    {"{'type':'ByteLevel','add_prefix_space':true,'use_regex':true,'trim_offsets':true}",
     "Hi  you're 3\n", "\u0120Hi|\u0120|\u0120you|'re|\u01203|\u010A"},
    {"{'type':'ByteLevel','add_prefix_space':false,'use_regex':false,'trim_offsets':true}",
     "a \u00E9", "a\u0120\u00C3\u00A9"},
    {"{'type':'Digits','individual_digits':true}", "a12\u00BD", "a|1|2|\u00BD"},
    {"{'type':'Digits','individual_digits':false}", "a12\u00BD b3", "a|12\u00BD| b|3"},
    {"{'type':'Punctuation','behavior':'Isolated'}", "a,,b!$\u3002", "a|,|,|b|!|$|\u3002"},
    {"{'type':'Whitespace'}", "a\u200Db \u00B23, x-y", "a\u200Db|\u00B2|3|,|x|-|y"},
    {"{'type':'WhitespaceSplit'}", " a\u3000b\n", "a|b"},
    {"{'type':'BertPreTokenizer'}", "a, b$c", "a|,|b|$|c"},
    {"{'type':'CharDelimiterSplit','delimiter':'-'}", "a--b-", "a|b"},
    {"{'type':'Metaspace','replacement':'\u2581','prepend_scheme':'always','split':true}", "a  b",
     "\u2581a|\u2581|\u2581b"},
    {"{'type':'Metaspace','replacement':'\u2581','prepend_scheme':'never','split':true}", "a b",
     "a|\u2581b"},
    {"{'type':'Metaspace','replacement':'_','prepend_scheme':'first','split':false}", "a b",
     "_a_b"},
    {"{'type':'Metaspace','replacement':'\u2581','add_prefix_space':true,'prepend_scheme':'always'"
     "}",
     "\u2581a", "\u2581a"},
    {"{'type':'UnicodeScripts'}", "  a \u3072\u3089\u6F22\u30FC\u0431\u0432, 1",
     "a |\u3072\u3089\u6F22\u30FC|\u0431\u0432|, 1"},
    {"{'type':'UnicodeScripts'}", "a\u0589\u0561 \u0905\u0953\u0954\u0905 \u0301\u0953",
     "a|\u0589|\u0561 |\u0905\u0953\u0954\u0905 |\u0301|\u0953"},
    {"{'type':'FixedLength','length':2}", "a\u00E9\u6F22bc", "a\u00E9|\u6F22b|c"},
    {"{'type':'Sequence','pretokenizers':[{'type':'WhitespaceSplit'},{'type':'Metaspace','"
     "replacement':'\u2581','prepend_scheme':'first','split':true}]}",
     "ab cd", "\u2581ab|cd"},
    {"{'type':'Sequence','pretokenizers':[{'type':'WhitespaceSplit'},{'type':'Metaspace','"
     "replacement':'\u2581','prepend_scheme':'first','split':true}]}",
     " ab", "ab"},
    {"{'type':'Split','pattern':{'String':'-'},'behavior':'Removed','invert':false}",
     "-the-final--countdown-", "the|final|countdown"},
    {"{'type':'Split','pattern':{'String':'-'},'behavior':'Removed','invert':true}",
     "-the-final--countdown-", "-|-|-|-|-"},
    {"{'type':'Split','pattern':{'String':'-'},'behavior':'Isolated','invert':false}",
     "-the-final--countdown-", "-|the|-|final|-|-|countdown|-"},
    {"{'type':'Split','pattern':{'String':'-'},'behavior':'Isolated','invert':true}",
     "-the-final--countdown-", "-|the|-|final|-|-|countdown|-"},
    {"{'type':'Split','pattern':{'String':'-'},'behavior':'MergedWithPrevious','invert':false}",
     "-the-final--countdown-", "-|the-|final-|-|countdown-"},
    {"{'type':'Split','pattern':{'String':'-'},'behavior':'MergedWithPrevious','invert':true}",
     "-the-final--countdown-", "-the|-final|-|-countdown|-"},
    {"{'type':'Split','pattern':{'String':'-'},'behavior':'MergedWithNext','invert':false}",
     "-the-final--countdown-", "-the|-final|-|-countdown|-"},
    {"{'type':'Split','pattern':{'String':'-'},'behavior':'MergedWithNext','invert':true}",
     "-the-final--countdown-", "-|the-|final-|-|countdown-"},
    {"{'type':'Split','pattern':{'String':'-'},'behavior':'Contiguous','invert':false}",
     "-the-final--countdown-", "-|the|-|final|--|countdown|-"},
    {"{'type':'Split','pattern':{'String':'-'},'behavior':'Contiguous','invert':true}",
     "-the-final--countdown-", "-|the|-|final|--|countdown|-"},
    {"{'type':'Split','pattern':{'Regex':'x*'},'behavior':'MergedWithPrevious','invert':false}",
     "abxxc", "a|bxx|c"},
};

static bool cuts(bench *b, const row *r)
{
    uint32_t point;
    const size_t length = strlen(r->text);
    zx_text joined = {0};
    b->work.bytes = r->text;
    const zx_piece whole = {0, length, zx_utf8_next(r->text, &point), -1};
    bool good = zx_work_cut(&b->work, whole) == ZMLX_OK;
    zx_work_commit(&b->work, false);
    good = good && zx_pre_tokenize(b->part, &b->work) == ZMLX_OK;
    for (size_t i = 0; i < b->work.pieces.count && good; i++) {
        const zx_piece *const piece = &b->work.pieces.items[i];
        good = (i == 0 || zx_text_add(&joined, "|", 1) == ZMLX_OK) &&
               zx_text_add(&joined, b->work.bytes + piece->start, piece->length) == ZMLX_OK;
    }
    good = good && same(joined.bytes, joined.length, r->expected);
    zx_text_fini(&joined);
    return good;
}

TEST(pre_tokenizers_give_what_the_reference_gives)
{
    for (size_t i = 0; i < sizeof pre_tokenizer_rows / sizeof *pre_tokenizer_rows; i++) {
        const row *const r = &pre_tokenizer_rows[i];
        bench b = {0};
        const bool good = bench_read(&b, &zx_pre_tokenizers, r->part) == ZMLX_OK && cuts(&b, r);
        bench_fini(&b);
        CHECK_ON(r->part, good);
    }
}

TEST(pre_tokenizers_all_have_a_row_here)
{
    for (size_t i = 0; i < zx_pre_tokenizers.count; i++) {
        bool found = false;
        for (size_t j = 0; j < sizeof pre_tokenizer_rows / sizeof *pre_tokenizer_rows; j++)
            found |= strstr(pre_tokenizer_rows[j].part, zx_pre_tokenizers.rows[i].type) != NULL;
        CHECK_ON(zx_pre_tokenizers.rows[i].type, found);
    }
}

/* Tokens are joined by '|'. */
static const row decoder_rows[] = {
    {"{'type':'ByteLevel','add_prefix_space':true,'trim_offsets':true,'use_regex':true}",
     "\u0120a|\u00C3|\u00A9b|\u6F22|\u00E2", " a\u00E9b\u6F22\uFFFD"},
    {"{'type':'ByteFallback'}", "a|<0xE6>|<0xBC>|<0xA2>|b|<0xE6>|<0x41>|c|<0xFF>",
     "a\u6F22b\uFFFD\uFFFDc\uFFFD"},
    {"{'type':'Fuse'}", "a|b", "ab"},
    {"{'type':'Strip','content':'_','start':2,'stop':0}", "___a|_b|c", "_abc"},
    {"{'type':'Strip','content':'_','start':0,'stop':1}", "_a__|b_", "_a_b"},
    {"{'type':'Replace','pattern':{'String':'ab'},'content':'x'}", "aab|a|b", "axab"},
    {"{'type':'Sequence','decoders':[{'type':'Fuse'},{'type':'Replace','pattern':{'String':'aab'},'"
     "content':'x'}]}",
     "a|a|b|aa|aa", "xaaaa"},
    {"{'type':'Replace','pattern':{'Regex':'b+'},'content':'-'}", "abb|b", "a--"},
    {"{'type':'Metaspace','replacement':'\u2581','prepend_scheme':'always','split':true}",
     "\u2581\u2581a|\u2581b", "a b"},
    {"{'type':'Metaspace','replacement':'\u2581','prepend_scheme':'never','split':true}",
     "\u2581a|\u2581b", " a b"},
    {"{'type':'WordPiece','prefix':'##','cleanup':true}", "##a|b|##c|.|do|not|n't",
     "##a bc. do notn't"},
    {"{'type':'WordPiece','prefix':'##','cleanup':false}", "a|.", "a ."},
    {"{'type':'BPEDecoder','suffix':'</w>'}", "a|b</w>|c</w>", "ab c"},
    {"{'type':'CTC','pad_token':'<pad>','word_delimiter_token':'|','cleanup':true}",
     "<pad>|h|h|<pad>|h|\174|i", "hh i"},
    {"{'type':'Sequence','decoders':[{'type':'Strip','content':'a','start':1,'stop':0},{'type':'"
     "Replace','pattern':{'Regex':'x*'},'content':'-'}]}",
     "a|b|a", "-b-"},
    {"{'type':'BPEDecoder','suffix':''}", "a|\u00E9c|b", " a  \u00E9 c b"},
    {"{'type':'CTC','pad_token':'','word_delimiter_token':'','cleanup':true}", "a|\u00E9c|b",
     " a  \u00E9 c  b "},
    {"{'type':'Sequence','decoders':[{'type':'Replace','pattern':{'String':'\u2581'},'content':' "
     "'},{'type':'ByteFallback'},{'type':'Fuse'},{'type':'Strip','content':' "
     "','start':1,'stop':0}]}",
     "\u2581a|<0xC3>|<0xA9>|\u2581", "a\u00E9 "},
    {"null", "a|b", "a b"},
};

/* Gives the tokens one after the other; a '|' that stands alone between two is a token. */
static zmlx_status give_tokens(zx_decoding *decoding, const char *tokens)
{
    for (const char *at = tokens; *at != 0;) {
        const size_t length = *at == '|' ? 1 : strcspn(at, "|");
        zmlx_status status = zx_decoding_give(decoding, 0, at, length, true);
        if (status != ZMLX_OK) return status;
        at += length;
        if (*at == '|') at++;
    }
    return zx_decoding_finish(decoding);
}

TEST(decoders_give_what_the_reference_gives)
{
    for (size_t i = 0; i < sizeof decoder_rows / sizeof *decoder_rows; i++) {
        const row *const r = &decoder_rows[i];
        bench b = {0};
        zx_text out = {0};
        zx_decoding decoding = {0};
        bool good = bench_read(&b, &zx_decoders, r->part) == ZMLX_OK &&
                    zx_decoding_init(&decoding, b.part) == ZMLX_OK;
        decoding.out = &out;
        good = good && give_tokens(&decoding, r->text) == ZMLX_OK &&
               same(out.bytes, out.length, r->expected);
        zx_decoding_fini(&decoding);
        zx_text_fini(&out);
        bench_fini(&b);
        CHECK_ON(r->part, good);
    }
}

/* A token "a" through 'count' of the same decoder. */
static zmlx_status decode_through(const char *decoder, size_t count, zx_text *out)
{
    zx_text json = {0};
    bench b = {0};
    zx_decoding decoding = {0};
    zmlx_status status = zx_text_add_string(&json, "{'type':'Sequence','decoders':[");
    for (size_t k = 0; k < count && status == ZMLX_OK; k++)
        status = zx_text_format(&json, "%s%s", k == 0 ? "" : ",", decoder);
    if (status == ZMLX_OK) status = zx_text_add_string(&json, "]}");
    if (status == ZMLX_OK) status = bench_read(&b, &zx_decoders, json.bytes);
    if (status == ZMLX_OK) status = zx_decoding_init(&decoding, b.part);
    decoding.out = out;
    if (status == ZMLX_OK) status = give_tokens(&decoding, "a");
    zx_decoding_fini(&decoding);
    bench_fini(&b);
    zx_text_fini(&json);
    return status;
}

/* Ten decoders that each double a token are many, thirty are an attack. */
TEST(decoders_are_bounded)
{
    static const char *const doubling[] = {
        "{'type':'CTC','pad_token':'','word_delimiter_token':'','cleanup':true}",
        "{'type':'Replace','pattern':{'String':'a'},'content':'aa'}",
        "{'type':'Replace','pattern':{'Regex':'a'},'content':'aa'}"};
    for (size_t i = 0; i < sizeof doubling / sizeof *doubling; i++) {
        for (size_t count = 10; count <= 30; count += 20) {
            zx_text out = {0};
            const zmlx_status status = decode_through(doubling[i], count, &out);
            const size_t length = out.length;
            zx_text_fini(&out);
            CHECK_ON(doubling[i], status == ZMLX_ERROR_MEMORY ||
                                      (count == 10 ? status == ZMLX_OK && length >= 1 << 10
                                                   : status == ZMLX_ERROR_UNSUPPORTED));
        }
    }
}

TEST(decoders_all_have_a_row_here)
{
    for (size_t i = 0; i < zx_decoders.count; i++) {
        bool found = false;
        for (size_t j = 0; j < sizeof decoder_rows / sizeof *decoder_rows; j++)
            found |= strstr(decoder_rows[j].part, zx_decoders.rows[i].type) != NULL;
        CHECK_ON(zx_decoders.rows[i].type, found);
    }
}

static const char *const bad_parts[] = {
    "{'type':'Replace','content':''}",
    "{'type':'Strip','strip_left':1}",
    "{'type':'Precompiled','precompiled_charsmap':'AAAA'}",
    "{'type':'Sequence','normalizers':[1]}",
    "{'strip_left':true}",
};

TEST(parts_that_make_no_sense_are_refused)
{
    for (size_t i = 0; i < sizeof bad_parts / sizeof *bad_parts; i++) {
        bench b = {0};
        const zmlx_status status = bench_read(&b, &zx_normalizers, bad_parts[i]);
        bench_fini(&b);
        CHECK_ON(bad_parts[i], status == ZMLX_ERROR_FORMAT);
    }
}

/* A long run of marks in the worst order: each pair is the wrong way round. */
TEST(normal_forms_sort_long_runs_of_marks)
{
    enum { PAIRS = 100000 };
    zx_text text = {0}, expected = {0};
    bool good = zx_text_add(&text, "a", 1) == ZMLX_OK && zx_text_add(&expected, "a", 1) == ZMLX_OK;
    for (int i = 0; i < PAIRS && good; i++)
        good = zx_text_add(&text, "\u0301\u0323", 4) == ZMLX_OK &&
               zx_text_add(&expected, "\u0323", 2) == ZMLX_OK;
    for (int i = 0; i < PAIRS && good; i++) good = zx_text_add(&expected, "\u0301", 2) == ZMLX_OK;
    bench b = {0};
    good = good && bench_read(&b, &zx_normalizers, "{'type':'NFD'}") == ZMLX_OK;
    b.work.normal.bytes = text.bytes;
    b.work.normal.length = text.length;
    good = good && zx_normalize(b.part, &b.work) == ZMLX_OK &&
           same(b.work.normal.bytes, b.work.normal.length, expected.bytes);
    bench_fini(&b);
    zx_text_fini(&text);
    zx_text_fini(&expected);
    CHECK(good);
}
