/* messages_test.c - against what transformers 5.23 renders with the template {{ messages | tojson
 * }}.
 */
#include <stdio.h>
#include <string.h>

#include "base/test.h"
#include "base/text.h"
#include "jinja/jinja.h"
#include "model/make_files.h"
#include "model/messages.h"
#include "zmlx/tokenizer.h"

static const struct {
    const char *messages, *rendered;
} rows[] = {
    {"[{\"role\":\"assistant\",\"content\":\"c\",\"reasoning_content\":\"r\"}]",
     "[{\"thinking\": \"r\", \"role\": \"assistant\", \"content\": \"c\", \"reasoning_content\": "
     "\"r\"}]"},
    {"[{\"role\":\"assistant\",\"thinking\":\"t\",\"content\":\"c\"}]",
     "[{\"thinking\": \"t\", \"role\": \"assistant\", \"content\": \"c\", \"reasoning_content\": "
     "\"t\"}]"},
    {"[{\"role\":\"assistant\",\"content\":\"c\",\"reasoning\":\"o\"}]",
     "[{\"thinking\": \"o\", \"role\": \"assistant\", \"content\": \"c\", \"reasoning\": \"o\", "
     "\"reasoning_content\": \"o\"}]"},
    {"[{\"role\":\"assistant\",\"content\":\"c\",\"reasoning\":\"o\",\"thinking\":\"t\"}]",
     "[{\"thinking\": \"t\", \"role\": \"assistant\", \"content\": \"c\", \"reasoning\": \"o\", "
     "\"reasoning_content\": \"t\"}]"},
    {"[{\"reasoning\":\"o\",\"role\":\"assistant\",\"reasoning_content\":\"r\",\"thinking\":\"t\"}"
     "]",
     "[{\"thinking\": \"t\", \"reasoning\": \"o\", \"role\": \"assistant\", \"reasoning_content\": "
     "\"r\"}]"},
    {"[{\"role\":\"assistant\",\"content\":null,\"reasoning_content\":null,\"reasoning\":\"o\","
     "\"tool_calls\":[{\"x\":null}]}]",
     "[{\"thinking\": \"o\", \"role\": \"assistant\", \"reasoning\": \"o\", \"tool_calls\": "
     "[{\"x\": null}], \"reasoning_content\": \"o\"}]"},
    {"[{\"role\":\"assistant\",\"content\":\"c\",\"thinking\":\"\"}]",
     "[{\"thinking\": \"\", \"role\": \"assistant\", \"content\": \"c\", \"reasoning_content\": "
     "\"\"}]"},
    {"[{\"role\":\"assistant\",\"content\":\"c\",\"reasoning_content\":\"\",\"thinking\":\"t\"}]",
     "[{\"thinking\": \"t\", \"role\": \"assistant\", \"content\": \"c\", \"reasoning_content\": "
     "\"\"}]"},
    {"[{\"role\":\"assistant\",\"content\":\"c\",\"thinking\":[{\"type\":\"text\",\"text\":\"x\"}]}"
     "]",
     "[{\"thinking\": [{\"type\": \"text\", \"text\": \"x\"}], \"role\": \"assistant\", "
     "\"content\": \"c\", \"reasoning_content\": [{\"type\": \"text\", \"text\": \"x\"}]}]"},
    {"[{\"role\":\"assistant\",\"content\":\"c\",\"reasoning\":false}]",
     "[{\"thinking\": false, \"role\": \"assistant\", \"content\": \"c\", \"reasoning\": false, "
     "\"reasoning_content\": false}]"},
    {"[{\"role\":\"assistant\",\"content\":\"c\",\"reasoning_content\":null,\"thinking\":null}]",
     "[{\"role\": \"assistant\", \"content\": \"c\"}]"},
    {"[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"reasoning\":\"o\"},{"
     "\"role\":\"tool\",\"content\":[{\"reasoning\":\"in\",\"n\":null}]}]",
     "[{\"role\": \"user\", \"content\": \"a\"}, {\"thinking\": \"o\", \"role\": \"assistant\", "
     "\"reasoning\": \"o\", \"reasoning_content\": \"o\"}, {\"role\": \"tool\", \"content\": "
     "[{\"reasoning\": \"in\", \"n\": null}]}]"},
    {"[{}]", "[{}]"},
};

static json_t *variables_of(const char *messages)
{
    json_t *const variables = json_object();
    (void)json_object_set_new(variables, "messages", json_loads(messages, 0, NULL));
    return variables;
}

TEST(messages_have_reasoning_under_every_name)
{
    static const char template[] = "{{ messages | tojson }}";
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        json_t *const variables = variables_of(rows[i].messages);
        zx_text text = {0};
        CHECK_ON(rows[i].messages, zx_messages_prepare(variables) == ZMLX_OK);
        CHECK(zx_jinja_render(template, sizeof template - 1, variables, NULL, &text) == ZMLX_OK);
        CHECK_ON(text.bytes, strcmp(text.bytes, rows[i].rendered) == 0);
        zx_text_fini(&text);
        json_decref(variables);
    }
}

TEST(messages_must_be_objects)
{
    static const struct {
        const char *messages, *message;
    } refused[] = {
        {"{}", "conversation: \"messages\" is missing or no array"},
        {"[]", "conversation: \"messages\" is empty"},
        {"[{\"role\":\"user\"},\"text\"]", "conversation: \"messages\"[1] is no object"},
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        json_t *const variables = variables_of(refused[i].messages);
        CHECK_ON(refused[i].messages, zx_messages_prepare(variables) == ZMLX_ERROR_FORMAT);
        CHECK_ON(zmlx_error_message(), strcmp(zmlx_error_message(), refused[i].message) == 0);
        json_decref(variables);
    }
}

static void renders_folder(const char *folder)
{
    static const char conversation[] =
        "{\"messages\":[{\"role\":\"assistant\",\"content\":null,\"reasoning\":\"why\"}]}";
    zmlx_tokenizer *tokenizer = NULL;
    const zmlx_template_options options = {
        .kwargs = "{\"messages\":[{\"role\":\"user\",\"content\":null,\"thinking\":\"kw\"}]}"};
    zmlx_string prompt = {0};
    CHECK(zx_put_file(folder, "tokenizer.json",
                      "{\"model\":{\"type\":\"WordLevel\",\"vocab\":{\"a\":0}}}"));
    CHECK(zx_put_file(folder, "chat_template.jinja",
                      "{% set m = messages[0] %}{{ m.thinking }}, {{ m.reasoning_content }}, {{ "
                      "m.content is defined }}"));
    CHECK(zmlx_tokenizer_open(folder, &tokenizer) == ZMLX_OK);
    CHECK(zmlx_tokenizer_render(tokenizer, conversation, sizeof conversation - 1, NULL, &prompt) ==
          ZMLX_OK);
    CHECK_ON(prompt.bytes, strcmp(prompt.bytes, "why, why, False") == 0);
    zmlx_string_free(&prompt);
    CHECK(zmlx_tokenizer_render(tokenizer, conversation, sizeof conversation - 1, &options,
                                &prompt) == ZMLX_OK);
    CHECK_ON(prompt.bytes, strcmp(prompt.bytes, "kw, kw, False") == 0);
    zmlx_string_free(&prompt);
    zmlx_tokenizer_close(tokenizer);
}

TEST(messages_are_prepared_for_the_template)
{
    zx_with_folder(renders_folder);
}
