/* jinja_test.c - what a template may say and how it fails, in small cases with their variables. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/test.h"
#include "jinja/jinja.h"

enum { NOON = 1768478400 }; /* 2026-01-15 12:00:00 UTC */

typedef struct row {
    const char *text, *variables, *wanted;
} row;

typedef struct error_row {
    const char *text, *variables;
    zmlx_status status;
    const char *message; /* a part of it */
} error_row;

static zmlx_status render(const char *text, const char *variables, const zx_jinja_options *options,
                          zx_text *output)
{
    json_t *const json = json_loads(variables, 0, NULL);
    const zmlx_status status = zx_jinja_render(text, strlen(text), json, options, output);
    json_decref(json);
    return status;
}

static bool renders(const row *one)
{
    zx_text output = {0};
    const zx_jinja_options options = {.now = NOON};
    const bool same = render(one->text, one->variables, &options, &output) == ZMLX_OK &&
                      output.length == strlen(one->wanted) &&
                      (output.length == 0 || memcmp(output.bytes, one->wanted, output.length) == 0);
    if (!same)
        (void)printf("%s\n  gave: %s\n", one->text,
                     output.length > 0 ? output.bytes : zmlx_error_message());
    zx_text_fini(&output);
    return same;
}

static bool fails(const error_row *one)
{
    zx_text output = {0};
    const zmlx_status status = render(one->text, one->variables, NULL, &output);
    const bool same = status == one->status && strstr(zmlx_error_message(), one->message) != NULL;
    if (!same)
        (void)printf("%s\n  gave %d: %s\n", one->text, (int)status,
                     status == ZMLX_OK ? output.bytes : zmlx_error_message());
    zx_text_fini(&output);
    return same;
}

