/* cmd_generate.c - one prompt, one answer.  Each piece of text is written as soon as it is known.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/input.h"
#include "cli/output.h"
#include "cli/run.h"

typedef struct generate_options {
    zx_cli_common common;
    const char *model, *prompt, *file;
    bool raw;
    zx_cli_sampling sampling;
} generate_options;

static const zx_cli_operand operands[] = {
    {"MODEL", zx_cli_model_help, offsetof(generate_options, model), false},
    {.name = NULL},
};

static const zx_cli_option rows[] = {
    {.name = "prompt",
     .letter = 'p',
     .kind = ZX_CLI_STRING,
     .argument = "TEXT",
     .help = "the prompt, sent as one user message; '-' or nothing reads standard input",
     .offset = offsetof(generate_options, prompt)},
    {.name = "file",
     .letter = 'f',
     .kind = ZX_CLI_STRING,
     .argument = "F",
     .help = "a file that holds the prompt",
     .offset = offsetof(generate_options, file)},
    {.name = "tokens",
     .letter = 'n',
     .kind = ZX_CLI_SIZE,
     .argument = "N",
     .help = "most tokens to generate",
     .offset = offsetof(generate_options, sampling.tokens),
     .value = "128",
     .minimum = 1,
     .maximum = 1 << 30},
    {.name = "raw",
     .kind = ZX_CLI_FLAG,
     .help = "continue the prompt as it is, without the chat template",
     .offset = offsetof(generate_options, raw)},
    {.name = "ctx",
     .letter = 'c',
     .kind = ZX_CLI_SIZE,
     .argument = "N",
     .help =
         "most tokens of prompt and answer together, at most the model's context; default: as many "
         "as both need",
     .offset = offsetof(generate_options, sampling.context),
     .minimum = 1,
     .maximum = 1 << 30},
    {.name = NULL},
};

typedef struct sink {
    bool stream;
    bool memory; /* ran out */
    zx_cli_buffer text;
    json_t *tokens;
} sink;

static bool on_token(int32_t id, const char *text, size_t length, void *user)
{
    sink *to = user;
    if (to->stream) {
        zx_cli_write(text, length);
        if (length > 0) zx_cli_flush();
        return zx_cli_writable() && !zx_cli_interrupted();
    }
    if (id >= 0 && json_array_append_new(to->tokens, json_integer(id)) != 0) to->memory = true;
    if (!zx_cli_buffer_append(&to->text, text, length)) to->memory = true;
    return !to->memory && !zx_cli_interrupted();
}

static int read_prompt(const generate_options *options, zx_cli_buffer *prompt)
{
    const zx_cli_common *common = &options->common;
    if (options->prompt != NULL && options->file != NULL)
        return zx_cli_fail(common, ZMLX_ERROR_ARGUMENT, "--prompt and --file exclude each other");
    if (options->file != NULL) return zx_cli_read_file(common, "--file", options->file, prompt);
    if (options->prompt == NULL || strcmp(options->prompt, "-") == 0)
        return zx_cli_read_stdin(common, "--prompt TEXT is missing: the prompt", prompt);
    if (zx_cli_buffer_append(prompt, options->prompt, strlen(options->prompt))) return ZX_CLI_OK;
    return zx_cli_fail(common, ZMLX_ERROR_MEMORY, "the prompt does not fit in memory");
}

static bool is_from_stdin(const generate_options *options)
{
    const char *from = options->file != NULL ? options->file : options->prompt;
    return from == NULL || strcmp(from, "-") == 0;
}

