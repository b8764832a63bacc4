/* foreign_test.c - checkpoints of other quantizers: what becomes of them, and what is refused. */
#include <stdio.h>
#include <string.h>

#include "base/test.h"
#include "model/checkpoint.h"
#include "model/make_files.h"

static bool says(const char *message)
{
    const bool fits = strstr(zmlx_error_message(), message) != NULL;
    if (!fits) (void)printf("  is '%s'\n  not '%s'\n", zmlx_error_message(), message);
    return fits;
}

static const char one_tensor[] =
    "{\"one.weight\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]}}";

static bool put_header(const char *folder, const char *header, size_t bytes)
{
    zx_text file = {0};
    const bool good =
        zx_make_safetensors(&file, header, bytes) &&
        zx_write_text(zx_in_folder(folder, "model.safetensors"), file.bytes, file.length);
    zx_text_fini(&file);
    return good;
}

static void refuses_methods(const char *folder)
{
    static const struct {
        const char *method, *message;
    } rows[] = {
        {"aqlm", "is 'aqlm', which is not read: its weights are indices into learned codebooks"},
        {"bitnet", "is 'bitnet', which is not read: ternary weights need activations of 8 bits"},
        {"bitsandbytes", "is 'bitsandbytes', which is not read: its nf4 and int8 layouts"},
        {"quanto", "is 'quanto', which is not read: it quantizes while loading"},
        {"nonesuch", "config.json: config key 'quantization_config.quant_method' is 'nonesuch', "
                     "which is not known; read are "},
    };
    char config[128];
    zx_checkpoint *checkpoint = NULL;
    CHECK(put_header(folder, one_tensor, 24));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        (void)snprintf(config, sizeof config, "{\"quantization_config\":{\"quant_method\":\"%s\"}}",
                       rows[i].method);
        CHECK(zx_put_file(folder, "config.json", config));
        const zmlx_status status = zx_checkpoint_open(folder, &checkpoint);
        if (status == ZMLX_OK) zx_checkpoint_close(checkpoint);
        CHECK_ON(rows[i].method, status == ZMLX_ERROR_UNSUPPORTED);
        CHECK_ON(rows[i].method, says(rows[i].message));
    }
    CHECK(zx_put_file(folder, "config.json",
                      "{\"quantization_config\":{\"quant_method\":[\"awq\"]}}"));
    CHECK(zx_checkpoint_open(folder, &checkpoint) == ZMLX_ERROR_FORMAT);
    CHECK(says("config key 'quantization_config.quant_method' is"));
    /* MLX's own settings count more, and mxfp4 is read as it lies there */
    static const char *const fine[] = {
        "{\"quantization\":{\"bits\":4},\"quantization_config\":{\"quant_method\":\"aqlm\"}}",
        "{\"quantization_config\":{\"quant_method\":\"mxfp4\"}}",
        "{\"quantization_config\":{\"bits\":4}}"};
    for (size_t i = 0; i < sizeof fine / sizeof *fine; i++) {
        CHECK(zx_put_file(folder, "config.json", fine[i]));
        CHECK_ON(fine[i], zx_checkpoint_open(folder, &checkpoint) == ZMLX_OK);
        zx_checkpoint_close(checkpoint);
    }
}

TEST(foreign_refuses_methods)
{
    zx_with_folder(refuses_methods);
}
