/* eval_expr.c - expressions, one function per kind of node. */
#include <math.h>

#include "jinja/eval.h"

typedef zmlx_status (*eval_fn)(zx_jrun *run, zx_jframe *frame, const zx_jnode *node,
                               zx_jvalue *value);
typedef zmlx_status (*binary_fn)(zx_jrun *run, zx_jvalue a, zx_jvalue b, zx_jvalue *result);

/* --- leaves and literals --- */

static zmlx_status eval_const(zx_jrun *run, zx_jframe *frame, const zx_jnode *node,
                              zx_jvalue *value)
{
    (void)run;
    (void)frame;
    *value = node->value;
    return ZMLX_OK;
}

static zmlx_status eval_name(zx_jrun *run, zx_jframe *frame, const zx_jnode *node, zx_jvalue *value)
{
    *value = *zx_jslot_find(frame, node->slot);
    if (value->kind != ZX_J_MISSING) return ZMLX_OK;
    return zx_jundefined_make(run, zx_jmissing(), node->value, value);
}

static zmlx_status eval_items(zx_jrun *run, zx_jframe *frame, const zx_jnode *node,
                              zx_jvalue *value)
{
    size_t count = 0;
    for (const zx_jnode *item = node->items; item != NULL; item = item->next) count++;
    ZX_TRY(zx_jlist_make(run, node->kind == ZX_JN_TUPLE ? ZX_J_TUPLE : ZX_J_LIST, count, value));
    for (const zx_jnode *item = node->items; item != NULL; item = item->next) {
        zx_jvalue part;
        ZX_TRY(zx_jevaluate(run, frame, item, &part));
        ZX_TRY(zx_jlist_add(run, value->as.list, part));
    }
    return ZMLX_OK;
}

static zmlx_status eval_dict(zx_jrun *run, zx_jframe *frame, const zx_jnode *node, zx_jvalue *value)
{
    ZX_TRY(zx_jdict_make(run, ZX_J_DICT, value));
    for (const zx_jnode *pair = node->items; pair != NULL; pair = pair->next) {
        zx_jvalue key, item;
        ZX_TRY(zx_jevaluate(run, frame, pair->left, &key));
        ZX_TRY(zx_jevaluate(run, frame, pair->right, &item));
        ZX_TRY(zx_jdict_set(run, value->as.dict, key, item));
    }
    return ZMLX_OK;
}

/* --- logic --- */

static zmlx_status eval_condition(zx_jrun *run, zx_jframe *frame, const zx_jnode *node,
                                  zx_jvalue *value)
{
    zx_jvalue test;
    ZX_TRY(zx_jevaluate(run, frame, node->third, &test));
    if (zx_jvalue_is_true(test)) return zx_jevaluate(run, frame, node->left, value);
    if (node->right != NULL) return zx_jevaluate(run, frame, node->right, value);
    return zx_jundefined_hint(run,
                              "the inline if-expression evaluated to false and no else section "
                              "was defined",
                              value);
}

static zmlx_status eval_and_or(zx_jrun *run, zx_jframe *frame, const zx_jnode *node,
                               zx_jvalue *value)
{
    ZX_TRY(zx_jevaluate(run, frame, node->left, value));
    if (zx_jvalue_is_true(*value) == (node->kind == ZX_JN_OR)) return ZMLX_OK;
    return zx_jevaluate(run, frame, node->right, value);
}

static zmlx_status eval_not(zx_jrun *run, zx_jframe *frame, const zx_jnode *node, zx_jvalue *value)
{
    ZX_TRY(zx_jevaluate(run, frame, node->left, value));
    *value = zx_jbool(!zx_jvalue_is_true(*value));
    return ZMLX_OK;
}

static zmlx_status compare(zx_jrun *run, const zx_jnode *operand, zx_jvalue a, zx_jvalue b,
                           bool *holds)
{
    if (operand->op == ZX_JT_NAME) {
        ZX_TRY(zx_jvalue_contains(run, b, a, holds));
        *holds = *holds != operand->negated;
        return ZMLX_OK;
    }
    if (operand->op == ZX_JT_EQ || operand->op == ZX_JT_NE) {
        ZX_TRY(zx_jvalue_equal(run, a, b, holds));
        *holds = *holds == (operand->op == ZX_JT_EQ);
        return ZMLX_OK;
    }
    const bool strict = operand->op == ZX_JT_GT || operand->op == ZX_JT_LT;
    const bool greater = operand->op == ZX_JT_GT || operand->op == ZX_JT_GE;
    if (zx_jvalue_is_number(a) && zx_jvalue_is_number(b)) {
        const int order = zx_jnumber_compare(a, b);
        *holds = order == (greater ? 1 : -1) || (order == 0 && !strict);
        return ZMLX_OK;
    }
    static const char *const signs[2][2] = {{"<=", "<"}, {">=", ">"}};
    const bool swap = greater == strict;
    ZX_TRY(zx_jvalue_less(run, swap ? b : a, swap ? a : b, signs[greater][strict], holds));
    if (!strict) *holds = !*holds;
    return ZMLX_OK;
}

