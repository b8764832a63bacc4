/* options.h - how a traced graph is made runnable. */
#ifndef ZX_ENGINE_OPTIONS_H
#define ZX_ENGINE_OPTIONS_H

#include "engine/plan.h"
#include "engine/verdicts.h"

typedef struct zx_engine_options {
    size_t threads; /* at least 1 */
    zx_precision precision;
    zx_dtype kv_dtype;
    bool no_fuse;
    const zx_fusion_choice *choice; /* NULL: every exact rule; read by zx_engine_create alone */
    size_t pages;                   /* of keys and values, for all sequences together */
    size_t slots;                   /* of recurrent state; 0: zx_cache_usual_slots */
    zx_plan_limits limits;          /* of one step */
} zx_engine_options;

#endif
