/* value.c - strings by code point, lists, ordered dicts, undefined values, and what every kind
 * of value is: its Python type, whether it is true, its length. */
#include "jinja/value.h"

#include <assert.h>
#include <string.h>

#include "base/hash.h"
#include "base/text.h"
#include "jinja/loop.h"
#include "jinja/run.h"

/* --- strings --- */

zmlx_status zx_jstring_text(zx_jrun *run, const char *text, zx_jvalue *string)
{
    return zx_jstring_copy(run, text, strlen(text), string);
}

static size_t count_points(const char *bytes, size_t length)
{
    size_t points = 0;
    for (size_t i = 0; i < length; i++) points += ((unsigned char)bytes[i] & 0xc0) != 0x80;
    return points;
}

size_t zx_jstring_points(zx_jstring *string)
{
    if (string->points == 0) string->points = count_points(string->bytes, string->length);
    return string->points;
}

size_t zx_jstring_offset(zx_jstring *string, size_t index)
{
    const size_t points = zx_jstring_points(string);
    if (points == string->length || index == 0) return index;
    if (index >= points) return string->length;
    size_t offset = 0;
    while (offset < string->length) {
        if (((unsigned char)string->bytes[offset] & 0xc0) != 0x80 && index-- == 0) break;
        offset++;
    }
    return offset;
}

bool zx_jstring_is(const zx_jstring *string, const char *text)
{
    const size_t length = strlen(text);
    return string->length == length && memcmp(string->bytes, text, length) == 0;
}

bool zx_jstring_same(const zx_jstring *a, const zx_jstring *b)
{
    return a->length == b->length &&
           (a->length == 0 || a->bytes == b->bytes || memcmp(a->bytes, b->bytes, a->length) == 0);
}

uint32_t zx_jstring_at(const zx_jstring *string, size_t offset, size_t *bytes)
{
    uint32_t point = 0;
    *bytes = zx_utf8_decode(string->bytes + offset, string->length - offset, &point);
    assert(*bytes > 0);
    return point;
}

uint32_t zx_jstring_before(const zx_jstring *string, size_t offset, size_t *bytes)
{
    size_t start = offset - 1;
    while (start > 0 && ((unsigned char)string->bytes[start] & 0xc0) == 0x80) start--;
    return zx_jstring_at(string, start, bytes);
}

/* --- lists --- */

zmlx_status zx_jlist_make(zx_jrun *run, zx_jkind kind, size_t capacity, zx_jvalue *list)
{
    void *memory = NULL, *items = NULL;
    ZX_TRY(zx_jalloc(run, 1, sizeof(zx_jlist), &memory));
    if (capacity > 0) ZX_TRY(zx_jalloc(run, capacity, sizeof(zx_jvalue), &items));
    zx_jlist *const made = memory;
    *made = (zx_jlist){.items = items, .capacity = capacity};
    *list = (zx_jvalue){.kind = kind, .as.list = made};
    return ZMLX_OK;
}

zmlx_status zx_jlist_add(zx_jrun *run, zx_jlist *list, zx_jvalue item)
{
    if (list->count == list->capacity) {
        const size_t capacity = list->capacity > 0 ? 2 * list->capacity : 4;
        void *items = NULL;
        ZX_TRY(zx_jalloc(run, capacity, sizeof(zx_jvalue), &items));
        if (list->count > 0) memcpy(items, list->items, list->count * sizeof(zx_jvalue));
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->count++] = item;
    return ZMLX_OK;
}

zmlx_status zx_jpair_make(zx_jrun *run, zx_jvalue first, zx_jvalue second, zx_jvalue *tuple)
{
    ZX_TRY(zx_jlist_make(run, ZX_J_TUPLE, 2, tuple));
    ZX_TRY(zx_jlist_add(run, tuple->as.list, first));
    return zx_jlist_add(run, tuple->as.list, second);
}

