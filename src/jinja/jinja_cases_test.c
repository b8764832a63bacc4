/* jinja_cases_test.c - the cases in tests/data/jinja, and the published templates with the
 * conversations of the shared data: byte for byte what Python's jinja2 rendered. */
#include <stdio.h>
#include <string.h>

#include "base/test.h"
#include "jinja/jinja.h"

enum { NOON = 1768478400 }; /* 2026-01-15 12:00:00 UTC, when the shared results were made */

/* All of a stream that popen or fopen gave. */
static bool read_stream(FILE *stream, zx_text *text)
{
    char buffer[65536];
    size_t count = 0;
    if (stream == NULL) return false;
    while ((count = fread(buffer, 1, sizeof buffer, stream)) > 0)
        if (zx_text_add(text, buffer, count) != ZMLX_OK) return false;
    return true;
}

static bool read_file(const char *path, zx_text *text)
{
    FILE *const stream = fopen(path, "rb");
    const bool good = read_stream(stream, text);
    if (stream != NULL) (void)fclose(stream);
    return good;
}

static bool read_packed(const char *path, zx_text *text)
{
    char command[1200];
    (void)snprintf(command, sizeof command, "xz -dc '%s'", path);
    FILE *const stream = popen(command, "r");
    const bool good = read_stream(stream, text);
    return stream != NULL && pclose(stream) == 0 && good;
}

/* Whether a template gives the "text" of 'expected', or fails where it holds "error". */
static bool check_render(const json_t *expected, const char *text, size_t length,
                         const json_t *variables)
{
    const zx_jinja_options options = {.now = NOON};
    const json_t *const wanted = json_object_get(expected, "text");
    zx_text output = {0};
    const zmlx_status status = zx_jinja_render(text, length, variables, &options, &output);
    bool same = wanted == NULL ? status != ZMLX_OK && json_object_get(expected, "error") != NULL
                               : status == ZMLX_OK;
    if (same && wanted != NULL)
        same = json_string_length(wanted) == output.length &&
               (output.length == 0 ||
                memcmp(json_string_value(wanted), output.bytes, output.length) == 0);
    if (!same)
        (void)printf("gave: %.2000s\n", status != ZMLX_OK   ? zmlx_error_message()
                                        : output.length > 0 ? output.bytes
                                                            : "nothing");
    zx_text_fini(&output);
    return same;
}

/* The next line of JSON Lines; NULL at the end. */
static json_t *next_line(const zx_text *text, size_t *at)
{
    if (*at >= text->length) return NULL;
    const char *const start = text->bytes + *at;
    const char *const end = memchr(start, '\n', text->length - *at);
    const size_t length = end != NULL ? (size_t)(end - start) : text->length - *at;
    *at += length + 1;
    return json_loadb(start, length, JSON_ALLOW_NUL, NULL);
}

/* Every line {"template", "vars", "text" or "error"} of a file; how many were right. */
static bool check_cases(const char *path, size_t *right)
{
    zx_text cases = {0};
    bool all = read_file(path, &cases);
    size_t at = 0;
    for (json_t *one = NULL; all && (one = next_line(&cases, &at)) != NULL; json_decref(one)) {
        const json_t *const text = json_object_get(one, "template");
        json_t *const variables = json_pack("{s:[{s:s,s:s}],s:n,s:n}", "messages", "role", "user",
                                            "content", "Hi", "tools", "documents");
        (void)json_object_update(variables, json_object_get(one, "vars"));
        const bool good =
            check_render(one, json_string_value(text), json_string_length(text), variables);
        if (!good) (void)printf("  by: %s\n", json_string_value(text));
        json_decref(variables);
        all = good;
        *right += good ? 1 : 0;
    }
    zx_text_fini(&cases);
    return all;
}

TEST(jinja_gives_the_results_of_the_cases)
{
    size_t right = 0;
    CHECK_ON("tests/data/jinja/cases.jsonl", check_cases("tests/data/jinja/cases.jsonl", &right));
    CHECK_ON("tests/data/jinja/more.jsonl", check_cases("tests/data/jinja/more.jsonl", &right));
    CHECK(right >= 199 + 300);
}

/* The variables of one render: the conversation's, the special tokens, the render's own. */
static json_t *make_variables(const json_t *data, const json_t *render)
{
    static const char *const tokens[] = {"bos_token", "eos_token", "unk_token", "pad_token"};
    const char *const name = json_string_value(json_object_get(render, "conversation"));
    json_t *const variables = json_pack("{s:n,s:n}", "tools", "documents");
    json_t *conversation = NULL;
    size_t index = 0;
    json_array_foreach(json_object_get(data, "conversations"), index, conversation)
    {
        if (strcmp(json_string_value(json_object_get(conversation, "name")), name) != 0) continue;
        static const char *const keys[] = {"messages", "tools", "documents"};
        for (size_t i = 0; i < 3; i++)
            if (json_object_get(conversation, keys[i]) != NULL)
                (void)json_object_set(variables, keys[i], json_object_get(conversation, keys[i]));
    }
    for (size_t i = 0; i < 4; i++)
        (void)json_object_set(variables, tokens[i],
                              json_object_get(json_object_get(data, "constants"), tokens[i]));
    (void)json_object_set(variables, "add_generation_prompt",
                          json_object_get(render, "add_generation_prompt"));
    (void)json_object_update(variables, json_object_get(render, "kwargs"));
    return variables;
}

static bool check_published(const json_t *data, const json_t *render)
{
    const char *const name = json_string_value(json_object_get(render, "template"));
    char path[256];
    zx_text text = {0};
    (void)snprintf(path, sizeof path, "data/templates/%s", name);
    const char *const shared = zx_test_shared(path);
    json_t *const variables = make_variables(data, render);
    const bool good = shared != NULL && read_file(shared, &text) &&
                      check_render(render, text.bytes, text.length, variables);
    if (!good)
        (void)printf("  by: %s with %s\n", name,
                     json_string_value(json_object_get(render, "conversation")));
    json_decref(variables);
    zx_text_fini(&text);
    return good;
}

TEST(jinja_renders_the_published_templates)
{
    const char *const conversations = zx_test_shared("data/conversations.json");
    const char *const expected = zx_test_shared("data/templates/expect.jsonl.xz");
    if (conversations == NULL || expected == NULL) SKIP("the shared templates are missing");
    zx_text renders = {0};
    if (!read_packed(expected, &renders)) {
        zx_text_fini(&renders);
        SKIP("the expected results cannot be unpacked (is xz installed?)");
    }
    json_t *const data = json_load_file(conversations, 0, NULL);
    size_t at = 0, count = 0, right = 0;
    for (json_t *one = NULL; (one = next_line(&renders, &at)) != NULL; json_decref(one)) {
        count++;
        right += check_published(data, one) ? 1 : 0;
    }
    json_decref(data);
    zx_text_fini(&renders);
    CHECK(count > 1000);
    CHECK(right == count);
}
