/* bytemap.h - the alphabet of byte-level tokenizers: a visible character for each byte.
 *
 * Printable Latin-1 stands for itself; the other 68 bytes are U+0100 and on, in order. */
#ifndef ZX_TEXT_BYTEMAP_H
#define ZX_TEXT_BYTEMAP_H

#include <stddef.h>
#include <stdint.h>

enum { ZX_BYTE_POINTS = 324 }; /* one more than the largest code point of the alphabet */

static inline uint32_t zx_byte_to_point(unsigned char byte)
{
    if (byte <= 0x20) return 256u + byte;
    if (byte < 0x7F) return byte;
    if (byte <= 0xA0) return 289u + (byte - 0x7Fu);
    return byte == 0xAD ? 323u : byte;
}

/* The byte that a character stands for, or -1. */
static inline int zx_point_to_byte(uint32_t point)
{
    if (point >= ZX_BYTE_POINTS) return -1;
    if (point == 323) return 0xAD;
    if (point >= 289) return (int)(point - 289 + 0x7F);
    if (point >= 256) return (int)(point - 256);
    return zx_byte_to_point((unsigned char)point) == point ? (int)point : -1;
}

/* Writes the character for a byte as UTF-8 (1 or 2 bytes); returns how many. */
static inline size_t zx_byte_write(unsigned char byte, char *out)
{
    const uint32_t point = zx_byte_to_point(byte);
    if (point < 0x80) {
        out[0] = (char)point;
        return 1;
    }
    out[0] = (char)(0xC0 | point >> 6);
    out[1] = (char)(0x80 | (point & 0x3F));
    return 2;
}

#endif
