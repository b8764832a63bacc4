#include "base/region.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/memory.h"

zmlx_status zx_region_map(size_t bytes, const char *what, void **memory)
{
    void *region = mmap(NULL, bytes > 0 ? bytes : 1, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (region == MAP_FAILED)
        return ZX_FAIL(ZMLX_ERROR_MEMORY, "%s: %zu bytes: %s", what, bytes, strerror(errno));
    zx_memory_taken(region, bytes, what);
    *memory = region;
    return ZMLX_OK;
}

void zx_region_unmap(void *memory, size_t bytes)
{
    if (memory == NULL) return;
    zx_memory_freed(memory);
    (void)munmap(memory, bytes > 0 ? bytes : 1);
}

/* The number in a file of the form "NUMBER" or after 'key', or SIZE_MAX. */
static size_t read_number(const char *path, const char *key)
{
    char line[256];
    size_t found = SIZE_MAX;
    FILE *file = fopen(path, "r");
    if (file == NULL) return SIZE_MAX;
    while (found == SIZE_MAX && fgets(line, sizeof line, file) != NULL) {
        const size_t length = strlen(key);
        char *end = NULL;
        if (strncmp(line, key, length) != 0) continue;
        const unsigned long long number = strtoull(line + length, &end, 10);
        if (end != line + length) found = (size_t)number;
    }
    (void)fclose(file);
    return found;
}

static size_t left_of(const char *limit_path, const char *used_path)
{
    const size_t limit = read_number(limit_path, "");
    const size_t used = read_number(used_path, "");
    if (limit == SIZE_MAX || used == SIZE_MAX) return SIZE_MAX;
    return limit > used ? limit - used : 0;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* What a limit on the address space (ulimit -v) leaves. */
static size_t left_of_address_space(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return SIZE_MAX;
    const size_t pages = read_number("/proc/self/statm", "");
    const long page_bytes = sysconf(_SC_PAGESIZE);
    if (pages == SIZE_MAX || page_bytes <= 0) return SIZE_MAX;
    const size_t used = pages * (size_t)page_bytes;
    return (size_t)limit.rlim_cur > used ? (size_t)limit.rlim_cur - used : 0;
}

size_t zx_memory_available(void)
{
    size_t available = read_number("/proc/meminfo", "MemAvailable:");
    if (available != SIZE_MAX) available *= 1024;
    const long pages = sysconf(_SC_PHYS_PAGES);
    const long page_bytes = sysconf(_SC_PAGESIZE);
    if (available == SIZE_MAX && pages > 0 && page_bytes > 0)
        available = (size_t)pages * (size_t)page_bytes;
    available = smaller(available, left_of_address_space());
    available =
        smaller(available, left_of("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"));
    return smaller(available, left_of("/sys/fs/cgroup/memory/memory.limit_in_bytes",
                                      "/sys/fs/cgroup/memory/memory.usage_in_bytes"));
}

size_t zx_memory_peak(void)
{
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) != 0) return 0;
#ifdef __APPLE__
    return (size_t)usage.ru_maxrss;
#else
    return (size_t)usage.ru_maxrss * 1024;
#endif
}
