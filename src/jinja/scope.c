/* scope.c - which variable every name means, decided before anything runs, as jinja2's compiler
 * does it.
 *
 * A scope first collects the names that its own statements read and store (nested scopes are not
 * looked into), then its names are bound to slots, then nested scopes do the same.  A name
 * that is stored has a slot of its own in its scope, loaded on entry with the outer variable
 * or, where it is stored under an 'if' only, with the context's.  This is visible: a loop that
 * reads what the template sets later finds it unset, and what a loop sets is gone after it. */
#include <assert.h>
#include <string.h>

#include "jinja/run.h"
#include "jinja/syntax.h"

typedef struct function { /* becomes a frame of slots when it runs */
    uint32_t depth, size;
} function;

typedef struct scope scope;

typedef struct symbol { /* a name with a slot in some scope */
    scope *in;
    struct symbol *outer; /* the same name further out */
    struct symbol *next;  /* in the scope */
    uint32_t index;       /* slot */
    size_t name;          /* in resolver.symbols */
    bool stored;
    zx_jload load;
} symbol;

struct scope {
    scope *parent;
    function *in;
    symbol *first, **last;
    size_t count;
    int conditions; /* 'if's around what is being collected */
    bool is_root;
};

typedef struct resolver {
    zx_jrun *run;
    zx_jdict *names;  /* name: index of its symbol */
    symbol **symbols; /* the innermost of each name, or NULL */
    size_t symbol_count, symbol_capacity;
    scope *current;
    bool soft; /* an unknown filter or test fails only when it runs: under an 'if' */
} resolver;

static zmlx_status collect_list(resolver *all, const zx_jnode *first);
static zmlx_status collect_expression(resolver *all, const zx_jnode *node);
static zmlx_status bind_list(resolver *all, zx_jnode *first);
static zmlx_status bind_expression(resolver *all, zx_jnode *node);

/* --- names --- */

static zmlx_status find_name(resolver *all, zx_jvalue name, size_t *index)
{
    zx_jvalue known;
    ZX_TRY(zx_jdict_get(all->run, all->names, name, &known));
    if (known.kind == ZX_J_INT) {
        *index = (size_t)known.as.integer;
        return ZMLX_OK;
    }
    if (all->symbol_count == all->symbol_capacity) {
        const size_t capacity = all->symbol_capacity > 0 ? 2 * all->symbol_capacity : 64;
        void *memory = NULL;
        ZX_TRY(zx_jalloc(all->run, capacity, sizeof(symbol *), &memory));
        if (all->symbol_count > 0)
            memcpy(memory, all->symbols, all->symbol_count * sizeof(symbol *));
        all->symbols = memory;
        all->symbol_capacity = capacity;
    }
    *index = all->symbol_count++;
    return zx_jdict_set(all->run, all->names, name, zx_jsized(*index));
}

/* The innermost symbol of a name, or NULL; *local where it belongs to the present scope. */
static zmlx_status find_symbol(resolver *all, zx_jvalue name, symbol **found, bool *local)
{
    size_t index = 0;
    ZX_TRY(find_name(all, name, &index));
    *found = all->symbols[index];
    *local = *found != NULL && (*found)->in == all->current;
    return ZMLX_OK;
}

static zmlx_status define(resolver *all, zx_jvalue name, symbol **defined)
{
    scope *const current = all->current;
    void *memory = NULL;
    size_t index = 0;
    ZX_TRY(find_name(all, name, &index));
    ZX_TRY(zx_jalloc(all->run, 1, sizeof(symbol), &memory));
    symbol *const made = memory;
    *made = (symbol){.in = current,
                     .outer = all->symbols[index],
                     .index = current->in->size++,
                     .name = index,
                     .load = {.name = name}};
    made->load.index = made->index;
    *current->last = made;
    current->last = &made->next;
    current->count++;
    all->symbols[index] = made;
    *defined = made;
    return ZMLX_OK;
}