static zmlx_status eval_compare(zx_jrun *run, zx_jframe *frame, const zx_jnode *node,
                                zx_jvalue *value)
{
    zx_jvalue left, right;
    bool holds = true;
    ZX_TRY(zx_jevaluate(run, frame, node->left, &left));
    for (const zx_jnode *operand = node->items; operand != NULL && holds; operand = operand->next) {
        ZX_TRY(zx_jevaluate(run, frame, operand->left, &right));
        run->line = node->line;
        ZX_TRY(compare(run, operand, left, right, &holds));
        left = right;
    }
    *value = zx_jbool(holds);
    return ZMLX_OK;
}

/* --- arithmetic --- */

static const binary_fn binaries[ZX_JN_KINDS] = {
    [ZX_JN_ADD] = zx_jvalue_add,      [ZX_JN_SUB] = zx_jvalue_subtract,
    [ZX_JN_MUL] = zx_jvalue_multiply, [ZX_JN_DIV] = zx_jvalue_divide,
    [ZX_JN_MOD] = zx_jvalue_modulo,   [ZX_JN_FLOORDIV] = zx_jvalue_floor_divide,
    [ZX_JN_POW] = zx_jvalue_power,
};

static zmlx_status eval_binary(zx_jrun *run, zx_jframe *frame, const zx_jnode *node,
                               zx_jvalue *value)
{
    zx_jvalue left, right;
    ZX_TRY(zx_jevaluate(run, frame, node->left, &left));
    ZX_TRY(zx_jevaluate(run, frame, node->right, &right));
    run->line = node->line;
    const bool sign_last =
        node->sign_last && zx_jvalue_is_number(left) && signbit(zx_jvalue_number(left));
    if (sign_last) ZX_TRY(zx_jvalue_negate(run, left, &left));
    ZX_TRY(binaries[node->kind](run, left, right, value));
    return sign_last ? zx_jvalue_negate(run, *value, value) : ZMLX_OK;
}

static zmlx_status eval_sign(zx_jrun *run, zx_jframe *frame, const zx_jnode *node, zx_jvalue *value)
{
    zx_jvalue operand;
    ZX_TRY(zx_jevaluate(run, frame, node->left, &operand));
    run->line = node->line;
    return node->kind == ZX_JN_NEG ? zx_jvalue_negate(run, operand, value)
                                   : zx_jvalue_plus(run, operand, value);
}

static zmlx_status eval_concat(zx_jrun *run, zx_jframe *frame, const zx_jnode *node,
                               zx_jvalue *value)
{
    zx_jvalue part;
    bool markup = false;
    ZX_TRY(zx_jstring_borrow(run, "", 0, value));
    for (const zx_jnode *item = node->items; item != NULL; item = item->next) {
        ZX_TRY(zx_jevaluate(run, frame, item, &part));
        ZX_TRY(zx_jvalue_string(run, part, &part));
        if (run->autoescape && part.as.string->markup && !markup) {
            markup = true;
            ZX_TRY(zx_jvalue_escape(run, *value, value));
        }
        if (markup) ZX_TRY(zx_jvalue_escape(run, part, &part));
        if (value->as.string->length == 0)
            ZX_TRY(zx_jstring_mark(run, part.as.string, markup, value));
        else
            ZX_TRY(zx_jstring_concat(run, value->as.string, part.as.string, value));
    }
    value->as.string->markup = markup;
    return ZMLX_OK;
}

/* --- members --- */

static zmlx_status eval_attribute(zx_jrun *run, zx_jframe *frame, const zx_jnode *node,
                                  zx_jvalue *value)
{
    zx_jvalue object;
    ZX_TRY(zx_jevaluate(run, frame, node->left, &object));
    run->line = node->line;
    return zx_jvalue_attribute(run, object, node->value, value);
}