/* --- dicts --- */

enum { FEW_PAIRS = 8 }; /* searched one by one, without a hash table */

zmlx_status zx_jdict_make(zx_jrun *run, zx_jkind kind, zx_jvalue *dict)
{
    void *memory = NULL;
    ZX_TRY(zx_jalloc(run, 1, sizeof(zx_jdict), &memory));
    *dict = (zx_jvalue){.kind = kind, .as.dict = memory};
    return ZMLX_OK;
}

static void insert_slot(zx_jdict *dict, size_t pair)
{
    size_t at = dict->pairs[pair].hash & (dict->slot_count - 1);
    while (dict->slots[at] != 0) at = (at + 1) & (dict->slot_count - 1);
    dict->slots[at] = (uint32_t)pair + 1;
}

static zmlx_status grow_dict(zx_jrun *run, zx_jdict *dict)
{
    const size_t capacity = dict->capacity > 0 ? 2 * dict->capacity : 4;
    void *pairs = NULL;
    if (capacity > UINT32_MAX / 4) return ZX_JFAIL(run, "a dict has too many keys");
    ZX_TRY(zx_jalloc(run, capacity, sizeof(zx_jpair), &pairs));
    if (dict->count > 0) memcpy(pairs, dict->pairs, dict->count * sizeof(zx_jpair));
    dict->pairs = pairs;
    dict->capacity = capacity;
    if (capacity <= FEW_PAIRS) return ZMLX_OK;
    void *slots = NULL;
    ZX_TRY(zx_jalloc(run, 2 * capacity, sizeof(uint32_t), &slots));
    dict->slots = slots;
    dict->slot_count = 2 * capacity;
    for (size_t i = 0; i < dict->count; i++) insert_slot(dict, i);
    return ZMLX_OK;
}

/* The pair of a key, or NULL.  Only keys of the same hash are compared. */
static zmlx_status find_pair(zx_jrun *run, const zx_jdict *dict, zx_jvalue key, uint64_t hash,
                             zx_jpair **pair)
{
    *pair = NULL;
    bool equal = false;
    if (dict->slots == NULL) {
        for (size_t i = 0; i < dict->count && !equal; i++) {
            if (dict->pairs[i].hash != hash) continue;
            ZX_TRY(zx_jvalue_equal(run, dict->pairs[i].key, key, &equal));
            if (equal) *pair = &dict->pairs[i];
        }
        return ZMLX_OK;
    }
    for (size_t at = hash & (dict->slot_count - 1); dict->slots[at] != 0 && !equal;
         at = (at + 1) & (dict->slot_count - 1)) {
        zx_jpair *const candidate = &dict->pairs[dict->slots[at] - 1];
        if (candidate->hash != hash) continue;
        ZX_TRY(zx_jvalue_equal(run, candidate->key, key, &equal));
        if (equal) *pair = candidate;
    }
    return ZMLX_OK;
}

zmlx_status zx_jdict_set(zx_jrun *run, zx_jdict *dict, zx_jvalue key, zx_jvalue value)
{
    uint64_t hash = 0;
    zx_jpair *pair = NULL;
    ZX_TRY(zx_jvalue_hash(run, key, &hash));
    ZX_TRY(find_pair(run, dict, key, hash, &pair));
    if (pair != NULL) {
        pair->value = value;
        return ZMLX_OK;
    }
    if (dict->count == dict->capacity) ZX_TRY(grow_dict(run, dict));
    dict->pairs[dict->count++] = (zx_jpair){.key = key, .value = value, .hash = hash};
    if (dict->slots != NULL) insert_slot(dict, dict->count - 1);
    return ZMLX_OK;
}

zmlx_status zx_jdict_get(zx_jrun *run, const zx_jdict *dict, zx_jvalue key, zx_jvalue *value)
{
    uint64_t hash = 0;
    zx_jpair *pair = NULL;
    ZX_TRY(zx_jvalue_hash(run, key, &hash));
    ZX_TRY(find_pair(run, dict, key, hash, &pair));
    *value = pair != NULL ? pair->value : zx_jmissing();
    return ZMLX_OK;
}

