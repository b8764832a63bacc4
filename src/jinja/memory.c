/* memory.c - the memory of a rendering: small objects, text that grows, and what is counted.
 *
 * Small objects and short strings are cut from chunks, long strings get a block with room behind
 * them: a template that adds to one string in a loop then copies each part once.  Nothing is
 * freed before the rendering ends; max_memory bounds the sum. */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/text.h"
#include "jinja/run.h"

enum {
    CHUNK_BYTES = 32 * 1024,
    SMALL_OBJECT = 1024,
    LONG_STRING = 4096, /* gets a block of its own, twice as large */
    OBJECT_ALIGNMENT = 16,
    BYTES_PER_STEP = 64, /* copied; a byte that is looked at costs more time, hence more steps */
    SEARCHED_PER_STEP = 16,
    ASKED_PER_STEP = 4,
};

void zx_jrun_record(const zx_jrun *run, zmlx_status status, int line, const char *format, ...)
{
    char message[400], place[64] = "", construct[96] = "";
    va_list args;
    va_start(args, format);
    (void)vsnprintf(message, sizeof message, format, args);
    va_end(args);
    if (line > 0) (void)snprintf(place, sizeof place, "line %d: ", line);
    if (run->construct != NULL && status != ZMLX_ERROR_FORMAT)
        (void)snprintf(construct, sizeof construct, "%s '%.60s': ", run->construct,
                       run->construct_name);
    zx_record_failure("%s: %s%s%s", run->source, place, construct, message);
}

zmlx_status zx_jrun_pay(zx_jrun *run, size_t steps)
{
    if (!zx_add_fits(run->steps, steps, &run->steps) || run->steps > run->max_steps)
        return ZX_JFAIL(run, "the template takes more than %zu steps", run->max_steps);
    return ZMLX_OK;
}

zmlx_status zx_jrun_pay_bytes(zx_jrun *run, size_t bytes)
{
    return zx_jrun_pay(run, bytes / BYTES_PER_STEP + 1);
}

zmlx_status zx_jrun_pay_search(zx_jrun *run, size_t bytes)
{
    return zx_jrun_pay(run, bytes / SEARCHED_PER_STEP + 1);
}

zmlx_status zx_jrun_pay_points(zx_jrun *run, size_t bytes)
{
    return zx_jrun_pay(run, bytes / ASKED_PER_STEP + 1);
}

zmlx_status zx_jrun_enter(zx_jrun *run)
{
    if (++run->depth > ZX_J_MAX_DEPTH)
        return ZX_JFAIL(run, "nested more than %d levels deep", ZX_J_MAX_DEPTH);
    return zx_jrun_pay(run, 1);
}

static zmlx_status take(zx_jrun *run, size_t bytes, void **memory)
{
    if (bytes > run->max_memory - run->memory)
        return ZX_JFAIL_AT(run, ZMLX_ERROR_MEMORY, run->line,
                           "the template needs more than %zu MiB of memory", run->max_memory >> 20);
    run->memory += bytes;
    return zx_arena_alloc(&run->arena, bytes, memory);
}

zmlx_status zx_jalloc(zx_jrun *run, size_t count, size_t size, void **memory)
{
    size_t bytes = 0;
    if (!zx_multiply_fits(count, size, &bytes) || bytes > SIZE_MAX - OBJECT_ALIGNMENT)
        return ZX_JFAIL_AT(run, ZMLX_ERROR_MEMORY, run->line, "%zu items are too many", count);
    bytes = (bytes + OBJECT_ALIGNMENT) / OBJECT_ALIGNMENT * OBJECT_ALIGNMENT;
    if (bytes > SMALL_OBJECT) return take(run, bytes, memory);
    if (bytes > (size_t)(run->object_end - run->object_at)) {
        void *chunk = NULL;
        ZX_TRY(take(run, CHUNK_BYTES, &chunk));
        run->object_at = chunk;
        run->object_end = run->object_at + CHUNK_BYTES;
    }
    *memory = run->object_at;
    run->object_at += bytes;
    return ZMLX_OK;
}

