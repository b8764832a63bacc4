/* states_testing.h - for tests: slots of state (the second of two layers is used) and steps of
 * several sequences that keep theirs.  Slot ids are permuted; what no step has written is NaN. */
#ifndef ZX_KERNELS_STATES_TESTING_H
#define ZX_KERNELS_STATES_TESTING_H

#include "kernels/rows_testing.h"

enum {
    STATES_SEQUENCES = 3,
    STATES_TOKENS = 512, /* of a step, all sequences together */
    STATES_PAGES = 4,    /* of a sequence */
    STATES_SLOTS = 2 * STATES_SEQUENCES + 2,
    STATES_LAYER = 2,
};

/* Each sequence has a slot, and one for the snapshot behind its first page. */
typedef struct testing_states {
    zx_kv_pages kv;
    zx_state_layer layers[STATES_LAYER];
    zx_batch batch;
    int32_t positions[STATES_TOKENS];
    int32_t token_start[STATES_SEQUENCES + 1], page_start[STATES_SEQUENCES + 1];
    int32_t states[STATES_SEQUENCES], snapshots[STATES_SEQUENCES * STATES_PAGES];
} testing_states;

static inline void testing_states_open(size_t values, testing_states *t)
{
    *t = (testing_states){.layers = {{7, 0}, {values, 64}}};
    const size_t slot_bytes = 64 + zx_round_up(values * sizeof(float), 64);
    t->kv.page_count = 1; /* the slots lie in the pages' memory, for rows_testing.h */
    t->kv.page_bytes = slot_bytes * (STATES_SLOTS - 1);
    t->kv.memory = testing_alloc(t->kv.page_bytes);
    t->kv.states =
        (zx_state_slots){t->kv.memory, slot_bytes, STATES_SLOTS, STATES_LAYER, t->layers};
    for (int32_t s = 0; s < STATES_SEQUENCES; s++) {
        t->page_start[s + 1] = (s + 1) * STATES_PAGES;
        t->states[s] = STATES_SLOTS - 1 - 2 * s;
        t->snapshots[s * STATES_PAGES] = STATES_SLOTS - 2 - 2 * s;
    }
}

static inline void testing_states_close(testing_states *t)
{
    testing_free(t->kv.memory);
}

static inline float *testing_state(const testing_states *t, int32_t slot)
{
    return (float *)(void *)(t->kv.states.memory + (size_t)(slot - 1) * t->kv.states.slot_bytes +
                             t->layers[STATES_LAYER - 1].offset);
}

/* The next step: tokens [from[s], to[s]) of every sequence.  Returns their number. */
static inline size_t testing_states_step(testing_states *t, const size_t *from, const size_t *to)
{
    size_t tokens = 0;
    for (size_t s = 0; s < STATES_SEQUENCES; s++) {
        t->token_start[s] = (int32_t)tokens;
        for (size_t p = from[s]; p < to[s]; p++) t->positions[tokens++] = (int32_t)p;
    }
    t->token_start[STATES_SEQUENCES] = (int32_t)tokens;
    t->batch = (zx_batch){.tokens = tokens,
                          .sequences = STATES_SEQUENCES,
                          .positions = t->positions,
                          .token_start = t->token_start,
                          .page_start = t->page_start,
                          .states = t->states,
                          .snapshots = t->snapshots};
    return tokens;
}

/* Rows 'first' and on of a sequence's operand, as an operand of a step over all of them: the rows
 * of sequence s begin at begin[s] in 'all'. */
static inline zx_operand testing_step_rows(const testing_states *t, const zx_operand *all,
                                           const size_t *begin, const size_t *from)
{
    zx_operand step =
        testing_operand(all->dtype, (zx_activation_layout){0}, t->batch.tokens, all->columns, 12);
    for (size_t s = 0; s < STATES_SEQUENCES; s++)
        for (int32_t row = t->token_start[s]; row < t->token_start[s + 1]; row++) {
            const size_t source = begin[s] + from[s] + (size_t)(row - t->token_start[s]);
            memcpy((char *)step.data + (size_t)row * step.stride,
                   (const char *)all->data + source * all->stride, testing_row_bytes(all));
        }
    return step;
}

/* Puts the rows of a step's result back to where testing_step_rows takes them from. */
static inline void testing_keep_rows(const testing_states *t, const zx_operand *step,
                                     const size_t *begin, const size_t *from, const zx_operand *all)
{
    for (size_t s = 0; s < STATES_SEQUENCES; s++)
        for (int32_t row = t->token_start[s]; row < t->token_start[s + 1]; row++) {
            const size_t target = begin[s] + from[s] + (size_t)(row - t->token_start[s]);
            memcpy((char *)all->data + target * all->stride,
                   (const char *)step->data + (size_t)row * step->stride, testing_row_bytes(all));
        }
}

/* Runs an op over three sequences of 'lengths' tokens, 'chunk' of each a step; in[0..inputs) are
 * the rows of all of them, one sequence behind the other (weights: as they are), 'out' receives the
 * results.  Every step's rows are compared with each kernel; the name of one that differs, or NULL.
 */
static inline const char *testing_run_steps(zx_op op, testing_states *t, const zx_launch *all,
                                            const size_t lengths[STATES_SEQUENCES], size_t chunk)
{
    size_t from[STATES_SEQUENCES] = {0}, to[STATES_SEQUENCES], begin[STATES_SEQUENCES] = {0};
    for (size_t s = 1; s < STATES_SEQUENCES; s++) begin[s] = begin[s - 1] + lengths[s - 1];
    const char *differs = NULL;
    for (size_t tokens = 1; tokens > 0 && differs == NULL;) {
        for (size_t s = 0; s < STATES_SEQUENCES; s++)
            to[s] = from[s] + chunk + s < lengths[s] ? from[s] + chunk + s : lengths[s];
        tokens = testing_states_step(t, from, to);
        if (tokens == 0) break;
        zx_launch step = {.attributes = all->attributes, .batch = &t->batch, .kv = &t->kv};
        for (int i = 0; i < zx_ops[op].inputs; i++)
            step.inputs[i] = all->inputs[i].weight != NULL
                                 ? all->inputs[i]
                                 : testing_step_rows(t, &all->inputs[i], begin, from);
        step.outputs[0] = testing_step_rows(t, &all->outputs[0], begin, from);
        memset(step.outputs[0].data, TESTING_FILL, tokens * step.outputs[0].stride);
        differs = testing_rows_differ(op, &step);
        testing_keep_rows(t, &step.outputs[0], begin, from, &all->outputs[0]);
        for (int i = 0; i < zx_ops[op].inputs; i++)
            if (step.inputs[i].weight == NULL) testing_free(step.inputs[i].data);
        testing_free(step.outputs[0].data);
        memcpy(from, to, sizeof from);
    }
    return differs;
}

#endif
