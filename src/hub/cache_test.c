/* cache_test.c - where the cache is, what is a name, and what a name means in a cache made here. */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/test.h"
#include "hub/cache.h"

#define COMMIT "0123456789abcdef0123456789abcdef01234567"

static const char *const variables[] = {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME",
                                        "XDG_CACHE_HOME", "HOME"};
enum { VARIABLES = sizeof variables / sizeof *variables };

/* Runs 'body' with none of the variables set but HOME=/home/user, and puts them back. */
static void with_variables(void (*body)(void))
{
    char kept[VARIABLES][4096];
    bool set[VARIABLES];
    for (size_t i = 0; i < VARIABLES; i++) {
        const char *const value = getenv(variables[i]);
        set[i] = value != NULL;
        (void)snprintf(kept[i], sizeof kept[i], "%s", set[i] ? value : "");
        (void)unsetenv(variables[i]);
    }
    (void)setenv("HOME", "/home/user", 1);
    body();
    for (size_t i = 0; i < VARIABLES; i++) {
        (void)unsetenv(variables[i]);
        if (set[i]) (void)setenv(variables[i], kept[i], 1);
    }
}

static bool folder_is(const char *expected)
{
    zx_text folder = {0};
    const bool made = zx_hub_folder(&folder) == ZMLX_OK;
    const bool good = made && strcmp(folder.bytes, expected) == 0;
    if (!good) (void)printf("  is '%s', not '%s'\n", made ? folder.bytes : "nothing", expected);
    zx_text_fini(&folder);
    return good;
}

static void each_variable(void)
{
    CHECK(folder_is("/home/user/.cache/huggingface/hub"));
    (void)setenv("XDG_CACHE_HOME", "/x", 1);
    CHECK(folder_is("/x/huggingface/hub"));
    (void)setenv("HF_HOME", "~/hf", 1);
    CHECK(folder_is("/home/user/hf/hub"));
    (void)setenv("HUGGINGFACE_HUB_CACHE", "/${HOME}/$NO_SUCH_THING/old", 1);
    CHECK(folder_is("//home/user/$NO_SUCH_THING/old"));
    (void)setenv("HF_HUB_CACHE", "$HOME/new${", 1);
    CHECK(folder_is("/home/user/new${"));
}

TEST(hub_folder_follows_the_variables)
{
    with_variables(each_variable);
}

TEST(hub_names)
{
    static const struct {
        const char *text;
        bool good;
    } rows[] = {
        {"gpt2", true},          {"Org/Name-1.5_b", true}, {"a/b@main:x/y.gguf", true},
        {"a/b@refs/pr/1", true}, {"a/b/c", false},         {"", false},
        {"../b", false},         {"a/..", false},          {"a--b/c", false},
        {"a/b..c", false},       {"/a/b", false},          {"-a/b", false},
        {"a/b.", false},         {"a/b@", false},          {"a/b:", false},
        {"a b/c", false},        {"a/b@x\ny", false},      {"a/b:x\\y", false},
    };
    zx_hub_name name;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        CHECK_ON(rows[i].text, zx_hub_parse(rows[i].text, &name) == rows[i].good);
    CHECK(zx_hub_parse("a/b@v1:q/x.gguf", &name));
    CHECK(name.repo_length == 3 && name.revision_length == 2 && name.file_length == 8);
    CHECK(memcmp(name.revision, "v1", 2) == 0 && strcmp(name.file, "q/x.gguf") == 0);
}

static char root[3000];

static const char *in_repo(const char *rest)
{
    static char path[4096];
    (void)snprintf(path, sizeof path, "%s/models--org--name/%s", root, rest);
    return path;
}

static bool put(const char *rest, const char *text)
{
    FILE *file = fopen(in_repo(rest), "w");
    if (file == NULL) return false;
    const bool good = fputs(text, file) >= 0;
    return fclose(file) == 0 && good;
}

