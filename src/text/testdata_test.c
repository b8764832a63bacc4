/* testdata_test.c - finds, unpacks and reads the data of the tokenizers' tests. */
#include "base/test.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "text/testdata.h"

static bool read_stream(FILE *stream, zx_text *bytes)
{
    char buffer[65536];
    size_t count;
    while ((count = fread(buffer, 1, sizeof buffer, stream)) > 0)
        if (zx_text_add(bytes, buffer, count) != ZMLX_OK) return false;
    return true;
}

const char *zx_testdata_path(const char *name)
{
    static char own[256];
    (void)snprintf(own, sizeof own, "tests/data/%s", name);
    if (zx_path_exists(own)) return own;
    (void)snprintf(own, sizeof own, "data/%s", name);
    return zx_test_shared(own);
}

bool zx_testdata_read(const char *name, zx_text *bytes)
{
    char command[4200];
    const char *const path = zx_testdata_path(name);
    zx_text_clear(bytes);
    if (path == NULL) return false;
    const size_t length = strlen(path);
    const bool packed = length > 3 && strcmp(path + length - 3, ".xz") == 0;
    (void)snprintf(command, sizeof command, "xz -dc '%s'", path);
    FILE *const stream = packed ? popen(command, "r") : fopen(path, "rb");
    if (stream == NULL) return false;
    const bool good = read_stream(stream, bytes);
    return (packed ? pclose(stream) : fclose(stream)) == 0 && good;
}

bool zx_testdata_lines(const zx_text *text,
                       bool (*see)(const char *line, size_t length, void *user), void *user)
{
    const char *at = text->bytes, *const end = at + text->length;
    while (at < end) {
        const char *const line_end = memchr(at, '\n', (size_t)(end - at));
        const char *const stop = line_end == NULL ? end : line_end;
        if (stop > at && !see(at, (size_t)(stop - at), user)) return false;
        at = stop + 1;
    }
    return true;
}

void zx_expectation_fini(zx_expectation *expected)
{
    zx_text_fini(&expected->text);
    zx_text_fini(&expected->text_file);
    zx_text_fini(&expected->decoded);
    zx_text_fini(&expected->decoded_skip_special);
    zx_text_fini(&expected->decoded_no_special);
}

static bool read_ids(zx_json *json, int *ids, size_t *count)
{
    *count = 0;
    for (;;) {
        if (zx_json_next(json) != ZMLX_OK) return false;
        if (json->kind == ZX_JSON_ARRAY_END) return true;
        if (json->kind != ZX_JSON_NUMBER || *count == 16384) return false;
        ids[(*count)++] = (int)json->integer;
    }
}

bool zx_expectation_read(void *reader, zx_expectation *expected)
{
    zx_json *const json = reader;
    expected->has_decoded = expected->has_decoded_skip_special = expected->has_ids = false;
    expected->has_decoded_no_special = false;
    zx_text_clear(&expected->text_file);
    if (zx_json_expect(json, ZX_JSON_OBJECT) != ZMLX_OK) return false;
    for (;;) {
        if (zx_json_next(json) != ZMLX_OK) return false;
        if (json->kind == ZX_JSON_OBJECT_END) return true;
        const bool ids = zx_json_is(json, "ids");
        const struct {
            const char *name;
            zx_text *text;
            bool *has;
        } texts[] = {
            {"text", &expected->text, NULL},
            {"text_file", &expected->text_file, NULL},
            {"decoded", &expected->decoded, &expected->has_decoded},
            {"decoded_skip_special", &expected->decoded_skip_special,
             &expected->has_decoded_skip_special},
            {"decoded_no_special", &expected->decoded_no_special,
             &expected->has_decoded_no_special},
        };
        size_t which = 0;
        while (which < 5 && !zx_json_is(json, texts[which].name)) which++;
        if (zx_json_next(json) != ZMLX_OK) return false;
        if (json->kind == ZX_JSON_ARRAY) {
            expected->has_ids |= ids;
            if (!read_ids(json, ids ? expected->ids : expected->ids_no_special,
                          ids ? &expected->id_count : &expected->id_count_no_special))
                return false;
        } else if (json->kind == ZX_JSON_STRING && which < 5) {
            zx_text_clear(texts[which].text);
            if (zx_text_add(texts[which].text, json->string, json->length) != ZMLX_OK) return false;
            if (texts[which].has != NULL) *texts[which].has = true;
        } else {
            return false;
        }
    }
}
