/* parse_stmt.c - statements: data, {{ }} and the tags, one row of a table each.
 *
 * What Python would refuse to compile of jinja2's translation is refused here too: break and
 * continue outside a loop of the same macro, and assigning to 'loop' inside a for. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "jinja/parse.h"

typedef zmlx_status (*tag_fn)(zx_jparser *parser, zx_jnode **node);

typedef struct tag {
    const char *name;
    tag_fn parse; /* begins behind the tag's name */
} tag;

static zmlx_status parse_body(zx_jparser *parser, const char *const *ends, zx_jnode **first);

/* --- what parse_expr.c shares --- */

bool zx_jparser_is_word(const zx_jparser *parser, const char *word)
{
    return parser->at->kind == ZX_JT_NAME && zx_jstring_is(parser->at->value.as.string, word);
}

void zx_jparser_next(zx_jparser *parser)
{
    if (parser->at->kind != ZX_JT_END) parser->at++;
}

bool zx_jparser_skip(zx_jparser *parser, zx_jtoken_kind kind)
{
    if (parser->at->kind != kind) return false;
    zx_jparser_next(parser);
    return true;
}

bool zx_jparser_skip_word(zx_jparser *parser, const char *word)
{
    if (!zx_jparser_is_word(parser, word)) return false;
    zx_jparser_next(parser);
    return true;
}

static const char *const token_names[] = {
    [ZX_JT_END] = "the end of the template",
    [ZX_JT_DATA] = "text",
    [ZX_JT_VARIABLE_BEGIN] = "'{{'",
    [ZX_JT_VARIABLE_END] = "'}}'",
    [ZX_JT_BLOCK_BEGIN] = "'{%'",
    [ZX_JT_BLOCK_END] = "'%}'",
    [ZX_JT_NAME] = "a name",
    [ZX_JT_STRING] = "a string",
    [ZX_JT_INTEGER] = "an integer",
    [ZX_JT_FLOAT] = "a float",
    [ZX_JT_ADD] = "'+'",
    [ZX_JT_SUB] = "'-'",
    [ZX_JT_MUL] = "'*'",
    [ZX_JT_DIV] = "'/'",
    [ZX_JT_FLOORDIV] = "'//'",
    [ZX_JT_MOD] = "'%'",
    [ZX_JT_POW] = "'**'",
    [ZX_JT_TILDE] = "'~'",
    [ZX_JT_LBRACKET] = "'['",
    [ZX_JT_RBRACKET] = "']'",
    [ZX_JT_LPAREN] = "'('",
    [ZX_JT_RPAREN] = "')'",
    [ZX_JT_LBRACE] = "'{'",
    [ZX_JT_RBRACE] = "'}'",
    [ZX_JT_EQ] = "'=='",
    [ZX_JT_NE] = "'!='",
    [ZX_JT_GT] = "'>'",
    [ZX_JT_GE] = "'>='",
    [ZX_JT_LT] = "'<'",
    [ZX_JT_LE] = "'<='",
    [ZX_JT_ASSIGN] = "'='",
    [ZX_JT_DOT] = "'.'",
    [ZX_JT_COLON] = "':'",
    [ZX_JT_PIPE] = "'|'",
    [ZX_JT_COMMA] = "','",
    [ZX_JT_SEMICOLON] = "';'",
};

zmlx_status zx_jparser_fail(const zx_jparser *parser, const char *message)
{
    const zx_jtoken *const token = parser->at;
    if (token->kind == ZX_JT_NAME) {
        const zx_jstring *const name = token->value.as.string;
        return ZX_JFAIL_AT(parser->run, ZMLX_ERROR_FORMAT, token->line, "%s, found '%.*s'", message,
                           name->length < 60 ? (int)name->length : 60, name->bytes);
    }
    return ZX_JFAIL_AT(parser->run, ZMLX_ERROR_FORMAT, token->line, "%s, found %s", message,
                       token_names[token->kind]);
}

zmlx_status zx_jparser_expect(zx_jparser *parser, zx_jtoken_kind kind)
{
    char message[64];
    if (zx_jparser_skip(parser, kind)) return ZMLX_OK;
    (void)snprintf(message, sizeof message, "expected %s", token_names[kind]);
    return zx_jparser_fail(parser, message);
}

