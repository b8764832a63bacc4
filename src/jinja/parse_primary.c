/* parse_primary.c - names, literals, brackets, tuples, and what may be assigned to. */
#include "jinja/parse.h"

/* --- primaries --- */

static zmlx_status parse_name(zx_jparser *parser, bool members, zx_jnode **node)
{
    static const struct {
        const char *word;
        zx_jvalue value;
    } words[] = {
        {"true", {.kind = ZX_J_BOOL, .as.boolean = true}},
        {"True", {.kind = ZX_J_BOOL, .as.boolean = true}},
        {"false", {.kind = ZX_J_BOOL}},
        {"False", {.kind = ZX_J_BOOL}},
        {"none", {.kind = ZX_J_NONE}},
        {"None", {.kind = ZX_J_NONE}},
    };
    const zx_jvalue name = parser->at->value;
    ZX_TRY(zx_jnode_make(parser, ZX_JN_NAME, parser->at->line, node));
    zx_jparser_next(parser);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (!zx_jstring_is(name.as.string, words[i].word)) continue;
        (*node)->kind = ZX_JN_CONST;
        (*node)->value = words[i].value;
        return ZMLX_OK;
    }
    (*node)->value = name;
    if (!members || !zx_jparser_skip(parser, ZX_JT_DOT)) return ZMLX_OK;
    (*node)->kind = ZX_JN_MEMBER_TARGET;
    ZX_TRY(zx_jnode_make(parser, ZX_JN_CONST, parser->at->line, &(*node)->right));
    return zx_jparser_expect_name(parser, &(*node)->right->value);
}

static zmlx_status parse_literal(zx_jparser *parser, zx_jnode **node)
{
    ZX_TRY(zx_jnode_make(parser, ZX_JN_CONST, parser->at->line, node));
    (*node)->value = parser->at->value;
    const bool is_string = zx_jparser_is(parser, ZX_JT_STRING);
    zx_jparser_next(parser);
    while (is_string && zx_jparser_is(parser, ZX_JT_STRING)) {
        ZX_TRY(zx_jstring_concat(parser->run, (*node)->value.as.string, parser->at->value.as.string,
                                 &(*node)->value));
        zx_jparser_next(parser);
    }
    return ZMLX_OK;
}

static zmlx_status parse_list(zx_jparser *parser, zx_jnode **node)
{
    zx_jnodes items = {0};
    ZX_TRY(zx_jnode_make(parser, ZX_JN_LIST, parser->at->line, node));
    zx_jparser_next(parser);
    while (!zx_jparser_is(parser, ZX_JT_RBRACKET)) {
        zx_jnode *item = NULL;
        if (items.count > 0) ZX_TRY(zx_jparser_expect(parser, ZX_JT_COMMA));
        if (zx_jparser_is(parser, ZX_JT_RBRACKET)) break;
        ZX_TRY(zx_jparse_expression(parser, &item));
        zx_jnodes_add(&items, item);
    }
    zx_jparser_next(parser);
    (*node)->items = items.first;
    return ZMLX_OK;
}

static zmlx_status parse_dict(zx_jparser *parser, zx_jnode **node)
{
    zx_jnodes pairs = {0};
    ZX_TRY(zx_jnode_make(parser, ZX_JN_DICT, parser->at->line, node));
    zx_jparser_next(parser);
    while (!zx_jparser_is(parser, ZX_JT_RBRACE)) {
        zx_jnode *pair = NULL;
        if (pairs.count > 0) ZX_TRY(zx_jparser_expect(parser, ZX_JT_COMMA));
        if (zx_jparser_is(parser, ZX_JT_RBRACE)) break;
        ZX_TRY(zx_jnode_make(parser, ZX_JN_PAIR, parser->at->line, &pair));
        ZX_TRY(zx_jparse_expression(parser, &pair->left));
        ZX_TRY(zx_jparser_expect(parser, ZX_JT_COLON));
        ZX_TRY(zx_jparse_expression(parser, &pair->right));
        zx_jnodes_add(&pairs, pair);
    }
    zx_jparser_next(parser);
    (*node)->items = pairs.first;
    return ZMLX_OK;
}

