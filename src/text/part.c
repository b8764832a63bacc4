/* part.c - reads components from tokenizer.json by their rows.
 *
 * "type" may stand anywhere in an object, so an object is walked twice: once for its type, once
 * for the fields of that type's row.  Fields that the row does not have are left alone, as the
 * format's own reader does. */
#include "text/part.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "text/unicode.h"

enum { STRING_BLOCK = 16 * 1024, MAX_CHILDREN = 64 };

zmlx_status zx_json_fork(zx_json *json, zx_json *inner)
{
    const char *const begin = json->at - 1;
    ZX_TRY(zx_json_skip(json));
    zx_json_init(inner, json->source, begin, (size_t)(json->at - begin));
    inner->start = json->start; /* so that messages count from the file's beginning */
    return ZMLX_OK;
}

zmlx_status zx_json_drop(zx_json *json)
{
    ZX_TRY(zx_json_next(json));
    return json->kind == ZX_JSON_OBJECT || json->kind == ZX_JSON_ARRAY ? zx_json_skip(json)
                                                                       : ZMLX_OK;
}

zmlx_status zx_build_regex(const zx_build *build, const char *pattern, size_t length, bool literal,
                           zx_regex **regex)
{
    zx_store *const store = build->store;
    if (store->pattern_count++ == ZX_MAX_PATTERNS)
        return ZX_FAIL(ZMLX_ERROR_UNSUPPORTED, "%s: more than %d patterns", build->source,
                       ZX_MAX_PATTERNS);
    ZX_TRY(zx_regex_compile(build->source, pattern, length, literal, regex));
    (*regex)->next = store->regexes;
    store->regexes = *regex;
    return ZMLX_OK;
}

void zx_store_fini(zx_store *store)
{
    while (store->regexes != NULL) {
        zx_regex *const dead = store->regexes;
        store->regexes = dead->next;
        zx_regex_free(dead);
    }
    zx_arena_reset(&store->arena);
    *store = (zx_store){0};
}

zmlx_status zx_store_keep(zx_store *store, const char *bytes, size_t length, zx_string_view *kept)
{
    void *memory;
    if (length >= STRING_BLOCK / 4) { /* a block of its own */
        ZX_TRY(zx_arena_alloc(&store->arena, length + 1, &memory));
        *kept = (zx_string_view){memcpy(memory, bytes, length), length};
        return ZMLX_OK;
    }
    if (length + 1 > store->string_bytes) {
        ZX_TRY(zx_arena_alloc(&store->arena, STRING_BLOCK, &memory));
        store->strings = memory;
        store->string_bytes = STRING_BLOCK;
    }
    if (length > 0) memcpy(store->strings, bytes, length);
    *kept = (zx_string_view){store->strings, length};
    store->strings += length + 1;
    store->string_bytes -= length + 1;
    return ZMLX_OK;
}

zmlx_status zx_build_keep(const zx_build *build, const zx_json *json, zx_string_view *kept)
{
    return zx_store_keep(build->store, json->string, json->length, kept);
}

/* {"String": ...} or {"Regex": ...}, whose first event was just read. */
static zmlx_status read_pattern(const zx_build *build, zx_json *json, zx_regex **regex)
{
    if (json->kind == ZX_JSON_STRING) /* an older form */
        return zx_build_regex(build, json->string, json->length, true, regex);
    if (json->kind != ZX_JSON_OBJECT) return zx_json_fail(json, "a pattern must be an object");
    ZX_TRY(zx_json_expect(json, ZX_JSON_KEY));
    const bool literal = zx_json_is(json, "String");
    if (!literal && !zx_json_is(json, "Regex"))
        return zx_json_fail(json, "a pattern must be a \"String\" or a \"Regex\"");
    ZX_TRY(zx_json_expect(json, ZX_JSON_STRING));
    ZX_TRY(zx_build_regex(build, json->string, json->length, literal, regex));
    return zx_json_expect(json, ZX_JSON_OBJECT_END);
}

