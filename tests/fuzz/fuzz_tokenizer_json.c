/* fuzz_tokenizer_json.c - a tokenizer.json, a NUL, and a text for it.
 *
 * Whatever the file holds, it is refused or it works: encoding may fail, but what it gives can
 * be decoded, as a whole and as a stream alike. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "text/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *const end = size == 0 ? NULL : memchr(data, 0, size);
    const size_t json = end == NULL ? size : (size_t)(end - data);
    zx_tokenizer *tokenizer;
    if (zx_tokenizer_open_json_bytes("fuzz", data, json, &tokenizer) != ZMLX_OK) return 0;
    zx_ids ids = {0};
    zx_text whole = {0}, streamed = {0};
    zx_decode_stream *stream = NULL;
    const char *const text = end == NULL ? "" : (const char *)end + 1;
    const zmlx_status status =
        zx_tokenizer_encode(tokenizer, text, end == NULL ? 0 : size - json - 1, true, &ids);
    bool good = status == ZMLX_OK &&
                zx_tokenizer_decode(tokenizer, ids.items, ids.count, false, &whole) == ZMLX_OK &&
                zx_decode_stream_create(tokenizer, false, &stream) == ZMLX_OK;
    for (size_t i = 0; i < ids.count && good; i++)
        good = zx_decode_stream_push(stream, ids.items[i], &streamed) == ZMLX_OK;
    good = good && zx_decode_stream_finish(stream, &streamed) == ZMLX_OK;
    if (good && (whole.length != streamed.length ||
                 (whole.length > 0 && memcmp(whole.bytes, streamed.bytes, whole.length) != 0)))
        abort();
    zx_decode_stream_destroy(stream);
    zx_text_fini(&whole);
    zx_text_fini(&streamed);
    zx_ids_fini(&ids);
    zx_tokenizer_close(tokenizer);
    return 0;
}
