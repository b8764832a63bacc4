/* onig.c - rewrites a pattern of Oniguruma's syntax (what tokenizer.json holds) for PCRE2.
 *
 * The two agree on nearly everything.  Rewritten are: \s \w \d \h \v and \b, whose sets differ;
 * names of properties and scripts; character classes with '&&' or classes inside; {n,m}+, which
 * repeats in the one and is possessive in the other; {,n}; (?m), which is PCRE2's (?s);
 * \uHHHH.  A class becomes one set, or an alternation of things that each match one character. */
#include <assert.h>
#include <string.h>

#include "base/fail.h"
#include "text/regex.h"
#include "text/unicode.h"

enum { MAX_GROUPS = 100, MAX_NESTING = 16, MAX_PATTERN = 1 << 16, MAX_NAME = 40 };

#define SPACES \
    "\\t-\\r " \
    "\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}"
/* A lone \\w, and \\b, take some Latin-1 numbers for letters; a class that holds \\w does not. */
#define ALONE "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\x{b2}\\x{b3}\\x{b9}\\x{bc}-\\x{be}"
#define WORDS "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}"

typedef struct translation {
    const char *source, *at, *end;
    size_t groups[MAX_GROUPS]; /* where each open group begins in the output */
    int depth;
} translation;

/* A class of characters: what stands between '[' and ']', and whether it is turned around. */
typedef struct set {
    const char *inside; /* NULL: no set but a single escape to copy */
    bool negated;
} set;

static zmlx_status add(zx_text *out, const char *string)
{
    return zx_text_add(out, string, strlen(string));
}

static zmlx_status insert(zx_text *out, size_t at, const char *string)
{
    const size_t length = strlen(string), tail = out->length - at;
    ZX_TRY(zx_text_room(out, length));
    memmove(out->bytes + at + length, out->bytes + at, tail);
    memcpy(out->bytes + at, string, length);
    out->length += length;
    out->bytes[out->length] = 0;
    return ZMLX_OK;
}

static zmlx_status refuse(const translation *t, const char *why)
{
    return ZX_FAIL(ZMLX_ERROR_UNSUPPORTED, "%s: a pattern holds %s", t->source, why);
}

static bool starts(const translation *t, const char *string)
{
    const size_t length = strlen(string);
    return (size_t)(t->end - t->at) >= length && memcmp(t->at, string, length) == 0;
}

/* Names in lower case without spaces, '_' and '-'. */
static const struct {
    const char *name, *inside;
} properties[] = {
    {"alnum", "\\p{Alphabetic}\\p{Nd}"},
    {"alpha", "\\p{Alphabetic}"},
    {"blank", "\\p{Zs}\\t"},
    {"cntrl", "\\p{Cc}"},
    {"digit", "\\p{Nd}"},
    {"lower", "\\p{Lowercase}"},
    {"upper", "\\p{Uppercase}"},
    {"punct", "\\p{P}"},
    {"graph", "\\p{L}\\p{M}\\p{N}\\p{P}\\p{S}\\p{Cf}\\p{Co}"},
    {"print", "\\p{L}\\p{M}\\p{N}\\p{P}\\p{S}\\p{Cf}\\p{Co}\\p{Zs}"},
    {"space", SPACES},
    {"whitespace", SPACES},
    {"xdigit", "0-9a-fA-F"},
    {"word", WORDS},
    {"ascii", "\\x{0}-\\x{7f}"},
    {"any", "\\x{0}-\\x{10ffff}"},
    {"assigned", "\\P{Cn}"},
    {"letter", "\\p{L}"},
    {"casedletter", "\\p{L&}"},
    {"lc", "\\p{L&}"},
    {"uppercaseletter", "\\p{Lu}"},
    {"lowercaseletter", "\\p{Ll}"},
    {"titlecaseletter", "\\p{Lt}"},
    {"modifierletter", "\\p{Lm}"},
    {"otherletter", "\\p{Lo}"},
    {"mark", "\\p{M}"},
    {"combiningmark", "\\p{M}"},
    {"nonspacingmark", "\\p{Mn}"},
    {"spacingmark", "\\p{Mc}"},
    {"enclosingmark", "\\p{Me}"},
    {"number", "\\p{N}"},
    {"decimalnumber", "\\p{Nd}"},
    {"letternumber", "\\p{Nl}"},
    {"othernumber", "\\p{No}"},
    {"punctuation", "\\p{P}"},
    {"connectorpunctuation", "\\p{Pc}"},
    {"dashpunctuation", "\\p{Pd}"},
    {"openpunctuation", "\\p{Ps}"},
    {"closepunctuation", "\\p{Pe}"},
    {"initialpunctuation", "\\p{Pi}"},
    {"finalpunctuation", "\\p{Pf}"},
    {"otherpunctuation", "\\p{Po}"},
    {"symbol", "\\p{S}"},
    {"mathsymbol", "\\p{Sm}"},
    {"currencysymbol", "\\p{Sc}"},
    {"modifiersymbol", "\\p{Sk}"},
    {"othersymbol", "\\p{So}"},
    {"separator", "\\p{Z}"},
    {"spaceseparator", "\\p{Zs}"},
    {"lineseparator", "\\p{Zl}"},
    {"paragraphseparator", "\\p{Zp}"},
    {"other", "\\p{C}"},
    {"control", "\\p{Cc}"},
    {"format", "\\p{Cf}"},
    {"surrogate", "\\p{Cs}"},
    {"privateuse", "\\p{Co}"},
    {"unassigned", "\\p{Cn}"},
};