static const row rows[] = {
    /* operators: the order of jinja2's grammar, not of Python's */
    {"{{ -2 ** 2 }} {{ 2 ** 3 ** 2 }} {{ -3 | abs }}", "{}", "4 64 3"},
    {"{{ 'a' ~ 1 + 2 ~ 'b' }}", "{}", "a12b"},
    {"{{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 / 2 }} {{ 5.5 // -2 }}", "{}",
     "3 -4 2 3.5 -3.0"},
    {"{{ 1 < 2 < 3 }} {{ not 1 == 2 }} {{ 1 == true }} {{ 'a' not in 'b' }}", "{}",
     "True True True True"},
    {"{{ 'y' if a else 'n' }}{{ 'x' if a }}", "{\"a\": 0}", "n"},
    /* printing */
    {"{{ [1, 'a', none, true, 1.0, (2,), {'k': \"it's\"}] }}", "{}",
     "[1, 'a', None, True, 1.0, (2,), {'k': \"it's\"}]"},
    {"{{ 1e16 }} {{ 1e-5 }} {{ 0.1 + 0.2 }} {{ 5.684341886080802e-14 }} {{ 123456789.125 }}", "{}",
     "1e+16 1e-05 0.30000000000000004 5.684341886080802e-14 123456789.125"},
    {"{{ x }}{{ [x] }}", "{\"x\": \"\\u200b\\n'\"}", "\xe2\x80\x8b\n'[\"\\u200b\\n'\"]"},
    /* undefined values */
    {"[{{ x }}{{ x | length }}{{ x is defined }}{{ d.x }}{{ none.x }}]", "{\"d\": {}}", "[0False]"},
    {"{% for i in x %}a{% else %}b{% endfor %}", "{}", "b"},
    {"{{ d.items is callable }}{{ d['items'] }}", "{\"d\": {\"items\": 1}}", "True1"},
    /* whitespace */
    {"a\n  {% if true %}\n  b\n  {% endif %}\nc\n", "{}", "a\n  b\nc"},
    {"  {%+ if true %}x{% endif +%}\ny {#- c -#} z", "{}", "  x\nyz"},
    {"a\r\n{% raw %}{{ x }}{% endraw %}\r\nb\r\n", "{}", "a\n{{ x }}b"},
    /* scopes: a loop sees what the template sets later as unset, and keeps what it sets */
    {"{% for i in [1] %}[{{ x }}]{% endfor %}{% set x = 2 %}", "{\"x\": 1}", "[]"},
    {"{% set x = 0 %}{% for i in [1, 2] %}{{ x }}{% set x = i %}{% endfor %}{{ x }}", "{}", "000"},
    {"{% if false %}{% set x = 2 %}{% endif %}{{ x }}", "{\"x\": 1}", "1"},
    {"{% macro m() %}{{ y }}{% endmacro %}{% set y = 1 %}{{ m() }}{% set y = 2 %}{{ m() }}", "{}",
     "12"},
    {"{% set ns = namespace(n=0) %}{% for i in [1, 2] %}{% set ns.n = ns.n + i %}{% endfor %}"
     "{{ ns.n }}",
     "{}", "3"},
    {"{% set x %}a{{ 1 }}{% endset %}{% set a, b = 1, 2 %}{{ x }}{{ a }}{{ b }}", "{}", "a112"},
    /* loops */
    {"{% for a, b in d.items() if b > 1 %}{{ loop.index }}{{ a }}{{ loop.previtem }}{% endfor %}",
     "{\"d\": {\"x\": 1, \"y\": 2, \"z\": 3}}", "1y2z('y', 2)"},
    {"{% for i in [1, 2] %}{% continue %}{% else %}E{% endfor %}", "{}", "E"},
    {"{% for i in [1, [2, [3]]] recursive %}{{ loop.depth }}{% if i is number %}{{ i }}"
     "{% else %}({{ loop(i) }}){% endif %}{% endfor %}",
     "{}", "111(222(33))"},
    {"{% for i in [1, 1, 2] %}{{ loop.changed(i) }}{{ loop.cycle('a', 'b') }}{{ loop.revindex }}"
     "{% endfor %}",
     "{}", "Truea3Falseb2Truea1"},
    /* macros */
    {"{% macro m(a, b='d') %}{{ a }}{{ b }}{{ varargs }}{{ kwargs }}{% endmacro %}"
     "{{ m(1, 2, 3, k=4) }}{{ m() }}",
     "{}", "12(3,){'k': 4}d(){}"},
    {"{% macro m() %}<{{ caller(1) }}>{% endmacro %}{% call(x) m() %}{{ x }}{% endcall %}", "{}",
     "<1>"},
    {"{% generation %}{{ 1 }}{% endgeneration %}{% filter upper %}a{% endfilter %}", "{}", "1A"},
    {"{% block b %}{{ x }}{% endblock %}{{ self.b() }}", "{\"x\": 1}", "11"},
    {"{% with a = 1 %}{{ a }}{% endwith %}{{ a }}", "{}", "1"},
    /* lazy filters are generators: always true, without length, consumed once */
    {"{% set g = [1, 2] | map('string') %}{{ g | list }}{{ g | list }}{{ 1 if g }}", "{}",
     "['1', '2'][]1"},
    {"{{ us | selectattr('a') | map(attribute='b.c', default='-') | join(',') }}",
     "{\"us\": [{\"a\": 1, \"b\": {\"c\": 2}}, {\"a\": 0}, {\"a\": 1}]}", "2,-"},
    {"{% for k, g in us | groupby('a') %}{{ k }}{{ g | length }}{% endfor %}",
     "{\"us\": [{\"a\": \"x\"}, {\"a\": \"X\"}, {\"a\": \"b\"}]}", "b1x2"},
    /* text */
    {"{{ 'a-b'.split('-') }}{{ ' a  b '.split(none, 1) }}{{ 'stra\xc3\x9f\x65'.upper() }}", "{}",
     "['a', 'b']['a', 'b ']STRASSE"},
    {"{{ '%s=%05.1f' % ('a', 3.14159) }}{{ '{:>4}|{x!r}'.format('b', x='c') }}", "{}",
     "a=003.1   b|'c'"},
    {"{{ '\xc3\xa9\xf0\x9f\x98\x80x'[1] }}{{ '\xc3\xa9\xf0\x9f\x98\x80x'[::-1] }}", "{}",
     "\xf0\x9f\x98\x80x\xf0\x9f\x98\x80\xc3\xa9"},
    {"{{ x | tojson }}{{ x | tojson(indent=1) }}",
     "{\"x\": {\"a\": [1, 2.5], \"b\": \"<\\u00e9\"}}",
     "{\"a\": [1, 2.5], \"b\": \"<\xc3\xa9\"}{\n \"a\": [\n  1,\n  2.5\n ],\n \"b\": "
     "\"<\xc3\xa9\"\n}"},
    {"{{ strftime_now('%d %b %Y %H:%M %j %-d %a') }}", "{}", "15 Jan 2026 12:00 015 15 Thu"},
    {"{{ '<b>' | e }}{{ ('<b>' | safe) + '<' }}", "{}", "&lt;b&gt;<b>&lt;"},
};

