/* strftime.c - the time of the rendering in words, as the C library's strftime does it in the C
 * locale, with the GNU flags (- _ 0 ^ #): the local time of the clock, as Python's
 * datetime.now() is, but UTC where the caller or SOURCE_DATE_EPOCH gives the time. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "jinja/call.h"
#include "jinja/run.h"

static const char *const days[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                   "Thursday", "Friday", "Saturday"};
static const char *const months[] = {"January",   "February", "March",    "April",
                                     "May",       "June",     "July",     "August",
                                     "September", "October",  "November", "December"};

typedef struct number_row {
    char letter;
    int (*get)(const struct tm *time);
    int width;
    char pad;
} number_row;

/* ISO 8601: the week and its year, which begins with the week that holds January 4. */
static int iso_week_of(const struct tm *time, int *year)
{
    const int weekday = (time->tm_wday + 6) % 7;
    int week = (time->tm_yday - weekday + 10) / 7;
    *year = time->tm_year + 1900;
    const int before = *year - 1;
    if (week < 1) {
        /* the last week of the year before: 53 where that year began (or, leap, ended) late */
        const int leap = (before % 4 == 0 && before % 100 != 0) || before % 400 == 0;
        const int yday = time->tm_yday + 365 + leap;
        week = (yday - weekday + 10) / 7;
        *year = before;
    } else if (week == 53) {
        const int leap = (*year % 4 == 0 && *year % 100 != 0) || *year % 400 == 0;
        if (time->tm_yday - weekday + 3 >= 365 + leap) {
            week = 1;
            ++*year;
        }
    }
    return week;
}

static int get_day(const struct tm *time)
{
    return time->tm_mday;
}

static int get_month(const struct tm *time)
{
    return time->tm_mon + 1;
}

static int get_year(const struct tm *time)
{
    return time->tm_year + 1900;
}

static int get_short_year(const struct tm *time)
{
    return time->tm_year % 100;
}

static int get_century(const struct tm *time)
{
    return (time->tm_year + 1900) / 100;
}

static int get_hour(const struct tm *time)
{
    return time->tm_hour;
}

static int get_hour12(const struct tm *time)
{
    return (time->tm_hour + 11) % 12 + 1;
}

static int get_minute(const struct tm *time)
{
    return time->tm_min;
}

static int get_second(const struct tm *time)
{
    return time->tm_sec;
}

static int get_year_day(const struct tm *time)
{
    return time->tm_yday + 1;
}

static int get_weekday(const struct tm *time)
{
    return time->tm_wday;
}

static int get_iso_weekday(const struct tm *time)
{
    return time->tm_wday == 0 ? 7 : time->tm_wday;
}

static int get_sunday_week(const struct tm *time)
{
    return (time->tm_yday + 7 - time->tm_wday) / 7;
}

static int get_monday_week(const struct tm *time)
{
    return (time->tm_yday + 7 - (time->tm_wday + 6) % 7) / 7;
}

static int get_iso_week(const struct tm *time)
{
    int year = 0;
    return iso_week_of(time, &year);
}

static int get_iso_year(const struct tm *time)
{
    int year = 0;
    (void)iso_week_of(time, &year);
    return year;
}

static int get_short_iso_year(const struct tm *time)
{
    return get_iso_year(time) % 100;
}

static int get_zero(const struct tm *time)
{
    (void)time;
    return 0;
}

static const number_row numbers[] = {
    {'d', get_day, 2, '0'},         {'e', get_day, 2, ' '},
    {'m', get_month, 2, '0'},       {'Y', get_year, 1, '0'},
    {'y', get_short_year, 2, '0'},  {'C', get_century, 2, '0'},
    {'H', get_hour, 2, '0'},        {'I', get_hour12, 2, '0'},
    {'k', get_hour, 2, ' '},        {'l', get_hour12, 2, ' '},
    {'M', get_minute, 2, '0'},      {'S', get_second, 2, '0'},
    {'j', get_year_day, 3, '0'},    {'w', get_weekday, 1, '0'},
    {'u', get_iso_weekday, 1, '0'}, {'U', get_sunday_week, 2, '0'},
    {'W', get_monday_week, 2, '0'}, {'V', get_iso_week, 2, '0'},
    {'G', get_iso_year, 1, '0'},    {'g', get_short_iso_year, 2, '0'},
    {'f', get_zero, 6, '0'}, /* microseconds */
};

/* Directives that stand for others. */
static const struct {
    char letter;
    const char *format;
} composites[] = {
    {'D', "%m/%d/%y"}, {'F', "%Y-%m-%d"},    {'T', "%H:%M:%S"},
    {'R', "%H:%M"},    {'r', "%I:%M:%S %p"}, {'c', "%a %b %e %H:%M:%S %Y"},
    {'x', "%m/%d/%y"}, {'X', "%H:%M:%S"},
};

