/* part.h - one component of a tokenizer: a normalizer, pre-tokenizer or decoder.
 *
 * Each kind is a row of a table: its name in tokenizer.json, the fields it reads, and what it
 * does.  A field is a row as well: name, kind, place in zx_part.  A component that the
 * tables do not know is an error that names it. */
#ifndef ZX_TEXT_PART_H
#define ZX_TEXT_PART_H

#include "base/arena.h"
#include "base/json.h"
#include "text/work.h"

typedef struct zx_part zx_part;
struct zx_decoding;

/* More than this is no tokenizer but an attempt to keep us busy. */
enum { ZX_MAX_PARTS = 4096, ZX_MAX_PATTERNS = 256 };

/* Where everything goes that lives as long as the tokenizer. */
typedef struct zx_store { /* {0} is empty; the tokenizer's owner frees the members */
    zx_arena arena;
    zx_regex *regexes;
    size_t part_count, pattern_count;
    char *strings; /* room for short strings, taken from the arena */
    size_t string_bytes;
} zx_store;

/* What a reader works with. */
typedef struct zx_build {
    const char *source; /* the file, for messages */
    zx_store *store;
} zx_build;

void zx_store_fini(zx_store *store);
/* A copy of a text, followed by a NUL. */
ZMLX_MUST_CHECK zmlx_status zx_store_keep(zx_store *store, const char *bytes, size_t length,
                                          zx_string_view *kept);

typedef struct zx_field {
    const char *name;
    enum {
        ZX_FIELD_FLAG,
        ZX_FIELD_COUNT,
        ZX_FIELD_TEXT,
        ZX_FIELD_POINT,   /* text of one character */
        ZX_FIELD_CHOICE,  /* one of 'choices', stored as its number */
        ZX_FIELD_PATTERN, /* {"String": ...} or {"Regex": ...} */
        ZX_FIELD_PARTS,   /* an array of components of the same table */
    } kind;
    size_t offset;
    const char *const *choices;
} zx_field;

typedef struct zx_part_row {
    const char *type;
    const zx_field *fields; /* ends with a row without a name; NULL for none */
    const zx_part *defaults;
    zmlx_status (*prepare)(const zx_build *build, zx_part *part); /* after reading; may be NULL */
    /* What it does, by the table it stands in: */
    zmlx_status (*normalize)(const zx_part *part, zx_work *work);
    zmlx_status (*split)(const zx_part *part, zx_work *work);
    zmlx_status (*decode)(struct zx_decoding *decoding, size_t stage, const char *bytes,
                          size_t count, bool end);
    bool whole; /* decode wants whole tokens: it is called once for each, with 'end' */
} zx_part_row;

typedef struct zx_part_table {
    const char *noun;
    const zx_part_row *rows;
    size_t count;
} zx_part_table;

enum { ZX_REMOVED, ZX_ISOLATED, ZX_MERGED_WITH_PREVIOUS, ZX_MERGED_WITH_NEXT, ZX_CONTIGUOUS };
/* ZX_PREPEND_AGAIN: also to what begins so; no file says that. */
enum { ZX_PREPEND_ALWAYS, ZX_PREPEND_FIRST, ZX_PREPEND_NEVER, ZX_PREPEND_AGAIN };

struct zx_part {
    const zx_part_row *row;
    zx_part *children;
    size_t child_count;
    bool add_prefix_space, use_regex, individual, invert, left, right, clean, chinese, accents,
        lowercase, split;
    bool accents_given, prefix_given; /* whether the optional flag was in the file */
    uint32_t behavior, scheme;
    uint32_t point; /* a delimiter, a replacement */
    size_t length, start, stop;
    zx_string_view text, second;
    zx_regex *regex;
    void *data; /* what 'prepare' made of it */
};

/* Reads the value that comes next: a component, or null, which gives NULL. */
ZMLX_MUST_CHECK zmlx_status zx_part_read(const zx_build *build, const zx_part_table *table,
                                         zx_json *json, zx_part **part);
/* Compiles a pattern that the owner of 'build' will free. */
ZMLX_MUST_CHECK zmlx_status zx_build_regex(const zx_build *build, const char *pattern,
                                           size_t length, bool literal, zx_regex **regex);
/* A copy of the string just read that lives as long as the tokenizer. */
ZMLX_MUST_CHECK zmlx_status zx_build_keep(const zx_build *build, const zx_json *json,
                                          zx_string_view *kept);

/* A second reader over the object or array whose first event was just read; 'json' goes on behind
 * it.  For zx_json_fini. */
ZMLX_MUST_CHECK zmlx_status zx_json_fork(zx_json *json, zx_json *inner);
/* Reads the next value and leaves it out. */
ZMLX_MUST_CHECK zmlx_status zx_json_drop(zx_json *json);

extern const zx_part_table zx_normalizers, zx_pre_tokenizers, zx_decoders;

/* Runs a component (NULL does nothing) over work->normal, over the pieces. */
ZMLX_MUST_CHECK zmlx_status zx_normalize(const zx_part *part, zx_work *work);
ZMLX_MUST_CHECK zmlx_status zx_pre_tokenize(const zx_part *part, zx_work *work);

#endif
