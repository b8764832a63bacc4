/* goldens_test.c - the list of tests/golden/, read from the folder so that a new checkpoint cannot
 * be forgotten, and that each holds what its tests need. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/test.h"
#include "serve/goldens.h"

static const char root[] = "tests/golden", gguf_root[] = "tests/golden/gguf";
static const char gguf_ending[] = ".gguf";

/* The scripts that made them, files instead of folders, values of single ops, and references of
 * models that are not in the repository. */
static const char *const others[] = {"gguf", "make", "ops", "real"};

static bool is_other(const char *name)
{
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (strcmp(others[i], name) == 0) return true;
    return name[0] == '.';
}

static bool is_folder(const char *name)
{
    char path[sizeof root + 256 + 1];
    struct stat about;
    (void)snprintf(path, sizeof path, "%s/%s", root, name);
    return stat(path, &about) == 0 && S_ISDIR(about.st_mode);
}

/* The length of the name that an entry is listed by; 0: it is not. */
static size_t folder_name(const char *entry)
{
    return is_other(entry) || !is_folder(entry) ? 0 : strlen(entry);
}

static size_t gguf_name(const char *entry)
{
    const size_t length = strlen(entry), ending = sizeof gguf_ending - 1;
    const bool fits = length > ending && strcmp(entry + length - ending, gguf_ending) == 0;
    return fits ? length - ending : 0;
}

static int ascending(const void *a, const void *b)
{
    return strcmp(a, b);
}

static bool list(const char *path, size_t (*name_of)(const char *entry), zx_goldens *goldens)
{
    *goldens = (zx_goldens){.count = 0};
    DIR *folder = opendir(path);
    if (folder == NULL) return false;
    bool fits = true;
    for (const struct dirent *entry = readdir(folder); fits && entry != NULL;
         entry = readdir(folder)) {
        const size_t length = name_of(entry->d_name);
        if (length == 0) continue;
        fits = goldens->count < ZX_GOLDENS && length < ZX_GOLDEN_NAME;
        if (!fits) break;
        char *const name = goldens->names[goldens->count++];
        memcpy(name, entry->d_name, length);
        name[length] = 0;
    }
    (void)closedir(folder);
    qsort(goldens->names, goldens->count, sizeof goldens->names[0], ascending);
    return fits && goldens->count > 0;
}

bool zx_goldens_list(zx_goldens *goldens)
{
    return list(root, folder_name, goldens);
}

bool zx_goldens_gguf(zx_goldens *goldens)
{
    return list(gguf_root, gguf_name, goldens);
}

TEST(every_golden_folder_is_listed_and_complete)
{
    static const char *const files[] = {"meta.json", "golden.safetensors"}; /* beside the model */
    zx_goldens goldens;
    bool first = false;
    char path[200];
    CHECK(zx_goldens_list(&goldens));
    for (size_t i = 0; i < goldens.count; i++) {
        first = first || strcmp(goldens.names[i], "llama") == 0;
        CHECK(i == 0 || strcmp(goldens.names[i - 1], goldens.names[i]) < 0);
        for (size_t k = 0; k < sizeof files / sizeof files[0]; k++) {
            struct stat about;
            (void)snprintf(path, sizeof path, "%s/%s/%s", root, goldens.names[i], files[k]);
            CHECK_ON(path, stat(path, &about) == 0);
        }
    }
    CHECK(first && goldens.count >= 8);
}

TEST(every_golden_gguf_is_listed_and_complete)
{
    zx_goldens goldens;
    bool first = false;
    char path[200];
    CHECK(zx_goldens_gguf(&goldens));
    for (size_t i = 0; i < goldens.count; i++) {
        struct stat about;
        first = first || strcmp(goldens.names[i], "qwen2") == 0;
        (void)snprintf(path, sizeof path, "%s/%s.safetensors", gguf_root, goldens.names[i]);
        CHECK_ON(path, stat(path, &about) == 0);
    }
    CHECK(first && goldens.count >= 20);
}
