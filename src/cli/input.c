/* input.c - files, standard input and lists of ids, each with bounds and a message that names what
 * is wrong. */
#include "cli/input.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/output.h"

/* No prompt, text or conversation is this long; a device that never ends is refused here. */
static const size_t most_bytes = (size_t)1 << 30;

bool zx_cli_buffer_append(zx_cli_buffer *buffer, const char *bytes, size_t length)
{
    if (length >= SIZE_MAX / 4 - buffer->length) return false;
    const size_t needed = buffer->length + length + 1;
    if (needed > buffer->capacity) {
        const size_t capacity = needed + needed / 2 + 64;
        char *grown = realloc(buffer->bytes, capacity);
        if (grown == NULL) return false;
        buffer->bytes = grown;
        buffer->capacity = capacity;
    }
    if (length > 0) memcpy(buffer->bytes + buffer->length, bytes, length);
    buffer->length += length;
    buffer->bytes[buffer->length] = '\0';
    return true;
}

void zx_cli_buffer_free(zx_cli_buffer *buffer)
{
    free(buffer->bytes);
    *buffer = (zx_cli_buffer){0};
}

static int read_all(const zx_cli_common *common, const char *option, const char *path,
                    int descriptor, zx_cli_buffer *content)
{
    char block[1 << 14];
    if (!zx_cli_buffer_append(content, "", 0)) goto memory;
    for (;;) {
        const ssize_t got = read(descriptor, block, sizeof block);
        if (got == 0) return ZX_CLI_OK;
        if (got < 0 && errno == EINTR) continue;
        if (got < 0)
            return zx_cli_fail(common, ZMLX_ERROR_IO, "%s: cannot read '%s': %s", option, path,
                               strerror(errno));
        if (content->length + (size_t)got > most_bytes)
            return zx_cli_fail(common, ZMLX_ERROR_IO, "%s: '%s' holds more than %zu MiB", option,
                               path, most_bytes >> 20);
        if (!zx_cli_buffer_append(content, block, (size_t)got)) goto memory;
    }
memory:
    return zx_cli_fail(common, ZMLX_ERROR_MEMORY, "%s: '%s' does not fit in memory", option, path);
}

int zx_cli_read_file(const zx_cli_common *common, const char *option, const char *path,
                     zx_cli_buffer *content)
{
    if (strcmp(path, "-") == 0)
        return read_all(common, option, "standard input", STDIN_FILENO, content);
    const int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return zx_cli_fail(common, ZMLX_ERROR_IO, "%s: cannot open '%s': %s", option, path,
                           strerror(errno));
    const int code = read_all(common, option, path, descriptor, content);
    (void)close(descriptor);
    return code;
}

int zx_cli_read_stdin(const zx_cli_common *common, const char *missing, zx_cli_buffer *content)
{
    if (isatty(STDIN_FILENO) == 1) return zx_cli_fail(common, ZMLX_ERROR_ARGUMENT, "%s", missing);
    return read_all(common, "text", "standard input", STDIN_FILENO, content);
}

/* The bytes of the UTF-8 character that begins here; 0 where none does. */
static size_t character_bytes(const unsigned char *at, size_t left)
{
    static const struct {
        unsigned char first, last, second_first, second_last;
        size_t bytes;
    } forms[] = {
        {0x00, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
        {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
        {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        const size_t bytes = forms[i].bytes;
        if (at[0] < forms[i].first || at[0] > forms[i].last) continue;
        if (bytes > left) return 0;
        if (bytes > 1 && (at[1] < forms[i].second_first || at[1] > forms[i].second_last)) return 0;
        for (size_t k = 2; k < bytes; k++)
            if ((at[k] & 0xc0) != 0x80) return 0;
        return bytes;
    }
    return 0;
}

int zx_cli_check_text(const zx_cli_common *common, const char *name, const char *bytes,
                      size_t length)
{
    for (size_t done = 0; done < length;) {
        const size_t step = character_bytes((const unsigned char *)bytes + done, length - done);
        if (step == 0)
            return zx_cli_fail(common, ZMLX_ERROR_ARGUMENT,
                               "%s is not UTF-8 text (byte %zu); convert it first", name, done);
        done += step;
    }
    return ZX_CLI_OK;
}

static const char *skip_blanks(const char *text)
{
    return text + strspn(text, " \t\r\n");
}

/* The value at *text, which moves behind it; false where there is none below 2^31. */
static bool take_id(const char **text, int32_t *id)
{
    const size_t digits = strspn(*text, "0123456789");
    if (digits == 0 || digits > 18) return false;
    const long long value = strtoll(*text, NULL, 10);
    if (value > INT32_MAX) return false;
    *id = (int32_t)value;
    *text += digits;
    return true;
}

static int refuse_id(const zx_cli_common *common, const char *option, size_t position,
                     const char *text)
{
    size_t length = strcspn(text, ", \t\r\n]");
    if (length > 40) length = 40;
    return zx_cli_fail(common, ZMLX_ERROR_ARGUMENT,
                       "%s: item %zu: '%.*s' is no token id; expected whole numbers from 0 to "
                       "%" PRId32 " with commas between",
                       option, position + 1, (int)length, text, INT32_MAX);
}

static int parse_ids(const zx_cli_common *common, const char *option, const char *text,
                     zx_cli_ids *ids)
{
    size_t capacity = 1;
    for (const char *at = text; *at != '\0'; at++) capacity += *at == ',';
    ids->items = malloc(capacity * sizeof *ids->items);
    if (ids->items == NULL)
        return zx_cli_fail(common, ZMLX_ERROR_MEMORY, "%s: %zu ids do not fit in memory", option,
                           capacity);
    text = skip_blanks(text);
    const bool bracket = *text == '[';
    if (bracket) text = skip_blanks(text + 1);
    while (*text != '\0' && *text != ']') {
        const char *start = text;
        if (!take_id(&text, &ids->items[ids->count]))
            return refuse_id(common, option, ids->count, start);
        text = skip_blanks(text);
        if (*text != ',' && *text != '\0' && *text != ']')
            return refuse_id(common, option, ids->count, start);
        ids->count++;
        if (*text != ',') break;
        text = skip_blanks(text + 1);
        if (*text == '\0' || *text == ']') return refuse_id(common, option, ids->count, text);
    }
    if (bracket != (*text == ']') || *skip_blanks(text + bracket) != '\0')
        return zx_cli_fail(common, ZMLX_ERROR_ARGUMENT, "%s: stray '%.20s' after item %zu", option,
                           *text != '\0' ? text : "[", ids->count);
    return ZX_CLI_OK;
}

int zx_cli_read_ids(const zx_cli_common *common, const char *option, const char *text,
                    zx_cli_ids *ids)
{
    zx_cli_buffer file = {0};
    int code = ZX_CLI_OK;
    *ids = (zx_cli_ids){0};
    if (*text == '@') {
        code = zx_cli_read_file(common, option, text + 1, &file);
        if (file.bytes != NULL && code == ZX_CLI_OK && strlen(file.bytes) != file.length)
            code = zx_cli_fail(common, ZMLX_ERROR_FORMAT, "%s: '%s' holds a NUL byte", option,
                               text + 1);
        text = file.bytes != NULL ? file.bytes : "";
    }
    if (code == ZX_CLI_OK) code = parse_ids(common, option, text, ids);
    zx_cli_buffer_free(&file);
    if (code != ZX_CLI_OK) zx_cli_ids_free(ids);
    return code;
}

void zx_cli_ids_free(zx_cli_ids *ids)
{
    free(ids->items);
    *ids = (zx_cli_ids){0};
}
