/* template.c - post-processors: which ids stand around those of the text.
 *
 * All of them come down to a list of ids with places for the text.  In a sequence each one wraps
 * what the ones before it made: while they are read each piece of a template ends with a mark,
 * since what comes behind a template encloses every piece of it.  What they do to offsets and pairs
 * of texts is not read. */
#include <string.h>

#include "base/fail.h"
#include "base/memory.h"
#include "text/build.h"

enum {
    MAX_SPECIALS = 64,
    MAX_PIECES = 256,
    MAX_NAME = 128,
    MAX_TEMPLATE = 1 << 16,
    MAX_PLACES = 64,
    MAX_PROCESSORS = 256, /* one in another or one after the other */
    PIECE_END = -2        /* no id, and not ZX_SEQUENCE */
};

typedef struct special { /* a name in "special_tokens" and its ids */
    char name[MAX_NAME];
    size_t length;
    zx_ids ids;
} special;

typedef struct reading {
    const char *source;
    special specials[MAX_SPECIALS];
    size_t special_count;
    struct piece {
        char name[MAX_NAME];
        size_t length;
        bool is_text;
    } pieces[MAX_PIECES];
    size_t piece_count;
} reading;

static zmlx_status copy_name(zx_json *json, char name[MAX_NAME], size_t *length)
{
    if (json->length >= MAX_NAME) return zx_json_fail(json, "the name of a token is too long");
    memcpy(name, json->string, json->length);
    *length = json->length;
    return ZMLX_OK;
}

/* {"SpecialToken": {"id": "[CLS]", "type_id": 0}} or {"Sequence": {"id": "A", ...}} */
static zmlx_status read_piece(reading *r, zx_json *json)
{
    struct piece *const piece = &r->pieces[r->piece_count];
    ZX_TRY(zx_json_expect(json, ZX_JSON_KEY));
    piece->is_text = zx_json_is(json, "Sequence");
    if (!piece->is_text && !zx_json_is(json, "SpecialToken"))
        return zx_json_fail(json, "a template holds neither a token nor a text");
    ZX_TRY(zx_json_expect(json, ZX_JSON_OBJECT));
    for (;;) {
        ZX_TRY(zx_json_next(json));
        if (json->kind == ZX_JSON_OBJECT_END) break;
        if (!zx_json_is(json, "id")) {
            ZX_TRY(zx_json_drop(json));
            continue;
        }
        ZX_TRY(zx_json_expect(json, ZX_JSON_STRING));
        if (piece->is_text && !zx_json_is(json, "A"))
            return zx_json_fail(json, "a template for one text names a second one");
        ZX_TRY(copy_name(json, piece->name, &piece->length));
    }
    return zx_json_expect(json, ZX_JSON_OBJECT_END);
}

static zmlx_status read_single(reading *r, zx_json *json)
{
    ZX_TRY(zx_json_expect(json, ZX_JSON_ARRAY));
    for (;; r->piece_count++) {
        ZX_TRY(zx_json_next(json));
        if (json->kind == ZX_JSON_ARRAY_END) return ZMLX_OK;
        if (r->piece_count == MAX_PIECES) return zx_json_fail(json, "the template is too long");
        if (json->kind != ZX_JSON_OBJECT) return zx_json_fail(json, "a template must hold objects");
        ZX_TRY(read_piece(r, json));
    }
}

static zmlx_status read_id(zx_json *json, zx_ids *ids)
{
    if (json->kind != ZX_JSON_NUMBER || !json->is_integer || json->integer < 0 ||
        json->integer > INT32_MAX)
        return zx_json_fail(json, "expected a token id");
    return zx_ids_add(ids, (int32_t)json->integer);
}

