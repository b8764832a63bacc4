/* run.c - opening models and sessions, sampling options, conversations, Ctrl-C. */
#include "cli/run.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/output.h"
#include "cli/progress.h"

const char zx_cli_model_help[] =
    "a folder in MLX or Hugging Face format, a .gguf file, or a name in the local hub cache";

const zx_cli_option zx_cli_sampling_rows[] = {
    {.name = "temp",
     .kind = ZX_CLI_REAL,
     .argument = "T",
     .help = "temperature; 0 takes the most likely token",
     .offset = offsetof(zx_cli_sampling, temperature),
     .value = "0"},
    {.name = "top-k",
     .kind = ZX_CLI_SIZE,
     .argument = "K",
     .help = "choose among the K most likely tokens; 0: off",
     .offset = offsetof(zx_cli_sampling, top_k)},
    {.name = "top-p",
     .kind = ZX_CLI_REAL,
     .argument = "P",
     .help = "choose among the most likely tokens that together reach P; 0 or 1: off",
     .offset = offsetof(zx_cli_sampling, top_p),
     .maximum = 1},
    {.name = "min-p",
     .kind = ZX_CLI_REAL,
     .argument = "P",
     .help = "drop tokens less likely than P times the most likely one; 0: off",
     .offset = offsetof(zx_cli_sampling, min_p),
     .maximum = 1},
    {.name = "seed",
     .kind = ZX_CLI_SEED,
     .argument = "N",
     .help = "the same seed gives the same tokens",
     .offset = offsetof(zx_cli_sampling, seed),
     .value = "0"},
    {.name = "stop",
     .kind = ZX_CLI_LIST,
     .argument = "TEXT",
     .help = "end before this text",
     .offset = offsetof(zx_cli_sampling, stop)},
    {.name = "ignore-eos",
     .kind = ZX_CLI_FLAG,
     .help = "go on after an end token",
     .offset = offsetof(zx_cli_sampling, ignore_eos)},
    {.name = "system",
     .kind = ZX_CLI_STRING,
     .argument = "TEXT",
     .help = "a system message before the first one",
     .offset = offsetof(zx_cli_sampling, system)},
    {.name = "no-fuse",
     .kind = ZX_CLI_FLAG,
     .help = "run the graph as traced, without fusions",
     .offset = offsetof(zx_cli_sampling, no_fuse)},
    {.name = NULL},
};

int zx_cli_open_tokenizer(zx_cli_run *run, const char *path)
{
    const zmlx_status status = zmlx_tokenizer_open(path, &run->tokenizer);
    return status == ZMLX_OK ? ZX_CLI_OK : zx_cli_fail_library(run->common, status);
}

int zx_cli_open_model(zx_cli_run *run, const char *path)
{
    const zmlx_model_options options = {.dtype = (zmlx_dtype)run->common->dtype,
                                        .mlx_cpu_decode = run->common->decode == 1};
    const zmlx_status status = zmlx_model_open(path, &options, &run->model);
    if (status != ZMLX_OK) return zx_cli_fail_library(run->common, status);
    zmlx_model_describe(run->model, &run->info);
    return ZX_CLI_OK;
}

zmlx_session_options zx_cli_session_options(const zx_cli_common *common, const zx_cli_needs *needs)
{
    return (zmlx_session_options){
        .device = common->device,
        .threads = common->threads,
        .precision = (zmlx_precision)common->precision,
        .kv = (zmlx_dtype)common->kv,
        .no_fuse = needs->no_fuse,
        .context = needs->context,
        .chunk = needs->chunk,
    };
}

int zx_cli_open_session(zx_cli_run *run, const zx_cli_needs *needs)
{
    const zmlx_session_options options = zx_cli_session_options(run->common, needs);
    const zmlx_status status = zmlx_session_create(run->model, &options, &run->session);
    return status == ZMLX_OK ? ZX_CLI_OK : zx_cli_fail_library(run->common, status);
}

void zx_cli_close(zx_cli_run *run)
{
    zmlx_session_destroy(run->session);
    zmlx_model_close(run->model);
    zmlx_tokenizer_close(run->tokenizer);
    *run = (zx_cli_run){.common = run->common};
}

