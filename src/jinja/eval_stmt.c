/* eval_stmt.c - statements, one function per kind of node, and the frames of variables. */
#include <assert.h>

#include "jinja/eval.h"

typedef zmlx_status (*exec_fn)(zx_jrun *run, zx_jframe *frame, const zx_jnode *node,
                               zx_jsignal *signal);

/* --- variables --- */

zmlx_status zx_jframe_make(zx_jrun *run, zx_jframe *outer, size_t size, zx_jframe **frame)
{
    void *memory = NULL, *slots = NULL;
    ZX_TRY(zx_jalloc(run, 1, sizeof(zx_jframe), &memory));
    ZX_TRY(zx_jalloc(run, size, sizeof(zx_jvalue), &slots));
    *frame = memory;
    **frame = (zx_jframe){.outer = outer, .slots = slots};
    return ZMLX_OK;
}

zx_jvalue *zx_jslot_find(zx_jframe *frame, zx_jslot slot)
{
    for (uint32_t i = 0; i < slot.hops; i++) {
        assert(frame != NULL); /* scope.c counted the hops */
        frame = frame->outer;
    }
    assert(frame != NULL);
    return &frame->slots[slot.index];
}

zx_jvalue zx_jcontext_find(const zx_jrun *run, const zx_jstring *name)
{
    if (zx_jstring_is(name, "self")) return (zx_jvalue){.kind = ZX_J_SELF};
    zx_jvalue found = zx_jmissing();
    if (run->exported != NULL) found = zx_jdict_find(run, run->exported, name->bytes, name->length);
    if (found.kind == ZX_J_MISSING)
        found = zx_jdict_find(run, run->variables, name->bytes, name->length);
    if (found.kind != ZX_J_MISSING) return found;
    const zx_jbuiltin *const row = zx_jfunction_find(name);
    if (row == NULL) return found;
    return (zx_jvalue){.kind = ZX_J_FUNCTION, .as.function = row};
}

zmlx_status zx_jscope_enter(zx_jrun *run, zx_jframe *frame, const zx_jscope *scope)
{
    ZX_TRY(zx_jrun_pay(run, scope->load_count));
    for (size_t i = 0; i < scope->load_count; i++) {
        const zx_jload *const load = &scope->loads[i];
        if (load->kind == ZX_JL_RESOLVE)
            frame->slots[load->index] = zx_jcontext_find(run, load->name.as.string);
        else if (load->kind == ZX_JL_ALIAS)
            frame->slots[load->index] = *zx_jslot_find(frame, load->outer);
        else if (load->kind == ZX_JL_UNSET)
            frame->slots[load->index] = zx_jmissing();
    }
    return ZMLX_OK;
}

void zx_jscope_leave(zx_jframe *frame, const zx_jscope *scope)
{
    for (size_t i = 0; i < scope->load_count; i++)
        frame->slots[scope->loads[i].index] = zx_jmissing();
}

/* --- assignment --- */

static zmlx_status assign_member(zx_jrun *run, zx_jframe *frame, const zx_jnode *target,
                                 zx_jvalue value)
{
    const zx_jvalue object = *zx_jslot_find(frame, target->slot);
    const zx_jstring *const name = target->right->value.as.string;
    if (object.kind != ZX_J_NAMESPACE)
        return ZX_JFAIL(run, "cannot assign an attribute of what is no namespace");
    if (name->length > 0 && name->bytes[0] == '_')
        return ZX_JFAIL(run, "a namespace's names do not begin with '_'");
    return zx_jdict_set(run, object.as.dict, target->right->value, value);
}

static zmlx_status unpack(zx_jrun *run, zx_jframe *frame, const zx_jnode *target, zx_jvalue value)
{
    zx_jiter *iter = NULL;
    zx_jvalue part;
    size_t count = 0;
    if (!zx_jvalue_is_iterable(value))
        return ZX_JFAIL(run, "cannot unpack non-iterable %s object", zx_jvalue_type(value));
    ZX_TRY(zx_jiter_make(run, value, &iter));
    /* all parts are taken before any is assigned, as in Python */
    zx_jvalue parts;
    ZX_TRY(zx_jlist_make(run, ZX_J_LIST, 4, &parts));
    for (const zx_jnode *item = target->items; item != NULL; item = item->next, count++) {
        ZX_TRY(zx_jiter_next(run, iter, &part));
        if (part.kind == ZX_J_MISSING)
            return ZX_JFAIL(run, "not enough values to unpack (got %zu)", count);
        ZX_TRY(zx_jlist_add(run, parts.as.list, part));
    }
    ZX_TRY(zx_jiter_next(run, iter, &part));
    if (part.kind != ZX_J_MISSING)
        return ZX_JFAIL(run, "too many values to unpack (expected %zu)", count);
    count = 0;
    for (const zx_jnode *item = target->items; item != NULL; item = item->next)
        ZX_TRY(zx_jassign(run, frame, item, parts.as.list->items[count++]));
    return ZMLX_OK;
}

