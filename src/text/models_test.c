/* models_test.c - each model and post-processor on vocabularies of a few tokens, against the ids
 * that the 'tokenizers' library gives; and the patterns of GGUF's names.  In the JSON of a row '
 * stands for ". */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/test.h"
#include "text/gguf_splits.h"
#include "text/regex.h"
#include "text/tokenizer.h"

static zx_tokenizer *open_quoted(const char *quoted)
{
    char text[2048];
    zx_tokenizer *tokenizer = NULL;
    const size_t length = strlen(quoted);
    for (size_t i = 0; i <= length; i++) text[i] = (char)(quoted[i] == '\'' ? '"' : quoted[i]);
    if (zx_tokenizer_open_json_bytes("row", text, length, &tokenizer) != ZMLX_OK) return NULL;
    return tokenizer;
}

/* Whether a text's ids are those of a list such as "1,2,3". */
static bool encodes(const zx_tokenizer *tokenizer, const char *text, bool special,
                    const char *expected)
{
    zx_ids ids = {0};
    zx_text list = {0};
    bool good = zx_tokenizer_encode(tokenizer, text, strlen(text), special, &ids) == ZMLX_OK;
    for (size_t i = 0; i < ids.count && good; i++)
        good = zx_text_format(&list, i == 0 ? "%d" : ",%d", (int)ids.items[i]) == ZMLX_OK;
    good = good && strcmp(list.length == 0 ? "" : list.bytes, expected) == 0;
    zx_text_fini(&list);
    zx_ids_fini(&ids);
    return good;
}