zmlx_status zx_jparser_expect_word(zx_jparser *parser, const char *word)
{
    char message[64];
    if (zx_jparser_skip_word(parser, word)) return ZMLX_OK;
    (void)snprintf(message, sizeof message, "expected '%s'", word);
    return zx_jparser_fail(parser, message);
}

zmlx_status zx_jparser_expect_name(zx_jparser *parser, zx_jvalue *name)
{
    *name = parser->at->value;
    return zx_jparser_expect(parser, ZX_JT_NAME);
}

zmlx_status zx_jparser_enter(zx_jparser *parser)
{
    if (++parser->depth > ZX_J_MAX_NESTING)
        return ZX_JFAIL_AT(parser->run, ZMLX_ERROR_FORMAT, parser->at->line,
                           "nested more than %d levels deep", ZX_J_MAX_NESTING);
    return ZMLX_OK;
}

zmlx_status zx_jnode_make(zx_jparser *parser, zx_jnode_kind kind, int line, zx_jnode **node)
{
    void *memory = NULL;
    ZX_TRY(zx_jalloc(parser->run, 1, sizeof(zx_jnode), &memory));
    *node = memory;
    (*node)->kind = kind;
    (*node)->line = line;
    return ZMLX_OK;
}

void zx_jnodes_add(zx_jnodes *nodes, zx_jnode *node)
{
    if (nodes->first == NULL)
        nodes->first = node;
    else
        *nodes->last = node;
    nodes->last = &node->next;
    nodes->count++;
}

/* --- statements with a body --- */

/* ":"? "%}" body "{% END": the end tag is behind its name then. */
static zmlx_status parse_until(zx_jparser *parser, const char *const *ends, zx_jnode **first)
{
    (void)zx_jparser_skip(parser, ZX_JT_COLON);
    ZX_TRY(zx_jparser_expect(parser, ZX_JT_BLOCK_END));
    return parse_body(parser, ends, first);
}

static zmlx_status parse_to_end(zx_jparser *parser, const char *end, zx_jnode **first)
{
    const char *const ends[] = {end, NULL};
    ZX_TRY(parse_until(parser, ends, first));
    zx_jparser_next(parser);
    return ZMLX_OK;
}

/* The body of what becomes a function of its own: no break leaves it. */
static zmlx_status parse_function_body(zx_jparser *parser, const char *end, zx_jnode **first)
{
    const int loops = parser->loop_depth;
    parser->loop_depth = 0;
    ZX_TRY(parse_to_end(parser, end, first));
    parser->loop_depth = loops;
    return ZMLX_OK;
}

static zmlx_status parse_if(zx_jparser *parser, zx_jnode **node)
{
    static const char *const ends[] = {"elif", "else", "endif", NULL};
    static const zx_jtuple_rules rules = {.without_condition = true};
    zx_jnode **branch = node;
    for (;;) {
        ZX_TRY(zx_jnode_make(parser, ZX_JN_IF, parser->at->line, branch));
        zx_jnode *const made = *branch;
        ZX_TRY(zx_jparse_tuple(parser, &rules, &made->left));
        ZX_TRY(parse_until(parser, ends, &made->body));
        if (zx_jparser_skip_word(parser, "else"))
            return parse_to_end(parser, "endif", &made->otherwise);
        if (!zx_jparser_skip_word(parser, "elif")) break;
        branch = &made->otherwise;
    }
    zx_jparser_next(parser);
    return ZMLX_OK;
}

/* A copy of a target's names, for the condition of a for, which is a function of its own. */
static zmlx_status copy_target(zx_jparser *parser, const zx_jnode *target, zx_jnode **copy)
{
    ZX_TRY(zx_jnode_make(parser, target->kind, target->line, copy));
    zx_jnode *const made = *copy;
    *made = *target;
    made->next = NULL;
    zx_jnodes items = {0};
    for (const zx_jnode *item = target->items; item != NULL; item = item->next) {
        zx_jnode *part = NULL;
        ZX_TRY(copy_target(parser, item, &part));
        zx_jnodes_add(&items, part);
    }
    made->items = items.first;
    return ZMLX_OK;
}

