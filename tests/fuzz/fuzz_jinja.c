/* fuzz_jinja.c - any bytes as a chat template, with fixed variables: rendered or refused. */
#include <stdint.h>

#include "jinja/jinja.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    static const char given[] =
        "{\"messages\": [{\"role\": \"user\", \"content\": \"Hi \\u00e9\"},"
        " {\"role\": \"assistant\", \"content\": null, \"tool_calls\": [{\"a\": [1, 2.5]}]}],"
        " \"tools\": [{\"name\": \"f\"}], \"s\": \"a,b c\", \"n\": 3, \"f\": 0.1,"
        " \"add_generation_prompt\": true}";
    const zx_jinja_options options = {.max_steps = 20000, .max_output = 1 << 20, .now = 1768478400};
    zx_text output = {0};
    json_t *const variables = json_loads(given, 0, NULL);
    if (zx_jinja_render((const char *)bytes, count, variables, &options, &output) == ZMLX_OK &&
        !zx_utf8_valid(output.bytes, output.length))
        __builtin_trap();
    zx_text_fini(&output);
    json_decref(variables);
    return 0;
}
