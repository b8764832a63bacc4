/* file_test.c - reading is bounded, writing is all or nothing, errors name the path. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/test.h"

static bool write_plain(const char *path, const char *bytes, size_t count)
{
    FILE *const file = fopen(path, "wb");
    if (file == NULL) return false;
    const bool whole = fwrite(bytes, 1, count, file) == count;
    return fclose(file) == 0 && whole;
}

static bool holds(const char *path, const char *text)
{
    char *read = NULL;
    size_t size = 0;
    if (zx_file_read(path, 1 << 20, &read, &size) != ZMLX_OK) return false;
    const bool same = size == strlen(text) && memcmp(read, text, size) == 0;
    zx_free(read);
    return same;
}

static bool message_names(const char *path)
{
    return strstr(zmlx_error_message(), path) != NULL;
}

/* How many files in the path's folder have a name that begins with the path's own. */
static size_t files_named_like(const char *path)
{
    char folder[4096];
    (void)snprintf(folder, sizeof folder, "%s", path);
    char *const slash = strrchr(folder, '/');
    const char *const name = path + (slash - folder) + 1;
    *slash = 0;
    size_t count = 0;
    DIR *const entries = opendir(folder);
    if (entries == NULL) return 0;
    for (const struct dirent *entry = readdir(entries); entry != NULL; entry = readdir(entries))
        count += strncmp(entry->d_name, name, strlen(name)) == 0;
    (void)closedir(entries);
    return count;
}

TEST_MARKED(file_that_memory_cannot_map_is_no_fault_of_the_file, "no-valgrind")
{
    const char *const path = zx_test_scratch();
    zx_file file = {0};
    struct rlimit before;
    CHECK(write_plain(path, "one", 3));
    CHECK(getrlimit(RLIMIT_AS, &before) == 0);
    struct rlimit limited = before;
    limited.rlim_cur = (rlim_t)1; /* less than is mapped already */
    CHECK(setrlimit(RLIMIT_AS, &limited) == 0);
    const zmlx_status status = zx_file_open(path, &file);
    CHECK(setrlimit(RLIMIT_AS, &before) == 0);
    CHECK(status == ZMLX_ERROR_MEMORY && message_names(path));
}

TEST(file_maps_what_was_written)
{
    const char *const path = zx_test_scratch();
    zx_file file = {0};
    CHECK(write_plain(path, "one\0two", 7));
    CHECK(zx_file_open(path, &file) == ZMLX_OK);
    CHECK(file.size == 7 && memcmp(file.data, "one\0two", 7) == 0);
    CHECK(strcmp(file.path, path) == 0);
    zx_file_close(&file);
    CHECK(file.data == NULL && file.size == 0 && file.path == NULL);
    zx_file_close(&file);
}

TEST(file_maps_an_empty_file)
{
    const char *const path = zx_test_scratch();
    zx_file file = {0};
    CHECK(write_plain(path, "", 0));
    CHECK(zx_file_open(path, &file) == ZMLX_OK);
    CHECK(file.data == NULL && file.size == 0);
    zx_file_close(&file);
}

TEST(file_refuses_what_is_no_file)
{
    zx_file file = {0};
    const char *const missing = zx_test_scratch();
    CHECK(zx_file_open(missing, &file) == ZMLX_ERROR_IO);
    CHECK(message_names(missing) && message_names(strerror(ENOENT)));
    CHECK(zx_file_open("/tmp", &file) == ZMLX_ERROR_IO);
    CHECK(message_names("/tmp: is a folder"));
    CHECK(zx_file_open("/dev/null", &file) == ZMLX_ERROR_IO);
    const char *const pipe = zx_test_scratch();
    CHECK(mkfifo(pipe, 0600) == 0);
    CHECK(zx_file_open(pipe, &file) == ZMLX_ERROR_IO); /* and does not wait for a writer */
    CHECK(file.data == NULL && file.path == NULL);
}

TEST(file_reads_whole_with_a_nul_behind)
{
    const char *const path = zx_test_scratch();
    char *text = NULL;
    size_t size = 0;
    CHECK(write_plain(path, "abc\0d", 5));
    CHECK(zx_file_read(path, 5, &text, &size) == ZMLX_OK);
    CHECK(size == 5 && memcmp(text, "abc\0d", 6) == 0);
    zx_free(text);
    text = NULL;
    CHECK(zx_file_read(path, 4, &text, &size) == ZMLX_ERROR_IO);
    CHECK(text == NULL && message_names(path) && message_names("4"));
    CHECK(write_plain(path, "", 0));
    CHECK(zx_file_read(path, 0, &text, &size) == ZMLX_OK);
    CHECK(size == 0 && text[0] == 0);
    zx_free(text);
}

