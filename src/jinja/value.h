/* value.h - the values of a template, and the memory they live in.
 *
 * A value is 16 bytes, passed by value; what it points to lives in the arena of one rendering and
 * is never freed alone.  Lists, tuples, dicts and strings never change once a template can
 * see them (the sandbox forbids it), so they are shared freely; only namespaces, iterators,
 * loops, cyclers and joiners change.  Text is UTF-8; lengths that a template sees count code
 * points. */
#ifndef ZX_JINJA_VALUE_H
#define ZX_JINJA_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "zmlx/status.h"

typedef struct zx_jrun zx_jrun; /* one rendering: run.h */

typedef enum zx_jkind {
    ZX_J_MISSING, /* no value: an unset variable, an absent argument, the end of an iteration */
    ZX_J_UNDEFINED,
    ZX_J_NONE,
    ZX_J_BOOL,
    ZX_J_INT,
    ZX_J_FLOAT,
    ZX_J_STRING,
    ZX_J_LIST,
    ZX_J_TUPLE,
    ZX_J_DICT,
    ZX_J_VIEW, /* dict.keys(), dict.values(), dict.items() */
    ZX_J_RANGE,
    ZX_J_ITERATOR, /* consumed once, as a generator */
    ZX_J_NAMESPACE,
    ZX_J_MACRO,
    ZX_J_BLOCK,    /* self.name */
    ZX_J_SELF,     /* self */
    ZX_J_METHOD,   /* a method with what it belongs to */
    ZX_J_FUNCTION, /* a global function */
    ZX_J_LOOP,
    ZX_J_CYCLER,
    ZX_J_JOINER,
    ZX_J_KINDS,
} zx_jkind;

typedef struct zx_jstring zx_jstring;
typedef struct zx_jlist zx_jlist;
typedef struct zx_jdict zx_jdict;
typedef struct zx_jview zx_jview;
typedef struct zx_jrange zx_jrange;
typedef struct zx_jiter zx_jiter;
typedef struct zx_jmacro zx_jmacro;
typedef struct zx_jloop zx_jloop;
typedef struct zx_jmethod zx_jmethod;
typedef struct zx_jcycler zx_jcycler;
typedef struct zx_jundefined zx_jundefined;
struct zx_jbuiltin;
struct zx_jnode;

typedef struct zx_jvalue {
    zx_jkind kind;
    union {
        bool boolean;
        int64_t integer;
        double number;
        zx_jstring *string;
        zx_jlist *list; /* LIST and TUPLE */
        zx_jdict *dict; /* DICT and NAMESPACE */
        zx_jview *view;
        zx_jrange *range;
        zx_jiter *iter;
        zx_jmacro *macro;
        zx_jloop *loop;
        zx_jmethod *method;
        zx_jcycler *cycler; /* CYCLER and JOINER */
        zx_jundefined *undefined;
        const struct zx_jbuiltin *function;
        const struct zx_jnode *block;
    } as;
} zx_jvalue;

struct zx_jstring {
    const char *bytes; /* not terminated */
    size_t length;
    size_t points; /* 0 until counted: zx_jstring_points */
    bool markup;   /* markupsafe's Markup: text that is escaped already */
};

struct zx_jlist {
    zx_jvalue *items;
    size_t count, capacity;
    bool is_group; /* what groupby yields: a pair with the attributes grouper and list */
};

typedef struct zx_jpair {
    zx_jvalue key, value;
    uint64_t hash;
} zx_jpair;

struct zx_jdict { /* keeps the order of insertion */
    zx_jpair *pairs;
    size_t count, capacity;
    uint32_t *slots; /* pair + 1, open addressing; NULL while there are few */
    size_t slot_count;
};

typedef enum zx_jview_kind { ZX_J_KEYS, ZX_J_VALUES, ZX_J_ITEMS } zx_jview_kind;

struct zx_jview {
    zx_jdict *dict;
    zx_jview_kind kind;
};

struct zx_jrange {
    int64_t start, stop, step, count;
};

struct zx_jundefined {
    const char *hint; /* the whole message, or NULL: made of the next two */
    zx_jvalue object; /* whose member is missing; MISSING for a variable */
    zx_jvalue name;
    bool is_unsafe; /* the sandbox hides it */
};

struct zx_jmethod {
    zx_jvalue self;
    const struct zx_jbuiltin *row;
};

struct zx_jcycler {
    zx_jlist *items;     /* a cycler's */
    zx_jvalue separator; /* a joiner's */
    size_t at;           /* a joiner: 1 once called */
};

struct zx_jiter {
    /* Puts the next item, or MISSING at the end, into *item. */
    zmlx_status (*next)(zx_jrun *run, zx_jiter *iter, zx_jvalue *item);
    const char *type; /* as Python names it */
    zx_jvalue source;
    size_t at;
    zx_jiter *inner;
    void *state;
};

/* --- memory --- */

/* Zeroed memory of this rendering; 'count' * 'size' is checked. */
ZMLX_MUST_CHECK zmlx_status zx_jalloc(zx_jrun *run, size_t count, size_t size, void **memory);

