/* run.h - one rendering: its memory, its limits, where it is, and how it fails.
 *
 * Everything a template does is paid for in steps, and everything it makes counts as memory, so
 * that a hostile template ends in an error soon.  Recursion of C functions over what a template
 * controls goes through zx_jrun_enter. */
#ifndef ZX_JINJA_RUN_H
#define ZX_JINJA_RUN_H

#include "base/arena.h"
#include "base/fail.h"
#include "jinja/value.h"

enum {
    ZX_J_MAX_DEPTH = 800,   /* nested evaluations, of which a macro call takes about five */
    ZX_J_MAX_NESTING = 200, /* brackets and blocks within one another in a template */
    ZX_J_TAILS = 4,
};

/* Memory in which the last string made can grow in place. */
typedef struct zx_jtail {
    char *at, *end;
} zx_jtail;

struct zx_jrun {
    zx_arena arena;
    char *object_at, *object_end;
    zx_jtail bytes;             /* short strings */
    zx_jtail tails[ZX_J_TAILS]; /* long ones */
    size_t oldest_tail;
    size_t memory, max_memory;

    size_t steps, max_steps, max_output;
    int depth;
    uint64_t seed; /* of hashes and of the filter 'random' */

    const char *source;    /* what messages call the template */
    int line;              /* where it is */
    const char *construct; /* "filter", "test", ... or NULL */
    const char *construct_name;

    int64_t now;
    bool local_time;          /* strftime_now gives the local time, not UTC */
    zx_jdict *variables;      /* what the caller gave */
    zx_jdict *exported;       /* what the top level has set, for blocks */
    struct zx_jblock *blocks; /* the template's named blocks */
    zx_jbuilder *output;      /* where text goes now */
    zx_jvalue captured;       /* what a filter or set block wrote */
    bool autoescape;
};

/* An error of the template's run, with its source, line and construct in front.  Macros as
 * ZX_FAIL, and for its reason: the analyser sees that the status is no success. */
#define ZX_JFAIL(run, ...) ZX_JFAIL_AT(run, ZMLX_ERROR_ARGUMENT, (run)->line, __VA_ARGS__)

/* The same with another status and line (0: without). */
#define ZX_JFAIL_AT(run, status, line, ...) \
    (zx_jrun_record((run), (status), (line), __VA_ARGS__), (status))

void zx_jrun_record(const zx_jrun *run, zmlx_status status, int line, const char *format, ...)
    __attribute__((format(printf, 4, 5), cold));

/* Pays for 'steps' units of work. */
ZMLX_MUST_CHECK zmlx_status zx_jrun_pay(zx_jrun *run, size_t steps);
/* Pays for going over that much text or memory. */
ZMLX_MUST_CHECK zmlx_status zx_jrun_pay_bytes(zx_jrun *run, size_t bytes);
/* The same where the text is searched, and where something is asked of each code point. */
ZMLX_MUST_CHECK zmlx_status zx_jrun_pay_search(zx_jrun *run, size_t bytes);
ZMLX_MUST_CHECK zmlx_status zx_jrun_pay_points(zx_jrun *run, size_t bytes);
/* One level deeper; 'run->depth--' comes back (after an error it need not). */
ZMLX_MUST_CHECK zmlx_status zx_jrun_enter(zx_jrun *run);

/* Writes to the present output. */
ZMLX_MUST_CHECK zmlx_status zx_jrun_write(zx_jrun *run, const char *bytes, size_t count);

#endif
