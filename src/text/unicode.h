/* unicode.h - what tokenizers ask about characters, and UTF-8 without checks.
 *
 * The classes are those of Rust's standard library and of the crates that the published
 * tokenizers were made with, which differ from C's and PCRE2's in small ways. */
#ifndef ZX_TEXT_UNICODE_H
#define ZX_TEXT_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

typedef bool zx_char_class(uint32_t point);

bool zx_is_space(uint32_t point);           /* White_Space */
bool zx_is_number(uint32_t point);          /* Nd, Nl, No */
bool zx_is_digit(uint32_t point);           /* Nd */
bool zx_is_punctuation(uint32_t point);     /* P*, and the ASCII symbols */
bool zx_is_mark(uint32_t point);            /* M* */
bool zx_is_nonspacing_mark(uint32_t point); /* Mn */
bool zx_is_other(uint32_t point);           /* Cc, Cf, Co */
bool zx_is_word(uint32_t point);            /* Alphabetic, M*, Nd, Pc, joiners */
bool zx_is_chinese(uint32_t point);         /* the CJK blocks that BERT separates */

/* Writes the lower-case form (1 or 2 code points) and returns how many. */
size_t zx_lower(uint32_t point, uint32_t lower[2]);

/* Reads one character of text known to be well-formed and not empty; returns its length. */
size_t zx_utf8_next(const char *bytes, uint32_t *point);
/* Where the character before 'at' begins; 'at' is more than 0 and on a boundary. */
size_t zx_utf8_before(const char *bytes, size_t at);

/* Appends bytes, with U+FFFD for each maximal part that is not UTF-8.  Unless 'final', bytes at the
 * end that may yet become a character are left; *taken says how many were used. */
ZMLX_MUST_CHECK zmlx_status zx_text_add_lossy(zx_text *text, const char *bytes, size_t count,
                                              bool final, size_t *taken);

/* Makes room for 'extra' more bytes and a NUL; the caller writes at bytes + length. */
ZMLX_MUST_CHECK zmlx_status zx_text_room(zx_text *text, size_t extra);

#endif