static zmlx_status read_choice(zx_json *json, const zx_field *field, uint32_t *choice)
{
    for (uint32_t i = 0; field->choices[i] != NULL; i++) {
        if (!zx_json_is(json, field->choices[i])) continue;
        *choice = i;
        return ZMLX_OK;
    }
    char message[128];
    (void)snprintf(message, sizeof message, "\"%s\" has an unknown value", field->name);
    return zx_json_fail(json, message);
}

static zmlx_status read_parts(const zx_build *build, const zx_part_table *table, zx_json *json,
                              zx_part *part)
{
    zx_part *read[MAX_CHILDREN] = {NULL};
    size_t count = 0;
    for (;; count++) {
        const char *const before = json->at;
        ZX_TRY(zx_json_next(json));
        if (json->kind == ZX_JSON_ARRAY_END) break;
        if (json->kind != ZX_JSON_OBJECT || count == MAX_CHILDREN) {
            json->at = before;
            return zx_json_fail(json, "expected an array of at most 64 components");
        }
        zx_json inner;
        ZX_TRY(zx_json_fork(json, &inner));
        const zmlx_status status = zx_part_read(build, table, &inner, &read[count]);
        zx_json_fini(&inner);
        ZX_TRY(status);
    }
    void *memory;
    ZX_TRY(zx_arena_alloc(&build->store->arena, count * sizeof(zx_part), &memory));
    part->children = memory;
    part->child_count = count;
    for (size_t i = 0; i < count; i++) {
        assert(read[i] != NULL);
        part->children[i] = *read[i];
    }
    return ZMLX_OK;
}

static bool kind_fits(const zx_field *field, zx_json_kind kind)
{
    switch (field->kind) {
    case ZX_FIELD_FLAG: return kind == ZX_JSON_TRUE || kind == ZX_JSON_FALSE;
    case ZX_FIELD_COUNT: return kind == ZX_JSON_NUMBER;
    case ZX_FIELD_PARTS: return kind == ZX_JSON_ARRAY;
    case ZX_FIELD_PATTERN: return kind == ZX_JSON_OBJECT || kind == ZX_JSON_STRING;
    case ZX_FIELD_TEXT:
    case ZX_FIELD_POINT:
    case ZX_FIELD_CHOICE: break;
    }
    return kind == ZX_JSON_STRING;
}

static zmlx_status read_field(const zx_build *build, const zx_part_table *table,
                              const zx_field *field, zx_json *json, zx_part *part)
{
    ZX_TRY(zx_json_next(json));
    if (json->kind == ZX_JSON_NULL) return ZMLX_OK;
    if (!kind_fits(field, json->kind)) {
        char message[128];
        (void)snprintf(message, sizeof message, "\"%s\" has a value of the wrong kind",
                       field->name);
        return zx_json_fail(json, message);
    }
    void *const place = (char *)part + field->offset;
    switch (field->kind) {
    case ZX_FIELD_FLAG:
        *(bool *)place = json->kind == ZX_JSON_TRUE;
        if (field->offset == offsetof(zx_part, accents)) part->accents_given = true;
        if (field->offset == offsetof(zx_part, add_prefix_space)) part->prefix_given = true;
        return ZMLX_OK;
    case ZX_FIELD_COUNT:
        if (!json->is_integer || json->integer < 0)
            return zx_json_fail(json, "expected a whole number that is not negative");
        *(size_t *)place = (size_t)json->integer;
        return ZMLX_OK;
    case ZX_FIELD_TEXT: return zx_build_keep(build, json, place);
    case ZX_FIELD_POINT:
        if (json->length == 0 || zx_utf8_next(json->string, place) != json->length)
            return zx_json_fail(json, "expected a string of one character");
        return ZMLX_OK;
    case ZX_FIELD_CHOICE: return read_choice(json, field, place);
    case ZX_FIELD_PATTERN: return read_pattern(build, json, place);
    case ZX_FIELD_PARTS: break;
    }
    return read_parts(build, table, json, part);
}

