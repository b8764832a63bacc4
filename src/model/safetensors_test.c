/* safetensors_test.c - reading, refusing and writing; every byte of a small file damaged. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/test.h"
#include "model/make_files.h"
#include "model/safetensors.h"

static const char good_header[] =
    "{\"__metadata__\":{\"format\":\"mlx\"},"
    "\"b\":{\"dtype\":\"F16\",\"shape\":[3],\"data_offsets\":[24,30]},"
    "\"a.weight\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},"
    "\"\\u00e9\":{\"dtype\":\"U32\",\"shape\":[],\"data_offsets\":[30,34]}} ";
enum { GOOD_DATA = 34 };

TEST(safetensors_finds_tensors)
{
    zx_text file = {0};
    zx_safetensors read;
    CHECK(zx_make_safetensors(&file, good_header, GOOD_DATA));
    CHECK(zx_safetensors_open_bytes("x", file.bytes, file.length, &read) == ZMLX_OK);
    CHECK(read.stored.count == 3);
    const zx_stored_tensor *tensor = zx_stored_find(&read.stored, "a.weight");
    CHECK(tensor != NULL && tensor->dtype == ZX_F32 && tensor->format == ZX_FORMAT_F32);
    CHECK(tensor->rank == 2 && tensor->shape[0] == 2 && tensor->shape[1] == 3);
    CHECK(tensor->bytes == 24 && tensor->data[0] == 0 && tensor->data[23] == 23);
    tensor = zx_stored_find(&read.stored, "b");
    CHECK(tensor != NULL && tensor->dtype == ZX_F16 && tensor->data[0] == 24);
    tensor = zx_stored_find(&read.stored, "\xc3\xa9"); /* its name is written as an escape */
    CHECK(tensor != NULL && tensor->rank == 0 && tensor->bytes == 4);
    CHECK(tensor->format == ZX_FORMAT_COUNT);
    CHECK(zx_stored_find(&read.stored, "c") == NULL);
    zx_safetensors_close(&read);
    zx_text_fini(&file);
}

TEST(safetensors_without_metadata_may_say_null)
{
    zx_text file = {0};
    zx_safetensors read;
    CHECK(zx_make_safetensors(&file,
                              "{\"__metadata__\":null,\"t\":{\"dtype\":\"F32\",\"shape\":[2],"
                              "\"data_offsets\":[0,8]}}",
                              8));
    CHECK(zx_safetensors_open_bytes("f", file.bytes, file.length, &read) == ZMLX_OK);
    CHECK(read.stored.count == 1 && zx_stored_find(&read.stored, "t") != NULL);
    zx_safetensors_close(&read);
    zx_text_fini(&file);
}

