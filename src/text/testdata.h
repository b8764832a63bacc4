/* testdata.h - data for the tests of this folder: our own in tests/data, published files outside.
 */
#ifndef ZX_TEXT_TESTDATA_H
#define ZX_TEXT_TESTDATA_H

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"

/* The path of a file or folder of tests/data, or else of the shared data; NULL where it is missing.
 */
const char *zx_testdata_path(const char *name);

/* Reads such a file, unpacked where it ends in ".xz"; false where it cannot. */
bool zx_testdata_read(const char *name, zx_text *bytes);

/* Calls 'see' with every line of a text that is not empty; stops at the first false. */
bool zx_testdata_lines(const zx_text *text,
                       bool (*see)(const char *line, size_t length, void *user), void *user);

/* One expectation: a JSON object with some of these fields. */
typedef struct zx_expectation {
    zx_text text, text_file, decoded, decoded_skip_special, decoded_no_special;
    bool has_decoded, has_decoded_skip_special, has_decoded_no_special, has_ids;
    int ids[16384], ids_no_special[16384];
    size_t id_count, id_count_no_special;
} zx_expectation;

void zx_expectation_fini(zx_expectation *expected);

struct zx_json;
/* Reads the object whose first event comes next. */
bool zx_expectation_read(void *json, zx_expectation *expected);

#endif
