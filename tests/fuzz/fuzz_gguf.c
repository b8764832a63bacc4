/* fuzz_gguf.c - any bytes as a GGUF model: refused, or metadata, weights and rope readable. */
#include "model/family.h"
#include "model/rope_config.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* The table of embeddings, of whatever shape the file says. */
static void decode(const zx_checkpoint *checkpoint)
{
    zx_weight weight;
    float values[256];
    const zx_stored_tensor *tensor = zx_checkpoint_find(checkpoint, "model.embed_tokens.weight");
    if (tensor == NULL || tensor->rank != 2 || tensor->shape[0] == 0 || tensor->shape[1] < 256)
        return;
    const zmlx_status status = zx_checkpoint_weight(checkpoint, "model.embed_tokens",
                                                    tensor->shape[0], tensor->shape[1], &weight);
    if (status == ZMLX_OK)
        zx_formats[weight.format].decode(&weight, weight.rows - 1, 0, 256, values);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    zx_checkpoint *checkpoint = NULL;
    const zx_family *family = NULL;
    zx_config config;
    zx_arena arena = {0};
    zx_rope rope;
    if (zx_checkpoint_open_gguf("input", bytes, size, &checkpoint) != ZMLX_OK) return 0;
    decode(checkpoint);
    if (zx_family_find(checkpoint, &family) == ZMLX_OK &&
        zx_config_read(family, checkpoint, &config) == ZMLX_OK)
        (void)!zx_checkpoint_rope(checkpoint, config.head_size, &arena, &rope);
    zx_arena_reset(&arena);
    zx_checkpoint_close(checkpoint);
    return 0;
}