/* Properties that are neither categories nor scripts; PCRE2 takes their names as they are. */
static const char *const binary_names[] = {
    "alphabetic",
    "uppercase",
    "lowercase",
    "ideographic",
    "emoji",
    "emojipresentation",
    "emojimodifier",
    "emojimodifierbase",
    "emojicomponent",
    "extendedpictographic",
    "math",
    "hexdigit",
    "asciihexdigit",
    "dash",
    "diacritic",
    "defaultignorablecodepoint",
    "joincontrol",
    "graphemebase",
    "graphemeextend",
    "patternwhitespace",
    "patternsyntax",
    "quotationmark",
    "radical",
    "regionalindicator",
    "softdotted",
    "terminalpunctuation",
    "unifiedideograph",
    "variationselector",
    "xidstart",
    "xidcontinue",
    "idstart",
    "idcontinue",
    "cased",
    "caseignorable",
    "extender",
    "logicalorderexception",
};

static bool is_category(const char *name, size_t length)
{
    static const char codes[] = " L Lu Ll Lt Lm Lo M Mn Mc Me N Nd Nl No P Pc Pd Ps Pe Pi Pf Po S "
                                "Sm Sc Sk So Z Zs Zl Zp C Cc Cf Cs Co Cn ";
    for (const char *at = codes; (at = strchr(at, ' ')) != NULL && at[1] != 0; at++)
        if (strncasecmp(at + 1, name, length) == 0 && at[1 + length] == ' ') return true;
    return false;
}

/* Writes the set for a property's name (without braces) into 'inside'. */
static zmlx_status property_set(const char *name, size_t length, zx_text *inside)
{
    char plain[MAX_NAME + 1];
    size_t count = 0;
    for (size_t i = 0; i < length && count < MAX_NAME; i++) {
        if (name[i] == ' ' || name[i] == '_' || name[i] == '-') continue;
        plain[count++] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] + 32 : name[i]);
    }
    plain[count] = 0;
    zx_text_clear(inside);
    for (size_t i = 0; i < sizeof properties / sizeof *properties; i++)
        if (strcmp(plain, properties[i].name) == 0) return add(inside, properties[i].inside);
    const char *kind = "sc:";
    if (is_category(plain, count)) {
        kind = "";
        if (plain[0] >= 'a') plain[0] = (char)(plain[0] - 32);
    }
    for (size_t i = 0; i < sizeof binary_names / sizeof *binary_names; i++)
        if (strcmp(plain, binary_names[i]) == 0) kind = "";
    return zx_text_format(inside, "\\p{%s%s}", kind, plain);
}

