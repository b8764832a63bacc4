/* methods_case.c - methods of strings that change or ask about case and classes. */
#include "jinja/call.h"
#include "jinja/run.h"
#include "jinja/unicode.h"

enum { CAPITAL_SIGMA = 0x3a3, SMALL_SIGMA = 0x3c3, FINAL_SIGMA = 0x3c2 };

typedef size_t (*map_fn)(uint32_t point, uint32_t mapped[ZX_UNICODE_MAX_MAPPED]);
typedef bool (*class_fn)(uint32_t point);

static bool is_cased(uint32_t point)
{
    return zx_unicode_is_lower(point) || zx_unicode_is_upper(point) || zx_unicode_is_title(point);
}

/* Whether the sigma at 'at' ends a word: a letter before it, none behind it. */
static bool is_final(const zx_jstring *text, size_t at, size_t length)
{
    size_t bytes = 0, before = at, after = at + length;
    uint32_t point = 0;
    while (before > 0) {
        point = zx_jstring_before(text, before, &bytes);
        if (!zx_unicode_is_case_ignorable(point)) break;
        before -= bytes;
    }
    if (before == 0 || !is_cased(point)) return false;
    while (after < text->length) {
        point = zx_jstring_at(text, after, &bytes);
        if (!zx_unicode_is_case_ignorable(point)) return !is_cased(point);
        after += bytes;
    }
    return true;
}

static zmlx_status add_lower(zx_jrun *run, zx_jbuilder *builder, const zx_jstring *text, size_t at,
                             uint32_t point)
{
    uint32_t mapped[ZX_UNICODE_MAX_MAPPED];
    if (point == CAPITAL_SIGMA)
        return zx_jbuilder_point(run, builder, is_final(text, at, 2) ? FINAL_SIGMA : SMALL_SIGMA);
    const size_t count = zx_unicode_lower(point, mapped);
    for (size_t i = 0; i < count; i++) ZX_TRY(zx_jbuilder_point(run, builder, mapped[i]));
    return ZMLX_OK;
}

static zmlx_status add_mapped(zx_jrun *run, zx_jbuilder *builder, map_fn map, uint32_t point)
{
    uint32_t mapped[ZX_UNICODE_MAX_MAPPED];
    const size_t count = map(point, mapped);
    for (size_t i = 0; i < count; i++) ZX_TRY(zx_jbuilder_point(run, builder, mapped[i]));
    return ZMLX_OK;
}

/* Which mapping a code point gets; NULL: the lower case. */
typedef map_fn (*choose_fn)(uint32_t point, bool first, bool after_cased);

static zmlx_status map_text(zx_jrun *run, const zx_jcall *call, choose_fn choose, zx_jvalue *result)
{
    const zx_jstring *const text = call->self.as.string;
    zx_jbuilder builder = {0};
    bool after_cased = false;
    ZX_TRY(zx_jrun_pay_points(run, text->length));
    for (size_t at = 0, bytes = 0; at < text->length; at += bytes) {
        const uint32_t point = zx_jstring_at(text, at, &bytes);
        const map_fn map = choose(point, at == 0, after_cased);
        if (map == NULL)
            ZX_TRY(add_lower(run, &builder, text, at, point));
        else
            ZX_TRY(add_mapped(run, &builder, map, point));
        after_cased = is_cased(point);
    }
    return zx_jbuilder_finish(run, &builder, result);
}

static map_fn choose_upper(uint32_t point, bool first, bool after_cased)
{
    (void)point;
    (void)first;
    (void)after_cased;
    return zx_unicode_upper;
}

static map_fn choose_lower(uint32_t point, bool first, bool after_cased)
{
    (void)point;
    (void)first;
    (void)after_cased;
    return NULL;
}

static map_fn choose_fold(uint32_t point, bool first, bool after_cased)
{
    (void)point;
    (void)first;
    (void)after_cased;
    return zx_unicode_fold;
}

static map_fn choose_capital(uint32_t point, bool first, bool after_cased)
{
    (void)point;
    (void)after_cased;
    return first ? zx_unicode_title : NULL;
}

static map_fn choose_title(uint32_t point, bool first, bool after_cased)
{
    (void)point;
    (void)first;
    return after_cased ? NULL : zx_unicode_title;
}

static size_t keep(uint32_t point, uint32_t mapped[ZX_UNICODE_MAX_MAPPED])
{
    mapped[0] = point;
    return 1;
}

static map_fn choose_swap(uint32_t point, bool first, bool after_cased)
{
    (void)first;
    (void)after_cased;
    if (zx_unicode_is_upper(point)) return NULL;
    return zx_unicode_is_lower(point) ? zx_unicode_upper : keep;
}

static zmlx_status do_upper(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    return map_text(run, call, choose_upper, result);
}

static zmlx_status do_lower(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    return map_text(run, call, choose_lower, result);
}

static zmlx_status do_casefold(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    return map_text(run, call, choose_fold, result);
}

static zmlx_status do_capitalize(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    return map_text(run, call, choose_capital, result);
}

