/* lex.c - a template's text as tokens, with the whitespace rules of trim_blocks and lstrip_blocks.
 *
 * Text outside tags is data; "{{", "{%" and "{#" open a tag.  A '-' inside the opening or closing
 * mark strips all whitespace on its side; without one, whitespace before a block or comment
 * that begins a line goes, and so does the newline behind it; '+' keeps both. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "jinja/call.h"
#include "jinja/run.h"
#include "jinja/syntax.h"
#include "jinja/unicode.h"

typedef struct lexer {
    zx_jrun *run;
    zx_jtokens *tokens;
    const char *text; /* newlines are all "\n" */
    size_t length, at;
    int line;
    size_t line_at;     /* 'line' is the line of this offset */
    bool line_starting; /* the last match ended a line */
    zx_jbuilder open;   /* the closing brackets that are awaited */
} lexer;

static bool looking_at(const lexer *lex, size_t at, const char *mark)
{
    const size_t length = strlen(mark);
    return at + length <= lex->length && memcmp(lex->text + at, mark, length) == 0;
}

static size_t skip_space(const lexer *lex, size_t at)
{
    uint32_t point = 0;
    while (at < lex->length) {
        const size_t bytes = zx_utf8_decode(lex->text + at, lex->length - at, &point);
        if (!zx_unicode_is_space(point)) break;
        at += bytes;
    }
    return at;
}

/* Where the text [start, end) ends without the whitespace at its end. */
static size_t strip_end(const lexer *lex, size_t start, size_t end)
{
    const zx_jstring text = {.bytes = lex->text + start, .length = end - start};
    while (end > start) {
        size_t bytes = 0;
        if (!zx_unicode_is_space(zx_jstring_before(&text, end - start, &bytes))) break;
        end -= bytes;
    }
    return end;
}

static int line_of(lexer *lex, size_t at)
{
    for (; lex->line_at < at; lex->line_at++)
        if (lex->text[lex->line_at] == '\n') lex->line++;
    return lex->line;
}

static zmlx_status fail(lexer *lex, size_t at, const char *message)
{
    return ZX_JFAIL_AT(lex->run, ZMLX_ERROR_FORMAT, line_of(lex, at), "%s", message);
}

static zmlx_status add_token(lexer *lex, zx_jtoken_kind kind, size_t at, zx_jvalue value)
{
    zx_jtokens *const tokens = lex->tokens;
    ZX_TRY(zx_jrun_pay(lex->run, 1));
    if (tokens->count == tokens->capacity) {
        const size_t capacity = tokens->capacity > 0 ? 2 * tokens->capacity : 64;
        void *items = NULL;
        ZX_TRY(zx_jalloc(lex->run, capacity, sizeof(zx_jtoken), &items));
        if (tokens->count > 0) memcpy(items, tokens->items, tokens->count * sizeof(zx_jtoken));
        tokens->items = items;
        tokens->capacity = capacity;
    }
    tokens->items[tokens->count++] =
        (zx_jtoken){.kind = kind, .line = line_of(lex, at), .value = value};
    return ZMLX_OK;
}

static zmlx_status add_data(lexer *lex, size_t start, size_t end)
{
    zx_jvalue text;
    if (end == start) return ZMLX_OK;
    ZX_TRY(zx_jstring_borrow(lex->run, lex->text + start, end - start, &text));
    return add_token(lex, ZX_JT_DATA, start, text);
}

/* Adds the text before a tag, stripped as the tag's sign and the line say. */
static zmlx_status add_data_before(lexer *lex, size_t end, char sign, bool is_variable)
{
    const size_t start = lex->at;
    size_t kept = end;
    if (sign == '-') {
        kept = strip_end(lex, start, end);
    } else if (sign != '+' && !is_variable) {
        size_t line = end;
        while (line > start && lex->text[line - 1] != '\n') line--;
        if ((line > start || lex->line_starting) && skip_space(lex, line) >= end) kept = line;
    }
    return add_data(lex, start, kept);
}

/* The length of "%}" with its sign, and of what it takes behind it; 0: it is not one. */
static size_t match_close(const lexer *lex, size_t at, const char *mark, bool plus)
{
    if (looking_at(lex, at, mark)) {
        const size_t end = at + 2;
        return plus && end < lex->length && lex->text[end] == '\n' ? 3 : 2;
    }
    if (at + 1 >= lex->length || !looking_at(lex, at + 1, mark)) return 0;
    if (plus && lex->text[at] == '+') return 3;
    return lex->text[at] == '-' ? skip_space(lex, at + 3) - at : 0;
}

