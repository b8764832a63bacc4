/* work.h - the working memory of one call of encode.
 *
 * A text goes through it like this: a run of text without exact added tokens is normalized in
 * 'normal', cut at the normalized added tokens into pieces, the pieces are cut and
 * rewritten by each pre-tokenizer in turn, and the model turns each piece into ids. */
#ifndef ZX_TEXT_WORK_H
#define ZX_TEXT_WORK_H

#include "text/regex.h"
#include "text/tokenizer.h"

/* Text as a normalizer sees it.  'origin' is how many of its first bytes stand for the first
 * character of the whole text: Metaspace's scheme "first" asks whether any do. */
typedef struct zx_normal {
    const char *bytes;
    size_t length, origin;
    zx_text buffers[2]; /* 'bytes' may lie in one; the next step writes the other */
    int spare;          /* which one is free */
    size_t out_origin;
    size_t limit; /* bytes that a normalizer may write; 0 for any number */
} zx_normal;

/* The next step's output: an empty text with room for 'room' bytes.  zx_normal_commit makes it
 * the current text. */
ZMLX_MUST_CHECK zmlx_status zx_normal_begin(zx_normal *normal, size_t room, zx_text **out);
void zx_normal_commit(zx_normal *normal);
/* Appends bytes that stand for what is at 'from' in the current text. */
ZMLX_MUST_CHECK zmlx_status zx_normal_add(zx_normal *normal, size_t from, const char *bytes,
                                          size_t count);
ZMLX_MUST_CHECK zmlx_status zx_normal_add_point(zx_normal *normal, size_t from, uint32_t point);

typedef struct zx_piece {
    size_t start, length;
    size_t origin; /* as in zx_normal */
    int32_t id;    /* of an added token, or -1: text */
} zx_piece;

typedef struct zx_pieces {
    zx_piece *items;
    size_t count, capacity;
} zx_pieces;

typedef struct zx_symbol { /* of a piece that BPE merges: a doubly linked list in an array */
    int32_t id, merged;    /* merged: what this and the next one become */
    uint32_t rank;         /* of that merge; UINT32_MAX for none */
    uint32_t previous, next;
} zx_symbol;

typedef struct zx_step { /* of a best path: how one gets to a byte */
    double score;
    uint32_t from;
    int32_t id;
} zx_step;

typedef struct zx_work { /* {0} is empty */
    zx_normal normal;
    const char *bytes;       /* what the pieces point into */
    zx_pieces pieces, cut;   /* the current ones, and those of the step that runs */
    zx_text text, rewritten; /* 'bytes' may be 'text'; a rewriting step fills the other */
    zx_matcher matcher;
    zx_symbol *symbols;
    size_t symbol_capacity;
    uint64_t *heap;
    size_t heap_capacity;
    zx_step *steps;
    size_t step_capacity;
    zx_text scratch;
} zx_work;

void zx_work_fini(zx_work *work);

/* The part of a piece that begins 'start' bytes into it. */
zx_piece zx_piece_part(const zx_piece *piece, size_t start, size_t length);

/* Appends a piece to those of the running step; empty ones vanish. */
ZMLX_MUST_CHECK zmlx_status zx_work_cut(zx_work *work, zx_piece piece);
/* The running step is done: its pieces, and its text where it rewrote, become the current ones. */
void zx_work_commit(zx_work *work, bool rewrote);

#endif
