#include "kv/states.h"

#include <assert.h>
#include <stdbool.h>

#include "base/checked.h"
#include "base/fail.h"
#include "base/memory.h"

enum { TAKEN = -1, NO_SLOT = 0, NO_PAGE = 0 };

typedef struct slot {
    int32_t previous, next; /* in the ring; TAKEN while owned */
    int32_t page;           /* whose snapshot it is, or NO_PAGE */
    bool rolls;             /* that snapshot lasts until its sequence leaves the next */
} slot;

struct zx_states {
    slot *slots; /* [count]; slots[0] closes the ring */
    size_t count, page_count, left;
    int32_t *of_page; /* [page_count] */
};

static zmlx_status too_large(size_t slots, size_t pages)
{
    return ZX_FAIL(ZMLX_ERROR_MEMORY,
                   "a table of %zu states and %zu pages exceeds the address space", slots, pages);
}

zmlx_status zx_states_bytes(size_t slots, size_t pages, size_t *bytes)
{
    size_t of_pages = 0;
    if (zx_multiply_fits(slots, sizeof(slot), bytes) &&
        zx_multiply_fits(pages, sizeof(int32_t), &of_pages) &&
        zx_add_fits(*bytes, of_pages, bytes) && zx_add_fits(*bytes, sizeof(zx_states), bytes))
        return ZMLX_OK;
    return too_large(slots, pages);
}

zmlx_status zx_states_create(size_t slots, size_t pages, zx_states **states)
{
    void *memory = NULL;
    if (slots < 2 || slots > INT32_MAX)
        return ZX_FAIL(ZMLX_ERROR_ARGUMENT, "%zu states; expected 2 to %d", slots, INT32_MAX);
    ZX_TRY(zx_alloc(sizeof(zx_states), "state table", &memory));
    zx_states *fresh = memory;
    fresh->count = slots;
    fresh->page_count = pages;
    fresh->left = slots - 1;
    zmlx_status status = zx_alloc_array(slots, sizeof(slot), "states", &memory);
    if (status == ZMLX_OK) {
        fresh->slots = memory;
        status = zx_alloc_array(pages, sizeof(int32_t), "snapshots", &memory);
    }
    if (status != ZMLX_OK) {
        zx_states_destroy(fresh);
        return status;
    }
    fresh->of_page = memory;
    for (size_t i = 0; i < slots; i++) {
        fresh->slots[i].previous = (int32_t)(i > 0 ? i - 1 : slots - 1);
        fresh->slots[i].next = (int32_t)(i + 1 < slots ? i + 1 : 0);
    }
    *states = fresh;
    return ZMLX_OK;
}

void zx_states_destroy(zx_states *states)
{
    if (states == NULL) return;
    zx_free(states->slots);
    zx_free(states->of_page);
    zx_free(states);
}

static void unlist(zx_states *states, int32_t index)
{
    slot *s = &states->slots[index];
    assert(index > 0 && s->next != TAKEN);
    states->slots[s->previous].next = s->next;
    states->slots[s->next].previous = s->previous;
    s->previous = s->next = TAKEN;
    states->left--;
}

static void list_after(zx_states *states, int32_t previous, int32_t index)
{
    slot *s = &states->slots[index];
    assert(index > 0 && s->next == TAKEN);
    s->previous = previous;
    s->next = states->slots[previous].next;
    states->slots[s->next].previous = index;
    states->slots[previous].next = index;
    states->left++;
}

static void drop_snapshot(zx_states *states, int32_t index)
{
    slot *s = &states->slots[index];
    if (s->page != NO_PAGE) states->of_page[s->page] = NO_SLOT;
    s->page = NO_PAGE;
    s->rolls = false;
}

int32_t zx_states_take(zx_states *states)
{
    const int32_t index = states->slots[0].next;
    if (index == NO_SLOT) return NO_SLOT;
    unlist(states, index);
    drop_snapshot(states, index);
    return index;
}

void zx_states_release(zx_states *states, int32_t index)
{
    assert(states->slots[index].page == NO_PAGE);
    list_after(states, 0, index);
}

void zx_states_keep(zx_states *states, int32_t index, int32_t page)
{
    assert(page > 0 && (size_t)page < states->page_count);
    if (states->of_page[page] != NO_SLOT) {
        states->slots[states->of_page[page]].rolls = false;
        zx_states_release(states, index);
        return;
    }
    list_after(states, states->slots[0].previous, index);
    states->slots[index].page = page;
    states->of_page[page] = index;
}

int32_t zx_states_find(const zx_states *states, int32_t page)
{
    return states->of_page[page];
}

void zx_states_touch(zx_states *states, int32_t page)
{
    const int32_t index = states->of_page[page];
    if (index == NO_SLOT) return;
    unlist(states, index);
    list_after(states, states->slots[0].previous, index);
}

void zx_states_forget(zx_states *states, int32_t page)
{
    const int32_t index = states->of_page[page];
    if (index == NO_SLOT) return;
    unlist(states, index);
    drop_snapshot(states, index);
    zx_states_release(states, index);
}

int32_t zx_states_roll(zx_states *states, int32_t index, int32_t page)
{
    if (states->of_page[page] != NO_SLOT) {
        zx_states_release(states, index);
        return NO_SLOT;
    }
    zx_states_keep(states, index, page);
    states->slots[index].rolls = true;
    return index;
}

void zx_states_replace(zx_states *states, int32_t index, int32_t page)
{
    if (states->of_page[page] == index && states->slots[index].rolls)
        zx_states_forget(states, page);
}

size_t zx_states_left(const zx_states *states)
{
    return states->left;
}

zmlx_status zx_states_check(const zx_states *states)
{
    size_t seen = 0, snapshots = 0, found = 0;
    int32_t previous = 0;
    bool behind_snapshot = false;
    for (int32_t i = states->slots[0].next; i != 0; i = states->slots[i].next) {
        const slot *s = &states->slots[i];
        if (i < 0 || (size_t)i >= states->count || s->previous != previous ||
            ++seen > states->count)
            return ZX_FAIL(ZMLX_ERROR_ARGUMENT, "state %d is linked wrongly", i);
        if (behind_snapshot && s->page == NO_PAGE)
            return ZX_FAIL(ZMLX_ERROR_ARGUMENT, "free state %d stands behind a snapshot", i);
        behind_snapshot = s->page != NO_PAGE;
        snapshots += behind_snapshot ? 1 : 0;
        if (behind_snapshot && states->of_page[s->page] != i)
            return ZX_FAIL(ZMLX_ERROR_ARGUMENT, "state %d is no snapshot of page %d", i, s->page);
        previous = i;
    }
    for (size_t page = 0; page < states->page_count; page++)
        found += states->of_page[page] != NO_SLOT ? 1 : 0;
    if (seen != states->left || found != snapshots)
        return ZX_FAIL(ZMLX_ERROR_ARGUMENT,
                       "%zu states listed, %zu counted; %zu snapshots, %zu found", seen,
                       states->left, snapshots, found);
    return ZMLX_OK;
}