static const struct {
    const char *model, *text, *ids;
} model_rows[] = {
    {"{'type':'BPE','vocab':{'<unk>':0,'a':1,'b':2,'ab':3,'aab':4},'merges':['a b','a "
     "ab'],'unk_token':'<unk>','fuse_unk':true}",
     "aab", "4"},
    {"{'type':'BPE','vocab':{'<unk>':0,'a':1,'b':2,'ab':3,'aab':4},'merges':['a b','a "
     "ab'],'unk_token':'<unk>','fuse_unk':true}",
     "abcca", "3,0,1"},
    {"{'type':'BPE','vocab':{'<unk>':0,'a':1,'b':2,'ab':3,'aab':4},'merges':['a b','a "
     "ab'],'unk_token':'<unk>','fuse_unk':true}",
     "cc", "0"},
    {"{'type':'BPE','vocab':{'<unk>':0,'a':1},'merges':[],'unk_token':'<unk>','fuse_unk':false}",
     "acca", "1,0,0,1"},
    {"{'type':'BPE','vocab':{'a':0},'merges':[]}", "abca", "0,0"},
    {"{'type':'BPE','vocab':{'<unk>':0,'a':1,'<0xC3>':2,'<0xA9>':3,'<0x62>':4},'merges':[],'unk_"
     "token':'<unk>','fuse_unk':true,'byte_fallback':true}",
     "a\u00E9b\u00E8c", "1,2,3,4,0"},
    {"{'type':'BPE','vocab':{'a':0,'##b':1,'##c':2,'ab':3,'abc':4,'b':5},'merges':['a ##b','ab "
     "##c'],'continuing_subword_prefix':'##'}",
     "abc", "4"},
    {"{'type':'BPE','vocab':{'a':0,'##b':1,'##c':2,'ab':3,'abc':4,'b':5},'merges':['a ##b','ab "
     "##c'],'continuing_subword_prefix':'##'}",
     "bb", "5,1"},
    {"{'type':'BPE','vocab':{'a':0,'##b':1,'##c':2,'ab':3,'abc':4,'b':5},'merges':['a ##b','ab "
     "##c'],'continuing_subword_prefix':'##'}",
     "ba", "5"},
    {"{'type':'BPE','vocab':{'a':0,'b':1,'b</w>':2,'ab</w>':3,'a</w>':4},'merges':['a "
     "b</w>'],'end_of_word_suffix':'</w>'}",
     "ab", "3"},
    {"{'type':'BPE','vocab':{'a':0,'b':1,'b</w>':2,'ab</w>':3,'a</w>':4},'merges':['a "
     "b</w>'],'end_of_word_suffix':'</w>'}",
     "aba", "0,1,4"},
    {"{'type':'BPE','vocab':{'a':0,'b':1,'b</w>':2,'ab</w>':3,'a</w>':4},'merges':['a "
     "b</w>'],'end_of_word_suffix':'</w>'}",
     "b", "2"},
    {"{'type':'BPE','vocab':{'a':0,'b':1,'ab':2,'abab':3},'merges':['a b'],'ignore_merges':true}",
     "abab", "3"},
    {"{'type':'BPE','vocab':{'a':0,'b':1,'ab':2,'abab':3},'merges':['a b'],'ignore_merges':true}",
     "ababa", "2,2,0"},
    {"{'type':'BPE','vocab':{'a':0,'b':1,'c':2,'ab':3,'bc':4},'merges':['b c','a b','b c']}", "abc",
     "3,2"},
    {"{'type':'BPE','vocab':{'a':0,'b':1,'c':2,'ab':3,'bc':4},'merges':['b c','a b','b c']}",
     "abab", "3,3"},
    {"{'type':'Unigram','unk_id':0,'vocab':[['<unk>',0.0],['a',-1.0],['b',-1.5],['ab',-2.0],['abc',"
     "-9.0]]}",
     "abab", "3,3"},
    {"{'type':'Unigram','unk_id':0,'vocab':[['<unk>',0.0],['a',-1.0],['b',-1.5],['ab',-2.0],['abc',"
     "-9.0]]}",
     "abc", "4"},
    {"{'type':'Unigram','unk_id':0,'vocab':[['<unk>',0.0],['a',-1.0],['b',-1.5],['ab',-2.0],['abc',"
     "-9.0]]}",
     "axxb", "1,0,2"},
    {"{'type':'Unigram','unk_id':0,'vocab':[['<unk>',0.0],['a',-1.0],['b',-1.5],['ab',-2.0],['abc',"
     "-9.0]]}",
     "\u6F22", "0"},
    {"{'type':'Unigram','unk_id':0,'byte_fallback':true,'vocab':[['<unk>',0.0],['a',-1.0],['<0xC3>'"
     ",-5.0],['<0xA9>',-5.0]]}",
     "a\u00E9a\u00E9", "1,2,3,1,2,3"},
    {"{'type':'Unigram','unk_id':0,'byte_fallback':true,'vocab':[['<unk>',0.0],['a',-1.0],['<0xC3>'"
     ",-5.0],['<0xA9>',-5.0]]}",
     "a\u00E8", "1,0"},
    {"{'type':'Unigram','vocab':[['c',-7.5],['ca',-1.0]]}", "ca", "1"},
    {"{'type':'WordPiece','unk_token':'[UNK]','continuing_subword_prefix':'##','max_input_chars_"
     "per_word':6,'vocab':{'[UNK]':0,'un':1,'##aff':2,'##able':3,'u':4,'##n':5,'##a':6}}",
     "unaff", "1,2"},
    {"{'type':'WordPiece','unk_token':'[UNK]','continuing_subword_prefix':'##','max_input_chars_"
     "per_word':6,'vocab':{'[UNK]':0,'un':1,'##aff':2,'##able':3,'u':4,'##n':5,'##a':6}}",
     "una", "1,6"},
    {"{'type':'WordPiece','unk_token':'[UNK]','continuing_subword_prefix':'##','max_input_chars_"
     "per_word':6,'vocab':{'[UNK]':0,'un':1,'##aff':2,'##able':3,'u':4,'##n':5,'##a':6}}",
     "unx", "0"},
    {"{'type':'WordPiece','unk_token':'[UNK]','continuing_subword_prefix':'##','max_input_chars_"
     "per_word':6,'vocab':{'[UNK]':0,'un':1,'##aff':2,'##able':3,'u':4,'##n':5,'##a':6}}",
     "unaffab", "0"},
    {"{'type':'WordPiece','unk_token':'[UNK]','continuing_subword_prefix':'##','max_input_chars_"
     "per_word':6,'vocab':{'[UNK]':0,'un':1,'##aff':2,'##able':3,'u':4,'##n':5,'##a':6}}",
     "n", "0"},
    {"{'type':'WordLevel','unk_token':'?','vocab':{'?':0,'ab':1}}", "ab", "1"},
    {"{'type':'WordLevel','unk_token':'?','vocab':{'?':0,'ab':1}}", "a", "0"},
};

