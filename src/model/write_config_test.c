/* write_config_test.c - what a written config.json says besides what it was made from. */
#include "base/test.h"
#include "model/write_config.h"

/* The document as it is written; NULL where memory ran out. */
static json_t *finished(const char *text)
{
    json_t *document = json_loads(text, 0, NULL);
    if (document != NULL && zx_finish_config(document, NULL, ZMLX_DTYPE_DEFAULT, true) == ZMLX_OK)
        return document;
    json_decref(document);
    return NULL;
}

TEST(written_configs_have_older_names_too)
{
    static const struct {
        const char *text, *written;
    } rows[] = {
        {"{\"rope_theta\":5.0}", "{\"rope_theta\":5.0,\"tie_word_embeddings\":true}"},
        {"{\"rope_parameters\":{\"rope_theta\":5.0,\"rope_type\":\"default\","
         "\"partial_rotary_factor\":0.5},\"num_local_experts\":4,\"rope_scaling\":null}",
         "{\"num_experts\":4,\"num_local_experts\":4,\"partial_rotary_factor\":0.5,"
         "\"rope_parameters\":{\"partial_rotary_factor\":0.5,\"rope_theta\":5.0,"
         "\"rope_type\":\"default\"},\"rope_scaling\":null,\"rope_theta\":5.0,"
         "\"tie_word_embeddings\":true}"},
        /* what is there stays */
        {"{\"rope_parameters\":{\"rope_theta\":5.0,\"rope_type\":\"linear\"},\"rope_theta\":7.0}",
         "{\"rope_parameters\":{\"rope_theta\":5.0,\"rope_type\":\"linear\"},"
         "\"rope_scaling\":{\"rope_theta\":5.0,\"rope_type\":\"linear\",\"type\":\"linear\"},"
         "\"rope_theta\":7.0,"
         "\"tie_word_embeddings\":true}"},
        {"{\"rope_parameters\":{\"full_attention\":{\"rope_theta\":5.0,\"rope_type\":\"yarn\"},"
         "\"sliding_attention\":{\"rope_theta\":2.0,\"rope_type\":\"default\"}}}",
         "{\"rope_local_base_freq\":2.0,\"rope_parameters\":{\"full_attention\":{\"rope_theta\":5."
         "0,"
         "\"rope_type\":\"yarn\"},\"sliding_attention\":{\"rope_theta\":2.0,"
         "\"rope_type\":\"default\"}},\"rope_scaling\":{\"rope_theta\":5.0,"
         "\"rope_type\":\"yarn\",\"type\":\"yarn\"},\"rope_theta\":5.0,"
         "\"tie_word_embeddings\":true}"},
        /* transformers would read the sliding layers' rope no more */
        {"{\"rope_parameters\":{\"full_attention\":{\"partial_rotary_factor\":0.25,\"rope_theta\":"
         "5.0,"
         "\"rope_type\":\"proportional\"},\"sliding_attention\":{\"rope_theta\":2.0,"
         "\"rope_type\":\"default\"}}}",
         "{\"rope_parameters\":{\"full_attention\":{\"partial_rotary_factor\":0.25,"
         "\"rope_theta\":5.0,\"rope_type\":\"proportional\"},\"sliding_attention\":{"
         "\"rope_theta\":2.0,\"rope_type\":\"default\"}},\"tie_word_embeddings\":true}"},
        {"{\"rope_parameters\":[1]}", "{\"rope_parameters\":[1],\"tie_word_embeddings\":true}"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        json_t *written = finished(rows[i].text), *want = json_loads(rows[i].written, 0, NULL);
        const bool same = written == NULL || want == NULL || json_equal(written, want);
        json_decref(written);
        json_decref(want);
        CHECK_ON(rows[i].text, same);
    }
}
