/* fuzz_tokenizer_model.c - a tokenizer.model: SentencePiece's or tiktoken's. */
#include "base/text.h"
#include "text/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char text[] = " Hello  world, it's \xE6\xBC\xA2\xE5\xAD\x97 1234\n";
    zx_tokenizer *tokenizer;
    const zx_tokenizer_options options = {.add_bos = true};
    if (zx_tokenizer_open_model_bytes("fuzz", data, size, &options, &tokenizer) != ZMLX_OK)
        return 0;
    zx_ids ids = {0};
    zx_text decoded = {0};
    if (zx_tokenizer_encode(tokenizer, text, sizeof text - 1, true, &ids) == ZMLX_OK)
        (void)!zx_tokenizer_decode(tokenizer, ids.items, ids.count, false, &decoded);
    zx_text_fini(&decoded);
    zx_ids_fini(&ids);
    zx_tokenizer_close(tokenizer);
    return 0;
}
