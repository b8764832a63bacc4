/* rope_config_test.c - frequencies against those of transformers, bit by bit (those that depend on
 * the length: tests/golden/make/rope_by_length.py --rows), and refusals. */
#include <stdio.h>
#include <string.h>

#include "base/test.h"
#include "model/rope_config.h"

enum { MOST = 16 };

static const struct {
    const char *config;
    const char *layer_type;
    size_t head, length;
    uint32_t magnitude;
    uint32_t frequencies[MOST];
} rows[] = {
    {"{\"rope_theta\":10000.0}",
     NULL,
     16,
     0,
     0x3f800000,
     {0x3f800000, 0x3ea1e89b, 0x3dcccccd, 0x3d0186e3, 0x3c23d70a, 0x3b4f3e38, 0x3a83126f,
      0x39a5cb60}},
    {"{}",
     NULL,
     16,
     0,
     0x3f800000,
     {0x3f800000, 0x3ea1e89b, 0x3dcccccd, 0x3d0186e3, 0x3c23d70a, 0x3b4f3e38, 0x3a83126f,
      0x39a5cb60}},
    {"{\"rope_scaling\":null,\"rope_theta\":30000.0}",
     NULL,
     32,
     0,
     0x3f800000,
     {0x3f800000, 0x3f066809, 0x3e8d2226, 0x3e143275, 0x3d9b9d46, 0x3d23671f, 0x3cab94c4,
      0x3c342b32, 0x3bbd2fa7, 0x3b46a7a6, 0x3ad098f7, 0x3a5b09ae, 0x39e60027, 0x3971831a,
      0x38fd9989, 0x3885256c}},
    {"{\"rope_parameters\":{\"rope_theta\":50000.0,\"partial_rotary_factor\":0.25,\"rope_type\":"
     "\"default\"}}",
     NULL,
     32,
     0,
     0x3f800000,
     {0x3f800000, 0x3d88f541, 0x3b928aff, 0x399ccc77}},
    {"{\"rope_theta\":50000.0,\"rotary_dim\":8}",
     NULL,
     32,
     0,
     0x3f800000,
     {0x3f800000, 0x3d88f541, 0x3b928aff, 0x399ccc77}},
    {"{\"rope_theta\":100000.0,\"rope_scaling\":{\"type\":\"linear\",\"factor\":4.0}}",
     NULL,
     16,
     0,
     0x3f800000,
     {0x3e800000, 0x3d72d423, 0x3c6655c2, 0x3b5a7bf2, 0x3a4f3e38, 0x3944948c, 0x383a7753,
      0x3730df52}},
    {"{\"rope_parameters\":{\"full_attention\":{\"rope_type\":\"linear\",\"factor\":4.0,\"rope_"
     "theta\":100000.0},\"sliding_attention\":{\"rope_theta\":1000.0,\"rope_type\":\"default\"}}}",
     "full_attention",
     16,
     0,
     0x3f800000,
     {0x3e800000, 0x3d72d423, 0x3c6655c2, 0x3b5a7bf2, 0x3a4f3e38, 0x3944948c, 0x383a7753,
      0x3730df52}},
    {"{\"rope_parameters\":{\"full_attention\":{\"rope_type\":\"linear\",\"factor\":4.0,\"rope_"
     "theta\":100000.0},\"sliding_attention\":{\"rope_theta\":1000.0,\"rope_type\":\"default\"}}}",
     "sliding_attention",
     16,
     0,
     0x3f800000,
     {0x3f800000, 0x3ed7e89b, 0x3e361887, 0x3d99940d, 0x3d0186e3, 0x3c5a7bf2, 0x3bb8449c,
      0x3b1b690d}},
    {"{\"max_position_embeddings\":256,\"rope_scaling\":{\"type\":\"dynamic\",\"factor\":2.5}}",
     NULL,
     16,
     0,
     0x3f800000,
     {0x3f800000, 0x3ea1e89b, 0x3dcccccd, 0x3d0186e3, 0x3c23d70a, 0x3b4f3e38, 0x3a83126f,
      0x39a5cb60}},
    {"{\"max_position_embeddings\":256,\"rope_scaling\":{\"type\":\"dynamic\",\"factor\":2.5}}",
     NULL,
     16,
     200,
     0x3f800000,
     {0x3f800000, 0x3ea1e89b, 0x3dcccccd, 0x3d0186e3, 0x3c23d70a, 0x3b4f3e38, 0x3a83126f,
      0x39a5cb60}},
    {"{\"max_position_embeddings\":256,\"rope_scaling\":{\"type\":\"dynamic\",\"factor\":2.5}}",
     NULL,
     16,
     257,
     0x3f800000,
     {0x3f800000, 0x3ea1af1a, 0x3dcc3b6d, 0x3d00fd11, 0x3c22eec4, 0x3b4dcf35, 0x3a81fc17,
      0x39a430e5}},
    {"{\"max_position_embeddings\":256,\"rope_scaling\":{\"type\":\"dynamic\",\"factor\":2.5}}",
     NULL,
     16,
     1000,
     0x3f800000,
     {0x3f800000, 0x3e6f79a7, 0x3d600460, 0x3c518e8b, 0x3b4407a9, 0x3a37604f, 0x392b8a0e,
      0x38207768}},
    {"{\"max_position_embeddings\":256,\"rope_scaling\":{\"type\":\"dynamic\",\"factor\":2.5}}",
     NULL,
     16,
     4096,
     0x3f800000,
     {0x3f800000, 0x3e40391c, 0x3d1055b8, 0x3bd8c0fa, 0x3aa2c117, 0x39746a41, 0x38378638,
      0x3709cd9b}},
    {"{\"rope_parameters\":{\"factor\":8.0,\"high_freq_factor\":4.0,\"low_freq_factor\":1.0,"
     "\"original_max_position_embeddings\":32,\"rope_theta\":10000.0,\"rope_type\":\"llama3\"}}",
     NULL,
     16,
     0,
     0x3f800000,
     {0x3f800000, 0x3dc447c0, 0x3c4ccccd, 0x3b8186e3, 0x3aa3d70a, 0x39cf3e38, 0x3903126f,
      0x3825cb60}},
    {"{\"rope_theta\":50000.0,\"rope_scaling\":{\"factor\":4.0,\"high_freq_factor\":3.0,\"low_freq_"
     "factor\":1.0,\"original_max_position_embeddings\":64,\"rope_type\":\"llama3\"}}",
     NULL,
     32,
     0,
     0x3f800000,
     {0x3f800000, 0x3f022edb, 0x3e64783f, 0x3d4b3cf0, 0x3c88f541, 0x3c0b4b37, 0x3b8dab61,
      0x3b1015e9, 0x3a928aff, 0x3a150acf, 0x39979588, 0x391a2b5b, 0x389ccc77, 0x381f790d,
      0x37a23151, 0x3724f575}},
    {"{\"max_position_embeddings\":2048,\"rope_theta\":15000.0,\"rope_scaling\":{\"beta_fast\":8.0,"
     "\"beta_slow\":1.0,\"factor\":8.0,\"original_max_position_embeddings\":256,\"truncate\":false,"
     "\"rope_type\":\"yarn\"}}",
     NULL,
     32,
     0,
     0x3f9a9dea,
     {0x3f800000, 0x3f0c5b68, 0x3e99e836, 0x3e1c548e, 0x3d793f48, 0x3caaad12, 0x3b95391e,
      0x3af3fe97, 0x3a85c659, 0x3a12b07a, 0x39a0d9c6, 0x3930610f, 0x38c1681d, 0x385413fc,
      0x37e88d4f, 0x377f00a0}},
    {"{\"max_position_embeddings\":2048,\"rope_theta\":15000.0,\"rope_scaling\":{\"beta_fast\":8.0,"
     "\"beta_slow\":1.0,\"factor\":8.0,\"original_max_position_embeddings\":256,\"rope_type\":"
     "\"yarn\"}}",
     NULL,
     32,
     0,
     0x3f9a9dea,
     {0x3f800000, 0x3f0c5b68, 0x3e99e836, 0x3e0b3b35, 0x3d709334, 0x3cc0c6e3, 0x3c058206,
      0x3af3fe97, 0x3a85c659, 0x3a12b07a, 0x39a0d9c6, 0x3930610f, 0x38c1681d, 0x385413fc,
      0x37e88d4f, 0x377f00a0}},
    {"{\"max_position_embeddings\":2048,\"rope_theta\":15000.0,\"rope_scaling\":{\"beta_fast\":8.0,"
     "\"beta_slow\":1.0,\"original_max_position_embeddings\":256,\"rope_type\":\"yarn\"}}",
     NULL,
     32,
     0,
     0x3f9a9dea,
     {0x3f800000, 0x3f0c5b68, 0x3e99e836, 0x3e0b3b35, 0x3d709334, 0x3cc0c6e3, 0x3c058206,
      0x3af3fe97, 0x3a85c659, 0x3a12b07a, 0x39a0d9c6, 0x3930610f, 0x38c1681d, 0x385413fc,
      0x37e88d4f, 0x377f00a0}},
    {"{\"rope_parameters\":{\"beta_fast\":8.0,\"beta_slow\":1.0,\"factor\":8.0,\"mscale\":1.0,"
     "\"mscale_all_dim\":0.8,\"original_max_position_embeddings\":256,\"rope_theta\":10000.0,"
     "\"rope_type\":\"yarn\"}}",
     NULL,
     16,
     0,
     0x3f849069,
     {0x3f800000, 0x3ea1e89b, 0x3d911111, 0x3c57e0d0, 0x3aa3d70a, 0x39cf3e38, 0x3903126f,
      0x3825cb60}},
    {"{\"max_position_embeddings\":256,\"rope_theta\":15000.0,\"rope_scaling\":{\"attention_"
     "factor\":1.5,\"factor\":8.0,\"type\":\"yarn\"}}",
     NULL,
     16,
     0,
     0x3fc00000,
     {0x3f800000, 0x3e707ad4, 0x3d50309e, 0x3c18fa51, 0x3a85c659, 0x39a0d9c6, 0x38c1681d,
      0x37e88d4f}},
    {"{\"max_position_embeddings\":128,\"original_max_position_embeddings\":32,\"rope_parameters\":"
     "{\"long_factor\":[1.1,1.4,1.9,2.6,3.3,4.4,5.5,7.0],\"rope_type\":\"longrope\",\"short_"
     "factor\":[1.0,1.1,1.2,1.4,1.7,2.0,2.3,2.6]}}",
     NULL,
     16,
     0,
     0x3f97739f,
     {0x3f800000, 0x3e93308c, 0x3daaaaab, 0x3cb909d6, 0x3bc0c0c1, 0x3acf3e38, 0x39e3f389,
      0x38ff117f}},
    {"{\"max_position_embeddings\":128,\"original_max_position_embeddings\":32,\"rope_parameters\":"
     "{\"long_factor\":[1.1,1.4,1.9,2.6,3.3,4.4,5.5,7.0],\"rope_type\":\"longrope\",\"short_"
     "factor\":[1.0,1.1,1.2,1.4,1.7,2.0,2.3,2.6]}}",
     NULL,
     16,
     32,
     0x3f97739f,
     {0x3f800000, 0x3e93308c, 0x3daaaaab, 0x3cb909d6, 0x3bc0c0c1, 0x3acf3e38, 0x39e3f389,
      0x38ff117f}},
    {"{\"max_position_embeddings\":128,\"original_max_position_embeddings\":32,\"rope_parameters\":"
     "{\"long_factor\":[1.1,1.4,1.9,2.6,3.3,4.4,5.5,7.0],\"rope_type\":\"longrope\",\"short_"
     "factor\":[1.0,1.1,1.2,1.4,1.7,2.0,2.3,2.6]}}",
     NULL,
     16,
     33,
     0x3f97739f,
     {0x3f68ba2e, 0x3e674c4b, 0x3d579436, 0x3c4745ac, 0x3b46980c, 0x3a3c671b, 0x393ea672,
      0x383d7ab6}},
    {"{\"max_position_embeddings\":64,\"rope_scaling\":{\"type\":\"longrope\",\"factor\":8.0,"
     "\"original_max_position_embeddings\":16,\"attention_factor\":1.25,\"long_factor\":[1.1,1.4,"
     "1.9,2.6],\"short_factor\":[1.0,1.1,1.2,1.4]}}",
     NULL,
     8,
     16,
     0x3fa00000,
     {0x3f800000, 0x3dba2e8c, 0x3c088888, 0x3a3b3ee7}},
    {"{\"max_position_embeddings\":64,\"rope_scaling\":{\"type\":\"longrope\",\"factor\":8.0,"
     "\"original_max_position_embeddings\":16,\"attention_factor\":1.25,\"long_factor\":[1.1,1.4,"
     "1.9,2.6],\"short_factor\":[1.0,1.1,1.2,1.4]}}",
     NULL,
     8,
     17,
     0x3fa00000,
     {0x3f68ba2e, 0x3d924925, 0x3bac7692, 0x39c9a634}},
    {"{\"rope_parameters\":{\"full_attention\":{\"rope_type\":\"proportional\",\"partial_rotary_"
     "factor\":0.25,\"rope_theta\":1000000.0}}}",
     "full_attention",
     16,
     0,
     0x3f800000,
     {0x3f800000, 0x3e361887}},
    {"{\"rope_parameters\":{\"rope_type\":\"proportional\",\"partial_rotary_factor\":0.7,"
     "\"rope_theta\":5000.0,\"factor\":8.0}}",
     NULL,
     32,
     0,
     0x3f800000,
     {0x3e000000, 0x3d965540, 0x3d309007, 0x3ccf5e5f, 0x3c738cb4, 0x3c0f058c, 0x3ba7f9c1,
      0x3b45488e, 0x3ae7b46b, 0x3a8810df, 0x3a1fce64}},
    {"{\"rope_parameters\":{\"rope_type\":\"proportional\",\"rope_theta\":1000000.0}}",
     NULL,
     16,
     0,
     0x3f800000,
     {0x3f800000, 0x3e361887, 0x3d0186e3, 0x3bb8449c, 0x3a83126f, 0x393a7753, 0x3804a2b2,
      0x36bcb0c1}},
    {"{\"rope_parameters\":{\"rope_type\":\"proportional\",\"partial_rotary_factor\":0.4,"
     "\"rope_theta\":20000.0}}",
     NULL,
     12,
     0,
     0x3f800000,
     {0x3f800000, 0x3e448b79}},
};