static bool make_cache(const char *folder)
{
    static const char *const folders[] = {"", "refs", "refs/pr", "snapshots",
                                          ("snapshots/" COMMIT)};
    (void)snprintf(root, sizeof root, "%s", folder);
    bool good = mkdir(root, 0777) == 0;
    for (size_t i = 0; good && i < sizeof folders / sizeof *folders; i++)
        good = mkdir(in_repo(folders[i]), 0777) == 0;
    return good && setenv("HF_HUB_CACHE", root, 1) == 0 && put("refs/main", COMMIT) &&
           put("refs/pr/1", COMMIT "\n") && put("refs/bad", "../../../etc") &&
           put("refs/gone", "ffffffffffffffffffffffffffffffffffffffff");
}

/* Whether MODEL is the file or folder of the repository. */
static bool finds(const char *model, const char *rest)
{
    char *path = NULL;
    const zmlx_status status = zx_hub_resolve(model, &path);
    const bool good = status == ZMLX_OK && strcmp(path, in_repo(rest)) == 0;
    if (!good) (void)printf("  %s\n", status == ZMLX_OK ? path : zmlx_error_message());
    zx_free(path);
    return good;
}

static bool refuses(const char *model, zmlx_status expected, const char *message)
{
    char *path = NULL;
    const zmlx_status status = zx_hub_resolve(model, &path);
    const bool good = status == expected && strstr(zmlx_error_message(), message) != NULL;
    if (!good) (void)printf("  %d: %s\n", (int)status, zmlx_error_message());
    zx_free(path);
    return good;
}

static int remove_one(const char *path, const struct stat *about, int kind, struct FTW *where)
{
    (void)about, (void)kind, (void)where;
    return remove(path);
}

static void check_names(void)
{
    CHECK(refuses("org/other", ZMLX_ERROR_IO, "models--org--other"));
    CHECK(refuses("org/other", ZMLX_ERROR_IO, "org/other: cannot open it"));
    CHECK(refuses("org/name@v2", ZMLX_ERROR_IO, "no revision 'v2'"));
    CHECK(refuses("org/name@bad", ZMLX_ERROR_FORMAT, "refs/bad"));
    CHECK(refuses("org/name@gone", ZMLX_ERROR_IO, "snapshots/ffff"));
    CHECK(refuses("org/name@../x", ZMLX_ERROR_FORMAT, "outside"));
    CHECK(refuses("org/name:../x", ZMLX_ERROR_FORMAT, "outside"));
    CHECK(finds("org/name", "snapshots/" COMMIT));
    CHECK(finds("org/name@pr/1", "snapshots/" COMMIT));
    CHECK(finds("org/name@" COMMIT, "snapshots/" COMMIT));
    CHECK(put("snapshots/" COMMIT "/a.gguf", ""));
    CHECK(finds("org/name", "snapshots/" COMMIT "/a.gguf"));
    CHECK(put("snapshots/" COMMIT "/b.gguf", ""));
    CHECK(refuses("org/name", ZMLX_ERROR_ARGUMENT, ".gguf, "));
    CHECK(finds("org/name:b.gguf", "snapshots/" COMMIT "/b.gguf"));
    CHECK(put("snapshots/" COMMIT "/config.json", "{}"));
    CHECK(finds("org/name", "snapshots/" COMMIT));
}

static void names_in_a_cache(void)
{
    const bool made = make_cache(zx_test_scratch());
    if (made) check_names();
    (void)nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    CHECK(made);
}

TEST(hub_names_are_found_in_the_cache)
{
    with_variables(names_in_a_cache);
}

static void paths_first(void)
{
    char *path = NULL;
    (void)setenv("HF_HUB_CACHE", "/nowhere", 1);
    if (zx_hub_resolve("src/hub", &path) != ZMLX_OK) return;
    const bool same = strcmp(path, "src/hub") == 0;
    zx_free(path);
    CHECK(same);
    if (zx_hub_resolve("/no/such/file", &path) != ZMLX_OK) return;
    const bool kept = strcmp(path, "/no/such/file") == 0;
    zx_free(path);
    CHECK(kept);
}

TEST(hub_paths_win_over_names)
{
    if (access("src/hub", F_OK) != 0) SKIP("not run in the repository's root");
    with_variables(paths_first);
}
