/* loop.h - the variable 'loop' of a for statement: where it is in what it iterates over.
 *
 * It looks ahead only when asked (loop.last, loop.nextitem, loop.length of an iterator), because
 * that is visible where an iterator is lazy. */
#ifndef ZX_JINJA_LOOP_H
#define ZX_JINJA_LOOP_H

#include "jinja/call.h"

struct zx_jnode;
struct zx_jframe;

struct zx_jloop {
    zx_jvalue iterable;
    zx_jiter *iter;
    size_t index; /* from 1; 0 before the first item */
    size_t depth0;
    zx_jvalue before, current, after; /* after: MISSING until looked at */
    zx_jvalue changed;                /* the arguments of the last loop.changed() */
    size_t length;
    bool length_known;
    const struct zx_jnode *node; /* of a recursive loop */
    struct zx_jframe *frame;     /* where the loop stands, for recursion */
};

ZMLX_MUST_CHECK zmlx_status zx_jloop_make(zx_jrun *run, zx_jvalue iterable, zx_jvalue *loop);
/* Steps on; *item is MISSING at the end. */
ZMLX_MUST_CHECK zmlx_status zx_jloop_next(zx_jrun *run, zx_jloop *loop, zx_jvalue *item);
ZMLX_MUST_CHECK zmlx_status zx_jloop_length(zx_jrun *run, zx_jloop *loop, size_t *length);
size_t zx_jloop_index(const zx_jloop *loop);
/* loop.NAME; MISSING where there is no such attribute. */
ZMLX_MUST_CHECK zmlx_status zx_jloop_attribute(zx_jrun *run, zx_jloop *loop, const zx_jstring *name,
                                               zx_jvalue *value);
extern const zx_jbuiltin zx_jmethods_loop[];

#endif
