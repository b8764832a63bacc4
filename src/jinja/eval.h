/* eval.h - running a template's tree: frames of variables, expressions, statements. */
#ifndef ZX_JINJA_EVAL_H
#define ZX_JINJA_EVAL_H

#include "jinja/call.h"
#include "jinja/run.h"
#include "jinja/syntax.h"

/* The variables of the template, of a macro call, of a recursive loop. */
typedef struct zx_jframe {
    struct zx_jframe *outer; /* where the macro was defined */
    zx_jvalue *slots;
} zx_jframe;

/* What a statement asks of the loop around it. */
typedef enum zx_jsignal { ZX_J_GO_ON, ZX_J_BREAK, ZX_J_CONTINUE } zx_jsignal;

struct zx_jmacro {
    const zx_jnode *node;
    zx_jframe *frame; /* where it was defined */
    zx_jlist *names;  /* of its parameters */
};

ZMLX_MUST_CHECK zmlx_status zx_jframe_make(zx_jrun *run, zx_jframe *outer, size_t size,
                                           zx_jframe **frame);
ZMLX_MUST_CHECK zmlx_status zx_jscope_enter(zx_jrun *run, zx_jframe *frame, const zx_jscope *scope);
void zx_jscope_leave(zx_jframe *frame, const zx_jscope *scope);
zx_jvalue *zx_jslot_find(zx_jframe *frame, zx_jslot slot);
/* A variable of the context: what the caller gave, what the top level set, a global function. */
zx_jvalue zx_jcontext_find(const zx_jrun *run, const zx_jstring *name);

/* eval_expr.c */
ZMLX_MUST_CHECK zmlx_status zx_jevaluate(zx_jrun *run, zx_jframe *frame, const zx_jnode *node,
                                         zx_jvalue *value);
/* Calls node (a CALL), with 'caller' as a further keyword unless it is MISSING. */
ZMLX_MUST_CHECK zmlx_status zx_jevaluate_call(zx_jrun *run, zx_jframe *frame, const zx_jnode *node,
                                              zx_jvalue caller, zx_jvalue *value);

/* eval_stmt.c */
ZMLX_MUST_CHECK zmlx_status zx_jexecute(zx_jrun *run, zx_jframe *frame, const zx_jnode *first,
                                        zx_jsignal *signal);
ZMLX_MUST_CHECK zmlx_status zx_jassign(zx_jrun *run, zx_jframe *frame, const zx_jnode *target,
                                       zx_jvalue value);
/* Runs statements whose text becomes a string. */
ZMLX_MUST_CHECK zmlx_status zx_jcapture(zx_jrun *run, zx_jframe *frame, const zx_jnode *first,
                                        zx_jsignal *signal, zx_jvalue *string);
ZMLX_MUST_CHECK zmlx_status zx_jblock_run(zx_jrun *run, const zx_jnode *node);

/* eval_for.c */
ZMLX_MUST_CHECK zmlx_status zx_jexecute_for(zx_jrun *run, zx_jframe *frame, const zx_jnode *node,
                                            zx_jsignal *signal);

/* macro.c */
ZMLX_MUST_CHECK zmlx_status zx_jmacro_make(zx_jrun *run, zx_jframe *frame, const zx_jnode *node,
                                           zx_jvalue *macro);
ZMLX_MUST_CHECK zmlx_status zx_jmacro_call(zx_jrun *run, zx_jmacro *macro, const zx_jargs *args,
                                           zx_jvalue *result);
/* loop(items) of a recursive loop. */
ZMLX_MUST_CHECK zmlx_status zx_jloop_recurse(zx_jrun *run, zx_jloop *loop, zx_jvalue iterable,
                                             zx_jvalue *result);

#endif
