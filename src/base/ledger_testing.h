/* ledger_testing.h - what the library holds, tag by tag, for tests that look for leaks.
 *
 * A tag is the 'what' of a block ("session", "arena"), of a region, "mapped file" or "buffer";
 * "JSON" is what jansson takes.  pcre2 takes its memory as "regular expression"; SQLite and the C
 * library are not seen (valgrind sees them: 'make nightly'). */
#ifndef ZX_BASE_LEDGER_TESTING_H
#define ZX_BASE_LEDGER_TESTING_H

#include <stdbool.h>
#include <stddef.h>

enum { ZX_LEDGER_LINES = 512, ZX_LEDGER_TAG = 48 };

typedef struct zx_ledger_line {
    char what[ZX_LEDGER_TAG]; /* cut to fit */
    size_t taken;             /* blocks, since the start */
    size_t blocks, bytes;     /* that are held */
} zx_ledger_line;

typedef struct zx_ledger {
    zx_ledger_line lines[ZX_LEDGER_LINES]; /* in the order in which the tags came */
    size_t count;
    bool full; /* not everything is in it */
} zx_ledger;

/* From now on all that is taken is written down; what was taken before is not in it.  Nothing of
 * jansson's may be held at the start or the end. */
void zx_ledger_start(void);
void zx_ledger_stop(void);

void zx_ledger_read(zx_ledger *ledger);

/* The line of a tag; zeros where there is none. */
zx_ledger_line zx_ledger_find(const zx_ledger *ledger, const char *what);

/* The first tag of which other blocks are held than before, or other bytes, or, with 'taken', of
 * which any was taken since: a text with the numbers, valid until the next call.  NULL where there
 * is none. */
const char *zx_ledger_difference(const zx_ledger *before, const zx_ledger *after, bool taken);

#endif
