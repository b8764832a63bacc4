/* run.h - the way from common options to a model, its tokenizer and a session: what every command
 * that runs a model does first.
 *
 * Functions that return int print what is wrong and return the exit code, ZX_CLI_OK where all is
 * well. */
#ifndef ZX_CLI_RUN_H
#define ZX_CLI_RUN_H

#include <jansson.h>

#include "cli/command.h"
#include "cli/input.h"

typedef struct zx_cli_run { /* {0} holds nothing */
    const zx_cli_common *common;
    zmlx_tokenizer *tokenizer;
    zmlx_model *model;
    zmlx_model_info info;
    zmlx_session *session;
} zx_cli_run;

/* The operand MODEL of a struct that keeps it at 'offset' is described by every command alike. */
extern const char zx_cli_model_help[];

int zx_cli_open_tokenizer(zx_cli_run *run, const char *path);
int zx_cli_open_model(zx_cli_run *run, const char *path);

typedef struct zx_cli_needs { /* what the command wants of the session */
    size_t context, chunk;    /* zero: the library's defaults */
    bool no_fuse;
} zx_cli_needs;

zmlx_session_options zx_cli_session_options(const zx_cli_common *common, const zx_cli_needs *needs);
int zx_cli_open_session(zx_cli_run *run, const zx_cli_needs *needs);
void zx_cli_close(zx_cli_run *run);

/* Refuses 'count' tokens where the model's context is shorter. */
int zx_cli_check_context(const zx_cli_run *run, const char *option, size_t count);

typedef struct zx_cli_sampling {
    size_t tokens;
    float temperature, top_p, min_p;
    size_t top_k;
    uint64_t seed;
    zx_cli_list stop;
    bool ignore_eos, no_fuse;
    size_t context;
    const char *system;
} zx_cli_sampling;

/* The options of commands that generate; they describe a zx_cli_sampling.  -n is not among them,
 * its default differs. */
extern const zx_cli_option zx_cli_sampling_rows[];

zmlx_generate_options zx_cli_generate_options(const zx_cli_sampling *sampling);

/* The conversation rendered by the model's template and turned into ids. */
int zx_cli_encode_conversation(const zx_cli_run *run, json_t *messages, zmlx_ids *ids);

/* {"role": role, "content": text} at the end of the array; false where memory ran out. */
bool zx_cli_add_message(json_t *messages, const char *role, const char *text, size_t length);

/* "prompt 12 tokens, 900 tokens/s; answer ..." on stderr. */
void zx_cli_print_speed(const zx_cli_common *common, const zmlx_generate_result *result);

/* "stop", "length" or "cancelled". */
const char *zx_cli_finish_reason(zmlx_finish finish);

/* The first Ctrl-C after zx_cli_catch sets a flag, the next one kills. */
void zx_cli_catch_interrupt(void);
bool zx_cli_interrupted(void);
void zx_cli_release_interrupt(void);

#endif
