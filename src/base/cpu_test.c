/* cpu_test.c - features can be taken away, with all that rests on them. */
#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "base/test.h"

TEST(cpu_limit_takes_features_away_with_what_rests_on_them)
{
    const uint32_t all = zx_cpu_features();
    zx_cpu_limit(0);
    const uint32_t none = zx_cpu_features();
    const bool none_is_baseline = strcmp(zx_cpu_text(), "baseline") == 0;
    zx_cpu_limit(~(uint32_t)ZX_CPU_AVX512);
    const uint32_t without_512 = zx_cpu_features();
    zx_cpu_limit(~(uint32_t)ZX_CPU_AVX2);
    const uint32_t without_2 = zx_cpu_features();
    zx_cpu_limit(UINT32_MAX);
    CHECK(none == 0 && none_is_baseline);
    CHECK(without_512 == (all & (ZX_CPU_AVX2 | ZX_CPU_NEON)));
    CHECK(without_2 == (all & ZX_CPU_NEON));
    CHECK(zx_cpu_features() == all);
}

TEST(cpu_text_names_each_feature)
{
    const uint32_t all = zx_cpu_features();
    const char *const text = zx_cpu_text();
    CHECK(*text != 0);
    CHECK((strstr(text, "avx2") != NULL) == ((all & ZX_CPU_AVX2) != 0));
    CHECK((strstr(text, "vnni") != NULL) == ((all & ZX_CPU_AVX512_VNNI) != 0));
    CHECK((strstr(text, "neon") != NULL) == ((all & ZX_CPU_NEON) != 0));
}

TEST(cpu_levels_rest_on_each_other)
{
    static const char *const names[] = {"baseline", "avx2", "avx512", "avx512vnni"};
    uint32_t below = 0, allowed = 1;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        CHECK_ON(names[i], zx_cpu_level(names[i], &allowed));
        CHECK_ON(names[i], (allowed & below) == below && (i == 0 || allowed != below));
        below = allowed;
    }
    CHECK(!zx_cpu_level("avx", &allowed) && !zx_cpu_level("", &allowed));
    const char *const wanted = getenv("ZMLX_ISA");
    if (wanted != NULL && zx_cpu_level(wanted, &allowed))
        CHECK((zx_cpu_features() & ~allowed) == 0);
}

#if defined(__x86_64__)
TEST(cpu_features_agree_with_the_compiler)
{
    __builtin_cpu_init();
    zx_cpu_limit(UINT32_MAX);
    if (getenv("ZMLX_ISA") != NULL) SKIP("ZMLX_ISA limits the features");
    const bool avx2 = (zx_cpu_features() & ZX_CPU_AVX2) != 0;
    const bool avx512 = (zx_cpu_features() & ZX_CPU_AVX512) != 0;
    CHECK(!avx2 || __builtin_cpu_supports("avx2"));
    CHECK(avx512 == (avx2 && __builtin_cpu_supports("avx512f") &&
                     __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                     __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512cd")));
}
#endif
