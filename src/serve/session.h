/* session.h - what the files of serve/ share about a session. */
#ifndef ZX_SERVE_SESSION_H
#define ZX_SERVE_SESSION_H

#include "engine/engine.h"
#include "model/model.h"
#include "serve/sampler.h"
#include "zmlx/session.h"

struct zmlx_session {
    const zmlx_model *model;
    zx_engine *engine;
    size_t context;
    bool context_given;   /* by the caller: then it is the length every sequence is opened for */
    zx_sequence sequence; /* of the last generation; open from one to the next */
    zx_sampler sampler;
};

/* The engine's options that a session's options mean for this model. */
ZMLX_MUST_CHECK zmlx_status zx_session_resolve(const zmlx_model *model,
                                               const zmlx_session_options *options,
                                               zx_engine_options *resolved, size_t *context);

/* Whether the machine has room for sessions of all these options at once; nothing is loaded.
 * ZMLX_ERROR_MEMORY, with the figures, where it has not.  Weights are shared. */
ZMLX_MUST_CHECK zmlx_status zx_session_check_together(const zmlx_model *model,
                                                      const zmlx_session_options options[],
                                                      size_t count);

/* Fails where an id is outside the vocabulary (naming its place), where there are none, or more
 * than the context holds. */
ZMLX_MUST_CHECK zmlx_status zx_session_check_ids(const zmlx_session *session, const int32_t *ids,
                                                 size_t count);

/* Begins a fresh sequence; with 'reuse' it starts from pages that hold a prefix of the ids.
 * 'length' is what it may grow to, for ropes that depend on it; 0: the session's context. */
ZMLX_MUST_CHECK zmlx_status zx_session_begin(zmlx_session *session, const int32_t *ids,
                                             size_t count, size_t length, bool reuse);

/* Feeds ids to the present sequence, as many a step as fit; the logits of the last one are then row
 * 0. */
ZMLX_MUST_CHECK zmlx_status zx_session_feed(zmlx_session *session, const int32_t *ids,
                                            size_t count);
/* The same, asking 'on_step' before every step; where it says no the sequence stays shorter. */
ZMLX_MUST_CHECK zmlx_status zx_session_feed_watched(zmlx_session *session, const int32_t *ids,
                                                    size_t count, zmlx_prompt_fn on_step,
                                                    void *user);

#endif