TEST(models_give_what_the_reference_gives)
{
    for (size_t i = 0; i < sizeof model_rows / sizeof *model_rows; i++) {
        char json[1024];
        (void)snprintf(json, sizeof json, "{'version':'1.0','model':%s}", model_rows[i].model);
        zx_tokenizer *const tokenizer = open_quoted(json);
        const bool good =
            tokenizer != NULL && encodes(tokenizer, model_rows[i].text, false, model_rows[i].ids);
        zx_tokenizer_close(tokenizer);
        CHECK_ON(model_rows[i].model, good);
    }
}

/* The order of the fields does not matter, and older files do not name the model. */
TEST(models_are_read_in_any_order)
{
    static const char *const files[] = {
        "{'model':{'merges':['a b'],'vocab':{'a':0,'b':1,'ab':2},'type':'BPE'}}",
        "{'model':{'merges':[['a','b']],'vocab':{'a':0,'b':1,'ab':2}}}",
        ("{'model':{'vocab':{'a':0,'##b':1,'ab':2},'merges':['a ##b'],"
         "'continuing_subword_prefix':'##'}}"),
        "{'model':{'vocab':{'ab':2},'unk_token':'ab','type':'WordLevel'}}",
        "{'model':{'vocab':[['a',-5],['b',-5],['ab',-1]],'unk_id':0}}",
        "{'model':{'vocab':{'ab':2},'max_input_chars_per_word':5}}",
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        zx_tokenizer *const tokenizer = open_quoted(files[i]);
        const bool good = tokenizer != NULL && encodes(tokenizer, "ab", true, "2");
        zx_tokenizer_close(tokenizer);
        CHECK_ON(files[i], good);
    }
}

/* What is around the ids of "ab", with and without special tokens. */
static const struct {
    const char *processor, *with, *without;
} template_rows[] = {
    {"{'type':'TemplateProcessing','single':[{'SpecialToken':{'id':'[S]','type_id':0}},{'Sequence':"
     "{'id':'A','type_id':0}},{'SpecialToken':{'id':'[E]','type_id':0}}],'pair':[{'Sequence':{'id':"
     "'A','type_id':0}},{'Sequence':{'id':'B','type_id':0}}],'special_tokens':{'[S]':{'id':'[S]','"
     "ids':[7,8],'tokens':['x','y']},'[E]':{'id':'[E]','ids':[9],'tokens':['[E]']}}}",
     "7,8,0,1,9", "0,1"},
    {"{'type':'BertProcessing','sep':['[E]',9],'cls':['[S]',7]}", "7,0,1,9", "0,1"},
    {"{'type':'RobertaProcessing','sep':['[E]',9],'cls':['[S]',7],'trim_offsets':true,'add_prefix_"
     "space':true}",
     "7,0,1,9", "0,1"},
    {"{'type':'ByteLevel','add_prefix_space':true,'trim_offsets':true,'use_regex':true}", "0,1",
     "0,1"},
    {"{'type':'Sequence','processors':[{'type':'ByteLevel','add_prefix_space':true,'trim_offsets':"
     "true,'use_regex':true},{'type':'BertProcessing','sep':['[E]',9],'cls':['[S]',7]}]}",
     "7,0,1,9", "0,1"},
    {"null", "0,1", "0,1"},
    {"{'type':'Sequence','processors':[{'type':'BertProcessing','sep':['x',3],'cls':['y',2]},"
     "{'type':'BertProcessing','sep':['x',5],'cls':['y',4]}]}",
     "4,2,0,1,3,5", "0,1"},
};