static zmlx_status parse_for(zx_jparser *parser, zx_jnode **node)
{
    static const char *const ends[] = {"endfor", "else", NULL};
    ZX_TRY(zx_jnode_make(parser, ZX_JN_FOR, parser->at->line, node));
    zx_jnode *const loop = *node;
    const int outer_loops = parser->loop_depth;
    parser->for_depth++;
    ZX_TRY(zx_jparse_target(parser, &(zx_jtuple_rules){0}, &loop->left));
    ZX_TRY(zx_jparser_expect_word(parser, "in"));
    ZX_TRY(zx_jparse_tuple(parser, &(zx_jtuple_rules){.without_condition = true}, &loop->right));
    if (zx_jparser_skip_word(parser, "if")) {
        ZX_TRY(zx_jparse_expression(parser, &loop->third));
        ZX_TRY(copy_target(parser, loop->left, &loop->test_target));
    }
    loop->recursive = zx_jparser_skip_word(parser, "recursive");
    parser->loop_depth = 1;
    ZX_TRY(parse_until(parser, ends, &loop->body));
    parser->loop_depth = loop->recursive ? 0 : outer_loops;
    if (zx_jparser_skip_word(parser, "else"))
        ZX_TRY(parse_to_end(parser, "endfor", &loop->otherwise));
    else
        zx_jparser_next(parser);
    parser->loop_depth = outer_loops;
    parser->for_depth--;
    return ZMLX_OK;
}

static zmlx_status parse_set(zx_jparser *parser, zx_jnode **node)
{
    ZX_TRY(zx_jnode_make(parser, ZX_JN_SET, parser->at->line, node));
    zx_jnode *const set = *node;
    ZX_TRY(zx_jparse_target(parser, &(zx_jtuple_rules){.members = true}, &set->left));
    if (zx_jparser_skip(parser, ZX_JT_ASSIGN))
        return zx_jparse_tuple(parser, &(zx_jtuple_rules){0}, &set->right);
    set->kind = ZX_JN_SET_BLOCK;
    ZX_TRY(zx_jparse_filters(parser, NULL, false, &set->right));
    return parse_to_end(parser, "endset", &set->body);
}

/* (a, b=default): NAME nodes with their default in 'left'. */
static zmlx_status parse_signature(zx_jparser *parser, zx_jnode **first)
{
    zx_jnodes parameters = {0};
    bool has_default = false;
    ZX_TRY(zx_jparser_expect(parser, ZX_JT_LPAREN));
    while (!zx_jparser_is(parser, ZX_JT_RPAREN)) {
        zx_jnode *parameter = NULL;
        if (parameters.count > 0) ZX_TRY(zx_jparser_expect(parser, ZX_JT_COMMA));
        ZX_TRY(zx_jparse_name_target(parser, &parameter));
        parameter->is_parameter = true;
        for (const zx_jnode *other = parameters.first; other != NULL; other = other->next) {
            ZX_TRY(zx_jrun_pay(parser->run, 1));
            if (zx_jstring_same(other->value.as.string, parameter->value.as.string))
                return ZX_JFAIL_AT(parser->run, ZMLX_ERROR_FORMAT, parameter->line,
                                   "two parameters have one name");
        }
        if (zx_jparser_skip(parser, ZX_JT_ASSIGN)) {
            ZX_TRY(zx_jparse_expression(parser, &parameter->left));
            has_default = true;
        } else if (has_default) {
            return zx_jparser_fail(parser, "a parameter without default follows one with");
        }
        zx_jnodes_add(&parameters, parameter);
    }
    zx_jparser_next(parser);
    *first = parameters.first;
    return ZMLX_OK;
}

static zmlx_status parse_macro(zx_jparser *parser, zx_jnode **node)
{
    zx_jnode *name = NULL;
    ZX_TRY(zx_jnode_make(parser, ZX_JN_MACRO, parser->at->line, node));
    ZX_TRY(zx_jparse_name_target(parser, &name));
    (*node)->value = name->value;
    ZX_TRY(parse_signature(parser, &(*node)->items));
    return parse_function_body(parser, "endmacro", &(*node)->body);
}

static zmlx_status parse_call_block(zx_jparser *parser, zx_jnode **node)
{
    ZX_TRY(zx_jnode_make(parser, ZX_JN_CALL_BLOCK, parser->at->line, node));
    (*node)->value = zx_jnone();
    if (zx_jparser_is(parser, ZX_JT_LPAREN)) ZX_TRY(parse_signature(parser, &(*node)->items));
    ZX_TRY(zx_jparse_expression(parser, &(*node)->left));
    if ((*node)->left->kind != ZX_JN_CALL)
        return ZX_JFAIL_AT(parser->run, ZMLX_ERROR_FORMAT, (*node)->line, "expected a call");
    return parse_function_body(parser, "endcall", &(*node)->body);
}

