/* messages.h - a conversation's messages as a chat template sees them. */
#ifndef ZX_MODEL_MESSAGES_H
#define ZX_MODEL_MESSAGES_H

#include <jansson.h>

#include "zmlx/status.h"

/* Makes of the member "messages" of the object 'variables' what Hugging Face's transformers (5.23)
 * gives to a template: no message has a member that is null, and one with reasoning has it as
 * "reasoning_content" and "thinking", whichever of these or "reasoning" the caller used.  Fails
 * where there are no messages or one is no object. */
ZMLX_MUST_CHECK zmlx_status zx_messages_prepare(json_t *variables);

#endif