/* A tensor "t" whose entry is given; 8 bytes of data. */
static const struct {
    const char *header, *message;
} refused[] = {
    {"{\"t\":{\"dtype\":\"F33\",\"shape\":[2],\"data_offsets\":[0,8]}}",
     "f: tensor 't': unknown dtype 'F33'"},
    {"{\"t\":{\"dtype\":\"f32\",\"shape\":[2],\"data_offsets\":[0,8]}}",
     "f: tensor 't': unknown dtype 'f32'"},
    {"{\"t\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,8]}}",
     "f: tensor 't': F32 [3] takes 12 bytes, data_offsets give it 8"},
    {"{\"t\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,9]}}",
     "f: tensor 't': data_offsets [0, 9] are not inside the 8 bytes of data"},
    {"{\"t\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]}}",
     "f: tensor 't': data_offsets [8, 0] are not inside the 8 bytes of data"},
    {"{\"t\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0]}}",
     "f: tensor 't': 'data_offsets' is not two numbers"},
    {"{\"t\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4,8]}}",
     "f: tensor 't': 'data_offsets' has more than 2 numbers"},
    {"{\"t\":{\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]}}",
     "f: tensor 't': 'shape' is not an array of whole numbers from 0 up"},
    {"{\"t\":{\"dtype\":\"F32\",\"shape\":[2.0],\"data_offsets\":[0,8]}}",
     "f: tensor 't': 'shape' is not an array of whole numbers from 0 up"},
    {"{\"t\":{\"dtype\":\"F32\",\"shape\":2,\"data_offsets\":[0,8]}}",
     "f: tensor 't': 'shape' is not an array of whole numbers from 0 up"},
    {"{\"t\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,2],\"data_offsets\":[0,8]}}",
     "f: tensor 't': 'shape' has more than 8 numbers"},
    {"{\"t\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,8]}}",
     "f: tensor 't': its shape has too many elements"},
    {"{\"t\":{\"dtype\":\"F32\",\"shape\":[4611686018427387906],\"data_offsets\":[0,8]}}",
     "f: tensor 't': its shape has too many elements"},
    {"{\"t\":{\"dtype\":7,\"shape\":[2],\"data_offsets\":[0,8]}}",
     "f: tensor 't': 'dtype' is not a string"},
    {"{\"t\":{\"shape\":[2],\"data_offsets\":[0,8]}}", "f: tensor 't': 'dtype' is missing"},
    {"{\"t\":{\"dtype\":\"F32\",\"data_offsets\":[0,8]}}", "f: tensor 't': 'shape' is missing"},
    {"{\"t\":{\"dtype\":\"F32\",\"shape\":[2]}}", "f: tensor 't': 'data_offsets' is missing"},
    {"{\"t\":{\"dtype\":\"F32\",\"shape\":[2],\"shape\":[2],\"data_offsets\":[0,8]}}",
     "f: tensor 't': a key is there twice"},
    {"{\"t\":[]}", "f: tensor 't': its entry is not an object"},
    {"{\"t\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
     "\"t\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
     "f: tensor 't' is there twice"},
    {"{\"t\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
     "\"u\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
     "f: tensors 't' and 'u' overlap"},
    {"{\"t\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
     "f: the last 4 bytes belong to no tensor"},
    {"{\"t\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
     "f: 4 bytes before tensor 't' belong to no tensor"},
    {"{\"\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}",
     "f: the tensor name '' has 0 bytes; expected 1 to 256"},
    {"{\"t\\u0000u\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}",
     "f: the name of tensor 0 is not UTF-8 text"},
    {"{\"t\xff\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", "malformed UTF-8"},
    {"{\"__metadata__\":{\"a\":1}}", "expected a string"},
    {"{\"__metadata__\":[]}", "'__metadata__' is neither an object nor null"},
    {"{\"__metadata__\":{\"a\":\"\",\"a\":\"\"}}", "a key of '__metadata__' is there twice"},
    {"{\"__metadata__\":{},\"__metadata__\":{}}", "'__metadata__' is there twice"},
    {"{\"t\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}} x", "f: byte "},
    {"{\"t\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}", "f: byte "},
    {"[]", "f: not a safetensors file: its header does not begin with '{'"},
};

static zmlx_status open_text(const zx_text *file)
{
    zx_safetensors read;
    const zmlx_status status = zx_safetensors_open_bytes("f", file->bytes, file->length, &read);
    if (status == ZMLX_OK) zx_safetensors_close(&read);
    return status;
}

TEST(safetensors_refuses_with_reasons)
{
    zx_text file = {0};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        CHECK(zx_make_safetensors(&file, refused[i].header, 8));
        CHECK_ON(refused[i].header, open_text(&file) == ZMLX_ERROR_FORMAT);
        if (strstr(zmlx_error_message(), refused[i].message) == NULL)
            (void)printf("%s\n  is '%s'\n  not '%s'\n", refused[i].header, zmlx_error_message(),
                         refused[i].message);
        CHECK_ON(refused[i].header, strstr(zmlx_error_message(), refused[i].message) != NULL);
    }
    zx_text_fini(&file);
}

TEST(safetensors_refuses_lying_lengths)
{
    zx_text file = {0};
    CHECK(zx_make_safetensors(&file, good_header, GOOD_DATA));
    file.bytes[3] = 1; /* 16 MiB of header */
    CHECK(open_text(&file) == ZMLX_ERROR_FORMAT);
    CHECK(strstr(zmlx_error_message(), "f: truncated: the header has 167") != NULL);
    file.bytes[7] = 1;
    CHECK(open_text(&file) == ZMLX_ERROR_FORMAT);
    CHECK(strstr(zmlx_error_message(), "at most 100000000 are allowed") != NULL);
    file.length = 5;
    CHECK(open_text(&file) == ZMLX_ERROR_FORMAT);
    CHECK(strcmp(zmlx_error_message(), "f: truncated: 5 bytes are no safetensors file") == 0);
    zx_text_fini(&file);
}

TEST(safetensors_names_missing_file)
{
    zx_safetensors read;
    CHECK(zx_safetensors_open("no/such.safetensors", &read) == ZMLX_ERROR_IO);
    CHECK(strstr(zmlx_error_message(), "no/such.safetensors") != NULL);
}

