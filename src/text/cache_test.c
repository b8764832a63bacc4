/* cache_test.c - a tokenizer from its tables is the one from the JSON; what is damaged, foreign or
 * cannot be written is as if it were not there. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/test.h"
#include "text/cache.h"

enum { TOKENS = 90000 };

typedef struct place {
    char folder[64], json[128], store[128], tables[512];
    char old[512]; /* ZMLX_STORE as it was, or nothing */
} place;

static const char tail[] =
    "}, \"merges\": [\"a b\", [\"ab\", \"c\"]], \"unk_token\": \"<unk>\", \"byte_fallback\": true, "
    "\"fuse_unk\": true}, \"decoder\": {\"type\": \"Fuse\"}}";

/* A BPE of many tokens, large enough to be kept; 'last' makes two files that differ. */
static bool write_json(const place *p, char last)
{
    FILE *const file = fopen(p->json, "wb");
    if (file == NULL) return false;
    (void)fprintf(file,
                  "{\"version\": \"1.0\", \"added_tokens\": [{\"id\": %d, \"content\": "
                  "\"<end>\"}], \"model\": {\"type\": \"BPE\", \"vocab\": {\"<unk>\": 0, "
                  "\"a\": 1, \"b\": 2, \"c\": 3, \"ab\": 4, \"abc\": 5, \"\\u00e9\": 6, "
                  "\"%c\": 7",
                  TOKENS, last);
    for (int id = 8; id < TOKENS; id++)
        (void)fprintf(file, ",\n      \"token of some length and number %06d\": %d", id, id);
    (void)fprintf(file, "%s", tail);
    return fclose(file) == 0;
}

static bool begin(place *p)
{
    (void)snprintf(p->folder, sizeof p->folder, "/tmp/zmlx-tables-XXXXXX");
    if (mkdtemp(p->folder) == NULL) return false;
    (void)snprintf(p->json, sizeof p->json, "%s/tokenizer.json", p->folder);
    (void)snprintf(p->store, sizeof p->store, "%s/kept/store.sqlite", p->folder);
    const char *const old = getenv("ZMLX_STORE");
    (void)snprintf(p->old, sizeof p->old, "%s", old == NULL ? "" : old);
    return setenv("ZMLX_STORE", p->store, 1) == 0 && write_json(p, 'x');
}

/* Finds the file of tables, and counts how many there are. */
static int find_tables(place *p)
{
    char folder[128];
    (void)snprintf(folder, sizeof folder, "%s/kept", p->folder);
    DIR *const open = opendir(folder);
    int count = 0;
    for (struct dirent *entry; open != NULL && (entry = readdir(open)) != NULL;) {
        if (entry->d_name[0] == '.') continue;
        (void)snprintf(p->tables, sizeof p->tables, "%s/%s", folder, entry->d_name);
        count++;
    }
    if (open != NULL) (void)closedir(open);
    return count;
}

static void finish(place *p)
{
    while (find_tables(p) > 0 && unlink(p->tables) == 0) continue;
    char folder[128];
    (void)snprintf(folder, sizeof folder, "%s/kept", p->folder);
    if (rmdir(folder) != 0) (void)unlink(folder);
    (void)unlink(p->json);
    (void)rmdir(p->folder);
    if (p->old[0] != 0)
        (void)setenv("ZMLX_STORE", p->old, 1);
    else
        (void)unsetenv("ZMLX_STORE");
}

/* Opens it; whether its tables came from the file, and whether it says what it should. */
static bool opens(const place *p, bool *kept)
{
    static const char text[] = "abcab\xC3\xA9"
                               "q<end>";
    static const int32_t wanted[] = {5, 4, 6, 0, TOKENS};
    zx_tokenizer *tokenizer;
    if (zx_tokenizer_open_json(p->json, &tokenizer) != ZMLX_OK) return false;
    *kept = tokenizer->model.mapped;
    zx_ids ids = {0};
    zx_text decoded = {0};
    bool fine = zx_tokenizer_encode(tokenizer, text, sizeof text - 1, true, &ids) == ZMLX_OK &&
                ids.count == 5 && memcmp(ids.items, wanted, sizeof wanted) == 0 &&
                zx_tokenizer_size(tokenizer) == TOKENS + 1 &&
                zx_tokenizer_find(tokenizer, "token of some length and number 000777") == 777 &&
                zx_tokenizer_decode(tokenizer, ids.items, 3, false, &decoded) == ZMLX_OK &&
                decoded.length == 7 && memcmp(decoded.bytes, text, 7) == 0;
    zx_ids_fini(&ids);
    zx_text_fini(&decoded);
    zx_tokenizer_close(tokenizer);
    return fine;
}

TEST(tables_are_kept_and_found)
{
    place p = {0};
    bool kept = false;
    CHECK(begin(&p));
    if (opens(&p, &kept)) {
        CHECK(!kept);
        CHECK(find_tables(&p) == 1);
        CHECK(opens(&p, &kept));
        CHECK(kept);
        CHECK(write_json(&p, 'y')); /* another file of the same size: others' tables do not serve */
        CHECK(opens(&p, &kept));
        CHECK(!kept);
        CHECK(find_tables(&p) == 2);
    }
    finish(&p);
}

/* A byte anywhere, or the end, is missing or another: the JSON is read, and the tables made anew.
 */
TEST(damaged_tables_are_made_again)
{
    place p = {0};
    bool kept = false;
    CHECK(begin(&p));
    if (opens(&p, &kept) && find_tables(&p) == 1) {
        struct stat about;
        CHECK(stat(p.tables, &about) == 0);
        const long size = (long)about.st_size;
        const long places[] = {0,  8,  12,  16,  24,   32,       40,
                               48, 64, 100, 200, 4096, size / 2, size - 1};
        for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
            FILE *const file = fopen(p.tables, "r+b");
            CHECK(file != NULL);
            if (file == NULL) break;
            (void)fseek(file, places[i], SEEK_SET);
            const int byte = fgetc(file);
            (void)fseek(file, places[i], SEEK_SET);
            (void)fputc(byte ^ 0x40, file);
            (void)fclose(file);
            CHECK(opens(&p, &kept));
            CHECK(!kept);
            CHECK(opens(&p, &kept));
            CHECK(kept);
        }
        CHECK(truncate(p.tables, size - 8) == 0);
        CHECK(opens(&p, &kept));
        CHECK(!kept);
        CHECK(truncate(p.tables, 10) == 0);
        CHECK(opens(&p, &kept));
        CHECK(!kept);
        CHECK(opens(&p, &kept));
        CHECK(kept);
    }
    finish(&p);
}

TEST(a_folder_that_cannot_be_written_is_no_error)
{
    place p = {0};
    bool kept = true;
    CHECK(begin(&p));
    char blocked[128];
    (void)snprintf(blocked, sizeof blocked, "%s/kept", p.folder);
    FILE *const file = fopen(blocked, "wb"); /* a file where the folder would be */
    CHECK(file != NULL);
    if (file != NULL) (void)fclose(file);
    if (opens(&p, &kept)) CHECK(!kept);
    finish(&p);
}