TEST(jinja_renders)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        CHECK_ON(rows[i].text, renders(&rows[i]));
}

static const error_row error_rows[] = {
    {"a\n{{ 1 +", "{}", ZMLX_ERROR_FORMAT, "chat template: line 2: expected an expression"},
    {"\n\n{% if x %}", "{}", ZMLX_ERROR_FORMAT, "line 3: unexpected end of the template"},
    {"{% endfor %}", "{}", ZMLX_ERROR_FORMAT, "line 1: unknown tag 'endfor'"},
    {"\n{% nosuch %}", "{}", ZMLX_ERROR_UNSUPPORTED, "line 2: unknown tag 'nosuch'"},
    {"{{ x | nosuch }}", "{}", ZMLX_ERROR_UNSUPPORTED, "no filter named 'nosuch'"},
    {"{% if x is nosuch %}{% endif %}", "{}", ZMLX_ERROR_UNSUPPORTED, "no test named 'nosuch'"},
    {"{{ 'abc }}", "{}", ZMLX_ERROR_FORMAT, "a string is not closed"},
    {"{# x", "{}", ZMLX_ERROR_FORMAT, "missing end of comment"},
    {"{{ (1] }}", "{}", ZMLX_ERROR_FORMAT, "unexpected ']'"},
    {"{{ 1 2 }}\n{{ (1] }}", "{}", ZMLX_ERROR_FORMAT, "line 1: expected '}}', found an integer"},
    {"{{ (1\n {{ 2 }}", "{}", ZMLX_ERROR_FORMAT, "line 2: expected ')', found '{'"},
    {"{{ 1 }}\n{{ 'a }}", "{}", ZMLX_ERROR_FORMAT, "line 2: a string is not closed"},
    {"{% break %}", "{}", ZMLX_ERROR_FORMAT, "'break' stands outside a loop"},
    {"{% for i in x %}{% call m() %}{% continue %}{% endcall %}{% endfor %}", "{}",
     ZMLX_ERROR_FORMAT, "'continue' stands outside a loop"},
    {"{% for loop in x %}{% endfor %}", "{}", ZMLX_ERROR_FORMAT, "'loop' cannot be assigned"},
    {"{{ \"\\ud800\" }}", "{}", ZMLX_ERROR_FORMAT, "surrogate"},
    {"\xff", "{}", ZMLX_ERROR_FORMAT, "not UTF-8"},
    {"{{ 99999999999999999999 }}", "{}", ZMLX_ERROR_UNSUPPORTED, "does not fit in 64 bits"},
    {"{% include 'x' %}", "{}", ZMLX_ERROR_UNSUPPORTED, "cannot load another template"},
    {"\n{{ raise_exception('no ' ~ 1) }}", "{}", ZMLX_ERROR_ARGUMENT, "line 2: no 1"},
    {"{{ x.y }}", "{}", ZMLX_ERROR_ARGUMENT, "'x' is undefined"},
    {"{{ d.a.b }}", "{\"d\": {}}", ZMLX_ERROR_ARGUMENT, "'dict object' has no attribute 'a'"},
    {"{{ 'a' + 1 }}", "{}", ZMLX_ERROR_ARGUMENT, "can only concatenate str (not \"int\") to str"},
    {"{{ [1].append(2) }}", "{}", ZMLX_ERROR_ARGUMENT, "'append' of 'list' object is unsafe"},
    {"{{ 3 | length }}", "{}", ZMLX_ERROR_ARGUMENT, "filter 'length': object of type 'int'"},
    {"{{ 'a'.split('') }}", "{}", ZMLX_ERROR_ARGUMENT, "method 'split': empty separator"},
    {"{{ range(200000) }}", "{}", ZMLX_ERROR_ARGUMENT, "function 'range': range too big"},
    {"{% for i in none %}{% endfor %}", "{}", ZMLX_ERROR_ARGUMENT,
     "'NoneType' object is not iterable"},
    {"{{ 9223372036854775807 + 1 }}", "{}", ZMLX_ERROR_ARGUMENT, "does not fit in 64 bits"},
    {"{{ x | tojson }}", "{}", ZMLX_ERROR_ARGUMENT, "Object of type Undefined"},
    {"{{ range(3).index(7) }}", "{}", ZMLX_ERROR_ARGUMENT, "method 'index': the value is not in"},
    {"{% for x, in [[1]] %}{% endfor %}", "{}", ZMLX_ERROR_FORMAT, "expected 'in'"},
};

