#include "base/test.h"
#include "engine/memory_layout.h"

enum { VALUES = 40 };

static bool overlap(const zx_span_of_life *a, const zx_span_of_life *b)
{
    const bool alive = a->first <= b->last && b->first <= a->last;
    return alive && a->bytes > 0 && b->bytes > 0 && a->offset < b->offset + b->bytes &&
           b->offset < a->offset + a->bytes;
}

TEST(values_alive_together_never_overlap)
{
    for (int round = 0; round < 200; round++) {
        zx_span_of_life values[VALUES];
        size_t total = 0;
        for (size_t i = 0; i < VALUES; i++) {
            const size_t first = zx_test_below(30);
            values[i] = (zx_span_of_life){zx_test_below(5000), first, first + zx_test_below(6), 0};
        }
        CHECK(zx_memory_layout(values, VALUES, &total) == ZMLX_OK);
        for (size_t i = 0; i < VALUES; i++) {
            CHECK(values[i].offset % 64 == 0 && values[i].offset + values[i].bytes <= total);
            for (size_t k = 0; k < i; k++) CHECK(!overlap(&values[i], &values[k]));
        }
    }
}

TEST(a_chain_of_values_needs_room_for_two)
{
    zx_span_of_life values[10];
    size_t total = 0;
    for (size_t i = 0; i < 10; i++) values[i] = (zx_span_of_life){640, i, i + 1, 0};
    CHECK(zx_memory_layout(values, 10, &total) == ZMLX_OK);
    CHECK(total == 2 * 640);
}