TEST(file_reads_what_has_no_size)
{
    char *text = NULL;
    size_t size = 1;
    CHECK(zx_file_read("/dev/null", 10, &text, &size) == ZMLX_OK);
    CHECK(size == 0 && text[0] == 0);
    zx_free(text);
    text = NULL;
    const size_t live = zx_test_live_blocks();
    CHECK(zx_file_read("/dev/zero", 300000, &text, &size) == ZMLX_ERROR_IO);
    CHECK(message_names("/dev/zero") && zx_test_live_blocks() == live);
    CHECK(zx_file_read("/tmp", 10, &text, &size) == ZMLX_ERROR_IO);
    CHECK(text == NULL && message_names("/tmp"));
}

TEST(file_reads_standard_input)
{
    enum { COUNT = 50000 };
    int ends[2];
    char *text = NULL;
    size_t size = 0;
    static char sent[COUNT];
    for (size_t i = 0; i < COUNT; i++) sent[i] = (char)zx_test_random();
    CHECK(pipe(ends) == 0);
    const int before = dup(STDIN_FILENO);
    CHECK(write(ends[1], sent, COUNT) == COUNT); /* fits into a pipe */
    (void)close(ends[1]);
    (void)dup2(ends[0], STDIN_FILENO);
    const zmlx_status status = zx_file_read("-", COUNT, &text, &size);
    if (before >= 0) (void)dup2(before, STDIN_FILENO);
    (void)close(ends[0]);
    (void)close(before);
    CHECK(status == ZMLX_OK && size == COUNT);
    CHECK(memcmp(text, sent, COUNT) == 0);
    zx_free(text);
}

TEST(file_paths_are_told_apart)
{
    const char *const path = zx_test_scratch();
    CHECK(!zx_path_exists(path) && !zx_path_is_directory(path));
    CHECK(write_plain(path, "", 0));
    CHECK(zx_path_exists(path) && !zx_path_is_directory(path));
    CHECK(zx_path_exists("/tmp") && zx_path_is_directory("/tmp"));
}

TEST(file_joined_names_stay_inside)
{
    static const char *const bad[] = {"",          "/etc/passwd", "..",      "../x",
                                      "a/../../x", "a/..",        "a/b/../c"};
    static const char *const good[][3] = {{"/m", "a", "/m/a"},
                                          {"/m/", "a/b", "/m/a/b"},
                                          {"", "a", "a"},
                                          {"m", "..a/b..", "m/..a/b.."},
                                          {"m", "...", "m/..."}};
    char *joined = NULL;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CHECK_ON(bad[i], zx_path_join("/models/m", bad[i], &joined) == ZMLX_ERROR_FORMAT);
        CHECK_ON(bad[i], joined == NULL && message_names("/models/m") && message_names(bad[i]));
    }
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        CHECK_ON(good[i][1], zx_path_join(good[i][0], good[i][1], &joined) == ZMLX_OK);
        CHECK_ON(good[i][1], strcmp(joined, good[i][2]) == 0);
        zx_free(joined);
    }
}

TEST(file_writer_replaces_at_commit)
{
    const char *const path = zx_test_scratch();
    zx_writer writer;
    CHECK(write_plain(path, "old", 3) && chmod(path, 0640) == 0);
    CHECK(zx_writer_open(path, &writer) == ZMLX_OK);
    CHECK(zx_writer_add(&writer, "new ", 4) == ZMLX_OK);
    CHECK(zx_writer_add(&writer, "text", 4) == ZMLX_OK);
    CHECK(writer.written == 8);
    CHECK(holds(path, "old"));
    CHECK(zx_writer_commit(&writer) == ZMLX_OK);
    CHECK(holds(path, "new text") && files_named_like(path) == 1);
    struct stat about;
    CHECK(stat(path, &about) == 0 && (about.st_mode & 0777) == 0640);
    CHECK(writer.descriptor == -1 && writer.path == NULL);
    zx_writer_abandon(&writer);
    CHECK(holds(path, "new text"));
}

TEST(file_writer_makes_files_others_can_read)
{
    const char *const path = zx_test_scratch();
    zx_writer writer;
    const mode_t mask = umask(022);
    const zmlx_status status = zx_writer_open(path, &writer);
    (void)umask(mask);
    CHECK(status == ZMLX_OK && zx_writer_commit(&writer) == ZMLX_OK);
    struct stat about;
    CHECK(stat(path, &about) == 0 && (about.st_mode & 0777) == 0644 && about.st_size == 0);
}

