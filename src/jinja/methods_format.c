/* methods_format.c - methods of strings that pad and format. */
#include "jinja/call.h"
#include "jinja/run.h"

static zmlx_status pad(zx_jrun *run, const zx_jstring *text, const int64_t widths[2],
                       const zx_jstring *fill, zx_jvalue *result)
{
    zx_jbuilder builder = {0};
    ZX_TRY(zx_jbuilder_repeat(run, &builder, fill, widths[0]));
    ZX_TRY(zx_jbuilder_string(run, &builder, text));
    ZX_TRY(zx_jbuilder_repeat(run, &builder, fill, widths[1]));
    return zx_jbuilder_finish(run, &builder, result);
}

/* The room that a width leaves, and what fills it. */
static zmlx_status padding(zx_jrun *run, const zx_jcall *call, int64_t *room, zx_jvalue *fill)
{
    zx_jstring *const text = call->self.as.string, *character = NULL;
    int64_t width = 0;
    ZX_TRY(zx_jarg_int(run, call->arg[0], "the width", &width));
    ZX_TRY(zx_jstring_borrow(run, " ", 1, fill));
    if (call->arg[1].kind != ZX_J_MISSING) *fill = call->arg[1];
    if (text->markup) ZX_TRY(zx_jvalue_escape(run, *fill, fill));
    ZX_TRY(zx_jarg_string(run, *fill, "the fill character", &character));
    if (zx_jstring_points(character) != 1)
        return ZX_JFAIL(run, "the fill character must be exactly one character long");
    *room = width - (int64_t)zx_jstring_points(text);
    if (width < 0 || *room < 0) *room = 0;
    return ZMLX_OK;
}

static zmlx_status do_center(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    zx_jvalue fill;
    int64_t room = 0;
    ZX_TRY(padding(run, call, &room, &fill));
    const int64_t width = room + (int64_t)zx_jstring_points(call->self.as.string);
    const int64_t left = room / 2 + (room & width & 1);
    return pad(run, call->self.as.string, (const int64_t[2]){left, room - left}, fill.as.string,
               result);
}

static zmlx_status do_ljust(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    zx_jvalue fill;
    int64_t room = 0;
    ZX_TRY(padding(run, call, &room, &fill));
    return pad(run, call->self.as.string, (const int64_t[2]){0, room}, fill.as.string, result);
}

static zmlx_status do_rjust(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    zx_jvalue fill;
    int64_t room = 0;
    ZX_TRY(padding(run, call, &room, &fill));
    return pad(run, call->self.as.string, (const int64_t[2]){room, 0}, fill.as.string, result);
}

static zmlx_status do_zfill(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    zx_jstring *const text = call->self.as.string;
    const zx_jstring zero = {.bytes = "0", .length = 1};
    zx_jbuilder builder = {0};
    int64_t width = 0;
    ZX_TRY(zx_jarg_int(run, call->arg[0], "the width", &width));
    const size_t sign = text->length > 0 && (text->bytes[0] == '-' || text->bytes[0] == '+');
    ZX_TRY(zx_jbuilder_add(run, &builder, text->bytes, sign));
    if (width > 0)
        ZX_TRY(zx_jbuilder_repeat(run, &builder, &zero, width - (int64_t)zx_jstring_points(text)));
    ZX_TRY(zx_jbuilder_add(run, &builder, text->bytes + sign, text->length - sign));
    return zx_jbuilder_finish(run, &builder, result);
}

static zmlx_status do_expandtabs(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    const zx_jstring *const text = call->self.as.string;
    const zx_jstring space = {.bytes = " ", .length = 1};
    zx_jbuilder builder = {0};
    int64_t size = 8, column = 0;
    ZX_TRY(zx_jarg_int_or(run, call->arg[0], "tabsize", 8, &size));
    ZX_TRY(zx_jrun_pay_search(run, text->length));
    for (size_t at = 0, bytes = 0; at < text->length; at += bytes) {
        const uint32_t point = zx_jstring_at(text, at, &bytes);
        if (point == '\t') {
            const int64_t spaces = size > 0 ? size - column % size : 0;
            ZX_TRY(zx_jbuilder_repeat(run, &builder, &space, spaces));
            column += spaces;
            continue;
        }
        ZX_TRY(zx_jbuilder_add(run, &builder, text->bytes + at, bytes));
        column = point == '\n' || point == '\r' ? 0 : column + 1;
    }
    return zx_jbuilder_finish(run, &builder, result);
}

static zmlx_status do_format(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    return zx_jformat_braces(run, call->self.as.string, call->all, result);
}

static zmlx_status do_format_map(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    zx_jargs args = {0};
    if (call->arg[0].kind != ZX_J_DICT && call->arg[0].kind != ZX_J_UNDEFINED)
        return ZX_JFAIL(run, "format_map() needs a mapping");
    if (call->arg[0].kind == ZX_J_DICT) {
        const zx_jdict *const map = call->arg[0].as.dict;
        void *named = NULL;
        ZX_TRY(zx_jalloc(run, map->count, sizeof(zx_jpair), &named));
        args.named = named;
        for (size_t i = 0; i < map->count; i++)
            if (map->pairs[i].key.kind == ZX_J_STRING)
                args.named[args.named_count++] = map->pairs[i];
    }
    return zx_jformat_braces(run, call->self.as.string, &args, result);
}

static zmlx_status do_encode(zx_jrun *run, const zx_jcall *call, zx_jvalue *result)
{
    (void)call;
    (void)result;
    return ZX_JFAIL_AT(run, ZMLX_ERROR_UNSUPPORTED, run->line, "bytes are not supported");
}

const zx_jbuiltin zx_jmethods_format[] = {
    {"center", "/width fillchar?", do_center},
    {"ljust", "/width fillchar?", do_ljust},
    {"rjust", "/width fillchar?", do_rjust},
    {"zfill", "/width", do_zfill},
    {"expandtabs", "tabsize?", do_expandtabs},
    {"format", "*", do_format},
    {"format_map", "/mapping", do_format_map},
    {"encode", "*", do_encode},
    {NULL, NULL, NULL},
};
