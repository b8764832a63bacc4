/* members.c - object.name, object[key] and slices, as the sandboxed environment looks them up:
 * a name is first an attribute and then an item, a key first an item and then an attribute,
 * and what is private or would change a list or dict is hidden. */
#include <string.h>

#include "jinja/eval.h"
#include "jinja/loop.h"

/* --- attributes --- */

static bool is_private(const zx_jstring *name)
{
    return name->length > 0 && name->bytes[0] == '_';
}

/* Attributes that every Python object has. */
static bool is_of_object(const zx_jstring *name)
{
    static const char *const names[] = {
        "__class__",
        "__delattr__",
        "__dir__",
        "__doc__",
        "__eq__",
        "__format__",
        "__ge__",
        "__getattribute__",
        "__gt__",
        "__hash__",
        "__init__",
        "__le__",
        "__lt__",
        "__ne__",
        "__new__",
        "__reduce__",
        "__reduce_ex__",
        "__repr__",
        "__setattr__",
        "__sizeof__",
        "__str__",
        "__subclasshook__",
        "__init_subclass__",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (zx_jstring_is(name, names[i])) return true;
    return false;
}

static zmlx_status hide(zx_jrun *run, zx_jvalue object, zx_jvalue name, zx_jvalue *result)
{
    ZX_TRY(zx_jundefined_make(run, object, name, result));
    result->as.undefined->is_unsafe = true;
    return ZMLX_OK;
}

static zmlx_status macro_attribute(const zx_jmacro *macro, const zx_jstring *name,
                                   zx_jvalue *result)
{
    const zx_jnode *const node = macro->node;
    if (zx_jstring_is(name, "name")) *result = node->value;
    if (zx_jstring_is(name, "arguments"))
        *result = (zx_jvalue){.kind = ZX_J_TUPLE, .as.list = macro->names};
    if (zx_jstring_is(name, "catch_kwargs")) *result = zx_jbool(node->takes_kwargs);
    if (zx_jstring_is(name, "catch_varargs")) *result = zx_jbool(node->takes_varargs);
    if (zx_jstring_is(name, "caller")) *result = zx_jbool(node->takes_caller);
    return ZMLX_OK;
}

static void range_attribute(const zx_jrange *range, const zx_jstring *name, zx_jvalue *result)
{
    if (zx_jstring_is(name, "start")) *result = zx_jint(range->start);
    if (zx_jstring_is(name, "stop")) *result = zx_jint(range->stop);
    if (zx_jstring_is(name, "step")) *result = zx_jint(range->step);
}

static void number_attribute(zx_jvalue number, const zx_jstring *name, zx_jvalue *result)
{
    int64_t integer = 0;
    const bool whole = zx_jvalue_is_integer(number, &integer);
    const zx_jvalue plain = whole ? zx_jint(integer) : number;
    if (zx_jstring_is(name, "real") || (whole && zx_jstring_is(name, "numerator"))) *result = plain;
    if (zx_jstring_is(name, "imag")) *result = whole ? zx_jint(0) : zx_jfloat(0);
    if (whole && zx_jstring_is(name, "denominator")) *result = zx_jint(1);
}

static void cycler_attribute(zx_jvalue object, const zx_jstring *name, zx_jvalue *result)
{
    const zx_jcycler *const cycler = object.as.cycler;
    if (object.kind == ZX_J_JOINER) {
        if (zx_jstring_is(name, "sep")) *result = cycler->separator;
        if (zx_jstring_is(name, "used")) *result = zx_jbool(cycler->at > 0);
        return;
    }
    if (zx_jstring_is(name, "current")) *result = cycler->items->items[cycler->at];
    if (zx_jstring_is(name, "pos")) *result = zx_jsized(cycler->at);
    if (zx_jstring_is(name, "items"))
        *result = (zx_jvalue){.kind = ZX_J_TUPLE, .as.list = cycler->items};
}

/* What is no method. */
static zmlx_status data_attribute(zx_jrun *run, zx_jvalue object, const zx_jstring *name,
                                  zx_jvalue *result)
{
    if (object.kind == ZX_J_LOOP) return zx_jloop_attribute(run, object.as.loop, name, result);
    if (object.kind == ZX_J_MACRO) return macro_attribute(object.as.macro, name, result);
    if (object.kind == ZX_J_NAMESPACE)
        *result = zx_jdict_find(run, object.as.dict, name->bytes, name->length);
    else if (object.kind == ZX_J_RANGE)
        range_attribute(object.as.range, name, result);
    else if (zx_jvalue_is_number(object))
        number_attribute(object, name, result);
    else if (object.kind == ZX_J_CYCLER || object.kind == ZX_J_JOINER)
        cycler_attribute(object, name, result);
    else if (object.kind == ZX_J_TUPLE && object.as.list->is_group)
        *result = zx_jstring_is(name, "grouper") ? object.as.list->items[0]
                  : zx_jstring_is(name, "list")  ? object.as.list->items[1]
                                                 : zx_jmissing();
    return ZMLX_OK;
}

zmlx_status zx_jvalue_own_attribute(zx_jrun *run, zx_jvalue object, zx_jvalue name,
                                    zx_jvalue *result)
{
    const zx_jstring *const text = name.as.string;
    *result = zx_jmissing();
    if (is_of_object(text)) return hide(run, object, name, result);
    if (object.kind == ZX_J_UNDEFINED) {
        const bool dunder = text->length > 4 && memcmp(text->bytes, "__", 2) == 0 &&
                            memcmp(text->bytes + text->length - 2, "__", 2) == 0;
        return dunder ? ZMLX_OK : zx_jundefined_fail(run, object.as.undefined);
    }
    ZX_TRY(data_attribute(run, object, text, result));
    if (result->kind != ZX_J_MISSING)
        return is_private(text) ? hide(run, object, name, result) : ZMLX_OK;
    bool is_unsafe = false;
    if (object.kind == ZX_J_FUNCTION && strcmp(object.as.function->name, "dict") != 0)
        return ZMLX_OK;
    const zx_jbuiltin *const row = zx_jmethod_find(object.kind, text, &is_unsafe);
    if (is_unsafe) return hide(run, object, name, result);
    if (row == NULL) return ZMLX_OK;
    void *memory = NULL;
    ZX_TRY(zx_jalloc(run, 1, sizeof(zx_jmethod), &memory));
    zx_jmethod *const method = memory;
    *method = (zx_jmethod){.self = object, .row = row};
    *result = (zx_jvalue){.kind = ZX_J_METHOD, .as.method = method};
    return ZMLX_OK;
}

/* --- items --- */

/* The item at an index that may be negative; MISSING beyond the ends. */
static zmlx_status indexed(zx_jrun *run, zx_jvalue object, int64_t index, zx_jvalue *result)
{
    bool has_length = false;
    size_t length = 0;
    ZX_TRY(zx_jvalue_length(run, object, &has_length, &length));
    if (index < 0) index += (int64_t)length;
    if (index < 0 || index >= (int64_t)length) return ZMLX_OK;
    if (zx_jvalue_is_sequence(object)) {
        *result = object.as.list->items[index];
    } else if (object.kind == ZX_J_RANGE) {
        *result = zx_jint(object.as.range->start + index * object.as.range->step);
    } else {
        zx_jstring *const text = object.as.string;
        size_t bytes = 0;
        if (length < text->length) ZX_TRY(zx_jrun_pay_bytes(run, text->length));
        const size_t offset = zx_jstring_offset(text, (size_t)index);
        (void)zx_jstring_at(text, offset, &bytes);
        ZX_TRY(zx_jstring_borrow(run, text->bytes + offset, bytes, result));
        result->as.string->markup = text->markup;
    }
    return ZMLX_OK;
}

static bool is_hashable(zx_jvalue value)
{
    if (value.kind == ZX_J_VIEW) return value.as.view->kind == ZX_J_VALUES;
    if (value.kind == ZX_J_LIST || value.kind == ZX_J_DICT) return false;
    if (value.kind != ZX_J_TUPLE) return true;
    for (size_t i = 0; i < value.as.list->count; i++)
        if (value.as.list->items[i].kind == ZX_J_LIST || value.as.list->items[i].kind == ZX_J_DICT)
            return false;
    return true;
}

/* Python's object[key]; MISSING where it raises. */
static zmlx_status own_item(zx_jrun *run, zx_jvalue object, zx_jvalue key, zx_jvalue *result)
{
    int64_t index = 0;
    *result = zx_jmissing();
    if (object.kind == ZX_J_UNDEFINED) return zx_jundefined_fail(run, object.as.undefined);
    if (object.kind == ZX_J_DICT) {
        if (!is_hashable(key)) return ZMLX_OK;
        return zx_jdict_get(run, object.as.dict, key, result);
    }
    if (object.kind == ZX_J_SELF && key.kind == ZX_J_STRING) {
        for (const zx_jblock *block = run->blocks; block != NULL; block = block->next)
            if (zx_jstring_same(block->node->value.as.string, key.as.string))
                *result = (zx_jvalue){.kind = ZX_J_BLOCK, .as.block = block->node};
        return ZMLX_OK;
    }
    if ((zx_jvalue_is_sequence(object) || object.kind == ZX_J_STRING ||
         object.kind == ZX_J_RANGE) &&
        zx_jvalue_is_integer(key, &index))
        return indexed(run, object, index, result);
    return ZMLX_OK;
}

zmlx_status zx_jvalue_attribute(zx_jrun *run, zx_jvalue object, zx_jvalue name, zx_jvalue *result)
{
    ZX_TRY(zx_jvalue_own_attribute(run, object, name, result));
    if (result->kind != ZX_J_MISSING) return ZMLX_OK;
    ZX_TRY(own_item(run, object, name, result));
    if (result->kind != ZX_J_MISSING) return ZMLX_OK;
    return zx_jundefined_make(run, object, name, result);
}

zmlx_status zx_jvalue_item(zx_jrun *run, zx_jvalue object, zx_jvalue key, zx_jvalue *result)
{
    ZX_TRY(own_item(run, object, key, result));
    if (result->kind != ZX_J_MISSING) return ZMLX_OK;
    if (key.kind == ZX_J_STRING) ZX_TRY(zx_jvalue_own_attribute(run, object, key, result));
    if (result->kind != ZX_J_MISSING) return ZMLX_OK;
    return zx_jundefined_make(run, object, key, result);
}

/* --- slices --- */

static zmlx_status bound(zx_jrun *run, zx_jvalue value, int64_t otherwise, int64_t *integer)
{
    *integer = otherwise;
    if (value.kind == ZX_J_NONE || value.kind == ZX_J_MISSING) return ZMLX_OK;
    if (zx_jvalue_is_integer(value, integer)) return ZMLX_OK;
    return ZX_JFAIL(run, "slice indices must be integers or None, not '%s'", zx_jvalue_type(value));
}

/* Moves an index into [low, high]; a negative one counts from the end. */
static int64_t clamp(int64_t index, int64_t length, int64_t low, int64_t high)
{
    if (index < 0) index = index < -length ? low : index + length;
    if (index < low) return low;
    return index > high ? high : index;
}

zmlx_status zx_jslice_indices(zx_jrun *run, const zx_jvalue bounds[3], size_t count,
                              int64_t range[3], size_t *taken)
{
    const int64_t length = (int64_t)count;
    int64_t step = 1;
    ZX_TRY(bound(run, bounds[2], 1, &step));
    if (step == 0) return ZX_JFAIL(run, "slice step cannot be zero");
    if (step == INT64_MIN) step++;
    const int64_t low = step < 0 ? -1 : 0, high = step < 0 ? length - 1 : length;
    ZX_TRY(bound(run, bounds[0], 0, &range[0]));
    ZX_TRY(bound(run, bounds[1], 0, &range[1]));
    const bool has_start = bounds[0].kind != ZX_J_NONE && bounds[0].kind != ZX_J_MISSING;
    const bool has_stop = bounds[1].kind != ZX_J_NONE && bounds[1].kind != ZX_J_MISSING;
    range[0] = has_start ? clamp(range[0], length, low, high) : (step < 0 ? high : low);
    range[1] = has_stop ? clamp(range[1], length, low, high) : (step < 0 ? low : high);
    range[2] = step;
    const int64_t span = step > 0 ? range[1] - range[0] : range[0] - range[1];
    const int64_t stride = step > 0 ? step : -step;
    *taken = span > 0 ? (size_t)((span - 1) / stride + 1) : 0;
    return ZMLX_OK;
}

static zmlx_status slice_string(zx_jrun *run, zx_jstring *text, const int64_t range[3],
                                size_t taken, zx_jvalue *result)
{
    ZX_TRY(range[2] == 1 ? zx_jrun_pay_bytes(run, text->length)
                         : zx_jrun_pay_points(run, text->length));
    if (range[2] == 1) {
        const size_t start = zx_jstring_offset(text, (size_t)range[0]);
        const size_t end = taken > 0 ? zx_jstring_offset(text, (size_t)range[1]) : start;
        ZX_TRY(zx_jstring_borrow(run, text->bytes + start, end - start, result));
        result->as.string->markup = text->markup;
        return ZMLX_OK;
    }
    zx_jbuilder builder = {0};
    size_t offset = taken > 0 ? zx_jstring_offset(text, (size_t)range[0]) : 0;
    for (size_t i = 0; i < taken; i++) {
        size_t bytes = 0;
        (void)zx_jstring_at(text, offset, &bytes);
        ZX_TRY(zx_jbuilder_add(run, &builder, text->bytes + offset, bytes));
        if (i + 1 == taken) break;
        for (int64_t skip = 0; skip < range[2]; skip++) {
            (void)zx_jstring_at(text, offset, &bytes);
            offset += bytes;
        }
        for (int64_t skip = 0; skip > range[2]; skip--) {
            (void)zx_jstring_before(text, offset, &bytes);
            offset -= bytes;
        }
    }
    ZX_TRY(zx_jbuilder_finish(run, &builder, result));
    result->as.string->markup = text->markup;
    return ZMLX_OK;
}

static zmlx_status slice_range(zx_jrun *run, const zx_jrange *from, const int64_t range[3],
                               size_t taken, zx_jvalue *result)
{
    void *memory = NULL;
    ZX_TRY(zx_jalloc(run, 1, sizeof(zx_jrange), &memory));
    zx_jrange *const made = memory;
    *made = (zx_jrange){.start = from->start + range[0] * from->step,
                        .stop = from->start + range[1] * from->step,
                        .count = (int64_t)taken};
    if (__builtin_mul_overflow(from->step, range[2], &made->step))
        return ZX_JFAIL(run, "integer overflow");
    *result = (zx_jvalue){.kind = ZX_J_RANGE, .as.range = made};
    return ZMLX_OK;
}

zmlx_status zx_jvalue_slice(zx_jrun *run, zx_jvalue object, const zx_jvalue bounds[3],
                            zx_jvalue *result)
{
    bool has_length = false;
    size_t count = 0, taken = 0;
    int64_t range[3];
    if (object.kind == ZX_J_UNDEFINED) return zx_jundefined_fail(run, object.as.undefined);
    if (!zx_jvalue_is_sequence(object) && object.kind != ZX_J_STRING && object.kind != ZX_J_RANGE)
        return ZX_JFAIL(run, "'%s' object cannot be sliced", zx_jvalue_type(object));
    ZX_TRY(zx_jvalue_length(run, object, &has_length, &count));
    ZX_TRY(zx_jslice_indices(run, bounds, count, range, &taken));
    if (object.kind == ZX_J_STRING)
        return slice_string(run, object.as.string, range, taken, result);
    if (object.kind == ZX_J_RANGE) return slice_range(run, object.as.range, range, taken, result);
    ZX_TRY(zx_jrun_pay(run, taken));
    ZX_TRY(zx_jlist_make(run, object.kind, taken, result));
    for (size_t i = 0; i < taken; i++)
        ZX_TRY(zx_jlist_add(run, result->as.list,
                            object.as.list->items[range[0] + (int64_t)i * range[2]]));
    return ZMLX_OK;
}
