/* parse.h - what the two halves of the parser share.  Only parse_*.c include it. */
#ifndef ZX_JINJA_PARSE_H
#define ZX_JINJA_PARSE_H

#include "jinja/run.h"
#include "jinja/syntax.h"

typedef struct zx_jparser {
    zx_jrun *run;
    const zx_jtoken *at; /* the present token */
    int depth;
    int for_depth;           /* for statements around, also through macros */
    int loop_depth;          /* loops that break can leave */
    const char *open_tag;    /* the innermost block that is open, or NULL */
    const char *const *ends; /* the tags that may end it, or NULL */
    zx_jblock **last_block;
} zx_jparser;

/* A list of nodes being made. */
typedef struct zx_jnodes {
    zx_jnode *first, **last;
    size_t count;
} zx_jnodes;

static inline bool zx_jparser_is(const zx_jparser *parser, zx_jtoken_kind kind)
{
    return parser->at->kind == kind;
}

/* Whether the present token is this word. */
bool zx_jparser_is_word(const zx_jparser *parser, const char *word);
void zx_jparser_next(zx_jparser *parser);
bool zx_jparser_skip(zx_jparser *parser, zx_jtoken_kind kind);
bool zx_jparser_skip_word(zx_jparser *parser, const char *word);
ZMLX_MUST_CHECK zmlx_status zx_jparser_expect(zx_jparser *parser, zx_jtoken_kind kind);
ZMLX_MUST_CHECK zmlx_status zx_jparser_expect_word(zx_jparser *parser, const char *word);
/* A name, whose text is put into *name. */
ZMLX_MUST_CHECK zmlx_status zx_jparser_expect_name(zx_jparser *parser, zx_jvalue *name);
/* "MESSAGE, not TOKEN" at the present token. */
zmlx_status zx_jparser_fail(const zx_jparser *parser, const char *message);
ZMLX_MUST_CHECK zmlx_status zx_jparser_enter(zx_jparser *parser);
ZMLX_MUST_CHECK zmlx_status zx_jnode_make(zx_jparser *parser, zx_jnode_kind kind, int line,
                                          zx_jnode **node);
void zx_jnodes_add(zx_jnodes *nodes, zx_jnode *node);

/* --- expressions --- */

typedef struct zx_jtuple_rules {
    bool without_condition; /* no "a if b else c" */
    bool parentheses;       /* "()" is a tuple */
    bool targets;           /* only names and literals */
    bool members;           /* "ns.x" among the targets */
} zx_jtuple_rules;

ZMLX_MUST_CHECK zmlx_status zx_jparse_expression(zx_jparser *parser, zx_jnode **node);
ZMLX_MUST_CHECK zmlx_status zx_jparse_tuple(zx_jparser *parser, const zx_jtuple_rules *rules,
                                            zx_jnode **node);
/* A name, a literal or what stands in brackets; 'members': "ns.x" too. */
ZMLX_MUST_CHECK zmlx_status zx_jparse_primary(zx_jparser *parser, bool members, zx_jnode **node);
/* An expression without "a if b else c". */
ZMLX_MUST_CHECK zmlx_status zx_jparse_or(zx_jparser *parser, zx_jnode **node);
/* Filters behind 'left' (NULL: in a filter or set block); 'started': the "|" is behind us. */
ZMLX_MUST_CHECK zmlx_status zx_jparse_filters(zx_jparser *parser, zx_jnode *left, bool started,
                                              zx_jnode **node);
/* What may stand on the left of an assignment. */
ZMLX_MUST_CHECK zmlx_status zx_jparse_target(zx_jparser *parser, const zx_jtuple_rules *rules,
                                             zx_jnode **node);
ZMLX_MUST_CHECK zmlx_status zx_jparse_name_target(zx_jparser *parser, zx_jnode **node);

#endif