static zmlx_status parse_generation(zx_jparser *parser, zx_jnode **node)
{
    ZX_TRY(zx_jnode_make(parser, ZX_JN_GENERATION, parser->at->line, node));
    (*node)->value = zx_jnone();
    return parse_function_body(parser, "endgeneration", &(*node)->body);
}

static zmlx_status parse_filter_block(zx_jparser *parser, zx_jnode **node)
{
    ZX_TRY(zx_jnode_make(parser, ZX_JN_FILTER_BLOCK, parser->at->line, node));
    ZX_TRY(zx_jparse_filters(parser, NULL, true, &(*node)->left));
    return parse_to_end(parser, "endfilter", &(*node)->body);
}

static void mark_parameters(zx_jnode *target)
{
    target->is_parameter = true;
    for (zx_jnode *item = target->items; item != NULL; item = item->next) mark_parameters(item);
}

static zmlx_status parse_with(zx_jparser *parser, zx_jnode **node)
{
    zx_jnodes pairs = {0};
    const int for_depth = parser->for_depth;
    ZX_TRY(zx_jnode_make(parser, ZX_JN_WITH, parser->at->line, node));
    parser->for_depth = 0; /* these targets are parameters: even 'loop' will do */
    while (!zx_jparser_is(parser, ZX_JT_BLOCK_END)) {
        zx_jnode *pair = NULL;
        if (pairs.count > 0) ZX_TRY(zx_jparser_expect(parser, ZX_JT_COMMA));
        ZX_TRY(zx_jnode_make(parser, ZX_JN_PAIR, parser->at->line, &pair));
        ZX_TRY(zx_jparse_target(parser, &(zx_jtuple_rules){0}, &pair->left));
        mark_parameters(pair->left);
        ZX_TRY(zx_jparser_expect(parser, ZX_JT_ASSIGN));
        ZX_TRY(zx_jparse_expression(parser, &pair->right));
        zx_jnodes_add(&pairs, pair);
    }
    parser->for_depth = for_depth;
    (*node)->items = pairs.first;
    return parse_to_end(parser, "endwith", &(*node)->body);
}

static zmlx_status parse_autoescape(zx_jparser *parser, zx_jnode **node)
{
    ZX_TRY(zx_jnode_make(parser, ZX_JN_AUTOESCAPE, parser->at->line, node));
    ZX_TRY(zx_jparse_expression(parser, &(*node)->left));
    return parse_to_end(parser, "endautoescape", &(*node)->body);
}

static zmlx_status parse_block(zx_jparser *parser, zx_jnode **node)
{
    ZX_TRY(zx_jnode_make(parser, ZX_JN_BLOCK, parser->at->line, node));
    ZX_TRY(zx_jparser_expect_name(parser, &(*node)->value));
    if (zx_jparser_is_word(parser, "scoped") || zx_jparser_is_word(parser, "required"))
        return ZX_JFAIL_AT(parser->run, ZMLX_ERROR_UNSUPPORTED, (*node)->line,
                           "blocks that are scoped or required are not supported");
    for (const zx_jblock *other = parser->run->blocks; other != NULL; other = other->next) {
        ZX_TRY(zx_jrun_pay(parser->run, 1));
        if (zx_jstring_same(other->node->value.as.string, (*node)->value.as.string))
            return ZX_JFAIL_AT(parser->run, ZMLX_ERROR_FORMAT, (*node)->line,
                               "a block of this name is defined twice");
    }
    void *memory = NULL;
    ZX_TRY(zx_jalloc(parser->run, 1, sizeof(zx_jblock), &memory));
    zx_jblock *const block = memory;
    block->node = *node;
    *parser->last_block = block;
    parser->last_block = &block->next;
    ZX_TRY(parse_function_body(parser, "endblock", &(*node)->body));
    if (zx_jparser_is(parser, ZX_JT_NAME) &&
        zx_jstring_same(parser->at->value.as.string, (*node)->value.as.string))
        zx_jparser_next(parser);
    return ZMLX_OK;
}

