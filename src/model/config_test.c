/* config_test.c - documents and their fields. */
#include <string.h>

#include "base/test.h"
#include "base/text.h"
#include "model/config.h"

static zmlx_status parse(const char *text, json_t **document)
{
    return zx_document_parse("c.json", text, strlen(text), NULL, document);
}

TEST(config_getters_leave_absent_fields)
{
    json_t *document = NULL;
    int64_t count = 5;
    double number = 5;
    bool truth = true;
    const char *text = "before";
    CHECK(parse("{\"n\":null}", &document) == ZMLX_OK);
    const zx_fields fields = {"c.json", NULL, document};
    static const char *const keys[] = {"n", "absent"};
    for (int i = 0; i < 2; i++) {
        CHECK(zx_fields_integer(&fields, keys[i], 0, 9, &count) == ZMLX_OK && count == 5);
        CHECK(zx_fields_number(&fields, keys[i], 0, 9, &number) == ZMLX_OK && number == 5);
        CHECK(zx_fields_bool(&fields, keys[i], &truth) == ZMLX_OK && truth);
        CHECK(zx_fields_string(&fields, keys[i], &text) == ZMLX_OK && *text == 'b');
        CHECK(!zx_fields_have(&fields, keys[i]));
    }
    json_decref(document);
}

TEST(config_getters_name_file_section_and_key)
{
    json_t *document = NULL;
    zx_arena arena = {0};
    int64_t count = 0;
    double number = 0;
    bool truth = false;
    const char *text = NULL;
    const float *values = NULL;
    int32_t *ids = NULL;
    size_t size = 0;
    zx_fields inner = {0};
    CHECK(parse("{\"a\":{\"i\":3,\"x\":1.5,\"s\":\"word\",\"b\":true,\"l\":[1,2.5],\"e\":[4,-1]}}",
                &document) == ZMLX_OK);
    const zx_fields fields = {"c.json", NULL, document};
    CHECK(zx_fields_object(&fields, "a", &inner) == ZMLX_OK && inner.object != NULL);
    CHECK(zx_fields_integer(&inner, "i", 0, 9, &count) == ZMLX_OK && count == 3);
    CHECK(zx_fields_integer(&inner, "i", 4, 9, &count) == ZMLX_ERROR_FORMAT);
    CHECK(strcmp(zmlx_error_message(),
                 "c.json: config key 'a.i' is 3; expected a whole number from 4 to 9") == 0);
    CHECK(zx_fields_integer(&inner, "x", 0, 9, &count) == ZMLX_ERROR_FORMAT);
    CHECK(zx_fields_number(&inner, "x", 0, 9, &number) == ZMLX_OK && number == 1.5);
    CHECK(zx_fields_number(&inner, "i", 0, 9, &number) == ZMLX_OK && number == 3);
    CHECK(zx_fields_number(&inner, "s", 0, 9, &number) == ZMLX_ERROR_FORMAT);
    CHECK(strcmp(zmlx_error_message(),
                 "c.json: config key 'a.s' is the string 'word'; expected a number from 0 to 9") ==
          0);
    CHECK(zx_fields_bool(&inner, "i", &truth) == ZMLX_ERROR_FORMAT);
    CHECK(zx_fields_string(&inner, "b", &text) == ZMLX_ERROR_FORMAT);
    CHECK(zx_fields_object(&fields, "a", &inner) == ZMLX_OK);
    CHECK(zx_fields_numbers(&inner, "l", &arena, &values, &size) == ZMLX_OK && size == 2);
    CHECK(values[1] == 2.5F);
    CHECK(zx_fields_ids(&inner, "i", &arena, &ids, &size) == ZMLX_OK && size == 1 && ids[0] == 3);
    CHECK(zx_fields_ids(&inner, "e", &arena, &ids, &size) == ZMLX_ERROR_FORMAT);
    CHECK(zx_fields_object(&inner, "l", &inner) == ZMLX_ERROR_FORMAT);
    zx_arena_reset(&arena);
    json_decref(document);
}

TEST(config_refuses_documents)
{
    static const struct {
        const char *text, *message;
    } rows[] = {
        {"", "c.json: byte 0: "},
        {"{\"a\":1,\"a\":2}", "c.json: line 1: duplicate object key"},
        {"[1]", "c.json: the document is not an object"},
        {"{\"a\":1", "c.json: byte 6: "},
        {"{\"a\":\"\xff\"}", "malformed UTF-8"},
        {"{\"a\":1e999}", "c.json: "},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        json_t *document = NULL;
        CHECK_ON(rows[i].text, parse(rows[i].text, &document) == ZMLX_ERROR_FORMAT);
        CHECK_ON(zmlx_error_message(), strstr(zmlx_error_message(), rows[i].message) != NULL);
    }
    json_t *document = NULL;
    CHECK(zx_document_open("no/such/config.json", NULL, &document) == ZMLX_ERROR_IO);
    CHECK(strstr(zmlx_error_message(), "no/such/config.json") != NULL);
}

