/* syntax.h - a template as tokens and as a tree.
 *
 * Source text becomes tokens (lex.c), tokens a tree (parse_stmt.c, parse_expr.c), and every name
 * in the tree the slot of a variable (scope.c).  What a template refuses to compile fails
 * here, before anything is written. */
#ifndef ZX_JINJA_SYNTAX_H
#define ZX_JINJA_SYNTAX_H

#include "jinja/value.h"

/* --- tokens --- */

typedef enum zx_jtoken_kind {
    ZX_JT_END,
    ZX_JT_DATA,
    ZX_JT_VARIABLE_BEGIN,
    ZX_JT_VARIABLE_END,
    ZX_JT_BLOCK_BEGIN,
    ZX_JT_BLOCK_END,
    ZX_JT_NAME,
    ZX_JT_STRING,
    ZX_JT_INTEGER,
    ZX_JT_FLOAT,
    ZX_JT_ADD,
    ZX_JT_SUB,
    ZX_JT_MUL,
    ZX_JT_DIV,
    ZX_JT_FLOORDIV,
    ZX_JT_MOD,
    ZX_JT_POW,
    ZX_JT_TILDE,
    ZX_JT_LBRACKET,
    ZX_JT_RBRACKET,
    ZX_JT_LPAREN,
    ZX_JT_RPAREN,
    ZX_JT_LBRACE,
    ZX_JT_RBRACE,
    ZX_JT_EQ,
    ZX_JT_NE,
    ZX_JT_GT,
    ZX_JT_GE,
    ZX_JT_LT,
    ZX_JT_LE,
    ZX_JT_ASSIGN,
    ZX_JT_DOT,
    ZX_JT_COLON,
    ZX_JT_PIPE,
    ZX_JT_COMMA,
    ZX_JT_SEMICOLON,
} zx_jtoken_kind;

typedef struct zx_jtoken {
    zx_jtoken_kind kind;
    int line;
    zx_jvalue value; /* of DATA, NAME, STRING, INTEGER and FLOAT */
} zx_jtoken;

typedef struct zx_jtokens {
    zx_jtoken *items; /* the last is END */
    size_t count, capacity;
} zx_jtokens;

/* Where it fails, *tokens is empty or holds what lies before that place and END. */
ZMLX_MUST_CHECK zmlx_status zx_jlex(zx_jrun *run, const char *text, size_t length,
                                    zx_jtokens *tokens);
/* The value of a string literal's inside. */
ZMLX_MUST_CHECK zmlx_status zx_jlex_string(zx_jrun *run, int line, const char *bytes, size_t length,
                                           zx_jvalue *string);

/* --- the tree --- */

typedef enum zx_jnode_kind {
    /* expressions */
    ZX_JN_CONST,
    ZX_JN_NAME,
    ZX_JN_MEMBER_TARGET, /* ns.x on the left of = */
    ZX_JN_TUPLE,         /* items */
    ZX_JN_LIST,          /* items */
    ZX_JN_DICT,          /* items: PAIR */
    ZX_JN_PAIR,          /* left: right */
    ZX_JN_CONDITION,     /* left if third else right (or NULL) */
    ZX_JN_OR,
    ZX_JN_AND,
    ZX_JN_NOT,
    ZX_JN_COMPARE, /* left, items: OPERAND */
    ZX_JN_OPERAND, /* op left */
    ZX_JN_ADD,
    ZX_JN_SUB,
    ZX_JN_MUL,
    ZX_JN_DIV,
    ZX_JN_FLOORDIV,
    ZX_JN_MOD,
    ZX_JN_POW,
    ZX_JN_CONCAT, /* items */
    ZX_JN_NEG,
    ZX_JN_POS,
    ZX_JN_ATTRIBUTE,   /* left.value */
    ZX_JN_ITEM,        /* left[right] */
    ZX_JN_SLICE,       /* left[items: three CONST or expressions] */
    ZX_JN_CALL,        /* left(items) */
    ZX_JN_FILTER,      /* left (NULL: what a block wrote) | value(items) */
    ZX_JN_TEST,        /* left is value(items) */
    ZX_JN_KEYWORD,     /* value=left */
    ZX_JN_STAR,        /* *left */
    ZX_JN_DOUBLE_STAR, /* **left */
    /* statements */
    ZX_JN_OUTPUT,       /* items */
    ZX_JN_IF,           /* left, body, otherwise (of an elif: one IF) */
    ZX_JN_FOR,          /* left in right if third: body, otherwise */
    ZX_JN_SET,          /* left = right */
    ZX_JN_SET_BLOCK,    /* left, right: FILTER or NULL, body */
    ZX_JN_MACRO,        /* value, items: NAME with its default in left, body */
    ZX_JN_CALL_BLOCK,   /* left: CALL, items as MACRO, body */
    ZX_JN_FILTER_BLOCK, /* left: FILTER, body */
    ZX_JN_WITH,         /* items: NAME or TUPLE, each followed by its value; body */
    ZX_JN_AUTOESCAPE,   /* left, body */
    ZX_JN_BLOCK,        /* value, body */
    ZX_JN_GENERATION,   /* body */
    ZX_JN_LOAD,         /* include, import, from, extends: value; items: names it would set */
    ZX_JN_BREAK,
    ZX_JN_CONTINUE,
    ZX_JN_TEMPLATE, /* body */
    ZX_JN_KINDS,
} zx_jnode_kind;

