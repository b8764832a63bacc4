/* sha.c - the two digests, a block at a time, as FIPS 180-4 writes them. */
#include "hub/sha.h"

#include <string.h>

enum { WORDS = 16, ROUNDS_1 = 80, ROUNDS_256 = 64, LENGTH_AT = 56 };

static uint32_t left(uint32_t x, unsigned n)
{
    return x << n | x >> (32 - n);
}

static uint32_t right(uint32_t x, unsigned n)
{
    return x >> n | x << (32 - n);
}

static void read_words(const uint8_t *block, uint32_t words[WORDS])
{
    for (size_t i = 0; i < WORDS; i++)
        words[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
                   (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
}

static void mix_1(uint32_t state[8], const uint8_t *block)
{
    static const uint32_t constants[] = {0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6};
    uint32_t w[ROUNDS_1], a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
    read_words(block, w);
    for (size_t i = WORDS; i < ROUNDS_1; i++)
        w[i] = left(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    for (size_t i = 0; i < ROUNDS_1; i++) {
        const size_t phase = i / 20;
        uint32_t f = b ^ c ^ d;
        if (phase == 0) f = (b & c) | (~b & d);
        if (phase == 2) f = (b & c) | (b & d) | (c & d);
        const uint32_t next = left(a, 5) + f + e + constants[phase] + w[i];
        e = d, d = c, c = left(b, 30), b = a, a = next;
    }
    state[0] += a, state[1] += b, state[2] += c, state[3] += d, state[4] += e;
}

static void mix_256(uint32_t state[8], const uint8_t *block)
{
    static const uint32_t constants[ROUNDS_256] = {
        0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4,
        0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe,
        0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f,
        0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7,
        0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc,
        0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
        0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116,
        0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
        0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
        0xc67178f2};
    uint32_t w[ROUNDS_256], a = state[0], b = state[1], c = state[2], d = state[3];
    uint32_t e = state[4], f = state[5], g = state[6], h = state[7];
    read_words(block, w);
    for (size_t i = WORDS; i < ROUNDS_256; i++) {
        const uint32_t x = w[i - 15], y = w[i - 2];
        w[i] = w[i - 16] + w[i - 7] + (right(x, 7) ^ right(x, 18) ^ x >> 3) +
               (right(y, 17) ^ right(y, 19) ^ y >> 10);
    }
    for (size_t i = 0; i < ROUNDS_256; i++) {
        const uint32_t one = h + (right(e, 6) ^ right(e, 11) ^ right(e, 25)) + (g ^ (e & (f ^ g))) +
                             constants[i] + w[i];
        const uint32_t two =
            (right(a, 2) ^ right(a, 13) ^ right(a, 22)) + ((a & b) | (c & (a | b)));
        h = g, g = f, f = e, e = d + one;
        d = c, c = b, b = a, a = one + two;
    }
    state[0] += a, state[1] += b, state[2] += c, state[3] += d;
    state[4] += e, state[5] += f, state[6] += g, state[7] += h;
}

void zx_sha256_start(zx_sha *sha)
{
    *sha = (zx_sha){.state = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f,
                              0x9b05688c, 0x1f83d9ab, 0x5be0cd19},
                    .long_digest = true};
}

void zx_sha1_start(zx_sha *sha)
{
    *sha = (zx_sha){.state = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0}};
}

static void mix(zx_sha *sha, const uint8_t *block)
{
    if (sha->long_digest)
        mix_256(sha->state, block);
    else
        mix_1(sha->state, block);
}

void zx_sha_add(zx_sha *sha, const void *bytes, size_t count)
{
    const uint8_t *at = bytes;
    while (count > 0) {
        const size_t used = (size_t)(sha->bytes % ZX_SHA_BLOCK);
        const size_t room = ZX_SHA_BLOCK - used;
        const size_t taken = count < room ? count : room;
        if (taken == ZX_SHA_BLOCK) {
            mix(sha, at);
        } else {
            memcpy(sha->block + used, at, taken);
            if (taken == room) mix(sha, sha->block);
        }
        sha->bytes += taken;
        at += taken;
        count -= taken;
    }
}

void zx_sha_finish(zx_sha *sha, char digits[ZX_SHA_DIGITS + 1])
{
    static const char hexadecimal[] = "0123456789abcdef";
    static const uint8_t padding[ZX_SHA_BLOCK] = {0x80};
    const uint64_t bits = sha->bytes * 8;
    const size_t used = (size_t)(sha->bytes % ZX_SHA_BLOCK);
    uint8_t length[8];
    for (size_t i = 0; i < sizeof length; i++) length[i] = (uint8_t)(bits >> (56 - 8 * i));
    const size_t end = used < LENGTH_AT ? LENGTH_AT : LENGTH_AT + ZX_SHA_BLOCK;
    zx_sha_add(sha, padding, end - used);
    zx_sha_add(sha, length, sizeof length);
    const size_t count = sha->long_digest ? 64 : 40;
    for (size_t i = 0; i < count; i++)
        digits[i] = hexadecimal[sha->state[i / 8] >> (28 - 4 * (i % 8)) & 15];
    digits[count] = 0;
}