TEST(templates_give_what_the_reference_gives)
{
    for (size_t i = 0; i < sizeof template_rows / sizeof *template_rows; i++) {
        char json[1024];
        (void)snprintf(json, sizeof json,
                       "{'post_processor':%s,'model':{'type':'BPE','vocab':{'a':0,'b':1},"
                       "'merges':[]}}",
                       template_rows[i].processor);
        zx_tokenizer *const tokenizer = open_quoted(json);
        const bool good = tokenizer != NULL &&
                          encodes(tokenizer, "ab", true, template_rows[i].with) &&
                          encodes(tokenizer, "ab", false, template_rows[i].without);
        zx_tokenizer_close(tokenizer);
        CHECK_ON(template_rows[i].processor, good);
    }
}

/* Whether a pattern covers the sample without changing it: matches and gaps follow each other. */
static bool pattern_works(const char *pattern)
{
    static const char sample[] =
        "Hello  you'RE 12345\r\n\n \u6F22\u5B57\u304B \uD55C\uAD6D e\u0301 \u0939\u093F<|x|> _a";
    zx_regex *regex = NULL;
    zx_matcher matcher = {0};
    zx_matches matches;
    bool good = zx_regex_compile("row", pattern, strlen(pattern), false, &regex) == ZMLX_OK;
    bool found = good;
    size_t start = 0, end = 0;
    zx_matches_start(&matches, regex, &matcher, sample, sizeof sample - 1);
    while (found && good) {
        const size_t last = end;
        good = zx_matches_next(&matches, &found, &start, &end) == ZMLX_OK;
        good = good && (!found || (start >= last && end >= start && end < sizeof sample));
    }
    zx_matcher_fini(&matcher);
    zx_regex_free(regex);
    return good;
}

TEST(gguf_splits_all_compile)
{
    for (const zx_gguf_split *row = zx_gguf_splits; row->names != NULL; row++)
        for (size_t i = 0; i < ZX_MAX_SPLITS && row->patterns[i] != NULL; i++)
            CHECK_ON(row->names, pattern_works(row->patterns[i]));
}

TEST(gguf_splits_are_found_by_name)
{
    CHECK(zx_gguf_split_find("smollm") == zx_gguf_split_find("starcoder"));
    CHECK(zx_gguf_split_find("qwen2") != zx_gguf_split_find("llama-bpe"));
    CHECK(zx_gguf_split_find(NULL) == zx_gguf_split_find("default"));
    CHECK(zx_gguf_split_find("qwen") == NULL && zx_gguf_split_find(" ") == NULL);
    CHECK(zx_gguf_split_find("llama3")->ignore_merges);
}

static const zx_string_view tiny_tokens[] = {{"a", 1},  {"b", 1},        {"\u0120", 2},
                                             {"ab", 2}, {"\u0120ab", 4}, {"<|end|>", 7}};

TEST(gguf_vocabulary_with_special_tokens)
{
    static const zx_string_view merges[] = {{"a b", 3}, {"\u0120 ab", 5}, {"x y", 3}};
    static const int32_t types[] = {1, 1, 1, 1, 1, 3};
    const zx_gguf_vocabulary vocabulary = {.source = "tiny",
                                           .model = "gpt2",
                                           .pre = "gpt-2",
                                           .token_count = 6,
                                           .merge_count = 3,
                                           .tokens = tiny_tokens,
                                           .merges = merges,
                                           .types = types,
                                           .bos = 5,
                                           .eos = 5,
                                           .unknown = -1,
                                           .add_bos = true};
    zx_tokenizer *tokenizer = NULL;
    CHECK(zx_tokenizer_open_gguf(&vocabulary, &tokenizer) == ZMLX_OK);
    const bool good = encodes(tokenizer, "ab ab<|end|>a", true, "5,3,4,5,0") &&
                      encodes(tokenizer, "ab ab<|end|>a", false, "3,4,5,0");
    zx_tokenizer_close(tokenizer);
    CHECK(good);
}

