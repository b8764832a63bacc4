/* gguf_test.c - reading and refusing GGUF; every byte of a small file damaged. */
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/test.h"
#include "model/ggml_types.h"
#include "model/gguf.h"
#include "model/make_files.h"

static zmlx_status open_maker(zx_gguf_maker *maker, zx_gguf *gguf)
{
    return zx_gguf_open_bytes("f", maker->file.bytes, maker->file.length, gguf);
}

/* Opens and closes; true where it fails with this message. */
static bool refuses(zx_gguf_maker *maker, const char *message)
{
    zx_gguf gguf;
    const zmlx_status status = open_maker(maker, &gguf);
    if (status == ZMLX_OK) zx_gguf_close(&gguf);
    const bool fits = status != ZMLX_OK && strstr(zmlx_error_message(), message) != NULL;
    if (!fits) (void)printf("  is '%s'\n  not '%s'\n", zmlx_error_message(), message);
    return fits;
}

TEST(gguf_reads_metadata_and_tensors)
{
    zx_gguf_maker maker = {0};
    zx_gguf gguf;
    int64_t count = 0;
    double number = 0;
    zx_string_view text = {"", 0}, tokens[6];
    zx_gguf_array array = {0};
    CHECK(zx_make_llama(&maker, NULL));
    CHECK(open_maker(&maker, &gguf) == ZMLX_OK);
    CHECK(gguf.version == 3 && gguf.alignment == 32);
    CHECK(zx_gguf_string(&gguf, "general.architecture", &text) == ZMLX_OK);
    CHECK(text.length == 5 && memcmp(text.bytes, "llama", 5) == 0);
    CHECK(zx_gguf_integer(&gguf, "llama.embedding_length", 1, 100, &count) == ZMLX_OK);
    CHECK(count == 32);
    CHECK(zx_gguf_number(&gguf, "llama.rope.freq_base", &number) == ZMLX_OK && number == 5000);
    CHECK(zx_gguf_array_of(&gguf, "tokenizer.ggml.tokens", ZX_GGUF_STRING, &array) == ZMLX_OK);
    CHECK(array.count == 6);
    zx_gguf_strings(&array, tokens);
    CHECK(tokens[5].length == 2 && memcmp(tokens[5].bytes, "ab", 2) == 0);
    const zx_stored_tensor *tensor = zx_stored_find(&gguf.stored, "blk.0.ffn_down.weight");
    CHECK(tensor != NULL && tensor->rank == 2);
    CHECK(tensor->shape[0] == 32 && tensor->shape[1] == 64); /* rows first */
    CHECK(tensor->format == ZX_FORMAT_Q4_1 && tensor->bytes == 32 * 40 && tensor->data[60] == 60);
    zx_gguf_close(&gguf);
    maker.version = 2;
    CHECK(zx_make_file(&maker));
    CHECK(open_maker(&maker, &gguf) == ZMLX_OK && gguf.version == 2);
    zx_gguf_close(&gguf);
    zx_gguf_maker_fini(&maker);
}

TEST(gguf_getters_name_the_key)
{
    zx_gguf_maker maker = {0};
    zx_gguf gguf;
    const uint64_t huge = UINT64_MAX;
    const int16_t small = -3;
    int64_t count = 5;
    double number = 5;
    bool truth = true;
    zx_string_view text = {"x", 1};
    zx_gguf_array array = {0};
    CHECK(zx_make_u32(&maker, "u", 7) && zx_make_string(&maker, "s", "text") &&
          zx_make_value(&maker, "huge", ZX_GGUF_U64, &huge, 8) &&
          zx_make_value(&maker, "small", ZX_GGUF_I16, &small, 2) && zx_make_file(&maker));
    CHECK(open_maker(&maker, &gguf) == ZMLX_OK);
    CHECK(zx_gguf_integer(&gguf, "absent", 0, 9, &count) == ZMLX_OK && count == 5);
    CHECK(zx_gguf_integer(&gguf, "small", -9, 9, &count) == ZMLX_OK && count == -3);
    CHECK(zx_gguf_integer(&gguf, "u", 0, 6, &count) == ZMLX_ERROR_FORMAT);
    CHECK(strcmp(zmlx_error_message(), "f: metadata key 'u' is 7; expected 0 to 6") == 0);
    CHECK(zx_gguf_integer(&gguf, "huge", 0, INT64_MAX, &count) == ZMLX_ERROR_FORMAT);
    CHECK(zx_gguf_integer(&gguf, "s", 0, 6, &count) == ZMLX_ERROR_FORMAT);
    CHECK(strcmp(zmlx_error_message(), "f: metadata key 's' is a string; expected an integer") ==
          0);
    CHECK(zx_gguf_number(&gguf, "s", &number) == ZMLX_ERROR_FORMAT);
    CHECK(zx_gguf_number(&gguf, "small", &number) == ZMLX_OK && number == -3);
    CHECK(zx_gguf_bool(&gguf, "u", &truth) == ZMLX_ERROR_FORMAT);
    CHECK(strcmp(zmlx_error_message(), "f: metadata key 'u' is a u32; expected a bool") == 0);
    CHECK(zx_gguf_string(&gguf, "u", &text) == ZMLX_ERROR_FORMAT && text.length == 1);
    CHECK(zx_gguf_array_of(&gguf, "u", ZX_GGUF_STRING, &array) == ZMLX_ERROR_FORMAT);
    CHECK(strstr(zmlx_error_message(), "expected an array with elements of the type string") !=
          NULL);
    zx_gguf_close(&gguf);
    zx_gguf_maker_fini(&maker);
}