/* A file or a pipe that holds nothing is a mistake; an empty message may be meant. */
static int check_prompt(const generate_options *options, const zx_cli_buffer *prompt)
{
    const char *name = options->file != NULL ? "--file" : "--prompt";
    const char *system = options->sampling.system != NULL ? options->sampling.system : "";
    if (prompt->length == 0 && is_from_stdin(options))
        return zx_cli_fail(&options->common, ZMLX_ERROR_ARGUMENT,
                           "standard input is empty; expected a prompt");
    if (prompt->length == 0 && options->file != NULL)
        return zx_cli_fail(&options->common, ZMLX_ERROR_ARGUMENT,
                           "--file: '%s' is empty; expected a prompt", options->file);
    const int code = zx_cli_check_text(&options->common, name, prompt->bytes, prompt->length);
    if (code != ZX_CLI_OK) return code;
    return zx_cli_check_text(&options->common, "--system", system, strlen(system));
}

static int encode_prompt(const zx_cli_run *run, const generate_options *options,
                         const zx_cli_buffer *prompt, zmlx_ids *ids)
{
    const zx_cli_sampling *sampling = &options->sampling;
    const bool raw = options->raw || !zmlx_tokenizer_has_template(run->tokenizer);
    int code = ZX_CLI_OK;
    if (raw && sampling->system != NULL)
        return zx_cli_fail(run->common, ZMLX_ERROR_ARGUMENT,
                           "--system needs a chat template: the model has none or --raw was given");
    if (raw && prompt->length == 0)
        return zx_cli_fail(run->common, ZMLX_ERROR_ARGUMENT,
                           "--prompt is empty; expected a text to continue");
    if (raw) {
        const zmlx_status status =
            zmlx_tokenizer_encode(run->tokenizer, prompt->bytes, prompt->length, true, ids);
        if (status != ZMLX_OK) code = zx_cli_fail_library(run->common, status);
    } else {
        json_t *messages = json_array();
        bool made = messages != NULL;
        if (made && sampling->system != NULL)
            made =
                zx_cli_add_message(messages, "system", sampling->system, strlen(sampling->system));
        made = made && zx_cli_add_message(messages, "user", prompt->bytes, prompt->length);
        code = made ? zx_cli_encode_conversation(run, messages, ids)
                    : zx_cli_fail(run->common, ZMLX_ERROR_MEMORY, "the prompt does not fit");
        json_decref(messages);
    }
    if (code == ZX_CLI_OK && ids->count == 0)
        code = zx_cli_fail(run->common, ZMLX_ERROR_ARGUMENT,
                           "--prompt: the text holds no tokens; expected at least one");
    return code;
}

/* What --ctx would have to be: prompt and answer, within what the model can hold. */
static size_t context_for(const zx_cli_run *run, const zx_cli_sampling *sampling, size_t prompt)
{
    const size_t both = prompt + sampling->tokens;
    const size_t most = run->info.context_length;
    if (sampling->context > 0) return sampling->context;
    return most > 0 && both > most && prompt <= most ? most : both;
}

/* Text on a terminal ends with its line; elsewhere it stays as it is, but where stderr goes to the
 * same place its lines must not stick to the text. */
static void end_text(const zx_cli_common *common)
{
    struct stat result;
    struct stat error;
    if (isatty(STDOUT_FILENO) == 1) {
        zx_cli_write("\n", 1);
    } else if (!common->quiet && fstat(STDOUT_FILENO, &result) == 0 &&
               fstat(STDERR_FILENO, &error) == 0 && result.st_dev == error.st_dev &&
               result.st_ino == error.st_ino) {
        (void)write(STDERR_FILENO, "\n", 1);
    }
    zx_cli_flush();
}

/* Ctrl-C reaches a long prompt too. */
static bool on_prompt(size_t done, size_t count, void *user)
{
    (void)done, (void)count, (void)user;
    return !zx_cli_interrupted();
}

