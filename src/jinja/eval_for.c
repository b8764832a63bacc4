/* eval_for.c - the for statement: its condition, its else part, recursion.
 *
 * The else part runs where no iteration reached the end of the body, which a break or continue
 * prevents too. */
#include "jinja/eval.h"
#include "jinja/loop.h"

/* --- for ... in ... if: a lazy iterator with a frame of its own --- */

typedef struct condition {
    const zx_jnode *node;
    zx_jframe *outer, *own;
} condition;

/* The item as its target's names hold it: what Python's generator yields. */
static zmlx_status read_target(zx_jrun *run, zx_jframe *frame, const zx_jnode *target,
                               zx_jvalue *item)
{
    if (target->kind != ZX_JN_TUPLE) {
        *item = *zx_jslot_find(frame, target->slot);
        return ZMLX_OK;
    }
    ZX_TRY(zx_jlist_make(run, ZX_J_TUPLE, 2, item));
    for (const zx_jnode *part = target->items; part != NULL; part = part->next) {
        zx_jvalue value;
        ZX_TRY(read_target(run, frame, part, &value));
        ZX_TRY(zx_jlist_add(run, item->as.list, value));
    }
    return ZMLX_OK;
}

static zmlx_status next_that_holds(zx_jrun *run, zx_jiter *iter, zx_jvalue *item)
{
    condition *const filter = iter->state;
    const zx_jnode *const node = filter->node;
    if (iter->inner == NULL) {
        ZX_TRY(zx_jiter_make(run, iter->source, &iter->inner));
        ZX_TRY(zx_jframe_make(run, filter->outer, node->test_scope->frame_size, &filter->own));
        ZX_TRY(zx_jscope_enter(run, filter->own, node->test_scope));
    }
    for (;;) {
        zx_jvalue holds;
        ZX_TRY(zx_jiter_next(run, iter->inner, item));
        if (item->kind == ZX_J_MISSING) return ZMLX_OK;
        ZX_TRY(zx_jassign(run, filter->own, node->test_target, *item));
        ZX_TRY(zx_jevaluate(run, filter->own, node->third, &holds));
        if (zx_jvalue_is_true(holds)) return read_target(run, filter->own, node->test_target, item);
    }
}

static zmlx_status filter_items(zx_jrun *run, zx_jframe *frame, const zx_jnode *node,
                                zx_jvalue *iterable)
{
    void *memory = NULL;
    if (node->third == NULL) return ZMLX_OK;
    ZX_TRY(zx_jalloc(run, 1, sizeof(condition), &memory));
    condition *const filter = memory;
    *filter = (condition){.node = node, .outer = frame};
    return zx_jiter_lazy(
        run,
        &(zx_jiter){
            .next = next_that_holds, .type = "generator", .source = *iterable, .state = filter},
        iterable);
}

/* --- the loop --- */

/* The iterations; *completed where one reached the end of the body. */
static zmlx_status run_body(zx_jrun *run, zx_jframe *frame, const zx_jnode *node, zx_jvalue loop,
                            bool *completed)
{
    zx_jvalue item;
    zx_jsignal signal = ZX_J_GO_ON;
    *completed = false;
    while (signal != ZX_J_BREAK) {
        run->line = node->line;
        ZX_TRY(zx_jloop_next(run, loop.as.loop, &item));
        if (item.kind == ZX_J_MISSING) break;
        ZX_TRY(zx_jassign(run, frame, node->left, item));
        *zx_jslot_find(frame, node->special[0]) = loop;
        ZX_TRY(zx_jscope_enter(run, frame, node->scope));
        ZX_TRY(zx_jexecute(run, frame, node->body, &signal));
        if (signal == ZX_J_GO_ON) *completed = true;
    }
    zx_jscope_leave(frame, node->scope);
    return ZMLX_OK;
}

typedef struct for_place {
    const zx_jnode *node;
    zx_jframe *outer; /* where the statement stands */
    zx_jframe *frame; /* where its variables are: the same, unless it is recursive */
} for_place;

static zmlx_status run_loop(zx_jrun *run, const for_place *place, const zx_jloop *parent,
                            zx_jvalue iterable, zx_jsignal *signal)
{
    const zx_jnode *const node = place->node;
    zx_jframe *const frame = place->frame;
    zx_jvalue loop;
    bool completed = false;
    ZX_TRY(filter_items(run, place->outer, node, &iterable));
    ZX_TRY(zx_jloop_make(run, iterable, &loop));
    if (node->recursive) {
        loop.as.loop->node = node;
        loop.as.loop->frame = place->outer;
        loop.as.loop->depth0 = parent != NULL ? parent->depth0 + 1 : 0;
    }
    ZX_TRY(run_body(run, frame, node, loop, &completed));
    if (completed || node->otherwise == NULL) return ZMLX_OK;
    ZX_TRY(zx_jscope_enter(run, frame, node->else_scope));
    ZX_TRY(zx_jexecute(run, frame, node->otherwise, signal));
    zx_jscope_leave(frame, node->else_scope);
    return ZMLX_OK;
}

/* One level of a recursive loop: a function whose text is its value. */
static zmlx_status run_level(zx_jrun *run, zx_jframe *outer, const zx_jnode *node,
                             const zx_jloop *parent, zx_jvalue iterable, zx_jvalue *text)
{
    for_place place = {.node = node, .outer = outer};
    zx_jsignal signal = ZX_J_GO_ON;
    zx_jbuilder builder = {0}, *const output = run->output;
    ZX_TRY(zx_jframe_make(run, outer, node->scope->frame_size, &place.frame));
    run->output = &builder;
    const zmlx_status status = run_loop(run, &place, parent, iterable, &signal);
    run->output = output;
    ZX_TRY(status);
    ZX_TRY(zx_jbuilder_finish(run, &builder, text));
    text->as.string->markup = run->autoescape;
    return ZMLX_OK;
}

zmlx_status zx_jloop_recurse(zx_jrun *run, zx_jloop *loop, zx_jvalue iterable, zx_jvalue *result)
{
    if (loop->node == NULL)
        return ZX_JFAIL(run, "the loop must be marked 'recursive' to be called");
    ZX_TRY(zx_jrun_enter(run));
    ZX_TRY(run_level(run, loop->frame, loop->node, loop, iterable, result));
    run->depth--;
    return ZMLX_OK;
}

zmlx_status zx_jexecute_for(zx_jrun *run, zx_jframe *frame, const zx_jnode *node,
                            zx_jsignal *signal)
{
    zx_jvalue iterable, text;
    ZX_TRY(zx_jevaluate(run, frame, node->right, &iterable));
    run->line = node->line;
    const for_place place = {.node = node, .outer = frame, .frame = frame};
    if (!node->recursive) return run_loop(run, &place, NULL, iterable, signal);
    ZX_TRY(run_level(run, frame, node, NULL, iterable, &text));
    return zx_jrun_write(run, text.as.string->bytes, text.as.string->length);
}
