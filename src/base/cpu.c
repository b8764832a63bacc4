/* cpu.c - one question to the processor, asked once and cached.
 *
 * Three masks are joined: what the processor and the system offer, what ZMLX_ISA allows
 * (read once), and what zx_cpu_limit allows.  A feature whose base was taken away goes too. */
#include "base/cpu.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

enum {
    PROBED = (int)(1u << 30), /* tells a cached empty set from one never made */
    AVX512_ALL = (int)(ZX_CPU_AVX512_VNNI | ZX_CPU_AVX512_BF16 | ZX_CPU_AVX512_VBMI),
};

static const struct {
    const char *name;
    uint32_t allowed;
} levels[] = {
    {"baseline", 0},
    {"avx2", ZX_CPU_AVX2},
    {"avx512", ZX_CPU_AVX2 | ZX_CPU_AVX512},
    {"avx512vnni", ZX_CPU_AVX2 | ZX_CPU_AVX512 | ZX_CPU_AVX512_VNNI | ZX_CPU_AVX512_VBMI},
};

static const struct {
    uint32_t feature;
    const char *name;
} names[] = {
    {ZX_CPU_AVX2, "avx2"},        {ZX_CPU_AVX512, "avx512"},    {ZX_CPU_AVX512_VNNI, "vnni"},
    {ZX_CPU_AVX512_BF16, "bf16"}, {ZX_CPU_AVX512_VBMI, "vbmi"}, {ZX_CPU_NEON, "neon"},
};

static _Atomic uint32_t machine;
static _Atomic uint32_t limit = UINT32_MAX;

static uint32_t probe(void)
{
    uint32_t found = 0;
#if defined(__x86_64__)
    __builtin_cpu_init();
    unsigned a = 0, b = 0, c = 0, d = 0;
    const int f16c = __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C) != 0;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && f16c)
        found |= ZX_CPU_AVX2;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512cd"))
        found |= ZX_CPU_AVX512;
    if (__builtin_cpu_supports("avx512vnni")) found |= ZX_CPU_AVX512_VNNI;
    if (__builtin_cpu_supports("avx512bf16")) found |= ZX_CPU_AVX512_BF16;
    if (__builtin_cpu_supports("avx512vbmi")) found |= ZX_CPU_AVX512_VBMI;
#elif defined(__aarch64__)
    found |= ZX_CPU_NEON; /* part of the architecture */
#endif
    return found;
}

bool zx_cpu_level(const char *name, uint32_t *allowed)
{
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        if (strcmp(levels[i].name, name) != 0) continue;
        *allowed = levels[i].allowed;
        return true;
    }
    return false;
}

static uint32_t allowed_by_environment(void)
{
    const char *const wanted = getenv("ZMLX_ISA");
    uint32_t allowed = UINT32_MAX;
    if (wanted != NULL && *wanted != 0 && !zx_cpu_level(wanted, &allowed))
        zx_log(ZMLX_LOG_WARNING,
               "ZMLX_ISA: '%s' is none of baseline, avx2, avx512, avx512vnni; it is not followed",
               wanted);
    return allowed;
}

uint32_t zx_cpu_features(void)
{
    uint32_t found = atomic_load_explicit(&machine, memory_order_relaxed);
    if (found == 0) {
        /* Two threads may both come here; they find the same. */
        found = (probe() & allowed_by_environment()) | (uint32_t)PROBED;
        atomic_store_explicit(&machine, found, memory_order_relaxed);
    }
    found &= atomic_load_explicit(&limit, memory_order_relaxed) & ~(uint32_t)PROBED;
    if ((found & ZX_CPU_AVX2) == 0) found &= ~(uint32_t)ZX_CPU_AVX512;
    if ((found & ZX_CPU_AVX512) == 0) found &= ~(uint32_t)AVX512_ALL;
    return found;
}

void zx_cpu_limit(uint32_t allowed)
{
    atomic_store_explicit(&limit, allowed, memory_order_relaxed);
}

const char *zx_cpu_text(void)
{
    static _Thread_local char text[64];
    const uint32_t features = zx_cpu_features();
    size_t length = 0;
    text[0] = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if ((features & names[i].feature) != 0)
            length += (size_t)snprintf(text + length, sizeof text - length, "%s%s",
                                       length > 0 ? "+" : "", names[i].name);
    return *text != 0 ? text : "baseline";
}
