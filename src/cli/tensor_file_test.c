/* tensor_file_test.c - what the file holds byte for byte, and that a dropped one leaves no trace.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/test.h"
#include "cli/output.h"
#include "cli/tensor_file.h"

static const zx_cli_common common = {.command = "test"};

static size_t read_back(const char *path, char *bytes, size_t size)
{
    FILE *file = fopen(path, "r");
    const size_t length = file != NULL ? fread(bytes, 1, size, file) : 0;
    if (file != NULL) (void)fclose(file);
    return length;
}

TEST(tensor_file_holds_header_and_rows)
{
    static const float rows[2][3] = {{1, 2, 3}, {4, 5, 6}};
    static const char header[] =
        "{\"logits\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]}}";
    const char *path = zx_test_scratch();
    char bytes[256] = {0};
    zx_cli_tensor_file file;
    CHECK(zx_cli_tensor_file_create(&common, "--out", path, &file) == ZX_CLI_OK);
    CHECK(access(path, F_OK) != 0);
    CHECK(zx_cli_tensor_file_header(&file, "logits", 2, 3) == ZX_CLI_OK);
    CHECK(zx_cli_tensor_file_write(&file, rows[0], 3) == ZX_CLI_OK);
    CHECK(zx_cli_tensor_file_write(&file, rows[1], 3) == ZX_CLI_OK);
    CHECK(zx_cli_tensor_file_close(&file, true) == ZX_CLI_OK);
    const size_t length = read_back(path, bytes, sizeof bytes);
    const size_t header_bytes = (unsigned char)bytes[0];
    CHECK(header_bytes % 8 == 0 && memcmp(bytes + 1, "\0\0\0\0\0\0\0", 7) == 0);
    CHECK(length == 8 + header_bytes + sizeof rows);
    CHECK(memcmp(bytes + 8, header, strlen(header)) == 0);
    CHECK(memcmp(bytes + 8 + header_bytes, rows, sizeof rows) == 0);
}

TEST(tensor_file_dropped_leaves_the_old_one)
{
    const char *path = zx_test_scratch();
    char temporary[256];
    char bytes[16];
    zx_cli_tensor_file file;
    FILE *old = fopen(path, "w");
    CHECK(old != NULL && fputs("old", old) >= 0 && fclose(old) == 0);
    CHECK(zx_cli_tensor_file_create(&common, "--out", path, &file) == ZX_CLI_OK);
    (void)snprintf(temporary, sizeof temporary, "%s", file.temporary);
    CHECK(zx_cli_tensor_file_header(&file, "logits", 1, 1) == ZX_CLI_OK);
    CHECK(zx_cli_tensor_file_close(&file, false) == ZX_CLI_OK);
    CHECK(read_back(path, bytes, sizeof bytes) == 3 && memcmp(bytes, "old", 3) == 0);
    CHECK(access(temporary, F_OK) != 0);
}
