/* model.c - opening a checkpoint: family, config, trace. */
#include "model/model.h"

#include <string.h>

#include "base/fail.h"
#include "base/memory.h"
#include "engine/engine.h"
#include "engine/variants.h"
#include "model/blocks.h"
#include "model/choices.h"
#include "model/leftover.h"
#include "model/rope_config.h"
#include "model/strings.h"

/* T: the dtype of the final norm's weight where it can hold activations; f32 for GGUF. */
static zmlx_status choose_dtype(zmlx_model *model, const zmlx_model_options *options)
{
    zx_weight norm;
    ZX_TRY(zx_choose_dtype(options->dtype, "activations", ZX_F32, &model->dtype));
    if (options->dtype != ZMLX_DTYPE_DEFAULT || zx_checkpoint_is_gguf(model->checkpoint))
        return ZMLX_OK;
    ZX_TRY(zx_checkpoint_vector(model->checkpoint,
                                zx_family_names(model->family, model->checkpoint).norm,
                                model->config.hidden_size, &norm));
    model->dtype = norm.dtype;
    return ZMLX_OK;
}

/* What one decoded token reads: every matrix once, of the experts' those of the chosen, of the
 * embedding one row unless it is the head too. */
static size_t bytes_per_token(const zx_graph *graph)
{
    size_t bytes = 0;
    for (const zx_node *node = graph->first; node != NULL; node = node->next)
        for (int i = 0; i < zx_ops[node->op].inputs; i++) {
            const zx_weight *weight = node->inputs[i].node->weight;
            if (weight == NULL || node->op == ZX_OP_EMBED) continue;
            const size_t all = zx_weight_bytes(weight);
            bytes += node->op == ZX_OP_EXPERT_MATMUL
                         ? all / weight->count * zx_value_type(node->inputs[1])->columns
                         : all;
        }
    return bytes;
}

/* A table for each type of layer that attends. */
static zmlx_status build_ropes(zmlx_model *model, zx_rope ropes[ZX_LAYER_TYPES])
{
    for (size_t type = ZX_LAYER_FULL; type <= ZX_LAYER_SLIDING; type++) {
        zx_rope_settings settings;
        ZX_TRY(zx_family_rope(model->family, model->checkpoint, &model->config, (zx_layer_type)type,
                              &model->graph.arena, &settings));
        ZX_TRY(zx_rope_create(&settings, &model->graph.arena, &ropes[type]));
    }
    return ZMLX_OK;
}

static zmlx_status trace(zmlx_model *model, const zmlx_model_options *options)
{
    zx_rope *ropes = NULL;
    void *memory = NULL;
    ZX_TRY(zx_arena_alloc(&model->graph.arena, ZX_LAYER_TYPES * sizeof *ropes, &memory));
    ropes = memory;
    ZX_TRY(build_ropes(model, ropes));
    zx_trace trace = {.checkpoint = model->checkpoint,
                      .family = model->family,
                      .config = &model->config,
                      .graph = &model->graph,
                      .dtype = model->dtype,
                      .mlx_cpu_decode = options->mlx_cpu_decode,
                      .ropes = ropes};
    ZX_TRY(zx_trace_model(&trace));
    model->layers = (zx_cache_layers){trace.kv_layers, trace.kv_layer_count, trace.state_layers,
                                      trace.state_layer_count};
    model->parameters = trace.parameters;
    model->weight_bytes = trace.weight_bytes;
    model->bytes_per_token = bytes_per_token(&model->graph);
    return zx_graph_sort(&model->graph);
}

static zmlx_status open_parts(const char *path, const zmlx_model_options *options,
                              zmlx_model *model)
{
    ZX_TRY(zx_checkpoint_open(path, &model->checkpoint));
    ZX_TRY(zx_family_find(model->checkpoint, &model->family));
    ZX_TRY(zx_config_read(model->family, model->checkpoint, &model->config));
    ZX_TRY(choose_dtype(model, options));
    ZX_TRY(trace(model, options));
    ZX_TRY(zx_check_leftover(model->checkpoint, &model->config));
    zx_checkpoint_end_ids(model->checkpoint, &model->end_ids, &model->end_count);
    return ZMLX_OK;
}

zmlx_status zmlx_model_open(const char *path, const zmlx_model_options *options, zmlx_model **model)
{
    static const zmlx_model_options defaults;
    void *memory = NULL;
    ZX_TRY(zx_alloc(sizeof(zmlx_model), "model", &memory));
    const zmlx_status status = open_parts(path, options != NULL ? options : &defaults, memory);
    if (status == ZMLX_OK)
        *model = memory;
    else
        zmlx_model_close(memory);
    return status;
}

void zmlx_model_close(zmlx_model *model)
{
    if (model == NULL) return;
    zx_graph_fini(&model->graph);
    zx_arena_reset(&model->choice_arena);
    zx_checkpoint_close(model->checkpoint);
    zx_free(model);
}

void zmlx_model_describe(const zmlx_model *model, zmlx_model_info *info)
{
    *info = (zmlx_model_info){
        .path = zx_checkpoint_path(model->checkpoint),
        .architecture = model->family->architectures[0],
        .dtype = zx_public_dtype(model->dtype),
        .layers = model->config.layers,
        .hidden_size = model->config.hidden_size,
        .vocabulary = model->config.vocabulary,
        .context_length = model->config.context_length,
        .parameters = model->parameters,
        .weight_bytes = model->weight_bytes,
        .bytes_per_token = model->bytes_per_token,
    };
}

zmlx_status zmlx_model_print_graph(const zmlx_model *model, const zmlx_graph_options *options,
                                   zmlx_string *text)
{
    static const zmlx_graph_options defaults;
    zx_precision precision;
    zx_graph graph;
    zx_text printed = {0};
    if (options == NULL) options = &defaults;
    *text = (zmlx_string){0};
    ZX_TRY(zx_choose_precision(options->precision, &precision));
    const zx_engine_options how = {.precision = precision,
                                   .no_fuse = options->no_fuse || model->unfused,
                                   .choice = zx_model_choice(model)};
    ZX_TRY(zx_engine_graph(&model->graph, &how, &graph));
    const zmlx_status status =
        options->dot ? zx_graph_print_dot(&graph, &printed) : zx_graph_print(&graph, &printed);
    zx_graph_fini(&graph);
    if (status == ZMLX_OK) zx_string_give(&printed, text);
    zx_text_fini(&printed);
    return status;
}
