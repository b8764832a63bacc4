/* added.h - tokens that are found in the text before anything else looks at it.
 *
 * Those that are 'normalized' are searched in the normalized text, in their own normalized form;
 * the others in the text as it came.  At each place the longest wins. */
#ifndef ZX_TEXT_ADDED_H
#define ZX_TEXT_ADDED_H

#include "text/part.h"
#include "text/trie.h"
#include "text/vocabulary.h"

typedef struct zx_added_token {
    zx_string_view content;
    zx_string_view written; /* what it decodes to: its normalized form where that is searched */
    int32_t id;
    bool single_word, left, right, normalized, special;
    bool as_is; /* 'normalized', but the content is so already */
} zx_added_token;

typedef struct zx_added { /* {0} is empty */
    zx_added_token *items;
    size_t count, capacity;
    zx_vocabulary names; /* content to id */
    zx_trie exact, normalized;
} zx_added;

void zx_added_fini(zx_added *added);

/* Adds a token; its id is the one it has in the vocabulary or among those added, or else the one
 * given, or (where that is -1) the next free one.  Empty tokens and repetitions are left out. */
ZMLX_MUST_CHECK zmlx_status zx_added_add(zx_added *added, const zx_vocabulary *vocabulary,
                                         zx_added_token token);
/* After the last one: builds the searches. */
ZMLX_MUST_CHECK zmlx_status zx_added_finish(zx_added *added, const zx_part *normalizer,
                                            zx_arena *arena);

/* A walk over the added tokens in a text. */
typedef struct zx_added_search {
    const zx_added *added;
    const zx_trie *trie; /* one of the two above */
    const char *bytes;
    size_t length;
    size_t at;     /* where the next one may begin */
    size_t done;   /* where the last one ended, the space that it swallowed included */
    size_t spaces; /* up to here there is known to be only space behind 'at' */
} zx_added_search;

/* The next token and where it stands, swallowed space included; NULL where there is none.  What
 * lies between search->done (before the call) and *start is text. */
const zx_added_token *zx_added_next(zx_added_search *search, size_t *start, size_t *end);

#endif