static zmlx_status parse_print(zx_jparser *parser, zx_jnode **node)
{
    zx_jnodes items = {0};
    ZX_TRY(zx_jnode_make(parser, ZX_JN_OUTPUT, parser->at->line, node));
    while (!zx_jparser_is(parser, ZX_JT_BLOCK_END)) {
        zx_jnode *item = NULL;
        if (items.count > 0) ZX_TRY(zx_jparser_expect(parser, ZX_JT_COMMA));
        ZX_TRY(zx_jparse_expression(parser, &item));
        zx_jnodes_add(&items, item);
    }
    (*node)->items = items.first;
    return ZMLX_OK;
}

static zmlx_status parse_leave(zx_jparser *parser, zx_jnode_kind kind, zx_jnode **node)
{
    if (parser->loop_depth == 0)
        return ZX_JFAIL_AT(parser->run, ZMLX_ERROR_FORMAT, parser->at->line,
                           "'%s' stands outside a loop",
                           kind == ZX_JN_BREAK ? "break" : "continue");
    return zx_jnode_make(parser, kind, parser->at->line, node);
}

static zmlx_status parse_break(zx_jparser *parser, zx_jnode **node)
{
    return parse_leave(parser, ZX_JN_BREAK, node);
}

static zmlx_status parse_continue(zx_jparser *parser, zx_jnode **node)
{
    return parse_leave(parser, ZX_JN_CONTINUE, node);
}

/* include, import, from, extends: there is nothing to load from, so that running one is an
 * error; but a template may hold one that does not run. */
static zmlx_status parse_load(zx_jparser *parser, zx_jnode **node)
{
    zx_jnode *template = NULL;
    zx_jnodes names = {0};
    ZX_TRY(zx_jnode_make(parser, ZX_JN_LOAD, parser->at->line, node));
    ZX_TRY(zx_jparse_expression(parser, &template));
    bool may_name = false;
    while (!zx_jparser_is(parser, ZX_JT_BLOCK_END)) {
        zx_jnode *name = NULL;
        if (zx_jparser_skip_word(parser, "as") || zx_jparser_skip_word(parser, "import") ||
            (may_name && zx_jparser_skip(parser, ZX_JT_COMMA))) {
            ZX_TRY(zx_jparse_name_target(parser, &name));
            name->is_name_stored = true;
            zx_jnodes_add(&names, name);
            may_name = true;
            continue;
        }
        static const char *const words[] = {"ignore", "missing", "with", "without", "context"};
        size_t i = 0;
        while (i < sizeof words / sizeof *words && !zx_jparser_skip_word(parser, words[i])) i++;
        if (i == sizeof words / sizeof *words) return zx_jparser_fail(parser, "expected '%}'");
    }
    (*node)->left = template;
    (*node)->items = names.first;
    return ZMLX_OK;
}

static const tag tags[] = {
    {"if", parse_if},
    {"for", parse_for},
    {"set", parse_set},
    {"macro", parse_macro},
    {"call", parse_call_block},
    {"filter", parse_filter_block},
    {"with", parse_with},
    {"generation", parse_generation},
    {"break", parse_break},
    {"continue", parse_continue},
    {"print", parse_print},
    {"block", parse_block},
    {"autoescape", parse_autoescape},
    {"include", parse_load},
    {"import", parse_load},
    {"from", parse_load},
    {"extends", parse_load},
};

/* Says which tags may stand here. */
static zmlx_status fail_tag(const zx_jparser *parser, bool at_end)
{
    char expected[96] = "", open[80] = "", found[80] = "unexpected end of the template";
    for (size_t i = 0; parser->ends != NULL && parser->ends[i] != NULL; i++) {
        const size_t used = strlen(expected);
        (void)snprintf(expected + used, sizeof expected - used, "%s'%s'",
                       i == 0 ? "; expected " : " or ", parser->ends[i]);
    }
    if (parser->open_tag != NULL)
        (void)snprintf(open, sizeof open, " to close '%s'", parser->open_tag);
    if (!at_end)
        (void)snprintf(found, sizeof found, "unknown tag '%.*s'",
                       parser->at->value.as.string->length < 40
                           ? (int)parser->at->value.as.string->length
                           : 40,
                       parser->at->value.as.string->bytes);
    const bool misplaced = at_end || zx_jparser_is_word(parser, "else") ||
                           zx_jparser_is_word(parser, "elif") ||
                           (parser->at->value.as.string->length > 3 &&
                            memcmp(parser->at->value.as.string->bytes, "end", 3) == 0);
    return ZX_JFAIL_AT(parser->run, misplaced ? ZMLX_ERROR_FORMAT : ZMLX_ERROR_UNSUPPORTED,
                       parser->at->line, "%s%s%s", found, expected, open);
}