static zx_jslot slot_of(const resolver *all, const symbol *found)
{
    return (zx_jslot){.hops = all->current->in->depth - found->in->in->depth,
                      .index = found->index};
}

static zmlx_status load(resolver *all, zx_jvalue name)
{
    symbol *found = NULL;
    bool local = false;
    ZX_TRY(find_symbol(all, name, &found, &local));
    if (found != NULL) return ZMLX_OK;
    ZX_TRY(define(all, name, &found));
    found->load.kind = ZX_JL_RESOLVE;
    return ZMLX_OK;
}

static zmlx_status store(resolver *all, zx_jvalue name)
{
    symbol *found = NULL;
    bool local = false;
    ZX_TRY(find_symbol(all, name, &found, &local));
    if (local && found->stored) return ZMLX_OK;
    const bool known = local, conditional = all->current->conditions > 0;
    if (!known) ZX_TRY(define(all, name, &found));
    found->stored = true;
    if (known && !conditional) return ZMLX_OK;
    found->load.kind = conditional ? ZX_JL_RESOLVE : ZX_JL_UNSET;
    if (found->outer == NULL) return ZMLX_OK;
    found->load.kind = ZX_JL_ALIAS;
    found->load.outer = slot_of(all, found->outer);
    return ZMLX_OK;
}

static zmlx_status declare(resolver *all, zx_jvalue name, zx_jslot *slot)
{
    symbol *found = NULL;
    bool local = false;
    ZX_TRY(find_symbol(all, name, &found, &local));
    if (!local) ZX_TRY(define(all, name, &found));
    found->stored = true;
    found->load.kind = ZX_JL_PARAMETER;
    if (slot != NULL) *slot = slot_of(all, found);
    return ZMLX_OK;
}

static zmlx_status word(resolver *all, const char *text, zx_jvalue *name)
{
    return zx_jstring_borrow(all->run, text, strlen(text), name);
}

/* --- scopes --- */

/* A function of its own below the present one, or the outermost. */
static zmlx_status open_function(resolver *all, function **opened)
{
    void *memory = NULL;
    ZX_TRY(zx_jalloc(all->run, 1, sizeof(function), &memory));
    *opened = memory;
    if (all->current != NULL) (*opened)->depth = all->current->in->depth + 1;
    return ZMLX_OK;
}

static zmlx_status open_scope(resolver *all, function *in)
{
    void *memory = NULL;
    ZX_TRY(zx_jalloc(all->run, 1, sizeof(scope), &memory));
    scope *const inner = memory;
    *inner = (scope){.parent = all->current, .in = in};
    inner->last = &inner->first;
    all->current = inner;
    return ZMLX_OK;
}

/* Leaves the scope and keeps what has to be done when it is entered. */
static zmlx_status close_scope(resolver *all, bool is_function, zx_jscope **result)
{
    scope *const inner = all->current;
    void *memory = NULL, *loads = NULL;
    ZX_TRY(zx_jalloc(all->run, 1, sizeof(zx_jscope), &memory));
    ZX_TRY(zx_jalloc(all->run, inner->count, sizeof(zx_jload), &loads));
    *result = memory;
    (*result)->loads = loads;
    for (symbol *own = inner->first; own != NULL; own = own->next) {
        (*result)->loads[(*result)->load_count++] = own->load;
        all->symbols[own->name] = own->outer;
    }
    if (is_function) (*result)->frame_size = inner->in->size;
    all->current = inner->parent;
    return ZMLX_OK;
}

/* --- collecting: what the scope's own statements read and store --- */

static zmlx_status collect_expressions(resolver *all, const zx_jnode *first)
{
    for (; first != NULL; first = first->next) ZX_TRY(collect_expression(all, first));
    return ZMLX_OK;
}