static zmlx_status read_special_ids(zx_json *json, special *token)
{
    ZX_TRY(zx_json_expect(json, ZX_JSON_OBJECT));
    for (;;) {
        ZX_TRY(zx_json_next(json));
        if (json->kind == ZX_JSON_OBJECT_END) return ZMLX_OK;
        if (!zx_json_is(json, "ids")) {
            ZX_TRY(zx_json_drop(json));
            continue;
        }
        ZX_TRY(zx_json_expect(json, ZX_JSON_ARRAY));
        for (;;) {
            ZX_TRY(zx_json_next(json));
            if (json->kind == ZX_JSON_ARRAY_END) break;
            ZX_TRY(read_id(json, &token->ids));
        }
    }
}

static zmlx_status read_specials(reading *r, zx_json *json)
{
    ZX_TRY(zx_json_expect(json, ZX_JSON_OBJECT));
    for (;; r->special_count++) {
        ZX_TRY(zx_json_next(json));
        if (json->kind == ZX_JSON_OBJECT_END) return ZMLX_OK;
        if (r->special_count == MAX_SPECIALS)
            return zx_json_fail(json, "the template has too many special tokens");
        special *const token = &r->specials[r->special_count];
        ZX_TRY(copy_name(json, token->name, &token->length));
        const zmlx_status status = read_special_ids(json, token);
        if (status == ZMLX_OK) continue;
        zx_ids_fini(&token->ids);
        return status;
    }
}

static const special *find_special(const reading *r, const struct piece *piece)
{
    for (size_t i = 0; i < r->special_count; i++)
        if (r->specials[i].length == piece->length &&
            memcmp(r->specials[i].name, piece->name, piece->length) == 0)
            return &r->specials[i];
    return NULL;
}

static zmlx_status add_all(zx_ids *list, const zx_ids *more)
{
    if (list->count + more->count > MAX_TEMPLATE)
        return ZX_FAIL(ZMLX_ERROR_UNSUPPORTED, "the tokenizer's template is too long");
    for (size_t i = 0; i < more->count; i++) ZX_TRY(zx_ids_add(list, more->items[i]));
    return ZMLX_OK;
}

/* A text that stands there a thousand times is no template. */
static zmlx_status check_places(const char *source, const zx_ids *template)
{
    size_t places = 0;
    for (size_t i = 0; i < template->count; i++) places += template->items[i] == ZX_SEQUENCE;
    if (places <= MAX_PLACES) return ZMLX_OK;
    return ZX_FAIL(ZMLX_ERROR_UNSUPPORTED, "%s: the template repeats the text too often", source);
}

static void swap(zx_ids *a, zx_ids *b)
{
    const zx_ids old = *a;
    *a = *b;
    *b = old;
}

static size_t count_pieces(const zx_ids *template)
{
    size_t pieces = 0;
    for (size_t i = 0; i < template->count; i++) pieces += template->items[i] == PIECE_END;
    return pieces;
}

/* Wraps what is in 'template' so far.  Of several pieces the format's own reader takes two for a
 * pair of texts and fails at more. */
static zmlx_status apply_pieces(const reading *r, zx_ids *template)
{
    zx_ids fresh = {0};
    zmlx_status status = ZMLX_OK;
    if (r->piece_count == 0)
        return ZX_FAIL(ZMLX_ERROR_UNSUPPORTED, "%s: a template's \"single\" is missing or empty",
                       r->source);
    if (count_pieces(template) != 1)
        return ZX_FAIL(ZMLX_ERROR_UNSUPPORTED, "%s: a template of what a template made", r->source);
    for (size_t i = 0; i < r->piece_count && status == ZMLX_OK; i++) {
        const struct piece *const piece = &r->pieces[i];
        if (piece->is_text) {
            status = add_all(&fresh, template);
            continue;
        }
        const special *const token = find_special(r, piece);
        if (token != NULL) status = add_all(&fresh, &token->ids);
        if (token != NULL && status == ZMLX_OK)
            status = zx_ids_add(&fresh, PIECE_END);
        else if (token == NULL)
            status = ZX_FAIL(ZMLX_ERROR_FORMAT,
                             "%s: the template's token \"%.*s\" is not among its special tokens",
                             r->source, (int)piece->length, piece->name);
    }
    if (status == ZMLX_OK) swap(template, &fresh);
    zx_ids_fini(&fresh);
    return status;
}

