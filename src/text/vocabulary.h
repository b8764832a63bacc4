/* vocabulary.h - token texts by id, and ids by token text.
 *
 * Texts are borrowed: they lie in the mapped file or in the tokenizer's arena. */
#ifndef ZX_TEXT_VOCABULARY_H
#define ZX_TEXT_VOCABULARY_H

#include "text/tokenizer.h"

typedef struct zx_vocabulary { /* {0} is empty */
    zx_string_view *tokens;    /* by id; bytes is NULL where an id has no token */
    size_t size, capacity;     /* size: one more than the largest id */
    size_t count;              /* tokens: distinct texts, and what was added over one */
    bool repeats;              /* a text stands under several ids */
    uint64_t *slots;           /* hash in the upper half, id + 1 in the lower */
    size_t slot_count;         /* a power of two */
    uint64_t seed;
    const char *source; /* for messages, or NULL */
    size_t file_bytes;  /* of the file that names the ids */
} zx_vocabulary;

void zx_vocabulary_fini(zx_vocabulary *vocabulary);

/* Makes room for 'count' tokens at once. */
ZMLX_MUST_CHECK zmlx_status zx_vocabulary_reserve(zx_vocabulary *vocabulary, size_t count);
/* Adds a token.  *added is false where the text was there already: then it still is found under its
 * first id.  An id that is larger than the file can have tokens, and some, is refused: the table by
 * id would be mostly holes. */
ZMLX_MUST_CHECK zmlx_status zx_vocabulary_add(zx_vocabulary *vocabulary, const char *bytes,
                                              size_t length, uint32_t id, bool *added);
/* The same, but a text that was there already is found under this id from now on, and counts again.
 */
ZMLX_MUST_CHECK zmlx_status zx_vocabulary_add_over(zx_vocabulary *vocabulary, const char *bytes,
                                                   size_t length, uint32_t id);
/* The id of a text, or -1. */
int32_t zx_vocabulary_find(const zx_vocabulary *vocabulary, const char *bytes, size_t length);
/* The same for many texts, with their memory fetched ahead. */
void zx_vocabulary_find_many(const zx_vocabulary *vocabulary, const zx_string_view *texts,
                             size_t count, int32_t *ids);
bool zx_vocabulary_has(const zx_vocabulary *vocabulary, int32_t id, const char *bytes,
                       size_t length);

/* A number that no file can know. */
uint64_t zx_random_seed(void);

ZMLX_MUST_CHECK zmlx_status zx_ids_add(zx_ids *ids, int32_t id);

#endif
