/* parse_expr.c - expressions, by recursive descent in the order of jinja2's grammar:
 * condition, or, and, not, comparison, + -, ~, * / // %, **, unary, postfix, filters and tests.
 *
 * Three of its rules surprise: ** groups to the left, a sign binds tighter than ** and than
 * filters, and ~ binds tighter than + and -. */
#include "jinja/call.h"
#include "jinja/parse.h"

typedef zmlx_status (*parse_fn)(zx_jparser *parser, zx_jnode **node);

typedef struct operator_row {
    zx_jtoken_kind token;
    zx_jnode_kind node;
} operator_row;

static zmlx_status parse_unary_with(zx_jparser *parser, bool filters, zx_jnode **node);
static zmlx_status parse_args(zx_jparser *parser, zx_jnode **first);
static zmlx_status parse_postfix(zx_jparser *parser, zx_jnode **node);

/* --- binary operators --- */

/* left OP right OP right ..., grouped to the left. */
static zmlx_status parse_binary(zx_jparser *parser, const operator_row *rows, size_t count,
                                parse_fn operand, zx_jnode **node)
{
    ZX_TRY(operand(parser, node));
    for (size_t i = 0; i < count;) {
        if (!zx_jparser_is(parser, rows[i].token)) {
            i++;
            continue;
        }
        zx_jnode *whole = NULL;
        ZX_TRY(zx_jnode_make(parser, rows[i].node, parser->at->line, &whole));
        zx_jparser_next(parser);
        whole->left = *node;
        ZX_TRY(operand(parser, &whole->right));
        *node = whole;
        i = 0;
    }
    return ZMLX_OK;
}

static zmlx_status parse_unary(zx_jparser *parser, zx_jnode **node)
{
    return parse_unary_with(parser, true, node);
}

/* Whether jinja2's optimizer makes a constant of a number's expression. */
static bool is_constant(const zx_jnode *node)
{
    for (; node != NULL && node->kind != ZX_JN_CONST; node = node->left) {
        if (node->kind == ZX_JN_NEG || node->kind == ZX_JN_POS) continue;
        if (node->kind < ZX_JN_ADD || node->kind > ZX_JN_POW || !is_constant(node->right))
            return false;
    }
    return node != NULL;
}

static zmlx_status parse_power(zx_jparser *parser, zx_jnode **node)
{
    static const operator_row rows[] = {{ZX_JT_POW, ZX_JN_POW}};
    ZX_TRY(parse_binary(parser, rows, 1, parse_unary, node));
    /* jinja2 writes a constant that begins a power into Python code, where the power binds tighter
     * than the constant's sign: -2 ** x is -(2 ** x), although -2 ** 2 is 4. */
    zx_jnode *first = *node, *innermost = NULL;
    for (; first->kind == ZX_JN_POW; first = first->left)
        if (!is_constant(first->right)) innermost = first;
    if (innermost != NULL) innermost->sign_last = is_constant(first);
    return ZMLX_OK;
}

static zmlx_status parse_product(zx_jparser *parser, zx_jnode **node)
{
    static const operator_row rows[] = {{ZX_JT_MUL, ZX_JN_MUL},
                                        {ZX_JT_DIV, ZX_JN_DIV},
                                        {ZX_JT_FLOORDIV, ZX_JN_FLOORDIV},
                                        {ZX_JT_MOD, ZX_JN_MOD}};
    return parse_binary(parser, rows, 4, parse_power, node);
}

static zmlx_status parse_concat(zx_jparser *parser, zx_jnode **node)
{
    ZX_TRY(parse_product(parser, node));
    if (!zx_jparser_is(parser, ZX_JT_TILDE)) return ZMLX_OK;
    zx_jnode *whole = NULL;
    zx_jnodes parts = {0};
    ZX_TRY(zx_jnode_make(parser, ZX_JN_CONCAT, parser->at->line, &whole));
    zx_jnodes_add(&parts, *node);
    while (zx_jparser_skip(parser, ZX_JT_TILDE)) {
        zx_jnode *part = NULL;
        ZX_TRY(parse_product(parser, &part));
        zx_jnodes_add(&parts, part);
    }
    whole->items = parts.first;
    *node = whole;
    return ZMLX_OK;
}

