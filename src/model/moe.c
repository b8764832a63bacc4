#include "model/moe.h"

#include <stdio.h>

#include "base/fail.h"
#include "model/experts.h"

enum { MOST_EXPERTS = 4096, MOST_CHOSEN = 256 };

const zx_router zx_router_softmax = {.scores = ZX_OP_SOFTMAX};
const zx_router zx_router_chosen = {.scores = ZX_OP_TOPK, .softmax_of_chosen = true};
const zx_router zx_router_sigmoid = {
    .scores = ZX_OP_SIGMOID_SCORES, .bias = "gate.e_score_correction_bias", .epsilon = 1e-20F};
const zx_router zx_router_lfm2 = {
    .scores = ZX_OP_SIGMOID_SCORES, .bias = "expert_bias", .epsilon = 1e-6F};

zx_moe zx_moe_usual(const zx_trace *trace, const zx_router *router)
{
    const zx_config *config = trace->config;
    return (zx_moe){.modules = {"mlp", "block_sparse_moe", NULL},
                    .gate = "gate",
                    .router = router,
                    .experts = config->experts,
                    .top_k = config->experts_per_token,
                    .size = config->expert_size,
                    .normalize = config->normalize_weights,
                    .scale = config->router_scale,
                    .groups = config->groups,
                    .top_groups = config->top_groups,
                    .shared_size = config->shared_size};
}

zmlx_status zx_moe_check(const zx_checkpoint *checkpoint, zx_config *config)
{
    const size_t experts = config->experts, chosen = config->experts_per_token;
    if (config->expert_size == 0) config->expert_size = config->intermediate_size;
    if (experts == 0 || experts > MOST_EXPERTS)
        return zx_config_refuse(checkpoint, "num_experts|num_local_experts|n_routed_experts",
                                experts, "1 to 4096");
    if (chosen == 0 || chosen > experts || chosen > MOST_CHOSEN)
        return zx_config_refuse(checkpoint, "num_experts_per_tok|top_k_experts|experts_per_token",
                                chosen, "1 to the count of experts, at most 256");
    if (config->groups <= 1) config->groups = config->top_groups = 0;
    if (config->groups == 0) return ZMLX_OK;
    if (experts % config->groups != 0)
        return zx_config_refuse(checkpoint, "n_group", config->groups,
                                "a divisor of the count of experts");
    if (config->top_groups == 0 || config->top_groups > config->groups)
        return zx_config_refuse(checkpoint, "topk_group", config->top_groups,
                                "1 to the count of groups");
    if (chosen > experts / config->groups * config->top_groups)
        return zx_config_refuse(checkpoint, "num_experts_per_tok", chosen,
                                "at most the experts of topk_group groups");
    return ZMLX_OK;
}

/* The node of an op without weights. */
static zmlx_status add(zx_trace *trace, zx_op op, zx_value first, zx_value second,
                       zx_attributes attributes, zx_value *y)
{
    return zx_graph_add(trace->graph, op, (zx_value[]){first, second}, &attributes, y);
}

/* The weight of a chosen expert times a factor that the model has for it. */
static zmlx_status scale_experts(zx_trace *trace, const zx_moe *moe, zx_value indices,
                                 zx_value *weights)
{
    zx_value factors;
    if (moe->expert_scale == NULL) return ZMLX_OK;
    ZX_TRY(zx_block_vector(trace, moe->expert_scale, moe->experts, &factors));
    ZX_TRY(add(trace, ZX_OP_GATHER_SCORES, factors, indices, (zx_attributes){0}, &factors));
    return add(trace, ZX_OP_MUL, *weights, factors, (zx_attributes){0}, weights);
}

/* Which experts, and their weights. */
static zmlx_status route(zx_trace *trace, zx_value x, const zx_moe *moe, zx_value *indices,
                         zx_value *weights)
{
    const zx_router *router = moe->router;
    const zx_value none = {0};
    zx_value scores, choice, bias;
    ZX_TRY(zx_block_linear(trace, x, moe->gate, moe->experts, &scores));
    if (router->scores != ZX_OP_TOPK)
        ZX_TRY(add(trace, router->scores, scores, none, (zx_attributes){0}, &scores));
    choice = scores;
    if (router->bias != NULL) {
        ZX_TRY(zx_block_vector(trace, router->bias, moe->experts, &bias));
        ZX_TRY(add(trace, ZX_OP_ADD_ROW, choice, bias, (zx_attributes){0}, &choice));
    }
    const zx_attributes groups = {.groups = (uint32_t)moe->groups,
                                  .top_groups = (uint32_t)moe->top_groups};
    if (moe->groups > 0) ZX_TRY(add(trace, ZX_OP_GROUP_LIMIT, choice, none, groups, &choice));
    const zx_attributes top = {.top_k = (uint32_t)moe->top_k};
    ZX_TRY(add(trace, ZX_OP_TOPK, choice, none, top, indices));
    ZX_TRY(add(trace, ZX_OP_GATHER_SCORES, scores, *indices, (zx_attributes){0}, weights));
    if (router->softmax_of_chosen)
        ZX_TRY(add(trace, ZX_OP_SOFTMAX, *weights, none, (zx_attributes){0}, weights));
    const zx_attributes normalize = {.epsilon = router->epsilon};
    if (moe->normalize) ZX_TRY(add(trace, ZX_OP_NORMALIZE, *weights, none, normalize, weights));
    ZX_TRY(zx_block_scale(trace, *weights, moe->scale, weights));
    return scale_experts(trace, moe, *indices, weights);
}