/* Reads "{Name}" or "{^Name}" behind \p or \P. */
static zmlx_status read_property(translation *t, bool negated, zx_text *inside, set *out)
{
    const char *const close =
        t->at < t->end && *t->at == '{' ? memchr(t->at, '}', (size_t)(t->end - t->at)) : NULL;
    if (close == NULL) return refuse(t, "\\p without a name in braces");
    const char *name = t->at + 1;
    if (name < close && *name == '^') {
        negated = !negated;
        name++;
    }
    if (close - name > MAX_NAME) return refuse(t, "a property name that is too long");
    ZX_TRY(property_set(name, (size_t)(close - name), inside));
    t->at = close + 1;
    *out = (set){inside->bytes, negated};
    return ZMLX_OK;
}

/* Reads an escape (behind the backslash) that stands for a set; inside stays NULL for others. */
static zmlx_status read_set_escape(translation *t, zx_text *inside, set *out)
{
    static const struct {
        char letter;
        set is;
    } letters[] = {
        {'s', {SPACES, false}},      {'S', {SPACES, true}},      {'w', {WORDS, false}},
        {'W', {WORDS, true}},        {'d', {"\\p{Nd}", false}},  {'D', {"\\p{Nd}", true}},
        {'h', {"0-9a-fA-F", false}}, {'H', {"0-9a-fA-F", true}},
    };
    *out = (set){NULL, false};
    const char letter = *t->at;
    for (size_t i = 0; i < sizeof letters / sizeof *letters; i++)
        if (letters[i].letter == letter) *out = letters[i].is;
    if (out->inside != NULL) t->at++;
    if (letter != 'p' && letter != 'P') return ZMLX_OK;
    t->at++;
    return read_property(t, letter == 'P', inside, out);
}

/* Copies an escape for one character; 't->at' is behind the backslash. */
static zmlx_status copy_escape(translation *t, zx_text *out)
{
    if (*t->at == 'v') {
        t->at++;
        return add(out, "\\x0b");
    }
    if (*t->at == 'u' && t->end - t->at >= 5) {
        ZX_TRY(zx_text_format(out, "\\x{%.4s}", t->at + 1));
        t->at += 5;
        return ZMLX_OK;
    }
    uint32_t point;
    size_t length = zx_utf8_next(t->at, &point);
    if (starts(t, "x{")) {
        const char *const close = memchr(t->at, '}', (size_t)(t->end - t->at));
        if (close != NULL) length = (size_t)(close - t->at) + 1;
    }
    ZX_TRY(add(out, "\\"));
    ZX_TRY(zx_text_add(out, t->at, length));
    t->at += length;
    return ZMLX_OK;
}

/* One operand of '&&': a plain set, and alternatives that a set cannot hold. */
typedef struct operand {
    zx_text plain, others;
} operand;

static void operand_fini(operand *side)
{
    zx_text_fini(&side->plain);
    zx_text_fini(&side->others);
}

static zmlx_status add_other(operand *side, const char *before, const char *text, const char *after)
{
    if (side->others.length > 0) ZX_TRY(add(&side->others, "|"));
    ZX_TRY(add(&side->others, before));
    ZX_TRY(add(&side->others, text));
    return add(&side->others, after);
}

static zmlx_status add_set(operand *side, set what)
{
    if (!what.negated) return add(&side->plain, what.inside);
    const char *const more = strchr(what.inside + 1, '\\');
    if (strncmp(what.inside, "\\p{", 3) == 0 && more == NULL &&
        what.inside[strlen(what.inside) - 1] == '}')
        return zx_text_format(&side->plain, "\\P{%s", what.inside + 3);
    return add_other(side, "[^", what.inside, "]");
}

/* Writes an operand as something that matches one character. */
static zmlx_status write_operand(const translation *t, const operand *side, zx_text *out)
{
    if (side->plain.length + side->others.length == 0) return refuse(t, "an empty class");
    const bool group = side->others.length > 0;
    if (group) ZX_TRY(add(out, "(?:"));
    if (side->plain.length > 0) {
        ZX_TRY(add(out, "["));
        ZX_TRY(zx_text_add(out, side->plain.bytes, side->plain.length));
        ZX_TRY(add(out, group ? "]|" : "]"));
    }
    if (group) {
        ZX_TRY(zx_text_add(out, side->others.bytes, side->others.length));
        ZX_TRY(add(out, ")"));
    }
    return ZMLX_OK;
}

