/* head_ref.c - logits and their soft cap.  Normative: y = softcap(matmul(x, weight)), each as its
 * own reference says.  Every CPU kernel of this op returns these bits, but where the row of matmul
 * that it uses rounds its own way. */
#include "kernels/kernels.h"

#define ZX_KERNEL(name)     zx_##name##_ref
#define HEAD_MATMUL(launch) zx_kernel_reference(ZX_OP_MATMUL)
#include "kernels/head/head_body.h"
