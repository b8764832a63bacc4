/* tensor_file.c - one tensor as a safetensors file: an 8-byte length, a JSON header, the values. */
#include "cli/tensor_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/output.h"

static int fail_write(const zx_cli_tensor_file *file, int error)
{
    return zx_cli_fail(file->common, ZMLX_ERROR_IO, "%s: cannot write '%s': %s", file->option,
                       file->path, strerror(error));
}

/* A temporary name in the target's folder; NULL where memory ran out. */
static char *temporary_name(const char *target)
{
    const size_t bytes = strlen(target) + 32;
    char *name = malloc(bytes);
    if (name != NULL) (void)snprintf(name, bytes, "%s.%ld.tmp", target, (long)getpid());
    return name;
}

int zx_cli_tensor_file_create(const zx_cli_common *common, const char *option, const char *path,
                              zx_cli_tensor_file *file)
{
    struct stat there;
    *file = (zx_cli_tensor_file){.common = common, .option = option, .path = path};
    const bool exists = stat(path, &there) == 0;
    if (exists && S_ISDIR(there.st_mode)) return fail_write(file, EISDIR);
    if (exists && access(path, W_OK) != 0) return fail_write(file, errno);
    const bool direct = exists && !S_ISREG(there.st_mode);
    /* A pipe behind /dev/stdout has no name of its own. */
    file->target = exists && !direct ? realpath(path, NULL) : strdup(path);
    if (file->target != NULL && !direct) file->temporary = temporary_name(file->target);
    if (file->target == NULL || (file->temporary == NULL && !direct))
        return zx_cli_fail(common, ZMLX_ERROR_MEMORY, "%s: out of memory", option);
    const int flags = direct ? O_WRONLY : O_WRONLY | O_CREAT | O_EXCL;
    const int descriptor =
        open(direct ? file->target : file->temporary, flags | O_CLOEXEC, (mode_t)0666);
    if (descriptor < 0) {
        const int error = errno;
        free(file->temporary);
        file->temporary = NULL;
        return fail_write(file, error);
    }
    file->stream = fdopen(descriptor, "wb");
    if (file->stream != NULL) return ZX_CLI_OK;
    (void)close(descriptor);
    return zx_cli_fail(common, ZMLX_ERROR_MEMORY, "%s: out of memory", option);
}

static int write_bytes(zx_cli_tensor_file *file, const void *bytes, size_t length)
{
    if (fwrite(bytes, 1, length, file->stream) == length) return ZX_CLI_OK;
    return fail_write(file, errno);
}

int zx_cli_tensor_file_header(zx_cli_tensor_file *file, const char *name, size_t rows,
                              size_t columns)
{
    char header[256];
    uint8_t length[8];
    if (columns > 0 && rows > SIZE_MAX / sizeof(float) / columns)
        return zx_cli_fail(file->common, ZMLX_ERROR_ARGUMENT, "%s: [%zu, %zu] is too large",
                           file->option, rows, columns);
    const int used = snprintf(header, sizeof header,
                              "{\"%s\":{\"dtype\":\"F32\",\"shape\":[%zu,%zu],"
                              "\"data_offsets\":[0,%zu]}}",
                              name, rows, columns, rows * columns * sizeof(float));
    const size_t padded = ((size_t)used + 7) / 8 * 8;
    memset(header + used, ' ', padded - (size_t)used);
    for (size_t i = 0; i < sizeof length; i++) length[i] = (uint8_t)((uint64_t)padded >> (8 * i));
    const int code = write_bytes(file, length, sizeof length);
    return code != ZX_CLI_OK ? code : write_bytes(file, header, padded);
}

int zx_cli_tensor_file_write(zx_cli_tensor_file *file, const float *values, size_t count)
{
    return write_bytes(file, values, count * sizeof *values);
}

int zx_cli_tensor_file_close(zx_cli_tensor_file *file, bool keep)
{
    int code = ZX_CLI_OK;
    if (file->stream != NULL && fclose(file->stream) != 0 && keep) code = fail_write(file, errno);
    keep = keep && code == ZX_CLI_OK;
    if (keep && file->temporary != NULL && rename(file->temporary, file->target) != 0) {
        code = fail_write(file, errno);
        keep = false;
    }
    if (!keep && file->temporary != NULL) (void)unlink(file->temporary);
    free(file->temporary);
    free(file->target);
    *file = (zx_cli_tensor_file){0};
    return code;
}