typedef struct processing {
    const char *source;
    zx_ids *template; /* what the processors so far have made */
    size_t count;     /* of processors */
} processing;

static zmlx_status read_template(processing *p, zx_json *json)
{
    void *memory;
    ZX_TRY(zx_alloc(sizeof(reading), "template", &memory));
    reading *const r = memory;
    r->source = p->source;
    zmlx_status status = zx_json_next(json);
    while (status == ZMLX_OK) {
        status = zx_json_next(json);
        if (status != ZMLX_OK || json->kind == ZX_JSON_OBJECT_END) break;
        status = zx_json_is(json, "single")           ? read_single(r, json)
                 : zx_json_is(json, "special_tokens") ? read_specials(r, json)
                                                      : zx_json_drop(json);
    }
    if (status == ZMLX_OK) status = apply_pieces(r, p->template);
    if (status == ZMLX_OK) status = check_places(p->source, p->template);
    for (size_t i = 0; i < r->special_count; i++) zx_ids_fini(&r->specials[i].ids);
    zx_free(r);
    return status;
}

/* ["[SEP]", 102] */
static zmlx_status read_pair(zx_json *json, zx_ids *ids)
{
    ZX_TRY(zx_json_expect(json, ZX_JSON_ARRAY));
    ZX_TRY(zx_json_expect(json, ZX_JSON_STRING));
    ZX_TRY(zx_json_expect(json, ZX_JSON_NUMBER));
    ids->count = 0;
    ZX_TRY(read_id(json, ids));
    return zx_json_expect(json, ZX_JSON_ARRAY_END);
}

/* Encloses the first piece in 'before' and 'after', the others in 'between' and 'after'. */
static zmlx_status enclose(const zx_ids *before, const zx_ids *between, const zx_ids *after,
                           zx_ids *template)
{
    zx_ids fresh = {0};
    zmlx_status status = add_all(&fresh, before);
    for (size_t i = 0; i < template->count && status == ZMLX_OK; i++) {
        const bool ends = template->items[i] == PIECE_END;
        if (ends) status = add_all(&fresh, after);
        if (status == ZMLX_OK) status = zx_ids_add(&fresh, template->items[i]);
        if (ends && i + 1 < template->count && status == ZMLX_OK) status = add_all(&fresh, between);
    }
    if (status == ZMLX_OK) swap(template, &fresh);
    zx_ids_fini(&fresh);
    return status;
}

/* "cls" before the text and "sep" behind it. */
static zmlx_status read_enclosing(processing *p, zx_json *json, bool both)
{
    static const zx_ids nothing = {0};
    zx_ids before = {0}, after = {0};
    zmlx_status status = zx_json_next(json);
    while (status == ZMLX_OK) {
        status = zx_json_next(json);
        if (status != ZMLX_OK || json->kind == ZX_JSON_OBJECT_END) break;
        status = zx_json_is(json, "cls")   ? read_pair(json, &before)
                 : zx_json_is(json, "sep") ? read_pair(json, &after)
                                           : zx_json_drop(json);
    }
    if (status == ZMLX_OK && (before.count == 0 || after.count == 0))
        status = ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: the post-processor lacks \"cls\" or \"sep\"",
                         p->source);
    if (status == ZMLX_OK) status = enclose(&before, both ? &after : &nothing, &after, p->template);
    zx_ids_fini(&before);
    zx_ids_fini(&after);
    return status;
}

static zmlx_status read_bert(processing *p, zx_json *json)
{
    return read_enclosing(p, json, false);
}

static zmlx_status read_roberta(processing *p, zx_json *json)
{
    return read_enclosing(p, json, true);
}

static zmlx_status read_processor(processing *p, zx_json *json);

