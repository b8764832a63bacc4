/* regex.c - PCRE2 behind zx_regex.
 *
 * The text is checked once, at the door of the tokenizer, so PCRE2 is told not to.  A match may
 * take FREE_STEPS without being asked; more is paid from a budget that grows with the
 * text, so that a pattern that looks far ahead at every place ends in an error, not in hours. */
#include "text/regex.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/fail.h"
#include "base/memory.h"
#include "text/unicode.h"

enum {
    FREE_STEPS = 512,
    STEPS_PER_BYTE = 64,
    STEPS_AT_LEAST = 1 << 20,
    JIT_STACK_SMALL = 32 * 1024,
    JIT_STACK_LARGE = 16 * 1024 * 1024,
};

static void *take(size_t bytes, void *user)
{
    (void)user;
    void *memory;
    return zx_alloc(bytes, "regular expression", &memory) == ZMLX_OK ? memory : NULL;
}

static void give(void *memory, void *user)
{
    (void)user;
    zx_free(memory);
}

static zmlx_status compile_code(const char *source, zx_regex *regex, const char *pattern,
                                size_t length)
{
    zx_text text = {0};
    pcre2_general_context *general = NULL;
    pcre2_compile_context *context = NULL;
    zmlx_status status = zx_onig_translate(source, pattern, length, &text);
    if (status != ZMLX_OK) goto done;
    general = pcre2_general_context_create(take, give, NULL);
    context = general == NULL ? NULL : pcre2_compile_context_create(general);
    if (context == NULL) {
        status = ZX_FAIL(ZMLX_ERROR_MEMORY, "no memory for a regular expression");
        goto done;
    }
    pcre2_set_newline(context, PCRE2_NEWLINE_LF);
    int code;
    PCRE2_SIZE offset;
    regex->code = pcre2_compile((PCRE2_SPTR)(text.length == 0 ? "" : text.bytes), text.length,
                                PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NO_UTF_CHECK |
                                    PCRE2_NEVER_BACKSLASH_C,
                                &code, &offset, context);
    if (regex->code == NULL) {
        char message[128];
        pcre2_get_error_message(code, (PCRE2_UCHAR *)message, sizeof message);
        status = ZX_FAIL(ZMLX_ERROR_UNSUPPORTED, "%s: pattern \"%.*s\": %s", source,
                         (int)(length < 200 ? length : 200), pattern, message);
        goto done;
    }
    regex->jit = pcre2_jit_compile(regex->code, PCRE2_JIT_COMPLETE) == 0;
done:
    pcre2_compile_context_free(context);
    pcre2_general_context_free(general);
    zx_text_fini(&text);
    return status;
}

zmlx_status zx_regex_compile(const char *source, const char *pattern, size_t length, bool literal,
                             zx_regex **regex)
{
    void *memory;
    ZX_TRY(zx_alloc(sizeof(zx_regex), "regular expression", &memory));
    zx_regex *const fresh = memory;
    zmlx_status status = ZMLX_OK;
    if (literal && length > 0) {
        status = zx_alloc(length, "regular expression", &memory);
        if (status == ZMLX_OK) {
            fresh->literal = memcpy(memory, pattern, length);
            fresh->literal_length = length;
        }
    } else if ((fresh->scan = zx_scan_find(pattern, length)) == NULL) {
        status = compile_code(source, fresh, pattern, length);
    }
    if (status == ZMLX_OK)
        *regex = fresh;
    else
        zx_regex_free(fresh);
    return status;
}

void zx_regex_free(zx_regex *regex)
{
    if (regex == NULL) return;
    pcre2_code_free(regex->code);
    zx_free(regex->literal);
    zx_free(regex);
}

void zx_matcher_fini(zx_matcher *matcher)
{
    pcre2_match_data_free(matcher->data);
    pcre2_match_context_free(matcher->context);
    pcre2_jit_stack_free(matcher->stack);
    *matcher = (zx_matcher){0};
}