zmlx_status zx_jassign(zx_jrun *run, zx_jframe *frame, const zx_jnode *target, zx_jvalue value)
{
    if (target->kind == ZX_JN_TUPLE) return unpack(run, frame, target, value);
    if (target->kind == ZX_JN_MEMBER_TARGET) return assign_member(run, frame, target, value);
    *zx_jslot_find(frame, target->slot) = value;
    return ZMLX_OK;
}

/* Whether every namespace of a set's target is one: checked before its value is made. */
static zmlx_status check_members(zx_jrun *run, zx_jframe *frame, const zx_jnode *target)
{
    if (target->kind == ZX_JN_MEMBER_TARGET &&
        zx_jslot_find(frame, target->slot)->kind != ZX_J_NAMESPACE)
        return ZX_JFAIL(run, "cannot assign an attribute of what is no namespace");
    for (const zx_jnode *item = target->items; item != NULL; item = item->next)
        ZX_TRY(check_members(run, frame, item));
    return ZMLX_OK;
}

/* What the top level sets is seen by blocks. */
static zmlx_status export_names(zx_jrun *run, zx_jframe *frame, const zx_jnode *target)
{
    if (target->kind == ZX_JN_NAME)
        return zx_jdict_set(run, run->exported, target->value, *zx_jslot_find(frame, target->slot));
    for (const zx_jnode *item = target->items; item != NULL; item = item->next)
        ZX_TRY(export_names(run, frame, item));
    return ZMLX_OK;
}

static zmlx_status exec_set(zx_jrun *run, zx_jframe *frame, const zx_jnode *node,
                            zx_jsignal *signal)
{
    *signal = ZX_J_GO_ON;
    zx_jvalue value;
    ZX_TRY(check_members(run, frame, node->left));
    ZX_TRY(zx_jevaluate(run, frame, node->right, &value));
    run->line = node->line;
    ZX_TRY(zx_jassign(run, frame, node->left, value));
    if (!node->exports || run->exported == NULL) return ZMLX_OK;
    return export_names(run, frame, node->left);
}

/* --- text --- */

zmlx_status zx_jcapture(zx_jrun *run, zx_jframe *frame, const zx_jnode *first, zx_jsignal *signal,
                        zx_jvalue *string)
{
    zx_jbuilder *const outer = run->output;
    zx_jbuilder builder = {0};
    run->output = &builder;
    const zmlx_status status = zx_jexecute(run, frame, first, signal);
    run->output = outer;
    ZX_TRY(status);
    return zx_jbuilder_finish(run, &builder, string);
}

static zmlx_status write_string(zx_jrun *run, const zx_jstring *string)
{
    return zx_jrun_write(run, string->bytes, string->length);
}

static zmlx_status write_value(zx_jrun *run, zx_jvalue value)
{
    zx_jvalue string;
    if (run->autoescape)
        ZX_TRY(zx_jvalue_escape(run, value, &string));
    else
        ZX_TRY(zx_jvalue_string(run, value, &string));
    return write_string(run, string.as.string);
}

static zmlx_status exec_output(zx_jrun *run, zx_jframe *frame, const zx_jnode *node,
                               zx_jsignal *signal)
{
    *signal = ZX_J_GO_ON;
    for (const zx_jnode *item = node->items; item != NULL; item = item->next) {
        zx_jvalue value;
        run->line = item->line;
        if (item->kind == ZX_JN_CONST && item->exports) { /* the template's own text */
            ZX_TRY(write_string(run, item->value.as.string));
            continue;
        }
        ZX_TRY(zx_jevaluate(run, frame, item, &value));
        ZX_TRY(write_value(run, value));
    }
    return ZMLX_OK;
}