static zmlx_status collect_expression(resolver *all, const zx_jnode *node)
{
    if (node == NULL) return ZMLX_OK;
    ZX_TRY(zx_jrun_enter(all->run));
    if (node->kind == ZX_JN_NAME && node->is_parameter)
        ZX_TRY(declare(all, node->value, NULL));
    else if (node->kind == ZX_JN_NAME && node->is_name_stored)
        ZX_TRY(store(all, node->value));
    else if (node->kind == ZX_JN_NAME || node->kind == ZX_JN_MEMBER_TARGET)
        ZX_TRY(load(all, node->value));
    if (node->kind != ZX_JN_NAME) {
        ZX_TRY(collect_expression(all, node->left));
        ZX_TRY(collect_expression(all, node->right));
        ZX_TRY(collect_expression(all, node->third));
        ZX_TRY(collect_expressions(all, node->items));
    }
    all->run->depth--;
    return ZMLX_OK;
}

static zmlx_status collect_if(resolver *all, const zx_jnode *node)
{
    all->current->conditions++;
    for (; node != NULL && node->kind == ZX_JN_IF; node = node->otherwise) {
        ZX_TRY(collect_expression(all, node->left));
        ZX_TRY(collect_list(all, node->body));
        if (node->otherwise == NULL || node->otherwise->kind != ZX_JN_IF ||
            node->otherwise->next != NULL)
            break;
    }
    if (node != NULL) ZX_TRY(collect_list(all, node->otherwise));
    all->current->conditions--;
    return ZMLX_OK;
}

static zmlx_status collect_with(resolver *all, const zx_jnode *node)
{
    for (const zx_jnode *pair = node->items; pair != NULL; pair = pair->next)
        ZX_TRY(collect_expression(all, pair->right));
    return ZMLX_OK;
}

static zmlx_status collect_statement(resolver *all, const zx_jnode *node)
{
    if (node->kind == ZX_JN_OUTPUT) return collect_expressions(all, node->items);
    if (node->kind == ZX_JN_IF) return collect_if(all, node);
    if (node->kind == ZX_JN_FOR) return collect_expression(all, node->right);
    if (node->kind == ZX_JN_MACRO) return store(all, node->value);
    if (node->kind == ZX_JN_WITH) return collect_with(all, node);
    if (node->kind == ZX_JN_SET) ZX_TRY(collect_expression(all, node->right));
    if (node->kind == ZX_JN_SET || node->kind == ZX_JN_SET_BLOCK ||
        node->kind == ZX_JN_CALL_BLOCK || node->kind == ZX_JN_FILTER_BLOCK)
        return collect_expression(all, node->left);
    if (node->kind == ZX_JN_LOAD) {
        ZX_TRY(collect_expression(all, node->left));
        return collect_expressions(all, node->items);
    }
    return ZMLX_OK;
}

static zmlx_status collect_list(resolver *all, const zx_jnode *first)
{
    ZX_TRY(zx_jrun_enter(all->run));
    for (; first != NULL; first = first->next) ZX_TRY(collect_statement(all, first));
    all->run->depth--;
    return ZMLX_OK;
}

/* --- binding: names to slots, and the nested scopes --- */

static zmlx_status bind_expressions(resolver *all, zx_jnode *first)
{
    for (; first != NULL; first = first->next) ZX_TRY(bind_expression(all, first));
    return ZMLX_OK;
}

static zmlx_status check_row(const resolver *all, const zx_jnode *node)
{
    const bool is_filter = node->kind == ZX_JN_FILTER;
    if ((!is_filter && node->kind != ZX_JN_TEST) || node->row != NULL || all->soft) return ZMLX_OK;
    const zx_jstring *const name = node->value.as.string;
    return ZX_JFAIL_AT(all->run, ZMLX_ERROR_UNSUPPORTED, node->line, "no %s named '%.*s'",
                       is_filter ? "filter" : "test", name->length < 60 ? (int)name->length : 60,
                       name->bytes);
}