zmlx_status zx_jparse_primary(zx_jparser *parser, bool members, zx_jnode **node)
{
    if (zx_jparser_is(parser, ZX_JT_NAME)) return parse_name(parser, members, node);
    if (zx_jparser_is(parser, ZX_JT_STRING) || zx_jparser_is(parser, ZX_JT_INTEGER) ||
        zx_jparser_is(parser, ZX_JT_FLOAT))
        return parse_literal(parser, node);
    ZX_TRY(zx_jparser_enter(parser));
    if (zx_jparser_skip(parser, ZX_JT_LPAREN)) {
        ZX_TRY(zx_jparse_tuple(parser, &(zx_jtuple_rules){.parentheses = true}, node));
        ZX_TRY(zx_jparser_expect(parser, ZX_JT_RPAREN));
    } else if (zx_jparser_is(parser, ZX_JT_LBRACKET)) {
        ZX_TRY(parse_list(parser, node));
    } else if (zx_jparser_is(parser, ZX_JT_LBRACE)) {
        ZX_TRY(parse_dict(parser, node));
    } else {
        return zx_jparser_fail(parser, "expected an expression");
    }
    parser->depth--;
    return ZMLX_OK;
}

/* Words end no tuple, not even 'in' behind a comma: jinja2 3.1 refuses "for x, in y". */
static bool is_tuple_end(const zx_jparser *parser)
{
    return zx_jparser_is(parser, ZX_JT_VARIABLE_END) || zx_jparser_is(parser, ZX_JT_BLOCK_END) ||
           zx_jparser_is(parser, ZX_JT_RPAREN);
}

zmlx_status zx_jparse_tuple(zx_jparser *parser, const zx_jtuple_rules *rules, zx_jnode **node)
{
    const int line = parser->at->line;
    zx_jnodes items = {0};
    bool is_tuple = false;
    ZX_TRY(zx_jparser_enter(parser));
    while (!is_tuple_end(parser)) {
        zx_jnode *item = NULL;
        if (rules->targets)
            ZX_TRY(zx_jparse_primary(parser, rules->members, &item));
        else if (rules->without_condition)
            ZX_TRY(zx_jparse_or(parser, &item));
        else
            ZX_TRY(zx_jparse_expression(parser, &item));
        zx_jnodes_add(&items, item);
        if (!zx_jparser_skip(parser, ZX_JT_COMMA)) break;
        is_tuple = true;
    }
    parser->depth--;
    *node = items.first;
    if (!is_tuple && items.count > 0) return ZMLX_OK;
    if (!is_tuple && !rules->parentheses) return zx_jparser_fail(parser, "expected an expression");
    ZX_TRY(zx_jnode_make(parser, ZX_JN_TUPLE, line, node));
    (*node)->items = items.first;
    return ZMLX_OK;
}

/* --- targets --- */

/* Marks names as assigned to; anything but names, members and tuples of them is refused. */
static zmlx_status store_target(zx_jparser *parser, zx_jnode *node)
{
    if (node->kind == ZX_JN_TUPLE) {
        for (zx_jnode *item = node->items; item != NULL; item = item->next)
            ZX_TRY(store_target(parser, item));
        return ZMLX_OK;
    }
    if (node->kind != ZX_JN_NAME && node->kind != ZX_JN_MEMBER_TARGET)
        return ZX_JFAIL_AT(parser->run, ZMLX_ERROR_FORMAT, node->line,
                           "this cannot be assigned to");
    if (node->kind == ZX_JN_MEMBER_TARGET) return ZMLX_OK;
    node->is_name_stored = true;
    if (parser->for_depth > 0 && zx_jstring_is(node->value.as.string, "loop"))
        return ZX_JFAIL_AT(parser->run, ZMLX_ERROR_FORMAT, node->line,
                           "the variable 'loop' cannot be assigned to inside a for loop");
    return ZMLX_OK;
}

zmlx_status zx_jparse_target(zx_jparser *parser, const zx_jtuple_rules *rules, zx_jnode **node)
{
    zx_jtuple_rules own = *rules;
    own.targets = true;
    ZX_TRY(zx_jparse_tuple(parser, &own, node));
    return store_target(parser, *node);
}

zmlx_status zx_jparse_name_target(zx_jparser *parser, zx_jnode **node)
{
    ZX_TRY(zx_jnode_make(parser, ZX_JN_NAME, parser->at->line, node));
    ZX_TRY(zx_jparser_expect_name(parser, &(*node)->value));
    static const char *const reserved[] = {"true", "True", "false", "False", "none", "None"};
    for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++)
        if (zx_jstring_is((*node)->value.as.string, reserved[i]))
            return ZX_JFAIL_AT(parser->run, ZMLX_ERROR_FORMAT, (*node)->line,
                               "'%s' cannot be assigned to", reserved[i]);
    return ZMLX_OK;
}
