/* methods.c - the quantizers whose configs are known, and the walk over a checkpoint's tensors. */
#include "model/foreign/methods.h"

#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "base/text.h"

static const char codebook[] = "its weights are indices into learned codebooks";
static const char online[] = "it quantizes while loading, in a layout of its library's own";

static const zx_foreign_method refused[] = {
    {.name = "aqlm", .refusal = codebook},
    {.name = "bitnet", .refusal = "ternary weights need activations of 8 bits per token"},
    {.name = "bitsandbytes", .refusal = "its nf4 and int8 layouts have no affine form"},
    {.name = "eetq", .refusal = online},
    {.name = "fbgemm_fp8", .refusal = "its scales are bounds of activations too"},
    {.name = "higgs", .refusal = codebook},
    {.name = "hqq", .refusal = online},
    {.name = "quanto", .refusal = online},
    {.name = "spqr", .refusal = "it keeps outliers in a sparse matrix of their own"},
    {.name = "torchao", .refusal = online},
    {.name = "vptq", .refusal = codebook},
};

/* Those that are read; mxfp4 is what model/experts.c reads as it lies in the file. */
static const zx_foreign_method mxfp4 = {.name = "mxfp4"};
static const zx_foreign_method *const read[] = {&zx_foreign_awq, &zx_foreign_compressed,
                                                &zx_foreign_fp8, &zx_foreign_gptq, &mxfp4};

enum { REFUSED = sizeof refused / sizeof *refused, READ = sizeof read / sizeof *read };

static zmlx_status refuse_unknown(const zx_foreign *foreign, const char *name)
{
    char known[160] = "";
    size_t used = 0;
    for (size_t i = 0; i < REFUSED; i++)
        if (strcmp(refused[i].name, name) == 0)
            return ZX_FAIL(ZMLX_ERROR_UNSUPPORTED,
                           "%s: config key 'quantization_config.quant_method' is '%s', which is "
                           "not read: %s",
                           foreign->path, name, refused[i].refusal);
    for (size_t i = 0; i < READ; i++)
        used += (size_t)snprintf(known + used, sizeof known - used, "%s%s",
                                 i == 0          ? ""
                                 : i == READ - 1 ? " and "
                                                 : ", ",
                                 read[i]->name);
    return ZX_FAIL(ZMLX_ERROR_UNSUPPORTED,
                   "%s: config key 'quantization_config.quant_method' is '%.32s', which is not "
                   "known; read are %s",
                   foreign->path, name, known);
}

/* Cuts what the word has before the suffix into the module's name; false where it has not got it.
 */
static bool cut_name(const char *word, const char *suffix, zx_foreign_module *module)
{
    char end[ZX_FOREIGN_FULL_NAME];
    module->name[0] = 0;
    zx_foreign_name(module, suffix, end);
    const size_t length = strlen(word), tail = strlen(end);
    if (length <= tail || length - tail >= sizeof module->name ||
        strcmp(word + length - tail, end) != 0)
        return false;
    memcpy(module->name, word, length - tail);
    module->name[length - tail] = 0;
    return true;
}

/* The key that the module has, or method->keys. */
static size_t find_key(const zx_foreign_method *method, const zx_foreign_module *module)
{
    size_t key = 0;
    while (key < method->keys && zx_foreign_find(module, method->parts[key]) == NULL) key++;
    return key;
}

/* Whether the tensor is part of a quantized module, whose name it sets; *first where it is the one
 * by which the module is known.  The shortest name counts: NAME_activation_scale is a part of NAME
 * and no scale of NAME_activation. */
static bool part_of(const zx_foreign_method *method, const char *word, zx_foreign_module *module,
                    bool *first)
{
    size_t best = SIZE_MAX, shortest = SIZE_MAX;
    for (size_t i = 0; method->parts[i] != NULL; i++) {
        if (!cut_name(word, method->parts[i], module) || strlen(module->name) >= shortest) continue;
        shortest = strlen(module->name);
        best = i;
    }
    if (best == SIZE_MAX || !cut_name(word, method->parts[best], module)) return false;
    const size_t key = find_key(method, module);
    *first = best == key;
    return key < method->keys;
}

static bool is_part(const zx_foreign_method *method, const char *word, zx_foreign_module *module,
                    bool *first)
{
    module->bare = false;
    if (part_of(method, word, module, first)) return true;
    module->bare = method->bare;
    if (!method->bare || !part_of(method, word, module, first)) return false;
    /* many a scale is no weight's: there must be one of its name */
    const zx_stored_tensor *weight = zx_foreign_find(module, "weight");
    return weight != NULL && weight->dtype == ZX_F8_E4M3;
}

static zmlx_status convert_all(const zx_foreign_method *method, zx_foreign_module *module)
{
    const zx_foreign *from = module->from;
    for (size_t i = 0; i < from->count; i++) {
        bool first = false;
        if (!is_part(method, from->words[i], module, &first)) {
            module->words[module->count] = from->words[i];
            module->tensors[module->count++] = from->tensors[i];
        } else if (first) {
            ZX_TRY(method->plan(module));
        }
    }
    return ZMLX_OK;
}

static zmlx_status convert(const zx_foreign_method *method, zx_foreign_module *module)
{
    zx_foreign *from = module->from;
    void *words = NULL, *tensors = NULL;
    if (method->check != NULL) ZX_TRY(method->check(&module->settings));
    ZX_TRY(zx_foreign_work_create(from->path, &module->work));
    ZX_TRY(zx_foreign_take(module, from->count, 2 * sizeof(char *), &words));
    ZX_TRY(zx_foreign_take(module, from->count, 2 * sizeof(void *), &tensors));
    module->words = words;
    module->tensors = tensors;
    ZX_TRY(convert_all(method, module));
    ZX_TRY(zx_foreign_work_place(module->work));
    if (module->quantization != NULL &&
        json_object_set(from->config, "quantization", module->quantization) != 0)
        return ZX_FAIL(ZMLX_ERROR_MEMORY, "%s: out of memory", from->path);
    (void)json_object_del(from->config, "quantization_config");
    from->words = module->words;
    from->tensors = module->tensors;
    from->count = module->count;
    return ZMLX_OK;
}

zmlx_status zx_foreign_convert(zx_foreign *foreign, zx_foreign_work **work)
{
    const zx_fields config = {foreign->path, NULL, foreign->config};
    zx_foreign_module module = {.from = foreign};
    const char *name = NULL;
    size_t i = 0;
    *work = NULL;
    if (zx_fields_have(&config, "quantization")) return ZMLX_OK;
    ZX_TRY(zx_fields_object(&config, "quantization_config", &module.settings));
    ZX_TRY(zx_fields_string(&module.settings, "quant_method", &name));
    if (name == NULL) return ZMLX_OK;
    while (i < READ && strcmp(read[i]->name, name) != 0) i++;
    if (i == READ) return refuse_unknown(foreign, name);
    if (read[i]->plan == NULL) return ZMLX_OK;
    const zmlx_status status = convert(read[i], &module);
    json_decref(module.quantization);
    if (status == ZMLX_OK)
        *work = module.work;
    else
        zx_foreign_close(module.work);
    return status;
}