static zmlx_status bind_expression(resolver *all, zx_jnode *node)
{
    if (node == NULL) return ZMLX_OK;
    ZX_TRY(zx_jrun_enter(all->run));
    if (node->kind == ZX_JN_NAME || node->kind == ZX_JN_MEMBER_TARGET) {
        symbol *found = NULL;
        bool local = false;
        ZX_TRY(find_symbol(all, node->value, &found, &local));
        assert(found != NULL);
        node->slot = slot_of(all, found);
    }
    const bool soft = all->soft;
    if (node->kind == ZX_JN_CONDITION) all->soft = true;
    ZX_TRY(check_row(all, node));
    ZX_TRY(bind_expression(all, node->left));
    ZX_TRY(bind_expression(all, node->right));
    ZX_TRY(bind_expression(all, node->third));
    ZX_TRY(bind_expressions(all, node->items));
    all->soft = soft;
    all->run->depth--;
    return ZMLX_OK;
}

/* Which of caller, kwargs and varargs a macro's body reads without having set it. */
typedef struct specials {
    bool wanted[3], read[3];
} specials;

static const char *const special_names[] = {"caller", "kwargs", "varargs"};

static zmlx_status find_specials(resolver *all, const zx_jnode *node, specials *found)
{
    for (; node != NULL; node = node->next) {
        ZX_TRY(zx_jrun_enter(all->run));
        for (size_t i = 0; i < 3 && node->kind == ZX_JN_NAME; i++) {
            if (!zx_jstring_is(node->value.as.string, special_names[i])) continue;
            if (!node->is_parameter && !node->is_name_stored && found->wanted[i])
                found->read[i] = true;
            else if (node->is_parameter || node->is_name_stored)
                found->wanted[i] = false;
        }
        if (node->kind != ZX_JN_BLOCK) {
            /* in the order of jinja2's fields: a set's target is visited before its value */
            ZX_TRY(find_specials(all, node->left, found));
            ZX_TRY(find_specials(all, node->right, found));
            ZX_TRY(find_specials(all, node->third, found));
            ZX_TRY(find_specials(all, node->items, found));
            ZX_TRY(find_specials(all, node->body, found));
            ZX_TRY(find_specials(all, node->otherwise, found));
        }
        all->run->depth--;
    }
    return ZMLX_OK;
}

static zmlx_status declare_specials(resolver *all, zx_jnode *macro)
{
    specials found = {.wanted = {true, true, true}};
    bool *const takes[3] = {&macro->takes_caller, &macro->takes_kwargs, &macro->takes_varargs};
    ZX_TRY(find_specials(all, macro->body, &found));
    for (size_t i = 0; i < 3; i++) {
        const zx_jnode *explicit = macro->items;
        while (explicit != NULL && !zx_jstring_is(explicit->value.as.string, special_names[i]))
            explicit = explicit->next;
        if (i == 0 && found.read[0] && explicit != NULL && explicit->left == NULL)
            return ZX_JFAIL_AT(all->run, ZMLX_ERROR_FORMAT, macro->line,
                               "the parameter 'caller' needs a default");
        *takes[i] = found.read[i] && (i == 0 || explicit == NULL);
        if (!found.read[i] || explicit != NULL) continue;
        zx_jvalue name;
        ZX_TRY(word(all, special_names[i], &name));
        ZX_TRY(declare(all, name, &macro->special[i]));
    }
    return ZMLX_OK;
}

/* macro, call, generation: a function with parameters. */
static zmlx_status bind_macro(resolver *all, zx_jnode *node)
{
    function *own = NULL;
    const bool soft = all->soft;
    ZX_TRY(open_function(all, &own));
    ZX_TRY(open_scope(all, own));
    all->soft = false;
    for (zx_jnode *item = node->items; item != NULL; item = item->next)
        ZX_TRY(declare(all, item->value, NULL));
    for (zx_jnode *item = node->items; item != NULL; item = item->next)
        ZX_TRY(collect_expression(all, item->left));
    ZX_TRY(collect_list(all, node->body));
    ZX_TRY(declare_specials(all, node));
    ZX_TRY(bind_expressions(all, node->items));
    ZX_TRY(bind_list(all, node->body));
    all->soft = soft;
    return close_scope(all, true, &node->scope);
}

