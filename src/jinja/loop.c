/* loop.c - what 'loop' knows: its attributes and methods. */
#include "jinja/loop.h"

#include "jinja/call.h"
#include "jinja/run.h"

zmlx_status zx_jloop_make(zx_jrun *run, zx_jvalue iterable, zx_jvalue *loop)
{
    void *memory = NULL;
    ZX_TRY(zx_jalloc(run, 1, sizeof(zx_jloop), &memory));
    zx_jloop *const made = memory;
    *made = (zx_jloop){.iterable = iterable};
    ZX_TRY(zx_jiter_make(run, iterable, &made->iter));
    *loop = (zx_jvalue){.kind = ZX_J_LOOP, .as.loop = made};
    return ZMLX_OK;
}

zmlx_status zx_jloop_next(zx_jrun *run, zx_jloop *loop, zx_jvalue *item)
{
    *item = loop->after;
    loop->after = zx_jmissing();
    if (item->kind == ZX_J_MISSING) ZX_TRY(zx_jiter_next(run, loop->iter, item));
    if (item->kind == ZX_J_MISSING) return ZMLX_OK;
    loop->index++;
    loop->before = loop->current;
    loop->current = *item;
    return ZMLX_OK;
}

zmlx_status zx_jloop_length(zx_jrun *run, zx_jloop *loop, size_t *length)
{
    bool has_length = false;
    *length = loop->length;
    if (loop->length_known) return ZMLX_OK;
    if (loop->iterable.kind != ZX_J_LOOP)
        ZX_TRY(zx_jvalue_length(run, loop->iterable, &has_length, length));
    if (!has_length) { /* what is left has to be taken to be counted */
        zx_jvalue rest, source = {.kind = ZX_J_ITERATOR, .as.iter = loop->iter};
        ZX_TRY(zx_jlist_from(run, source, &rest));
        ZX_TRY(zx_jiter_make(run, rest, &loop->iter));
        *length = rest.as.list->count + loop->index + (loop->after.kind != ZX_J_MISSING);
    }
    loop->length = *length;
    loop->length_known = true;
    return ZMLX_OK;
}

size_t zx_jloop_index(const zx_jloop *loop)
{
    return loop->index;
}

static zmlx_status peek(zx_jrun *run, zx_jloop *loop)
{
    if (loop->after.kind != ZX_J_MISSING) return ZMLX_OK;
    return zx_jiter_next(run, loop->iter, &loop->after);
}

static zmlx_status get_index(zx_jrun *run, zx_jloop *loop, zx_jvalue *value)
{
    (void)run;
    *value = zx_jsized(loop->index);
    return ZMLX_OK;
}

static zmlx_status get_index0(zx_jrun *run, zx_jloop *loop, zx_jvalue *value)
{
    (void)run;
    *value = zx_jint((int64_t)loop->index - 1);
    return ZMLX_OK;
}

static zmlx_status get_first(zx_jrun *run, zx_jloop *loop, zx_jvalue *value)
{
    (void)run;
    *value = zx_jbool(loop->index == 1);
    return ZMLX_OK;
}

static zmlx_status get_last(zx_jrun *run, zx_jloop *loop, zx_jvalue *value)
{
    ZX_TRY(peek(run, loop));
    *value = zx_jbool(loop->after.kind == ZX_J_MISSING);
    return ZMLX_OK;
}

static zmlx_status get_length(zx_jrun *run, zx_jloop *loop, zx_jvalue *value)
{
    size_t length = 0;
    ZX_TRY(zx_jloop_length(run, loop, &length));
    *value = zx_jsized(length);
    return ZMLX_OK;
}

static zmlx_status get_revindex0(zx_jrun *run, zx_jloop *loop, zx_jvalue *value)
{
    ZX_TRY(get_length(run, loop, value));
    value->as.integer -= (int64_t)loop->index;
    return ZMLX_OK;
}

static zmlx_status get_revindex(zx_jrun *run, zx_jloop *loop, zx_jvalue *value)
{
    ZX_TRY(get_revindex0(run, loop, value));
    value->as.integer++;
    return ZMLX_OK;
}

static zmlx_status get_depth0(zx_jrun *run, zx_jloop *loop, zx_jvalue *value)
{
    (void)run;
    *value = zx_jsized(loop->depth0);
    return ZMLX_OK;
}

static zmlx_status get_depth(zx_jrun *run, zx_jloop *loop, zx_jvalue *value)
{
    (void)run;
    *value = zx_jsized(loop->depth0 + 1);
    return ZMLX_OK;
}

static zmlx_status get_previous(zx_jrun *run, zx_jloop *loop, zx_jvalue *value)
{
    *value = loop->before;
    if (loop->index != 1) return ZMLX_OK;
    return zx_jundefined_hint(run, "there is no previous item", value);
}

static zmlx_status get_next(zx_jrun *run, zx_jloop *loop, zx_jvalue *value)
{
    ZX_TRY(peek(run, loop));
    *value = loop->after;
    if (value->kind != ZX_J_MISSING) return ZMLX_OK;
    return zx_jundefined_hint(run, "there is no next item", value);
}

static const struct {
    const char *name;
    zmlx_status (*get)(zx_jrun *run, zx_jloop *loop, zx_jvalue *value);
} attributes[] = {
    {"index", get_index},         {"index0", get_index0}, {"first", get_first},
    {"last", get_last},           {"length", get_length}, {"revindex", get_revindex},
    {"revindex0", get_revindex0}, {"depth", get_depth},   {"depth0", get_depth0},
    {"previtem", get_previous},   {"nextitem", get_next},
};

zmlx_status zx_jloop_attribute(zx_jrun *run, zx_jloop *loop, const zx_jstring *name,
                               zx_jvalue *value)
{
    *value = zx_jmissing();
    for (size_t i = 0; i < sizeof attributes / sizeof *attributes; i++)
        if (zx_jstring_is(name, attributes[i].name)) return attributes[i].get(run, loop, value);
    return ZMLX_OK;
}

static zmlx_status do_cycle(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    if (call->all->count == 0) return ZX_JFAIL(run, "no items for cycling given");
    const size_t at = (call->self.as.loop->index - 1) % call->all->count;
    *result = call->all->items[at];
    return ZMLX_OK;
}

static zmlx_status do_changed(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    zx_jloop *const loop = call->self.as.loop;
    zx_jvalue now;
    bool equal = false;
    ZX_TRY(zx_jlist_make(run, ZX_J_TUPLE, call->all->count, &now));
    for (size_t i = 0; i < call->all->count; i++)
        ZX_TRY(zx_jlist_add(run, now.as.list, call->all->items[i]));
    if (loop->changed.kind != ZX_J_MISSING)
        ZX_TRY(zx_jvalue_equal(run, loop->changed, now, &equal));
    loop->changed = now;
    *result = zx_jbool(!equal);
    return ZMLX_OK;
}

const zx_jbuiltin zx_jmethods_loop[] = {
    {"cycle", "*", do_cycle},
    {"changed", "*", do_changed},
    {NULL, NULL, NULL},
};
