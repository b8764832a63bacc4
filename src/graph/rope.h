/* rope.h - rotary position embedding, as data.
 *
 * theta = RN_f32(position * inverse_frequency[i]) for i < dims / 2; the pair (a, b) becomes
 *   RN_T(magnitude * (a * cos - b * sin)),  RN_T(magnitude * (b * cos + a * sin))
 * Pairs are (i, i + dims / 2), or (2i, 2i + 1) where interleaved; elements from dims on stay. */
#ifndef ZX_GRAPH_ROPE_H
#define ZX_GRAPH_ROPE_H

#include <stdbool.h>
#include <stddef.h>

/* How frequencies follow from the length that a sequence was opened for (dynamic, longrope). */
typedef struct zx_rope_by_length {
    const void *settings;
    /* The shortest length of the same frequencies, 0 for those that the rope itself holds; never
     * falls as the length grows. */
    size_t (*shortest)(const void *settings, size_t length);
    /* frequencies: [dims / 2] */
    void (*fill)(const void *settings, size_t length, float *frequencies, float *magnitude);
} zx_rope_by_length;

typedef struct zx_rope {
    size_t dims;
    bool interleaved;
    float magnitude; /* multiplies cos and sin (rounded to f32): yarn, longrope; else 1 */
    const float *inverse_frequency;     /* [dims / 2] */
    const zx_rope_by_length *by_length; /* NULL: the same for every sequence */
} zx_rope;

/* What a step's sequences make of the ropes that depend on the length. */
typedef struct zx_rope_table {
    size_t count;                  /* of such ropes in the graph */
    const zx_rope *const *general; /* [count], as nodes name them */
    const zx_rope *own;            /* [sequences][count] */
} zx_rope_table;

/* The rope of a node for one sequence of the step; 'table' NULL: as the node has it. */
static inline const zx_rope *zx_rope_of(const zx_rope *rope, const zx_rope_table *table,
                                        size_t sequence)
{
    size_t index = 0;
    if (rope->by_length == NULL || table == NULL) return rope;
    while (index < table->count && table->general[index] != rope) index++;
    return index < table->count ? &table->own[sequence * table->count + index] : rope;
}

#endif