/* A scope in the present function around statements and perhaps an expression of theirs. */
static zmlx_status bind_inner(resolver *all, zx_jnode *body, zx_jnode *expression,
                              zx_jscope **result)
{
    const bool soft = all->soft;
    ZX_TRY(open_scope(all, all->current->in));
    all->soft = false;
    ZX_TRY(collect_list(all, body));
    ZX_TRY(collect_expression(all, expression));
    ZX_TRY(bind_list(all, body));
    ZX_TRY(bind_expression(all, expression));
    all->soft = soft;
    return close_scope(all, false, result);
}

static zmlx_status bind_for_test(resolver *all, zx_jnode *node)
{
    function *own = NULL;
    if (node->third == NULL) return ZMLX_OK;
    const bool soft = all->soft;
    ZX_TRY(open_function(all, &own));
    ZX_TRY(open_scope(all, own));
    all->soft = false;
    ZX_TRY(collect_expression(all, node->test_target));
    ZX_TRY(collect_expression(all, node->third));
    ZX_TRY(bind_expression(all, node->test_target));
    ZX_TRY(bind_expression(all, node->third));
    all->soft = soft;
    return close_scope(all, true, &node->test_scope);
}

static void make_parameters(zx_jnode *target)
{
    if (target->kind == ZX_JN_NAME) target->is_parameter = true;
    for (zx_jnode *item = target->items; item != NULL; item = item->next) make_parameters(item);
}

/* The body (and the else part) of a for; a recursive one is a function. */
static zmlx_status bind_for_body(resolver *all, zx_jnode *node, function *in)
{
    zx_jvalue loop;
    const bool soft = all->soft;
    ZX_TRY(open_scope(all, in));
    all->soft = false;
    ZX_TRY(word(all, "loop", &loop));
    ZX_TRY(declare(all, loop, &node->special[0]));
    ZX_TRY(collect_expression(all, node->left));
    ZX_TRY(collect_list(all, node->body));
    ZX_TRY(bind_expression(all, node->left));
    ZX_TRY(bind_list(all, node->body));
    all->soft = soft;
    ZX_TRY(close_scope(all, false, &node->scope));
    scope *const outer = all->current;
    ZX_TRY(open_scope(all, in)); /* empty: the else part's slots are in the same function */
    ZX_TRY(bind_inner(all, node->otherwise, NULL, &node->else_scope));
    all->current = outer;
    return ZMLX_OK;
}

static zmlx_status bind_for(resolver *all, zx_jnode *node)
{
    make_parameters(node->left);
    if (node->test_target != NULL) make_parameters(node->test_target);
    ZX_TRY(bind_expression(all, node->right));
    ZX_TRY(bind_for_test(all, node));
    if (!node->recursive) return bind_for_body(all, node, all->current->in);
    function *own = NULL;
    ZX_TRY(open_function(all, &own));
    ZX_TRY(bind_for_body(all, node, own));
    node->scope->frame_size = own->size;
    return ZMLX_OK;
}

static zmlx_status bind_with(resolver *all, zx_jnode *node)
{
    const bool soft = all->soft;
    for (zx_jnode *pair = node->items; pair != NULL; pair = pair->next)
        ZX_TRY(bind_expression(all, pair->right));
    ZX_TRY(open_scope(all, all->current->in));
    all->soft = false;
    for (zx_jnode *pair = node->items; pair != NULL; pair = pair->next)
        ZX_TRY(collect_expression(all, pair->left));
    ZX_TRY(collect_list(all, node->body));
    for (zx_jnode *pair = node->items; pair != NULL; pair = pair->next)
        ZX_TRY(bind_expression(all, pair->left));
    ZX_TRY(bind_list(all, node->body));
    all->soft = soft;
    return close_scope(all, false, &node->scope);
}

static zmlx_status bind_if(resolver *all, zx_jnode *node)
{
    const bool soft = all->soft;
    all->soft = true;
    for (;;) {
        ZX_TRY(bind_expression(all, node->left));
        ZX_TRY(bind_list(all, node->body));
        zx_jnode *const rest = node->otherwise;
        if (rest == NULL || rest->kind != ZX_JN_IF || rest->next != NULL) break;
        node = rest;
    }
    ZX_TRY(bind_list(all, node->otherwise));
    all->soft = soft;
    return ZMLX_OK;
}

