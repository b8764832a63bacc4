/* leftover_test.c - a tensor that nobody reads is an error, or has a reason that is logged. */
#include <stdio.h>
#include <string.h>

#include "base/test.h"
#include "model/make_files.h"
#include "zmlx/model.h"
#include "zmlx/runtime.h"

/* A llama of one layer: hidden 8, one head, ff 8, four tokens. */
static const struct {
    const char *name, *shape;
    size_t floats;
} llama[] = {
    {"model.embed_tokens.weight", "[4,8]", 32},
    {"model.layers.0.input_layernorm.weight", "[8]", 8},
    {"model.layers.0.self_attn.q_proj.weight", "[8,8]", 64},
    {"model.layers.0.self_attn.k_proj.weight", "[8,8]", 64},
    {"model.layers.0.self_attn.v_proj.weight", "[8,8]", 64},
    {"model.layers.0.self_attn.o_proj.weight", "[8,8]", 64},
    {"model.layers.0.post_attention_layernorm.weight", "[8]", 8},
    {"model.layers.0.mlp.gate_proj.weight", "[8,8]", 64},
    {"model.layers.0.mlp.up_proj.weight", "[8,8]", 64},
    {"model.layers.0.mlp.down_proj.weight", "[8,8]", 64},
    {"model.norm.weight", "[8]", 8},
};

static const char config[] =
    "{\"architectures\":[\"LlamaForCausalLM\"],\"hidden_size\":8,\"intermediate_size\":8,"
    "\"num_hidden_layers\":1,\"num_attention_heads\":1,\"vocab_size\":4,"
    "\"tie_word_embeddings\":true,\"num_nextn_predict_layers\":2}";

static bool add_tensor(zx_text *header, const char *name, const char *shape, size_t floats,
                       size_t *at)
{
    const size_t begin = *at;
    *at += floats * sizeof(float);
    return zx_text_format(header,
                          "%s\"%s\":{\"dtype\":\"F32\",\"shape\":%s,\"data_offsets\":[%zu,%zu]}",
                          begin > 0 ? "," : "", name, shape, begin, *at) == ZMLX_OK;
}

/* What a sign before an extra tensor's name stands for; without one it is a float. */
static const struct {
    char sign;
    const char *shape;
    size_t floats;
} kinds[] = {
    {'4', "[1,1,1,1]", 1},
    {'=', "[4,8]", 32}, /* the embedding's table again */
    {'~', "[4,8]", 32}, /* another table */
    {'\0', "[1]", 1},
};

static size_t kind_of(const char *name)
{
    size_t kind = 0;
    while (kinds[kind].sign != '\0' && kinds[kind].sign != *name) kind++;
    return kind;
}

/* The llama and further tensors. */
static bool put_llama(const char *folder, const char *const extra[], size_t count)
{
    zx_text header = {0}, bytes = {0};
    size_t at = 0;
    bool good = zx_text_add_string(&header, "{") == ZMLX_OK;
    for (size_t i = 0; i < sizeof llama / sizeof *llama; i++)
        good = good && add_tensor(&header, llama[i].name, llama[i].shape, llama[i].floats, &at);
    for (size_t i = 0; i < count; i++) {
        const size_t kind = kind_of(extra[i]);
        good = good && add_tensor(&header, extra[i] + (kinds[kind].sign != '\0' ? 1 : 0),
                                  kinds[kind].shape, kinds[kind].floats, &at);
    }
    good = good && zx_text_add_string(&header, "}") == ZMLX_OK &&
           zx_make_safetensors(&bytes, header.bytes, at);
    if (good && count == 1 && *extra[0] == '=')
        memcpy(bytes.bytes + bytes.length - 128, bytes.bytes + bytes.length - at, 128);
    good = good &&
           zx_write_text(zx_in_folder(folder, "model.safetensors"), bytes.bytes, bytes.length) &&
           zx_put_file(folder, "config.json", config);
    zx_text_fini(&header);
    zx_text_fini(&bytes);
    return good;
}

static zmlx_status open_and_close(const char *folder)
{
    zmlx_model *model = NULL;
    const zmlx_status status = zmlx_model_open(folder, NULL, &model);
    zmlx_model_close(model);
    return status;
}

typedef struct heard {
    size_t lines;
    char last[400];
} heard;

static void hear(zmlx_log_level level, const char *line, void *user)
{
    heard *all = user;
    if (level != ZMLX_LOG_INFO) return;
    all->lines++;
    (void)snprintf(all->last, sizeof all->last, "%s", line);
}