static zmlx_status parse_sum(zx_jparser *parser, zx_jnode **node)
{
    static const operator_row rows[] = {{ZX_JT_ADD, ZX_JN_ADD}, {ZX_JT_SUB, ZX_JN_SUB}};
    return parse_binary(parser, rows, 2, parse_concat, node);
}

/* Steps over a comparison operator; false where there is none. */
static bool match_comparison(zx_jparser *parser, zx_jtoken_kind *op, bool *negated)
{
    *negated = false;
    *op = parser->at->kind;
    if (*op >= ZX_JT_EQ && *op <= ZX_JT_LE) {
        zx_jparser_next(parser);
        return true;
    }
    *op = ZX_JT_NAME;
    if (zx_jparser_skip_word(parser, "in")) return true;
    if (!zx_jparser_is_word(parser, "not") || parser->at[1].kind != ZX_JT_NAME ||
        !zx_jstring_is(parser->at[1].value.as.string, "in"))
        return false;
    zx_jparser_next(parser);
    zx_jparser_next(parser);
    *negated = true;
    return true;
}

static zmlx_status parse_comparison(zx_jparser *parser, zx_jnode **node)
{
    const int line = parser->at->line;
    zx_jnodes operands = {0};
    zx_jtoken_kind op = ZX_JT_END;
    bool negated = false;
    ZX_TRY(parse_sum(parser, node));
    while (match_comparison(parser, &op, &negated)) {
        zx_jnode *operand = NULL;
        ZX_TRY(zx_jnode_make(parser, ZX_JN_OPERAND, parser->at->line, &operand));
        operand->op = op;
        operand->negated = negated;
        ZX_TRY(parse_sum(parser, &operand->left));
        zx_jnodes_add(&operands, operand);
    }
    if (operands.count == 0) return ZMLX_OK;
    zx_jnode *whole = NULL;
    ZX_TRY(zx_jnode_make(parser, ZX_JN_COMPARE, line, &whole));
    whole->left = *node;
    whole->items = operands.first;
    *node = whole;
    return ZMLX_OK;
}

static zmlx_status parse_not(zx_jparser *parser, zx_jnode **node)
{
    if (!zx_jparser_is_word(parser, "not")) return parse_comparison(parser, node);
    ZX_TRY(zx_jparser_enter(parser));
    ZX_TRY(zx_jnode_make(parser, ZX_JN_NOT, parser->at->line, node));
    zx_jparser_next(parser);
    ZX_TRY(parse_not(parser, &(*node)->left));
    parser->depth--;
    return ZMLX_OK;
}

static zmlx_status parse_words(zx_jparser *parser, const char *word, zx_jnode_kind kind,
                               parse_fn operand, zx_jnode **node)
{
    ZX_TRY(operand(parser, node));
    while (zx_jparser_is_word(parser, word)) {
        zx_jnode *whole = NULL;
        ZX_TRY(zx_jnode_make(parser, kind, parser->at->line, &whole));
        zx_jparser_next(parser);
        whole->left = *node;
        ZX_TRY(operand(parser, &whole->right));
        *node = whole;
    }
    return ZMLX_OK;
}

static zmlx_status parse_and(zx_jparser *parser, zx_jnode **node)
{
    return parse_words(parser, "and", ZX_JN_AND, parse_not, node);
}

zmlx_status zx_jparse_or(zx_jparser *parser, zx_jnode **node)
{
    return parse_words(parser, "or", ZX_JN_OR, parse_and, node);
}

