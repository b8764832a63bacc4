/* normal_forms.h - Unicode's four normal forms, in linear time. */
#ifndef ZX_TEXT_NORMAL_FORMS_H
#define ZX_TEXT_NORMAL_FORMS_H

#include "text/work.h"

ZMLX_MUST_CHECK zmlx_status zx_normal_form(zx_normal *normal, bool compatible, bool compose);

#endif
