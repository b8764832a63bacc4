/* blocks_test.c - the order in which pages are taken and lost, and a long random life checked
 * against the invariants after every step. */
#include "base/test.h"
#include "kv/blocks.h"

static void fill(int32_t tokens[ZX_PAGE_TOKENS], int32_t first)
{
    for (int32_t i = 0; i < ZX_PAGE_TOKENS; i++) tokens[i] = first * 1000 + i;
}

/* Takes 'count' pages and publishes the first 'known' as a chain of contents 1, 2, ... */
static zx_prefix take_chain(zx_blocks *blocks, int32_t pages[], size_t count, size_t known)
{
    int32_t tokens[ZX_PAGE_TOKENS];
    zx_prefix prefix = {0};
    for (size_t i = 0; i < count; i++) {
        pages[i] = zx_blocks_take(blocks);
        if (i >= known) continue;
        fill(tokens, (int32_t)i + 1);
        prefix = zx_blocks_publish(blocks, pages[i], prefix, 0, tokens);
    }
    return prefix;
}

TEST(released_pages_are_taken_in_the_order_unknown_then_oldest_known)
{
    zx_blocks *blocks = NULL;
    int32_t first[4], tokens[ZX_PAGE_TOKENS];
    CHECK(zx_blocks_create(11, &blocks) == ZMLX_OK);
    take_chain(blocks, first, 4, 3); /* pages 1 2 3 known, 4 not */
    CHECK(first[0] == 1 && first[3] == 4);
    zx_prefix prefix = {0};
    for (int32_t i = 0; i < 3; i++) { /* a second sequence shares the three */
        fill(tokens, i + 1);
        prefix = zx_blocks_find(blocks, prefix, 0, tokens);
        CHECK(prefix.page == i + 1);
        zx_blocks_share(blocks, prefix.page);
    }
    const int32_t fifth = zx_blocks_take(blocks);
    CHECK(fifth == 5 && zx_blocks_free_count(blocks) == 5);
    for (int i = 3; i >= 0; i--) zx_blocks_release(blocks, first[i]);
    zx_blocks_release(blocks, fifth);
    for (int32_t page = 3; page >= 1; page--) zx_blocks_release(blocks, page);
    const int32_t expected[] = {5, 4, 6, 7, 8, 9, 10, 3, 2, 1};
    for (size_t i = 0; i < 10; i++) {
        CHECK(zx_blocks_check(blocks) == ZMLX_OK);
        CHECK(zx_blocks_take(blocks) == expected[i]);
    }
    CHECK(zx_blocks_take(blocks) == 0);
    zx_blocks_destroy(blocks);
}

TEST(a_page_taken_anew_is_not_found_by_its_old_content_nor_are_its_children)
{
    zx_blocks *blocks = NULL;
    int32_t pages[2], tokens[ZX_PAGE_TOKENS];
    CHECK(zx_blocks_create(3, &blocks) == ZMLX_OK);
    take_chain(blocks, pages, 2, 2);
    zx_blocks_release(blocks, pages[0]); /* the parent goes first: its child stays known */
    CHECK(zx_blocks_take(blocks) == pages[0]);
    fill(tokens, 1);
    CHECK(zx_blocks_find(blocks, (zx_prefix){0}, 0, tokens).page == 0);
    const zx_prefix other = zx_blocks_publish(blocks, pages[0], (zx_prefix){0}, 0, tokens);
    fill(tokens, 2);
    CHECK(zx_blocks_find(blocks, other, 0, tokens).page ==
          0); /* the child belonged to the old page */
    zx_blocks_destroy(blocks);
}

TEST(a_salt_keeps_equal_tokens_apart)
{
    zx_blocks *blocks = NULL;
    int32_t tokens[ZX_PAGE_TOKENS];
    CHECK(zx_blocks_create(4, &blocks) == ZMLX_OK);
    fill(tokens, 1);
    const int32_t page = zx_blocks_take(blocks);
    CHECK(zx_blocks_publish(blocks, page, (zx_prefix){0}, 7, tokens).page == page);
    CHECK(zx_blocks_find(blocks, (zx_prefix){0}, 7, tokens).page == page);
    CHECK(zx_blocks_find(blocks, (zx_prefix){0}, 8, tokens).page == 0);
    zx_blocks_destroy(blocks);
}

TEST(forgetting_needs_all_pages_free)
{
    zx_blocks *blocks = NULL;
    int32_t pages[2], tokens[ZX_PAGE_TOKENS];
    CHECK(zx_blocks_create(5, &blocks) == ZMLX_OK);
    take_chain(blocks, pages, 2, 2);
    CHECK(!zx_blocks_forget(blocks));
    zx_blocks_release(blocks, pages[1]);
    zx_blocks_release(blocks, pages[0]);
    CHECK(zx_blocks_forget(blocks));
    fill(tokens, 1);
    CHECK(zx_blocks_find(blocks, (zx_prefix){0}, 0, tokens).page == 0);
    CHECK(zx_blocks_check(blocks) == ZMLX_OK);
    zx_blocks_destroy(blocks);
}

enum { PAGES = 24, OWNED = 64 };

static bool random_life(zx_blocks *blocks, size_t steps)
{
    int32_t owned[OWNED], tokens[ZX_PAGE_TOKENS];
    size_t count = 0;
    for (size_t i = 0; i < steps; i++) {
        const uint64_t draw = zx_test_random();
        const int32_t content = (int32_t)(draw >> 32) % 12;
        fill(tokens, content);
        if (draw % 3 == 0 && count > 0) {
            const size_t victim = (draw >> 8) % count;
            zx_blocks_release(blocks, owned[victim]);
            owned[victim] = owned[--count];
        } else if (draw % 3 == 1 && count < OWNED) {
            const zx_prefix found = zx_blocks_find(blocks, (zx_prefix){0}, 0, tokens);
            if (found.page == 0) continue;
            zx_blocks_share(blocks, found.page);
            owned[count++] = found.page;
        } else if (count < OWNED) {
            const int32_t page = zx_blocks_take(blocks);
            if (page == 0) continue;
            if (draw & 256) (void)zx_blocks_publish(blocks, page, (zx_prefix){0}, 0, tokens);
            owned[count++] = page;
        }
        if (zx_blocks_check(blocks) != ZMLX_OK) return false;
    }
    while (count > 0) zx_blocks_release(blocks, owned[--count]);
    return zx_blocks_check(blocks) == ZMLX_OK && zx_blocks_free_count(blocks) == PAGES - 1;
}

TEST(the_invariants_hold_through_a_random_life)
{
    zx_blocks *blocks = NULL;
    CHECK(zx_blocks_create(PAGES, &blocks) == ZMLX_OK);
    CHECK_ON(zmlx_error_message(), random_life(blocks, 20000));
    zx_blocks_destroy(blocks);
}