/* A directive with a text; NULL where it is none. */
static const char *find_text(char letter, const struct tm *time, int *length)
{
    const char *text = NULL;
    *length = -1;
    if (letter == 'A' || letter == 'a') text = days[time->tm_wday];
    if (letter == 'B' || letter == 'b' || letter == 'h') text = months[time->tm_mon];
    if (letter == 'a' || letter == 'b' || letter == 'h') *length = 3;
    if (letter == 'p') text = time->tm_hour < 12 ? "AM" : "PM";
    if (letter == 'P') text = time->tm_hour < 12 ? "am" : "pm";
    if (letter == 'n') text = "\n";
    if (letter == 't') text = "\t";
    if (letter == '%') text = "%";
    if (letter == 'z' || letter == 'Z') text = ""; /* a naive time has no zone */
    if (text != NULL && *length < 0) *length = (int)strlen(text);
    return text;
}

typedef struct directive {
    char letter, pad;
    bool upper, swap;
    int width;
} directive;

static zmlx_status add_text(zx_jrun *run, zx_jbuilder *builder, const directive *one,
                            const char *text, int length)
{
    const zx_jstring pad = {.bytes = one->pad == '0' ? "0" : " ", .length = 1};
    ZX_TRY(zx_jbuilder_repeat(run, builder, &pad, one->width - length));
    for (int i = 0; i < length; i++) {
        char c = text[i];
        if (one->upper || (one->swap && one->letter != 'p')) c = (char)toupper((unsigned char)c);
        if (one->swap && one->letter == 'p') c = (char)tolower((unsigned char)c);
        ZX_TRY(zx_jbuilder_add(run, builder, &c, 1));
    }
    return ZMLX_OK;
}

static zmlx_status add_number(zx_jrun *run, zx_jbuilder *builder, const directive *one,
                              const number_row *row, const struct tm *time)
{
    const char pad = one->pad != 0 ? one->pad : row->pad;
    const zx_jstring padding = {.bytes = pad == '_' || pad == ' ' ? " " : "0", .length = 1};
    char digits[16];
    const int length = snprintf(digits, sizeof digits, "%d", row->get(time));
    const int width = one->width > 0 ? one->width : row->width;
    if (pad != '-') ZX_TRY(zx_jbuilder_repeat(run, builder, &padding, width - length));
    return zx_jbuilder_add(run, builder, digits, (size_t)length);
}

static zmlx_status add_format(zx_jrun *run, zx_jbuilder *builder, const zx_jstring *format,
                              const struct tm *time);

static zmlx_status add_directive(zx_jrun *run, zx_jbuilder *builder, const directive *one,
                                 const struct tm *time)
{
    int length = 0;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (numbers[i].letter == one->letter)
            return add_number(run, builder, one, &numbers[i], time);
    for (size_t i = 0; i < sizeof composites / sizeof *composites; i++) {
        if (composites[i].letter != one->letter) continue;
        const zx_jstring inner = {.bytes = composites[i].format,
                                  .length = strlen(composites[i].format)};
        return add_format(run, builder, &inner, time);
    }
    if (one->letter == 's') return zx_jbuilder_format(run, builder, "%lld", (long long)run->now);
    const char *const text = find_text(one->letter, time, &length);
    if (text != NULL) return add_text(run, builder, one, text, length);
    return ZX_JFAIL(run, "strftime: unknown directive %%%c", one->letter);
}

static zmlx_status add_format(zx_jrun *run, zx_jbuilder *builder, const zx_jstring *format,
                              const struct tm *time)
{
    for (size_t at = 0; at < format->length;) {
        const char *const start = format->bytes + at;
        const char *const found = memchr(start, '%', format->length - at);
        const size_t plain = found != NULL ? (size_t)(found - start) : format->length - at;
        directive one = {0};
        ZX_TRY(zx_jbuilder_add(run, builder, start, plain));
        at += plain + 1;
        if (found == NULL) break;
        for (; at < format->length && strchr("-_0^#", format->bytes[at]) != NULL; at++) {
            const char flag = format->bytes[at];
            if (flag == '^') one.upper = true;
            if (flag == '#') one.swap = true;
            if (flag == '-' || flag == '_' || flag == '0') one.pad = flag;
        }
        for (; at < format->length && isdigit((unsigned char)format->bytes[at]); at++)
            if (one.width < 1000) one.width = one.width * 10 + (format->bytes[at] - '0');
        if (at < format->length && strchr("EO", format->bytes[at]) != NULL) at++;
        if (at == format->length) return zx_jbuilder_text(run, builder, "%");
        one.letter = format->bytes[at++];
        ZX_TRY(zx_jrun_pay(run, 1));
        ZX_TRY(add_directive(run, builder, &one, time));
    }
    return ZMLX_OK;
}

zmlx_status zx_jstrftime(zx_jrun *run, const zx_jstring *format, zx_jvalue *string)
{
    const time_t now = (time_t)run->now;
    struct tm time;
    zx_jbuilder builder = {0};
    if ((run->local_time ? localtime_r(&now, &time) : gmtime_r(&now, &time)) == NULL)
        return ZX_JFAIL(run, "the time has no date");
    ZX_TRY(add_format(run, &builder, format, &time));
    return zx_jbuilder_finish(run, &builder, string);
}