static zmlx_status read_class(translation *t, int nesting, zx_text *out);

/* Reads one item of a class. */
static zmlx_status read_item(translation *t, int nesting, operand *side, zx_text *scratch)
{
    if (starts(t, "[:")) {
        const char *const close = memmem(t->at, (size_t)(t->end - t->at), ":]", 2);
        if (close != NULL) {
            const char *name = t->at + 2;
            const bool negated = name < close && *name == '^';
            if (negated) name++;
            if (close - name > MAX_NAME) return refuse(t, "a class name that is too long");
            ZX_TRY(property_set(name, (size_t)(close - name), scratch));
            if (memcmp(name, "punct", (size_t)(close - name)) == 0) ZX_TRY(add(scratch, "\\p{S}"));
            t->at = close + 2;
            return add_set(side, (set){scratch->bytes, negated});
        }
    }
    if (*t->at == '[') {
        zx_text_clear(scratch);
        t->at++;
        ZX_TRY(read_class(t, nesting + 1, scratch));
        return add_other(side, "", scratch->bytes, "");
    }
    if (*t->at != '\\') {
        uint32_t point;
        const size_t length = zx_utf8_next(t->at, &point);
        ZX_TRY(zx_text_add(&side->plain, t->at, length));
        t->at += length;
        return ZMLX_OK;
    }
    if (++t->at == t->end) return refuse(t, "a backslash at its end");
    set what;
    ZX_TRY(read_set_escape(t, scratch, &what));
    return what.inside != NULL ? add_set(side, what) : copy_escape(t, &side->plain);
}

/* Reads a class behind its '[' and appends what matches one character of it. */
static zmlx_status read_class(translation *t, int nesting, zx_text *out)
{
    if (nesting > MAX_NESTING) return refuse(t, "classes nested too deep");
    operand side = {0};
    zx_text scratch = {0}, whole = {0};
    zmlx_status status = ZMLX_OK;
    const bool negated = t->at < t->end && *t->at == '^';
    if (negated) t->at++;
    bool first = true, joined = false;
    while (t->at < t->end && (*t->at != ']' || first)) {
        if (first && *t->at == ']') {
            status = add(&side.plain, "\\");
            if (status != ZMLX_OK) goto done;
        }
        if (starts(t, "&&")) {
            t->at += 2;
            status = add(&whole, "(?=");
            if (status == ZMLX_OK) status = write_operand(t, &side, &whole);
            if (status == ZMLX_OK) status = add(&whole, ")");
            operand_fini(&side);
            side = (operand){0};
            joined = true;
        } else {
            status = read_item(t, nesting, &side, &scratch);
        }
        if (status != ZMLX_OK) goto done;
        first = false;
    }
    if (t->at == t->end) {
        status = refuse(t, "a class without an end");
        goto done;
    }
    t->at++;
    if (negated && !joined && side.others.length == 0) {
        status = insert(&side.plain, 0, "^");
        if (status == ZMLX_OK) status = write_operand(t, &side, out);
        goto done;
    }
    status = write_operand(t, &side, &whole);
    if (status == ZMLX_OK && (joined || negated)) status = add(out, negated ? "(?:(?!" : "(?:");
    if (status == ZMLX_OK) status = zx_text_add(out, whole.bytes, whole.length);
    if (status == ZMLX_OK && (joined || negated)) status = add(out, negated ? ")(?s:.))" : ")");
done:
    operand_fini(&side);
    zx_text_fini(&scratch);
    zx_text_fini(&whole);
    return status;
}