static zmlx_status read(const char *text, const char *layer_type, size_t head, size_t length,
                        zx_arena *arena, zx_rope *rope)
{
    json_t *document = NULL;
    zx_rope_settings settings;
    zmlx_status status = zx_document_parse("c", text, strlen(text), NULL, &document);
    const zx_fields fields = {"c", NULL, document};
    if (status == ZMLX_OK)
        status = zx_rope_settings_read(&fields, layer_type, head, arena, &settings);
    if (status == ZMLX_OK) status = zx_rope_build(&settings, length, arena, rope);
    json_decref(document);
    return status;
}

static zmlx_status make(const char *text, size_t head, zx_arena *arena, zx_rope *rope)
{
    json_t *document = NULL;
    zx_rope_settings settings;
    zmlx_status status = zx_document_parse("c", text, strlen(text), NULL, &document);
    const zx_fields fields = {"c", NULL, document};
    if (status == ZMLX_OK) status = zx_rope_settings_read(&fields, NULL, head, arena, &settings);
    if (status == ZMLX_OK) status = zx_rope_create(&settings, arena, rope);
    json_decref(document);
    return status;
}

TEST(rope_frequencies)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        zx_arena arena = {0};
        zx_rope rope;
        CHECK_ON(rows[i].config, read(rows[i].config, rows[i].layer_type, rows[i].head,
                                      rows[i].length, &arena, &rope) == ZMLX_OK);
        CHECK_ON(rows[i].config, rope.dims <= 2 * MOST && !rope.interleaved);
        CHECK_ON(rows[i].config, zx_bits_from_float(rope.magnitude) == rows[i].magnitude);
        for (size_t k = 0; k < MOST; k++)
            CHECK_ON(rows[i].config,
                     k >= rope.dims / 2
                         ? rows[i].frequencies[k] == 0
                         : zx_bits_from_float(rope.inverse_frequency[k]) == rows[i].frequencies[k]);
        zx_arena_reset(&arena);
    }
}