static zmlx_status eval_item(zx_jrun *run, zx_jframe *frame, const zx_jnode *node, zx_jvalue *value)
{
    zx_jvalue object, key;
    ZX_TRY(zx_jevaluate(run, frame, node->left, &object));
    ZX_TRY(zx_jevaluate(run, frame, node->right, &key));
    run->line = node->line;
    return zx_jvalue_item(run, object, key, value);
}

static zmlx_status eval_slice(zx_jrun *run, zx_jframe *frame, const zx_jnode *node,
                              zx_jvalue *value)
{
    zx_jvalue object, bounds[3] = {zx_jnone(), zx_jnone(), zx_jnone()};
    size_t count = 0;
    ZX_TRY(zx_jevaluate(run, frame, node->left, &object));
    for (const zx_jnode *bound = node->items; bound != NULL; bound = bound->next)
        ZX_TRY(zx_jevaluate(run, frame, bound, &bounds[count++]));
    run->line = node->line;
    return zx_jvalue_slice(run, object, bounds, value);
}

/* --- calls, filters, tests --- */

enum { FEW_ARGS = 6 };

typedef struct arg_room { /* so that most calls take no memory */
    zx_jvalue items[FEW_ARGS];
    zx_jpair named[FEW_ARGS];
    size_t item_room, named_room;
} arg_room;

static zmlx_status add_item(zx_jrun *run, arg_room *room, zx_jargs *args, zx_jvalue value)
{
    if (args->count == room->item_room) {
        void *memory = NULL;
        ZX_TRY(zx_jalloc(run, 2 * room->item_room, sizeof(zx_jvalue), &memory));
        zx_jvalue *const items = memory;
        for (size_t i = 0; i < args->count; i++) items[i] = args->items[i];
        args->items = items;
        room->item_room *= 2;
    }
    args->items[args->count++] = value;
    return ZMLX_OK;
}

static zmlx_status add_named(zx_jrun *run, arg_room *room, zx_jargs *args, zx_jvalue key,
                             zx_jvalue value)
{
    if (key.kind != ZX_J_STRING) return ZX_JFAIL(run, "keywords must be strings");
    for (size_t i = 0; i < args->named_count; i++)
        if (zx_jstring_same(args->named[i].key.as.string, key.as.string))
            return ZX_JFAIL(run, "a keyword argument is given twice");
    ZX_TRY(zx_jrun_pay(run, args->named_count));
    if (args->named_count == room->named_room) {
        void *memory = NULL;
        ZX_TRY(zx_jalloc(run, 2 * room->named_room, sizeof(zx_jpair), &memory));
        zx_jpair *const named = memory;
        for (size_t i = 0; i < args->named_count; i++) named[i] = args->named[i];
        args->named = named;
        room->named_room *= 2;
    }
    args->named[args->named_count++] = (zx_jpair){.key = key, .value = value};
    return ZMLX_OK;
}

static zmlx_status add_star(zx_jrun *run, arg_room *room, zx_jargs *args, zx_jvalue list)
{
    zx_jiter *iter = NULL;
    zx_jvalue item;
    ZX_TRY(zx_jiter_make(run, list, &iter));
    for (;;) {
        ZX_TRY(zx_jiter_next(run, iter, &item));
        if (item.kind == ZX_J_MISSING) return ZMLX_OK;
        ZX_TRY(add_item(run, room, args, item));
    }
}

static zmlx_status eval_args(zx_jrun *run, zx_jframe *frame, const zx_jnode *first, arg_room *room,
                             zx_jargs *args)
{
    room->item_room = room->named_room = FEW_ARGS;
    *args = (zx_jargs){.items = room->items, .named = room->named};
    for (const zx_jnode *arg = first; arg != NULL; arg = arg->next) {
        zx_jvalue value;
        const bool is_plain =
            arg->kind != ZX_JN_KEYWORD && arg->kind != ZX_JN_STAR && arg->kind != ZX_JN_DOUBLE_STAR;
        ZX_TRY(zx_jevaluate(run, frame, is_plain ? arg : arg->left, &value));
        if (is_plain) {
            ZX_TRY(add_item(run, room, args, value));
        } else if (arg->kind == ZX_JN_KEYWORD) {
            ZX_TRY(add_named(run, room, args, arg->value, value));
        } else if (arg->kind == ZX_JN_STAR) {
            ZX_TRY(add_star(run, room, args, value));
        } else if (value.kind != ZX_J_DICT) {
            return ZX_JFAIL(run, "argument after ** must be a mapping, not %s",
                            zx_jvalue_type(value));
        } else {
            for (size_t i = 0; i < value.as.dict->count; i++)
                ZX_TRY(add_named(run, room, args, value.as.dict->pairs[i].key,
                                 value.as.dict->pairs[i].value));
        }
    }
    return ZMLX_OK;
}