static zmlx_status parse_condition(zx_jparser *parser, zx_jnode **node)
{
    ZX_TRY(zx_jparser_enter(parser));
    ZX_TRY(zx_jparse_or(parser, node));
    while (zx_jparser_is_word(parser, "if")) {
        zx_jnode *whole = NULL;
        ZX_TRY(zx_jnode_make(parser, ZX_JN_CONDITION, parser->at->line, &whole));
        zx_jparser_next(parser);
        whole->left = *node;
        ZX_TRY(zx_jparse_or(parser, &whole->third));
        if (zx_jparser_skip_word(parser, "else")) ZX_TRY(parse_condition(parser, &whole->right));
        *node = whole;
    }
    parser->depth--;
    return ZMLX_OK;
}

zmlx_status zx_jparse_expression(zx_jparser *parser, zx_jnode **node)
{
    return parse_condition(parser, node);
}

/* --- unary, filters, tests --- */

/* The name of a filter or test; one with dots in it is nobody's. */
static zmlx_status parse_row_name(zx_jparser *parser, zx_jvalue *name)
{
    ZX_TRY(zx_jparser_expect_name(parser, name));
    while (zx_jparser_is(parser, ZX_JT_DOT)) {
        const zx_jstring dot = {.bytes = ".", .length = 1};
        zx_jvalue part;
        zx_jparser_next(parser);
        ZX_TRY(zx_jparser_expect_name(parser, &part));
        ZX_TRY(zx_jstring_concat(parser->run, name->as.string, &dot, name));
        ZX_TRY(zx_jstring_concat(parser->run, name->as.string, part.as.string, name));
    }
    return ZMLX_OK;
}

zmlx_status zx_jparse_filters(zx_jparser *parser, zx_jnode *left, bool started, zx_jnode **node)
{
    *node = left;
    while (started || zx_jparser_is(parser, ZX_JT_PIPE)) {
        zx_jnode *filter = NULL;
        if (!started) zx_jparser_next(parser);
        started = false;
        ZX_TRY(zx_jnode_make(parser, ZX_JN_FILTER, parser->at->line, &filter));
        ZX_TRY(parse_row_name(parser, &filter->value));
        if (zx_jparser_is(parser, ZX_JT_LPAREN)) ZX_TRY(parse_args(parser, &filter->items));
        filter->left = *node;
        filter->row = zx_jfilter_find(filter->value.as.string);
        *node = filter;
    }
    return ZMLX_OK;
}

/* Whether a test's argument may begin here without brackets. */
static bool begins_argument(const zx_jparser *parser)
{
    static const zx_jtoken_kind kinds[] = {ZX_JT_NAME,  ZX_JT_STRING,   ZX_JT_INTEGER,
                                           ZX_JT_FLOAT, ZX_JT_LBRACKET, ZX_JT_LBRACE};
    if (zx_jparser_is_word(parser, "else") || zx_jparser_is_word(parser, "or") ||
        zx_jparser_is_word(parser, "and"))
        return false;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (zx_jparser_is(parser, kinds[i])) return true;
    return false;
}

static zmlx_status parse_test(zx_jparser *parser, zx_jnode **node)
{
    zx_jnode *test = NULL;
    ZX_TRY(zx_jnode_make(parser, ZX_JN_TEST, parser->at->line, &test));
    zx_jparser_next(parser);
    const bool negated = zx_jparser_skip_word(parser, "not");
    test->left = *node;
    ZX_TRY(parse_row_name(parser, &test->value));
    test->row = zx_jtest_find(test->value.as.string);
    if (zx_jparser_is(parser, ZX_JT_LPAREN)) {
        ZX_TRY(parse_args(parser, &test->items));
    } else if (begins_argument(parser)) {
        if (zx_jparser_is_word(parser, "is"))
            return zx_jparser_fail(parser, "tests cannot be chained with 'is'");
        ZX_TRY(zx_jparser_enter(parser));
        ZX_TRY(zx_jparse_primary(parser, false, &test->items));
        ZX_TRY(parse_postfix(parser, &test->items));
        parser->depth--;
    }
    *node = test;
    if (!negated) return ZMLX_OK;
    ZX_TRY(zx_jnode_make(parser, ZX_JN_NOT, test->line, node));
    (*node)->left = test;
    return ZMLX_OK;
}

