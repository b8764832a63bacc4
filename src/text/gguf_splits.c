/* gguf_splits.c - the rows.  Where the model's own tokenizer.json is known its pattern stands here.
 */
#include "text/gguf_splits.h"

#include <string.h>

#include "base/fail.h"
#include "text/build.h"

#define CONTRACTIONS "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define SPACES       "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define UPPER        "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER        "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define FIRST        "[^\\r\\n\\p{L}\\p{N}]?"
#define HAN_UPPER    "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}&&[^\\p{Han}]]"
#define HAN_LOWER    "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}&&[^\\p{Han}]]"
#define DEEPSEEK_WORDS                                       \
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|" \
    "[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+"

static const char gpt2[] =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";
static const char llama3[] =
    CONTRACTIONS "|" FIRST "\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|" SPACES;
static const char qwen2[] =
    CONTRACTIONS "|" FIRST "\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|" SPACES;
static const char qwen35[] =
    CONTRACTIONS "|" FIRST "[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|" SPACES;
static const char ufakzeka[] = FIRST "\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|" SPACES;
static const char deepseek3[] = DEEPSEEK_WORDS "[\\r\\n]*|" SPACES;
static const char spark25[] = DEEPSEEK_WORDS "|[\\r\\n]|\\s+(?!\\S)|\\s+";
static const char kana_and_han[] = "[\u4E00-\u9FA5\u3040-\u309F\u30A0-\u30FF]+";
static const char han_and_hangul[] = "[\u4E00-\u9FA5\u0800-\u4E00\uAC00-\uD7FF]+";
static const char deepseek_letters[] =
    "\\s?[A-Za-z\u00B5\u00C0-\u00D6\u00D8-\u00F6\u00F8-\u01BA\u01BC-\u01BF\u01C4-\u0293\u0295-"
    "\u02AF\u0370-\u0373\u0376\u0377\u037B-\u037D\u037F\u0386\u0388-\u038A\u038C\u038E-\u03A1"
    "\u03A3-\u03F5\u03F7-\u0481\u048A-\u052F\u0531-\u0556\u10A0-\u10C5\u13A0-\u13F5\u13F8-\u13FD"
    "\u1C90-\u1CBA\u1CBD-\u1CBF\u1D00-\u1D2B\u1D6B-\u1D77\u1D79-\u1D9A\u1E00-\u1F15\u1F18-\u1F1D"
    "\u1F20-\u1F45\u1F48-\u1F4D\u1F50-\u1F57\u1F59\u1F5B\u1F5D\u1F5F-\u1F7D\u1F80-\u1FB4\u1FB6-"
    "\u1FBC\u1FBE\u1FC2-\u1FC4\u1FC6-\u1FCC\u1FD0-\u1FD3\u1FD6-\u1FDB\u1FE0-\u1FEC\u1FF2-\u1FF4"
    "\u1FF6-\u1FFC\u2102\u2107\u210A-\u2113\u2115\u2119-\u211D\u2124\u2126\u2128\u212A-\u212D"
    "\u212F-\u2134\u2139\u213C-\u213F\u2145-\u2149\u214E\u2183\u2184\u2C00-\u2C7B\u2C7E-\u2CE4"
    "\u2CEB-\u2CEE\u2CF2\u2CF3\uA640-\uA66D\uA680-\uA69B\uA722-\uA76F\uA771-\uA787\uA78B-\uA78E"
    "\uAB70-\uABBF\uFB00-\uFB06\uFB13-\uFB17\uFF21-\uFF3A\uFF41-\uFF5A\U00010400-\U0001044F"
    "\U000104B0-\U000104D3\U000104D8-\U000104FB\U00010C80-\U00010CB2\U00010CC0-\U00010CF2"
    "\U000118A0-\U000118DF\U0001E900-\U0001E943]+";
static const char deepseek_punctuation[] =
    "\\s?[!-/:-~\uFF01-\uFF0F\uFF1A-\uFF5E\u2018-\u201F\u3000-\u3002]+";
static const char bloom[] = " ?[^(\\s|.,!?\u2026\u3002\uFF0C\u3001\u0964\u06D4\u060C)]+";
static const char gpt4o[] =
    FIRST UPPER "*" LOWER "+" CONTRACTIONS "?|" FIRST UPPER "+" LOWER "*" CONTRACTIONS
                "?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|" SPACES;
static const char tekken[] = FIRST UPPER "*" LOWER "+|" FIRST UPPER "+" LOWER
                                         "*|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|" SPACES;
static const char youtu[] =
    FIRST UPPER "*" LOWER "+" CONTRACTIONS "?|" FIRST UPPER "+" LOWER "*" CONTRACTIONS
                "?|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|" SPACES;
static const char kimi[] =
    "[\\p{Han}]+|" FIRST HAN_UPPER "*" HAN_LOWER "+" CONTRACTIONS "?|" FIRST HAN_UPPER "+" HAN_LOWER
    "*" CONTRACTIONS "?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|" SPACES;
static const char bailing[] =
    "'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|"
    "\\s*[\\r\\n]|\\s+(?!\\S)|\\s+";
static const char seed_coder[] =
    CONTRACTIONS "|" FIRST "\\p{L}+|\\p{N}{1}| ?[^\\s\\p{L}\\p{N}\\r\\n]+|" SPACES;
static const char exaone_moe[] = CONTRACTIONS
    "|" FIRST "(?:\\p{L}\\p{M}*+(?: \\p{L}\\p{M}*+)*+)++|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]?|"
    "\\s*[\\r\\n]|\\s+(?!\\S)|\\s+";
/* Of what llama3 gave: runs of spaces without a line's end, in powers of two.  Their own pattern
 * does both at once, and looks for a line's end once per 512 spaces. */
static const char jais2_spaces[] =
    "\\A\\s*[\\r\\n]+|\\A\\s*\\S(?m:.*)|"
    "\\s{512}|\\s{256}|\\s{128}|\\s{64}|\\s{32}|\\s{16}|\\s{8}|\\s{4}|\\s{1,2}";
static const char minicpm5[] =
    CONTRACTIONS "|" FIRST "\\p{L}+|\\p{N}+| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|" SPACES;
static const char asian[] =
    "[\u4E00-\u9FFF\u3400-\u4DBF\uF900-\uFAFF\u3040-\u309F\u30A0-\u30FF\uFF65-\uFF9F\u2F00-\u2FDF"
    "]+|[\u0E40-\u0E7F]+|[\u0E80-\u0EFF]+|[\u1780-\u17FF]+|[\u1000-\u109F\uAA60-\uAA7F\uA9E0-\uA9FF"
    "]+|[\uAC00-\uD7AF\u1100-\u11FF]+";
static const char youtu_asian[] =
    "[\uAC00-\uD7A3\u3131-\u318E]+|[\uFF01\u2026\u201C\u201D\u2018\u2019\u2014\uFF1A\uFF1B\uFF0C"
    "\u3001-\u303F\uFE30-\uFE4F]+|[\u3105-\u312F]+|[\u4E00-\u9FA5\u3040-\u309F\u30A0-\u30FF]+";
static const char digits_from_behind[] = "\\d{1,3}(?=(?:\\d{3})*\\b)";
/* Their own three patterns in one: a letter may follow. */
static const char afmoe_digits[] = "\\p{Nd}{1,3}(?=(?:\\p{Nd}{3})*(?!\\p{Nd}))";
static const char digit[] = "\\p{N}", digits[] = "\\p{N}+", three_digits[] = "\\p{N}{1,3}";
static const char three_ascii[] = "[0-9][0-9][0-9]", line_end[] = "[\\r\\n]";
static const char lines[] = "[^\\n]+|[\\n]+";

const zx_gguf_split zx_gguf_splits[] = {
    {" default ", {"[\\p{P}\\$\\+<=>\\^~\\|]+", gpt2, digits, three_ascii}, false, false},
    {" gpt-2 phi-2 mpt olmo jais trillion granite-docling jina-es jina-de jina-v1-en jina-v2-es "
     "jina-v2-de jina-v2-code roberta-bpe gigachat a.x-4.0 mellum modern-bert exaone4 ",
     {gpt2},
     false,
     false},
    {" llama-bpe llama3 llama-v3 falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano ",
     {llama3},
     true,
     false},
    {" dbrx smaug-bpe chatglm-bpe ", {llama3}, false, false},
    {" glm4 glm5 ", {llama3}, true, false},
    {" qwen2 deepseek-r1-qwen kormo f2llmv2 stablelm2 megrez hunyuan solar-open grok-2 ",
     {qwen2},
     false,
     false},
    {" ufakzeka ", {ufakzeka}, false, false},
    {" qwen35 ", {qwen35}, false, false},
    {" laguna ", {lines, qwen2}, false, false},
    {" smollm starcoder refact command-r codeshell exaone minerva-7b mellum2 ",
     {digit, gpt2},
     false,
     false},
    {" deepseek-llm ",
     {line_end, deepseek_letters, deepseek_punctuation, "\\s+$", han_and_hangul, digits},
     false,
     false},
    {" deepseek-coder ",
     {line_end, "\\s?\\p{L}+", "\\s?\\p{P}+", han_and_hangul, digit},
     false,
     false},
    {" deepseek-v3 hunyuan-dense joyai-llm hy_v4 ",
     {three_digits, kana_and_han, deepseek3},
     false,
     false},
    {" spark2_5 ", {digit, kana_and_han, spark25}, false, false},
    {" falcon ", {"[\\p{P}\\$\\+<=>\\^~\\|`]+", gpt2, three_ascii}, false, false},
    {" poro-chat bloom gpt3-finnish ", {bloom}, false, false},
    {" viking ", {bloom, digit}, false, false},
    {" tekken ", {tekken}, true, false},
    {" gpt-4o llama4 kanana2 talkie minimax-m2 ", {gpt4o}, false, false},
    {" granite-embed-multi-97m ", {gpt4o}, true, false},
    {" tiny_aya cohere2moe ", {digits_from_behind, gpt4o}, false, false},
    {" youtu ", {youtu_asian, youtu}, true, false},
    {" kimi-k2 ", {kimi}, false, false},
    {" superbpe ", {digits, "(?=(\\d{3})+(?!\\d))"}, false, false},
    {" bailingmoe bailingmoe2 llada-moe ", {bailing}, false, false},
    {" seed-coder ", {seed_coder}, false, false},
    {" exaone-moe ", {exaone_moe}, false, false},
    {" jais-2 ", {llama3, jais2_spaces}, false, false},
    {" minicpm5 ", {three_digits, minicpm5}, true, false},
    {" afmoe ", {afmoe_digits, asian, deepseek3}, false, false},
    {" chameleon ",
     {"<sentinel:[0-9]+>", "(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z", "([\\t\\n]|    |  )", digit,
      "[\\p{P}!-/:-@\\[-`{-~]", gpt2},
     false,
     false},
    {" gemma4 sarvam-moe granite-embed-multi-311m ", {lines}, false, true},
    {NULL, {NULL}, false, false},
};

const zx_gguf_split *zx_gguf_split_find(const char *name)
{
    if (name == NULL || *name == 0) name = "default";
    const size_t length = strlen(name);
    if (strchr(name, ' ') != NULL) return NULL;
    for (const zx_gguf_split *row = zx_gguf_splits; row->names != NULL; row++) {
        for (const char *at = row->names; (at = strstr(at, name)) != NULL; at++)
            if (at[-1] == ' ' && at[length] == ' ') return row;
    }
    return NULL;
}

/* A Split for each pattern, and the byte alphabet. */
zmlx_status zx_tokenizer_byte_level(zx_tokenizer *tokenizer, const zx_build *build,
                                    const zx_gguf_split *split)
{
    zx_part *sequence, *part;
    ZX_TRY(zx_tokenizer_sequence(tokenizer, &zx_pre_tokenizers, ZX_MAX_SPLITS + 1, &sequence));
    for (size_t i = 0; i < ZX_MAX_SPLITS && split->patterns[i] != NULL; i++) {
        ZX_TRY(zx_tokenizer_part(tokenizer, &zx_pre_tokenizers, "Split", &part));
        part->behavior = ZX_ISOLATED;
        ZX_TRY(zx_build_regex(build, split->patterns[i], strlen(split->patterns[i]), false,
                              &part->regex));
        sequence->children[sequence->child_count++] = *part;
    }
    ZX_TRY(zx_tokenizer_part(tokenizer, &zx_pre_tokenizers, "ByteLevel", &part));
    part->add_prefix_space = part->use_regex = false;
    sequence->children[sequence->child_count++] = *part;
    tokenizer->pre_tokenizer = sequence;
    return zx_tokenizer_part(tokenizer, &zx_decoders, "ByteLevel", &tokenizer->decoder);
}