static zmlx_status read_sequence(processing *p, zx_json *json)
{
    ZX_TRY(zx_json_next(json));
    for (;;) {
        ZX_TRY(zx_json_next(json));
        if (json->kind == ZX_JSON_OBJECT_END) return ZMLX_OK;
        if (!zx_json_is(json, "processors")) {
            ZX_TRY(zx_json_drop(json));
            continue;
        }
        ZX_TRY(zx_json_expect(json, ZX_JSON_ARRAY));
        for (;;) {
            ZX_TRY(zx_json_next(json));
            if (json->kind == ZX_JSON_ARRAY_END) break;
            if (json->kind != ZX_JSON_OBJECT)
                return zx_json_fail(json, "a post-processor must be an object");
            zx_json inner;
            ZX_TRY(zx_json_fork(json, &inner));
            const zmlx_status status = read_processor(p, &inner);
            zx_json_fini(&inner);
            ZX_TRY(status);
        }
    }
}

static zmlx_status read_nothing(processing *p, zx_json *json)
{
    (void)p;
    (void)json;
    return ZMLX_OK;
}

static const struct {
    const char *type;
    zmlx_status (*read)(processing *p, zx_json *json);
} rows[] = {
    {"ByteLevel", read_nothing},   {"TemplateProcessing", read_template},
    {"BertProcessing", read_bert}, {"RobertaProcessing", read_roberta},
    {"Sequence", read_sequence},
};

/* Finds the row by "type" and lets it read the object, which is the next value. */
static zmlx_status read_processor(processing *p, zx_json *json)
{
    const char *const source = p->source;
    zx_json first, second;
    if (p->count++ == MAX_PROCESSORS)
        return ZX_FAIL(ZMLX_ERROR_UNSUPPORTED, "%s: more than %d post-processors", source,
                       MAX_PROCESSORS);
    ZX_TRY(zx_json_expect(json, ZX_JSON_OBJECT));
    ZX_TRY(zx_json_fork(json, &first));
    zx_json_init(&second, source, first.at, (size_t)(first.end - first.at));
    second.start = first.start;
    zmlx_status status = zx_json_next(&first);
    bool found = false;
    while (status == ZMLX_OK && !found) {
        status = zx_json_next(&first);
        if (status != ZMLX_OK || first.kind == ZX_JSON_OBJECT_END) break;
        found = zx_json_is(&first, "type");
        status = found ? zx_json_expect(&first, ZX_JSON_STRING) : zx_json_drop(&first);
    }
    if (status == ZMLX_OK && !found)
        status = ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: a post-processor has no \"type\"", source);
    size_t row = 0;
    while (status == ZMLX_OK && row < sizeof rows / sizeof *rows &&
           !zx_json_is(&first, rows[row].type))
        row++;
    if (status == ZMLX_OK && row == sizeof rows / sizeof *rows)
        status = ZX_FAIL(ZMLX_ERROR_UNSUPPORTED, "%s: post-processor \"%.*s\" is not supported",
                         source, (int)(first.length < 64 ? first.length : 64), first.string);
    else if (status == ZMLX_OK)
        status = rows[row].read(p, &second);
    zx_json_fini(&first);
    zx_json_fini(&second);
    return status;
}

zmlx_status zx_template_read(const char *source, zx_json *json, zx_ids *template)
{
    template->count = 0;
    ZX_TRY(zx_json_next(json));
    if (json->kind == ZX_JSON_NULL) return zx_ids_add(template, ZX_SEQUENCE);
    if (json->kind != ZX_JSON_OBJECT) return zx_json_fail(json, "expected a post-processor");
    ZX_TRY(zx_ids_add(template, ZX_SEQUENCE));
    ZX_TRY(zx_ids_add(template, PIECE_END));
    zx_json inner;
    ZX_TRY(zx_json_fork(json, &inner));
    processing p = {.source = source, .template = template};
    const zmlx_status status = read_processor(&p, &inner);
    zx_json_fini(&inner);
    ZX_TRY(status);
    size_t kept = 0;
    for (size_t i = 0; i < template->count; i++)
        if (template->items[i] != PIECE_END) template->items[kept++] = template->items[i];
    template->count = kept;
    return kept > 0 ? ZMLX_OK
                    : ZX_FAIL(ZMLX_ERROR_UNSUPPORTED,
                              "%s: the post-processor leaves nothing of any text", source);
}