/* What a row ignores, and the reason in its line; NULL: an error. */
static const struct {
    const char *name, *reason;
} cases[] = {
    {"model.layers.0.self_attn.rotary_emb.inv_freq", "rope's frequencies are computed"},
    {"rotary_emb.inv_freq", "rope's frequencies are computed"},
    {"lm_head.weight", "the head is the embedding's table"},
    {"=lm_head.weight", "the head is the embedding's table"},
    {"lm_head.scales", "the head is the embedding's table"},
    {"4h.0.attn.bias", "masks are computed"},
    {"h.0.attn.masked_bias", "masks are computed"},
    {"model.visual.blocks.0.norm1.weight", "part of the inputs other than text"},
    {"image_newline", "part of the inputs other than text"},
    {"audio_tower.conv1.weight", "part of the inputs other than text"},
    {"mtp.fc.weight", "predicts further tokens, which is not done"},
    {"model.layers.1.mlp.gate_proj.weight", "predicts further tokens, which is not done"},
    {"model.layers.2.eh_proj.weight", "predicts further tokens, which is not done"},
    {"model.layers.3.eh_proj.weight", NULL}, /* more layers than the config names */
    {"model.layers.0.self_attn.q_norm.weight", NULL},
    {"model.layers.0.mlp.gate_proj.weight_scale_inv", NULL},
    {"h.0.attn.bias", NULL}, /* a true bias */
    {"model.layers.x.weight", NULL},
    {"lm_headless.weight", NULL},
};

static void judges_each(const char *folder)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        heard all = {0};
        char message[300];
        const char *name = cases[i].name, *reason = cases[i].reason;
        CHECK(put_llama(folder, &cases[i].name, 1));
        zmlx_set_log(hear, &all);
        const zmlx_status status = open_and_close(folder);
        zmlx_set_log(NULL, NULL);
        CHECK_ON(name, status == (reason != NULL ? ZMLX_OK : ZMLX_ERROR_UNSUPPORTED));
        CHECK_ON(name, all.lines == (reason != NULL ? 1 : 0));
        const char *own = name + strspn(name, "4=");
        if (reason != NULL)
            (void)snprintf(message, sizeof message, "('%s'): %s", own, reason);
        else
            (void)snprintf(message, sizeof message, "1 tensor that this family does not read: '%s'",
                           own);
        const char *said = reason != NULL ? all.last : zmlx_error_message();
        CHECK_ON(said, strstr(said, message) != NULL);
    }
}

TEST(leftover_tensors_are_errors_or_have_a_reason)
{
    zx_with_folder(judges_each);
}

/* The official code ties nothing where the file's head differs from the table. */
static void uses_a_head(const char *folder)
{
    static const char *const other[] = {"~lm_head.weight"};
    heard all = {0};
    CHECK(put_llama(folder, other, 1));
    zmlx_set_log(hear, &all);
    const zmlx_status status = open_and_close(folder);
    zmlx_set_log(NULL, NULL);
    CHECK(status == ZMLX_OK && all.lines == 0);
}

TEST(a_head_of_its_own_is_used_though_the_config_says_tied)
{
    zx_with_folder(uses_a_head);
}

static void counts_them(const char *folder)
{
    static const char *const extra[] = {"a", "b", "lm_head.weight", "c", "d"};
    heard all = {0};
    CHECK(put_llama(folder, NULL, 0));
    CHECK(open_and_close(folder) == ZMLX_OK);
    CHECK(put_llama(folder, extra, 5));
    CHECK(open_and_close(folder) == ZMLX_ERROR_UNSUPPORTED);
    CHECK(strstr(zmlx_error_message(), "4 tensors that this family does not read: ") != NULL);
    CHECK(strstr(zmlx_error_message(), ", ...; expected only") != NULL);
    static const char *const towers[] = {"visual.a", "visual.b"};
    CHECK(put_llama(folder, towers, 2));
    zmlx_set_log(hear, &all);
    const zmlx_status status = open_and_close(folder);
    zmlx_set_log(NULL, NULL);
    CHECK(status == ZMLX_OK && all.lines == 1);
    CHECK(strstr(all.last, "2 tensors are not used ('visual.") != NULL);
}

TEST(leftover_tensors_are_counted)
{
    zx_with_folder(counts_them);
}

/* The official Llama leaves out a bias that its config does not name; a bias that is there is used
 * here. */
static void refuses_biases(const char *folder)
{
    static const char *const attention[] = {"model.layers.0.self_attn.v_proj.bias"};
    static const char *const mlp[] = {"model.layers.0.mlp.up_proj.bias"};
    CHECK(put_llama(folder, attention, 1));
    CHECK(open_and_close(folder) == ZMLX_ERROR_FORMAT);
    CHECK(strstr(zmlx_error_message(),
                 "v_proj.bias' is there, but config key 'attention_bias' is") != NULL);
    CHECK(put_llama(folder, mlp, 1));
    CHECK(open_and_close(folder) == ZMLX_ERROR_FORMAT);
    CHECK(strstr(zmlx_error_message(), "up_proj.bias' is there, but config key 'mlp_bias' is") !=
          NULL);
}

TEST(leftover_biases_are_refused_where_the_config_has_none)
{
    zx_with_folder(refuses_biases);
}
