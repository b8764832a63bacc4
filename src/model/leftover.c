/* leftover.c - a tensor that nobody reads means that the family computes something else than the
 * checkpoint's authors: an error, unless a row here says why not. */
#include "model/leftover.h"

#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/log.h"
#include "base/text.h"
#include "model/text_part.h"

typedef zx_leftover_words occasion;

typedef bool (*fits_fn)(const zx_stored_tensor *tensor, const char *text, const occasion *when);

static bool begins(const zx_stored_tensor *tensor, const char *text, const occasion *when)
{
    (void)when;
    return strncmp(tensor->name, text, strlen(text)) == 0;
}

static bool ends(const zx_stored_tensor *tensor, const char *text, const occasion *when)
{
    const size_t length = strlen(text);
    (void)when;
    return tensor->name_length >= length &&
           strcmp(tensor->name + tensor->name_length - length, text) == 0;
}

/* The causal mask that old files hold has four dimensions; a bias has one. */
static bool is_mask(const zx_stored_tensor *tensor, const char *text, const occasion *when)
{
    return tensor->rank == 4 && ends(tensor, text, when);
}

static bool is_second_head(const zx_stored_tensor *tensor, const char *text, const occasion *when)
{
    return when->tied && begins(tensor, text, when);
}

/* The number behind 'text' and what follows its '.'; NULL where the name is another. */
static const char *behind_layer(const char *name, const char *text, size_t *layer)
{
    char *end = NULL;
    const size_t length = strlen(text);
    if (strncmp(name, text, length) != 0 || name[length] < '0' || name[length] > '9') return NULL;
    *layer = strtoul(name + length, &end, 10);
    return *end == '.' ? end + 1 : NULL;
}

/* "TEXTn." for n behind the config's layers */
static bool is_extra_layer(const zx_stored_tensor *tensor, const char *text, const occasion *when)
{
    size_t layer = 0;
    return behind_layer(tensor->name, text, &layer) != NULL && layer >= when->layers &&
           layer - when->layers < when->extra_layers;
}

/* Of a cache of keys and values in 8 bits, which the official code too only reads where it keeps
 * one. */
static bool is_cache_scale(const zx_stored_tensor *tensor, const char *text, const occasion *when)
{
    return when->foreign && ends(tensor, text, when);
}

/* "TEXTn." and keys or values of a layer that has none of its own */
static bool is_shared_cache(const zx_stored_tensor *tensor, const char *text, const occasion *when)
{
    static const char *const modules[] = {"self_attn.k_proj.", "self_attn.v_proj.",
                                          "self_attn.k_norm.", "self_attn.v_norm.",
                                          "attn_k.",           "attn_v.",
                                          "attn_k_norm."}; /* the last ones in GGUF's words */
    enum { MODULES = sizeof modules / sizeof *modules };
    char buffer[256];
    size_t layer = 0, i = 0;
    const char *name = zx_text_part_name(tensor->name, buffer, sizeof buffer);
    const char *rest = behind_layer(name, text, &layer);
    if (rest == NULL || layer >= when->layers || layer + when->shared_layers < when->layers)
        return false;
    while (i < MODULES && strncmp(rest, modules[i], strlen(modules[i])) != 0) i++;
    return i < MODULES;
}

static const char computed[] = "rope's frequencies are computed";
static const char mask[] = "masks are computed";
static const char tied[] = "the head is the embedding's table";
static const char other_input[] = "part of the inputs other than text";
static const char other_output[] = "part of the outputs other than text";
static const char shared[] = "the layer reads the keys and values of an earlier one";
static const char cache_scale[] = "queries, keys and values are kept without scales";
static const char predicts[] = "predicts further tokens, which is not done";

static const struct {
    const char *text;
    fits_fn fits;
    const char *reason;
} rows[] = {
    {"rotary_emb.inv_freq", ends, computed},
    {"rotary_pos_emb.inv_freq", ends, computed},
    {"attn_rot_embd.weight", ends, computed}, /* of GGUF */
    {".masked_bias", ends, mask},
    {".attn.bias", is_mask, mask},
    {".attention.bias", is_mask, mask},
    {".k_scale", is_cache_scale, cache_scale},
    {".v_scale", is_cache_scale, cache_scale},
    {".kv_scale", is_cache_scale, cache_scale},
    {".q_scale", is_cache_scale, cache_scale},
    {".k_proj.output_scale", is_cache_scale, cache_scale},
    {".v_proj.output_scale", is_cache_scale, cache_scale},
    {"lm_head.", is_second_head, tied},
    {"model.lm_head.", is_second_head, tied},
    {"language_model.lm_head.", is_second_head, tied},
    {"vision_tower.", begins, other_input},
    {"model.vision_tower.", begins, other_input},
    {"vision_model.", begins, other_input},
    {"model.vision_model.", begins, other_input},
    {"visual.", begins, other_input},
    {"model.visual.", begins, other_input},
    {"vision_embed_tokens.", begins, other_input},
    {"multi_modal_projector.", begins, other_input},
    {"model.multi_modal_projector.", begins, other_input},
    {"mm_projector.", begins, other_input},
    {"model.mm_projector.", begins, other_input},
    {"image_newline", begins, other_input},
    {"model.image_newline", begins, other_input},
    {"audio_tower.", begins, other_input},
    {"model.audio_tower.", begins, other_input},
    {"embed_vision.", begins, other_input},
    {"model.embed_vision.", begins, other_input},
    {"embed_audio.", begins, other_input},
    {"model.embed_audio.", begins, other_input},
    {"talker.", begins, other_output},
    {"token2wav.", begins, other_output},
    {"code2wav.", begins, other_output},
    {"mtp.", begins, predicts},
    {"model.mtp.", begins, predicts},
    {"model.mtp_layers.", begins, predicts},
    {"model.layers.", is_shared_cache, shared},
    {"model.layers.", is_extra_layer, predicts},
    {"language_model.model.layers.", is_extra_layer, predicts},
    {"blk.", is_extra_layer, predicts}, /* of GGUF */
    {"blk.", is_shared_cache, shared},
};