static zmlx_status bind_set(resolver *all, zx_jnode *node)
{
    node->exports = all->current->is_root;
    if (node->kind == ZX_JN_SET_BLOCK)
        ZX_TRY(bind_inner(all, node->body, node->right, &node->scope));
    else
        ZX_TRY(bind_expression(all, node->right));
    return bind_expression(all, node->left);
}

static zmlx_status bind_definition(resolver *all, zx_jnode *node)
{
    symbol *found = NULL;
    bool local = false;
    ZX_TRY(find_symbol(all, node->value, &found, &local));
    assert(found != NULL);
    node->slot = slot_of(all, found);
    node->exports = all->current->is_root;
    return bind_macro(all, node);
}

static zmlx_status bind_call_block(resolver *all, zx_jnode *node)
{
    ZX_TRY(bind_expression(all, node->left));
    return bind_macro(all, node);
}

static zmlx_status bind_wrapper(resolver *all, zx_jnode *node)
{
    return bind_inner(all, node->body, node->left, &node->scope);
}

static zmlx_status bind_plain(resolver *all, zx_jnode *node)
{
    ZX_TRY(bind_expression(all, node->left));
    return bind_expressions(all, node->items);
}

static zmlx_status bind_nothing(resolver *all, zx_jnode *node)
{
    (void)all;
    (void)node;
    return ZMLX_OK;
}

typedef zmlx_status (*bind_fn)(resolver *all, zx_jnode *node);

static const bind_fn binders[ZX_JN_KINDS] = {
    [ZX_JN_OUTPUT] = bind_plain,
    [ZX_JN_IF] = bind_if,
    [ZX_JN_FOR] = bind_for,
    [ZX_JN_SET] = bind_set,
    [ZX_JN_SET_BLOCK] = bind_set,
    [ZX_JN_MACRO] = bind_definition,
    [ZX_JN_CALL_BLOCK] = bind_call_block,
    [ZX_JN_FILTER_BLOCK] = bind_wrapper,
    [ZX_JN_WITH] = bind_with,
    [ZX_JN_AUTOESCAPE] = bind_wrapper,
    [ZX_JN_BLOCK] = bind_nothing,
    [ZX_JN_GENERATION] = bind_macro,
    [ZX_JN_LOAD] = bind_plain,
    [ZX_JN_BREAK] = bind_nothing,
    [ZX_JN_CONTINUE] = bind_nothing,
};

static zmlx_status bind_list(resolver *all, zx_jnode *first)
{
    ZX_TRY(zx_jrun_enter(all->run));
    for (; first != NULL; first = first->next) ZX_TRY(binders[first->kind](all, first));
    all->run->depth--;
    return ZMLX_OK;
}

/* The template itself, and each named block: they share nothing. */
static zmlx_status bind_top(resolver *all, zx_jnode *body, bool is_root, zx_jscope **result)
{
    function *own = NULL;
    all->current = NULL;
    ZX_TRY(open_function(all, &own));
    ZX_TRY(open_scope(all, own));
    all->current->is_root = is_root;
    ZX_TRY(collect_list(all, body));
    ZX_TRY(bind_list(all, body));
    return close_scope(all, true, result);
}

zmlx_status zx_jscope_resolve(zx_jrun *run, zx_jnode *template)
{
    zx_jvalue names;
    ZX_TRY(zx_jdict_make(run, ZX_J_DICT, &names));
    resolver all = {.run = run, .names = names.as.dict};
    ZX_TRY(bind_top(&all, template->body, true, &template->scope));
    for (zx_jblock *block = run->blocks; block != NULL; block = block->next) {
        zx_jscope *scope_of_block = NULL;
        ZX_TRY(bind_top(&all, block->node->body, false, &scope_of_block));
        block->scope = scope_of_block;
    }
    return ZMLX_OK;
}
