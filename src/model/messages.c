/* messages.c - new objects, in the order of members that transformers makes: a template may print a
 * message or walk over it.
 *
 * Clients name a model's reasoning in three ways and templates read two of them, so it stands under
 * both.  A member that is null (as OpenAI's clients send "content" beside calls of tools) would be
 * printed as "None" by templates that only ask whether it is there. */
#include "model/messages.h"

#include <stdbool.h>

#include "base/fail.h"

static zmlx_status no_memory(void)
{
    return ZX_FAIL(ZMLX_ERROR_MEMORY, "messages of a chat template");
}

/* The first of its names that has a value counts. */
static json_t *reasoning_of(const json_t *message)
{
    static const char *const names[] = {"reasoning_content", "thinking", "reasoning"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        json_t *value = json_object_get(message, names[i]);
        if (value != NULL && !json_is_null(value)) return value;
    }
    return NULL;
}

/* "thinking" comes first even where the message has it, and keeps its own value there. */
static bool fill(json_t *prepared, json_t *message)
{
    const char *name = NULL;
    json_t *value = NULL, *reasoning = reasoning_of(message);
    if (reasoning != NULL && json_object_set(prepared, "thinking", reasoning) != 0) return false;
    json_object_foreach(message, name, value)
    {
        if (!json_is_null(value) && json_object_set(prepared, name, value) != 0) return false;
    }
    return reasoning == NULL || json_object_set(prepared, "reasoning_content", reasoning) == 0;
}

static zmlx_status add(json_t *list, json_t *message, size_t index)
{
    if (!json_is_object(message))
        return ZX_FAIL(ZMLX_ERROR_FORMAT, "conversation: \"messages\"[%zu] is no object", index);
    json_t *prepared = json_object();
    const bool fits =
        prepared != NULL && fill(prepared, message) && json_array_append(list, prepared) == 0;
    json_decref(prepared);
    return fits ? ZMLX_OK : no_memory();
}

zmlx_status zx_messages_prepare(json_t *variables)
{
    const json_t *messages = json_object_get(variables, "messages");
    if (!json_is_array(messages))
        return ZX_FAIL(ZMLX_ERROR_FORMAT, "conversation: \"messages\" is missing or no array");
    if (json_array_size(messages) == 0)
        return ZX_FAIL(ZMLX_ERROR_FORMAT, "conversation: \"messages\" is empty");
    json_t *list = json_array();
    zmlx_status status = list != NULL ? ZMLX_OK : no_memory();
    for (size_t i = 0; status == ZMLX_OK && i < json_array_size(messages); i++)
        status = add(list, json_array_get(messages, i), i);
    if (status == ZMLX_OK && json_object_set(variables, "messages", list) != 0)
        status = no_memory();
    json_decref(list);
    return status;
}
