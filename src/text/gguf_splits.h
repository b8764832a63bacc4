/* gguf_splits.h - what the names in tokenizer.ggml.pre mean: the patterns that cut a text. */
#ifndef ZX_TEXT_GGUF_SPLITS_H
#define ZX_TEXT_GGUF_SPLITS_H

#include <stdbool.h>
#include <stddef.h>

enum { ZX_MAX_SPLITS = 6 };

typedef struct zx_gguf_split {
    const char *names;                   /* each with a space before and behind it */
    const char *patterns[ZX_MAX_SPLITS]; /* one after the other; each match is a piece */
    bool ignore_merges;
    bool plain; /* no byte alphabet: spaces become U+2581, unknown characters byte tokens */
} zx_gguf_split;

/* The row of a name (NULL and "" are "default"), or NULL. */
const zx_gguf_split *zx_gguf_split_find(const char *name);

/* All rows, for tests: a row without names ends the list. */
extern const zx_gguf_split zx_gguf_splits[];

#endif
