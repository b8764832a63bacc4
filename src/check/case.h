/* case.h - one call of an op, made from a few numbers: shapes, dtypes, what the values are like, a
 * seed.  The same numbers make the same case on every machine, and smaller ones a smaller case,
 * so what fails can be named, repeated and shrunk.
 *
 * Operands lie between guards; fresh memory is filled with one byte, 0xff being NaN in every
 * float type.  Everything a case owns lies in its arena. */
#ifndef ZX_CHECK_CASE_H
#define ZX_CHECK_CASE_H

#include "base/arena.h"
#include "graph/chain.h"
#include "kernels/fill.h"

typedef enum zx_dim { /* sizes of a shape; each is at least 1, but the last */
                      ZX_DIM_ROWS,
                      ZX_DIM_UNITS, /* columns / the format's group */
                      ZX_DIM_OUTPUTS,
                      ZX_DIM_KV_HEADS,
                      ZX_DIM_GROUP, /* heads / kv_heads */
                      ZX_DIM_HEAD_SIZE,
                      ZX_DIM_EXPERTS,
                      ZX_DIM_TOP_K,
                      ZX_DIM_PAST, /* tokens in the cache before the step */
                      ZX_DIMS,
} zx_dim;

extern const char *const zx_dim_names[ZX_DIMS];

/* Choices that an op may take or not; a shape's bits. */
enum {
    ZX_BIT_OFFSET = 1u << 0,     /* of norms: 1 is added to the weight */
    ZX_BIT_WIDE = 1u << 1,       /* of norms */
    ZX_BIT_TRANSPOSED = 1u << 2, /* head_matmul */
    ZX_BIT_LIMIT = 1u << 3,      /* attention's softcap */
    ZX_BIT_WINDOW = 1u << 4,
    ZX_BIT_GROUPS = 1u << 5, /* of experts */
    ZX_BIT_BIAS = 1u << 6,
    ZX_BIT_OWN_X = 1u << 7, /* a row of x for each expert of a token */
    ZX_BIT_SCALE = 1u << 8, /* of routers */
    ZX_BIT_INTERLEAVED = 1u << 9,
    ZX_BIT_NARROW = 1u << 10, /* values of another size than keys; rope of a part of the head */
    ZX_BITS = (1u << 11) - 1,
};

typedef struct zx_case_shape {
    zx_op op;
    zx_dtype dtype, other_dtype; /* of activations; of vectors and of the cache */
    size_t format;               /* of matrices: row of zx_case_formats */
    zx_precision precision;
    zx_activation activation;
    zx_fill fill;
    uint32_t bits;
    uint64_t seed; /* of the values */
    size_t dims[ZX_DIMS];
} zx_case_shape;

typedef struct zx_case_format {
    zx_format format;
    zx_dtype dtype;
    uint8_t bits;
    uint16_t group;
} zx_case_format;

extern const zx_case_format zx_case_formats[];
extern const size_t zx_case_format_count;

/* What properties hold of an op; bits of 'traits'. */
enum {
    ZX_TRAIT_GATHERS = 1u << 0, /* rows of the output are chosen among those of the input */
    ZX_TRAIT_IN_PLACE = 1u << 1,
    ZX_TRAIT_LAYOUT = 1u << 2,  /* ends in quantize */
    ZX_TRAIT_CACHE = 1u << 3,   /* reads or writes pages */
    ZX_TRAIT_APPENDS = 1u << 4, /* writes pages */
    ZX_TRAIT_ROPE = 1u << 5,
    ZX_TRAIT_CHAIN = 1u << 6,
    ZX_TRAIT_LINEAR = 1u << 7, /* twice input 0: twice the output, exactly */
    ZX_TRAIT_SUMS = 1u << 8,   /* rows of output 0 sum to 1 */
    ZX_TRAIT_EXPERTS = 1u << 9,
    ZX_TRAIT_GROUPED = 1u << 10, /* experts always are in groups */
    ZX_TRAIT_ACTIVATES = 1u << 12,
    ZX_TRAIT_LENGTH = 1u << 13,  /* output 0 is input 0 turned: the length of a head stays */
    ZX_TRAIT_CHOOSES = 1u << 11, /* an output are the places of the largest of input 0 */
    ZX_TRAIT_STATE = 1u << 14,   /* reads and writes slots of recurrent state */
    ZX_TRAIT_HEADS = 1u << 15,   /* a head of output 0 follows from the same one of the inputs */
};

typedef enum zx_case_kind { /* how an input is made */
                            ZX_KIND_NONE,
                            ZX_KIND_FLOATS,
                            ZX_KIND_SCORES,      /* f32 */
                            ZX_KIND_ACTIVATIONS, /* floats, quantized where the format and the
                                                    precision want it */
                            ZX_KIND_INDICES,     /* of experts, all different within a row */
                            ZX_KIND_IDS,
                            ZX_KIND_CACHE,
                            ZX_KIND_VECTOR, /* of the model */
                            ZX_KIND_BIASED_VECTOR,
                            ZX_KIND_SCORE_VECTOR, /* f32 */
                            ZX_KIND_TAPS,         /* of a convolution: a dense matrix */
                            ZX_KIND_TABLE,        /* a matrix without a bias */
                            ZX_KIND_MATRIX,
                            ZX_KIND_MATRICES, /* one for each expert */
} zx_case_kind;

