/* charsmap.h - SentencePiece's compiled normalization: a double array of replacements. */
#ifndef ZX_TEXT_CHARSMAP_H
#define ZX_TEXT_CHARSMAP_H

#include "base/arena.h"
#include "text/work.h"

typedef struct zx_charsmap zx_charsmap;

/* Reads the map from its bytes, which are copied into the arena. */
ZMLX_MUST_CHECK zmlx_status zx_charsmap_read(const char *source, const char *bytes, size_t count,
                                             zx_arena *arena, zx_charsmap **map);
/* The same from base64. */
ZMLX_MUST_CHECK zmlx_status zx_charsmap_read_base64(const char *source, zx_string_view text,
                                                    zx_arena *arena, zx_charsmap **map);

/* Normalizes as the 'tokenizers' library does: grapheme by grapheme, the shortest match. */
ZMLX_MUST_CHECK zmlx_status zx_charsmap_run(const zx_charsmap *map, zx_normal *normal);
/* The longest match at the start of the text, as SentencePiece looks them up: *used bytes become
 * the replacement; false where there is none. */
bool zx_charsmap_longest(const zx_charsmap *map, const char *bytes, size_t count, size_t *used,
                         zx_string_view *replacement);

/* Decodes base64 (with or without padding) into 'out', which has room for 3/4 of the text. */
ZMLX_MUST_CHECK zmlx_status zx_base64_decode(const char *source, const char *text, size_t length,
                                             char *out, size_t *count);

#endif
