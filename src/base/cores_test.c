/* cores_test.c - quotas of both kinds of control groups, in made-up folders. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cores.h"
#include "base/pool.h"
#include "base/test.h"

enum { PATH_BYTES = 512, MOST_FILES = 8 };

/* A tree under one scratch folder; files are named by their path in it. */
typedef struct tree {
    const char *root;
    char files[MOST_FILES][PATH_BYTES];
    size_t count;
} tree;

static bool put(tree *in, const char *path, const char *text)
{
    char *const whole = in->files[in->count++];
    (void)snprintf(whole, PATH_BYTES, "%s/%s", in->root, path);
    for (char *slash = strchr(whole + strlen(in->root), '/'); slash != NULL;
         slash = strchr(slash + 1, '/')) {
        *slash = 0;
        (void)mkdir(whole, 0777);
        *slash = '/';
    }
    FILE *const file = fopen(whole, "w");
    if (file == NULL) return false;
    (void)fputs(text, file);
    return fclose(file) == 0;
}

static void clear(tree *all)
{
    for (size_t i = 0; i < all->count; i++) {
        char *const path = all->files[i];
        (void)unlink(path);
        for (char *slash = strrchr(path, '/'); slash > path + strlen(all->root);
             slash = strrchr(path, '/')) {
            *slash = 0;
            (void)rmdir(path);
        }
    }
    all->count = 0;
}

typedef struct row {
    const char *subject;
    const char *files[6]; /* path, text, ... */
    const char *membership;
    size_t cores;
} row;

static const row rows[] = {
    {"none", {NULL}, "0::/\n", SIZE_MAX},
    {"no limit", {"cpu.max", "max 100000\n"}, "0::/\n", SIZE_MAX},
    {"two cores", {"cpu.max", "200000 100000\n"}, "0::/\n", 2},
    {"rounded up", {"cpu.max", "250000 100000\n"}, "0::/\n", 3},
    {"less than one", {"cpu.max", "1000 100000\n"}, "0::/\n", 1},
    {"own group", {"a/b/cpu.max", "300000 100000\n"}, "0::/a/b\n", 3},
    {"the group around",
     {"a/b/cpu.max", "max 100000\n", "a/cpu.max", "400000 100000\n"},
     "0::/a/b\n",
     4},
    {"the smallest",
     {"a/b/cpu.max", "500000 100000\n", "a/cpu.max", "200000 100000\n"},
     "0::/a/b\n",
     2},
    {"a path of the host", {"cpu.max", "600000 100000\n"}, "0::/not/here\n", 6},
    {"version 1",
     {"cpu/x/cpu.cfs_quota_us", "700000\n", "cpu/x/cpu.cfs_period_us", "100000\n"},
     "12:memory:/x\n4:cpu,cpuacct:/x\n1:name=systemd:/x\n",
     7},
    {"version 1, no limit",
     {"cpu/cpu.cfs_quota_us", "-1\n", "cpu/cpu.cfs_period_us", "100000\n"},
     "4:cpuacct,cpu:/\n",
     SIZE_MAX},
    {"cpuset is not cpu",
     {"cpu/cpu.cfs_quota_us", "100000\n", "cpu/cpu.cfs_period_us", "100000\n"},
     "4:cpuset:/\n",
     SIZE_MAX},
    {"nonsense", {"cpu.max", "many\n"}, "0::/\n:\nxyz\n::\n0:", SIZE_MAX},
    {"no period", {"cpu.max", "100000 0\n"}, "0::/", SIZE_MAX},
};

TEST(cores_of_control_groups)
{
    const char *const root = zx_test_scratch();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        tree all = {.root = root};
        CHECK(mkdir(root, 0777) == 0);
        bool made = true;
        for (size_t j = 0; j < 6 && rows[i].files[j] != NULL; j += 2)
            made &= put(&all, rows[i].files[j], rows[i].files[j + 1]);
        const size_t cores = zx_cgroup_cores(all.root, rows[i].membership);
        clear(&all);
        (void)rmdir(root);
        CHECK_ON(rows[i].subject, made && cores == rows[i].cores);
    }
}

TEST(cores_are_at_least_one_and_at_most_those_online)
{
    const size_t cores = zx_usable_cores();
    CHECK(cores >= 1);
    CHECK(cores <= (size_t)sysconf(_SC_NPROCESSORS_CONF));
}
