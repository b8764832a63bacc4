/* compare.c - equality, order, membership and hashes, as Python defines them: numbers of all
 * types compare by value, containers item by item, and what has no order is an error. */
#include <math.h>
#include <string.h>

#include "base/hash.h"
#include "jinja/run.h"

/* --- numbers --- */

static int compare_integer_with(int64_t a, double b)
{
    if (isnan(b)) return 2;
    if (b >= 0x1p63) return -1;
    if (b < -0x1p63) return 1;
    const double whole = floor(b);
    const int64_t integer = (int64_t)whole;
    if (a != integer) return a < integer ? -1 : 1;
    return b > whole ? -1 : 0;
}

int zx_jnumber_compare(zx_jvalue a, zx_jvalue b)
{
    int64_t x = 0, y = 0;
    const bool a_whole = zx_jvalue_is_integer(a, &x), b_whole = zx_jvalue_is_integer(b, &y);
    if (a_whole && b_whole) return (x > y) - (x < y);
    if (a_whole) return compare_integer_with(x, b.as.number);
    if (b_whole) {
        const int order = compare_integer_with(y, a.as.number);
        return order == 2 ? 2 : -order;
    }
    if (isnan(a.as.number) || isnan(b.as.number)) return 2;
    return (a.as.number > b.as.number) - (a.as.number < b.as.number);
}

/* --- hashes --- */

static uint64_t hash_number(const zx_jrun *run, zx_jvalue value)
{
    int64_t integer = 0;
    if (!zx_jvalue_is_integer(value, &integer)) {
        const double number = value.as.number;
        if (!(number >= -0x1p63 && number < 0x1p63) || floor(number) < number)
            return zx_hash(&value.as.number, sizeof value.as.number, run->seed);
        integer = (int64_t)number; /* equal numbers have equal hashes */
    }
    return zx_hash(&integer, sizeof integer, run->seed + 1);
}

zmlx_status zx_jvalue_hash(zx_jrun *run, zx_jvalue value, uint64_t *hash)
{
    ZX_TRY(zx_jrun_pay(run, 1));
    if (value.kind == ZX_J_STRING) {
        if (value.as.string->length >= 64) ZX_TRY(zx_jrun_pay_bytes(run, value.as.string->length));
        *hash = zx_hash(value.as.string->bytes, value.as.string->length, run->seed);
        return ZMLX_OK;
    }
    if (zx_jvalue_is_number(value)) {
        *hash = hash_number(run, value);
        return ZMLX_OK;
    }
    const bool is_set_like = value.kind == ZX_J_VIEW && value.as.view->kind != ZX_J_VALUES;
    if (value.kind == ZX_J_LIST || value.kind == ZX_J_DICT || is_set_like)
        return ZX_JFAIL(run, "unhashable type: '%s'", zx_jvalue_type(value));
    if (value.kind == ZX_J_TUPLE) {
        uint64_t sum = run->seed + 2, part = 0;
        ZX_TRY(zx_jrun_enter(run));
        for (size_t i = 0; i < value.as.list->count; i++) {
            ZX_TRY(zx_jvalue_hash(run, value.as.list->items[i], &part));
            sum = zx_hash(&part, sizeof part, sum);
        }
        run->depth--;
        *hash = sum;
        return ZMLX_OK;
    }
    const uint64_t kind = (uint64_t)value.kind; /* few enough of these that one bucket will do */
    *hash = zx_hash(&kind, sizeof kind, run->seed + 3);
    return ZMLX_OK;
}

/* --- equality --- */

static zmlx_status lists_equal(zx_jrun *run, const zx_jlist *a, const zx_jlist *b, bool *equal)
{
    *equal = a->count == b->count;
    for (size_t i = 0; i < a->count && *equal; i++)
        ZX_TRY(zx_jvalue_equal(run, a->items[i], b->items[i], equal));
    return ZMLX_OK;
}

static zmlx_status dicts_equal(zx_jrun *run, const zx_jdict *a, const zx_jdict *b, bool *equal)
{
    *equal = a->count == b->count;
    for (size_t i = 0; i < a->count && *equal; i++) {
        zx_jvalue other;
        ZX_TRY(zx_jdict_get(run, b, a->pairs[i].key, &other));
        if (other.kind == ZX_J_MISSING)
            *equal = false;
        else
            ZX_TRY(zx_jvalue_equal(run, a->pairs[i].value, other, equal));
    }
    return ZMLX_OK;
}

