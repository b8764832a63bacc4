/* detect.c - which backends can run kernels on this machine, and why the others cannot. */
#include <stdio.h>
#include <string.h>

#include "backend/backend.h"
#include "kernels/kernels.h"
#include "zmlx/kernels.h"

static const zx_backend *built_backend(const char *name)
{
    for (size_t i = 0; zx_backends[i] != NULL; i++)
        if (strcmp(zx_backends[i]->name, name) == 0) return zx_backends[i];
    return NULL;
}

static void describe(zx_backend_id id, zmlx_backend_info *info)
{
    const zx_backend *backend = built_backend(zx_backend_names[id]);
    *info = (zmlx_backend_info){.name = zx_backend_names[id]};
    for (size_t i = 0; i < zx_kernel_count; i++)
        info->kernels += zx_kernels[i].backend == id && zx_kernel_usable(&zx_kernels[i]);
    if (backend != NULL) info->devices = backend->device_count();
    info->usable = info->devices > 0 && info->kernels > 0;
    const char *detail = backend == NULL        ? "not in this build"
                         : info->devices == 0   ? "no device found"
                         : info->kernels == 0   ? "no kernel of this build runs on it"
                         : id == ZX_BACKEND_CPU ? zx_cpu_text()
                                                : "";
    (void)snprintf(info->detail, sizeof info->detail, "%s", detail);
}

void zmlx_detect_backend(zmlx_backend_list *found)
{
    _Static_assert((int)ZX_BACKEND_COUNT <= (int)ZMLX_BACKENDS, "the list is too short");
    *found = (zmlx_backend_list){.count = ZX_BACKEND_COUNT};
    for (size_t i = 0; i < found->count; i++) {
        describe((zx_backend_id)i, &found->backends[i]);
        if (found->backends[i].usable) found->best = i;
    }
}
