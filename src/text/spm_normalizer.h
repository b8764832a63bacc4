/* spm_normalizer.h - SentencePiece's own normalization, which is not part of tokenizer.json: its
 * compiled replacements, and what it does with spaces. */
#ifndef ZX_TEXT_SPM_NORMALIZER_H
#define ZX_TEXT_SPM_NORMALIZER_H

#include "text/charsmap.h"
#include "text/part.h"
#include "text/trie.h"

typedef struct zx_spm_options {
    const zx_charsmap *map; /* NULL for none */
    bool add_prefix;        /* a space before the text, or behind it where 'suffix' */
    bool suffix;
    bool merge_spaces; /* drops spaces at both ends, makes one of several */
    bool escape;       /* spaces become U+2581 */
    zx_trie symbols;   /* user-defined ones, which stay as they are */
} zx_spm_options;

/* The row of such a part; part->data is a zx_spm_options that outlives it. */
extern const zx_part_row zx_spm_normalizer;

#endif