enum { ROWS = sizeof rows / sizeof *rows, NAMED = 3 };

static size_t find_row(const zx_stored_tensor *tensor, const occasion *when)
{
    size_t row = 0;
    while (row < ROWS && !rows[row].fits(tensor, rows[row].text, when)) row++;
    return row;
}

typedef struct leftover {
    size_t count;            /* without a row */
    size_t ignored[ROWS];    /* by row */
    const char *first[ROWS]; /* a name for each */
    zx_text names;           /* "'a', 'b', 'c'" of those without a row */
} leftover;

static zmlx_status add_name(const zx_stored_tensor *tensor, leftover *found)
{
    char shown[ZX_SHOWN_NAME];
    if (found->count++ >= NAMED) return ZMLX_OK;
    return zx_text_format(&found->names, "%s'%s'", found->names.length > 0 ? ", " : "",
                          zx_shown_name(tensor->name, tensor->name_length, shown));
}

static zmlx_status collect(const zx_checkpoint *checkpoint, const occasion *when, leftover *found)
{
    for (size_t i = 0; i < zx_checkpoint_count(checkpoint); i++) {
        bool used = false;
        const zx_stored_tensor *tensor = zx_checkpoint_tensor(checkpoint, i, &used);
        const size_t row = used ? ROWS : find_row(tensor, when);
        if (used) continue;
        if (row == ROWS) {
            ZX_TRY(add_name(tensor, found));
        } else if (found->ignored[row]++ == 0) {
            found->first[row] = tensor->name;
        }
    }
    return ZMLX_OK;
}

static void log_ignored(const zx_checkpoint *checkpoint, const leftover *found)
{
    for (size_t row = 0; row < ROWS; row++) {
        char shown[ZX_SHOWN_NAME];
        const char *name = found->first[row];
        if (name == NULL) continue;
        zx_log(ZMLX_LOG_INFO, "%s: %zu tensor%s not used ('%s'%s): %s",
               zx_checkpoint_path(checkpoint), found->ignored[row],
               found->ignored[row] > 1 ? "s are" : " is", zx_shown_name(name, strlen(name), shown),
               found->ignored[row] > 1 ? " and others" : "", rows[row].reason);
    }
}

zmlx_status zx_leftover_words_of(const zx_checkpoint *checkpoint, const zx_config *config,
                                 zx_leftover_words *words)
{
    const zx_fields fields = zx_checkpoint_fields(checkpoint);
    int64_t extra = 0;
    ZX_TRY(zx_fields_integer(&fields, "num_nextn_predict_layers", 0, 1024, &extra));
    *words = (zx_leftover_words){config->tied, config->layers, (size_t)extra, config->shared_layers,
                                 zx_checkpoint_is_foreign(checkpoint)};
    return ZMLX_OK;
}

bool zx_is_leftover(const zx_stored_tensor *tensor, const zx_leftover_words *words)
{
    return find_row(tensor, words) < ROWS;
}

zmlx_status zx_check_leftover(const zx_checkpoint *checkpoint, const zx_config *config)
{
    leftover found = {0};
    occasion when;
    ZX_TRY(zx_leftover_words_of(checkpoint, config, &when));
    zmlx_status status = collect(checkpoint, &when, &found);
    if (status == ZMLX_OK) log_ignored(checkpoint, &found);
    if (status == ZMLX_OK && found.count > 0)
        status = ZX_FAIL(ZMLX_ERROR_UNSUPPORTED,
                         "%s: %zu tensor%s that this family does not read: %s%s; expected only "
                         "those that the config describes",
                         zx_checkpoint_path(checkpoint), found.count, found.count > 1 ? "s" : "",
                         found.names.bytes, found.count > NAMED ? ", ..." : "");
    zx_text_fini(&found.names);
    return status;
}