/* tokenizer_config.json says "no limit" with a number of thirty digits. */
TEST(config_reads_large_integers_where_asked)
{
    static const char text[] = "{\"model_max_length\":1000000000000000019884624838656}";
    static const zx_document_options options = {.large_integers = true};
    json_t *document = NULL;
    CHECK(parse(text, &document) == ZMLX_ERROR_FORMAT);
    CHECK(zx_document_parse("c.json", text, sizeof text - 1, &options, &document) == ZMLX_OK);
    json_decref(document);
}

/* Its value may be of any kind and stand anywhere; within another object the key means nothing, and
 * what is left out must be JSON all the same. */
TEST(config_leaves_out_a_value)
{
    static const struct {
        const char *text, *same_as;
    } rows[] = {
        {"{\"big\":{\"1\":{\"big\":[1,{}]},\"2\":\"}\"},\"b\":2}", "{\"big\":null,\"b\":2}"},
        {"{\"a\":[{\"big\":1}],\"big\" : [ [], 2 ] }", "{\"a\":[{\"big\":1}],\"big\":null}"},
        {"{\"b\\u0069g\":\"text, \\\" and }\"}", "{\"big\":null}"},
        {"{\"big\":-1.5e3,\"a\":true}", "{\"big\":null,\"a\":true}"},
        {"{\"a\":{\"big\":1},\"bigger\":2}", "{\"a\":{\"big\":1},\"bigger\":2}"},
    };
    static const zx_document_options options = {.without = "big"};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *const text = rows[i].text;
        json_t *document = NULL, *same = NULL;
        CHECK_ON(text,
                 zx_document_parse("c.json", text, strlen(text), &options, &document) == ZMLX_OK);
        CHECK(parse(rows[i].same_as, &same) == ZMLX_OK);
        CHECK_ON(text, json_equal(document, same));
        json_decref(document);
        json_decref(same);
    }
    static const char *const refused[] = {"{\"big\":[}", "{\"big\":1,\"big\":2}", "[{\"big\":1}]"};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        json_t *document = NULL;
        CHECK_ON(refused[i], zx_document_parse("c.json", refused[i], strlen(refused[i]), &options,
                                               &document) == ZMLX_ERROR_FORMAT);
    }
}

/* A text longer than what jansson asks for at once, on both sides of what is left out. */
TEST(config_leaves_out_a_value_of_a_long_text)
{
    static const zx_document_options options = {.without = "big"};
    zx_text text = {0};
    json_t *document = NULL;
    zmlx_status status = zx_text_add_string(&text, "{\"first\":[0");
    for (int i = 1; i < 2000 && status == ZMLX_OK; i++) status = zx_text_format(&text, ",%d", i);
    if (status == ZMLX_OK) status = zx_text_add_string(&text, "],\"big\":{\"a\":[0");
    for (int i = 1; i < 2000 && status == ZMLX_OK; i++) status = zx_text_format(&text, ",%d", i);
    if (status == ZMLX_OK) status = zx_text_add_string(&text, "]},\"last\":[0");
    for (int i = 1; i < 2000 && status == ZMLX_OK; i++) status = zx_text_format(&text, ",%d", i);
    if (status == ZMLX_OK) status = zx_text_add_string(&text, "]}");
    if (status == ZMLX_OK)
        status = zx_document_parse("c.json", text.bytes, text.length, &options, &document);
    CHECK(status == ZMLX_OK);
    CHECK(json_is_null(json_object_get(document, "big")));
    static const char *const keys[] = {"first", "last"};
    for (size_t k = 0; k < 2; k++) {
        const json_t *const list = json_object_get(document, keys[k]);
        CHECK(json_array_size(list) == 2000);
        for (size_t i = 0; i < json_array_size(list); i++)
            CHECK(json_integer_value(json_array_get(list, i)) == (json_int_t)i);
    }
    json_decref(document);
    zx_text_fini(&text);
}

/* A tree would take a hundred times the memory of this text. */
TEST_MARKED(config_bounds_the_tree, "slow")
{
    zx_text text = {0};
    json_t *document = NULL;
    CHECK(zx_text_add_string(&text, "{\"a\":[{}") == ZMLX_OK);
    for (int i = 0; i < 400 * 1000; i++) CHECK(zx_text_add_string(&text, ",{}") == ZMLX_OK);
    CHECK(zx_text_add_string(&text, "]}") == ZMLX_OK);
    CHECK(parse(text.bytes, &document) == ZMLX_ERROR_FORMAT);
    CHECK(strcmp(zmlx_error_message(), "c.json: more than 400000 values") == 0);
    zx_text_fini(&text);
}
