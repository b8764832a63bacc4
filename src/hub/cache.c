/* cache.c - variables to a folder, names to snapshots.
 *
 * What the cache holds was written by whichever program pulled it, so a ref is believed only where
 * it is a commit's digits, and no part of a name may lead outside the repository's folder. */
#include "hub/cache.h"

#include <dirent.h>
#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/memory.h"
#include "hub/parts.h"

enum { PART_BYTES = 96, COMMIT_DIGITS = 40, REVISION_BYTES = 255, MOST_LISTED = 24 };

static bool is_word(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/* A part of a repository's name; what stands at its ends is a letter, a digit or '_'. */
static bool is_part(const char *text, size_t length)
{
    if (length == 0 || length > PART_BYTES) return false;
    if (!is_word(text[0]) || !is_word(text[length - 1])) return false;
    for (size_t i = 0; i < length; i++) {
        if (!is_word(text[i]) && text[i] != '-' && text[i] != '.') return false;
        const bool pair = i > 0 && text[i] == text[i - 1];
        if (pair && (text[i] == '-' || text[i] == '.')) return false;
    }
    return true;
}

static bool is_repo(const char *text, size_t length)
{
    const char *const slash = memchr(text, '/', length);
    if (slash == NULL) return is_part(text, length);
    const size_t first = (size_t)(slash - text);
    return is_part(text, first) && is_part(slash + 1, length - first - 1);
}

bool zx_hub_is_plain(const char *text, size_t length)
{
    if (length == 0 || length > REVISION_BYTES) return false;
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f || text[i] == '\\') return false;
    return true;
}

bool zx_hub_parse(const char *text, zx_hub_name *name)
{
    *name = (zx_hub_name){.repo = text, .repo_length = strcspn(text, "@:")};
    if (!is_repo(text, name->repo_length)) return false;
    const char *at = text + name->repo_length;
    if (*at == '@') {
        name->revision = at + 1;
        name->revision_length = strcspn(name->revision, ":");
        if (!zx_hub_is_plain(name->revision, name->revision_length)) return false;
        at = name->revision + name->revision_length;
    }
    if (*at == 0) return true;
    name->file = at + 1;
    name->file_length = strlen(name->file);
    return zx_hub_is_plain(name->file, name->file_length);
}

/* The user's home: HOME, else what the system knows. */
static zmlx_status add_home(zx_text *text)
{
    char buffer[4096];
    struct passwd entry, *found = NULL;
    const char *const home = getenv("HOME");
    if (home != NULL) return zx_text_add_string(text, home);
    if (getpwuid_r(getuid(), &entry, buffer, sizeof buffer, &found) == 0 && found != NULL)
        return zx_text_add_string(text, entry.pw_dir);
    return zx_text_add_string(text, "~");
}

/* $NAME or ${NAME} at 'at': what it stands for, itself where that is not set. */
static zmlx_status add_variable(const char *at, zx_text *text, size_t *used)
{
    char name[128] = "";
    const bool braces = at[1] == '{';
    const char *const start = at + (braces ? 2 : 1);
    size_t length = 0;
    while (braces ? start[length] != 0 && start[length] != '}' : is_word(start[length])) length++;
    const bool whole = length > 0 && length < sizeof name && (!braces || start[length] == '}');
    *used = whole ? (size_t)(start - at) + length + (braces ? 1 : 0) : 1;
    if (whole) memcpy(name, start, length);
    const char *const value = whole ? getenv(name) : NULL;
    if (value == NULL) return zx_text_add(text, at, *used);
    return zx_text_add_string(text, value);
}

zmlx_status zx_hub_expand(const char *path, zx_text *text)
{
    if (path[0] == '~' && (path[1] == '/' || path[1] == 0)) {
        ZX_TRY(add_home(text));
        path++;
    }
    while (*path != 0) {
        size_t used = strcspn(path, "$");
        if (used > 0)
            ZX_TRY(zx_text_add(text, path, used));
        else
            ZX_TRY(add_variable(path, text, &used));
        path += used;
    }
    return ZMLX_OK;
}

zmlx_status zx_hub_home(zx_text *text)
{
    const char *const home = getenv("HF_HOME"), *const caches = getenv("XDG_CACHE_HOME");
    if (home != NULL) return zx_hub_expand(home, text);
    ZX_TRY(zx_hub_expand(caches != NULL ? caches : "~/.cache", text));
    return zx_text_add_string(text, "/huggingface");
}

zmlx_status zx_hub_folder(zx_text *folder)
{
    const char *set = getenv("HF_HUB_CACHE");
    zx_text_clear(folder);
    if (set == NULL) set = getenv("HUGGINGFACE_HUB_CACHE");
    if (set != NULL) return zx_hub_expand(*set != 0 ? set : ".", folder);
    ZX_TRY(zx_hub_home(folder));
    return zx_text_add_string(folder, "/hub");
}

zmlx_status zx_hub_repo_folder(const zx_hub_name *name, zx_text *path)
{
    ZX_TRY(zx_hub_folder(path));
    ZX_TRY(zx_text_add_string(path, "/models--"));
    for (size_t i = 0; i < name->repo_length; i++) {
        const bool slash = name->repo[i] == '/';
        ZX_TRY(zx_text_add(path, slash ? "--" : name->repo + i, slash ? 2 : 1));
    }
    return ZMLX_OK;
}

bool zx_hub_is_commit(const char *text, size_t length)
{
    return length == COMMIT_DIGITS && strspn(text, "0123456789abcdef") >= COMMIT_DIGITS;
}

/* The commit that the revision means: itself, or what its ref holds.  *commit stays empty where
 * there is no such ref. */