/* Room for 'bytes' of text at *start, not yet taken: the caller moves tail->at. */
static zmlx_status find_room(zx_jrun *run, size_t bytes, zx_jtail **tail)
{
    if (bytes <= (size_t)(run->bytes.end - run->bytes.at)) {
        *tail = &run->bytes;
        return ZMLX_OK;
    }
    void *block = NULL;
    if (bytes < LONG_STRING) {
        ZX_TRY(take(run, CHUNK_BYTES, &block));
        *tail = &run->bytes;
        **tail = (zx_jtail){.at = block, .end = (char *)block + CHUNK_BYTES};
        return ZMLX_OK;
    }
    if (bytes > SIZE_MAX / 4)
        return ZX_JFAIL_AT(run, ZMLX_ERROR_MEMORY, run->line, "a string is too long");
    const size_t room = 2 * bytes <= run->max_memory - run->memory ? 2 * bytes : bytes;
    ZX_TRY(take(run, room, &block));
    *tail = &run->tails[run->oldest_tail];
    run->oldest_tail = (run->oldest_tail + 1) % ZX_J_TAILS;
    **tail = (zx_jtail){.at = block, .end = (char *)block + room};
    return ZMLX_OK;
}

/* The tail whose free room begins at 'end', if there are 'bytes' left in it. */
static zx_jtail *tail_at(zx_jrun *run, const char *end, size_t bytes)
{
    if (run->bytes.at == end && bytes <= (size_t)(run->bytes.end - end)) return &run->bytes;
    for (size_t i = 0; i < ZX_J_TAILS; i++) {
        zx_jtail *const tail = &run->tails[i];
        if (tail->at != NULL && tail->at == end && bytes <= (size_t)(tail->end - end)) return tail;
    }
    return NULL;
}

static zmlx_status make_string(zx_jrun *run, const char *bytes, size_t length, zx_jvalue *string)
{
    void *memory = NULL;
    ZX_TRY(zx_jalloc(run, 1, sizeof(zx_jstring), &memory));
    zx_jstring *const made = memory;
    *made = (zx_jstring){.bytes = bytes, .length = length};
    *string = (zx_jvalue){.kind = ZX_J_STRING, .as.string = made};
    return ZMLX_OK;
}

zmlx_status zx_jstring_borrow(zx_jrun *run, const char *bytes, size_t length, zx_jvalue *string)
{
    return make_string(run, bytes, length, string);
}

zmlx_status zx_jstring_copy(zx_jrun *run, const char *bytes, size_t length, zx_jvalue *string)
{
    zx_jbuilder builder = {0};
    ZX_TRY(zx_jbuilder_add(run, &builder, bytes, length));
    return zx_jbuilder_finish(run, &builder, string);
}

zmlx_status zx_jstring_mark(zx_jrun *run, const zx_jstring *text, bool markup, zx_jvalue *string)
{
    ZX_TRY(make_string(run, text->bytes, text->length, string));
    string->as.string->points = text->points;
    string->as.string->markup = markup;
    return ZMLX_OK;
}

zmlx_status zx_jstring_concat(zx_jrun *run, const zx_jstring *a, const zx_jstring *b,
                              zx_jvalue *string)
{
    size_t length = 0;
    if (!zx_add_fits(a->length, b->length, &length))
        return ZX_JFAIL_AT(run, ZMLX_ERROR_MEMORY, run->line, "a string is too long");
    zx_jtail *tail = tail_at(run, a->bytes + a->length, b->length);
    if (tail != NULL && a->length > 0) {
        ZX_TRY(zx_jrun_pay_bytes(run, b->length));
        if (b->length > 0) memcpy(tail->at, b->bytes, b->length);
        tail->at += b->length;
        return make_string(run, a->bytes, length, string);
    }
    ZX_TRY(zx_jrun_pay_bytes(run, length));
    ZX_TRY(find_room(run, length, &tail));
    char *const bytes = tail->at;
    if (a->length > 0) memcpy(bytes, a->bytes, a->length);
    if (b->length > 0) memcpy(bytes + a->length, b->bytes, b->length);
    tail->at += length;
    return make_string(run, bytes, length, string);
}