/* keys() and items() compare as sets; values() only with itself. */
static zmlx_status views_equal(zx_jrun *run, zx_jvalue a, zx_jvalue b, bool *equal)
{
    const zx_jview *const x = a.as.view, *const y = b.as.view;
    *equal = x == y;
    if (x->kind == ZX_J_VALUES || x->kind != y->kind || *equal) return ZMLX_OK;
    if (x->kind == ZX_J_ITEMS) return dicts_equal(run, x->dict, y->dict, equal);
    *equal = x->dict->count == y->dict->count;
    for (size_t i = 0; i < x->dict->count && *equal; i++) {
        zx_jvalue other;
        ZX_TRY(zx_jdict_get(run, y->dict, x->dict->pairs[i].key, &other));
        *equal = other.kind != ZX_J_MISSING;
    }
    return ZMLX_OK;
}

static bool ranges_equal(const zx_jrange *a, const zx_jrange *b)
{
    if (a->count != b->count) return false;
    if (a->count == 0) return true;
    return a->start == b->start && (a->count == 1 || a->step == b->step);
}

static zmlx_status containers_equal(zx_jrun *run, zx_jvalue a, zx_jvalue b, bool *equal)
{
    ZX_TRY(zx_jrun_enter(run));
    if (zx_jvalue_is_sequence(a))
        ZX_TRY(lists_equal(run, a.as.list, b.as.list, equal));
    else if (a.kind == ZX_J_DICT)
        ZX_TRY(dicts_equal(run, a.as.dict, b.as.dict, equal));
    else
        ZX_TRY(views_equal(run, a, b, equal));
    run->depth--;
    return ZMLX_OK;
}

bool zx_jvalue_identical(zx_jvalue a, zx_jvalue b)
{
    if (a.kind != b.kind) return false;
    if (a.kind == ZX_J_NONE || a.kind == ZX_J_MISSING) return true;
    if (a.kind == ZX_J_BOOL) return a.as.boolean == b.as.boolean;
    if (a.kind == ZX_J_INT) return a.as.integer == b.as.integer;
    if (a.kind == ZX_J_FLOAT) return zx_jnumber_compare(a, b) == 0;
    if (a.kind == ZX_J_STRING) return zx_jstring_same(a.as.string, b.as.string);
    if (a.kind == ZX_J_FUNCTION) return a.as.function == b.as.function;
    if (a.kind == ZX_J_BLOCK) return a.as.block == b.as.block;
    if (a.kind == ZX_J_SELF) return true;
    return a.as.list == b.as.list; /* any pointer */
}

zmlx_status zx_jvalue_equal(zx_jrun *run, zx_jvalue a, zx_jvalue b, bool *equal)
{
    ZX_TRY(zx_jrun_pay(run, 1));
    if (zx_jvalue_is_number(a) && zx_jvalue_is_number(b)) {
        *equal = zx_jnumber_compare(a, b) == 0;
        return ZMLX_OK;
    }
    if (a.kind != b.kind) {
        *equal = false;
        return ZMLX_OK;
    }
    if (a.kind == ZX_J_STRING && a.as.string->length >= 64)
        ZX_TRY(zx_jrun_pay_bytes(run, a.as.string->length));
    *equal = a.kind == ZX_J_UNDEFINED || zx_jvalue_identical(a, b);
    if (*equal) return ZMLX_OK;
    if (zx_jvalue_is_sequence(a) || a.kind == ZX_J_DICT || a.kind == ZX_J_VIEW)
        return containers_equal(run, a, b, equal);
    if (a.kind == ZX_J_RANGE) *equal = ranges_equal(a.as.range, b.as.range);
    if (a.kind == ZX_J_METHOD && a.as.method->row == b.as.method->row)
        *equal = zx_jvalue_identical(a.as.method->self, b.as.method->self);
    return ZMLX_OK;
}

/* --- order --- */

static int compare_strings(const zx_jstring *a, const zx_jstring *b)
{
    const size_t shared = a->length < b->length ? a->length : b->length;
    const int order = shared > 0 ? memcmp(a->bytes, b->bytes, shared) : 0;
    if (order != 0) return order; /* the order of UTF-8 is that of code points */
    return (a->length > b->length) - (a->length < b->length);
}