/* Text that grows; what a finished string keeps is not copied. */
typedef struct zx_jbuilder {
    char *bytes;
    size_t length, capacity;
} zx_jbuilder;

ZMLX_MUST_CHECK zmlx_status zx_jbuilder_add(zx_jrun *run, zx_jbuilder *builder, const char *bytes,
                                            size_t count);
ZMLX_MUST_CHECK zmlx_status zx_jbuilder_text(zx_jrun *run, zx_jbuilder *builder, const char *text);
ZMLX_MUST_CHECK zmlx_status zx_jbuilder_string(zx_jrun *run, zx_jbuilder *builder,
                                               const zx_jstring *string);
ZMLX_MUST_CHECK zmlx_status zx_jbuilder_point(zx_jrun *run, zx_jbuilder *builder, uint32_t point);
ZMLX_MUST_CHECK zmlx_status zx_jbuilder_repeat(zx_jrun *run, zx_jbuilder *builder,
                                               const zx_jstring *piece, int64_t times);
ZMLX_MUST_CHECK zmlx_status zx_jbuilder_format(zx_jrun *run, zx_jbuilder *builder,
                                               const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Makes a string of what was added; the builder is empty again. */
ZMLX_MUST_CHECK zmlx_status zx_jbuilder_finish(zx_jrun *run, zx_jbuilder *builder,
                                               zx_jvalue *string);

/* --- making values --- */

static inline zx_jvalue zx_jnone(void)
{
    return (zx_jvalue){.kind = ZX_J_NONE};
}

static inline zx_jvalue zx_jmissing(void)
{
    return (zx_jvalue){.kind = ZX_J_MISSING};
}

static inline zx_jvalue zx_jbool(bool boolean)
{
    return (zx_jvalue){.kind = ZX_J_BOOL, .as.boolean = boolean};
}

static inline zx_jvalue zx_jint(int64_t integer)
{
    return (zx_jvalue){.kind = ZX_J_INT, .as.integer = integer};
}

static inline zx_jvalue zx_jfloat(double number)
{
    return (zx_jvalue){.kind = ZX_J_FLOAT, .as.number = number};
}

static inline zx_jvalue zx_jsized(size_t size)
{
    return zx_jint((int64_t)size);
}

/* A string over bytes that outlive the rendering (no copy), and one over copied bytes. */
ZMLX_MUST_CHECK zmlx_status zx_jstring_borrow(zx_jrun *run, const char *bytes, size_t length,
                                              zx_jvalue *string);
ZMLX_MUST_CHECK zmlx_status zx_jstring_copy(zx_jrun *run, const char *bytes, size_t length,
                                            zx_jvalue *string);
ZMLX_MUST_CHECK zmlx_status zx_jstring_text(zx_jrun *run, const char *text, zx_jvalue *string);
/* The same text, escaped already or not. */
ZMLX_MUST_CHECK zmlx_status zx_jstring_mark(zx_jrun *run, const zx_jstring *text, bool markup,
                                            zx_jvalue *string);
/* 'a' followed by 'b', in place where 'a' lies at the end of the memory in use. */
ZMLX_MUST_CHECK zmlx_status zx_jstring_concat(zx_jrun *run, const zx_jstring *a,
                                              const zx_jstring *b, zx_jvalue *string);
size_t zx_jstring_points(zx_jstring *string);
/* Where code point 'index' begins; string->length for the last one's end. */
size_t zx_jstring_offset(zx_jstring *string, size_t index);
bool zx_jstring_is(const zx_jstring *string, const char *text);
bool zx_jstring_same(const zx_jstring *a, const zx_jstring *b);
/* The code point at a byte offset below the length, and its length in bytes. */
uint32_t zx_jstring_at(const zx_jstring *string, size_t offset, size_t *bytes);
/* The code point that ends at a byte offset above 0, and its length in bytes. */
uint32_t zx_jstring_before(const zx_jstring *string, size_t offset, size_t *bytes);

ZMLX_MUST_CHECK zmlx_status zx_jlist_make(zx_jrun *run, zx_jkind kind, size_t capacity,
                                          zx_jvalue *list);
ZMLX_MUST_CHECK zmlx_status zx_jlist_add(zx_jrun *run, zx_jlist *list, zx_jvalue item);
/* A tuple of two. */
ZMLX_MUST_CHECK zmlx_status zx_jpair_make(zx_jrun *run, zx_jvalue first, zx_jvalue second,
                                          zx_jvalue *tuple);

ZMLX_MUST_CHECK zmlx_status zx_jdict_make(zx_jrun *run, zx_jkind kind, zx_jvalue *dict);
/* Fails where the key has no hash (lists, dicts). */
ZMLX_MUST_CHECK zmlx_status zx_jdict_set(zx_jrun *run, zx_jdict *dict, zx_jvalue key,
                                         zx_jvalue value);
/* *value is MISSING where the key is not there; fails as zx_jdict_set does. */
ZMLX_MUST_CHECK zmlx_status zx_jdict_get(zx_jrun *run, const zx_jdict *dict, zx_jvalue key,
                                         zx_jvalue *value);
/* With a key that is a string, which cannot fail. */
zx_jvalue zx_jdict_find(const zx_jrun *run, const zx_jdict *dict, const char *key, size_t length);
ZMLX_MUST_CHECK zmlx_status zx_jdict_copy(zx_jrun *run, const zx_jdict *from, zx_jvalue *copy);

/* An undefined variable or member (object MISSING: a variable), or one with a message. */
ZMLX_MUST_CHECK zmlx_status zx_jundefined_make(zx_jrun *run, zx_jvalue object, zx_jvalue name,
                                               zx_jvalue *undefined);
ZMLX_MUST_CHECK zmlx_status zx_jundefined_hint(zx_jrun *run, const char *hint,
                                               zx_jvalue *undefined);
/* The error that any use of an undefined value is. */
zmlx_status zx_jundefined_fail(zx_jrun *run, const zx_jundefined *undefined);

/* --- asking values --- */

const char *zx_jvalue_type(zx_jvalue value); /* Python's name of the type */
bool zx_jvalue_is_true(zx_jvalue value);
bool zx_jvalue_is_number(zx_jvalue value);                    /* bool, int, float */
bool zx_jvalue_is_integer(zx_jvalue value, int64_t *integer); /* bool and int */
double zx_jvalue_number(zx_jvalue value);                     /* of a number */
bool zx_jvalue_is_sequence(zx_jvalue value);                  /* list or tuple */
/* False where it has no length (Python's len). */
ZMLX_MUST_CHECK zmlx_status zx_jvalue_length(zx_jrun *run, zx_jvalue value, bool *has_length,
                                             size_t *length);

/* compare.c */
ZMLX_MUST_CHECK zmlx_status zx_jvalue_hash(zx_jrun *run, zx_jvalue value, uint64_t *hash);
ZMLX_MUST_CHECK zmlx_status zx_jvalue_equal(zx_jrun *run, zx_jvalue a, zx_jvalue b, bool *equal);
/* a < b; 'sign' is how messages call the comparison. */
ZMLX_MUST_CHECK zmlx_status zx_jvalue_less(zx_jrun *run, zx_jvalue a, zx_jvalue b, const char *sign,
                                           bool *less);
ZMLX_MUST_CHECK zmlx_status zx_jvalue_contains(zx_jrun *run, zx_jvalue container, zx_jvalue item,
                                               bool *contains);
bool zx_jvalue_identical(zx_jvalue a, zx_jvalue b);
int zx_jnumber_compare(zx_jvalue a, zx_jvalue b); /* -1, 0, 1; 2 where one is NaN */

/* print.c: as Python's str and repr */
ZMLX_MUST_CHECK zmlx_status zx_jvalue_print(zx_jrun *run, zx_jbuilder *builder, zx_jvalue value);
ZMLX_MUST_CHECK zmlx_status zx_jvalue_repr(zx_jrun *run, zx_jbuilder *builder, zx_jvalue value);
ZMLX_MUST_CHECK zmlx_status zx_jvalue_string(zx_jrun *run, zx_jvalue value, zx_jvalue *string);
ZMLX_MUST_CHECK zmlx_status zx_jvalue_repr_string(zx_jrun *run, zx_jvalue value, zx_jvalue *string);
/* Python's ascii(): the repr with everything beyond ASCII escaped. */
ZMLX_MUST_CHECK zmlx_status zx_jvalue_ascii_string(zx_jrun *run, zx_jvalue value,
                                                   zx_jvalue *string);
enum { ZX_J_FLOAT_BYTES = 48 };
void zx_jfloat_text(double number, char text[ZX_J_FLOAT_BYTES]);

/* iterate.c */
ZMLX_MUST_CHECK zmlx_status zx_jiter_make(zx_jrun *run, zx_jvalue value, zx_jiter **iter);
ZMLX_MUST_CHECK zmlx_status zx_jiter_reversed(zx_jrun *run, zx_jvalue value, bool *reversible,
                                              zx_jvalue *iterator);
ZMLX_MUST_CHECK zmlx_status zx_jiter_next(zx_jrun *run, zx_jiter *iter, zx_jvalue *item);
bool zx_jvalue_is_iterable(zx_jvalue value);
/* A new list of all items of an iterable. */
ZMLX_MUST_CHECK zmlx_status zx_jlist_from(zx_jrun *run, zx_jvalue iterable, zx_jvalue *list);
/* A lazy iterator: 'state' and 'source' are for 'next'. */
ZMLX_MUST_CHECK zmlx_status zx_jiter_lazy(zx_jrun *run, const zx_jiter *model, zx_jvalue *iterator);
/* A stable sort as Python's; keys and items are permuted together. */
ZMLX_MUST_CHECK zmlx_status zx_jlist_sort(zx_jrun *run, zx_jlist *items, zx_jlist *keys,
                                          bool reverse);

#endif
