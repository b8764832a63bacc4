/* sha_test.c - the vectors of FIPS 180-4's examples, whole and in pieces. */
#include <string.h>

#include "base/test.h"
#include "hub/sha.h"

static const struct {
    const char *text;
    size_t times;
    const char *sha256, *sha1;
} vectors[] = {
    {"", 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
     "da39a3ee5e6b4b0d3255bfef95601890afd80709"},
    {"abc", 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
     "a9993e364706816aba3e25717850c26c9cd0d89d"},
    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
     "84983e441c3bd26ebaae4aa1f95129e5e54670f1"},
    {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
     10000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
     "34aa973cd4c4daa4f61eeb2bdbad27316534016f"},
};

static bool gives(size_t index, size_t piece, bool long_digest, const char *expected)
{
    zx_sha sha;
    char digits[ZX_SHA_DIGITS + 1];
    if (long_digest)
        zx_sha256_start(&sha);
    else
        zx_sha1_start(&sha);
    const size_t length = strlen(vectors[index].text);
    for (size_t t = 0; t < vectors[index].times; t++)
        for (size_t at = 0; at < length; at += piece)
            zx_sha_add(&sha, vectors[index].text + at, length - at < piece ? length - at : piece);
    zx_sha_finish(&sha, digits);
    return strcmp(digits, expected) == 0;
}

TEST(sha_vectors)
{
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        CHECK_ON(vectors[i].text, gives(i, SIZE_MAX, true, vectors[i].sha256));
        CHECK_ON(vectors[i].text, gives(i, SIZE_MAX, false, vectors[i].sha1));
        CHECK_ON(vectors[i].text, gives(i, 7, true, vectors[i].sha256));
        CHECK_ON(vectors[i].text, gives(i, 7, false, vectors[i].sha1));
    }
}

/* Lengths around the ends of blocks, against the same bytes in one piece. */
TEST(sha_in_pieces)
{
    static const char bytes[200] = {1, 2, 3};
    char whole[ZX_SHA_DIGITS + 1], parts[ZX_SHA_DIGITS + 1], before[ZX_SHA_DIGITS + 1] = "";
    for (size_t length = 50; length < 200; length++) {
        zx_sha sha;
        zx_sha256_start(&sha);
        zx_sha_add(&sha, bytes, length);
        zx_sha_finish(&sha, whole);
        zx_sha256_start(&sha);
        zx_sha_add(&sha, bytes, length / 3);
        zx_sha_add(&sha, bytes + length / 3, length - length / 3);
        zx_sha_finish(&sha, parts);
        CHECK(strcmp(whole, parts) == 0);
        CHECK(strcmp(whole, before) != 0);
        memcpy(before, whole, sizeof before);
    }
}
