/* ledger_test.c - the ledger: a table of what is held, by address, and one line a tag. */
#include <jansson.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/ledger_testing.h"
#include "base/memory.h"
#include "base/region.h"
#include "base/test.h"

enum { SLOTS = 1 << 16, MOST_HELD = SLOTS / 4 * 3 };

typedef struct slot { /* free where memory is NULL */
    const void *memory;
    size_t bytes;
    zx_ledger_line *line;
} slot;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static slot slots[SLOTS];
static size_t held;
static zx_ledger book;
static json_malloc_t usual_alloc;
static json_free_t usual_free;

static size_t home_of(const void *memory)
{
    return (size_t)(((uint64_t)(uintptr_t)memory >> 4) * 0x9e3779b97f4a7c15u >> 48) % SLOTS;
}

/* Where the block stands, or the free slot where it would. */
static size_t place_of(const void *memory)
{
    size_t at = home_of(memory);
    while (slots[at].memory != NULL && slots[at].memory != memory) at = (at + 1) % SLOTS;
    return at;
}

static zx_ledger_line *line_of(const char *what)
{
    char name[ZX_LEDGER_TAG];
    (void)snprintf(name, sizeof name, "%s", what);
    for (size_t i = 0; i < book.count; i++)
        if (strcmp(book.lines[i].what, name) == 0) return &book.lines[i];
    if (book.count == ZX_LEDGER_LINES) return NULL;
    memcpy(book.lines[book.count].what, name, sizeof name);
    return &book.lines[book.count++];
}

static void write_down(const void *memory, size_t bytes, const char *what)
{
    (void)pthread_mutex_lock(&lock);
    zx_ledger_line *const line = line_of(what);
    if (line == NULL || held == MOST_HELD) {
        book.full = true;
    } else {
        slots[place_of(memory)] = (slot){memory, bytes, line};
        held++;
        line->taken++;
        line->blocks++;
        line->bytes += bytes;
    }
    (void)pthread_mutex_unlock(&lock);
}

/* What stands behind a freed slot moves up, so that a search still finds it. */
static void close_gap(size_t gap)
{
    for (size_t at = (gap + 1) % SLOTS; slots[at].memory != NULL; at = (at + 1) % SLOTS) {
        const size_t home = home_of(slots[at].memory);
        if ((at - home) % SLOTS < (at - gap) % SLOTS) continue;
        slots[gap] = slots[at];
        gap = at;
    }
    slots[gap] = (slot){0};
}

static void cross_out(const void *memory)
{
    (void)pthread_mutex_lock(&lock);
    const size_t at = place_of(memory);
    if (slots[at].memory != NULL) {
        slots[at].line->blocks--;
        slots[at].line->bytes -= slots[at].bytes;
        held--;
        close_gap(at);
    }
    (void)pthread_mutex_unlock(&lock);
}

static void *json_alloc(size_t bytes)
{
    void *memory = NULL;
    return zx_alloc(bytes, "JSON", &memory) == ZMLX_OK ? memory : NULL;
}

void zx_ledger_start(void)
{
    static const zx_memory_watch watch = {write_down, cross_out};
    memset(slots, 0, sizeof slots);
    memset(&book, 0, sizeof book);
    held = 0;
    json_get_alloc_funcs(&usual_alloc, &usual_free);
    json_set_alloc_funcs(json_alloc, zx_free);
    zx_watch_memory(&watch);
}

void zx_ledger_stop(void)
{
    zx_watch_memory(NULL);
    json_set_alloc_funcs(usual_alloc, usual_free);
}

void zx_ledger_read(zx_ledger *ledger)
{
    (void)pthread_mutex_lock(&lock);
    *ledger = book;
    (void)pthread_mutex_unlock(&lock);
}

zx_ledger_line zx_ledger_find(const zx_ledger *ledger, const char *what)
{
    for (size_t i = 0; i < ledger->count; i++)
        if (strcmp(ledger->lines[i].what, what) == 0) return ledger->lines[i];
    return (zx_ledger_line){0};
}

