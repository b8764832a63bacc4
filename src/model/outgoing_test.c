/* outgoing_test.c - GGUF files whose vectors hold what no converter writes. */
#include <string.h>

#include "base/test.h"
#include "model/gguf_testing.h"
#include "zmlx/convert.h"

enum { VALUES = 1024, BLOCKS = VALUES / 32 * 34 };

static char *find_bytes(const zx_text *text, const char *word)
{
    const size_t length = strlen(word);
    for (size_t i = 0; i + length <= text->length; i++)
        if (memcmp(text->bytes + i, word, length) == 0) return text->bytes + i;
    return NULL;
}

/* A copy of a tiny file whose vector of that name is Q8_0 [VALUES], behind all others. */
static bool put_blocks(const char *path, const char *from, const char *name)
{
    static const char zeros[BLOCKS];
    zx_gguf gguf = {0};
    zx_text copy = {0};
    if (zx_gguf_open(from, &gguf) != ZMLX_OK) return false;
    const char *const bytes = (const char *)gguf.file.data;
    const zx_stored_tensor *first = &gguf.stored.tensors[0];
    for (size_t i = 1; i < gguf.stored.count; i++)
        if (gguf.stored.tensors[i].data < first->data) first = &gguf.stored.tensors[i];
    const size_t data = (size_t)((const char *)first->data - bytes);
    const uint32_t type = 8; /* Q8_0 */
    const uint64_t size = VALUES, offset = (gguf.file.size - data + 31) / 32 * 32;
    bool good = zx_text_add(&copy, bytes, gguf.file.size) == ZMLX_OK &&
                zx_text_add(&copy, zeros, offset - (gguf.file.size - data)) == ZMLX_OK &&
                zx_text_add(&copy, zeros, sizeof zeros) == ZMLX_OK;
    char *const info = good ? find_bytes(&copy, name) : NULL;
    if (info != NULL) { /* behind the name: its rank of 1, size, type and offset */
        char *const at = info + strlen(name) + sizeof(uint32_t);
        memcpy(at, &size, sizeof size);
        memcpy(at + sizeof size, &type, sizeof type);
        memcpy(at + sizeof size + sizeof type, &offset, sizeof offset);
    }
    good = info != NULL && zx_write_text(path, copy.bytes, copy.length);
    zx_text_fini(&copy);
    zx_gguf_close(&gguf);
    return good;
}

static void refuses_blocks(const char *folder)
{
    static const struct {
        const char *from, *name, *message;
    } rows[] = {
        {"tests/golden/gguf/qwen3next.gguf", "blk.0.ssm_dt.bias",
         "tensor 'blk.0.ssm_dt.bias' is Q8_0 [1024]; expected a vector of"},
        {"tests/golden/gguf/qwen3next.gguf", "blk.0.ssm_a",
         "tensor 'blk.0.ssm_a' is Q8_0 [1024]; expected a vector of F32, F16 or"},
        {"tests/golden/gguf/gptneox.gguf", "blk.0.attn_qkv.bias",
         "tensor 'blk.0.attn_qkv.bias' is Q8_0 [1024]; expected a vector of F32, F16 or"},
    };
    char source[1024];
    (void)snprintf(source, sizeof source, "%s", zx_in_folder(folder, "blocks.gguf"));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CHECK_ON(rows[i].name, put_blocks(source, rows[i].from, rows[i].name));
        const zmlx_status status = zmlx_convert(source, zx_in_folder(folder, "out"), NULL, NULL);
        CHECK_ON(rows[i].name, status == ZMLX_ERROR_SHAPE && says(rows[i].message));
    }
}

TEST(convert_refuses_vectors_of_blocks)
{
    zx_with_folder(refuses_blocks);
}
