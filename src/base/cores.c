/* cores.c - affinity mask and control group quota.
 *
 * A container often has a quota far below the cores that it can see; threads past it are
 * stopped by the scheduler in the middle of a kernel, so the quota counts.  Nothing here can
 * fail: what cannot be read sets no limit. */
#include "base/cores.h"

#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/pool.h"

/* Reads the start of a small file, with a NUL; false where it cannot be read. */
static bool read_small(const char *path, char *text, size_t size)
{
    const int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return false;
    const ssize_t count = read(descriptor, text, size - 1);
    (void)close(descriptor);
    text[count > 0 ? count : 0] = 0;
    return count > 0;
}

/* "QUOTA PERIOD" in microseconds; "max" or a negative quota is none. */
static size_t cores_of(const char *quota_text, const char *period_text)
{
    char *end = NULL;
    const long long quota = strtoll(quota_text, &end, 10);
    if (end == quota_text || quota <= 0) return SIZE_MAX;
    const long long period = strtoll(period_text != NULL ? period_text : end, NULL, 10);
    if (period <= 0) return SIZE_MAX;
    return (size_t)(quota / period + (quota % period != 0));
}

static size_t quota_of_folder(const char *folder, bool unified)
{
    char path[PATH_MAX], quota[64], period[64];
    const char *const name = unified ? "cpu.max" : "cpu.cfs_quota_us";
    if (snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path) return SIZE_MAX;
    if (!read_small(path, quota, sizeof quota)) return SIZE_MAX;
    if (unified) return cores_of(quota, NULL);
    if (snprintf(path, sizeof path, "%s/cpu.cfs_period_us", folder) >= (int)sizeof path)
        return SIZE_MAX;
    if (!read_small(path, period, sizeof period)) return SIZE_MAX;
    return cores_of(quota, period);
}

/* The smallest quota from the group up to the mount itself.  In a container the path may be that
 * of the host and not exist here; then the mount, which is the container's own group, is what is
 * found. */
static size_t quota_of_branch(const char *mount, const char *group, size_t length, bool unified)
{
    char folder[PATH_MAX];
    const int written = snprintf(folder, sizeof folder, "%s%.*s", mount, (int)length, group);
    if (written < 0 || written >= (int)sizeof folder) return quota_of_folder(mount, unified);
    size_t least = SIZE_MAX;
    for (char *slash = folder + written; slash != NULL; slash = strrchr(folder, '/')) {
        *slash = 0;
        if (strlen(folder) < strlen(mount)) break;
        const size_t cores = quota_of_folder(folder, unified);
        if (cores < least) least = cores;
    }
    return least;
}

/* True where the comma-separated list holds the word "cpu". */
static bool names_cpu(const char *list, size_t length)
{
    for (size_t at = 0; at < length;) {
        size_t end = at;
        while (end < length && list[end] != ',') end++;
        if (end - at == 3 && memcmp(list + at, "cpu", 3) == 0) return true;
        at = end + 1;
    }
    return false;
}

size_t zx_cgroup_cores(const char *mount, const char *membership)
{
    /* Each line is "number:controllers:path"; no controllers means the unified hierarchy. */
    size_t least = SIZE_MAX;
    for (const char *line = membership; line != NULL && *line != 0;) {
        const char *const stop = line + strcspn(line, "\n");
        const char *const list = memchr(line, ':', (size_t)(stop - line));
        const char *const colon =
            list != NULL ? memchr(list + 1, ':', (size_t)(stop - list - 1)) : NULL;
        if (colon != NULL) {
            const size_t list_length = (size_t)(colon - list - 1);
            const size_t path_length = (size_t)(stop - colon - 1);
            char base[PATH_MAX];
            size_t cores = SIZE_MAX;
            if (list_length == 0)
                cores = quota_of_branch(mount, colon + 1, path_length, true);
            else if (names_cpu(list + 1, list_length) &&
                     snprintf(base, sizeof base, "%s/cpu", mount) < (int)sizeof base)
                cores = quota_of_branch(base, colon + 1, path_length, false);
            if (cores < least) least = cores;
        }
        line = *stop != 0 ? stop + 1 : stop;
    }
    return least;
}

static size_t affinity_cores(void)
{
#if defined(__linux__)
    union {
        cpu_set_t set;
        unsigned char bytes[8192 / CHAR_BIT]; /* more cores than cpu_set_t alone can name */
    } mask;
    memset(&mask, 0, sizeof mask);
    if (sched_getaffinity(0, sizeof mask, &mask.set) == 0) {
        const int count = CPU_COUNT_S(sizeof mask, &mask.set);
        if (count > 0) return (size_t)count;
    }
#endif
    const long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (size_t)online : 1;
}

size_t zx_usable_cores(void)
{
    char membership[4096];
    size_t cores = affinity_cores();
    if (read_small("/proc/self/cgroup", membership, sizeof membership)) {
        const size_t granted = zx_cgroup_cores("/sys/fs/cgroup", membership);
        if (granted < cores) cores = granted;
    }
    return cores > 0 ? cores : 1;
}