TEST(gguf_refuses_other_files)
{
    zx_gguf_maker maker = {0};
    CHECK(zx_make_llama(&maker, NULL));
    const zx_text whole = maker.file;
    maker.file.bytes[0] = 'X';
    CHECK(refuses(&maker, "f: not a GGUF file: it begins with bytes 58 47 55 46, not 'GGUF'"));
    maker.file.bytes[0] = 'G';
    maker.file.bytes[4] = 1;
    CHECK(refuses(&maker, "f: GGUF version 1; versions 2 and 3 are read"));
    maker.file.bytes[4] = 0;
    maker.file.bytes[7] = 3;
    CHECK(refuses(&maker, "f: a big-endian GGUF file"));
    maker.file.bytes[4] = 3;
    maker.file.bytes[7] = 0;
    maker.file.length = 3;
    CHECK(refuses(&maker, "f: truncated: the magic takes 4 bytes at byte 0, where 3 are left"));
    maker.file.length = whole.length - 100;
    CHECK(refuses(&maker, "f: tensor 'output_norm.weight': 128 bytes at offset"));
    maker.file.length = 200;
    CHECK(refuses(&maker, "f: truncated: "));
    maker.file = whole;
    zx_gguf_maker_fini(&maker);
}

TEST(gguf_refuses_absurd_counts)
{
    zx_gguf_maker maker = {0};
    CHECK(zx_make_llama(&maker, NULL));
    maker.file.bytes[8 + 4] = 1; /* 2^32 tensors more */
    CHECK(refuses(&maker, "tensors; at most 65536 are allowed"));
    maker.file.bytes[8 + 4] = 0;
    maker.file.bytes[16 + 7] = 1;
    CHECK(refuses(&maker, "metadata keys; at most 65536 are allowed"));
    maker.file.bytes[16 + 7] = 0;
    maker.file.bytes[16 + 1] = 1; /* 256 keys more than there are */
    CHECK(refuses(&maker, "f: "));
    zx_gguf_maker_fini(&maker);
    /* arrays and strings longer than the file */
    static const uint8_t array[12] = {ZX_GGUF_U32, 0, 0, 0, 0, 0, 0, 0, 1};
    CHECK(zx_make_value(&maker, "a", ZX_GGUF_ARRAY, array, 12) && zx_make_file(&maker));
    CHECK(refuses(&maker, "f: metadata key 'a': an array of 4294967296 elements; "));
    zx_gguf_maker_fini(&maker);
    static const uint8_t string[8] = {0, 0, 0, 2};
    CHECK(zx_make_value(&maker, "s", ZX_GGUF_STRING, string, 8) && zx_make_file(&maker));
    CHECK(refuses(&maker, "f: truncated: metadata key 's' takes 33554432 bytes"));
    zx_gguf_maker_fini(&maker);
    static const uint8_t longer[8] = {0, 0, 0, 8};
    CHECK(zx_make_value(&maker, "s", ZX_GGUF_STRING, longer, 8) && zx_make_file(&maker));
    CHECK(refuses(&maker, "f: metadata key 's' of 134217728 bytes; at most 67108864 are allowed"));
    zx_gguf_maker_fini(&maker);
}

