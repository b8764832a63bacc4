/* mutate.h - damaged files made from good ones, for hostile_test.c: the good file is first cut into
 * its fields ("spots"), so that what is damaged is a length, a count or a name and not only a bit.
 *
 * Random choices are the test's own (zx_test_random): the same in each run. */
#ifndef ZX_MODEL_MUTATE_H
#define ZX_MODEL_MUTATE_H

#include "base/text.h"

typedef enum zx_spot_kind {
    ZX_SPOT_U32,    /* little-endian numbers */
    ZX_SPOT_U64,    /* also a length or a count */
    ZX_SPOT_VARINT, /* of a protobuf */
    ZX_SPOT_NUMBER, /* in a text */
    ZX_SPOT_STRING, /* in a text, with its quotes */
    ZX_SPOT_OTHER,
    ZX_SPOT_KIND_COUNT
} zx_spot_kind;

typedef struct zx_spot {
    size_t offset, width; /* bytes */
    zx_spot_kind kind;
} zx_spot;

/* A good file and its fields in order; every step returns false where memory ran out. */
typedef struct zx_seed_file { /* {0} is empty */
    zx_text bytes;
    zx_spot *spots;
    size_t count, capacity;
    bool has_head; /* a safetensors file: the length of its header stands first */
} zx_seed_file;

typedef bool (*zx_spot_finder)(zx_seed_file *seed);

bool zx_spots_of_gguf(zx_seed_file *seed);
bool zx_spots_of_safetensors(zx_seed_file *seed);
bool zx_spots_of_protobuf(zx_seed_file *seed);
/* JSON, a template, tiktoken's lines: strings, numbers, words, single other characters. */
bool zx_spots_of_text(zx_seed_file *seed);
void zx_seed_file_fini(zx_seed_file *seed);

/* How many files zx_mutate makes without a choice: cuts at the fields and every binary number with
 * every bad value, as far as these are not too many. */
size_t zx_mutations(const zx_seed_file *seed);
/* Makes the mutated file 'index' in 'file'; from zx_mutations() on what is done is random.  'what'
 * says what was done. */
bool zx_mutate(const zx_seed_file *seed, size_t index, zx_text *file, char what[96]);

#endif
