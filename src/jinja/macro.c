/* macro.c - macros and the callers that call blocks make: binding arguments as jinja2's Macro
 * does, and running the body in a frame of its own. */
#include "jinja/eval.h"

zx_jvalue zx_jmacro_name(const zx_jmacro *macro)
{
    return macro->node->value;
}

zmlx_status zx_jmacro_make(zx_jrun *run, zx_jframe *frame, const zx_jnode *node, zx_jvalue *macro)
{
    void *memory = NULL;
    zx_jvalue names;
    ZX_TRY(zx_jalloc(run, 1, sizeof(zx_jmacro), &memory));
    ZX_TRY(zx_jlist_make(run, ZX_J_TUPLE, 4, &names));
    for (const zx_jnode *item = node->items; item != NULL; item = item->next)
        ZX_TRY(zx_jlist_add(run, names.as.list, item->value));
    zx_jmacro *const made = memory;
    *made = (zx_jmacro){.node = node, .frame = frame, .names = names.as.list};
    *macro = (zx_jvalue){.kind = ZX_J_MACRO, .as.macro = made};
    return ZMLX_OK;
}

/* The arguments that parameters have not taken. */
typedef struct leftover {
    const zx_jargs *args;
    bool *taken; /* of the named ones */
    size_t positional;
} leftover;

static zx_jvalue take_named(leftover *rest, const zx_jstring *name)
{
    for (size_t i = 0; i < rest->args->named_count; i++) {
        if (rest->taken[i] || !zx_jstring_same(rest->args->named[i].key.as.string, name)) continue;
        rest->taken[i] = true;
        return rest->args->named[i].value;
    }
    return zx_jmissing();
}

static zmlx_status bind_caller(zx_jrun *run, const zx_jnode *node, zx_jframe *frame, leftover *rest)
{
    const zx_jstring name = {.bytes = "caller", .length = 6};
    for (const zx_jnode *item = node->items; item != NULL; item = item->next)
        if (zx_jstring_same(item->value.as.string, &name)) return ZMLX_OK;
    zx_jvalue caller = take_named(rest, &name);
    if (caller.kind == ZX_J_MISSING || caller.kind == ZX_J_NONE)
        ZX_TRY(zx_jundefined_hint(run, "no caller defined", &caller));
    *zx_jslot_find(frame, node->special[0]) = caller;
    return ZMLX_OK;
}

static zmlx_status bind_kwargs(zx_jrun *run, const zx_jmacro *macro, zx_jframe *frame,
                               const leftover *rest)
{
    zx_jvalue kwargs;
    ZX_TRY(zx_jdict_make(run, ZX_J_DICT, &kwargs));
    for (size_t i = 0; i < rest->args->named_count; i++) {
        const zx_jpair *const pair = &rest->args->named[i];
        if (rest->taken[i]) continue;
        if (!macro->node->takes_kwargs)
            return ZX_JFAIL(run, "a macro takes no keyword argument '%.*s'",
                            pair->key.as.string->length < 60 ? (int)pair->key.as.string->length
                                                             : 60,
                            pair->key.as.string->bytes);
        ZX_TRY(zx_jdict_set(run, kwargs.as.dict, pair->key, pair->value));
    }
    if (macro->node->takes_kwargs) *zx_jslot_find(frame, macro->node->special[1]) = kwargs;
    return ZMLX_OK;
}

static zmlx_status bind_varargs(zx_jrun *run, const zx_jmacro *macro, zx_jframe *frame,
                                const leftover *rest)
{
    zx_jvalue varargs;
    if (!macro->node->takes_varargs) {
        if (rest->positional < rest->args->count)
            return ZX_JFAIL(run, "a macro takes not more than %zu arguments", macro->names->count);
        return ZMLX_OK;
    }
    ZX_TRY(zx_jlist_make(run, ZX_J_TUPLE, rest->args->count, &varargs));
    for (size_t i = rest->positional; i < rest->args->count; i++)
        ZX_TRY(zx_jlist_add(run, varargs.as.list, rest->args->items[i]));
    *zx_jslot_find(frame, macro->node->special[2]) = varargs;
    return ZMLX_OK;
}

/* Defaults see the parameters before them, and run in the macro. */
static zmlx_status fill_defaults(zx_jrun *run, const zx_jnode *node, zx_jframe *frame)
{
    for (const zx_jnode *item = node->items; item != NULL; item = item->next) {
        zx_jvalue *const slot = zx_jslot_find(frame, item->slot);
        if (slot->kind != ZX_J_MISSING) continue;
        zx_jvalue value;
        if (item->left != NULL)
            ZX_TRY(zx_jevaluate(run, frame, item->left, &value));
        else
            ZX_TRY(zx_jundefined_make(run, zx_jmissing(), item->value, &value));
        *slot = value;
    }
    return ZMLX_OK;
}

static zmlx_status bind_args(zx_jrun *run, const zx_jmacro *macro, const zx_jargs *args,
                             zx_jframe *frame)
{
    void *taken = NULL;
    const zx_jnode *const node = macro->node;
    ZX_TRY(zx_jalloc(run, args->named_count, sizeof(bool), &taken));
    leftover rest = {.args = args, .taken = taken};
    for (const zx_jnode *item = node->items; item != NULL; item = item->next)
        *zx_jslot_find(frame, item->slot) = rest.positional < args->count
                                                ? args->items[rest.positional++]
                                                : take_named(&rest, item->value.as.string);
    if (node->takes_caller) ZX_TRY(bind_caller(run, node, frame, &rest));
    ZX_TRY(bind_kwargs(run, macro, frame, &rest));
    return bind_varargs(run, macro, frame, &rest);
}

zmlx_status zx_jmacro_call(zx_jrun *run, zx_jmacro *macro, const zx_jargs *args, zx_jvalue *result)
{
    const zx_jnode *const node = macro->node;
    const int line = run->line;
    zx_jframe *frame = NULL;
    zx_jsignal signal = ZX_J_GO_ON;
    ZX_TRY(zx_jframe_make(run, macro->frame, node->scope->frame_size, &frame));
    ZX_TRY(bind_args(run, macro, args, frame));
    ZX_TRY(zx_jscope_enter(run, frame, node->scope));
    ZX_TRY(fill_defaults(run, node, frame));
    ZX_TRY(zx_jcapture(run, frame, node->body, &signal, result));
    result->as.string->markup = run->autoescape;
    run->line = line;
    return ZMLX_OK;
}