/* Opens an exact copy, so that a read past the end is caught; true where it behaved. */
static bool behaves(const char *bytes, size_t size)
{
    void *copy = NULL;
    zx_safetensors read;
    zx_meter meter;
    if (zx_alloc(size, "copy", &copy) != ZMLX_OK) return false;
    memcpy(copy, bytes, size);
    zx_meter_start(&meter);
    const zmlx_status status = zx_safetensors_open_bytes("f", copy, size, &read);
    volatile uint8_t read_to_the_end = 0;
    if (status == ZMLX_OK) {
        for (size_t i = 0; i < read.stored.count; i++)
            for (size_t k = 0; k < read.stored.tensors[i].bytes; k++)
                read_to_the_end = read.stored.tensors[i].data[k];
        zx_safetensors_close(&read);
    }
    (void)read_to_the_end;
    zx_meter_stop(&meter);
    zx_free(copy);
    const bool memory = meter.now == 0 && meter.peak < size + 256 * 1024;
    return memory && (status == ZMLX_OK || status == ZMLX_ERROR_FORMAT);
}

TEST(safetensors_survives_every_damage)
{
    zx_text file = {0};
    CHECK(zx_make_safetensors(&file, good_header, GOOD_DATA));
    for (size_t size = 0; size < file.length; size++) {
        CHECK(behaves(file.bytes, size));
        if (size < file.length) CHECK(open_text(&(zx_text){file.bytes, size, 0}) != ZMLX_OK);
    }
    static const uint8_t masks[] = {0x01, 0x02, 0x10, 0x80, 0xff};
    for (size_t i = 0; i < file.length; i++)
        for (size_t k = 0; k < sizeof masks; k++) {
            file.bytes[i] = (char)(file.bytes[i] ^ masks[k]);
            CHECK(behaves(file.bytes, file.length));
            file.bytes[i] = (char)(file.bytes[i] ^ masks[k]);
        }
    zx_text_fini(&file);
}

TEST_MARKED(safetensors_takes_no_more_memory_than_the_file, "slow")
{
    zx_text header = {0}, file = {0};
    CHECK(zx_text_add_string(&header, "{") == ZMLX_OK);
    for (int i = 0; i < 20000; i++)
        CHECK(zx_text_format(&header,
                             "%s\"%d\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[%d,%d]}",
                             i > 0 ? "," : "", i, i, i + 1) == ZMLX_OK);
    CHECK(zx_text_add_string(&header, "}") == ZMLX_OK);
    CHECK(zx_make_safetensors(&file, header.bytes, 20000));
    zx_meter meter;
    zx_safetensors read;
    zx_meter_start(&meter);
    const zmlx_status status = zx_safetensors_open_bytes("f", file.bytes, file.length, &read);
    const size_t count = read.stored.count;
    zx_safetensors_close(&read);
    zx_meter_stop(&meter);
    CHECK(status == ZMLX_OK && count == 20000);
    CHECK(meter.peak < 8 * file.length); /* an entry takes 60 bytes of text */
    zx_text_fini(&header);
    zx_text_fini(&file);
}

TEST(safetensors_writes_what_it_reads)
{
    static const float values[6] = {1, 2, 3, 4, 5, 6};
    static const uint8_t codes[3] = {7, 8, 9};
    const zx_stored_tensor tensors[] = {
        {.name = "odd \"name\"\n",
         .dtype = ZX_U8,
         .rank = 1,
         .shape = {3},
         .data = codes,
         .bytes = 3},
        {.name = "logits",
         .dtype = ZX_F32,
         .rank = 2,
         .shape = {2, 3},
         .data = (const uint8_t *)values,
         .bytes = sizeof values},
        {.name = "none", .dtype = ZX_F16, .rank = 2, .shape = {0, 5}},
    };
    const char *path = zx_test_scratch();
    zx_safetensors read;
    CHECK(zx_safetensors_write(path, tensors, 3) == ZMLX_OK);
    CHECK(zx_safetensors_open(path, &read) == ZMLX_OK);
    CHECK(read.stored.count == 3);
    const zx_stored_tensor *tensor = zx_stored_find(&read.stored, "logits");
    CHECK(tensor != NULL && tensor->shape[0] == 2 && tensor->shape[1] == 3);
    CHECK(memcmp(tensor->data, values, sizeof values) == 0);
    tensor = zx_stored_find(&read.stored, "odd \"name\"\n");
    CHECK(tensor != NULL && memcmp(tensor->data, codes, 3) == 0);
    tensor = zx_stored_find(&read.stored, "none");
    CHECK(tensor != NULL && tensor->bytes == 0 && tensor->shape[1] == 5);
    zx_safetensors_close(&read);
    CHECK(zx_safetensors_write("no/such/folder/x.safetensors", tensors, 3) == ZMLX_ERROR_IO);
}