/* The value of a block set or a filter block: its text, through its filters if it has some. */
static zmlx_status filter_body(zx_jrun *run, zx_jframe *frame, const zx_jnode *node,
                               const zx_jnode *filter, zx_jsignal *signal, zx_jvalue *value)
{
    ZX_TRY(zx_jscope_enter(run, frame, node->scope));
    ZX_TRY(zx_jcapture(run, frame, node->body, signal, value));
    if (*signal != ZX_J_GO_ON) return ZMLX_OK;
    value->as.string->markup = run->autoescape;
    run->line = node->line;
    if (filter == NULL) return ZMLX_OK;
    const zx_jvalue outer = run->captured;
    run->captured = *value;
    ZX_TRY(zx_jevaluate(run, frame, filter, value));
    run->captured = outer;
    return ZMLX_OK;
}

static zmlx_status exec_set_block(zx_jrun *run, zx_jframe *frame, const zx_jnode *node,
                                  zx_jsignal *signal)
{
    zx_jvalue value;
    ZX_TRY(filter_body(run, frame, node, node->right, signal, &value));
    if (*signal == ZX_J_GO_ON) {
        ZX_TRY(check_members(run, frame, node->left));
        ZX_TRY(zx_jassign(run, frame, node->left, value));
        if (node->exports && run->exported != NULL) ZX_TRY(export_names(run, frame, node->left));
    }
    zx_jscope_leave(frame, node->scope);
    return ZMLX_OK;
}

/* What a call block or a filter block writes must be a string already. */
static zmlx_status write_exactly(zx_jrun *run, zx_jvalue value)
{
    if (value.kind == ZX_J_STRING) return write_string(run, value.as.string);
    return ZX_JFAIL(run, "expected str instance, %s found", zx_jvalue_type(value));
}

static zmlx_status exec_filter_block(zx_jrun *run, zx_jframe *frame, const zx_jnode *node,
                                     zx_jsignal *signal)
{
    zx_jvalue value;
    ZX_TRY(filter_body(run, frame, node, node->left, signal, &value));
    if (*signal == ZX_J_GO_ON) ZX_TRY(write_exactly(run, value));
    zx_jscope_leave(frame, node->scope);
    return ZMLX_OK;
}

/* --- the rest --- */

static zmlx_status exec_if(zx_jrun *run, zx_jframe *frame, const zx_jnode *node, zx_jsignal *signal)
{
    for (;;) {
        zx_jvalue test;
        run->line = node->line;
        ZX_TRY(zx_jevaluate(run, frame, node->left, &test));
        if (zx_jvalue_is_true(test)) return zx_jexecute(run, frame, node->body, signal);
        const zx_jnode *const rest = node->otherwise;
        if (rest == NULL || rest->kind != ZX_JN_IF || rest->next != NULL)
            return zx_jexecute(run, frame, rest, signal);
        node = rest;
    }
}

static zmlx_status exec_macro(zx_jrun *run, zx_jframe *frame, const zx_jnode *node,
                              zx_jsignal *signal)
{
    *signal = ZX_J_GO_ON;
    zx_jvalue macro;
    ZX_TRY(zx_jmacro_make(run, frame, node, &macro));
    *zx_jslot_find(frame, node->slot) = macro;
    if (!node->exports || run->exported == NULL) return ZMLX_OK;
    return zx_jdict_set(run, run->exported, node->value, macro);
}

static zmlx_status exec_call_block(zx_jrun *run, zx_jframe *frame, const zx_jnode *node,
                                   zx_jsignal *signal)
{
    *signal = ZX_J_GO_ON;
    zx_jvalue caller, value;
    ZX_TRY(zx_jmacro_make(run, frame, node, &caller));
    run->line = node->line;
    ZX_TRY(zx_jevaluate_call(run, frame, node->left, caller, &value));
    return write_exactly(run, value);
}

static zmlx_status exec_generation(zx_jrun *run, zx_jframe *frame, const zx_jnode *node,
                                   zx_jsignal *signal)
{
    *signal = ZX_J_GO_ON;
    zx_jvalue body, value;
    ZX_TRY(zx_jmacro_make(run, frame, node, &body));
    ZX_TRY(zx_jmacro_call(run, body.as.macro, &(zx_jargs){0}, &value));
    return write_exactly(run, value);
}