TEST(gguf_vocabulary_is_checked)
{
    static const zx_string_view bad_token[] = {{"\xFF", 1}}, bad_merge[] = {{"ab", 2}};
    const zx_gguf_vocabulary good = {.source = "bad",
                                     .model = "gpt2",
                                     .pre = "gpt-2",
                                     .token_count = 6,
                                     .tokens = tiny_tokens,
                                     .bos = -1,
                                     .eos = -1,
                                     .unknown = -1};
    static const float endless[] = {0, 0, INFINITY, 0, 0, 0}, none[] = {0, 0, 0, 0, 0, NAN};
    zx_gguf_vocabulary rows[10];
    for (int i = 0; i < 10; i++) rows[i] = good;
    rows[0].model = "abacus";
    rows[1].pre = "unheard-of";
    rows[2].token_count = 0;
    rows[3].tokens = bad_token;
    rows[3].token_count = 1;
    rows[4].merges = bad_merge;
    rows[4].merge_count = 1;
    rows[5].bos = 6;
    rows[6].model = "llama"; /* without scores */
    rows[7].eos = -2;
    rows[8].model = "llama";
    rows[8].scores = endless;
    rows[9].model = "t5";
    rows[9].scores = none;
    for (int i = 0; i < 10; i++) {
        zx_tokenizer *tokenizer = NULL;
        const zmlx_status status = zx_tokenizer_open_gguf(&rows[i], &tokenizer);
        zx_tokenizer_close(tokenizer);
        CHECK(status == (i < 2 ? ZMLX_ERROR_UNSUPPORTED : ZMLX_ERROR_FORMAT));
    }
}

/* What llama.cpp gives: where a piece ends shows in the merges that do not happen. */
TEST(gguf_splits_cut_as_llama_cpp)
{
    static const struct {
        const char *pre, *letters, *contraction, *line_end;
    } rows[] = {
        {"glm4", "12,9", "0,3,2,1,9", "10,11,9"},
        {"glm5", "12,9", "0,3,2,1,9", "10,11,9"},
        {"chatglm-bpe", "0,1,2,9", "0,3,2,1,9", "10,11,9"},
        {"qwen2", "0,1,2,4,5", "0,3,2,1,4,5", "10,11,4,5"},
        {"ufakzeka", "0,1,2,4,5", "0,3,8,4,5", "10,11,4,5"},
        {"deepseek-v3", "0,1,2,9", "0,3,8,9", "10,11,9"},
        {"hy_v4", "0,1,2,9", "0,3,8,9", "10,11,9"},
        {"spark2_5", "0,1,2,4,5", "0,3,8,4,5", "6,7,7,7,4,5"},
    };
    static const zx_string_view tokens[] = {
        {"a", 1},  {"b", 1},      {"s", 1},  {"'", 1},  {"1", 1},       {"2", 1},
        {".", 1},  {"\u010A", 2}, {"sb", 2}, {"12", 2}, {".\u010A", 3}, {"\u010A\u010A", 4},
        {"abs", 3}};
    static const zx_string_view merges[] = {
        {"s b", 3}, {"1 2", 3}, {". \u010A", 4}, {"\u010A \u010A", 5}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const zx_gguf_vocabulary vocabulary = {.source = "tiny",
                                               .model = "gpt2",
                                               .pre = rows[i].pre,
                                               .token_count = sizeof tokens / sizeof *tokens,
                                               .merge_count = sizeof merges / sizeof *merges,
                                               .tokens = tokens,
                                               .merges = merges,
                                               .bos = -1,
                                               .eos = -1,
                                               .unknown = -1};
        zx_tokenizer *tokenizer = NULL;
        CHECK_ON(rows[i].pre, zx_tokenizer_open_gguf(&vocabulary, &tokenizer) == ZMLX_OK);
        const bool good = encodes(tokenizer, "abs12", true, rows[i].letters) &&
                          encodes(tokenizer, "a'sb12", true, rows[i].contraction) &&
                          encodes(tokenizer, ".\n\n\n12", true, rows[i].line_end);
        zx_tokenizer_close(tokenizer);
        CHECK_ON(rows[i].pre, good);
    }
}

