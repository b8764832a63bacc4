/* model.h - turns a piece of text into ids: BPE, Unigram, WordPiece, WordLevel.
 *
 * A reader (from_json.c and its sisters) fills the options and the vocabulary, then calls the
 * row's 'prepare'. */
#ifndef ZX_TEXT_MODEL_H
#define ZX_TEXT_MODEL_H

#include "text/trie.h"
#include "text/vocabulary.h"
#include "text/work.h"

typedef struct zx_model zx_model;

typedef struct zx_model_row {
    const char *type;
    zmlx_status (*prepare)(zx_model *model, const char *source);
    zmlx_status (*encode)(const zx_model *model, zx_work *work, const char *bytes, size_t length,
                          zx_ids *ids);
} zx_model_row;

enum { ZX_BERT_WORD = 100 };      /* characters of the longest word that a BERT cuts into pieces */
enum { ZX_UNKNOWN_PENALTY = 10 }; /* of an unknown character, below the lowest score */

typedef struct zx_pair { /* a merge: what two neighbours become, and how soon */
    uint64_t key;        /* left id << 32 | right id, plus 1; 0 is a free slot */
    uint32_t rank;
    int32_t merged;
} zx_pair;

struct zx_model {
    const zx_model_row *row;
    zx_vocabulary vocabulary;
    /* Options; a text with bytes NULL is absent. */
    zx_string_view unknown_token, prefix, suffix;
    bool fuse_unknown, byte_fallback, ignore_merges;
    bool sentencepiece; /* Unigram with runs of unknown characters not looked up; WordLevel with
                         * one id for neighbouring unknown words */
    bool single_sums;   /* Unigram with sums of 32 bits, as SentencePiece has them */
    bool mapped;        /* the vocabulary's slots and the pairs lie in a mapped file */
    size_t max_word_characters;
    int32_t unknown; /* its id, or -1 */
    double *scores;  /* by id */
    size_t score_capacity;
    uint8_t *reserved; /* by id: not to be found in text (control, unknown, bytes); or NULL */
    /* Made from these: */
    int32_t bytes[256];   /* the ids of <0x00> to <0xFF>, or -1 */
    int32_t points[1024]; /* the ids of the first code points as whole tokens, or -1 */
    zx_pair *pairs;
    size_t pair_slots, pair_count;
    uint64_t pair_seed;
    int32_t last_merged; /* while merges are read */
    zx_text joined;
    uint32_t ranks; /* of the merges so far */
    zx_trie trie;
    uint32_t prefix_node; /* WordPiece: where the trie stands behind the prefix; 0 for nowhere */
    double unknown_score; /* Unigram's, where a reader knows it; 0: the lowest less the penalty */
};

extern const zx_model_row zx_model_bpe, zx_model_unigram, zx_model_wordpiece, zx_model_wordlevel;

void zx_model_fini(zx_model *model);

/* Looks up <0x00> to <0xFF>; and adds those of a text, where the model falls back to bytes and
 * has them all. */
void zx_model_find_bytes(zx_model *model);
ZMLX_MUST_CHECK zmlx_status zx_model_add_bytes(const zx_model *model, const char *bytes,
                                               size_t length, zx_ids *ids, bool *added);

static inline bool zx_model_reserves(const zx_model *model, int32_t id)
{
    return model->reserved != NULL && model->reserved[id] != 0;
}

/* Makes room for about this many merges. */
ZMLX_MUST_CHECK zmlx_status zx_bpe_expect_merges(zx_model *model, size_t count);

/* Adds merges in the order of their ranks; the vocabulary is complete.  A merge whose texts are not
 * in it is an error, or nothing where 'lenient'. */
typedef struct zx_merge {
    zx_string_view left, right;
} zx_merge;
ZMLX_MUST_CHECK zmlx_status zx_bpe_add_merges(zx_model *model, const char *source,
                                              const zx_merge *merges, size_t count, bool lenient);

/* One merge with a rank of its own. */
ZMLX_MUST_CHECK zmlx_status zx_bpe_put_merge(zx_model *model, int32_t left, int32_t right,
                                             uint32_t rank, int32_t merged);
/* Calls 'visit' with every merge that follows from the scores of the tokens, best first, until it
 * fails. */
typedef zmlx_status (*zx_merge_fn)(int32_t left, int32_t right, uint32_t rank, int32_t merged,
                                   void *user);
ZMLX_MUST_CHECK zmlx_status zx_bpe_each_scored_merge(const zx_model *model, const char *source,
                                                     zx_merge_fn visit, void *user);
/* Adds these merges. */
ZMLX_MUST_CHECK zmlx_status zx_bpe_add_scored_merges(zx_model *model, const char *source);

#endif
