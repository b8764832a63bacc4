/* sha.h - SHA-256 and SHA-1 (FIPS 180-4), by which the hub names its files: the one those in large
 * storage, the other those in git. */
#ifndef ZX_HUB_SHA_H
#define ZX_HUB_SHA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ZX_SHA_BLOCK = 64, ZX_SHA_DIGITS = 64 };

typedef struct zx_sha {
    uint32_t state[8];
    uint64_t bytes; /* taken so far */
    uint8_t block[ZX_SHA_BLOCK];
    bool long_digest; /* SHA-256, else SHA-1 */
} zx_sha;

void zx_sha256_start(zx_sha *sha);
void zx_sha1_start(zx_sha *sha);
void zx_sha_add(zx_sha *sha, const void *bytes, size_t count);
/* The digest as lower-case hexadecimal digits, 64 or 40 and a NUL; 'sha' is used up. */
void zx_sha_finish(zx_sha *sha, char digits[ZX_SHA_DIGITS + 1]);

#endif
