/* unicode.h - what Python's str methods ask about code points, and its case mappings. */
#ifndef ZX_JINJA_UNICODE_H
#define ZX_JINJA_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ZX_UNICODE_MAX_MAPPED = 3 }; /* code points that one becomes */

bool zx_unicode_is_space(uint32_t point);
bool zx_unicode_is_printable(uint32_t point);
bool zx_unicode_is_alpha(uint32_t point);
bool zx_unicode_is_decimal(uint32_t point);
int zx_unicode_decimal(uint32_t point); /* the value of a decimal digit: 0 to 9 */
bool zx_unicode_is_digit(uint32_t point);
bool zx_unicode_is_numeric(uint32_t point);
bool zx_unicode_is_word(uint32_t point);             /* \w of Python's re */
bool zx_unicode_is_name(uint32_t point, bool first); /* of an identifier */
bool zx_unicode_is_lower(uint32_t point);
bool zx_unicode_is_upper(uint32_t point);
bool zx_unicode_is_title(uint32_t point);
bool zx_unicode_is_line_end(uint32_t point); /* str.splitlines */
/* Skipped when looking for what stands beside a final sigma. */
bool zx_unicode_is_case_ignorable(uint32_t point);

/* The full mappings; each returns how many code points it wrote. */
size_t zx_unicode_lower(uint32_t point, uint32_t mapped[ZX_UNICODE_MAX_MAPPED]);
size_t zx_unicode_upper(uint32_t point, uint32_t mapped[ZX_UNICODE_MAX_MAPPED]);
size_t zx_unicode_title(uint32_t point, uint32_t mapped[ZX_UNICODE_MAX_MAPPED]);
size_t zx_unicode_fold(uint32_t point, uint32_t mapped[ZX_UNICODE_MAX_MAPPED]);

#endif
