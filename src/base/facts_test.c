/* facts_test.c - what was put is found again, by another opening too; prefixes; bad files. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/facts.h"
#include "base/test.h"

static bool fresh_path(char path[64])
{
    (void)snprintf(path, 64, "/tmp/zmlx-store-XXXXXX");
    if (mkdtemp(path) == NULL) return false;
    strcat(path, "/sub/facts.sqlite");
    return true;
}

static void remove_store(char path[64])
{
    (void)unlink(path);
    for (int i = 0; i < 2; i++) {
        *strrchr(path, '/') = '\0';
        (void)rmdir(path);
    }
}

static zmlx_status append(const char *key, const char *value, void *user)
{
    return zx_text_format(user, "%s=%s;", key, value);
}

static zmlx_status fill(zx_facts *store)
{
    zmlx_status status = zx_facts_begin(store);
    if (status == ZMLX_OK) status = zx_facts_put(store, "one", "a/2", "old");
    if (status == ZMLX_OK) status = zx_facts_put(store, "one", "a/2", "two");
    if (status == ZMLX_OK) status = zx_facts_put(store, "one", "a/1", "it's");
    if (status == ZMLX_OK) status = zx_facts_put(store, "one", "b%", "three");
    if (status == ZMLX_OK) status = zx_facts_put(store, "other", "a/1", "four");
    return status == ZMLX_OK ? zx_facts_commit(store) : status;
}

TEST(facts_finds_what_was_put)
{
    char path[64];
    zx_facts *store = NULL;
    zx_text all = {0}, some = {0}, left = {0};
    CHECK(fresh_path(path));
    zmlx_status status = zx_facts_open(path, false, &store);
    const bool absent = status == ZMLX_OK && store == NULL;
    status = zx_facts_open(path, true, &store);
    if (status == ZMLX_OK) status = fill(store);
    zx_facts_close(store);
    store = NULL;
    if (status == ZMLX_OK) status = zx_facts_open(path, false, &store);
    if (status == ZMLX_OK) status = zx_facts_each(store, "one", "", append, &all);
    if (status == ZMLX_OK) status = zx_facts_each(store, "one", "a/", append, &some);
    if (status == ZMLX_OK) status = zx_facts_remove(store, "one", "b%");
    if (status == ZMLX_OK) status = zx_facts_each(store, "one", "", append, &left);
    zx_facts_close(store);
    remove_store(path);
    const bool found = status == ZMLX_OK && strcmp(all.bytes, "a/1=it's;a/2=two;b%=three;") == 0;
    const bool by_prefix = status == ZMLX_OK && strcmp(some.bytes, "a/1=it's;a/2=two;") == 0;
    const bool removed = status == ZMLX_OK && strcmp(left.bytes, some.bytes) == 0;
    zx_text_fini(&all);
    zx_text_fini(&some);
    zx_text_fini(&left);
    CHECK(absent && status == ZMLX_OK);
    CHECK(found && by_prefix && removed);
}

TEST(facts_refuses_what_is_no_database)
{
    char path[64];
    zx_facts *store = NULL;
    (void)snprintf(path, sizeof path, "/tmp/zmlx-store-XXXXXX");
    const int file = mkstemp(path);
    CHECK(file >= 0);
    const char text[] =
        "this is a text and no database, and it is long enough to be looked at as one";
    const bool written = write(file, text, sizeof text) == (ssize_t)sizeof text;
    (void)close(file);
    const zmlx_status status = zx_facts_open(path, true, &store);
    const bool named = strstr(zmlx_error_message(), path) != NULL;
    (void)unlink(path);
    CHECK(written && store == NULL);
    CHECK(status == ZMLX_ERROR_MEMORY || (status == ZMLX_ERROR_IO && named));
}
