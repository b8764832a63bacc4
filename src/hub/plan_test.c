/* plan_test.c - which files are wanted, and what a list of files may say. */
#include <stdio.h>
#include <string.h>

#include "base/test.h"
#include "hub/plan.h"

#define COMMIT "0123456789abcdef0123456789abcdef01234567"
#define SHA256 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define GIT(name, size) \
    "{\"rfilename\": \"" name "\", \"size\": " size ", \"blobId\": \"" COMMIT "\"}"
#define LARGE(name, size) \
    "{\"rfilename\": \"" name "\", \"size\": " size ", \"lfs\": {\"sha256\": \"" SHA256 "\"}}"
#define LIST(rows) "{\"sha\": \"" COMMIT "\", \"siblings\": [" rows "]}"

TEST(plan_wants_what_zmlx_reads)
{
    static const char *const good[] = {"model.safetensors", "a/b.gguf",      "config.json",
                                       "tokenizer.model",   "qwen.tiktoken", "chat_template.jinja",
                                       "merges.txt",        "x/y/vocab.json"};
    static const char *const bad[] = {
        "modeling.py", "pytorch_model.bin", "model.pt", ".gguf", "README.md",
        "json",        "a.json.py",         ""};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        CHECK_ON(good[i], zx_plan_wants(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) CHECK_ON(bad[i], !zx_plan_wants(bad[i]));
}

static zmlx_status make(const char *json, const char *only, zx_plan *plan)
{
    return zx_plan_make("org/name", json, strlen(json), only, plan);
}

TEST(plan_of_a_list)
{
    static const char json[] = LIST(GIT("config.json", "12") "," LARGE(
        "m.safetensors", "7000000000") "," GIT("run.py", "5") "," GIT("../README.md", "1"));
    zx_plan plan = {0};
    if (make(json, NULL, &plan) != ZMLX_OK) {
        CHECK(strstr(zmlx_error_message(), "memory") != NULL);
        return;
    }
    const zx_plan_file *const files = plan.files;
    const bool good =
        plan.count == 2 && plan.bytes == 7000000012 && strcmp(plan.commit, COMMIT) == 0 &&
        strcmp(files[0].name, "config.json") == 0 && !files[0].large &&
        strcmp(files[0].etag, COMMIT) == 0 && strcmp(files[1].name, "m.safetensors") == 0 &&
        files[1].large && strcmp(files[1].etag, SHA256) == 0 && files[1].size == 7000000000;
    zx_plan_fini(&plan);
    CHECK(good);
}

TEST(plan_of_one_file)
{
    static const char json[] = LIST(LARGE("q4.gguf", "10") "," LARGE("q8.gguf", "20"));
    zx_plan plan = {0};
    if (make(json, "q8.gguf", &plan) != ZMLX_OK) {
        CHECK(strstr(zmlx_error_message(), "memory") != NULL);
        return;
    }
    const bool good = plan.count == 1 && plan.bytes == 20;
    zx_plan_fini(&plan);
    CHECK(good);
}

TEST(plan_of_a_model_in_parts)
{
    static const char json[] = LIST(LARGE("m-00001-of-00002.gguf", "10") "," LARGE(
        "m-00002-of-00002.gguf", "20") "," GIT("README.md", "3"));
    static const char *const chosen[] = {NULL, "m-00001-of-00002.gguf", "m-00002-of-00002.gguf"};
    for (size_t i = 0; i < sizeof chosen / sizeof *chosen; i++) {
        zx_plan plan = {0};
        if (make(json, chosen[i], &plan) != ZMLX_OK) {
            CHECK(strstr(zmlx_error_message(), "memory") != NULL);
            return;
        }
        const bool good = plan.count == 2 && plan.bytes == 30;
        zx_plan_fini(&plan);
        CHECK_ON("both parts are one choice", good);
    }
}

TEST(plan_fetches_no_weights_twice)
{
#define TWICE                                                    \
    LARGE("consolidated.safetensors", "7")                       \
    "," LARGE("consolidated.00-of-02.safetensors", "8") "," GIT( \
        "consolidated.safetensors.index.json", "9") "," LARGE("a/consolidated.safetensors", "10")
    static const struct {
        const char *json, *only;
        size_t count, bytes;
    } rows[] = {
        {LIST(TWICE "," LARGE("model.safetensors", "100")), NULL, 2, 110},
        {LIST(LARGE("model-00001-of-00001.safetensors", "100") "," TWICE), NULL, 2, 110},
        {LIST(TWICE "," GIT("model.safetensors.index.json", "100")), NULL, 5, 134},
        {LIST(TWICE "," LARGE("a/model.safetensors", "100")), NULL, 5, 134},
        {LIST(TWICE "," LARGE("model.gguf", "100")), NULL, 5, 134},
        {LIST(LARGE("consolidated.safetensors", "7") "," LARGE("model.safetensors", "100")),
         "consolidated.safetensors", 1, 7},
    };
#undef TWICE
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        zx_plan plan = {0};
        if (make(rows[i].json, rows[i].only, &plan) != ZMLX_OK) {
            CHECK(strstr(zmlx_error_message(), "memory") != NULL);
            return;
        }
        const bool good = plan.count == rows[i].count && plan.bytes == rows[i].bytes;
        zx_plan_fini(&plan);
        CHECK_ON(rows[i].json, good);
    }
}

