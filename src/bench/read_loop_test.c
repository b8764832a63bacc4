/* read_loop_test.c - the read loop reads the weights and nothing else. */
#include <sys/mman.h>
#include <unistd.h>

#include "base/test.h"
#include "bench/read_loop.h"

/* Two matrices in tensors of their own, both up to the end of what can be read. */
TEST(the_read_loop_reads_matrices_where_each_lies)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uint8_t *memory =
        mmap(NULL, 3 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    zx_pool *pool = NULL;
    if (memory == MAP_FAILED) SKIP("no memory to map");
    CHECK(mprotect(memory + 2 * page, page, PROT_NONE) == 0);
    const zx_weight page_long = {.count = 1,
                                 .rows = 1,
                                 .columns = page / sizeof(float),
                                 .bits = 32,
                                 .format = ZX_FORMAT_F32,
                                 .codes = memory + page,
                                 .codes_stride = page};
    zx_weight second = page_long; /* of two whose rows take turns */
    second.rows = 2;
    second.columns /= 2;
    second.codes = memory + page / 2;
    const zx_weight matrices[2] = {page_long, second};
    zx_weight weight = page_long;
    weight.count = 2;
    weight.matrices = matrices;
    zx_node node = {.op = ZX_OP_WEIGHT, .weight = &weight};
    const zx_graph graph = {.first = &node};
    if (zx_pool_create(1, &pool) == ZMLX_OK) {
        CHECK(zx_read_loop(&graph, pool) > 0);
        zx_pool_destroy(pool);
    }
    CHECK(munmap(memory, 3 * page) == 0);
}
