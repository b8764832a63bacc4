/* render.c - the way in: variables from JSON, a template's text to its tree, the tree to text. */
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "jinja/eval.h"
#include "jinja/jinja.h"

enum {
    DEFAULT_STEPS = 10 * 1000 * 1000,
    DEFAULT_OUTPUT = 64 * 1024 * 1024,
    MEMORY_PER_OUTPUT = 3, /* text, what it is made of, and what is thrown away on the way */
};

/* --- variables --- */

static zmlx_status from_json(zx_jrun *run, const json_t *json, zx_jvalue *value);

static zmlx_status from_array(zx_jrun *run, const json_t *json, zx_jvalue *value)
{
    const size_t count = json_array_size(json);
    ZX_TRY(zx_jlist_make(run, ZX_J_LIST, count, value));
    for (size_t i = 0; i < count; i++) {
        zx_jvalue item;
        ZX_TRY(from_json(run, json_array_get(json, i), &item));
        ZX_TRY(zx_jlist_add(run, value->as.list, item));
    }
    return ZMLX_OK;
}

/* jansson iterates over what it takes for changeable, though reading changes nothing. */
static json_t *readable(const json_t *json)
{
    json_t *same = NULL;
    memcpy(&same, &json, sizeof(void *));
    return same;
}

static zmlx_status from_object(zx_jrun *run, const json_t *json, zx_jvalue *value)
{
    json_t *const object = readable(json);
    ZX_TRY(zx_jdict_make(run, ZX_J_DICT, value));
    for (void *at = json_object_iter(object); at != NULL; at = json_object_iter_next(object, at)) {
        zx_jvalue key, item;
        const char *const name = json_object_iter_key(at);
        ZX_TRY(zx_jstring_borrow(run, name, strlen(name), &key));
        ZX_TRY(from_json(run, json_object_iter_value(at), &item));
        ZX_TRY(zx_jdict_set(run, value->as.dict, key, item));
    }
    return ZMLX_OK;
}

static zmlx_status from_json(zx_jrun *run, const json_t *json, zx_jvalue *value)
{
    ZX_TRY(zx_jrun_enter(run));
    *value = zx_jnone();
    if (json_is_object(json)) ZX_TRY(from_object(run, json, value));
    if (json_is_array(json)) ZX_TRY(from_array(run, json, value));
    if (json_is_string(json))
        ZX_TRY(zx_jstring_borrow(run, json_string_value(json), json_string_length(json), value));
    if (json_is_integer(json)) *value = zx_jint(json_integer_value(json));
    if (json_is_real(json)) *value = zx_jfloat(json_real_value(json));
    if (json_is_boolean(json)) *value = zx_jbool(json_is_true(json));
    run->depth--;
    return ZMLX_OK;
}

/* --- rendering --- */

static int64_t time_of(const zx_jinja_options *options, bool *local)
{
    *local = false;
    if (options->now != 0) return options->now;
    const char *const epoch = getenv("SOURCE_DATE_EPOCH");
    if (epoch != NULL && *epoch != '\0') return strtoll(epoch, NULL, 10);
    *local = true;
    return (int64_t)time(NULL);
}

static zmlx_status run_template(zx_jrun *run, const char *text, size_t length)
{
    zx_jtokens tokens = {0};
    zx_jnode *template = NULL;
    zx_jframe *frame = NULL;
    zx_jsignal signal = ZX_J_GO_ON;
    const zmlx_status status = zx_jlex(run, text, length, &tokens);
    if (status != ZMLX_OK) return zx_jparse_broken(run, &tokens, status);
    ZX_TRY(zx_jparse(run, &tokens, &template));
    ZX_TRY(zx_jscope_resolve(run, template));
    if (template->has_blocks) {
        zx_jvalue exported;
        ZX_TRY(zx_jdict_make(run, ZX_J_DICT, &exported));
        run->exported = exported.as.dict;
    }
    ZX_TRY(zx_jframe_make(run, NULL, template->scope->frame_size, &frame));
    ZX_TRY(zx_jscope_enter(run, frame, template->scope));
    return zx_jexecute(run, frame, template->body, &signal);
}

static zmlx_status render(zx_jrun *run, const char *text, size_t length, const json_t *variables,
                          zx_text *output)
{
    zx_jvalue given;
    zx_jbuilder written = {0};
    if (!json_is_object(variables))
        return ZX_JFAIL_AT(run, ZMLX_ERROR_ARGUMENT, 0, "the variables are no object");
    ZX_TRY(from_json(run, variables, &given));
    run->variables = given.as.dict;
    run->output = &written;
    ZX_TRY(run_template(run, text, length));
    return zx_text_add(output, written.bytes, written.length);
}

zmlx_status zx_jinja_render(const char *template_text, size_t length, const json_t *variables,
                            const zx_jinja_options *options, zx_text *output)
{
    static const zx_jinja_options defaults = {0};
    if (options == NULL) options = &defaults;
    zx_jrun run = {
        .max_steps = options->max_steps > 0 ? options->max_steps : DEFAULT_STEPS,
        .max_output = options->max_output > 0 ? options->max_output : DEFAULT_OUTPUT,
        .source = options->source != NULL ? options->source : "chat template",
        .line = 1,
    };
    run.now = time_of(options, &run.local_time);
    const size_t scale = run.max_output > DEFAULT_OUTPUT ? run.max_output : DEFAULT_OUTPUT;
    run.max_memory = scale < SIZE_MAX / MEMORY_PER_OUTPUT ? scale * MEMORY_PER_OUTPUT : SIZE_MAX;
    run.seed = (uint64_t)(uintptr_t)&run ^ (uint64_t)run.now; /* no two runs collide alike */
    /* Numbers are printed and read by the C library, whose decimal point is the locale's. */
    const locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    const locale_t outer = plain != (locale_t)0 ? uselocale(plain) : (locale_t)0;
    const zmlx_status status = render(&run, template_text, length, variables, output);
    if (plain != (locale_t)0) {
        (void)uselocale(outer);
        freelocale(plain);
    }
    zx_arena_reset(&run.arena);
    return status;
}