static zmlx_status prepare(zx_matcher *matcher)
{
    if (matcher->data != NULL) return ZMLX_OK;
    pcre2_general_context *const general = pcre2_general_context_create(take, give, NULL);
    if (general != NULL) {
        matcher->data = pcre2_match_data_create(1, general);
        matcher->context = pcre2_match_context_create(general);
        matcher->stack = pcre2_jit_stack_create(JIT_STACK_SMALL, JIT_STACK_LARGE, general);
        pcre2_general_context_free(general);
    }
    if (matcher->data == NULL || matcher->context == NULL) {
        zx_matcher_fini(matcher);
        return ZX_FAIL(ZMLX_ERROR_MEMORY, "no memory to match a regular expression");
    }
    if (matcher->stack != NULL) pcre2_jit_stack_assign(matcher->context, NULL, matcher->stack);
    pcre2_set_match_limit(matcher->context, FREE_STEPS);
    return ZMLX_OK;
}

static int match_once(const zx_matches *matches, bool jit)
{
    zx_matcher *const matcher = matches->matcher;
    const PCRE2_SPTR subject = (PCRE2_SPTR)matches->bytes;
    if (jit)
        return pcre2_jit_match(matches->regex->code, subject, matches->length, matches->at, 0,
                               matcher->data, matcher->context);
    return pcre2_match(matches->regex->code, subject, matches->length, matches->at,
                       PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, matcher->data, matcher->context);
}

/* Tries with few steps, then with eight times as many while the budget lasts. */
static int match_within_budget(const zx_matches *matches)
{
    zx_matcher *const matcher = matches->matcher;
    size_t limit = FREE_STEPS;
    bool jit = matches->regex->jit;
    int code = match_once(matches, jit);
    while (code == PCRE2_ERROR_MATCHLIMIT || code == PCRE2_ERROR_JIT_STACKLIMIT) {
        if (code == PCRE2_ERROR_JIT_STACKLIMIT) jit = false;
        limit *= 8;
        if (limit > matcher->budget || limit > UINT32_MAX) break;
        matcher->budget -= limit;
        pcre2_set_match_limit(matcher->context, (uint32_t)limit);
        code = match_once(matches, jit);
    }
    if (limit != FREE_STEPS) pcre2_set_match_limit(matcher->context, FREE_STEPS);
    return code;
}

void zx_matches_start(zx_matches *matches, const zx_regex *regex, zx_matcher *matcher,
                      const char *bytes, size_t length)
{
    *matches = (zx_matches){.regex = regex,
                            .matcher = matcher,
                            .bytes = length == 0 ? "" : bytes,
                            .length = length,
                            .last_end = SIZE_MAX};
    matcher->budget = STEPS_AT_LEAST + STEPS_PER_BYTE * length;
}

static bool next_literal(zx_matches *matches, size_t *start, size_t *end)
{
    const zx_regex *const regex = matches->regex;
    const char *const hit = memmem(matches->bytes + matches->at, matches->length - matches->at,
                                   regex->literal, regex->literal_length);
    if (hit == NULL) return false;
    *start = (size_t)(hit - matches->bytes);
    *end = matches->at = *start + regex->literal_length;
    return true;
}

zmlx_status zx_matches_next(zx_matches *matches, bool *found, size_t *start, size_t *end)
{
    *found = false;
    if (matches->length == 0) return ZMLX_OK; /* as the format's own search: not even "x*" */
    if (matches->regex->literal != NULL) {
        *found = next_literal(matches, start, end);
        return ZMLX_OK;
    }
    if (matches->regex->scan != NULL) {
        *found = matches->regex->scan(matches, start, end);
        return ZMLX_OK;
    }
    ZX_TRY(prepare(matches->matcher));
    while (matches->at <= matches->length) {
        const int code = match_within_budget(matches);
        if (code == PCRE2_ERROR_NOMATCH) return ZMLX_OK;
        if (code == PCRE2_ERROR_NOMEMORY)
            return ZX_FAIL(ZMLX_ERROR_MEMORY, "no memory to match a regular expression");
        if (code < 0)
            return ZX_FAIL(ZMLX_ERROR_ARGUMENT,
                           "the text makes the tokenizer's pattern take too many steps (%d)", code);
        const PCRE2_SIZE *const range = pcre2_get_ovector_pointer(matches->matcher->data);
        *start = range[0] < range[1] ? range[0] : range[1]; /* \K may put the start last */
        *end = range[1];
        if (*start != *end || *end != matches->last_end) {
            matches->at = matches->last_end = *end;
            *found = true;
            return ZMLX_OK;
        }
        uint32_t point;
        matches->at +=
            matches->at < matches->length ? zx_utf8_next(matches->bytes + matches->at, &point) : 1;
    }
    return ZMLX_OK;
}
