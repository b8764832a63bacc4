/* split.h - cuts pieces where something is found, the way 'tokenizers' names it. */
#ifndef ZX_TEXT_SPLIT_H
#define ZX_TEXT_SPLIT_H

#include "text/part.h"
#include "text/unicode.h"

/* What is looked for: one of these. */
typedef struct zx_finder {
    const zx_regex *regex;
    zx_char_class *class; /* each character of the class is a match */
    uint32_t point;       /* this character, where there is neither regex nor class */
    /* or: says where the next match is at or behind 'at'; false for none */
    bool (*next)(const char *bytes, size_t length, size_t at, size_t *start, size_t *end);
} zx_finder;

/* Cuts every piece that is text at the matches; 'behavior' is ZX_ISOLATED and so on, 'invert' lets
 * matches and what lies between them change roles. */
ZMLX_MUST_CHECK zmlx_status zx_split_pieces(zx_work *work, const zx_finder *finder,
                                            uint32_t behavior, bool invert);

#endif
