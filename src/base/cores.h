/* cores.h - how many cores a control group grants; apart from pool.h so that it can be tested
 * on made-up folders. */
#ifndef ZX_BASE_CORES_H
#define ZX_BASE_CORES_H

#include <stddef.h>

/* 'mount' is where the groups are mounted ("/sys/fs/cgroup"), 'membership' the text of
 * /proc/self/cgroup.  The smallest quota of the group and those around it, in whole cores
 * rounded up; SIZE_MAX where none is set. */
size_t zx_cgroup_cores(const char *mount, const char *membership);

#endif
