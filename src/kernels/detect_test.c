/* detect_test.c - the list names every backend once and says why one is not usable. */
#include <string.h>

#include "backend/backend.h"
#include "base/test.h"
#include "kernels/kernels.h"
#include "zmlx/kernels.h"

TEST(detected_backends_are_usable_or_say_why_not)
{
    zmlx_backend_list found;
    zmlx_detect_backend(&found);
    CHECK(found.count == ZX_BACKEND_COUNT && found.best < found.count);
    CHECK(found.backends[found.best].usable);
    for (size_t i = 0; i < found.count; i++) {
        const zmlx_backend_info *backend = &found.backends[i];
        bool built = false;
        for (size_t j = 0; zx_backends[j] != NULL; j++)
            built = built || strcmp(zx_backends[j]->name, backend->name) == 0;
        CHECK_ON(backend->name, backend->usable || *backend->detail != 0);
        CHECK_ON(backend->name, built == (strcmp(backend->detail, "not in this build") != 0));
        CHECK_ON(backend->name, !backend->usable || (backend->devices > 0 && backend->kernels > 0));
        CHECK_ON(backend->name, i <= found.best || !backend->usable);
    }
}

TEST(detected_cpu_counts_the_kernels_of_its_instruction_sets)
{
    zmlx_backend_list all, plain;
    zmlx_detect_backend(&all);
    zx_cpu_limit(0);
    zmlx_detect_backend(&plain);
    zx_cpu_limit(UINT32_MAX);
    CHECK(plain.backends[0].usable && strcmp(plain.backends[0].name, "cpu") == 0);
    CHECK(strcmp(plain.backends[0].detail, "baseline") == 0);
    CHECK(plain.backends[0].kernels <= all.backends[0].kernels);
    CHECK(plain.backends[0].kernels > 0);
    CHECK(zx_cpu_features() == 0 || plain.backends[0].kernels < all.backends[0].kernels ||
          (zx_cpu_features() & ZX_CPU_AVX2) == 0);
}