static zmlx_status parse_call(zx_jparser *parser, zx_jnode **node)
{
    zx_jnode *call = NULL;
    ZX_TRY(zx_jnode_make(parser, ZX_JN_CALL, parser->at->line, &call));
    call->left = *node;
    ZX_TRY(parse_args(parser, &call->items));
    *node = call;
    return ZMLX_OK;
}

static zmlx_status parse_filters_and_tests(zx_jparser *parser, zx_jnode **node)
{
    for (;;) {
        if (zx_jparser_is(parser, ZX_JT_PIPE))
            ZX_TRY(zx_jparse_filters(parser, *node, false, node));
        else if (zx_jparser_is_word(parser, "is"))
            ZX_TRY(parse_test(parser, node));
        else if (zx_jparser_is(parser, ZX_JT_LPAREN))
            ZX_TRY(parse_call(parser, node));
        else
            return ZMLX_OK;
    }
}

static zmlx_status parse_unary_with(zx_jparser *parser, bool filters, zx_jnode **node)
{
    const bool minus = zx_jparser_is(parser, ZX_JT_SUB);
    if (minus || zx_jparser_is(parser, ZX_JT_ADD)) {
        ZX_TRY(zx_jparser_enter(parser));
        ZX_TRY(zx_jnode_make(parser, minus ? ZX_JN_NEG : ZX_JN_POS, parser->at->line, node));
        zx_jparser_next(parser);
        ZX_TRY(parse_unary_with(parser, false, &(*node)->left));
        parser->depth--;
    } else {
        ZX_TRY(zx_jparse_primary(parser, false, node));
    }
    ZX_TRY(parse_postfix(parser, node));
    return filters ? parse_filters_and_tests(parser, node) : ZMLX_OK;
}

/* --- postfix: .name, [item], (arguments) --- */

/* One bound of a slice, or nothing. */
static zmlx_status parse_bound(zx_jparser *parser, zx_jnodes *bounds)
{
    zx_jnode *bound = NULL;
    if (zx_jparser_is(parser, ZX_JT_COLON) || zx_jparser_is(parser, ZX_JT_RBRACKET) ||
        zx_jparser_is(parser, ZX_JT_COMMA)) {
        ZX_TRY(zx_jnode_make(parser, ZX_JN_CONST, parser->at->line, &bound));
        bound->value = zx_jnone();
    } else {
        ZX_TRY(zx_jparse_expression(parser, &bound));
    }
    zx_jnodes_add(bounds, bound);
    return ZMLX_OK;
}

/* [item], [a, b] (a tuple) or [start:stop:step]. */
static zmlx_status parse_item(zx_jparser *parser, zx_jnode **node)
{
    zx_jnode *whole = NULL;
    zx_jnodes parts = {0};
    bool is_slice = false, is_tuple = false;
    ZX_TRY(zx_jnode_make(parser, ZX_JN_ITEM, parser->at->line, &whole));
    zx_jparser_next(parser);
    ZX_TRY(zx_jparser_enter(parser));
    while (!zx_jparser_is(parser, ZX_JT_RBRACKET)) {
        if (parts.count > 0) {
            ZX_TRY(zx_jparser_expect(parser, ZX_JT_COMMA));
            is_tuple = true;
        }
        if (zx_jparser_is(parser, ZX_JT_RBRACKET) || zx_jparser_is(parser, ZX_JT_COMMA))
            return zx_jparser_fail(parser, "expected an expression");
        ZX_TRY(parse_bound(parser, &parts));
        for (int i = 0; i < 2 && zx_jparser_is(parser, ZX_JT_COLON); i++) {
            zx_jparser_next(parser);
            ZX_TRY(parse_bound(parser, &parts));
            is_slice = true;
        }
        if (is_slice && is_tuple) return zx_jparser_fail(parser, "a slice cannot stand in a tuple");
    }
    zx_jparser_next(parser);
    parser->depth--;
    whole->left = *node;
    if (is_slice) {
        whole->kind = ZX_JN_SLICE;
        whole->items = parts.first;
    } else if (parts.count == 1) {
        whole->right = parts.first;
    } else {
        ZX_TRY(zx_jnode_make(parser, ZX_JN_TUPLE, whole->line, &whole->right));
        whole->right->items = parts.first;
    }
    *node = whole;
    return ZMLX_OK;
}

