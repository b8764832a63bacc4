/* families.h - one line per family. */
#ifndef ZX_MODEL_FAMILIES_FAMILIES_H
#define ZX_MODEL_FAMILIES_FAMILIES_H

#include "model/family.h"

extern const zx_family zx_family_llama;
extern const zx_family zx_family_mistral;

#endif