/* An escape outside a class. */
static zmlx_status read_escape(translation *t, zx_text *out)
{
    if (++t->at == t->end) return refuse(t, "a backslash at its end");
    const char letter = *t->at;
    if (letter == 'b' || letter == 'B') {
        t->at++;
        return add(out, letter == 'b'
                            ? "(?:(?<=[" ALONE "])(?![" ALONE "])|(?<![" ALONE "])(?=[" ALONE "]))"
                            : "(?:(?<=[" ALONE "])(?=[" ALONE "])|(?<![" ALONE "])(?![" ALONE
                              "]))");
    }
    if (letter == 'O') {
        t->at++;
        return add(out, "(?s:.)");
    }
    if (letter == 'y' || letter == 'Y') return refuse(t, "a text segment boundary");
    zx_text scratch = {0};
    set what;
    zmlx_status status = read_set_escape(t, &scratch, &what);
    if (status == ZMLX_OK && what.inside == NULL) status = copy_escape(t, out);
    if (status == ZMLX_OK && what.inside != NULL && strcmp(what.inside, WORDS) == 0)
        what.inside = ALONE;
    if (status == ZMLX_OK && what.inside != NULL)
        status = zx_text_format(out, what.negated ? "[^%s]" : "[%s]", what.inside);
    zx_text_fini(&scratch);
    return status;
}

/* A '(' with what follows it up to the group's content. */
static zmlx_status read_group(translation *t, zx_text *out)
{
    if (t->depth == MAX_GROUPS) return refuse(t, "groups nested too deep");
    if (starts(t, "(?~")) return refuse(t, "an absent operator");
    t->groups[t->depth++] = out->length;
    ZX_TRY(add(out, "("));
    t->at++;
    if (t->at == t->end || *t->at != '?') return ZMLX_OK;
    ZX_TRY(add(out, "?"));
    t->at++;
    while (t->at < t->end && strchr("imxs-", *t->at) != NULL) {
        const char option = *t->at == 'm' ? 's' : *t->at;
        ZX_TRY(zx_text_add(out, &option, 1));
        t->at++;
    }
    return ZMLX_OK;
}

/* A '{': a repetition {n} {n,} {n,m} {,m} of the atom before it, or the character. */
static zmlx_status read_braces(translation *t, size_t atom, zx_text *out)
{
    const char *at = t->at + 1;
    size_t digits[2] = {0, 0};
    bool comma = false;
    for (; at < t->end && (*at == ',' || (*at >= '0' && *at <= '9')); at++) {
        if (*at != ',') {
            digits[comma]++;
        } else {
            if (comma) break;
            comma = true;
        }
    }
    if (at == t->end || *at != '}' || digits[0] + digits[1] == 0) {
        t->at++;
        return add(out, "\\{");
    }
    at++;
    ZX_TRY(add(out, digits[0] == 0 ? "{0" : "{"));
    ZX_TRY(zx_text_add(out, t->at + 1, (size_t)(at - t->at - 1)));
    const bool again = at < t->end && *at == '+';
    const bool maybe = at < t->end && *at == '?' && !comma;
    t->at = at;
    if (!again && !maybe) return ZMLX_OK;
    ZX_TRY(insert(out, atom, "(?:"));
    ZX_TRY(add(out, again ? ")+" : ")?"));
    t->at++;
    return ZMLX_OK;
}

static zmlx_status read_next(translation *t, size_t *atom, zx_text *out)
{
    const char letter = *t->at;
    if (letter == '{') return read_braces(t, *atom, out);
    if (strchr("*+?|^$", letter) == NULL || letter == 0) *atom = out->length;
    if (letter == '\\') return read_escape(t, out);
    if (letter == '(') return read_group(t, out);
    if (letter == '[') {
        t->at++;
        return read_class(t, 0, out);
    }
    if (letter == ')' && t->depth > 0) *atom = t->groups[--t->depth];
    uint32_t point;
    const size_t length = zx_utf8_next(t->at, &point);
    ZX_TRY(zx_text_add(out, t->at, length));
    t->at += length;
    return ZMLX_OK;
}

zmlx_status zx_onig_translate(const char *source, const char *pattern, size_t length, zx_text *out)
{
    translation t = {.source = source, .at = pattern, .end = pattern + length};
    if (length > MAX_PATTERN) return refuse(&t, "more than 64 KiB");
    size_t atom = 0;
    while (t.at < t.end) ZX_TRY(read_next(&t, &atom, out));
    return ZMLX_OK;
}
