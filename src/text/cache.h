/* cache.h - the tables of a large tokenizer.json's BPE model, as they were built, in a file of the
 * user's cache folder (docs/adr/0013).
 *
 * Nothing depends on it: a file that is missing, foreign, damaged or not to be written costs the
 * time to read the JSON again, and no more. */
#ifndef ZX_TEXT_CACHE_H
#define ZX_TEXT_CACHE_H

#include "text/build.h"

/* Smaller files are read faster than it pays to look for tables. */
enum { ZX_CACHE_LEAST_BYTES = 4 << 20 };

/* Where the value of "model" stands in the file, from behind its brace to behind the last one. */
typedef struct zx_cache_place {
    uint64_t source_hash;
    uint64_t begin, end; /* end 0: not known */
} zx_cache_place;

/* Looks for the tables of tokenizer->file, whose hash it puts in *place; fills the model and *place
 * where they are there and whole. */
bool zx_cache_open(zx_tokenizer *tokenizer, zx_cache_place *place);
/* Writes the tables of a model that was just read, for the next time. */
void zx_cache_write(const zx_tokenizer *tokenizer, const zx_cache_place *place);

#endif