const char *zx_ledger_difference(const zx_ledger *before, const zx_ledger *after, bool taken)
{
    static char text[200];
    if (before->full || after->full) return "the ledger is full";
    for (size_t i = 0; i < after->count; i++) {
        const zx_ledger_line *const now = &after->lines[i];
        const zx_ledger_line was = i < before->count ? before->lines[i] : (zx_ledger_line){0};
        if (was.blocks == now->blocks && was.bytes == now->bytes &&
            (!taken || was.taken == now->taken))
            continue;
        (void)snprintf(text, sizeof text,
                       "%s: %zu bytes in %zu blocks, before %zu in %zu; %zu taken since", now->what,
                       now->bytes, now->blocks, was.bytes, was.blocks, now->taken - was.taken);
        return text;
    }
    return NULL;
}

/* -------- its own tests -------- */

static zx_ledger before, after;

static bool says(bool taken, const char *words)
{
    zx_ledger_read(&after);
    const char *text = zx_ledger_difference(&before, &after, taken);
    return words == NULL ? text == NULL : text != NULL && strstr(text, words) != NULL;
}

static bool tells_blocks_apart(void)
{
    void *block = NULL, *other = NULL;
    zx_ledger_read(&before);
    bool right = zx_alloc(10, "a thing", &block) == ZMLX_OK &&
                 says(false, "a thing: 10 bytes in 1 blocks, before 0 in 0; 1 taken");
    right = right && zx_alloc(7, "another", &other) == ZMLX_OK;
    zx_free(block);
    right = right && says(false, "another: 7 bytes in 1 blocks");
    zx_free(other);
    return right && says(false, NULL) && says(true, "a thing: 0 bytes in 0 blocks");
}

TEST(the_ledger_names_what_is_held_and_what_was_taken)
{
    zx_ledger_start();
    const bool right = tells_blocks_apart();
    zx_ledger_stop();
    CHECK(right);
}

static bool sees_every_door(const char *path)
{
    zx_arena arena = {0};
    zx_file file = {0};
    void *memory = NULL, *region = NULL;
    json_t *json = json_pack("{s:i}", "a", 1);
    bool right = json != NULL && zx_arena_alloc(&arena, 100, &memory) == ZMLX_OK &&
                 zx_region_map(4096, "pages", &region) == ZMLX_OK &&
                 zx_file_open(path, &file) == ZMLX_OK;
    static const char *const tags[] = {"JSON", "arena", "pages", "mapped file", "path"};
    zx_ledger_read(&after);
    for (size_t i = 0; i < sizeof tags / sizeof tags[0]; i++)
        right = right && zx_ledger_find(&after, tags[i]).blocks > 0;
    right = right && zx_ledger_find(&after, "pages").bytes == 4096;
    json_decref(json);
    zx_arena_reset(&arena);
    zx_region_unmap(region, 4096);
    zx_file_close(&file);
    return right && says(false, NULL);
}

TEST(the_ledger_sees_every_door)
{
    zx_ledger_start();
    zx_ledger_read(&before);
    const bool right = sees_every_door("LICENSE");
    zx_ledger_stop();
    CHECK(right);
}

/* Blocks taken and given back in any order, against a list. */
static bool keeps_count(void)
{
    enum { MOST = 300 };
    void *blocks[MOST] = {NULL};
    size_t sizes[MOST] = {0}, bytes = 0, count = 0;
    bool right = true;
    for (size_t turn = 0; right && turn < 20000; turn++) {
        const size_t i = zx_test_below(MOST);
        zx_free(blocks[i]);
        bytes -= sizes[i];
        count -= blocks[i] != NULL;
        blocks[i] = NULL;
        sizes[i] = zx_test_below(300);
        if (turn % 3 == 0 || zx_alloc(sizes[i], "some", &blocks[i]) != ZMLX_OK) sizes[i] = 0;
        bytes += sizes[i];
        count += blocks[i] != NULL;
        if (turn % 500 != 0) continue;
        zx_ledger_read(&after);
        const zx_ledger_line line = zx_ledger_find(&after, "some");
        right = line.bytes == bytes && line.blocks == count;
    }
    for (size_t i = 0; i < MOST; i++) zx_free(blocks[i]);
    return right && says(false, NULL);
}

TEST(the_ledger_keeps_count_in_any_order)
{
    zx_ledger_start();
    zx_ledger_read(&before);
    const bool right = keeps_count();
    zx_ledger_stop();
    CHECK(right);
}
