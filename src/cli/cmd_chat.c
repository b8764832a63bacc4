/* cmd_chat.c - a conversation: the messages grow, and the session starts each answer from the pages
 * of the one before. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/input.h"
#include "cli/line.h"
#include "cli/output.h"
#include "cli/run.h"

typedef struct chat_options {
    zx_cli_common common;
    const char *model;
    zx_cli_sampling sampling;
} chat_options;

static const zx_cli_operand operands[] = {
    {"MODEL", zx_cli_model_help, offsetof(chat_options, model), false},
    {.name = NULL},
};

static const zx_cli_option rows[] = {
    {.name = "tokens",
     .letter = 'n',
     .kind = ZX_CLI_SIZE,
     .argument = "N",
     .help = "most tokens of an answer; default: what the context leaves",
     .offset = offsetof(chat_options, sampling.tokens),
     .minimum = 1,
     .maximum = 1 << 30},
    {.name = "ctx",
     .letter = 'c',
     .kind = ZX_CLI_SIZE,
     .argument = "N",
     .help = "most tokens of the whole conversation; default: the smaller of the model's and 8192",
     .offset = offsetof(chat_options, sampling.context),
     .minimum = 1,
     .maximum = 1 << 30},
    {.name = NULL},
};

enum { DEFAULT_CONTEXT = 8192 };

typedef struct chat {
    zx_cli_run run;
    const chat_options *options;
    json_t *messages;
    zx_cli_buffer answer;
    size_t context;
    bool memory;   /* ran out */
    bool terminal; /* interrupts are caught since the line was read */
} chat;

static bool on_token(int32_t id, const char *text, size_t length, void *user)
{
    chat *this = user;
    (void)id;
    if (!zx_cli_buffer_append(&this->answer, text, length)) this->memory = true;
    if (!this->run.common->json) {
        zx_cli_write(text, length);
        if (length > 0) zx_cli_flush();
    }
    return !this->memory && zx_cli_writable() && !zx_cli_interrupted();
}

/* Ctrl-C reaches a long prompt too. */
static bool on_prompt(size_t done, size_t count, void *user)
{
    (void)done, (void)count, (void)user;
    return !zx_cli_interrupted();
}

static bool begin(chat *this)
{
    const char *system = this->options->sampling.system;
    json_decref(this->messages);
    this->messages = json_array();
    return this->messages != NULL &&
           (system == NULL || zx_cli_add_message(this->messages, "system", system, strlen(system)));
}

/* The user's message stands at the end of the messages; adds the answer. */
static int answer_ids(chat *this, const zmlx_ids *ids)
{
    const zx_cli_common *common = this->run.common;
    zmlx_generate_options how = zx_cli_generate_options(&this->options->sampling);
    if (ids->count >= this->context)
        return zx_cli_fail(common, ZMLX_ERROR_ARGUMENT,
                           "the conversation has %zu tokens, the context (--ctx) holds %zu; /reset "
                           "begins anew",
                           ids->count, this->context);
    const size_t left = this->context - ids->count;
    if (how.max_tokens == 0 || how.max_tokens > left) how.max_tokens = left;
    zmlx_generate_result result = {0};
    this->answer.length = 0;
    how.on_token = on_token;
    how.on_prompt = on_prompt;
    how.user = this;
    if (!this->terminal) zx_cli_catch_interrupt();
    const zmlx_status status = zmlx_session_generate(this->run.session, this->run.tokenizer,
                                                     ids->items, ids->count, &how, &result);
    if (!this->terminal) zx_cli_release_interrupt();
    if (status != ZMLX_OK) return zx_cli_fail_library(common, status);
    if (!common->json) zx_cli_write("\n", 1);
    zx_cli_flush();
    if (!zx_cli_writable()) return ZX_CLI_OK;
    zx_cli_print_speed(common, &result);
    if (this->memory || !zx_cli_add_message(this->messages, "assistant",
                                            this->answer.bytes != NULL ? this->answer.bytes : "",
                                            this->answer.length))
        return zx_cli_fail(common, ZMLX_ERROR_MEMORY, "the answer does not fit in memory");
    return ZX_CLI_OK;
}

static int answer(chat *this, const zx_cli_buffer *line)
{
    zmlx_ids ids = {0};
    const int checked =
        zx_cli_check_text(this->run.common, "the message", line->bytes, line->length);
    if (checked != ZX_CLI_OK) return checked;
    if (!zx_cli_add_message(this->messages, "user", line->bytes, line->length))
        return zx_cli_fail(this->run.common, ZMLX_ERROR_MEMORY, "the message does not fit");
    int code = zx_cli_encode_conversation(&this->run, this->messages, &ids);
    if (code == ZX_CLI_OK) code = answer_ids(this, &ids);
    /* A message without an answer would confuse the next one. */
    if (code != ZX_CLI_OK)
        (void)json_array_remove(this->messages, json_array_size(this->messages) - 1);
    zmlx_ids_free(&ids);
    return code;
}