/* Where a variable lives: so many function frames out, and which slot there. */
typedef struct zx_jslot {
    uint32_t hops, index;
} zx_jslot;

/* What is done to a scope's variables when it is entered. */
typedef enum zx_jload_kind {
    ZX_JL_PARAMETER, /* nothing */
    ZX_JL_RESOLVE,   /* look the name up in the context */
    ZX_JL_ALIAS,     /* copy the outer variable */
    ZX_JL_UNSET,
} zx_jload_kind;

typedef struct zx_jload {
    zx_jload_kind kind;
    uint32_t index; /* in the present frame */
    zx_jslot outer; /* ALIAS */
    zx_jvalue name; /* RESOLVE */
} zx_jload;

typedef struct zx_jscope {
    zx_jload *loads;
    size_t load_count;
    uint32_t frame_size; /* slots of the function frame that the scope opens; 0: it opens none */
} zx_jscope;

typedef struct zx_jnode zx_jnode;
struct zx_jnode {
    zx_jnode_kind kind;
    int line;
    zx_jnode *next; /* in the list it stands in */
    zx_jvalue value;
    zx_jnode *left, *right, *third;
    zx_jnode *items, *body, *otherwise;
    zx_jtoken_kind op;                              /* OPERAND: EQ to LE, or NAME for 'in' */
    bool negated;                                   /* OPERAND: not in */
    bool sign_last;                                 /* POW: a left sign counts after the power */
    bool recursive;                                 /* FOR */
    bool is_name_stored;                            /* NAME: on the left of an assignment */
    bool is_parameter;                              /* NAME: a parameter or a target of 'with' */
    bool exports;                                   /* SET, SET_BLOCK, MACRO at the top level */
    bool has_blocks;                                /* TEMPLATE */
    bool takes_caller, takes_kwargs, takes_varargs; /* MACRO, CALL_BLOCK, GENERATION */
    zx_jslot slot;                                  /* NAME, MEMBER_TARGET, MACRO */
    zx_jslot special[3];                            /* caller, kwargs, varargs; FOR: loop */
    zx_jscope *scope;                               /* of the body */
    zx_jscope *else_scope;                          /* FOR: of the else part */
    zx_jscope *test_scope;         /* FOR: of the condition, a function of its own */
    zx_jnode *test_target;         /* FOR: the target as the condition sees it */
    const struct zx_jbuiltin *row; /* FILTER, TEST; NULL: unknown */
};

typedef struct zx_jblock {
    struct zx_jblock *next;
    zx_jnode *node;
    zx_jscope *scope;
} zx_jblock;

/* The tree of a template, its names resolved. */
ZMLX_MUST_CHECK zmlx_status zx_jparse(zx_jrun *run, const zx_jtokens *tokens, zx_jnode **template);
/* The error of a template whose tokens break off with 'status' and the message recorded for it:
 * what is wrong before that place, if anything is, for that is where a reader has to look. */
zmlx_status zx_jparse_broken(zx_jrun *run, const zx_jtokens *tokens, zmlx_status status);
ZMLX_MUST_CHECK zmlx_status zx_jscope_resolve(zx_jrun *run, zx_jnode *template);

#endif
