/* call.h - what a template can call: rows of the tables of filters, tests, methods and global
 * functions, and the operations of values that they share with expressions.
 *
 * A row's parameters are words: "width killwords? end?" (? may be absent; then the argument is
 * MISSING).  A leading "/" refuses keywords, "*" takes any arguments unbound. */
#ifndef ZX_JINJA_CALL_H
#define ZX_JINJA_CALL_H

#include "jinja/value.h"

enum { ZX_J_MAX_PARAMETERS = 8 };

typedef struct zx_jargs {
    zx_jvalue *items;
    size_t count;
    zx_jpair *named; /* the keys are strings */
    size_t named_count;
} zx_jargs;

typedef struct zx_jcall {
    zx_jvalue self; /* what a filter, test or method is applied to */
    zx_jvalue arg[ZX_J_MAX_PARAMETERS];
    const zx_jargs *all;
} zx_jcall;

typedef zmlx_status (*zx_jbuiltin_fn)(zx_jrun *run, const zx_jcall *call, zx_jvalue *result);

typedef struct zx_jbuiltin {
    const char *name;
    const char *parameters;
    zx_jbuiltin_fn run;
} zx_jbuiltin;

/* --- the tables; NULL where there is no such name --- */

const zx_jbuiltin *zx_jfilter_find(const zx_jstring *name);
const zx_jbuiltin *zx_jtest_find(const zx_jstring *name);
const zx_jbuiltin *zx_jfunction_find(const zx_jstring *name);
/* *is_unsafe: the method would change the object, which the sandbox forbids. */
const zx_jbuiltin *zx_jmethod_find(zx_jkind kind, const zx_jstring *name, bool *is_unsafe);

/* The parts of these tables, each ended by a row without a name. */
extern const zx_jbuiltin zx_jfilters_text[], zx_jfilters_list[], zx_jfilters_lazy[],
    zx_jfilters_number[], zx_jfilters_html[], zx_jfilters_pretty[];
extern const zx_jbuiltin zx_jmethods_text[], zx_jmethods_split[], zx_jmethods_case[],
    zx_jmethods_format[];
const zx_jbuiltin *zx_jbuiltin_find(const zx_jbuiltin *rows, const zx_jstring *name);

/* --- calling --- */

ZMLX_MUST_CHECK zmlx_status zx_jbuiltin_call(zx_jrun *run, const zx_jbuiltin *row, zx_jvalue self,
                                             const zx_jargs *args, zx_jvalue *result);
/* Applies a filter or test by its name, as map and select do. */
ZMLX_MUST_CHECK zmlx_status zx_jfilter_apply(zx_jrun *run, zx_jvalue name, zx_jvalue self,
                                             const zx_jargs *args, zx_jvalue *result);
ZMLX_MUST_CHECK zmlx_status zx_jtest_apply(zx_jrun *run, zx_jvalue name, zx_jvalue self,
                                           const zx_jargs *args, zx_jvalue *result);
/* Calls a value: function, method, macro, loop, joiner. */
ZMLX_MUST_CHECK zmlx_status zx_jvalue_call(zx_jrun *run, zx_jvalue callee, const zx_jargs *args,
                                           zx_jvalue *result);
bool zx_jvalue_is_callable(zx_jvalue value);
zx_jvalue zx_jmacro_name(const zx_jmacro *macro);
zx_jvalue zx_jargs_named(const zx_jargs *args, const char *name); /* MISSING if not given */

/* --- arguments --- */

/* An integer (or a bool), as Python's __index__; 'what' is for messages. */
ZMLX_MUST_CHECK zmlx_status zx_jarg_int(zx_jrun *run, zx_jvalue value, const char *what,
                                        int64_t *integer);
/* The same with a value for MISSING. */
ZMLX_MUST_CHECK zmlx_status zx_jarg_int_or(zx_jrun *run, zx_jvalue value, const char *what,
                                           int64_t otherwise, int64_t *integer);
ZMLX_MUST_CHECK zmlx_status zx_jarg_string(zx_jrun *run, zx_jvalue value, const char *what,
                                           zx_jstring **string);
bool zx_jarg_true(zx_jvalue value, bool otherwise); /* 'otherwise' for MISSING */

/* --- members: environment.getattr, environment.getitem, slices --- */

ZMLX_MUST_CHECK zmlx_status zx_jvalue_attribute(zx_jrun *run, zx_jvalue object, zx_jvalue name,
                                                zx_jvalue *result);
ZMLX_MUST_CHECK zmlx_status zx_jvalue_item(zx_jrun *run, zx_jvalue object, zx_jvalue key,
                                           zx_jvalue *result);
/* Python's getattr alone: *result is MISSING where there is no such attribute. */
ZMLX_MUST_CHECK zmlx_status zx_jvalue_own_attribute(zx_jrun *run, zx_jvalue object, zx_jvalue name,
                                                    zx_jvalue *result);
/* bounds: start, stop, step; MISSING or None where not given. */
ZMLX_MUST_CHECK zmlx_status zx_jvalue_slice(zx_jrun *run, zx_jvalue object,
                                            const zx_jvalue bounds[3], zx_jvalue *result);
