/* output.c - stdout, stderr and exit codes. */
#include "cli/output.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/progress.h"

/* stdout belongs to the process, and so does this. */
static struct {
    char bytes[1 << 14];
    size_t used;
    int error; /* errno of the write that failed */
} out;

void zx_cli_start(void)
{
    for (int descriptor = 0; descriptor <= 2; descriptor++) {
        if (fcntl(descriptor, F_GETFD) != -1 || errno != EBADF) continue;
        const int opened = open("/dev/null", O_RDWR); /* takes the lowest number: this one */
        if (descriptor == 1 || opened == 1) out.error = EPIPE;
    }
    (void)signal(SIGPIPE, SIG_IGN);
}

void zx_cli_flush(void)
{
    size_t done = 0;
    while (done < out.used && out.error == 0) {
        const ssize_t written = write(STDOUT_FILENO, out.bytes + done, out.used - done);
        if (written >= 0)
            done += (size_t)written;
        else if (errno != EINTR)
            out.error = errno;
    }
    out.used = 0;
}

void zx_cli_write(const char *bytes, size_t length)
{
    if (length > 0) zx_cli_progress_clear();
    while (length > 0 && out.error == 0) {
        const size_t space = sizeof out.bytes - out.used;
        const size_t part = length < space ? length : space;
        memcpy(out.bytes + out.used, bytes, part);
        out.used += part;
        bytes += part;
        length -= part;
        if (out.used == sizeof out.bytes) zx_cli_flush();
    }
}

void zx_cli_print(const char *format, ...)
{
    char line[1024];
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (length < 0) return;
    zx_cli_write(line, (size_t)length < sizeof line ? (size_t)length : sizeof line - 1);
}

bool zx_cli_writable(void)
{
    return out.error == 0;
}

static void complain(const zx_cli_common *common, const char *message)
{
    zx_cli_progress_clear();
    if (common->command != NULL)
        (void)fprintf(stderr, "zmlx %s: %s\n", common->command, message);
    else
        (void)fprintf(stderr, "zmlx: %s\n", message);
}

int zx_cli_finish(const zx_cli_common *common, int code)
{
    zx_cli_flush();
    if (out.error == 0) return code;
    if (out.error == EPIPE) return code;
    char message[256];
    (void)snprintf(message, sizeof message, "cannot write to standard output: %s",
                   strerror(out.error));
    complain(common, message);
    return ZX_CLI_INPUT;
}

static int exit_code(zmlx_status status)
{
    if (status == ZMLX_OK) return ZX_CLI_OK;
    const bool resource = status == ZMLX_ERROR_MEMORY || status == ZMLX_ERROR_DEVICE;
    return resource ? ZX_CLI_RESOURCE : ZX_CLI_INPUT;
}

static int fail(const zx_cli_common *common, zmlx_status status, int code, const char *message)
{
    complain(common, message);
    if (!common->json) return code;
    json_t *object = json_pack("{s:{s:o, s:s, s:i}}", "error", "message",
                               zx_cli_json_text(message, strlen(message)), "status",
                               zmlx_status_text(status), "exit", code);
    (void)zx_cli_print_json(common, object);
    return code;
}

int zx_cli_fail(const zx_cli_common *common, zmlx_status status, const char *format, ...)
{
    char message[1024];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    return fail(common, status, exit_code(status), message);
}

int zx_cli_fail_library(const zx_cli_common *common, zmlx_status status)
{
    return fail(common, status, exit_code(status), zmlx_error_message());
}

int zx_cli_fail_check(const zx_cli_common *common, zmlx_status status)
{
    return fail(common, status, ZX_CLI_CHECK, zmlx_error_message());
}

static int write_piece(const char *bytes, size_t length, void *user)
{
    (void)user;
    zx_cli_write(bytes, length);
    return 0;
}

int zx_cli_print_json(const zx_cli_common *common, json_t *object)
{
    if (object == NULL) {
        complain(common, "the JSON result does not fit in memory");
        return ZX_CLI_RESOURCE;
    }
    /* Twelve digits: 0.1 stays 0.1, and a float comes back as it was. */
    const int failed =
        json_dump_callback(object, write_piece, NULL, JSON_REAL_PRECISION(12) | JSON_ENCODE_ANY);
    json_decref(object);
    zx_cli_write("\n", 1);
    if (failed == 0) return ZX_CLI_OK;
    complain(common, "the JSON result does not fit in memory");
    return ZX_CLI_RESOURCE;
}

json_t *zx_cli_json_text(const char *bytes, size_t length)
{
    json_t *text = json_stringn(bytes, length);
    if (text != NULL) return text;
    char *ascii = malloc(length + 1);
    if (ascii == NULL) return NULL;
    for (size_t i = 0; i < length; i++)
        ascii[i] = (char)((unsigned char)bytes[i] < 0x80 ? bytes[i] : '?');
    text = json_stringn(ascii, length);
    free(ascii);
    return text;
}

json_t *zx_cli_json_real(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

json_t *zx_cli_json_fingerprint(const zmlx_fingerprint *fingerprint)
{
    json_t *classes = json_object();
    for (size_t i = 0; i < fingerprint->count; i++) {
        const zmlx_fingerprint_class *class = &fingerprint->classes[i];
        (void)json_object_set_new(classes, class->name, json_sprintf("%016" PRIx64, class->digest));
    }
    return classes;
}

json_t *zx_cli_json_ids(const int32_t *ids, size_t count)
{
    json_t *array = json_array();
    for (size_t i = 0; array != NULL && i < count; i++) {
        if (json_array_append_new(array, json_integer(ids[i])) == 0) continue;
        json_decref(array);
        array = NULL;
    }
    return array;
}
