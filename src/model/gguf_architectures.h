/* gguf_architectures.h - what the converters of llama.cpp make of each family: a row for every
 * general.architecture, and more than one where a metadata key tells families apart.
 *
 * Adding a family is a row, and names of tensors or keys where it has words of its own. */
#ifndef ZX_MODEL_GGUF_ARCHITECTURES_H
#define ZX_MODEL_GGUF_ARCHITECTURES_H

#include <jansson.h>

#include "base/text.h"
#include "model/gguf.h"

/* A tensor's name in both words, below its layer or outside the layers.  A row without a '.' in
 * GGUF's word stands for a module, whose suffix (".weight", ".bias") stays, unless an '=' stands
 * before it: such a tensor has no suffix. */
typedef struct zx_gguf_name {
    const char *gguf, *hub;
} zx_gguf_name;

typedef struct zx_gguf_architecture {
    const char *name; /* general.architecture */
    const char *hub;  /* the class of transformers */
    const char *when; /* the row holds where this key below the name is not 0; NULL: always */

    /* Before the usual names, GGUF NULL at the end; NULL: none. */
    const zx_gguf_name *top_names, *layer_names;
    const char *layers; /* what stands before a layer's number; NULL: "model.layers." */

    bool interleaved;   /* rope turns neighbours (2i, 2i + 1): rows of q and k are ordered so */
    bool sliding_plain; /* sliding layers have a rope of their own, without any scaling, */
    double
        sliding_theta; /* of this base where rope.freq_base_swa is not there; 0: rope.freq_base */

    const char *needs;    /* "a|b": keys that must be there, besides those of every family */
    uint32_t gating;      /* expert_gating_func, where it is written; 0: any */
    const char *settings; /* config.json's keys (JSON) that hold unless the metadata sets them */
    /* Sets what no row can. */
    zmlx_status (*finish)(const zx_gguf *gguf, const char *name, json_t *config);
} zx_gguf_architecture;

/* The file's row; NULL where its architecture is not known. */
ZMLX_MUST_CHECK zmlx_status zx_gguf_architecture_of(const zx_gguf *gguf,
                                                    const zx_gguf_architecture **architecture);

/* Adds the names of all known ones, "a, b, c". */
ZMLX_MUST_CHECK zmlx_status zx_gguf_known_architectures(zx_text *text);

/* "NAME.WORD": a key that carries the architecture's name. */
enum { ZX_GGUF_KEY = 160 };
void zx_gguf_key(const char *name, const char *word, char key[ZX_GGUF_KEY]);

/* A string value that holds text; empty where it is absent. */
enum { ZX_GGUF_WORD = 64 };
ZMLX_MUST_CHECK zmlx_status zx_gguf_word(const zx_gguf *gguf, const char *key,
                                         char text[ZX_GGUF_WORD]);

/* Whether a tensor's name ends so. */
bool zx_gguf_has_tensor(const zx_gguf *gguf, const char *ending);

/* Sets a key of the config; 'value' is given away. */
ZMLX_MUST_CHECK zmlx_status zx_gguf_set(const zx_gguf *gguf, json_t *object, const char *key,
                                        json_t *value);

#endif