/* Groups of digits before a letter; a script each. */
TEST(gguf_afmoe_cuts_as_its_own_patterns)
{
    static const zx_string_view tokens[] = {
        {"1", 1},      {"2", 1},      {"3", 1},      {"a", 1},           {"31", 2},
        {"23", 2},     {"123", 3},    {"\u00E4", 2}, {"\u00B8", 2},      {"\u0143", 2},
        {"\u00EA", 2}, {"\u00B0", 2}, {"\u0122", 2}, {"\u0143\u00EA", 4}};
    static const zx_string_view merges[] = {
        {"3 1", 3}, {"2 3", 3}, {"1 23", 4}, {"\u0143 \u00EA", 5}};
    const zx_gguf_vocabulary vocabulary = {.source = "tiny",
                                           .model = "gpt2",
                                           .pre = "afmoe",
                                           .token_count = sizeof tokens / sizeof *tokens,
                                           .merge_count = sizeof merges / sizeof *merges,
                                           .tokens = tokens,
                                           .merges = merges,
                                           .bos = -1,
                                           .eos = -1,
                                           .unknown = -1};
    zx_tokenizer *tokenizer = NULL;
    CHECK(zx_tokenizer_open_gguf(&vocabulary, &tokenizer) == ZMLX_OK);
    const bool good = encodes(tokenizer, "23123a", true, "5,6,3") &&
                      encodes(tokenizer, "\u4E2D\uAC00", true, "7,8,9,10,11,12");
    zx_tokenizer_close(tokenizer);
    CHECK(good);
}

/* Words begin with U+2581, the rest of a word has no prefix. */
TEST(gguf_bert_vocabulary)
{
    static const zx_string_view tokens[] = {{"[UNK]", 5},    {"[CLS]", 5}, {"[SEP]", 5},
                                            {"\u2581un", 5}, {"able", 4},  {"\u2581,", 4}};
    static const int32_t types[] = {3, 3, 3, 1, 1, 1};
    const zx_gguf_vocabulary vocabulary = {.source = "tiny",
                                           .model = "bert",
                                           .token_count = 6,
                                           .tokens = tokens,
                                           .types = types,
                                           .bos = 1,
                                           .eos = -1,
                                           .unknown = 0,
                                           .lowercase = true,
                                           .strip_accents = true};
    zx_tokenizer *tokenizer = NULL;
    zx_text text = {0};
    static const int32_t ids[] = {3, 4, 5};
    CHECK(zx_tokenizer_open_gguf(&vocabulary, &tokenizer) == ZMLX_OK);
    const bool good = encodes(tokenizer, "\u00DCnable, xable", true, "1,3,4,5,0,2") &&
                      zx_tokenizer_decode(tokenizer, ids, 3, false, &text) == ZMLX_OK &&
                      text.length == 8 && memcmp(text.bytes, "unable ,", 8) == 0;
    zx_text_fini(&text);
    zx_tokenizer_close(tokenizer);
    CHECK(good);
}

/* Case and accents as the metadata says; a word of more than 100 characters is unknown, and so is a
 * U+2581 of the text's own. */
TEST(gguf_bert_case_and_length)
{
    enum { LIMIT = 100 };
    static const zx_string_view tokens[] = {{"[UNK]", 5},        {"\u2581u", 4},
                                            {"\u2581U", 4},      {"\u2581\u00FC", 5},
                                            {"\u2581\u00DC", 5}, {"u", 1}};
    static const int32_t types[] = {3, 1, 1, 1, 1, 1};
    static const char *const expected[] = {"2,4,1", "2,2,1", "1,3,1", "1,1,1"};
    for (unsigned variant = 0; variant < 4; variant++) {
        const zx_gguf_vocabulary vocabulary = {.source = "tiny",
                                               .model = "bert",
                                               .token_count = 6,
                                               .tokens = tokens,
                                               .types = types,
                                               .bos = -1,
                                               .eos = -1,
                                               .unknown = 0,
                                               .lowercase = (variant & 2) != 0,
                                               .strip_accents = (variant & 1) != 0};
        zx_tokenizer *tokenizer = NULL;
        char word[LIMIT + 2];
        memset(word, 'u', sizeof word);
        word[LIMIT + 1] = 0;
        CHECK(zx_tokenizer_open_gguf(&vocabulary, &tokenizer) == ZMLX_OK);
        bool good = encodes(tokenizer, "U \u00DC u", true, expected[variant]) &&
                    encodes(tokenizer, word, true, "0") && encodes(tokenizer, "\u2581u", true, "0");
        word[LIMIT] = 0;
        good = good && !encodes(tokenizer, word, true, "0");
        zx_tokenizer_close(tokenizer);
        CHECK_ON(expected[variant], good);
    }
}