static zmlx_status find_commit(const char *repo_folder, const char *revision, zx_text *commit)
{
    char *refs = NULL, *path = NULL, *text = NULL;
    size_t size = 0;
    if (zx_hub_is_commit(revision, strlen(revision))) return zx_text_add_string(commit, revision);
    ZX_TRY(zx_path_join(repo_folder, "refs", &refs));
    zmlx_status status = zx_path_join(refs, revision, &path);
    if (status == ZMLX_OK && zx_path_exists(path)) {
        status = zx_file_read(path, REVISION_BYTES, &text, &size);
        while (status == ZMLX_OK && size > 0 && (text[size - 1] == '\n' || text[size - 1] == '\r'))
            size--;
        if (status == ZMLX_OK && !zx_hub_is_commit(text, size))
            status = ZX_FAIL(ZMLX_ERROR_FORMAT,
                             "%s: does not hold a commit's 40 hexadecimal digits", path);
        if (status == ZMLX_OK) status = zx_text_add(commit, text, size);
    }
    zx_free(text);
    zx_free(path);
    zx_free(refs);
    return status;
}

/* The .gguf files of a snapshot, named in 'list', the last one in *only. */
static zmlx_status list_gguf(const char *snapshot, size_t *count, zx_text *only, zx_text *list)
{
    DIR *directory = opendir(snapshot);
    const struct dirent *entry = NULL;
    zmlx_status status = ZMLX_OK;
    if (directory == NULL)
        return ZX_FAIL(ZMLX_ERROR_IO, "%s: cannot read the folder: %s", snapshot, strerror(errno));
    while (status == ZMLX_OK && (entry = readdir(directory)) != NULL) {
        const size_t length = strlen(entry->d_name);
        if (length < 6 || strcmp(entry->d_name + length - 5, ".gguf") != 0 ||
            zx_parts_is_later(entry->d_name))
            continue;
        zx_text_clear(only);
        status = zx_text_add_string(only, entry->d_name);
        if (status == ZMLX_OK && ++*count <= MOST_LISTED)
            status = zx_text_format(list, "%s%s", *count > 1 ? ", " : "", entry->d_name);
    }
    (void)closedir(directory);
    return status;
}

/* What of the snapshot is the model: the file that was asked for, the folder, or its one .gguf. */
static zmlx_status choose(const char *model, const char *snapshot, const zx_hub_name *name,
                          char **path)
{
    zx_text only = {0}, list = {0};
    char *config = NULL;
    size_t count = 0;
    if (name->file != NULL) return zx_path_join(snapshot, name->file, path);
    zmlx_status status = zx_path_join(snapshot, "config.json", &config);
    const bool folder = status == ZMLX_OK && zx_path_exists(config);
    if (status == ZMLX_OK && !folder) status = list_gguf(snapshot, &count, &only, &list);
    if (status == ZMLX_OK && count > 1)
        status =
            ZX_FAIL(ZMLX_ERROR_ARGUMENT, "%s: which of its files? MODEL:FILE names one of: %s%s",
                    model, list.bytes, count > MOST_LISTED ? ", ..." : "");
    if (status == ZMLX_OK) {
        zx_text whole = {0};
        status = zx_text_format(&whole, "%s%s%s", snapshot, count == 1 ? "/" : "",
                                count == 1 ? only.bytes : "");
        if (status == ZMLX_OK) *path = whole.bytes;
    }
    zx_text_fini(&only);
    zx_text_fini(&list);
    zx_free(config);
    return status;
}

static zmlx_status copy(const char *text, size_t length, char **copied)
{
    zx_text whole = {0};
    ZX_TRY(zx_text_add(&whole, text, length));
    *copied = whole.bytes;
    return ZMLX_OK;
}

static zmlx_status find(const char *model, const zx_hub_name *name, char **path)
{
    zx_text repo = {0}, commit = {0}, snapshot = {0};
    char *revision = NULL;
    zmlx_status status = name->revision == NULL
                             ? copy("main", 4, &revision)
                             : copy(name->revision, name->revision_length, &revision);
    if (status == ZMLX_OK) status = zx_hub_repo_folder(name, &repo);
    if (status == ZMLX_OK && !zx_path_is_directory(repo.bytes))
        status = ZX_FAIL(ZMLX_ERROR_IO,
                         "%s: cannot open it: there is no such file or folder, and the hub's cache "
                         "has no %s; 'zmlx pull %s' fetches it",
                         model, repo.bytes, model);
    if (status == ZMLX_OK) status = find_commit(repo.bytes, revision, &commit);
    if (status == ZMLX_OK && commit.length == 0)
        status = ZX_FAIL(ZMLX_ERROR_IO,
                         "%s: the hub's cache has no revision '%s' of it (%s/refs); 'zmlx pull %s' "
                         "fetches it",
                         model, revision, repo.bytes, model);
    if (status == ZMLX_OK)
        status = zx_text_format(&snapshot, "%s/snapshots/%s", repo.bytes, commit.bytes);
    if (status == ZMLX_OK && !zx_path_is_directory(snapshot.bytes))
        status = ZX_FAIL(ZMLX_ERROR_IO,
                         "%s: the hub's cache has no files of it: there is no %s; 'zmlx pull %s' "
                         "fetches it",
                         model, snapshot.bytes, model);
    if (status == ZMLX_OK) status = choose(model, snapshot.bytes, name, path);
    zx_text_fini(&repo);
    zx_text_fini(&commit);
    zx_text_fini(&snapshot);
    zx_free(revision);
    return status;
}

zmlx_status zx_hub_resolve(const char *model, char **path)
{
    zx_hub_name name;
    if (zx_path_exists(model) || !zx_hub_parse(model, &name))
        return copy(model, strlen(model), path);
    return find(model, &name, path);
}