zmlx_status zx_jevaluate_call(zx_jrun *run, zx_jframe *frame, const zx_jnode *node,
                              zx_jvalue caller, zx_jvalue *value)
{
    zx_jvalue callee, name;
    arg_room room;
    zx_jargs args;
    ZX_TRY(zx_jevaluate(run, frame, node->left, &callee));
    ZX_TRY(eval_args(run, frame, node->items, &room, &args));
    if (caller.kind != ZX_J_MISSING) {
        ZX_TRY(zx_jstring_borrow(run, "caller", 6, &name));
        ZX_TRY(add_named(run, &room, &args, name, caller));
    }
    run->line = node->line;
    return zx_jvalue_call(run, callee, &args, value);
}

static zmlx_status eval_call(zx_jrun *run, zx_jframe *frame, const zx_jnode *node, zx_jvalue *value)
{
    return zx_jevaluate_call(run, frame, node, zx_jmissing(), value);
}

/* A filter or a test. */
static zmlx_status eval_builtin(zx_jrun *run, zx_jframe *frame, const zx_jnode *node,
                                zx_jvalue *value)
{
    zx_jvalue self = run->captured;
    arg_room room;
    zx_jargs args;
    if (node->left != NULL) ZX_TRY(zx_jevaluate(run, frame, node->left, &self));
    ZX_TRY(eval_args(run, frame, node->items, &room, &args));
    run->line = node->line;
    const bool is_filter = node->kind == ZX_JN_FILTER;
    if (node->row == NULL) {
        const zx_jstring *const name = node->value.as.string;
        return ZX_JFAIL_AT(run, ZMLX_ERROR_UNSUPPORTED, node->line, "no %s named '%.*s' found",
                           is_filter ? "filter" : "test",
                           name->length < 60 ? (int)name->length : 60, name->bytes);
    }
    const char *const construct = run->construct, *const name = run->construct_name;
    run->construct = is_filter ? "filter" : "test";
    run->construct_name = node->row->name;
    ZX_TRY(zx_jbuiltin_call(run, node->row, self, &args, value));
    run->construct = construct;
    run->construct_name = name;
    return ZMLX_OK;
}

static const eval_fn evaluators[ZX_JN_KINDS] = {
    [ZX_JN_CONST] = eval_const,     [ZX_JN_NAME] = eval_name,    [ZX_JN_TUPLE] = eval_items,
    [ZX_JN_LIST] = eval_items,      [ZX_JN_DICT] = eval_dict,    [ZX_JN_CONDITION] = eval_condition,
    [ZX_JN_OR] = eval_and_or,       [ZX_JN_AND] = eval_and_or,   [ZX_JN_NOT] = eval_not,
    [ZX_JN_COMPARE] = eval_compare, [ZX_JN_ADD] = eval_binary,   [ZX_JN_SUB] = eval_binary,
    [ZX_JN_MUL] = eval_binary,      [ZX_JN_DIV] = eval_binary,   [ZX_JN_FLOORDIV] = eval_binary,
    [ZX_JN_MOD] = eval_binary,      [ZX_JN_POW] = eval_binary,   [ZX_JN_CONCAT] = eval_concat,
    [ZX_JN_NEG] = eval_sign,        [ZX_JN_POS] = eval_sign,     [ZX_JN_ATTRIBUTE] = eval_attribute,
    [ZX_JN_ITEM] = eval_item,       [ZX_JN_SLICE] = eval_slice,  [ZX_JN_CALL] = eval_call,
    [ZX_JN_FILTER] = eval_builtin,  [ZX_JN_TEST] = eval_builtin,
};

zmlx_status zx_jevaluate(zx_jrun *run, zx_jframe *frame, const zx_jnode *node, zx_jvalue *value)
{
    ZX_TRY(zx_jrun_enter(run));
    ZX_TRY(evaluators[node->kind](run, frame, node, value));
    run->depth--;
    return ZMLX_OK;
}
