/* template_test.c - post-processors alone and one after the other, with the format's own results.
 */
#include <string.h>

#include "base/memory.h"
#include "base/test.h"
#include "text/build.h"

#define A       "{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}"
#define X       "{\"SpecialToken\":{\"id\":\"<x>\",\"type_id\":0}}"
#define CLS     "\"cls\":[\"<s>\",7],\"sep\":[\"</s>\",8]}"
#define BYTE    "{\"type\":\"ByteLevel\"}"
#define BERT    "{\"type\":\"BertProcessing\"," CLS
#define ROBERTA "{\"type\":\"RobertaProcessing\"," CLS
#define TEMPLATE(pieces)                                   \
    "{\"type\":\"TemplateProcessing\",\"single\":[" pieces \
    "],\"special_tokens\":{\"<x>\":{\"id\":\"<x>\",\"ids\":[5,6]}}}"
#define ROW(processors) "{\"type\":\"Sequence\",\"processors\":[" processors "]}"

static zmlx_status read(const char *text, zx_ids *template)
{
    zx_json json;
    zx_json_init(&json, "t.json", text, strlen(text));
    const zmlx_status status = zx_template_read("t.json", &json, template);
    zx_json_fini(&json);
    return status;
}

/* -1 is the text's place; 0 ends a list. */
TEST(templates_enclose_what_came_before)
{
    static const struct {
        const char *json;
        int32_t ids[12];
    } rows[] = {
        {"null", {-1}},
        {TEMPLATE(X "," A), {5, 6, -1}},
        {BERT, {7, -1, 8}},
        {ROBERTA, {7, -1, 8}},
        {ROW(""), {-1}},
        {ROW(BYTE "," TEMPLATE(X "," A)), {5, 6, -1}},
        {ROW(TEMPLATE(X "," A) "," ROBERTA), {7, 5, 6, 8, 8, -1, 8}},
        {ROW(TEMPLATE(X "," A) "," BERT), {7, 5, 6, 8, -1, 8}},
        {ROW(TEMPLATE(A "," X "," A) "," ROBERTA), {7, -1, 8, 8, 5, 6, 8, 8, -1, 8}},
        {ROW(BERT "," TEMPLATE(X "," A "," A)), {5, 6, 7, -1, 8, 7, -1, 8}},
        {ROW(ROBERTA "," BERT), {7, 7, -1, 8, 8}},
        {ROW(TEMPLATE(X "," A) "," ROBERTA "," BERT), {7, 7, 5, 6, 8, 8, 8, -1, 8, 8}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        zx_ids template = {0};
        size_t count = 0;
        while (rows[i].ids[count] != 0) count++;
        const zmlx_status status = read(rows[i].json, &template);
        const bool good = status == ZMLX_OK && template.count == count &&
                          memcmp(template.items, rows[i].ids, count * sizeof(int32_t)) == 0;
        zx_ids_fini(&template);
        CHECK_ON(rows[i].json, good);
    }
}

/* The format's own reader takes two pieces for a pair of texts, and has no answer to three. */
TEST(templates_of_pieces_are_refused)
{
    zx_ids template = {0};
    const zmlx_status status = read(ROW(TEMPLATE(X "," A) "," TEMPLATE(A)), &template);
    zx_ids_fini(&template);
    CHECK(status == ZMLX_ERROR_UNSUPPORTED || status == ZMLX_ERROR_MEMORY);
}

static void check_refused(const char *json)
{
    zx_ids template = {0};
    const zmlx_status status = read(json, &template);
    zx_ids_fini(&template);
    CHECK_ON(json, status == ZMLX_ERROR_UNSUPPORTED || status == ZMLX_ERROR_MEMORY);
}

/* The format gives no ids at all; an empty template here would give those of the text. */
TEST(templates_of_nothing_are_refused)
{
    check_refused(TEMPLATE(""));
    check_refused(ROW(TEMPLATE("") "," ROBERTA));
    check_refused("{\"type\":\"TemplateProcessing\",\"special_tokens\":{}}");
    check_refused("{\"type\":\"TemplateProcessing\",\"single\":[" X
                  "],\"special_tokens\":{\"<x>\":{\"id\":\"<x>\",\"ids\":[]}}}");
}

/* 255 of them in a row are read, since the row is one too. */
TEST(templates_have_a_bounded_count_of_processors)
{
    for (int count = 255; count <= 256; count++) {
        zx_text json = {0};
        zx_ids template = {0};
        zmlx_status status = zx_text_add_string(&json, "{\"type\":\"Sequence\",\"processors\":[");
        for (int i = 0; i < count && status == ZMLX_OK; i++)
            status = zx_text_add_string(&json, i == 0 ? BYTE : "," BYTE);
        if (status == ZMLX_OK) status = zx_text_add_string(&json, "]}");
        if (status == ZMLX_OK) status = read(json.bytes, &template);
        zx_text_fini(&json);
        zx_ids_fini(&template);
        CHECK(status == (count == 255 ? ZMLX_OK : ZMLX_ERROR_UNSUPPORTED) ||
              status == ZMLX_ERROR_MEMORY);
    }
}