/* The items [start, stop) by step of 'count', as Python's slice.indices; *taken is how many. */
ZMLX_MUST_CHECK zmlx_status zx_jslice_indices(zx_jrun *run, const zx_jvalue bounds[3], size_t count,
                                              int64_t range[3], size_t *taken);

/* --- operators --- */

ZMLX_MUST_CHECK zmlx_status zx_jvalue_add(zx_jrun *run, zx_jvalue a, zx_jvalue b,
                                          zx_jvalue *result);
ZMLX_MUST_CHECK zmlx_status zx_jvalue_subtract(zx_jrun *run, zx_jvalue a, zx_jvalue b,
                                               zx_jvalue *result);
ZMLX_MUST_CHECK zmlx_status zx_jvalue_multiply(zx_jrun *run, zx_jvalue a, zx_jvalue b,
                                               zx_jvalue *result);
ZMLX_MUST_CHECK zmlx_status zx_jvalue_divide(zx_jrun *run, zx_jvalue a, zx_jvalue b,
                                             zx_jvalue *result);
ZMLX_MUST_CHECK zmlx_status zx_jvalue_floor_divide(zx_jrun *run, zx_jvalue a, zx_jvalue b,
                                                   zx_jvalue *result);
ZMLX_MUST_CHECK zmlx_status zx_jvalue_modulo(zx_jrun *run, zx_jvalue a, zx_jvalue b,
                                             zx_jvalue *result);
ZMLX_MUST_CHECK zmlx_status zx_jvalue_power(zx_jrun *run, zx_jvalue a, zx_jvalue b,
                                            zx_jvalue *result);
ZMLX_MUST_CHECK zmlx_status zx_jvalue_negate(zx_jrun *run, zx_jvalue a, zx_jvalue *result);
ZMLX_MUST_CHECK zmlx_status zx_jvalue_plus(zx_jrun *run, zx_jvalue a, zx_jvalue *result);

/* --- text --- */

/* The text with &, <, >, ' and " replaced, marked as escaped; marked text as it is. */
ZMLX_MUST_CHECK zmlx_status zx_jvalue_escape(zx_jrun *run, zx_jvalue value, zx_jvalue *escaped);
/* "%s of %d" % value, and "{} of {name}".format(args); the second is given what a field's
 * value is escaped with where the text is marked. */
ZMLX_MUST_CHECK zmlx_status zx_jformat_percent(zx_jrun *run, zx_jstring *format, zx_jvalue value,
                                               zx_jvalue *result);
ZMLX_MUST_CHECK zmlx_status zx_jformat_braces(zx_jrun *run, zx_jstring *format,
                                              const zx_jargs *args, zx_jvalue *result);
/* format(value, spec) */
ZMLX_MUST_CHECK zmlx_status zx_jformat_value(zx_jrun *run, zx_jbuilder *builder, zx_jvalue value,
                                             zx_jstring *spec);
/* json.dumps(value, ...) */
typedef struct zx_jjson_style {
    zx_jvalue indent;                                 /* MISSING: on one line */
    const zx_jstring *item_separator, *key_separator; /* NULL: Python's default */
    bool ascii, sort_keys;
} zx_jjson_style;
ZMLX_MUST_CHECK zmlx_status zx_jvalue_json(zx_jrun *run, zx_jvalue value,
                                           const zx_jjson_style *style, zx_jvalue *string);
/* datetime.strftime of run->now */
ZMLX_MUST_CHECK zmlx_status zx_jstrftime(zx_jrun *run, const zx_jstring *format, zx_jvalue *string);

/* --- numbers --- */

/* int(text, base) and float(text); false where Python raises ValueError. */
bool zx_jnumber_parse_int(const zx_jstring *text, int base, int64_t *integer, bool *overflow);
bool zx_jnumber_parse_float(const zx_jstring *text, double *number);
/* int(number) of a float, which must fit. */
ZMLX_MUST_CHECK zmlx_status zx_jnumber_truncate(zx_jrun *run, double number, int64_t *integer);

/* --- what several filters use --- */

/* A string's method with up to two arguments, which end at the first MISSING. */
ZMLX_MUST_CHECK zmlx_status zx_jstring_method(zx_jrun *run, zx_jvalue string, const char *name,
                                              const zx_jvalue args[2], zx_jvalue *result);
/* The byte offset of the last 'piece' that lies within the bytes [bounds[0], bounds[1]) of a text;
 * SIZE_MAX where there is none.  The caller has paid for the search itself. */
ZMLX_MUST_CHECK zmlx_status zx_jstring_find_last(zx_jrun *run, const zx_jstring *text,
                                                 const zx_jstring *piece, const size_t bounds[2],
                                                 size_t *at);
/* The member at a dotted path ("a.0.b", an index, or None: the item itself); 'otherwise', unless
 * it is MISSING or None, takes the place of what is undefined. */
ZMLX_MUST_CHECK zmlx_status zx_jattribute_path(zx_jrun *run, zx_jvalue item, zx_jvalue path,
                                               zx_jvalue otherwise, zx_jvalue *found);
/* Lower case of a string, anything else as it is: how filters compare by default. */
ZMLX_MUST_CHECK zmlx_status zx_jvalue_fold(zx_jrun *run, zx_jvalue value, zx_jvalue *folded);

#endif