static zmlx_status do_title(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    return map_text(run, call, choose_title, result);
}

static zmlx_status do_swapcase(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    return map_text(run, call, choose_swap, result);
}

/* --- classes --- */

static zmlx_status all_are(zx_jrun *run, const zx_jcall *call, class_fn is_class, bool empty,
                           zx_jvalue *result)
{
    const zx_jstring *const text = call->self.as.string;
    ZX_TRY(zx_jrun_pay_points(run, text->length));
    *result = zx_jbool(empty || text->length > 0);
    for (size_t at = 0, bytes = 0; at < text->length && result->as.boolean; at += bytes)
        result->as.boolean = is_class(zx_jstring_at(text, at, &bytes));
    return ZMLX_OK;
}

static bool is_alnum(uint32_t point)
{
    return zx_unicode_is_alpha(point) || zx_unicode_is_numeric(point);
}

static bool is_ascii(uint32_t point)
{
    return point < 0x80;
}

static zmlx_status do_isalnum(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    return all_are(run, call, is_alnum, false, result);
}

static zmlx_status do_isalpha(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    return all_are(run, call, zx_unicode_is_alpha, false, result);
}

static zmlx_status do_isascii(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    return all_are(run, call, is_ascii, true, result);
}

static zmlx_status do_isdecimal(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    return all_are(run, call, zx_unicode_is_decimal, false, result);
}

static zmlx_status do_isdigit(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    return all_are(run, call, zx_unicode_is_digit, false, result);
}

static zmlx_status do_isnumeric(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    return all_are(run, call, zx_unicode_is_numeric, false, result);
}

static zmlx_status do_isspace(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    return all_are(run, call, zx_unicode_is_space, false, result);
}

static zmlx_status do_isprintable(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    return all_are(run, call, zx_unicode_is_printable, true, result);
}

static zmlx_status do_isidentifier(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    const zx_jstring *const text = call->self.as.string;
    ZX_TRY(zx_jrun_pay_points(run, text->length));
    *result = zx_jbool(text->length > 0);
    for (size_t at = 0, bytes = 0; at < text->length && result->as.boolean; at += bytes)
        result->as.boolean = zx_unicode_is_name(zx_jstring_at(text, at, &bytes), at == 0);
    return ZMLX_OK;
}

/* Something is of the class 'wanted', and nothing is of 'refused' or a title letter. */
static zmlx_status case_is(zx_jrun *run, const zx_jcall *call, class_fn wanted, class_fn refused,
                           zx_jvalue *result)
{
    const zx_jstring *const text = call->self.as.string;
    ZX_TRY(zx_jrun_pay_points(run, text->length));
    *result = zx_jbool(false);
    for (size_t at = 0, bytes = 0; at < text->length; at += bytes) {
        const uint32_t point = zx_jstring_at(text, at, &bytes);
        if (refused(point) || zx_unicode_is_title(point)) {
            *result = zx_jbool(false);
            return ZMLX_OK;
        }
        if (wanted(point)) *result = zx_jbool(true);
    }
    return ZMLX_OK;
}

static zmlx_status do_islower(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    return case_is(run, call, zx_unicode_is_lower, zx_unicode_is_upper, result);
}

static zmlx_status do_isupper(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    return case_is(run, call, zx_unicode_is_upper, zx_unicode_is_lower, result);
}

static zmlx_status do_istitle(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    const zx_jstring *const text = call->self.as.string;
    bool after_cased = false, any = false;
    ZX_TRY(zx_jrun_pay_points(run, text->length));
    *result = zx_jbool(false);
    for (size_t at = 0, bytes = 0; at < text->length; at += bytes) {
        const uint32_t point = zx_jstring_at(text, at, &bytes);
        const bool capital = zx_unicode_is_upper(point) || zx_unicode_is_title(point);
        const bool small = zx_unicode_is_lower(point);
        if ((capital && after_cased) || (small && !after_cased)) return ZMLX_OK;
        after_cased = capital || small;
        any = any || after_cased;
    }
    *result = zx_jbool(any);
    return ZMLX_OK;
}

const zx_jbuiltin zx_jmethods_case[] = {
    {"upper", "/", do_upper},
    {"lower", "/", do_lower},
    {"casefold", "/", do_casefold},
    {"capitalize", "/", do_capitalize},
    {"title", "/", do_title},
    {"swapcase", "/", do_swapcase},
    {"isalnum", "/", do_isalnum},
    {"isalpha", "/", do_isalpha},
    {"isascii", "/", do_isascii},
    {"isdecimal", "/", do_isdecimal},
    {"isdigit", "/", do_isdigit},
    {"isidentifier", "/", do_isidentifier},
    {"islower", "/", do_islower},
    {"isnumeric", "/", do_isnumeric},
    {"isprintable", "/", do_isprintable},
    {"isspace", "/", do_isspace},
    {"istitle", "/", do_istitle},
    {"isupper", "/", do_isupper},
    {NULL, NULL, NULL},
};