TEST(a_proportional_rope_pairs_the_halves_of_a_whole_head)
{
    zx_arena arena = {0};
    zx_rope rope = {0};
    CHECK(
        read(
            "{\"rope_parameters\":{\"rope_type\":\"proportional\",\"partial_rotary_factor\":0.25}}",
            NULL, 16, 0, &arena, &rope) == ZMLX_OK);
    CHECK(rope.dims == 16);
    zx_arena_reset(&arena);
}

TEST(rope_refuses_with_reasons)
{
    static const struct {
        const char *config, *message;
    } refused[] = {
        {"{\"rope_scaling\":{\"rope_type\":\"spiral\"}}", "c: rope type 'spiral' is not known"},
        {"{\"rope_scaling\":[]}", "c: config key 'rope_scaling' is an array; expected an object"},
        {"{\"rope_scaling\":{\"type\":\"linear\"}}",
         "c: config key 'rope_scaling.factor' is missing; expected a number"},
        {"{\"rope_parameters\":{\"rope_type\":\"llama3\",\"factor\":2,\"low_freq_factor\":4}}",
         "c: config key 'rope_parameters.high_freq_factor' is missing; expected a number above"},
        {"{\"rope_theta\":-1}", "c: config key 'rope_theta' is -1; expected a number from"},
        {"{\"rope_theta\":1,\"rope_scaling\":{\"type\":\"yarn\"}}", "expected a number above 1"},
        {"{\"partial_rotary_factor\":1.5}", "c: config key 'partial_rotary_factor' is 1.5"},
        {"{\"partial_rotary_factor\":0.2}", "c: rope turns 3 of a head's 16 dimensions"},
        {"{\"rope_scaling\":{\"type\":\"longrope\",\"long_factor\":[1]}}",
         "c: config key 'rope_scaling.long_factor' is an array; expected a factor for every two"},
        {"{\"rope_scaling\":{\"type\":\"su\",\"long_factor\":[\"a\"]}}",
         "c: config key 'rope_scaling.long_factor' is an array; expected an array of numbers"},
        {"{\"rope_scaling\":{\"type\":\"yarn\",\"original_max_position_embeddings\":0}}",
         "c: config key 'rope_scaling.original_max_position_embeddings' is 0"},
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        zx_arena arena = {0};
        zx_rope rope;
        CHECK_ON(refused[i].config, read(refused[i].config, NULL, 16, 0, &arena, &rope) != ZMLX_OK);
        CHECK_ON(zmlx_error_message(), strstr(zmlx_error_message(), refused[i].message) != NULL);
        zx_arena_reset(&arena);
    }
}