TEST(gguf_refuses_bad_metadata)
{
    zx_gguf_maker maker = {0};
    static const uint8_t two = 2;
    CHECK(zx_make_u32(&maker, "k", 1) && zx_make_u32(&maker, "k", 1) && zx_make_file(&maker));
    CHECK(refuses(&maker, "f: metadata key 'k' is there twice"));
    zx_gguf_maker_fini(&maker);
    CHECK(zx_make_value(&maker, "b", ZX_GGUF_BOOL, &two, 1) && zx_make_file(&maker));
    CHECK(refuses(&maker, "f: metadata key 'b': the bool is 2, not 0 or 1"));
    zx_gguf_maker_fini(&maker);
    CHECK(zx_make_value(&maker, "t", ZX_GGUF_TYPE_COUNT, &two, 1) && zx_make_file(&maker));
    CHECK(refuses(&maker, "f: metadata key 't': unknown value type 13"));
    zx_gguf_maker_fini(&maker);
    CHECK(zx_make_u32(&maker, "\xff", 1) && zx_make_file(&maker));
    CHECK(refuses(&maker, "f: metadata key 0 is empty or not UTF-8 text"));
    zx_gguf_maker_fini(&maker);
    CHECK(zx_make_u32(&maker, "general.alignment", 48) && zx_make_file(&maker));
    CHECK(refuses(&maker, "f: metadata key 'general.alignment' is 48, not a power of two"));
    zx_gguf_maker_fini(&maker);
    CHECK(zx_make_u32(&maker, "general.alignment", 1 << 17) && zx_make_file(&maker));
    CHECK(refuses(&maker, "f: metadata key 'general.alignment' is 131072; expected 1 to 65536"));
    zx_gguf_maker_fini(&maker);
    uint8_t nested[5 * 12] = {0};
    for (int i = 0; i < 5; i++) {
        nested[12 * i] = ZX_GGUF_ARRAY;
        nested[12 * i + 4] = 1;
    }
    CHECK(zx_make_value(&maker, "n", ZX_GGUF_ARRAY, nested, sizeof nested) && zx_make_file(&maker));
    CHECK(refuses(&maker, "f: metadata key 'n': arrays nested more than 4 deep"));
    zx_gguf_maker_fini(&maker);
}

/* One tensor of this shape and type; the file has 128 bytes of data. */
static const struct {
    const char *name;
    uint32_t type, rank;
    uint64_t shape[5];
    const char *message;
} bad_tensors[] = {
    {"t", 99, 1, {32}, "f: tensor 't': unknown dtype: ggml type 99"},
    {"t", 4, 1, {32}, "f: tensor 't': unknown dtype: ggml type 4"},
    {"t", 0, 1, {33}, "f: tensor 't': 132 bytes at offset 0 are not inside the 128 bytes of data"},
    {"t", 0, 5, {1, 1, 1, 1, 32}, "f: tensor 't': 5 dimensions; at most 4 are allowed"},
    {"t", 3, 1, {33}, "f: tensor 't': Q4_1 [33]: rows are no multiple of the block of 32"},
    {"t", 0, 1, {UINT64_MAX}, "f: tensor 't': its shape has too many elements"},
    {"t", 0, 2, {1ull << 32, 1ull << 32}, "f: tensor 't': its shape has too many elements"},
    {"t", 0, 2, {0, UINT64_MAX}, "f: tensor 't': its shape has too many elements"},
    {"t", 0, 1, {1ull << 62}, "f: tensor 't': its shape has too many elements"},
    {"", 0, 1, {32}, "f: the tensor name '' has 0 bytes; expected 1 to 64"},
    {"a\xc3", 0, 1, {32}, "f: the name of tensor 0 is not UTF-8 text"},
    {"0123456789012345678901234567890123456789012345678901234567890123x",
     0,
     1,
     {32},
     "has 65 bytes; expected 1 to 64"},
};

TEST(gguf_refuses_bad_tensors)
{
    for (size_t i = 0; i < sizeof bad_tensors / sizeof *bad_tensors; i++) {
        zx_gguf_maker maker = {0};
        CHECK(zx_make_tensor(&maker, bad_tensors[i].name, bad_tensors[i].type, bad_tensors[i].shape,
                             bad_tensors[i].rank, 128) &&
              zx_make_file(&maker));
        CHECK_ON(bad_tensors[i].message, refuses(&maker, bad_tensors[i].message));
        zx_gguf_maker_fini(&maker);
    }
}