TEST(file_writer_abandoned_leaves_nothing)
{
    const char *const path = zx_test_scratch();
    zx_writer writer;
    const size_t live = zx_test_live_blocks();
    CHECK(zx_writer_open(path, &writer) == ZMLX_OK);
    CHECK(zx_writer_add(&writer, "half", 4) == ZMLX_OK);
    CHECK(files_named_like(path) == 1); /* the temporary one */
    zx_writer_abandon(&writer);
    CHECK(files_named_like(path) == 0);
    zx_writer_abandon(&writer);
    zx_writer never = {0};
    zx_writer_abandon(&never);
    CHECK(zx_test_live_blocks() == live && zx_path_exists("/dev/null"));
}

TEST(file_writer_follows_links)
{
    const char *const path = zx_test_scratch(), *const link = zx_test_scratch();
    zx_writer writer;
    CHECK(write_plain(path, "old", 3) && symlink(path, link) == 0);
    CHECK(zx_writer_open(link, &writer) == ZMLX_OK);
    CHECK(zx_writer_add(&writer, "new", 3) == ZMLX_OK);
    CHECK(zx_writer_commit(&writer) == ZMLX_OK);
    struct stat about;
    CHECK(holds(path, "new") && lstat(link, &about) == 0 && S_ISLNK(about.st_mode));
}

TEST(file_writer_writes_to_devices_in_place)
{
    zx_writer writer;
    struct stat about;
    CHECK(zx_writer_open("/dev/null", &writer) == ZMLX_OK);
    CHECK(zx_writer_add(&writer, "gone", 4) == ZMLX_OK);
    CHECK(zx_writer_commit(&writer) == ZMLX_OK);
    CHECK(stat("/dev/null", &about) == 0 && S_ISCHR(about.st_mode));
    if (!zx_path_exists("/dev/full")) SKIP("there is no /dev/full to fail a write");
    CHECK(zx_writer_open("/dev/full", &writer) == ZMLX_OK);
    CHECK(zx_writer_add(&writer, "gone", 4) == ZMLX_ERROR_IO);
    CHECK(message_names("/dev/full") && message_names(strerror(ENOSPC)));
    zx_writer_abandon(&writer);
    CHECK(zx_path_exists("/dev/full"));
}

TEST(file_writer_names_what_it_cannot_write)
{
    zx_writer writer = {0};
    char inside[4096];
    (void)snprintf(inside, sizeof inside, "%s/out", zx_test_scratch());
    CHECK(zx_writer_open(inside, &writer) == ZMLX_ERROR_IO);
    CHECK(message_names(inside) && writer.path == NULL);
    CHECK(zx_writer_open("/tmp", &writer) == ZMLX_ERROR_IO);
    CHECK(message_names("/tmp") && message_names("folder"));
    zx_writer_abandon(&writer);
}

TEST(file_failing_memory_leaves_nothing_behind)
{
    const char *const path = zx_test_scratch();
    const size_t live = zx_test_live_blocks();
    zx_writer writer;
    zx_file file;
    char *text = NULL;
    size_t size = 0;
    for (size_t n = 1; n <= 2; n++) {
        zx_test_fail_allocation(n);
        CHECK(zx_writer_open(path, &writer) == ZMLX_ERROR_MEMORY);
        CHECK(files_named_like(path) == 0 && zx_test_live_blocks() == live);
    }
    CHECK(write_plain(path, "abc", 3));
    zx_test_fail_allocation(1);
    CHECK(zx_file_open(path, &file) == ZMLX_ERROR_MEMORY);
    zx_test_fail_allocation(1);
    CHECK(zx_file_read(path, 10, &text, &size) == ZMLX_ERROR_MEMORY);
    CHECK(zx_test_live_blocks() == live);
}

TEST(file_writer_puts_at_a_place)
{
    const char *const path = zx_test_scratch();
    zx_writer writer;
    CHECK(zx_writer_open(path, &writer) == ZMLX_OK);
    const bool good = zx_writer_add(&writer, "head", 4) == ZMLX_OK &&
                      zx_writer_put(&writer, 8, "tail", 4) == ZMLX_OK &&
                      zx_writer_put(&writer, 4, "body", 4) == ZMLX_OK &&
                      zx_writer_add(&writer, "BO", 2) == ZMLX_OK; /* goes on where it was */
    if (!good) zx_writer_abandon(&writer);
    CHECK(good && writer.written == 14);
    CHECK(zx_writer_commit(&writer) == ZMLX_OK);
    CHECK(holds(path, "headBOdytail"));
}
