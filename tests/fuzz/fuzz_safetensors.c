/* fuzz_safetensors.c - any bytes as a safetensors file: refused, or every tensor readable. */
#include <stdlib.h>

#include "model/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    zx_safetensors file;
    if (zx_safetensors_open_bytes("input", bytes, size, &file) != ZMLX_OK) return 0;
    size_t total = 0;
    volatile uint8_t last = 0;
    for (size_t i = 0; i < file.stored.count; i++) {
        const zx_stored_tensor *tensor = &file.stored.tensors[i];
        if (tensor->bytes > 0) last = tensor->data[tensor->bytes - 1];
        if (zx_stored_find(&file.stored, tensor->name) != tensor) abort();
        total += tensor->bytes;
    }
    if (total > size) abort(); /* two tensors share bytes */
    (void)last;
    zx_safetensors_close(&file);
    return 0;
}