static zmlx_status parse_tag(zx_jparser *parser, zx_jnode **node)
{
    if (!zx_jparser_is(parser, ZX_JT_NAME)) return zx_jparser_fail(parser, "expected a tag name");
    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++) {
        if (!zx_jparser_skip_word(parser, tags[i].name)) continue;
        const char *const outer = parser->open_tag;
        parser->open_tag = tags[i].name;
        ZX_TRY(zx_jparser_enter(parser));
        ZX_TRY(tags[i].parse(parser, node));
        parser->depth--;
        parser->open_tag = outer;
        return zx_jparser_expect(parser, ZX_JT_BLOCK_END);
    }
    return fail_tag(parser, false);
}

static bool is_end_tag(const zx_jparser *parser)
{
    for (size_t i = 0; parser->ends != NULL && parser->ends[i] != NULL; i++)
        if (zx_jparser_is_word(parser, parser->ends[i])) return true;
    return false;
}

/* Data and {{ }} that follow one another are one output. */
static zmlx_status add_output(zx_jparser *parser, zx_jnodes *body, zx_jnodes *outputs)
{
    zx_jnode *item = NULL;
    if (zx_jparser_is(parser, ZX_JT_DATA)) {
        ZX_TRY(zx_jnode_make(parser, ZX_JN_CONST, parser->at->line, &item));
        item->value = parser->at->value;
        item->exports = true; /* data: never escaped */
        zx_jparser_next(parser);
    } else {
        zx_jparser_next(parser);
        ZX_TRY(zx_jparse_tuple(parser, &(zx_jtuple_rules){0}, &item));
        ZX_TRY(zx_jparser_expect(parser, ZX_JT_VARIABLE_END));
    }
    if (outputs->count == 0) {
        zx_jnode *output = NULL;
        ZX_TRY(zx_jnode_make(parser, ZX_JN_OUTPUT, item->line, &output));
        zx_jnodes_add(body, output);
        output->items = item;
    }
    zx_jnodes_add(outputs, item);
    return ZMLX_OK;
}

static zmlx_status parse_body(zx_jparser *parser, const char *const *ends, zx_jnode **first)
{
    const char *const *const outer_ends = parser->ends;
    zx_jnodes body = {0}, outputs = {0};
    parser->ends = ends;
    while (!zx_jparser_is(parser, ZX_JT_END)) {
        if (!zx_jparser_skip(parser, ZX_JT_BLOCK_BEGIN)) {
            ZX_TRY(add_output(parser, &body, &outputs));
            continue;
        }
        outputs = (zx_jnodes){0};
        if (is_end_tag(parser)) break;
        zx_jnode *node = NULL;
        ZX_TRY(parse_tag(parser, &node));
        zx_jnodes_add(&body, node);
    }
    if (ends != NULL && zx_jparser_is(parser, ZX_JT_END)) return fail_tag(parser, true);
    parser->ends = outer_ends;
    *first = body.first;
    return ZMLX_OK;
}

zmlx_status zx_jparse(zx_jrun *run, const zx_jtokens *tokens, zx_jnode **template)
{
    assert(tokens->count > 0);
    zx_jparser parser = {.run = run, .at = tokens->items, .last_block = &run->blocks};
    ZX_TRY(zx_jnode_make(&parser, ZX_JN_TEMPLATE, 1, template));
    ZX_TRY(parse_body(&parser, NULL, &(*template)->body));
    (*template)->has_blocks = run->blocks != NULL;
    return ZMLX_OK;
}

zmlx_status zx_jparse_broken(zx_jrun *run, const zx_jtokens *tokens, zmlx_status status)
{
    char message[512];
    zx_jnode *body = NULL;
    if (tokens->count == 0) return status;
    zx_jparser parser = {.run = run, .at = tokens->items, .last_block = &run->blocks};
    (void)snprintf(message, sizeof message, "%s", zmlx_error_message());
    const zmlx_status before = parse_body(&parser, NULL, &body);
    if (before != ZMLX_OK && parser.at->kind != ZX_JT_END) return before;
    zx_record_failure("%s", message);
    return status;
}
