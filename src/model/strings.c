#include "model/strings.h"

#include "base/memory.h"

void zx_string_give(zx_text *text, zmlx_string *string)
{
    *string = (zmlx_string){text->bytes, text->length};
    *text = (zx_text){0};
}

void zx_ids_give(zx_ids *ids, zmlx_ids *given)
{
    *given = (zmlx_ids){ids->items, ids->count};
    *ids = (zx_ids){0};
}

void zmlx_string_free(zmlx_string *string)
{
    if (string == NULL) return;
    zx_free(string->bytes);
    *string = (zmlx_string){0};
}

void zmlx_ids_free(zmlx_ids *ids)
{
    if (ids == NULL) return;
    zx_free(ids->items);
    *ids = (zmlx_ids){0};
}