zx_jvalue zx_jdict_find(const zx_jrun *run, const zx_jdict *dict, const char *key, size_t length)
{
    const uint64_t hash = zx_hash(key, length, run->seed);
    size_t at = 0;
    if (dict->slots != NULL) at = hash & (dict->slot_count - 1);
    while (dict->slots != NULL ? dict->slots[at] != 0 : at < dict->count) {
        const zx_jpair *const pair = &dict->pairs[dict->slots != NULL ? dict->slots[at] - 1 : at];
        if (pair->hash == hash && pair->key.kind == ZX_J_STRING &&
            pair->key.as.string->length == length &&
            memcmp(pair->key.as.string->bytes, key, length) == 0)
            return pair->value;
        at = dict->slots != NULL ? (at + 1) & (dict->slot_count - 1) : at + 1;
    }
    return zx_jmissing();
}

zmlx_status zx_jdict_copy(zx_jrun *run, const zx_jdict *from, zx_jvalue *copy)
{
    ZX_TRY(zx_jdict_make(run, ZX_J_DICT, copy));
    ZX_TRY(zx_jrun_pay(run, from->count));
    for (size_t i = 0; i < from->count; i++)
        ZX_TRY(zx_jdict_set(run, copy->as.dict, from->pairs[i].key, from->pairs[i].value));
    return ZMLX_OK;
}

/* --- undefined values --- */

zmlx_status zx_jundefined_make(zx_jrun *run, zx_jvalue object, zx_jvalue name, zx_jvalue *undefined)
{
    void *memory = NULL;
    ZX_TRY(zx_jalloc(run, 1, sizeof(zx_jundefined), &memory));
    zx_jundefined *const made = memory;
    *made = (zx_jundefined){.object = object, .name = name};
    *undefined = (zx_jvalue){.kind = ZX_J_UNDEFINED, .as.undefined = made};
    return ZMLX_OK;
}

zmlx_status zx_jundefined_hint(zx_jrun *run, const char *hint, zx_jvalue *undefined)
{
    ZX_TRY(zx_jundefined_make(run, zx_jmissing(), zx_jnone(), undefined));
    undefined->as.undefined->hint = hint;
    return ZMLX_OK;
}

zmlx_status zx_jundefined_fail(zx_jrun *run, const zx_jundefined *undefined)
{
    if (undefined->hint != NULL) return ZX_JFAIL(run, "%s", undefined->hint);
    zx_jvalue name;
    ZX_TRY(zx_jvalue_repr_string(run, undefined->name, &name));
    const int length = name.as.string->length < 100 ? (int)name.as.string->length : 100;
    const char *const text = name.as.string->bytes;
    if (undefined->is_unsafe)
        return ZX_JFAIL(run, "access to attribute %.*s of '%s' object is unsafe", length, text,
                        zx_jvalue_type(undefined->object));
    if (undefined->object.kind == ZX_J_MISSING)
        return ZX_JFAIL(run, "%.*s is undefined", length, text);
    if (undefined->object.kind == ZX_J_NONE)
        return ZX_JFAIL(run, "'None' has no attribute %.*s", length, text);
    return ZX_JFAIL(run, "'%s object' has no %s %.*s", zx_jvalue_type(undefined->object),
                    undefined->name.kind == ZX_J_STRING ? "attribute" : "element", length, text);
}

/* --- what every kind is --- */