int zx_cli_check_context(const zx_cli_run *run, const char *option, size_t count)
{
    const size_t most = run->info.context_length;
    if (most == 0 || count <= most) return ZX_CLI_OK;
    return zx_cli_fail(run->common, ZMLX_ERROR_ARGUMENT,
                       "%s: %zu tokens are more than the %zu of the model's context (%s)", option,
                       count, most, run->info.path);
}

zmlx_generate_options zx_cli_generate_options(const zx_cli_sampling *sampling)
{
    return (zmlx_generate_options){
        .max_tokens = sampling->tokens,
        .temperature = sampling->temperature,
        .top_k = sampling->top_k,
        .top_p = sampling->top_p,
        .min_p = sampling->min_p,
        .seed = sampling->seed,
        .stop = sampling->stop.count > 0 ? sampling->stop.items : NULL,
        .ignore_eos = sampling->ignore_eos,
    };
}

bool zx_cli_add_message(json_t *messages, const char *role, const char *text, size_t length)
{
    json_t *message =
        json_pack("{s:s, s:o}", "role", role, "content", zx_cli_json_text(text, length));
    return message != NULL && json_array_append_new(messages, message) == 0;
}

int zx_cli_encode_conversation(const zx_cli_run *run, json_t *messages, zmlx_ids *ids)
{
    zmlx_string prompt = {0};
    json_t *conversation = json_pack("{s:O}", "messages", messages);
    char *text = conversation != NULL ? json_dumps(conversation, 0) : NULL;
    json_decref(conversation);
    if (text == NULL)
        return zx_cli_fail(run->common, ZMLX_ERROR_MEMORY, "the messages do not fit in memory");
    const zmlx_template_options options = {0};
    zmlx_status status =
        zmlx_tokenizer_render(run->tokenizer, text, strlen(text), &options, &prompt);
    free(text);
    /* The template writes the special tokens itself. */
    if (status == ZMLX_OK)
        status = zmlx_tokenizer_encode(run->tokenizer, prompt.bytes, prompt.length, false, ids);
    zmlx_string_free(&prompt);
    return status == ZMLX_OK ? ZX_CLI_OK : zx_cli_fail_library(run->common, status);
}

void zx_cli_print_speed(const zx_cli_common *common, const zmlx_generate_result *result)
{
    if (common->quiet) return;
    const size_t fed = result->prompt_tokens - result->cached_tokens;
    /* The first token comes with the prompt. */
    const size_t decoded = result->generated_tokens > 0 ? result->generated_tokens - 1 : 0;
    zx_cli_progress_clear();
    (void)fprintf(stderr, "prompt %zu tokens", result->prompt_tokens);
    if (result->cached_tokens > 0) (void)fprintf(stderr, " (%zu known)", result->cached_tokens);
    if (result->prefill_seconds > 0)
        (void)fprintf(stderr, ", %.1f tokens/s", (double)fed / result->prefill_seconds);
    (void)fprintf(stderr, "; answer %zu tokens", result->generated_tokens);
    if (decoded > 0 && result->decode_seconds > 0)
        (void)fprintf(stderr, ", %.1f tokens/s", (double)decoded / result->decode_seconds);
    (void)fprintf(stderr, " (%s)\n", zx_cli_finish_reason(result->finish));
}

const char *zx_cli_finish_reason(zmlx_finish finish)
{
    static const char *const reasons[] = {"stop", "length", "cancelled"};
    return reasons[finish];
}

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal_number)
{
    (void)signal_number;
    interrupted = 1;
}

void zx_cli_catch_interrupt(void)
{
    struct sigaction action = {.sa_handler = on_interrupt};
    (void)sigemptyset(&action.sa_mask);
    action.sa_flags = (int)SA_RESETHAND;
    interrupted = 0;
    (void)sigaction(SIGINT, &action, NULL);
}

bool zx_cli_interrupted(void)
{
    return interrupted != 0;
}

void zx_cli_release_interrupt(void)
{
    (void)signal(SIGINT, SIG_DFL);
}