/* Lines until the input ends or /quit.  At a terminal a message that failed is said and the
 * conversation goes on; from a pipe nobody would read it, so the failure is the exit code. */
static int converse(chat *this, zx_cli_lines *lines)
{
    const bool terminal = isatty(STDIN_FILENO) == 1 && !this->run.common->json;
    zx_cli_buffer line = {0};
    int code = ZX_CLI_OK;
    while (zx_cli_writable()) {
        const zx_cli_line got = zx_cli_lines_next(lines, &line);
        if (got == ZX_CLI_LINE_END) break;
        code = ZX_CLI_OK;
        if (got == ZX_CLI_LINE_NONE) continue;
        if (strcmp(line.bytes, "/quit") == 0) break;
        if (strcmp(line.bytes, "/reset") == 0) {
            if (begin(this)) continue;
            code = zx_cli_fail(this->run.common, ZMLX_ERROR_MEMORY, "out of memory");
            break;
        }
        if (line.length > 0) code = answer(this, &line);
        if (code != ZX_CLI_OK && !terminal) break;
    }
    zx_cli_buffer_free(&line);
    return terminal && code != ZX_CLI_RESOURCE ? ZX_CLI_OK : code;
}

static int open_all(chat *this)
{
    const zx_cli_sampling *sampling = &this->options->sampling;
    zx_cli_run *run = &this->run;
    const char *system = sampling->system != NULL ? sampling->system : "";
    int code = zx_cli_check_text(run->common, "--system", system, strlen(system));
    if (code == ZX_CLI_OK) code = zx_cli_open_tokenizer(run, this->options->model);
    if (code == ZX_CLI_OK && !zmlx_tokenizer_has_template(run->tokenizer))
        code = zx_cli_fail(run->common, ZMLX_ERROR_FORMAT,
                           "'%s' has no chat template; 'zmlx generate' continues plain text",
                           this->options->model);
    if (code == ZX_CLI_OK) code = zx_cli_open_model(run, this->options->model);
    if (code != ZX_CLI_OK) return code;
    this->context = DEFAULT_CONTEXT;
    if (run->info.context_length > 0 && run->info.context_length < this->context)
        this->context = run->info.context_length;
    if (sampling->context > 0) this->context = sampling->context;
    if ((code = zx_cli_check_context(run, "--ctx", this->context)) != ZX_CLI_OK) return code;
    const zx_cli_needs needs = {.context = this->context, .no_fuse = sampling->no_fuse};
    return zx_cli_open_session(run, &needs);
}

static int run_chat(const void *raw)
{
    const chat_options *options = raw;
    chat this = {.run = {.common = &options->common}, .options = options};
    zx_cli_lines *lines = NULL;
    int code = open_all(&this);
    if (code != ZX_CLI_OK) goto done;
    lines = zx_cli_lines_create("> ");
    if (lines == NULL || !begin(&this)) {
        code = zx_cli_fail(this.run.common, ZMLX_ERROR_MEMORY, "out of memory");
        goto done;
    }
    this.terminal = zx_cli_lines_at_terminal(lines);
    if (isatty(STDIN_FILENO) == 1 && !options->common.quiet)
        (void)fputs("/reset begins anew, Ctrl-C ends an answer, /quit or Ctrl-D the chat.\n",
                    stderr);
    code = converse(&this, lines);
    if (code == ZX_CLI_OK && options->common.json)
        code = zx_cli_print_json(&options->common, json_pack("{s:O}", "messages", this.messages));
done:
    zx_cli_lines_destroy(lines);
    zx_cli_buffer_free(&this.answer);
    json_decref(this.messages);
    zx_cli_close(&this.run);
    return code;
}

const zx_command zx_command_chat = {
    .name = "chat",
    .summary = "talk with the model",
    .details =
        "Each line is a message; lines may come from a pipe too.  /reset begins anew, Ctrl-C ends\n"
        "an answer, /quit or Ctrl-D the chat.  With --json the whole conversation comes at the\n"
        "end as {\"messages\": [...]}.",
    .operands = operands,
    .tables = {{rows, 0}, {zx_cli_sampling_rows, offsetof(chat_options, sampling)}},
    .runs_model = true,
    .options_bytes = sizeof(chat_options),
    .run = run_chat,
};
