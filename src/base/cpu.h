/* cpu.h - what this processor can do, found at run time. */
#ifndef ZX_BASE_CPU_H
#define ZX_BASE_CPU_H

#include <stdbool.h>
#include <stdint.h>

/* What a kernel may need; a set is an OR of these. */
enum {
    ZX_CPU_AVX2 = 1u << 0,        /* AVX2, FMA and F16C */
    ZX_CPU_AVX512 = 1u << 1,      /* F, BW, DQ, VL, CD */
    ZX_CPU_AVX512_VNNI = 1u << 2, /* with AVX512 */
    ZX_CPU_AVX512_BF16 = 1u << 3, /* with AVX512 */
    ZX_CPU_AVX512_VBMI = 1u << 4, /* with AVX512 */
    ZX_CPU_NEON = 1u << 5,
};

/* The features of this machine, less those that zx_cpu_limit took away.  The environment variable
 * ZMLX_ISA (see zx_cpu_level) limits them from the start. */
uint32_t zx_cpu_features(void);

/* Only these features count from now on (for tests: run with less than the machine has). */
void zx_cpu_limit(uint32_t allowed);

/* The features of a level ("baseline", "avx2", "avx512", "avx512vnni"), the words of ZMLX_ISA;
 * false where there is no such level. */
bool zx_cpu_level(const char *name, uint32_t *allowed);

/* "avx512+vnni+bf16" and the like, for reports. */
const char *zx_cpu_text(void);

#endif