static zmlx_status parse_attribute(zx_jparser *parser, zx_jnode **node)
{
    zx_jnode *whole = NULL;
    ZX_TRY(zx_jnode_make(parser, ZX_JN_ATTRIBUTE, parser->at->line, &whole));
    zx_jparser_next(parser);
    whole->left = *node;
    if (zx_jparser_is(parser, ZX_JT_INTEGER)) {
        whole->kind = ZX_JN_ITEM;
        ZX_TRY(zx_jnode_make(parser, ZX_JN_CONST, whole->line, &whole->right));
        whole->right->value = parser->at->value;
    } else if (!zx_jparser_is(parser, ZX_JT_NAME)) {
        return zx_jparser_fail(parser, "expected a name or a number after '.'");
    }
    whole->value = parser->at->value;
    zx_jparser_next(parser);
    *node = whole;
    return ZMLX_OK;
}

static zmlx_status parse_postfix(zx_jparser *parser, zx_jnode **node)
{
    for (;;) {
        if (zx_jparser_is(parser, ZX_JT_DOT))
            ZX_TRY(parse_attribute(parser, node));
        else if (zx_jparser_is(parser, ZX_JT_LBRACKET))
            ZX_TRY(parse_item(parser, node));
        else if (zx_jparser_is(parser, ZX_JT_LPAREN))
            ZX_TRY(parse_call(parser, node));
        else
            return ZMLX_OK;
    }
}

/* One argument; 'stage' is 0 before keywords, 1 behind one, 2 behind *a, 3 behind **k. */
static zmlx_status parse_arg(zx_jparser *parser, int *stage, zx_jnode **arg)
{
    const int line = parser->at->line;
    zx_jnode_kind kind = ZX_JN_CONST;
    int next_stage = *stage, allowed = 0;
    if (zx_jparser_skip(parser, ZX_JT_MUL)) {
        kind = ZX_JN_STAR;
        allowed = 1;
        next_stage = 2;
    } else if (zx_jparser_skip(parser, ZX_JT_POW)) {
        kind = ZX_JN_DOUBLE_STAR;
        allowed = 2;
        next_stage = 3;
    } else if (zx_jparser_is(parser, ZX_JT_NAME) && parser->at[1].kind == ZX_JT_ASSIGN) {
        kind = ZX_JN_KEYWORD;
        allowed = 2;
        next_stage = *stage > 1 ? *stage : 1;
    }
    if (*stage > allowed) return zx_jparser_fail(parser, "invalid syntax for function call");
    *stage = next_stage;
    if (kind == ZX_JN_CONST) return zx_jparse_expression(parser, arg);
    ZX_TRY(zx_jnode_make(parser, kind, line, arg));
    if (kind == ZX_JN_KEYWORD) {
        (*arg)->value = parser->at->value;
        zx_jparser_next(parser);
        zx_jparser_next(parser);
    }
    return zx_jparse_expression(parser, &(*arg)->left);
}

static zmlx_status parse_args(zx_jparser *parser, zx_jnode **first)
{
    zx_jnodes args = {0};
    int stage = 0;
    zx_jparser_next(parser);
    ZX_TRY(zx_jparser_enter(parser));
    while (!zx_jparser_is(parser, ZX_JT_RPAREN)) {
        zx_jnode *arg = NULL;
        if (args.count > 0) {
            ZX_TRY(zx_jparser_expect(parser, ZX_JT_COMMA));
            if (zx_jparser_is(parser, ZX_JT_RPAREN)) break;
        }
        ZX_TRY(parse_arg(parser, &stage, &arg));
        zx_jnodes_add(&args, arg);
    }
    zx_jparser_next(parser);
    parser->depth--;
    *first = args.first;
    return ZMLX_OK;
}