static int print_result(const zx_cli_common *common, const sink *from,
                        const zmlx_generate_result *result)
{
    if (from->memory)
        return zx_cli_fail(common, ZMLX_ERROR_MEMORY, "the answer does not fit in memory");
    return zx_cli_print_json(
        common,
        json_pack(
            "{s:o, s:O, s:I, s:I, s:I, s:f, s:f, s:s}", "text",
            zx_cli_json_text(from->text.bytes != NULL ? from->text.bytes : "", from->text.length),
            "tokens", from->tokens, "prompt_tokens", (json_int_t)result->prompt_tokens,
            "generated_tokens", (json_int_t)result->generated_tokens, "cached_tokens",
            (json_int_t)result->cached_tokens, "prefill_seconds", result->prefill_seconds,
            "decode_seconds", result->decode_seconds, "finish_reason",
            zx_cli_finish_reason(result->finish)));
}

static int generate(const zx_cli_run *run, const generate_options *options, const zmlx_ids *ids)
{
    const zx_cli_common *common = run->common;
    zmlx_generate_options how = zx_cli_generate_options(&options->sampling);
    zmlx_generate_result result = {0};
    sink to = {.stream = !common->json, .tokens = json_array()};
    how.on_token = on_token;
    how.on_prompt = on_prompt;
    how.user = &to;
    const zmlx_status status =
        zmlx_session_generate(run->session, run->tokenizer, ids->items, ids->count, &how, &result);
    int code = ZX_CLI_OK;
    if (status != ZMLX_OK) {
        code = zx_cli_fail_library(common, status);
    } else if (zx_cli_writable()) {
        if (to.stream)
            end_text(common);
        else
            code = print_result(common, &to, &result);
        zx_cli_flush();
        if (zx_cli_writable()) zx_cli_print_speed(common, &result);
    }
    if (code == ZX_CLI_OK && zx_cli_interrupted()) code = ZX_CLI_INTERRUPTED;
    zx_cli_buffer_free(&to.text);
    json_decref(to.tokens);
    return code;
}

static int run_generate(const void *raw)
{
    const generate_options *options = raw;
    const zx_cli_sampling *sampling = &options->sampling;
    zx_cli_run run = {.common = &options->common};
    zx_cli_buffer prompt = {0};
    zmlx_ids ids = {0};
    zx_cli_catch_interrupt();
    int code = read_prompt(options, &prompt);
    if (code == ZX_CLI_OK) code = check_prompt(options, &prompt);
    if (code != ZX_CLI_OK) goto done;
    if ((code = zx_cli_open_tokenizer(&run, options->model)) != ZX_CLI_OK) goto done;
    if ((code = encode_prompt(&run, options, &prompt, &ids)) != ZX_CLI_OK) goto done;
    if ((code = zx_cli_open_model(&run, options->model)) != ZX_CLI_OK) goto done;
    if ((code = zx_cli_check_context(&run, "--ctx", sampling->context)) != ZX_CLI_OK) goto done;
    if ((code = zx_cli_check_context(&run, "--prompt", ids.count)) != ZX_CLI_OK) goto done;
    if (sampling->context > 0 && ids.count > sampling->context) {
        code = zx_cli_fail(run.common, ZMLX_ERROR_ARGUMENT,
                           "--prompt: %zu tokens are more than the %zu of --ctx", ids.count,
                           sampling->context);
        goto done;
    }
    const zx_cli_needs needs = {.context = context_for(&run, sampling, ids.count),
                                .no_fuse = sampling->no_fuse};
    code = zx_cli_open_session(&run, &needs);
    if (code == ZX_CLI_OK) code = generate(&run, options, &ids);
done:
    zmlx_ids_free(&ids);
    zx_cli_close(&run);
    zx_cli_buffer_free(&prompt);
    return code;
}

const zx_command zx_command_generate = {
    .name = "generate",
    .summary = "continue a prompt, streaming the text",
    .details =
        "The prompt is sent as one user message through the model's chat template, unless --raw "
        "is\n"
        "given or the model has none.  Ctrl-C ends the answer and keeps what came (exit 130).",
    .operands = operands,
    .tables = {{rows, 0}, {zx_cli_sampling_rows, offsetof(generate_options, sampling)}},
    .runs_model = true,
    .options_bytes = sizeof(generate_options),
    .run = run_generate,
};
