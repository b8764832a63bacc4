/* parts.c - what two parts' names have in common is all but five digits. */
#include "hub/parts.h"

#include <string.h>

enum { DIGITS = 5, TAIL = sizeof "-of-00001.gguf" - 1 };

/* Where the number of a part stands; NULL where the name is no part's. */
static const char *number_of(const char *name)
{
    static const char pattern[] = "-#####-of-#####.gguf";
    const size_t length = strlen(name), tail = sizeof pattern - 1;
    if (length <= tail) return NULL;
    const char *const end = name + length - tail;
    for (size_t i = 0; i < tail; i++)
        if (pattern[i] == '#' ? end[i] < '0' || end[i] > '9' : end[i] != pattern[i]) return NULL;
    return end + 1;
}

bool zx_parts_is_later(const char *name)
{
    const char *const number = number_of(name);
    return number != NULL && memcmp(number, "00001", DIGITS) != 0;
}

bool zx_parts_same_model(const char *one, const char *other)
{
    const char *const a = number_of(one), *const b = number_of(other);
    if (a == NULL || b == NULL || a - one != b - other) return strcmp(one, other) == 0;
    return memcmp(one, other, (size_t)(a - one)) == 0 && memcmp(a + DIGITS, b + DIGITS, TAIL) == 0;
}
