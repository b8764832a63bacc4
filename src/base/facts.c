#include "base/facts.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/memory.h"

enum { BUSY_MILLISECONDS = 5000 }; /* how long to wait for another process */

struct zx_facts {
    sqlite3 *database;
    const char *path; /* in the same block */
};

static zmlx_status failed(const zx_facts *facts, const char *what)
{
    return ZX_FAIL(ZMLX_ERROR_IO, "%s: %s: %s", facts->path, what,
                   facts->database != NULL ? sqlite3_errmsg(facts->database) : "no memory");
}

zmlx_status zx_facts_path(zx_text *path)
{
    const char *own = getenv("ZMLX_STORE"), *cache = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");
    if (own != NULL && *own != '\0') return zx_text_add_string(path, own);
    if (cache != NULL && *cache == '/') return zx_text_format(path, "%s/zmlx/store.sqlite", cache);
    if (home != NULL && *home == '/')
        return zx_text_format(path, "%s/.cache/zmlx/store.sqlite", home);
    return ZX_FAIL(ZMLX_ERROR_IO, "no place for the store: set ZMLX_STORE to a file, or HOME");
}

static zmlx_status run(zx_facts *facts, const char *sql)
{
    return sqlite3_exec(facts->database, sql, NULL, NULL, NULL) == SQLITE_OK
               ? ZMLX_OK
               : failed(facts, "cannot be used");
}

static zmlx_status open_database(zx_facts *facts, bool create)
{
    const int flags = SQLITE_OPEN_READWRITE | (create ? SQLITE_OPEN_CREATE : 0);
    if (create) ZX_TRY(zx_path_make_folders(facts->path));
    if (sqlite3_open_v2(facts->path, &facts->database, flags, NULL) != SQLITE_OK)
        return failed(facts, "cannot be opened");
    (void)sqlite3_busy_timeout(facts->database, BUSY_MILLISECONDS);
    return run(facts, "CREATE TABLE IF NOT EXISTS facts (space TEXT NOT NULL, key TEXT NOT NULL, "
                      "value TEXT NOT NULL, PRIMARY KEY (space, key)) WITHOUT ROWID");
}

zmlx_status zx_facts_open(const char *path, bool create, zx_facts **facts)
{
    void *memory = NULL;
    *facts = NULL;
    if (!create && access(path, F_OK) != 0) return ZMLX_OK;
    const size_t bytes = strlen(path) + 1;
    ZX_TRY(zx_alloc(sizeof(zx_facts) + bytes, "store", &memory));
    zx_facts *const fresh = memory;
    fresh->path = memcpy(fresh + 1, path, bytes);
    const zmlx_status status = open_database(fresh, create);
    if (status == ZMLX_OK)
        *facts = fresh;
    else
        zx_facts_close(fresh);
    return status;
}

void zx_facts_close(zx_facts *facts)
{
    if (facts == NULL) return;
    (void)sqlite3_close(facts->database);
    zx_free(facts);
}

/* A statement with its texts bound. */
static zmlx_status prepare(zx_facts *facts, const char *sql, const char *const texts[],
                           sqlite3_stmt **statement)
{
    *statement = NULL;
    if (sqlite3_prepare_v2(facts->database, sql, -1, statement, NULL) != SQLITE_OK)
        return failed(facts, "cannot be read");
    for (int i = 0; texts[i] != NULL; i++)
        if (sqlite3_bind_text(*statement, i + 1, texts[i], -1, SQLITE_STATIC) != SQLITE_OK) {
            (void)sqlite3_finalize(*statement);
            return failed(facts, "cannot be read");
        }
    return ZMLX_OK;
}

static zmlx_status run_with(zx_facts *facts, const char *sql, const char *const texts[])
{
    sqlite3_stmt *statement = NULL;
    ZX_TRY(prepare(facts, sql, texts, &statement));
    const bool done = sqlite3_step(statement) == SQLITE_DONE;
    const zmlx_status status = done ? ZMLX_OK : failed(facts, "cannot be written");
    (void)sqlite3_finalize(statement);
    return status;
}

zmlx_status zx_facts_put(zx_facts *facts, const char *space, const char *key, const char *value)
{
    return run_with(facts, "INSERT OR REPLACE INTO facts (space, key, value) VALUES (?1, ?2, ?3)",
                    (const char *const[]){space, key, value, NULL});
}

zmlx_status zx_facts_remove(zx_facts *facts, const char *space, const char *prefix)
{
    return run_with(facts, "DELETE FROM facts WHERE space = ?1 AND substr(key, 1, length(?2)) = ?2",
                    (const char *const[]){space, prefix, NULL});
}

zmlx_status zx_facts_each(zx_facts *facts, const char *space, const char *prefix,
                          zx_facts_visit visit, void *user)
{
    sqlite3_stmt *statement = NULL;
    ZX_TRY(prepare(facts,
                   "SELECT key, value FROM facts WHERE space = ?1 AND "
                   "substr(key, 1, length(?2)) = ?2 ORDER BY key",
                   (const char *const[]){space, prefix, NULL}, &statement));
    zmlx_status status = ZMLX_OK;
    int step = sqlite3_step(statement);
    for (; step == SQLITE_ROW && status == ZMLX_OK; step = sqlite3_step(statement)) {
        const unsigned char *key = sqlite3_column_text(statement, 0);
        const unsigned char *value = sqlite3_column_text(statement, 1);
        status = key != NULL && value != NULL ? visit((const char *)key, (const char *)value, user)
                                              : failed(facts, "cannot be read");
        if (status != ZMLX_OK) break;
    }
    if (status == ZMLX_OK && step != SQLITE_DONE) status = failed(facts, "cannot be read");
    (void)sqlite3_finalize(statement);
    return status;
}

zmlx_status zx_facts_begin(zx_facts *facts)
{
    return run(facts, "BEGIN IMMEDIATE");
}

zmlx_status zx_facts_commit(zx_facts *facts)
{
    return run(facts, "COMMIT");
}
