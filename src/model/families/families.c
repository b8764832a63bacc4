/* families.c - the table of families. */
#include "model/families/families.h"

const zx_family *const zx_families[] = {
    &zx_family_llama,
    &zx_family_mistral,
    NULL,
};