/* Jina's: words of letters, or of other characters; spaces are no part of the ids. */
TEST(gguf_whitespace_vocabulary)
{
    static const zx_string_view tokens[] = {{"<s>", 3}, {"<unk>", 5}, {"a", 1},  {"b", 1},
                                            {"ab", 2},  {"!", 1},     {"b!", 2}, {"A", 1}};
    static const zx_string_view merges[] = {{"a b", 3}, {"b !", 3}};
    static const int32_t types[] = {3, 2, 1, 1, 1, 1, 1, 1};
    static const struct {
        const char *model, *pre, *expected;
        bool lowercase;
    } rows[] = {{"whitespace", "whitespace", "0,4,5,1,4", true},
                {"whitespace", NULL, "0,4,5,1,7,3", false},
                {"gpt2", "whitespace", "0,4,5,1,4", true}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const zx_gguf_vocabulary vocabulary = {.source = "tiny",
                                               .model = rows[i].model,
                                               .pre = rows[i].pre,
                                               .token_count = 8,
                                               .tokens = tokens,
                                               .types = types,
                                               .merge_count = 2,
                                               .merges = merges,
                                               .bos = 0,
                                               .eos = -1,
                                               .unknown = 1,
                                               .add_bos = true,
                                               .lowercase = rows[i].lowercase};
        static const int32_t ids[] = {4, 5};
        zx_tokenizer *tokenizer = NULL;
        zx_text text = {0};
        CHECK(zx_tokenizer_open_gguf(&vocabulary, &tokenizer) == ZMLX_OK);
        const bool good = encodes(tokenizer, " ab! \u00E9\nAb", true, rows[i].expected) &&
                          zx_tokenizer_decode(tokenizer, ids, 2, false, &text) == ZMLX_OK &&
                          text.length == 3 && memcmp(text.bytes, "ab!", 3) == 0;
        zx_text_fini(&text);
        zx_tokenizer_close(tokenizer);
        CHECK_ON(rows[i].expected, good);
    }
}

/* The charsmap is absent; spaces are merged, the text begins with one. */
TEST(gguf_t5_vocabulary)
{
    static const zx_string_view tokens[] = {{"<pad>", 5},  {"</s>", 4}, {"<unk>", 5},
                                            {"\u2581", 3}, {"a", 1},    {"\u2581a", 4}};
    static const int32_t types[] = {3, 3, 2, 1, 1, 1};
    static const float scores[] = {0, 0, 0, -2, -2, -3};
    const zx_gguf_vocabulary vocabulary = {.source = "tiny",
                                           .model = "t5",
                                           .token_count = 6,
                                           .tokens = tokens,
                                           .types = types,
                                           .scores = scores,
                                           .bos = -1,
                                           .eos = 1,
                                           .unknown = 2,
                                           .add_eos = true,
                                           .add_space_prefix = true,
                                           .remove_extra_whitespaces = true};
    zx_tokenizer *tokenizer = NULL;
    CHECK(zx_tokenizer_open_gguf(&vocabulary, &tokenizer) == ZMLX_OK);
    const bool good = encodes(tokenizer, "  aa   a xy ", true, "5,4,5,3,2,1");
    zx_tokenizer_close(tokenizer);
    CHECK(good);
}

/* "aa" has a little less than "a" twice, which sums of single precision would lose: the token that
 * is found first would win. */