static zmlx_status lists_less(zx_jrun *run, const zx_jlist *a, const zx_jlist *b, const char *sign,
                              bool *less)
{
    for (size_t i = 0; i < a->count && i < b->count; i++) {
        bool equal = false;
        ZX_TRY(zx_jvalue_equal(run, a->items[i], b->items[i], &equal));
        if (!equal) return zx_jvalue_less(run, a->items[i], b->items[i], sign, less);
    }
    *less = a->count < b->count;
    return ZMLX_OK;
}

zmlx_status zx_jvalue_less(zx_jrun *run, zx_jvalue a, zx_jvalue b, const char *sign, bool *less)
{
    ZX_TRY(zx_jrun_pay(run, 1));
    if (zx_jvalue_is_number(a) && zx_jvalue_is_number(b)) {
        *less = zx_jnumber_compare(a, b) == -1;
        return ZMLX_OK;
    }
    if (a.kind == ZX_J_UNDEFINED) return zx_jundefined_fail(run, a.as.undefined);
    if (b.kind == ZX_J_UNDEFINED) return zx_jundefined_fail(run, b.as.undefined);
    if (a.kind == ZX_J_STRING && b.kind == ZX_J_STRING) {
        ZX_TRY(zx_jrun_pay_bytes(run, a.as.string->length));
        *less = compare_strings(a.as.string, b.as.string) < 0;
        return ZMLX_OK;
    }
    if (zx_jvalue_is_sequence(a) && a.kind == b.kind) {
        ZX_TRY(zx_jrun_enter(run));
        ZX_TRY(lists_less(run, a.as.list, b.as.list, sign, less));
        run->depth--;
        return ZMLX_OK;
    }
    return ZX_JFAIL(run, "'%s' not supported between instances of '%s' and '%s'", sign,
                    zx_jvalue_type(a), zx_jvalue_type(b));
}

/* --- membership --- */

static zmlx_status view_contains(zx_jrun *run, const zx_jview *view, zx_jvalue item, bool *contains)
{
    zx_jvalue found;
    *contains = false;
    if (view->kind == ZX_J_KEYS) {
        ZX_TRY(zx_jdict_get(run, view->dict, item, &found));
        *contains = found.kind != ZX_J_MISSING;
    } else if (view->kind == ZX_J_VALUES) {
        for (size_t i = 0; i < view->dict->count && !*contains; i++)
            ZX_TRY(zx_jvalue_equal(run, view->dict->pairs[i].value, item, contains));
    } else if (item.kind == ZX_J_TUPLE && item.as.list->count == 2) {
        ZX_TRY(zx_jdict_get(run, view->dict, item.as.list->items[0], &found));
        if (found.kind != ZX_J_MISSING)
            ZX_TRY(zx_jvalue_equal(run, found, item.as.list->items[1], contains));
    }
    return ZMLX_OK;
}

static zmlx_status string_contains(zx_jrun *run, const zx_jstring *text, zx_jvalue item,
                                   bool *contains)
{
    if (item.kind != ZX_J_STRING)
        return ZX_JFAIL(run, "'in <string>' requires string as left operand, not %s",
                        zx_jvalue_type(item));
    ZX_TRY(zx_jrun_pay_search(run, text->length));
    const zx_jstring *const piece = item.as.string;
    *contains = piece->length == 0 ||
                memmem(text->bytes, text->length, piece->bytes, piece->length) != NULL;
    return ZMLX_OK;
}

zmlx_status zx_jvalue_contains(zx_jrun *run, zx_jvalue container, zx_jvalue item, bool *contains)
{
    *contains = false;
    if (container.kind == ZX_J_STRING)
        return string_contains(run, container.as.string, item, contains);
    if (container.kind == ZX_J_DICT) {
        zx_jvalue found;
        ZX_TRY(zx_jdict_get(run, container.as.dict, item, &found));
        *contains = found.kind != ZX_J_MISSING;
        return ZMLX_OK;
    }
    if (container.kind == ZX_J_VIEW) return view_contains(run, container.as.view, item, contains);
    if (!zx_jvalue_is_iterable(container))
        return ZX_JFAIL(run, "argument of type '%s' is not iterable", zx_jvalue_type(container));
    zx_jiter *iter = NULL;
    ZX_TRY(zx_jiter_make(run, container, &iter));
    while (!*contains) {
        zx_jvalue next;
        ZX_TRY(zx_jiter_next(run, iter, &next));
        if (next.kind == ZX_J_MISSING) break;
        ZX_TRY(zx_jvalue_equal(run, next, item, contains));
    }
    return ZMLX_OK;
}