static zmlx_status make_room(zx_jrun *run, zx_jbuilder *builder, size_t count)
{
    size_t needed = 0;
    if (!zx_add_fits(builder->length, count, &needed) || needed > SIZE_MAX / 4)
        return ZX_JFAIL_AT(run, ZMLX_ERROR_MEMORY, run->line, "a string is too long");
    if (needed <= builder->capacity) return ZMLX_OK;
    if (builder->capacity > 0) {
        zx_jtail *const own =
            tail_at(run, builder->bytes + builder->capacity, needed - builder->capacity);
        if (own != NULL) {
            own->at = builder->bytes + needed;
            builder->capacity = needed;
            return ZMLX_OK;
        }
    }
    size_t wanted = 2 * builder->capacity > needed ? 2 * builder->capacity : needed;
    if (wanted < 64) wanted = 64;
    zx_jtail *tail = NULL;
    ZX_TRY(find_room(run, wanted, &tail));
    char *const bytes = tail->at;
    tail->at += wanted;
    if (builder->length > 0) memcpy(bytes, builder->bytes, builder->length);
    builder->bytes = bytes;
    builder->capacity = wanted;
    return ZMLX_OK;
}

zmlx_status zx_jbuilder_add(zx_jrun *run, zx_jbuilder *builder, const char *bytes, size_t count)
{
    if (count == 0) return ZMLX_OK;
    if (count >= BYTES_PER_STEP) ZX_TRY(zx_jrun_pay_bytes(run, count));
    if (count > builder->capacity - builder->length) ZX_TRY(make_room(run, builder, count));
    assert(builder->bytes != NULL);
    memcpy(builder->bytes + builder->length, bytes, count);
    builder->length += count;
    return ZMLX_OK;
}

zmlx_status zx_jbuilder_text(zx_jrun *run, zx_jbuilder *builder, const char *text)
{
    return zx_jbuilder_add(run, builder, text, strlen(text));
}

zmlx_status zx_jbuilder_string(zx_jrun *run, zx_jbuilder *builder, const zx_jstring *string)
{
    return zx_jbuilder_add(run, builder, string->bytes, string->length);
}

zmlx_status zx_jbuilder_point(zx_jrun *run, zx_jbuilder *builder, uint32_t point)
{
    char bytes[4];
    return zx_jbuilder_add(run, builder, bytes, zx_utf8_encode(point, bytes));
}

zmlx_status zx_jbuilder_repeat(zx_jrun *run, zx_jbuilder *builder, const zx_jstring *piece,
                               int64_t times)
{
    size_t bytes = 0;
    if (times <= 0 || piece->length == 0) return ZMLX_OK;
    if (!zx_multiply_fits((size_t)times, piece->length, &bytes) || bytes > run->max_memory)
        return ZX_JFAIL_AT(run, ZMLX_ERROR_MEMORY, run->line, "a string is too long");
    ZX_TRY(zx_jrun_pay_bytes(run, bytes));
    ZX_TRY(make_room(run, builder, bytes));
    for (int64_t i = 0; i < times; i++) {
        memcpy(builder->bytes + builder->length, piece->bytes, piece->length);
        builder->length += piece->length;
    }
    return ZMLX_OK;
}

zmlx_status zx_jbuilder_format(zx_jrun *run, zx_jbuilder *builder, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    const int length = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    assert(length >= 0 && (size_t)length < sizeof text);
    return zx_jbuilder_add(run, builder, text, (size_t)length);
}

zmlx_status zx_jbuilder_finish(zx_jrun *run, zx_jbuilder *builder, zx_jvalue *string)
{
    zx_jtail *const own =
        builder->capacity > 0 ? tail_at(run, builder->bytes + builder->capacity, 0) : NULL;
    if (own != NULL) own->at = builder->bytes + builder->length;
    const zmlx_status status =
        make_string(run, builder->length > 0 ? builder->bytes : "", builder->length, string);
    *builder = (zx_jbuilder){0};
    return status;
}

zmlx_status zx_jrun_write(zx_jrun *run, const char *bytes, size_t count)
{
    if (count > run->max_output || run->output->length > run->max_output - count)
        return ZX_JFAIL(run, "the text grows over %zu bytes", run->max_output);
    return zx_jbuilder_add(run, run->output, bytes, count);
}