TEST(rope_traditional_is_interleaved)
{
    zx_arena arena = {0};
    zx_rope rope;
    CHECK(read("{\"rope_traditional\":true}", NULL, 16, 0, &arena, &rope) == ZMLX_OK);
    CHECK(rope.interleaved);
    zx_arena_reset(&arena);
}

/* What a graph's rope makes of a length: rows of the config, the length, and the shortest one of
 * the same frequencies. */
TEST(rope_says_which_lengths_share_frequencies)
{
    static const char dynamic[] =
        "{\"max_position_embeddings\":256,\"rope_scaling\":{\"type\":\"dynamic\",\"factor\":2.5}}";
    static const char longrope[] =
        "{\"max_position_embeddings\":128,\"original_max_position_embeddings\":32,\"rope_scaling\":"
        "{"
        "\"type\":\"longrope\",\"long_factor\":[2,2],\"short_factor\":[1,1]}}";
    static const struct {
        const char *config;
        size_t length, shortest;
    } lengths[] = {
        {dynamic, 256, 0}, {dynamic, 257, 257}, {dynamic, 1000, 1000},
        {longrope, 32, 0}, {longrope, 33, 33},  {longrope, 100, 33},
    };
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        zx_arena arena = {0};
        zx_rope rope = {0}, built;
        float frequencies[2], magnitude = 0;
        CHECK(make(lengths[i].config, 4, &arena, &rope) == ZMLX_OK);
        CHECK(read(lengths[i].config, NULL, 4, lengths[i].length, &arena, &built) == ZMLX_OK);
        CHECK(rope.by_length != NULL && built.by_length == NULL);
        const zx_rope_by_length *rule = rope.by_length;
        CHECK(rule->shortest(rule->settings, lengths[i].length) == lengths[i].shortest);
        CHECK(rule->shortest(rule->settings, lengths[i].shortest) == lengths[i].shortest);
        rule->fill(rule->settings, lengths[i].shortest, frequencies, &magnitude);
        CHECK(memcmp(frequencies, built.inverse_frequency, sizeof frequencies) == 0);
        CHECK(zx_bits_from_float(magnitude) == zx_bits_from_float(built.magnitude));
        zx_arena_reset(&arena);
    }
}