static size_t find_any(const lexer *lex, size_t at)
{
    while (at < lex->length) {
        const char *const brace = memchr(lex->text + at, '{', lex->length - at);
        if (brace == NULL) return lex->length;
        at = (size_t)(brace - lex->text);
        if (at + 1 < lex->length && strchr("{%#", brace[1]) != NULL && brace[1] != '\0') return at;
        at++;
    }
    return lex->length;
}

/* Matches "{%- raw %}" or "{%- endraw %}" at 'at'; *end is behind the word's "%}". */
static bool match_word_tag(const lexer *lex, size_t at, const char *word, bool trim, size_t *end)
{
    size_t next = at + 2;
    if (!looking_at(lex, at, "{%")) return false;
    if (next < lex->length && (lex->text[next] == '-' || lex->text[next] == '+')) next++;
    next = skip_space(lex, next);
    if (!looking_at(lex, next, word)) return false;
    next = skip_space(lex, next + strlen(word));
    size_t close = match_close(lex, next, "%}", true);
    if (close == 0) return false;
    if (!trim && lex->text[next] == '+') return false;
    if (!trim && lex->text[next] == '%') close = 2;
    *end = next + close;
    return true;
}

static char sign_after(const lexer *lex, size_t at)
{
    const char sign = at + 2 < lex->length ? lex->text[at + 2] : '\0';
    return sign == '-' || sign == '+' ? sign : '\0';
}

static void move_to(lexer *lex, size_t end)
{
    lex->line_starting = end > 0 && lex->text[end - 1] == '\n';
    lex->at = end;
}

/* A comment that begins where the template ends is none to jinja2, and neither is a raw block. */
static zmlx_status lex_comment(lexer *lex, size_t start)
{
    if (lex->at == lex->length) return ZMLX_OK;
    for (size_t at = lex->at; at < lex->length; at++) {
        const size_t close = match_close(lex, at, "#}", true);
        if (close == 0) continue;
        move_to(lex, at + close);
        return ZMLX_OK;
    }
    return fail(lex, start, "missing end of comment tag");
}

static zmlx_status lex_raw(lexer *lex, size_t start)
{
    if (lex->at == lex->length) return ZMLX_OK;
    for (size_t at = lex->at; at < lex->length; at++) {
        size_t end = 0;
        if (lex->text[at] != '{' || !match_word_tag(lex, at, "endraw", true, &end)) continue;
        ZX_TRY(add_data_before(lex, at, sign_after(lex, at), false));
        move_to(lex, end);
        return ZMLX_OK;
    }
    return fail(lex, start, "missing end of raw directive");
}

/* --- inside a tag --- */

typedef struct operator_row {
    const char *text;
    zx_jtoken_kind kind;
} operator_row;

static const operator_row operators[] = {
    {"//", ZX_JT_FLOORDIV}, {"**", ZX_JT_POW},      {"==", ZX_JT_EQ},    {"!=", ZX_JT_NE},
    {">=", ZX_JT_GE},       {"<=", ZX_JT_LE},       {"+", ZX_JT_ADD},    {"-", ZX_JT_SUB},
    {"/", ZX_JT_DIV},       {"*", ZX_JT_MUL},       {"%", ZX_JT_MOD},    {"~", ZX_JT_TILDE},
    {"[", ZX_JT_LBRACKET},  {"]", ZX_JT_RBRACKET},  {"(", ZX_JT_LPAREN}, {")", ZX_JT_RPAREN},
    {"{", ZX_JT_LBRACE},    {"}", ZX_JT_RBRACE},    {">", ZX_JT_GT},     {"<", ZX_JT_LT},
    {"=", ZX_JT_ASSIGN},    {".", ZX_JT_DOT},       {":", ZX_JT_COLON},  {"|", ZX_JT_PIPE},
    {",", ZX_JT_COMMA},     {";", ZX_JT_SEMICOLON},
};

static zmlx_status balance(lexer *lex, char bracket)
{
    static const char opening[] = "([{", closing[] = ")]}";
    const char *const opens = strchr(opening, bracket);
    if (opens != NULL) {
        if (lex->open.length >= ZX_J_MAX_NESTING)
            return fail(lex, lex->at, "brackets nested too deep");
        return zx_jbuilder_add(lex->run, &lex->open, &closing[opens - opening], 1);
    }
    if (strchr(closing, bracket) == NULL) return ZMLX_OK;
    if (lex->open.length == 0 || lex->open.bytes[lex->open.length - 1] != bracket)
        return ZX_JFAIL_AT(lex->run, ZMLX_ERROR_FORMAT, line_of(lex, lex->at), "unexpected '%c'%s",
                           bracket, lex->open.length > 0 ? " while another bracket is open" : "");
    lex->open.length--;
    return ZMLX_OK;
}

