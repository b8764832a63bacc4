/* input_test.c - lists of ids and files, as the user writes them. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/test.h"
#include "cli/input.h"
#include "cli/output.h"

/* Where the refusals go while 'path' holds them: stderr is a file for a moment. */
static int begin_capture(const char *path)
{
    (void)fflush(stderr);
    const int saved = dup(STDERR_FILENO);
    const int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    (void)dup2(file, STDERR_FILENO);
    (void)close(file);
    return saved;
}

static void end_capture(int saved, const char *path, char *text, size_t size)
{
    (void)fflush(stderr);
    (void)dup2(saved, STDERR_FILENO);
    (void)close(saved);
    FILE *file = fopen(path, "r");
    const size_t length = file != NULL ? fread(text, 1, size - 1, file) : 0;
    text[length] = '\0';
    if (file != NULL) (void)fclose(file);
}

static const zx_cli_common common = {.command = "test"};

TEST(text_is_utf8_or_refused_with_its_byte)
{
    static const struct {
        const char *bytes;
        size_t length;
        const char *message; /* NULL: it is text */
    } rows[] = {
        {"", 0, NULL},
        {"a\0b", 3, NULL},
        {"\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80", 13, NULL},
        {"\xf0\x90\x80\x80\xf3\xbf\xbf\xbf\xf4\x8f\xbf\xbf", 12, NULL},
        {"ab\xc3", 3, "--x is not UTF-8 text (byte 2)"},
        {"\xc3(", 2, "(byte 0)"},            /* no second byte */
        {"\xc1\xbf", 2, "(byte 0)"},         /* longer than needed */
        {"\xe0\x9f\xbf", 3, "(byte 0)"},     /* longer than needed */
        {"a\xed\xa0\x80", 4, "(byte 1)"},    /* half of a pair */
        {"\xe2\x82(", 3, "(byte 0)"},        /* no third byte */
        {"\xf0\x8f\xbf\xbf", 4, "(byte 0)"}, /* longer than needed */
        {"\xf4\x90\x80\x80", 4, "(byte 0)"}, /* beyond the last character */
        {"\xf1\x80\x80", 3, "(byte 0)"},     /* cut */
        {"\x80", 1, "(byte 0)"},
        {"\xff", 1, "(byte 0)"},
    };
    const char *path = zx_test_scratch();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char said[256];
        const int saved = begin_capture(path);
        const int code = zx_cli_check_text(&common, "--x", rows[i].bytes, rows[i].length);
        end_capture(saved, path, said, sizeof said);
        const bool good = rows[i].message == NULL;
        CHECK(code == (good ? ZX_CLI_OK : ZX_CLI_INPUT));
        CHECK(good ? said[0] == '\0' : strstr(said, rows[i].message) != NULL);
    }
}

TEST(input_reads_ids)
{
    static const struct {
        const char *text;
        size_t count;
        int32_t first, last;
    } cases[] = {
        {"1,2,3", 3, 1, 3},
        {"0", 1, 0, 0},
        {"2147483647", 1, 2147483647, 2147483647},
        {" 1 , 2\n,\t3\n", 3, 1, 3},
        {"[1, 2, 3]\n", 3, 1, 3},
        {"", 0, 0, 0},
        {"[]", 0, 0, 0},
        {" \n", 0, 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        zx_cli_ids ids;
        CHECK_ON(cases[i].text, zx_cli_read_ids(&common, "--ids", cases[i].text, &ids) == 0);
        CHECK_ON(cases[i].text, ids.count == cases[i].count);
        CHECK_ON(cases[i].text, ids.count == 0 || ids.items[0] == cases[i].first);
        CHECK_ON(cases[i].text, ids.count == 0 || ids.items[ids.count - 1] == cases[i].last);
        zx_cli_ids_free(&ids);
    }
}

TEST(input_refuses_ids)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"1,x,3", "zmlx test: --ids: item 2: 'x' is no token id; expected whole numbers from 0 to "
                  "2147483647 with commas between\n"},
        {"1,-2", "zmlx test: --ids: item 2: '-2' is no token id; "},
        {"1,2147483648", "zmlx test: --ids: item 2: '2147483648' is no token id; "},
        {"99999999999999999999999", "zmlx test: --ids: item 1: '99999999999999999999999' is "},
        {"1,,2", "zmlx test: --ids: item 2: '' is no token id; "},
        {"1,2,", "zmlx test: --ids: item 3: '' is no token id; "},
        {",1", "zmlx test: --ids: item 1: '' is no token id; "},
        {"1 2", "zmlx test: --ids: item 1: '1' is no token id; "},
        {"1.5", "zmlx test: --ids: item 1: '1.5' is no token id; "},
        {"[1,2", "zmlx test: --ids: stray '[' after item 2\n"},
        {"1,2]", "zmlx test: --ids: stray ']' after item 2\n"},
        {"[1] 2", "zmlx test: --ids: stray '] 2' after item 1\n"},
    };
    const char *path = zx_test_scratch();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char said[512];
        zx_cli_ids ids;
        const int saved = begin_capture(path);
        const int code = zx_cli_read_ids(&common, "--ids", cases[i].text, &ids);
        end_capture(saved, path, said, sizeof said);
        CHECK_ON(cases[i].text, code == ZX_CLI_INPUT && ids.items == NULL);
        CHECK_ON(said, strncmp(said, cases[i].message, strlen(cases[i].message)) == 0);
    }
}

static bool write_file(const char *path, const char *bytes, size_t length)
{
    FILE *file = fopen(path, "w");
    const bool wrote = file != NULL && fwrite(bytes, 1, length, file) == length;
    return file != NULL && fclose(file) == 0 && wrote;
}

TEST(input_reads_ids_from_a_file)
{
    char spec[256];
    char said[512];
    const char *path = zx_test_scratch();
    const char *log = zx_test_scratch();
    zx_cli_ids ids;
    (void)snprintf(spec, sizeof spec, "@%s", path);
    CHECK(write_file(path, "7,8,\n9\n", 7));
    CHECK(zx_cli_read_ids(&common, "--ids", spec, &ids) == ZX_CLI_OK);
    CHECK(ids.count == 3 && ids.items[2] == 9);
    zx_cli_ids_free(&ids);
    CHECK(write_file(path, "7\0,8", 4));
    int saved = begin_capture(log);
    int code = zx_cli_read_ids(&common, "--ids", spec, &ids);
    end_capture(saved, log, said, sizeof said);
    CHECK(code == ZX_CLI_INPUT && strstr(said, path) != NULL && strstr(said, "NUL") != NULL);
    CHECK(unlink(path) == 0);
    saved = begin_capture(log);
    code = zx_cli_read_ids(&common, "--ids", spec, &ids);
    end_capture(saved, log, said, sizeof said);
    CHECK_ON(said, code == ZX_CLI_INPUT && strstr(said, path) != NULL);
    CHECK_ON(said, strstr(said, "No such file or directory") != NULL);
}

TEST(input_reads_files_as_bytes)
{
    const char *path = zx_test_scratch();
    zx_cli_buffer content = {0};
    CHECK(write_file(path, "a\0b", 3));
    CHECK(zx_cli_read_file(&common, "--file", path, &content) == ZX_CLI_OK);
    CHECK(content.length == 3 && memcmp(content.bytes, "a\0b", 4) == 0);
    zx_cli_buffer_free(&content);
    CHECK(write_file(path, "", 0));
    CHECK(zx_cli_read_file(&common, "--file", path, &content) == ZX_CLI_OK);
    CHECK(content.length == 0 && content.bytes != NULL);
    zx_cli_buffer_free(&content);
}