static zmlx_status read_fields(const zx_build *build, const zx_part_table *table, zx_json *json,
                               zx_part *part)
{
    ZX_TRY(zx_json_next(json));
    for (;;) {
        ZX_TRY(zx_json_next(json));
        if (json->kind == ZX_JSON_OBJECT_END) return ZMLX_OK;
        const zx_field *field = part->row->fields;
        while (field != NULL && field->name != NULL && !zx_json_is(json, field->name)) field++;
        if (field == NULL || field->name == NULL)
            ZX_TRY(zx_json_drop(json));
        else
            ZX_TRY(read_field(build, table, field, json, part));
    }
}

static zmlx_status find_row(const zx_part_table *table, zx_json *json, const zx_part_row **row)
{
    ZX_TRY(zx_json_next(json));
    for (;;) {
        ZX_TRY(zx_json_next(json));
        if (json->kind == ZX_JSON_OBJECT_END) break;
        if (zx_json_is(json, "type")) {
            ZX_TRY(zx_json_expect(json, ZX_JSON_STRING));
            break;
        }
        ZX_TRY(zx_json_drop(json));
    }
    if (json->kind != ZX_JSON_STRING)
        return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: a %s has no \"type\"", json->source, table->noun);
    for (size_t i = 0; i < table->count; i++) {
        if (!zx_json_is(json, table->rows[i].type)) continue;
        *row = &table->rows[i];
        return ZMLX_OK;
    }
    return ZX_FAIL(ZMLX_ERROR_UNSUPPORTED, "%s: %s \"%.*s\" is not supported", json->source,
                   table->noun, (int)(json->length < 64 ? json->length : 64), json->string);
}

zmlx_status zx_part_read(const zx_build *build, const zx_part_table *table, zx_json *json,
                         zx_part **part)
{
    *part = NULL;
    ZX_TRY(zx_json_next(json));
    if (json->kind == ZX_JSON_NULL) return ZMLX_OK;
    if (json->kind != ZX_JSON_OBJECT) return zx_json_fail(json, "expected a component's object");
    zx_json first, second;
    ZX_TRY(zx_json_fork(json, &first));
    const char *const begin = first.at, *const end = first.end;
    const zx_part_row *row = NULL;
    zmlx_status status = find_row(table, &first, &row);
    zx_json_fini(&first);
    ZX_TRY(status);
    if (build->store->part_count++ == ZX_MAX_PARTS)
        return ZX_FAIL(ZMLX_ERROR_UNSUPPORTED, "%s: more than %d components", build->source,
                       ZX_MAX_PARTS);

    void *memory;
    ZX_TRY(zx_arena_alloc(&build->store->arena, sizeof(zx_part), &memory));
    zx_part *const fresh = memory;
    if (row->defaults != NULL) *fresh = *row->defaults;
    fresh->row = row;
    zx_json_init(&second, json->source, begin, (size_t)(end - begin));
    second.start = json->start;
    status = read_fields(build, table, &second, fresh);
    zx_json_fini(&second);
    if (status == ZMLX_OK && row->prepare != NULL) status = row->prepare(build, fresh);
    if (status == ZMLX_OK) *part = fresh;
    return status;
}

zmlx_status zx_normalize(const zx_part *part, zx_work *work)
{
    return part == NULL ? ZMLX_OK : part->row->normalize(part, work);
}

zmlx_status zx_pre_tokenize(const zx_part *part, zx_work *work)
{
    const size_t limit = work->normal.limit;
    if (part == NULL) return ZMLX_OK;
    if (limit > 0 && work->text.length > limit)
        return ZX_FAIL(ZMLX_ERROR_ARGUMENT, "the tokenizer's parts make the text too long");
    return part->row->split(part, work);
}
