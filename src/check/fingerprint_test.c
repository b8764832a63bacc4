/* fingerprint_test.c - the same digests on every instruction set, and other ones where bits change.
 */
#include <string.h>

#include "base/cpu.h"
#include "base/test.h"
#include "check/run.h"
#include "zmlx/check.h"

TEST(fingerprints_of_all_instruction_sets_agree_where_they_must)
{
    static const char *const levels[] = {"baseline", "avx2", "avx512", "avx512vnni"};
    zmlx_fingerprint whole, less;
    if (zmlx_fingerprint_take(&whole) != ZMLX_OK) return;
    CHECK(whole.count > 8 && whole.probes >= 30);
    for (size_t level = 0; level < sizeof levels / sizeof *levels; level++) {
        uint32_t allowed = 0;
        CHECK(zx_cpu_level(levels[level], &allowed));
        zx_cpu_limit(allowed);
        const zmlx_status status = zmlx_fingerprint_take(&less);
        zx_cpu_limit(UINT32_MAX);
        if (status != ZMLX_OK) return;
        CHECK(less.count == whole.count);
        for (size_t i = 0; i < whole.count; i++)
            CHECK_ON(whole.classes[i].name, whole.classes[i].may_differ ||
                                                whole.classes[i].digest == less.classes[i].digest);
    }
}

TEST(fingerprint_classes_have_digests_of_their_own)
{
    zmlx_fingerprint print;
    char text[ZMLX_FINGERPRINT_TEXT];
    if (zmlx_fingerprint_take(&print) != ZMLX_OK) return;
    zmlx_fingerprint_print(&print, text);
    CHECK(strlen(text) < sizeof text - 40);
    for (size_t i = 0; i < print.count; i++) {
        CHECK_ON(print.classes[i].name, strstr(text, print.classes[i].name) != NULL);
        for (size_t j = 0; j < i; j++)
            CHECK_ON(print.classes[i].name,
                     print.classes[i].digest != print.classes[j].digest &&
                         strcmp(print.classes[i].name, print.classes[j].name) != 0);
    }
}

/* One bit of one value changes the digest, and so does the sign of a zero; what NaN it is does not.
 */
TEST(digests_see_every_bit)
{
    const zx_case_shape shape = zx_case_shape_of(ZX_OP_ADD, 3);
    zx_case made;
    zx_results results;
    uint64_t digests[5] = {0};
    const uint32_t bits[5] = {0x3f800000u, 0x3f800001u, 0, 0x80000000u, 0x7fc00000u};
    uint64_t other_nan = 0;
    zmlx_status status = zx_case_open(&shape, &made);
    if (status == ZMLX_OK) status = zx_results_open(&made, (zx_placement){0, 0}, 0, &results);
    if (status == ZMLX_OK) results.outputs[0].dtype = ZX_F32;
    if (status == ZMLX_OK) results.outputs[0].columns = 1;
    for (size_t i = 0; i < 5 && status == ZMLX_OK; i++) {
        zx_store(ZX_F32, results.outputs[0].data, 0, zx_float_from_bits(bits[i]));
        status = zx_results_digest(&made, &results, &digests[i]);
    }
    if (status == ZMLX_OK)
        zx_store(ZX_F32, results.outputs[0].data, 0, zx_float_from_bits(0xffc12345u));
    if (status == ZMLX_OK) status = zx_results_digest(&made, &results, &other_nan);
    zx_case_close(&made);
    if (status != ZMLX_OK) return;
    for (size_t i = 0; i < 5; i++)
        for (size_t j = 0; j < i; j++) CHECK(digests[i] != digests[j]);
    CHECK(other_nan == digests[4]);
}
