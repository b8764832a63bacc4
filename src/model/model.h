/* model.h - an opened model as the layers above see it. */
#ifndef ZX_MODEL_MODEL_H
#define ZX_MODEL_MODEL_H

#include "engine/verdicts.h"
#include "model/family.h"
#include "text/tokenizer.h"
#include "zmlx/model.h"
#include "zmlx/tokenizer.h"

struct zmlx_model {
    zx_checkpoint *checkpoint;
    const zx_family *family;
    zx_config config;
    zx_dtype dtype;
    zx_graph graph; /* as traced; its arena holds weights' descriptions and tables */
    zx_cache_layers layers;
    size_t parameters, weight_bytes, bytes_per_token;
    bool unfused; /* by zmlx_unfuse */
    zx_fusion_choice choice;
    bool chosen; /* whether 'choice' is to be asked; its lists lie in choice_arena */
    zx_arena choice_arena;
    const int32_t *end_ids; /* tokens that end an answer */
    size_t end_count;
};

/* The rules that sessions of the model apply, or NULL: every exact one. */
const zx_fusion_choice *zx_model_choice(const zmlx_model *model);

/* The tokenizer behind the public handle. */
const zx_tokenizer *zx_tokenizer_of(const zmlx_tokenizer *tokenizer);

#endif
