/* cmd_validate.c - the fused model against the unfused one, bit for bit. */
#include "cli/command.h"
#include "cli/input.h"
#include "cli/output.h"
#include "cli/run.h"

typedef struct validate_options {
    zx_cli_common common;
    const char *model, *tokens;
} validate_options;

static const zx_cli_operand operands[] = {
    {"MODEL", zx_cli_model_help, offsetof(validate_options, model), false},
    {.name = NULL},
};

static const zx_cli_option rows[] = {
    {.name = "tokens",
     .kind = ZX_CLI_STRING,
     .argument = "1,2,3",
     .help = "the ids to run, or @F: the file F holds them; default: fixed pseudo-random ones",
     .offset = offsetof(validate_options, tokens)},
    {.name = NULL},
};

static json_t *first_difference(const zmlx_validation *result)
{
    if (result->equal) return json_null();
    return json_pack("{s:I, s:I, s:o, s:o}", "token", (json_int_t)result->first_token, "index",
                     (json_int_t)result->first_index, "fused",
                     zx_cli_json_real((double)result->fused), "unfused",
                     zx_cli_json_real((double)result->unfused));
}

static int print_verdict(const zx_cli_common *common, const zmlx_validation *result)
{
    const int code = result->equal ? ZX_CLI_OK : ZX_CLI_CHECK;
    if (common->json) {
        const int printed = zx_cli_print_json(
            common, json_pack("{s:b, s:I, s:I, s:o}", "equal", (int)result->equal, "checked_tokens",
                              (json_int_t)result->checked_tokens, "checked_logits",
                              (json_int_t)result->checked_logits, "first_difference",
                              first_difference(result)));
        return printed != ZX_CLI_OK ? printed : code;
    }
    if (result->equal)
        zx_cli_print("equal: %zu logits of %zu tokens are the same, bit for bit\n",
                     result->checked_logits, result->checked_tokens);
    else
        zx_cli_print("different: first after token %zu, logit %zu: fused %.9g, unfused %.9g\n",
                     result->first_token, result->first_index, (double)result->fused,
                     (double)result->unfused);
    return code;
}

static int run_validate(const void *raw)
{
    const validate_options *options = raw;
    zx_cli_run run = {.common = &options->common};
    zx_cli_ids ids = {0};
    int code = ZX_CLI_OK;
    if (options->tokens != NULL)
        code = zx_cli_read_ids(run.common, "--tokens", options->tokens, &ids);
    if (code == ZX_CLI_OK && options->tokens != NULL && ids.count == 0)
        code = zx_cli_fail(run.common, ZMLX_ERROR_ARGUMENT,
                           "--tokens: the list is empty; expected at least one id");
    if (code == ZX_CLI_OK) code = zx_cli_open_model(&run, options->model);
    if (code == ZX_CLI_OK) code = zx_cli_check_context(&run, "--tokens", ids.count);
    if (code == ZX_CLI_OK) {
        const zmlx_session_options how = zx_cli_session_options(run.common, &(zx_cli_needs){0});
        zmlx_validation result = {0};
        const zmlx_status status = zmlx_validate(run.model, &how, ids.items, ids.count, &result);
        code = status == ZMLX_OK ? print_verdict(run.common, &result)
                                 : zx_cli_fail_library(run.common, status);
    }
    zx_cli_close(&run);
    zx_cli_ids_free(&ids);
    return code;
}

const zx_command zx_command_validate = {
    .name = "validate",
    .summary = "compare the fused model with the unfused one, bit for bit",
    .details = "Greedy tokens and every logit are compared; exit 1 on any difference.",
    .operands = operands,
    .tables = {{rows, 0}},
    .runs_model = true,
    .options_bytes = sizeof(validate_options),
    .run = run_validate,
};