TEST(gguf_refuses_bad_offsets)
{
    static const uint64_t shape[1] = {32};
    zx_gguf_maker maker = {0};
    CHECK(zx_make_tensor(&maker, "one", 0, shape, 1, 128) &&
          zx_make_tensor(&maker, "two", 0, shape, 1, 128) && zx_make_file(&maker));
    const size_t last = 24 + maker.infos.length - 8; /* where "two" has its offset */
    maker.file.bytes[last] = 64;
    CHECK(refuses(&maker, "f: tensors 'one' and 'two' overlap"));
    maker.file.bytes[last] = 31;
    CHECK(refuses(&maker, "f: tensor 'two': offset 31 is no multiple of the alignment, 32"));
    maker.file.bytes[last] = 0;
    maker.file.bytes[last + 7] = 127;
    CHECK(refuses(&maker, "f: tensor 'two': 128 bytes at offset 9151314442816847872 are not"));
    zx_gguf_maker_fini(&maker);
    CHECK(zx_make_tensor(&maker, "one", 0, shape, 1, 128) &&
          zx_make_tensor(&maker, "one", 0, shape, 1, 128) && zx_make_file(&maker));
    CHECK(refuses(&maker, "f: tensor 'one' is there twice"));
    zx_gguf_maker_fini(&maker);
}

TEST(gguf_honours_alignment)
{
    static const uint64_t shape[1] = {3};
    zx_gguf_maker maker = {.alignment = 4096};
    zx_gguf gguf;
    CHECK(zx_make_u32(&maker, "general.alignment", 4096) &&
          zx_make_tensor(&maker, "one", 0, shape, 1, 12) &&
          zx_make_tensor(&maker, "two", 0, shape, 1, 12) && zx_make_file(&maker));
    CHECK(open_maker(&maker, &gguf) == ZMLX_OK && gguf.alignment == 4096);
    const zx_stored_tensor *two = zx_stored_find(&gguf.stored, "two");
    CHECK(two != NULL && (size_t)(two->data - (const uint8_t *)maker.file.bytes) == 8192);
    zx_gguf_close(&gguf);
    zx_gguf_maker_fini(&maker);
}

TEST(ggml_types_have_blocks)
{
    size_t count = 0, readable = 0;
    for (uint32_t number = 0; number < 100; number++) {
        const zx_ggml_type *type = zx_ggml_type_of(number);
        if (type == NULL) continue;
        CHECK_ON(type->name, type->block > 0 && type->bytes > 0);
        CHECK_ON(type->name, (type->dtype == ZX_DTYPE_COUNT) == (type->block > 1));
        if (type->format != ZX_FORMAT_COUNT) {
            const zx_weight weight = {.format = type->format,
                                      .bits = zx_formats[type->format].bits,
                                      .group = zx_formats[type->format].group,
                                      .columns = type->block};
            CHECK_ON(type->name, zx_weight_row_bytes(&weight) == type->bytes);
            readable++;
        }
        count++;
    }
    CHECK(count == 41 && readable == 16);
}

static bool behaves(const char *bytes, size_t size)
{
    void *copy = NULL;
    zx_gguf gguf;
    zx_meter meter;
    if (zx_alloc(size, "copy", &copy) != ZMLX_OK) return false;
    memcpy(copy, bytes, size);
    zx_meter_start(&meter);
    const zmlx_status status = zx_gguf_open_bytes("f", copy, size, &gguf);
    volatile uint8_t read_to_the_end = 0;
    if (status == ZMLX_OK) {
        for (size_t i = 0; i < gguf.stored.count; i++)
            for (size_t k = 0; k < gguf.stored.tensors[i].bytes; k++)
                read_to_the_end = gguf.stored.tensors[i].data[k];
        zx_gguf_close(&gguf);
    }
    (void)read_to_the_end;
    zx_meter_stop(&meter);
    zx_free(copy);
    return meter.now == 0 && meter.peak < size + 256 * 1024 &&
           (status == ZMLX_OK || status == ZMLX_ERROR_FORMAT || status == ZMLX_ERROR_UNSUPPORTED);
}

TEST(gguf_survives_every_damage)
{
    static const uint8_t masks[] = {0x01, 0x80, 0xff};
    zx_gguf_maker maker = {0};
    CHECK(zx_make_llama(&maker, NULL));
    zx_text *const file = &maker.file;
    const size_t head = file->length - maker.data.length;
    for (size_t size = 0; size < file->length; size += size < head ? 1 : 37)
        CHECK(behaves(file->bytes, size));
    for (size_t i = 0; i < head; i++)
        for (size_t k = 0; k < sizeof masks; k++) {
            file->bytes[i] = (char)(file->bytes[i] ^ masks[k]);
            CHECK(behaves(file->bytes, file->length));
            file->bytes[i] = (char)(file->bytes[i] ^ masks[k]);
        }
    zx_gguf_maker_fini(&maker);
}