static const char *const type_names[ZX_J_KINDS] = {
    [ZX_J_MISSING] = "missing",
    [ZX_J_UNDEFINED] = "Undefined",
    [ZX_J_NONE] = "NoneType",
    [ZX_J_BOOL] = "bool",
    [ZX_J_INT] = "int",
    [ZX_J_FLOAT] = "float",
    [ZX_J_STRING] = "str",
    [ZX_J_LIST] = "list",
    [ZX_J_TUPLE] = "tuple",
    [ZX_J_DICT] = "dict",
    [ZX_J_VIEW] = "dict_view",
    [ZX_J_RANGE] = "range",
    [ZX_J_ITERATOR] = "generator",
    [ZX_J_NAMESPACE] = "Namespace",
    [ZX_J_MACRO] = "Macro",
    [ZX_J_BLOCK] = "BlockReference",
    [ZX_J_SELF] = "TemplateReference",
    [ZX_J_METHOD] = "builtin_function_or_method",
    [ZX_J_FUNCTION] = "function",
    [ZX_J_LOOP] = "LoopContext",
    [ZX_J_CYCLER] = "Cycler",
    [ZX_J_JOINER] = "Joiner",
};

static const char *const view_types[] = {
    [ZX_J_KEYS] = "dict_keys", [ZX_J_VALUES] = "dict_values", [ZX_J_ITEMS] = "dict_items"};

const char *zx_jvalue_type(zx_jvalue value)
{
    if (value.kind == ZX_J_VIEW) return view_types[value.as.view->kind];
    if (value.kind == ZX_J_ITERATOR) return value.as.iter->type;
    if (value.kind == ZX_J_STRING && value.as.string->markup) return "Markup";
    return type_names[value.kind];
}

/* The length of what has one without running anything; SIZE_MAX where it has none. */
static size_t plain_length(zx_jvalue value)
{
    if (value.kind == ZX_J_UNDEFINED) return 0;
    if (value.kind == ZX_J_STRING) return zx_jstring_points(value.as.string);
    if (zx_jvalue_is_sequence(value)) return value.as.list->count;
    if (value.kind == ZX_J_DICT) return value.as.dict->count;
    if (value.kind == ZX_J_VIEW) return value.as.view->dict->count;
    if (value.kind == ZX_J_RANGE) return (size_t)value.as.range->count;
    return SIZE_MAX;
}

bool zx_jvalue_is_true(zx_jvalue value)
{
    if (value.kind == ZX_J_NONE || value.kind == ZX_J_MISSING) return false;
    if (value.kind == ZX_J_BOOL) return value.as.boolean;
    if (value.kind == ZX_J_INT) return value.as.integer != 0;
    if (value.kind == ZX_J_FLOAT)
        return value.as.number < 0 || value.as.number > 0 || value.as.number != value.as.number;
    if (value.kind == ZX_J_STRING) return value.as.string->length > 0;
    return plain_length(value) != 0;
}

bool zx_jvalue_is_number(zx_jvalue value)
{
    return value.kind == ZX_J_BOOL || value.kind == ZX_J_INT || value.kind == ZX_J_FLOAT;
}

bool zx_jvalue_is_integer(zx_jvalue value, int64_t *integer)
{
    if (value.kind == ZX_J_INT)
        *integer = value.as.integer;
    else if (value.kind == ZX_J_BOOL)
        *integer = value.as.boolean ? 1 : 0;
    else
        return false;
    return true;
}

double zx_jvalue_number(zx_jvalue value)
{
    int64_t integer = 0;
    if (zx_jvalue_is_integer(value, &integer)) return (double)integer;
    return value.as.number;
}

bool zx_jvalue_is_sequence(zx_jvalue value)
{
    return value.kind == ZX_J_LIST || value.kind == ZX_J_TUPLE;
}

zmlx_status zx_jvalue_length(zx_jrun *run, zx_jvalue value, bool *has_length, size_t *length)
{
    *has_length = true;
    if (value.kind == ZX_J_LOOP) return zx_jloop_length(run, value.as.loop, length);
    *length = plain_length(value);
    if (*length == SIZE_MAX) *has_length = false;
    return ZMLX_OK;
}
