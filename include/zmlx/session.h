/* session.h - running a model: generation, logits, perplexity, validation.
 *
 * A session owns a plan, its threads and its key/value pages; one thread uses it at a time. */
#ifndef ZMLX_SESSION_H
#define ZMLX_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "zmlx/model.h"
#include "zmlx/status.h"
#include "zmlx/tokenizer.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct zmlx_session zmlx_session;

typedef struct zmlx_session_options { /* zero means the default */
    const char *device;               /* "cpu" */
    size_t threads;                   /* default: the cores this process may use */
    zmlx_precision precision;
    zmlx_dtype kv; /* default: the activations' dtype if it has 16 bits or the precision is f32,
                      else f16 */
    bool no_fuse;
    size_t context; /* most tokens in all sequences together; default: the smaller of the model's
                       and 8192.  Where it is given and the model's rope depends on the length, that
                       is the length; else each call's own (prompt and max_tokens) */
    size_t chunk;   /* most tokens in one step; default 512 */
} zmlx_session_options;

typedef struct zmlx_memory { /* bytes, computed before anything is loaded */
    size_t weights;          /* mapped from the file */
    size_t kv;          /* pages for 'context' tokens, slots of recurrent state, their tables */
    size_t activations; /* of the largest step, with scratch and the batch */
    size_t available;   /* on this machine, now */
} zmlx_memory;

/* What a session of these options will need. */
ZMLX_MUST_CHECK ZMLX_API zmlx_status zmlx_session_estimate(const zmlx_model *model,
                                                           const zmlx_session_options *options,
                                                           zmlx_memory *memory);

/* ZMLX_ERROR_MEMORY, with the figures, where the machine has too little. */
ZMLX_MUST_CHECK ZMLX_API zmlx_status zmlx_session_create(const zmlx_model *model,
                                                         const zmlx_session_options *options,
                                                         zmlx_session **session);
ZMLX_API void zmlx_session_destroy(zmlx_session *session);

/* Called for every generated token with the text that became certain (whole characters; perhaps
 * empty), and once at the end with id -1 and what was held back.  Returns false to stop. */
typedef bool (*zmlx_token_fn)(int32_t id, const char *text, size_t length, void *user);

/* Called before every step of the prompt with how much of it is done.  Returns false to stop. */
typedef bool (*zmlx_prompt_fn)(size_t done, size_t count, void *user);

typedef struct zmlx_generate_options { /* zero means the default */
    size_t max_tokens;                 /* default 128 */
    float temperature;                 /* 0: the most likely token */
    size_t top_k;                      /* 0: off */
    float top_p;                       /* 0: off */
    float min_p;                       /* 0: off */
    uint64_t seed;                     /* the same seed gives the same tokens */
    const char *const *stop; /* texts that end the generation, not printed; NULL at the end */
    bool ignore_eos;
    zmlx_token_fn on_token;   /* NULL: nobody listens */
    zmlx_prompt_fn on_prompt; /* NULL: nobody listens */
    void *user;               /* for both */
} zmlx_generate_options;

typedef enum zmlx_finish {
    ZMLX_FINISH_STOP = 0,  /* an end token or a stop text */
    ZMLX_FINISH_LENGTH,    /* max_tokens or the context was reached */
    ZMLX_FINISH_CANCELLED, /* a callback said so */
} zmlx_finish;

typedef struct zmlx_generate_result {
    size_t prompt_tokens; /* fewer than given where on_prompt stopped it */
    size_t generated_tokens;
    size_t cached_tokens; /* of the prompt, found in the session's pages */
    double prefill_seconds, decode_seconds;
    zmlx_finish finish;
} zmlx_generate_result;

/* Generates after the prompt's ids.  The session keeps the pages of earlier calls: a prompt that
 * begins like an earlier one starts from them. */
ZMLX_MUST_CHECK ZMLX_API zmlx_status zmlx_session_generate(zmlx_session *session,
                                                           const zmlx_tokenizer *tokenizer,
                                                           const int32_t *prompt, size_t count,
                                                           const zmlx_generate_options *options,
                                                           zmlx_generate_result *result);

/* Receives 'rows' rows of logits f32 [rows, vocabulary]; row i follows token first + i. */
typedef zmlx_status (*zmlx_logits_fn)(size_t first, size_t rows, const float *logits, void *user);

/* The logits after every token of a fresh sequence, fed 'chunk' tokens at a time (0: as many as
 * fit a step).  They do not depend on the chunk. */
ZMLX_MUST_CHECK ZMLX_API zmlx_status zmlx_session_logits(zmlx_session *session, const int32_t *ids,
                                                         size_t count, size_t chunk,
                                                         zmlx_logits_fn on_logits, void *user);

typedef struct zmlx_perplexity {
    size_t tokens, predicted;
    double nll; /* mean negative log-likelihood of the predicted tokens, nats */
    double perplexity;
} zmlx_perplexity;

/* Over windows of 'window' tokens (a shorter last one counts), each from an empty cache; the mean
 * is over the 2nd to last token of each window. */
ZMLX_MUST_CHECK ZMLX_API zmlx_status zmlx_session_perplexity(zmlx_session *session,
                                                             const int32_t *ids, size_t count,
                                                             size_t window,
                                                             zmlx_perplexity *result);

typedef struct zmlx_validation {
    bool equal;
    size_t checked_tokens, checked_logits;
    size_t first_token, first_index; /* where they differ first */
    float fused, unfused;            /* the two values there */
} zmlx_validation;

/* Runs fused against unfused: greedy tokens and every logit, bitwise.  ids NULL: fixed
 * pseudo-random tokens. */
ZMLX_MUST_CHECK ZMLX_API zmlx_status zmlx_validate(const zmlx_model *model,
                                                   const zmlx_session_options *options,
                                                   const int32_t *ids, size_t count,
                                                   zmlx_validation *result);

#ifdef __cplusplus
}
#endif
#endif