static zmlx_status multiply(zx_trace *trace, const zx_moe *moe, zx_projection projection,
                            zx_value x, zx_value indices, zx_value *y)
{
    static const char *const names[] = {"experts.gate_proj", "experts.up_proj",
                                        "experts.down_proj"};
    const size_t hidden = trace->config->hidden_size;
    const bool down = projection == ZX_PROJECTION_DOWN;
    const zx_expert_request request = {.module = trace->graph->path,
                                       .projection = projection,
                                       .count = moe->experts,
                                       .rows = down ? hidden : moe->size,
                                       .columns = down ? moe->size : hidden,
                                       .transposed = moe->transposed};
    char name[ZX_MODULE_NAME];
    void *memory = NULL;
    zx_value value;
    ZX_TRY(zx_arena_alloc(&trace->graph->arena, sizeof(zx_weight), &memory));
    zx_weight *weight = memory;
    ZX_TRY(zx_checkpoint_experts(trace->checkpoint, &request, &trace->graph->arena, weight));
    weight->mlx_cpu_decode = trace->mlx_cpu_decode;
    zx_block_name(trace, names[projection], name);
    ZX_TRY(zx_block_weight(trace, name, weight, &value));
    return zx_graph_add(trace->graph, ZX_OP_EXPERT_MATMUL, (zx_value[]){x, indices, value}, NULL,
                        y);
}

/* The chosen experts' outputs, one behind the other. */
static zmlx_status run_experts(zx_trace *trace, zx_value x, const zx_moe *moe, zx_value indices,
                               zx_value *y)
{
    zx_value gate, up;
    ZX_TRY(multiply(trace, moe, ZX_PROJECTION_GATE, x, indices, &gate));
    ZX_TRY(multiply(trace, moe, ZX_PROJECTION_UP, x, indices, &up));
    const zx_attributes clamp = {.limit = moe->limit, .alpha = moe->alpha};
    if (moe->limit > 0)
        ZX_TRY(add(trace, ZX_OP_CLAMPED_GLU, gate, up, clamp, &gate));
    else
        ZX_TRY(zx_block_gate(trace, gate, up, trace->config->activation, &gate));
    return multiply(trace, moe, ZX_PROJECTION_DOWN, gate, indices, y);
}

static zmlx_status add_shared(zx_trace *trace, zx_value x, const zx_moe *moe, zx_value *y)
{
    zx_value shared, gate;
    if (moe->shared == NULL) return ZMLX_OK;
    ZX_TRY(zx_block_glu(trace, x, moe->shared, moe->shared_size, &shared));
    if (moe->shared_gate != NULL) {
        ZX_TRY(zx_block_linear(trace, x, moe->shared_gate, 1, &gate));
        ZX_TRY(zx_block_activation(trace, gate, ZX_ACTIVATION_SIGMOID, &gate));
        ZX_TRY(add(trace, ZX_OP_MUL_ROWS, shared, gate, (zx_attributes){0}, &shared));
    }
    return zx_block_add(trace, *y, shared, y);
}

/* Mixtral's block has a name of its own in some files and the usual one in others. */
static const char *module_of(const zx_trace *trace, const zx_moe *moe)
{
    char module[ZX_MODULE_NAME], name[2 * ZX_MODULE_NAME];
    for (size_t i = 0; moe->modules[i] != NULL; i++) {
        zx_block_name(trace, moe->modules[i], module);
        (void)snprintf(name, sizeof name, "%s.%s.weight", module, moe->gate);
        if (zx_checkpoint_find(trace->checkpoint, name) != NULL) return moe->modules[i];
    }
    return moe->modules[0];
}

zmlx_status zx_block_moe(zx_trace *trace, zx_value x, const zx_moe *moe, zx_value *y)
{
    const char *outer = NULL;
    zx_value indices, weights, parts;
    const zx_value scored = moe->scored.node != NULL ? moe->scored : x;
    ZX_TRY(zx_block_enter(trace, module_of(trace, moe), &outer));
    ZX_TRY(route(trace, scored, moe, &indices, &weights));
    ZX_TRY(run_experts(trace, x, moe, indices, &parts));
    ZX_TRY(add(trace, ZX_OP_COMBINE, parts, weights, (zx_attributes){0}, y));
    ZX_TRY(add_shared(trace, x, moe, y));
    zx_block_leave(trace, outer);
    return ZMLX_OK;
}