typedef enum zx_width { /* a number of columns, or of a matrix's rows */
                        ZX_WIDTH_ONE,
                        ZX_WIDTH_COLUMNS,
                        ZX_WIDTH_OUTPUTS,
                        ZX_WIDTH_FEWER, /* about half of the outputs */
                        ZX_WIDTH_HEAD_COUNT,
                        ZX_WIDTH_HEAD,
                        ZX_WIDTH_HEADS,
                        ZX_WIDTH_HEADS_OF_VALUES,
                        ZX_WIDTH_KEYS,
                        ZX_WIDTH_VALUES,
                        ZX_WIDTH_HEAD_PARTS, /* x of head_matmul */
                        ZX_WIDTH_EXPERTS,
                        ZX_WIDTH_TOP_K,
                        ZX_WIDTH_TAPS,     /* top_k + 1 */
                        ZX_WIDTH_SLOTS,    /* top_k times columns */
                        ZX_WIDTH_EXPERT_X, /* columns, or slots */
} zx_width;

typedef struct zx_case_input {
    zx_case_kind kind;
    zx_width columns, rows; /* rows: of weights */
} zx_case_input;

typedef struct zx_case_op {
    zx_op op;
    uint32_t traits, bits; /* bits: the choices this op has */
    zx_case_input inputs[ZX_MAX_INPUTS];
    zx_attributes attributes; /* what does not follow from the shape */
} zx_case_op;

/* A row for every op that computes something. */
extern const zx_case_op zx_case_ops[];
extern const size_t zx_case_op_count;
const zx_case_op *zx_case_op_of(zx_op op); /* NULL: none */

/* The shape that a seed stands for. */
zx_case_shape zx_case_shape_of(zx_op op, uint64_t seed);
/* Makes sizes and choices fit each other. */
void zx_case_fit(zx_case_shape *shape);
size_t zx_case_width(const zx_case_shape *shape, zx_width width);
/* The 'index'-th way to make a shape smaller, or its values plain; false where there is none of
 * that number, or it changes nothing. */
bool zx_case_smaller(const zx_case_shape *shape, size_t index, zx_case_shape *smaller);
enum { ZX_CASE_WAYS = 2 * ZX_DIMS + 12 };
/* "rows 3, columns 64, f16, q16 x affine 4-bit g64 bf16, random values" */
enum { ZX_CASE_TEXT = 240 };
void zx_case_describe(const zx_case_shape *shape, char text[ZX_CASE_TEXT]);

enum { ZX_CASE_SEQUENCES = 3, ZX_CASE_NODES = 2 * ZX_MAX_INPUTS + 1, ZX_CASE_LAYER = 2 };

typedef struct zx_case {
    zx_case_shape shape;
    const zx_case_op *row;
    zx_arena arena;
    uint64_t state;   /* of the generator */
    zx_launch launch; /* outputs typed, without memory */
    zx_attributes attributes;
    zx_rope rope;
    zx_chain chain;
    zx_batch batch;
    zx_kv_pages kv; /* memory: what the cache holds before a run */
    zx_kv_layer layers[ZX_CASE_LAYER];
    int32_t token_start[ZX_CASE_SEQUENCES + 1], page_start[ZX_CASE_SEQUENCES + 1];
    int32_t *positions, *ids, *sampled, *pages;
    zx_state_layer state_layers[ZX_CASE_LAYER];
    int32_t states[ZX_CASE_SEQUENCES], *snapshots; /* beside pages */
    size_t result_rows, vocabulary;
    zx_node nodes[ZX_CASE_NODES]; /* of the inputs' makers; what the shape rules ask */
} zx_case;

/* Fails where memory runs out; close it all the same. */
ZMLX_MUST_CHECK zmlx_status zx_case_open(const zx_case_shape *shape, zx_case *made);
void zx_case_close(zx_case *made);

/* Where rows lie: elements (of a quantized row: 64 bytes) before the first and between two. */
typedef struct zx_placement {
    size_t offset, gap;
} zx_placement;

/* Rows between guards, all of it filled with 'poison'. */
ZMLX_MUST_CHECK zmlx_status zx_case_operand(zx_arena *arena, const zx_operand *like,
                                            zx_placement placement, uint8_t poison,
                                            zx_operand *made);
/* The same values, placed otherwise. */
ZMLX_MUST_CHECK zmlx_status zx_case_move(zx_arena *arena, const zx_operand *x,
                                         zx_placement placement, zx_operand *moved);

size_t zx_case_row_bytes(const zx_operand *x);

#endif
