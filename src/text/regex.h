/* regex.h - the patterns of tokenizers: Oniguruma's syntax, run by PCRE2 with JIT.
 *
 * A compiled pattern never changes and serves any number of threads; each thread brings a
 * matcher.  Text must be well-formed UTF-8. */
#ifndef ZX_TEXT_REGEX_H
#define ZX_TEXT_REGEX_H

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"

struct zx_matches;

typedef struct zx_regex {
    struct zx_regex *next; /* a list for the owner, who frees all of them */
    char *literal;         /* the text itself where the pattern is one; NULL otherwise */
    size_t literal_length;
    /* The next match, where the pattern is one that a scanner of our own finds; else NULL. */
    bool (*scan)(struct zx_matches *matches, size_t *start, size_t *end);
    void *code;
    bool jit;
} zx_regex;

/* Compiles a pattern, or text that stands for itself.  'source' is for messages. */
ZMLX_MUST_CHECK zmlx_status zx_regex_compile(const char *source, const char *pattern, size_t length,
                                             bool literal, zx_regex **regex);
void zx_regex_free(zx_regex *regex);

/* Rewrites a pattern of Oniguruma's syntax into PCRE2's. */
ZMLX_MUST_CHECK zmlx_status zx_onig_translate(const char *source, const char *pattern,
                                              size_t length, zx_text *out);

typedef struct zx_matcher { /* {0} is empty; working memory of one thread */
    void *data, *context, *stack;
    size_t budget; /* steps that hard matches may still take in this text */
} zx_matcher;

void zx_matcher_fini(zx_matcher *matcher);

/* Walks over all matches in a text, as Oniguruma's Rust binding does: an empty match right
 * behind the last one does not count; in an empty text there is none. */
typedef struct zx_matches {
    const zx_regex *regex;
    zx_matcher *matcher;
    const char *bytes;
    size_t length, at;
    size_t last_end; /* SIZE_MAX before the first match */
    size_t digits;   /* of a scanner: how many are known to begin at 'at' */
} zx_matches;

void zx_matches_start(zx_matches *matches, const zx_regex *regex, zx_matcher *matcher,
                      const char *bytes, size_t length);
ZMLX_MUST_CHECK zmlx_status zx_matches_next(zx_matches *matches, bool *found, size_t *start,
                                            size_t *end);

/* The scanner of a pattern of tokenizers that would look to the end of a run at each of its places,
 * and so take quadratic time; or NULL. */
bool (*zx_scan_find(const char *pattern, size_t length))(zx_matches *matches, size_t *start,
                                                         size_t *end);

#endif