static zmlx_status lex_operator(lexer *lex)
{
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++) {
        if (!looking_at(lex, lex->at, operators[i].text)) continue;
        if (operators[i].text[1] == '\0') ZX_TRY(balance(lex, operators[i].text[0]));
        ZX_TRY(add_token(lex, operators[i].kind, lex->at, zx_jnone()));
        move_to(lex, lex->at + strlen(operators[i].text));
        return ZMLX_OK;
    }
    uint32_t point = 0;
    const size_t bytes = zx_utf8_decode(lex->text + lex->at, lex->length - lex->at, &point);
    return ZX_JFAIL_AT(lex->run, ZMLX_ERROR_FORMAT, line_of(lex, lex->at),
                       "unexpected character '%.*s'", (int)bytes, lex->text + lex->at);
}

static bool is_digit(char c, int base)
{
    if (base == 16 && ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'))) return true;
    return c >= '0' && c < '0' + (base < 10 ? base : 10);
}

/* Digits with single underscores between them (before them too where 'leading'). */
static size_t match_digits(const lexer *lex, size_t at, int base, bool leading)
{
    size_t end = at;
    for (;;) {
        size_t next = end;
        if (next < lex->length && lex->text[next] == '_' && (end > at || leading)) next++;
        if (next >= lex->length || !is_digit(lex->text[next], base)) return end;
        end = next + 1;
    }
}

/* The end of a float that begins here; 'at' where there is none. */
static size_t match_float(const lexer *lex, size_t at)
{
    if (at > 0 && lex->text[at - 1] == '.') return at;
    size_t end = match_digits(lex, at, 10, false);
    if (end == at) return at;
    bool is_float = false;
    if (end < lex->length && lex->text[end] == '.') {
        const size_t fraction = match_digits(lex, end + 1, 10, false);
        if (fraction > end + 1) {
            end = fraction;
            is_float = true;
        }
    }
    if (end < lex->length && (lex->text[end] == 'e' || lex->text[end] == 'E')) {
        size_t exponent = end + 1;
        if (exponent < lex->length && strchr("+-", lex->text[exponent]) != NULL) exponent++;
        const size_t after = match_digits(lex, exponent, 10, false);
        if (after > exponent) return after;
    }
    return is_float ? end : at;
}

static size_t match_integer(const lexer *lex, size_t at)
{
    static const struct {
        const char *prefix;
        int base;
    } prefixes[] = {{"0b", 2}, {"0o", 8}, {"0x", 16}, {"0B", 2}, {"0O", 8}, {"0X", 16}};
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        if (!looking_at(lex, at, prefixes[i].prefix)) continue;
        const size_t end = match_digits(lex, at + 2, prefixes[i].base, true);
        if (end > at + 2) return end;
    }
    return match_digits(lex, at, lex->text[at] == '0' ? 1 : 10, false);
}

static zmlx_status lex_number(lexer *lex)
{
    size_t end = match_float(lex, lex->at);
    const bool is_float = end > lex->at;
    zx_jvalue value = zx_jfloat(0);
    if (!is_float) end = match_integer(lex, lex->at);
    const zx_jstring digits = {.bytes = lex->text + lex->at, .length = end - lex->at};
    bool overflow = false, parsed = false;
    if (is_float) {
        parsed = zx_jnumber_parse_float(&digits, &value.as.number);
    } else {
        value = zx_jint(0);
        parsed = zx_jnumber_parse_int(&digits, 0, &value.as.integer, &overflow);
    }
    if (overflow || !parsed)
        return ZX_JFAIL_AT(lex->run, ZMLX_ERROR_UNSUPPORTED, line_of(lex, lex->at),
                           "the number %.*s does not fit in 64 bits",
                           digits.length < 40 ? (int)digits.length : 40, digits.bytes);
    ZX_TRY(add_token(lex, is_float ? ZX_JT_FLOAT : ZX_JT_INTEGER, lex->at, value));
    move_to(lex, end);
    return ZMLX_OK;
}

static zmlx_status lex_quoted(lexer *lex)
{
    const char quote = lex->text[lex->at];
    size_t end = lex->at + 1;
    while (end < lex->length && lex->text[end] != quote) end += lex->text[end] == '\\' ? 2 : 1;
    if (end >= lex->length) return fail(lex, lex->at, "a string is not closed");
    zx_jvalue value;
    ZX_TRY(zx_jlex_string(lex->run, line_of(lex, lex->at), lex->text + lex->at + 1,
                          end - lex->at - 1, &value));
    ZX_TRY(add_token(lex, ZX_JT_STRING, lex->at, value));
    move_to(lex, end + 1);
    return ZMLX_OK;
}