TEST(jinja_errors_name_line_and_construct)
{
    for (size_t i = 0; i < sizeof error_rows / sizeof *error_rows; i++)
        CHECK_ON(error_rows[i].text, fails(&error_rows[i]));
}

/* Templates that would run or grow without end, or nest too deep. */
static const error_row hostile_rows[] = {
    {"{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", "{}",
     ZMLX_ERROR_ARGUMENT, "more than 10000000 steps"},
    {"{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "{}", ZMLX_ERROR_ARGUMENT, "levels deep"},
    {"{% set ns = namespace(l=[]) %}{% for i in range(2000) %}{% set ns.l = [ns.l] %}{% endfor %}"
     "{{ ns.l }}",
     "{}", ZMLX_ERROR_ARGUMENT, "levels deep"},
    {"{{ 'aaaaaaaaaaaaaaaa' * 99999999999 }}", "{}", ZMLX_ERROR_MEMORY, "too long"},
    {"{% set ns = namespace(s='a') %}{% for i in range(40) %}{% set ns.s = ns.s ~ ns.s %}"
     "{% endfor %}",
     "{}", ZMLX_ERROR_MEMORY, "MiB of memory"},
    {"{{ '%999999999d' % 1 }}", "{}", ZMLX_ERROR_MEMORY, "too long"},
    {"{{ 2 ** 99999999 }}", "{}", ZMLX_ERROR_ARGUMENT, "does not fit in 64 bits"},
    /* long texts that are looked at again and again, and one that is nearly the same everywhere */
    {"{% set p = 'a' * 1000000 %}{% for i in range(99) %}{{ p.islower() }}{% endfor %}", "{}",
     ZMLX_ERROR_ARGUMENT, "method 'islower': the template takes more than 10000000 steps"},
    {"{% set p = ' ' * 1000000 %}{% for i in range(99) %}{{ p | int }}{% endfor %}", "{}",
     ZMLX_ERROR_ARGUMENT, "filter 'int': the template takes more than 10000000 steps"},
    {"{% set p = 'a' * 1000000 %}{% for i in range(250) %}{{ p.find('ab') }}{% endfor %}", "{}",
     ZMLX_ERROR_ARGUMENT, "method 'find': the template takes more than 10000000 steps"},
    {"{{ ('a' * 200000).rsplit('a' * 50000 ~ 'ba') }}", "{}", ZMLX_ERROR_ARGUMENT,
     "method 'rsplit': the template takes more than 10000000 steps"},
};

TEST(jinja_stops_hostile_templates)
{
    for (size_t i = 0; i < sizeof hostile_rows / sizeof *hostile_rows; i++)
        CHECK_ON(hostile_rows[i].text, fails(&hostile_rows[i]));
}

/* A template of 'count' times the same text, which must be refused but not crash. */
static bool refuses_repeated(const char *text, size_t count, const char *message)
{
    zx_text whole = {0}, output = {0};
    bool good = true;
    for (size_t i = 0; i < count && good; i++) good = zx_text_add_string(&whole, text) == ZMLX_OK;
    json_t *const none = json_object();
    good = good && zx_jinja_render(whole.bytes, whole.length, none, NULL, &output) != ZMLX_OK &&
           strstr(zmlx_error_message(), message) != NULL;
    if (!good) (void)printf("%s...: %s\n", text, zmlx_error_message());
    json_decref(none);
    zx_text_fini(&whole);
    zx_text_fini(&output);
    return good;
}

TEST(jinja_refuses_deep_nesting)
{
    CHECK(refuses_repeated("{{ (", 1, "expected an expression"));
    CHECK(refuses_repeated("{% if x %}", 5000, "nested more than"));
    CHECK(refuses_repeated("{{ '' if x else (", 1, "expected an expression"));
    zx_text open = {0}, output = {0};
    CHECK(zx_text_add_string(&open, "{{ ") == ZMLX_OK);
    for (int i = 0; i < 5000; i++) CHECK(zx_text_add_string(&open, "[") == ZMLX_OK);
    json_t *const none = json_object();
    CHECK(zx_jinja_render(open.bytes, open.length, none, NULL, &output) == ZMLX_ERROR_FORMAT);
    CHECK(strstr(zmlx_error_message(), "nested more than 200 levels deep") != NULL);
    zx_text_clear(&open);
    CHECK(zx_text_add_string(&open, "{{ 1") == ZMLX_OK);
    for (int i = 0; i < 5000; i++) CHECK(zx_text_add_string(&open, "+1") == ZMLX_OK);
    CHECK(zx_text_add_string(&open, " }}") == ZMLX_OK);
    CHECK(zx_jinja_render(open.bytes, open.length, none, NULL, &output) == ZMLX_ERROR_ARGUMENT);
    CHECK(strstr(zmlx_error_message(), "levels deep") != NULL);
    json_decref(none);
    zx_text_fini(&open);
    zx_text_fini(&output);
}

TEST(jinja_options_limit_and_name)
{
    zx_text output = {0};
    const zx_jinja_options few = {.max_steps = 50, .source = "tokenizer_config.json"};
    CHECK(render("{% for i in range(99) %}{{ i }}{% endfor %}", "{}", &few, &output) ==
          ZMLX_ERROR_ARGUMENT);
    CHECK(strstr(zmlx_error_message(), "tokenizer_config.json: line 1: ") != NULL);
    CHECK(strstr(zmlx_error_message(), "more than 50 steps") != NULL);
    const zx_jinja_options little = {.max_output = 10};
    CHECK(render("{{ 'abc' * 4 }}", "{}", &little, &output) == ZMLX_ERROR_ARGUMENT);
    CHECK(strstr(zmlx_error_message(), "over 10 bytes") != NULL);
    CHECK(render("{{ 'abc' * 2 }}{{ 'abcde' }}", "{}", &little, &output) == ZMLX_ERROR_ARGUMENT);
    CHECK(output.length == 0);
    CHECK(render("{{ 'abc' * 3 }}", "{}", &little, &output) == ZMLX_OK);
    CHECK(output.length == 9);
    CHECK(render("d", "{}", NULL, &output) == ZMLX_OK); /* it appends */
    CHECK(strcmp(output.bytes, "abcabcabcd") == 0);
    zx_text_fini(&output);
}

/* Wherever the steps run out, also among the tokens, the limit is what is said. */
TEST(jinja_runs_out_of_steps_anywhere)
{
    static const char text[] =
        "{% if a == (1 + (2)) %}{{ [b, {'c': d}] | join(', ') }}{% else %}{{ "
        "e.f(1, g=2)[::-1] }}{% endif %} text {# note #} {{ 'x' ~ h }}";
    zx_text output = {0};
    zx_jinja_options few = {.max_steps = 1};
    for (; few.max_steps < 2000; few.max_steps++) {
        if (render(text, "{\"a\": 3, \"b\": 1, \"d\": 2, \"h\": 4}", &few, &output) == ZMLX_OK)
            break;
        CHECK(strstr(zmlx_error_message(), " steps") != NULL);
    }
    CHECK(few.max_steps > 50 && few.max_steps < 2000);
    zx_text_fini(&output);
}

/* Memory that ends while tokens are read leaves no list of them without its end. */
TEST(jinja_refuses_more_tokens_than_memory_holds)
{
    zx_text text = {0}, output = {0};
    json_t *none = json_object();
    for (int i = 0; i < 12000; i++) {
        CHECK(zx_text_add_string(&text, "{{") == ZMLX_OK);
        for (int k = 0; k < 190; k++) CHECK(zx_text_add_string(&text, "(") == ZMLX_OK);
        CHECK(zx_text_add_string(&text, "1") == ZMLX_OK);
        for (int k = 0; k < 190; k++) CHECK(zx_text_add_string(&text, ")") == ZMLX_OK);
        CHECK(zx_text_add_string(&text, "}}") == ZMLX_OK);
    }
    CHECK(zx_jinja_render(text.bytes, text.length, none, NULL, &output) == ZMLX_ERROR_MEMORY);
    CHECK(strstr(zmlx_error_message(), "memory") != NULL);
    json_decref(none);
    zx_text_fini(&text);
    zx_text_fini(&output);
}

/* Copies a variable of the environment, and sets it to 'value' (NULL: takes it away). */
static bool exchange(const char *name, const char *value, char old[128])
{
    const char *const now = getenv(name);
    (void)snprintf(old, 128, "%s", now != NULL ? now : "");
    return (value != NULL && *value != '\0' ? setenv(name, value, 1) : unsetenv(name)) == 0;
}

/* The clock's time is local, as datetime.now() is; a given one is UTC wherever the test runs. */
TEST(jinja_tells_the_local_time)
{
    static const char text[] = "{{ strftime_now('%Y-%m-%d %H:%M') }}";
    zx_text output = {0};
    char wanted[2][32], zone[128], epoch[128], unused[128];
    CHECK(exchange("TZ", "TST-13:45", zone) && exchange("SOURCE_DATE_EPOCH", NULL, epoch));
    tzset();
    for (int i = 0; i < 2; i++) {
        const time_t now = time(NULL) + 13 * 3600 + 45 * 60;
        struct tm shifted;
        CHECK(gmtime_r(&now, &shifted) != NULL);
        CHECK(strftime(wanted[i], sizeof wanted[i], "%Y-%m-%d %H:%M", &shifted) > 0);
        if (i == 0) CHECK(render(text, "{}", NULL, &output) == ZMLX_OK);
    }
    CHECK(strcmp(output.bytes, wanted[0]) == 0 || strcmp(output.bytes, wanted[1]) == 0);
    zx_text_clear(&output);
    CHECK(exchange("SOURCE_DATE_EPOCH", "86400", unused));
    CHECK(render(text, "{}", NULL, &output) == ZMLX_OK);
    CHECK(strcmp(output.bytes, "1970-01-02 00:00") == 0);
    CHECK(exchange("TZ", zone, unused) && exchange("SOURCE_DATE_EPOCH", epoch, unused));
    tzset();
    zx_text_fini(&output);
}

TEST(jinja_wants_an_object_of_variables)
{
    zx_text output = {0};
    CHECK(render("a", "[1]", NULL, &output) == ZMLX_ERROR_ARGUMENT);
    CHECK(zx_jinja_render("a", 1, NULL, NULL, &output) == ZMLX_ERROR_ARGUMENT);
    zx_text_fini(&output);
}
