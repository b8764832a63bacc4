/* goldens_test.c - the list of tests/golden/, read from the folder so that a new checkpoint cannot
 * be forgotten, and that each holds what its tests need. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/test.h"
#include "serve/goldens.h"

static const char root[] = "tests/golden";

/* The scripts that made them, values of single ops, and the reference of a checkpoint that is not
 * in the repository. */
static const char *const others[] = {"make", "ops", "smollm2"};

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

static int ascending(const void *a, const void *b)
{
    return strcmp(a, b);
}

bool zx_goldens_list(zx_goldens *goldens)
{
    *goldens = (zx_goldens){.count = 0};
    DIR *folder = opendir(root);
    if (folder == NULL) return false;
    bool fits = true;
    for (const struct dirent *entry = readdir(folder); fits && entry != NULL;
         entry = readdir(folder)) {
        const size_t length = strlen(entry->d_name);
        if (is_other(entry->d_name) || !is_folder(entry->d_name)) continue;
        fits = goldens->count < ZX_GOLDENS && length < ZX_GOLDEN_NAME;
        if (fits) memcpy(goldens->names[goldens->count++], entry->d_name, length + 1);
    }
    (void)closedir(folder);
    qsort(goldens->names, goldens->count, sizeof goldens->names[0], ascending);
    return fits && goldens->count > 0;
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