static zmlx_status lex_name(lexer *lex, bool *matched)
{
    size_t end = lex->at;
    uint32_t point = 0;
    while (end < lex->length) {
        const size_t bytes = zx_utf8_decode(lex->text + end, lex->length - end, &point);
        if (!zx_unicode_is_name(point, end == lex->at)) break;
        end += bytes;
    }
    *matched = end > lex->at;
    if (!*matched) return ZMLX_OK;
    zx_jvalue name;
    ZX_TRY(zx_jstring_borrow(lex->run, lex->text + lex->at, end - lex->at, &name));
    ZX_TRY(add_token(lex, ZX_JT_NAME, lex->at, name));
    move_to(lex, end);
    return ZMLX_OK;
}

static zmlx_status lex_tag(lexer *lex, bool is_block)
{
    lex->open.length = 0;
    while (lex->at < lex->length) {
        const size_t close = match_close(lex, lex->at, is_block ? "%}" : "}}", is_block);
        if (close > 0 && lex->open.length == 0) {
            ZX_TRY(add_token(lex, is_block ? ZX_JT_BLOCK_END : ZX_JT_VARIABLE_END, lex->at,
                             zx_jnone()));
            move_to(lex, lex->at + close);
            return ZMLX_OK;
        }
        const size_t after = skip_space(lex, lex->at);
        if (after > lex->at) {
            move_to(lex, after);
            continue;
        }
        const char first = lex->text[lex->at];
        bool matched = first >= '0' && first <= '9';
        if (matched) {
            ZX_TRY(lex_number(lex));
            continue;
        }
        ZX_TRY(lex_name(lex, &matched));
        if (!matched) ZX_TRY(first == '\'' || first == '"' ? lex_quoted(lex) : lex_operator(lex));
    }
    return ZMLX_OK; /* the parser says what was expected */
}

static zmlx_status lex_template(lexer *lex)
{
    while (lex->at < lex->length) {
        const size_t at = find_any(lex, lex->at);
        if (at == lex->length) return add_data(lex, lex->at, at);
        const char kind = lex->text[at + 1], sign = sign_after(lex, at);
        size_t raw_end = 0;
        ZX_TRY(add_data_before(lex, at, sign, kind == '{'));
        if (kind == '%' && match_word_tag(lex, at, "raw", false, &raw_end)) {
            move_to(lex, raw_end);
            ZX_TRY(lex_raw(lex, at));
            continue;
        }
        move_to(lex, at + (sign != '\0' ? 3 : 2));
        if (kind == '#') {
            ZX_TRY(lex_comment(lex, at));
            continue;
        }
        ZX_TRY(
            add_token(lex, kind == '%' ? ZX_JT_BLOCK_BEGIN : ZX_JT_VARIABLE_BEGIN, at, zx_jnone()));
        ZX_TRY(lex_tag(lex, kind == '%'));
    }
    return ZMLX_OK;
}

/* "\r\n" and "\r" become "\n", and one newline at the end goes. */
static zmlx_status normalize(zx_jrun *run, const char *text, size_t length, zx_jvalue *string)
{
    zx_jbuilder builder = {0};
    for (size_t at = 0; at < length;) {
        const char *const found = memchr(text + at, '\r', length - at);
        const size_t end = found != NULL ? (size_t)(found - text) : length;
        ZX_TRY(zx_jbuilder_add(run, &builder, text + at, end - at));
        if (found != NULL) ZX_TRY(zx_jbuilder_add(run, &builder, "\n", 1));
        at = end + 1 + (end + 1 < length && text[end + 1] == '\n' && found != NULL);
    }
    if (builder.length > 0 && builder.bytes[builder.length - 1] == '\n') builder.length--;
    return zx_jbuilder_finish(run, &builder, string);
}

zmlx_status zx_jlex(zx_jrun *run, const char *text, size_t length, zx_jtokens *tokens)
{
    zx_jvalue source;
    if (!zx_utf8_valid(text, length))
        return ZX_JFAIL_AT(run, ZMLX_ERROR_FORMAT, 0, "the template is not UTF-8");
    ZX_TRY(normalize(run, text, length, &source));
    lexer lex = {.run = run,
                 .tokens = tokens,
                 .text = source.as.string->bytes,
                 .length = source.as.string->length,
                 .line = 1,
                 .line_starting = true};
    const zmlx_status status = lex_template(&lex);
    const zmlx_status ended = add_token(&lex, ZX_JT_END, lex.length, zx_jnone());
    if (ended == ZMLX_OK) return status;
    tokens->count = 0; /* nobody may read what has no end */
    return ended;
}