TEST(gguf_t5_sums_in_double_precision)
{
    static const zx_string_view tokens[] = {{"<unk>", 5}, {"a", 1}, {"aa", 2}};
    static const int32_t types[] = {2, 1, 1};
    static const float scores[] = {0, -1, -2.0000002F};
    const zx_gguf_vocabulary vocabulary = {.source = "tiny",
                                           .model = "t5",
                                           .token_count = 3,
                                           .tokens = tokens,
                                           .types = types,
                                           .scores = scores,
                                           .bos = -1,
                                           .eos = -1,
                                           .unknown = 0};
    zx_tokenizer *tokenizer = NULL;
    CHECK(zx_tokenizer_open_gguf(&vocabulary, &tokenizer) == ZMLX_OK);
    const bool good = encodes(tokenizer, "aaaaaaaa", true, "1,1,1,1,1,1,1,1");
    zx_tokenizer_close(tokenizer);
    CHECK(good);
}

/* -------- SentencePiece's Unigram, from its own file -------- */

typedef struct piece {
    const char *text;
    float score;
    uint8_t type; /* 1: normal, 2: unknown, 4: user-defined */
} piece;

/* A model of these pieces, which neither adds nor removes spaces. */
static zx_tokenizer *open_pieces(const piece *pieces, size_t count)
{
    static const char normalizer[] = {0x1A, 4, 0x18, 0, 0x20, 0};
    zx_text file = {0};
    zx_tokenizer *tokenizer = NULL;
    zmlx_status status = ZMLX_OK;
    for (size_t i = 0; i < count && status == ZMLX_OK; i++) {
        const size_t length = strlen(pieces[i].text);
        char head[] = {'\n', (char)(length + 9), '\n', (char)length};
        char tail[] = {0x15, 0, 0, 0, 0, 0x18, (char)pieces[i].type};
        memcpy(tail + 1, &pieces[i].score, 4);
        status = zx_text_add(&file, head, sizeof head);
        if (status == ZMLX_OK) status = zx_text_add(&file, pieces[i].text, length);
        if (status == ZMLX_OK) status = zx_text_add(&file, tail, sizeof tail);
    }
    if (status == ZMLX_OK) status = zx_text_add(&file, normalizer, sizeof normalizer);
    if (status == ZMLX_OK)
        status = zx_tokenizer_open_model_bytes("pieces", file.bytes, file.length,
                                               &(zx_tokenizer_options){0}, &tokenizer);
    zx_text_fini(&file);
    return tokenizer;
}

TEST(sentencepiece_prefers_user_defined_pieces)
{
    static const piece pieces[] = {{"<unk>", 0, 2}, {"a", -0.05F, 1}, {"aa", 0, 4}, {"aaaa", 0, 4}};
    zx_tokenizer *const tokenizer = open_pieces(pieces, sizeof pieces / sizeof *pieces);
    if (tokenizer == NULL) return;
    const bool good = encodes(tokenizer, "aaaaaaa", false, "1,2,3");
    zx_tokenizer_close(tokenizer);
    CHECK(good);
}

/* Sums of 600000 in single precision would make -2.02 of "ab" -2, which "a" and "b" have. */
TEST(sentencepiece_tells_scores_apart_in_a_long_text)
{
    enum { PAIRS = 300000 };
    static const piece pieces[] = {{"<unk>", 0, 2}, {"a", -1, 1}, {"b", -1, 1}, {"ab", -2.02F, 1}};
    zx_tokenizer *const tokenizer = open_pieces(pieces, sizeof pieces / sizeof *pieces);
    zx_text text = {0};
    zx_ids ids = {0};
    zmlx_status status = tokenizer != NULL ? ZMLX_OK : ZMLX_ERROR_MEMORY;
    for (size_t i = 0; i < PAIRS && status == ZMLX_OK; i++) status = zx_text_add(&text, "ab", 2);
    if (status == ZMLX_OK)
        status = zx_tokenizer_encode(tokenizer, text.bytes, text.length, false, &ids);
    const size_t count = ids.count;
    zx_ids_fini(&ids);
    zx_text_fini(&text);
    zx_tokenizer_close(tokenizer);
    CHECK(status == ZMLX_ERROR_MEMORY || (status == ZMLX_OK && count == 2 * (size_t)PAIRS));
}
