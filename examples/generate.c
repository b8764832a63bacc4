/* generate.c - the whole way from a model file to text on the screen, through the public headers.
 *
 *     generate MODEL TEXT [TOKENS]      continues TEXT as it stands; MODEL: a .gguf or a folder */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "zmlx/zmlx.h"

/* Called for each token with the text that became certain; false would stop the generation. */
static bool print_text(int32_t id, const char *text, size_t length, void *user)
{
    (void)id;
    (void)user;
    return fwrite(text, 1, length, stdout) == length && fflush(stdout) == 0;
}

static zmlx_status generate(const char *path, const char *prompt, size_t count)
{
    zmlx_tokenizer *tokenizer = NULL;
    zmlx_model *model = NULL;
    zmlx_session *session = NULL;
    zmlx_ids ids = {0};
    zmlx_generate_result result = {0};

    zmlx_status status = zmlx_tokenizer_open(path, &tokenizer);
    if (status == ZMLX_OK) status = zmlx_model_open(path, &(zmlx_model_options){0}, &model);
    if (status == ZMLX_OK)
        status = zmlx_tokenizer_encode(tokenizer, prompt, strlen(prompt), true, &ids);
    if (status == ZMLX_OK)
        status = zmlx_session_create(model, &(zmlx_session_options){.context = ids.count + count},
                                     &session);
    if (status == ZMLX_OK)
        status = zmlx_session_generate(
            session, tokenizer, ids.items, ids.count,
            &(zmlx_generate_options){.max_tokens = count, .on_token = print_text}, &result);
    if (status == ZMLX_OK)
        (void)printf("\n[%zu tokens in %.2f s]\n", result.generated_tokens, result.decode_seconds);
    else
        (void)fprintf(stderr, "generate: %s\n", zmlx_error_message());

    zmlx_session_destroy(session);
    zmlx_ids_free(&ids);
    zmlx_model_close(model);
    zmlx_tokenizer_close(tokenizer);
    return status;
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        (void)fputs("usage: generate MODEL TEXT [TOKENS]\n", stderr);
        return 2;
    }
    const size_t count = argc > 3 ? strtoul(argv[3], NULL, 10) : 32;
    return generate(argv[1], argv[2], count) == ZMLX_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