static zmlx_status exec_with(zx_jrun *run, zx_jframe *frame, const zx_jnode *node,
                             zx_jsignal *signal)
{
    ZX_TRY(zx_jscope_enter(run, frame, node->scope));
    for (const zx_jnode *pair = node->items; pair != NULL; pair = pair->next) {
        zx_jvalue value;
        ZX_TRY(zx_jevaluate(run, frame, pair->right, &value));
        ZX_TRY(zx_jassign(run, frame, pair->left, value));
    }
    ZX_TRY(zx_jexecute(run, frame, node->body, signal));
    zx_jscope_leave(frame, node->scope);
    return ZMLX_OK;
}

static zmlx_status exec_autoescape(zx_jrun *run, zx_jframe *frame, const zx_jnode *node,
                                   zx_jsignal *signal)
{
    zx_jvalue on;
    const bool outer = run->autoescape;
    ZX_TRY(zx_jscope_enter(run, frame, node->scope));
    ZX_TRY(zx_jevaluate(run, frame, node->left, &on));
    run->autoescape = zx_jvalue_is_true(on);
    ZX_TRY(zx_jexecute(run, frame, node->body, signal));
    run->autoescape = outer;
    zx_jscope_leave(frame, node->scope);
    return ZMLX_OK;
}

zmlx_status zx_jblock_run(zx_jrun *run, const zx_jnode *node)
{
    const zx_jblock *block = run->blocks;
    while (block->node != node) block = block->next;
    zx_jframe *frame = NULL;
    zx_jsignal signal = ZX_J_GO_ON;
    ZX_TRY(zx_jframe_make(run, NULL, block->scope->frame_size, &frame));
    ZX_TRY(zx_jscope_enter(run, frame, block->scope));
    return zx_jexecute(run, frame, node->body, &signal);
}

static zmlx_status exec_block(zx_jrun *run, zx_jframe *frame, const zx_jnode *node,
                              zx_jsignal *signal)
{
    (void)frame;
    *signal = ZX_J_GO_ON;
    return zx_jblock_run(run, node);
}

static zmlx_status exec_load(zx_jrun *run, zx_jframe *frame, const zx_jnode *node,
                             zx_jsignal *signal)
{
    (void)frame;
    *signal = ZX_J_GO_ON;
    return ZX_JFAIL_AT(run, ZMLX_ERROR_UNSUPPORTED, node->line,
                       "a chat template cannot load another template");
}

static zmlx_status exec_leave(zx_jrun *run, zx_jframe *frame, const zx_jnode *node,
                              zx_jsignal *signal)
{
    (void)run;
    (void)frame;
    *signal = node->kind == ZX_JN_BREAK ? ZX_J_BREAK : ZX_J_CONTINUE;
    return ZMLX_OK;
}

static const exec_fn executors[ZX_JN_KINDS] = {
    [ZX_JN_OUTPUT] = exec_output,
    [ZX_JN_IF] = exec_if,
    [ZX_JN_FOR] = zx_jexecute_for,
    [ZX_JN_SET] = exec_set,
    [ZX_JN_SET_BLOCK] = exec_set_block,
    [ZX_JN_MACRO] = exec_macro,
    [ZX_JN_CALL_BLOCK] = exec_call_block,
    [ZX_JN_FILTER_BLOCK] = exec_filter_block,
    [ZX_JN_WITH] = exec_with,
    [ZX_JN_AUTOESCAPE] = exec_autoescape,
    [ZX_JN_BLOCK] = exec_block,
    [ZX_JN_GENERATION] = exec_generation,
    [ZX_JN_LOAD] = exec_load,
    [ZX_JN_BREAK] = exec_leave,
    [ZX_JN_CONTINUE] = exec_leave,
};

zmlx_status zx_jexecute(zx_jrun *run, zx_jframe *frame, const zx_jnode *first, zx_jsignal *signal)
{
    *signal = ZX_J_GO_ON;
    ZX_TRY(zx_jrun_enter(run));
    for (; first != NULL && *signal == ZX_J_GO_ON; first = first->next) {
        ZX_TRY(zx_jrun_pay(run, 1));
        run->line = first->line;
        ZX_TRY(executors[first->kind](run, frame, first, signal));
    }
    run->depth--;
    return ZMLX_OK;
}