TEST(plan_refuses)
{
    static const struct {
        const char *json, *only;
        zmlx_status status;
        const char *message;
    } rows[] = {
        {"{", NULL, ZMLX_ERROR_FORMAT, "is not JSON"},
        {"{\"sha\": \"" COMMIT "\"}", NULL, ZMLX_ERROR_FORMAT, "'siblings'"},
        {"{\"sha\": \"main\", \"siblings\": []}", NULL, ZMLX_ERROR_FORMAT, "'sha'"},
        {LIST("3"), NULL, ZMLX_ERROR_FORMAT, "siblings[0]"},
        {LIST(""), NULL, ZMLX_ERROR_ARGUMENT, "holds no file"},
        {LIST(GIT("../a.json", "1")), NULL, ZMLX_ERROR_FORMAT, "refused"},
        {LIST(GIT("/a.json", "1")), NULL, ZMLX_ERROR_FORMAT, "refused"},
        {LIST(GIT("a/../b.json", "1")), NULL, ZMLX_ERROR_FORMAT, "refused"},
        {LIST(GIT("a//b.json", "1")), NULL, ZMLX_ERROR_FORMAT, "refused"},
        {LIST(GIT("./b.json", "1")), NULL, ZMLX_ERROR_FORMAT, "refused"},
        {LIST(GIT("a\\\\b.json", "1")), NULL, ZMLX_ERROR_FORMAT, "refused"},
        {LIST(GIT("a\\nb.json", "1")), NULL, ZMLX_ERROR_FORMAT, "'a?b.json'"},
        {LIST(GIT("a.json", "-1")), NULL, ZMLX_ERROR_FORMAT, "'size'"},
        {LIST(GIT("a.json", "1.5")), NULL, ZMLX_ERROR_FORMAT, "'size'"},
        {LIST(GIT("a.json", "9000000000000000000") "," GIT("b.json", "9000000000000000000")), NULL,
         ZMLX_ERROR_FORMAT, "add up"},
        {LIST("{\"rfilename\": \"a.json\", \"size\": 1, \"blobId\": \"../../../../x\"}"), NULL,
         ZMLX_ERROR_FORMAT, "'blobId'"},
        {LIST("{\"rfilename\": \"a.json\", \"size\": 1, \"lfs\": {\"sha256\": \"AB\"}}"), NULL,
         ZMLX_ERROR_FORMAT, "'lfs.sha256'"},
        {LIST(GIT("a.json", "1") "," GIT("a.json", "1")), NULL, ZMLX_ERROR_FORMAT, "twice"},
        {LIST(LARGE("a.gguf", "1") "," LARGE("b.gguf", "1")), NULL, ZMLX_ERROR_ARGUMENT,
         "a.gguf, b.gguf"},
        {LIST(GIT("a.json", "1")), "b.json", ZMLX_ERROR_ARGUMENT, "no file 'b.json'"},
        {LIST(GIT("a.py", "1")), "a.py", ZMLX_ERROR_ARGUMENT, "no kind"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        zx_plan plan = {0};
        const zmlx_status status = make(rows[i].json, rows[i].only, &plan);
        if (status == ZMLX_ERROR_MEMORY) return;
        CHECK_ON(rows[i].json, status == rows[i].status);
        CHECK_ON(rows[i].json, strstr(zmlx_error_message(), rows[i].message) != NULL);
        CHECK_ON(rows[i].json, plan.count == 0 && plan.files == NULL);
    }
}