TEST(rope_that_does_not_depend_on_the_length_says_so)
{
    static const char *const configs[] = {"{}",
                                          "{\"rope_scaling\":{\"type\":\"linear\",\"factor\":2}}",
                                          "{\"rope_scaling\":{\"type\":\"yarn\",\"factor\":2}}"};
    for (size_t i = 0; i < sizeof configs / sizeof *configs; i++) {
        zx_arena arena = {0};
        zx_rope rope = {0};
        CHECK(make(configs[i], 4, &arena, &rope) == ZMLX_OK);
        CHECK_ON(configs[i], rope.by_length == NULL);
        zx_arena_reset(&arena);
    }
}

/* A factor that only long sequences meet is judged before one comes. */
TEST(rope_refuses_a_long_factor_of_zero)
{
    zx_arena arena = {0};
    zx_rope rope = {0};
    CHECK(make("{\"max_position_embeddings\":128,\"rope_scaling\":{\"type\":\"longrope\","
               "\"original_max_position_embeddings\":32,\"long_factor\":[2,0],"
               "\"short_factor\":[1,1]}}",
               4, &arena, &rope) == ZMLX_ERROR_FORMAT);
    CHECK(strcmp(zmlx_error_message(), "c: rope frequency 1 is not finite") == 0);
    zx_arena_reset(&arena);
}
