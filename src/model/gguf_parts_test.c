#include <stdio.h>
#include <string.h>

#include "base/test.h"
#include "model/checkpoint.h"
#include "model/gguf_parts.h"
#include "model/make_files.h"
#include "model/text_source.h"

static bool says(const char *words)
{
    return strstr(zmlx_error_message(), words) != NULL;
}

/* A llama in two parts, the last norm in the second; what each says of itself may be wrong. */
typedef struct made {
    const char *names[2];
    uint32_t numbers[2], counts[2], tensors;
} made;

static const made right = {{"m-00001-of-00002.gguf", "m-00002-of-00002.gguf"}, {0, 1}, {2, 2}, 12};

static bool make_parts(const char *folder, const made *how)
{
    static const uint64_t shape[1] = {32};
    bool good = true;
    for (size_t i = 0; i < 2; i++) {
        zx_gguf_maker maker = {0};
        good = good && (i == 0 ? zx_make_llama(&maker, "output_norm.weight") &&
                                     zx_make_u32(&maker, "split.tensors.count", how->tensors)
                               : zx_make_tensor(&maker, "output_norm.weight", 0, shape, 1, 128));
        good =
            good && zx_make_u32(&maker, "split.no", how->numbers[i]) &&
            zx_make_u32(&maker, "split.count", how->counts[i]) && zx_make_file(&maker) &&
            zx_write_text(zx_in_folder(folder, how->names[i]), maker.file.bytes, maker.file.length);
        zx_gguf_maker_fini(&maker);
    }
    return good;
}

static void reads_both(const char *folder)
{
    if (!make_parts(folder, &right)) return;
    for (size_t i = 0; i < 2; i++) {
        const char *const path = zx_in_folder(folder, right.names[i]);
        zx_checkpoint *checkpoint = NULL;
        zx_text_source *text = NULL;
        CHECK(zx_checkpoint_open(path, &checkpoint) == ZMLX_OK);
        CHECK(zx_checkpoint_count(checkpoint) == 12);
        const zx_stored_tensor *norm = zx_checkpoint_find(checkpoint, "model.norm.weight");
        CHECK(norm != NULL && norm->bytes == 128 && norm->data[5] == 5);
        CHECK(zx_checkpoint_find(checkpoint, "model.embed_tokens.weight") != NULL);
        zx_checkpoint_close(checkpoint);
        CHECK(zx_text_source_open(path, &text) == ZMLX_OK); /* the tokens are in the first */
        zx_text_source_close(text);
    }
}

TEST(gguf_parts_open_by_any_of_them)
{
    zx_with_folder(reads_both);
}

static void refuses_each(const char *folder)
{
    static const struct {
        made how;
        const char *message;
    } rows[] = {
        {{{"m-00001-of-00002.gguf", "n.gguf"}, {0, 1}, {2, 2}, 12}, "m-00002-of-00002.gguf: "},
        {{{"m-00001-of-00002.gguf", "m-00002-of-00002.gguf"}, {0, 0}, {2, 2}, 12},
         "metadata says part 1 of 2; expected part 2 of 2"},
        {{{"m-00001-of-00002.gguf", "m-00002-of-00002.gguf"}, {0, 1}, {2, 3}, 12},
         "metadata says part 2 of 3; expected part 2 of 2"},
        {{{"m-00001-of-00002.gguf", "m-00002-of-00002.gguf"}, {0, 1}, {2, 2}, 13},
         "metadata key 'split.tensors.count' is 13, but the parts hold 12 tensors"},
        {{{"m.gguf", "m-00002-of-00002.gguf"}, {0, 1}, {2, 2}, 12},
         "expected a name that ends in -00001-of-00002.gguf"},
        {{{"m-00001-of-00002.gguf", "m-00002-of-00002.gguf"}, {2, 1}, {2, 2}, 12},
         "metadata key 'split.no' is 2; expected 0 to 1"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        zx_checkpoint *checkpoint = NULL;
        if (!make_parts(folder, &rows[i].how)) return;
        CHECK(zx_checkpoint_open(zx_in_folder(folder, rows[i].how.names[0]), &checkpoint) !=
              ZMLX_OK);
        CHECK_ON(rows[i].message, says(rows[i].message));
        if (i == 0) (void)remove(zx_in_folder(folder, "n.gguf"));
    }
}

TEST(gguf_parts_that_do_not_fit_are_named)
{
    zx_with_folder(refuses_each);
}
