/* states_test.c - slots of recurrent state, and sequences that start from a snapshot. */
#include <string.h>

#include "base/test.h"
#include "kv/cache.h"

enum { PAGE = ZX_PAGE_TOKENS, TOKENS = 4 * PAGE + 5, STATE = 5 };

TEST(free_slots_are_taken_before_snapshots_and_those_by_their_age)
{
    zx_states *states = NULL;
    CHECK(zx_states_create(5, 10, &states) == ZMLX_OK);
    const int32_t a = zx_states_take(states), b = zx_states_take(states);
    const int32_t c = zx_states_take(states), d = zx_states_take(states);
    CHECK(a > 0 && b > 0 && c > 0 && d > 0 && a != b && b != c && c != d);
    CHECK(zx_states_take(states) == 0 && zx_states_left(states) == 0);
    zx_states_keep(states, a, 7);
    zx_states_keep(states, b, 8);
    zx_states_keep(states, c, 9);
    CHECK(zx_states_find(states, 7) == a && zx_states_find(states, 9) == c);
    CHECK(zx_states_find(states, 1) == 0 && zx_states_left(states) == 3);
    zx_states_release(states, d);
    zx_states_touch(states, 7);
    CHECK(zx_states_check(states) == ZMLX_OK);
    CHECK(zx_states_take(states) == d && zx_states_take(states) == b);
    CHECK(zx_states_find(states, 8) == 0);
    zx_states_forget(states, 9);
    CHECK(zx_states_find(states, 9) == 0 && zx_states_take(states) == c);
    zx_states_keep(states, c, 7); /* it has one */
    CHECK(zx_states_find(states, 7) == a && zx_states_left(states) == 2);
    CHECK(zx_states_check(states) == ZMLX_OK);
    zx_states_destroy(states);
    CHECK(zx_test_live_blocks() == 0);
}

TEST(counts_of_states_out_of_range_are_refused)
{
    zx_states *states = NULL;
    CHECK(zx_states_create(1, 10, &states) == ZMLX_ERROR_ARGUMENT);
    CHECK(zx_states_create((size_t)1 << 31, 10, &states) == ZMLX_ERROR_ARGUMENT);
    CHECK(states == NULL && zx_test_live_blocks() == 0);
}

/* --- sequences: a model whose state is a sum over the tokens so far --- */

static const zx_kv_layer layers[] = {{.kv_heads = 1, .key_size = 4, .value_size = 4}};
static const zx_state_layer state_layers[] = {{.values = 3}, {.values = STATE}};
static const zx_cache_layers recurrent = {layers, 1, state_layers, 2};

static float *state_of(const zx_cache *cache, int32_t slot)
{
    const zx_state_slots *states = &cache->pages.states;
    return (float *)(void *)(states->memory + (size_t)(slot - 1) * states->slot_bytes +
                             states->layers[1].offset);
}

static float sum_of(const int32_t *ids, size_t count)
{
    float sum = 0;
    for (size_t i = 0; i < count; i++) sum = sum * 0.5F + (float)ids[i];
    return sum;
}

/* One step, as a kernel would do it. */
static bool step(zx_cache *cache, zx_sequence *sequence, const int32_t *ids, size_t count)
{
    if (zx_sequence_reserve(cache, sequence, count) != ZMLX_OK) return false;
    zx_sequence_plan_snapshots(cache, sequence, count);
    float *const state = state_of(cache, sequence->state);
    for (size_t i = 0; i < count; i++) {
        const size_t position = sequence->length + i;
        if (position == 0) state[STATE - 1] = 0;
        state[STATE - 1] = state[STATE - 1] * 0.5F + (float)ids[i];
        for (size_t k = 0; k < sequence->snapshot_count; k++)
            if ((sequence->snapshots[k].page + 1) * PAGE == position + 1)
                state_of(cache, sequence->snapshots[k].slot)[STATE - 1] = state[STATE - 1];
    }
    zx_sequence_commit(cache, sequence, ids, count);
    return sequence->snapshot_count == 0 && zx_blocks_check(cache->blocks) == ZMLX_OK &&
           zx_states_check(cache->states) == ZMLX_OK;
}

static bool compute(zx_cache *cache, zx_sequence *sequence, const int32_t *ids, size_t count,
                    size_t chunk)
{
    for (size_t done = 0; done < count; done += chunk)
        if (!step(cache, sequence, ids + done, count - done < chunk ? count - done : chunk))
            return false;
    return true;
}

static void fill(int32_t ids[TOKENS], size_t change_at)
{
    for (size_t i = 0; i < TOKENS; i++) ids[i] = (int32_t)(i < change_at ? i % 7 : i % 5 + 9);
}

static bool open_cache(size_t slots, zx_cache *cache)
{
    return zx_cache_create(&recurrent, ZX_F32, &(zx_cache_size){20, slots}, cache) == ZMLX_OK;
}

/* A new sequence that starts from what is there: how many tokens it finds, or SIZE_MAX where the
 * state it found is not that of these tokens. */
static size_t found(zx_cache *cache, const int32_t *ids, size_t count, zx_sequence *sequence)
{
    if (zx_sequence_open(TOKENS, 0, sequence) != ZMLX_OK) return SIZE_MAX;
    zx_sequence_reuse(cache, sequence, ids, count);
    const size_t length = sequence->length;
    if (length == 0) return sequence->state == 0 && sequence->page_count == 0 ? 0 : SIZE_MAX;
    const bool right = state_of(cache, sequence->state)[STATE - 1] == sum_of(ids, length) &&
                       sequence->page_count == length / PAGE &&
                       sequence->published == length / PAGE;
    return right && zx_states_check(cache->states) == ZMLX_OK ? length : SIZE_MAX;
}

TEST(a_prefix_is_found_as_far_as_its_last_snapshot)
{
    static const size_t chunks[] = {1, 7, 64, 65, TOKENS};
    for (size_t i = 0; i < sizeof chunks / sizeof chunks[0]; i++) {
        zx_cache cache;
        zx_sequence first, second, third;
        int32_t ids[TOKENS];
        fill(ids, TOKENS);
        CHECK(open_cache(12, &cache));
        CHECK(zx_sequence_open(TOKENS, 0, &first) == ZMLX_OK);
        CHECK(compute(&cache, &first, ids, TOKENS, chunks[i]));
        CHECK(found(&cache, ids, TOKENS, &second) == 4 * PAGE);
        CHECK(second.state != first.state);
        CHECK(compute(&cache, &second, ids + 4 * PAGE, TOKENS - 4 * PAGE, chunks[i]));
        CHECK(state_of(&cache, second.state)[STATE - 1] == sum_of(ids, TOKENS));
        fill(ids, 3 * PAGE + 1); /* differs inside the fourth page */
        const bool sparse = chunks[i] == 1 || chunks[i] == TOKENS;
        CHECK(found(&cache, ids, TOKENS, &third) == (sparse ? 0 : 3 * PAGE));
        CHECK(compute(&cache, &third, ids + third.length, TOKENS - third.length, chunks[i]));
        CHECK(state_of(&cache, third.state)[STATE - 1] == sum_of(ids, TOKENS));
        zx_sequence_close(&cache, &first);
        zx_sequence_close(&cache, &second);
        zx_sequence_close(&cache, &third);
        CHECK(zx_states_left(cache.states) == 11 && zx_blocks_free_count(cache.blocks) == 19);
        zx_cache_destroy(&cache);
    }
    CHECK(zx_test_live_blocks() == 0);
}

TEST(a_prompt_of_whole_pages_is_found_when_it_is_repeated)
{
    zx_cache cache;
    zx_sequence first, second;
    int32_t ids[TOKENS];
    fill(ids, TOKENS);
    CHECK(open_cache(8, &cache));
    CHECK(zx_sequence_open(TOKENS, 0, &first) == ZMLX_OK);
    CHECK(step(&cache, &first, ids, 3 * PAGE));
    CHECK(found(&cache, ids, 3 * PAGE, &second) == 2 * PAGE);
    zx_sequence_close(&cache, &second);
    CHECK(found(&cache, ids, 3 * PAGE + 1, &second) == 3 * PAGE);
    zx_sequence_close(&cache, &second);
    zx_sequence_close(&cache, &first);
    zx_cache_destroy(&cache);
}

/* A snapshot per page of an answer would drive out that of the prompt. */
TEST(an_answers_snapshots_replace_each_other)
{
    zx_cache cache;
    zx_sequence first, second;
    int32_t ids[TOKENS], others[TOKENS];
    fill(ids, TOKENS);
    fill(others, PAGE);
    CHECK(open_cache(5, &cache)); /* two sequences, two snapshots */
    CHECK(zx_sequence_open(TOKENS, 0, &first) == ZMLX_OK);
    CHECK(step(&cache, &first, ids, PAGE + 1));
    CHECK(compute(&cache, &first, ids + PAGE + 1, TOKENS - PAGE - 1, 1));
    CHECK(found(&cache, others, TOKENS, &second) == PAGE);
    zx_sequence_close(&cache, &second);
    CHECK(found(&cache, ids, TOKENS, &second) == 4 * PAGE);
    zx_sequence_close(&cache, &second);
    zx_sequence_close(&cache, &first);
    zx_cache_destroy(&cache);
}

/* Two sequences compute the same pages side by side, one of them token by token: what the other
 * left behind its prompt stays, whichever of them came first. */
static bool prompt_is_found(bool prompt_first)
{
    zx_cache cache;
    zx_sequence prompt = {0}, answer = {0}, third = {0};
    int32_t ids[TOKENS], others[TOKENS];
    fill(ids, TOKENS);
    fill(others, PAGE);
    if (!open_cache(8, &cache)) return true;
    bool ok = zx_sequence_open(TOKENS, 0, &prompt) == ZMLX_OK;
    ok = ok && zx_sequence_open(TOKENS, 0, &answer) == ZMLX_OK;
    for (int turn = 0; turn < 2; turn++)
        ok = ok && (prompt_first == (turn == 0) ? step(&cache, &prompt, ids, PAGE + 1)
                                                : compute(&cache, &answer, ids, PAGE + 1, 1));
    ok = ok && compute(&cache, &answer, ids + PAGE + 1, PAGE, 1);
    ok = ok && found(&cache, others, TOKENS, &third) == PAGE;
    zx_sequence_close(&cache, &third);
    ok = ok && found(&cache, ids, TOKENS, &third) == 2 * PAGE;
    zx_sequence_close(&cache, &third);
    zx_sequence_close(&cache, &answer);
    zx_sequence_close(&cache, &prompt);
    zx_cache_destroy(&cache);
    return ok;
}

TEST(an_answers_snapshots_leave_those_of_an_equal_prompt)
{
    CHECK(prompt_is_found(true));
    CHECK(prompt_is_found(false));
}

TEST(a_snapshot_goes_with_its_page_and_with_need)
{
    zx_cache cache;
    zx_sequence first, second, third;
    int32_t ids[TOKENS], others[TOKENS];
    fill(ids, TOKENS);
    fill(others, 0);
    CHECK(open_cache(4, &cache));
    CHECK(zx_sequence_open(TOKENS, 0, &first) == ZMLX_OK);
    CHECK(step(&cache, &first, ids, PAGE + 1));
    zx_sequence_close(&cache, &first);
    CHECK(zx_sequence_open(TOKENS, 1, &first) == ZMLX_OK);
    CHECK(zx_sequence_open(TOKENS, 1, &second) == ZMLX_OK);
    CHECK(step(&cache, &first, others, 1) && step(&cache, &second, others + 1, 1));
    CHECK(found(&cache, ids, TOKENS, &third) == PAGE); /* the last slot: the snapshot itself */
    CHECK(zx_states_left(cache.states) == 0);
    zx_sequence_close(&cache, &third);
    CHECK(found(&cache, ids, TOKENS, &third) == 0);
    CHECK(step(&cache, &third, ids, PAGE + 1)); /* no slot for a snapshot */
    CHECK(state_of(&cache, third.state)[STATE - 1] == sum_of(ids, PAGE + 1));
    zx_sequence fourth;
    CHECK(zx_sequence_open(TOKENS, 1, &fourth) == ZMLX_OK);
    CHECK(zx_sequence_reserve(&cache, &fourth, 1) == ZMLX_ERROR_MEMORY);
    CHECK(strstr(zmlx_error_message(), "all 3 states are taken") != NULL);
    CHECK(fourth.page_count == 0);
    zx_sequence_close(&cache, &fourth);
    zx_sequence_close(&cache, &second);
    CHECK(compute(&cache, &third, ids + PAGE + 1, PAGE, PAGE));
    zx_sequence_close(&cache, &third);
    for (int i = 0; i < 7; i++) { /* other pages come and go until those are taken anew */
        CHECK(zx_sequence_open(TOKENS, (uint64_t)i + 2, &third) == ZMLX_OK);
        CHECK(zx_sequence_reserve(&cache, &third, TOKENS) == ZMLX_OK);
        zx_sequence_commit(&cache, &third, others, TOKENS);
        zx_sequence_close(&cache, &third);
    }
    CHECK(zx_states_check(cache.states) == ZMLX_OK);
    CHECK(found(&cache, ids, TOKENS, &third) == 0);
    zx_sequence_close(&cache, &third);
    zx_sequence_close(&cache, &first);
    zx_cache_destroy(&cache);
}

/* The same tokens for the same number, and nothing in common for others. */
static void fill_numbered(int32_t ids[TOKENS], size_t number)
{
    for (size_t i = 0; i < TOKENS; i++) ids[i] = (int32_t)(i % 7 + 10 * number);
}

TEST(a_page_taken_anew_has_no_snapshot_of_what_it_held)
{
    zx_cache cache;
    zx_sequence sequence;
    int32_t ids[TOKENS];
    CHECK(open_cache(60, &cache)); /* no snapshot is lost for want of slots */
    for (size_t i = 0; i < 9; i++) {
        fill_numbered(ids, i);
        CHECK(found(&cache, ids, TOKENS, &sequence) == 0);
        CHECK(compute(&cache, &sequence, ids, TOKENS, i % 2 == 0 ? PAGE : TOKENS));
        zx_sequence_close(&cache, &sequence);
        CHECK(found(&cache, ids, TOKENS, &sequence) == 4 * PAGE);
        zx_sequence_close(&cache, &sequence);
    }
    zx_cache_destroy(&cache);
}

/* Leaves one snapshot of the tokens with this number. */
static bool leave_snapshot(zx_cache *cache, size_t number)
{
    int32_t ids[TOKENS];
    zx_sequence sequence;
    fill_numbered(ids, number);
    const bool ok =
        found(cache, ids, TOKENS, &sequence) == 0 && step(cache, &sequence, ids, PAGE + 1);
    zx_sequence_close(cache, &sequence);
    return ok;
}

TEST(the_snapshot_used_longest_ago_is_lost_first)
{
    zx_cache cache;
    zx_sequence sequence;
    int32_t ids[TOKENS];
    CHECK(open_cache(5, &cache));
    for (size_t i = 0; i < 3; i++) CHECK(leave_snapshot(&cache, i));
    fill_numbered(ids, 0);
    CHECK(found(&cache, ids, TOKENS, &sequence) == PAGE);
    zx_sequence_close(&cache, &sequence);
    CHECK(leave_snapshot(&cache, 3)); /* takes that of 1 */
    CHECK(found(&cache, ids, TOKENS, &sequence) == PAGE);
    zx_sequence_close(&cache, &sequence);
    fill_numbered(ids, 1);
    CHECK(found(&cache, ids, TOKENS, &sequence) == 0);
    zx_sequence_close(&cache, &sequence);
    zx_cache_destroy(&cache);
}

TEST(a_step_that_fails_leaves_a_sequence_that_can_only_be_closed)
{
    zx_cache cache;
    zx_sequence sequence;
    int32_t ids[TOKENS];
    fill(ids, TOKENS);
    CHECK(open_cache(5, &cache));
    CHECK(zx_sequence_open(TOKENS, 0, &sequence) == ZMLX_OK);
    CHECK(zx_sequence_reserve(&cache, &sequence, PAGE) == ZMLX_OK);
    zx_sequence_trim(&cache, &sequence); /* another sequence of the step found no room */
    CHECK(sequence.state == 0 && zx_states_left(cache.states) == 4);
    CHECK(zx_sequence_reserve(&cache, &sequence, PAGE) == ZMLX_OK);
    zx_sequence_plan_snapshots(&cache, &sequence, PAGE);
    CHECK(sequence.snapshot_count == 1 && zx_states_left(cache.states) == 2);
    zx_sequence_tear(&cache, &sequence);
    CHECK(zx_states_left(cache.states) == 3);
    CHECK(zx_sequence_reserve(&cache, &sequence, 1) == ZMLX_ERROR_ARGUMENT);
    CHECK(strstr(zmlx_error_message(), "open it anew") != NULL);
    zx_sequence_close(&cache, &sequence);
    CHECK(zx_states_left(cache.states) == 4);
    zx_cache_destroy(&cache);
}

TEST(snapshots_take_a_quarter_of_the_pages_memory_or_four_slots)
{
    static const zx_state_layer small[] = {{.values = 16}};
    const zx_cache_layers little = {layers, 1, small, 1}, none = {.kv = layers, .kv_count = 1};
    size_t slots = 0;
    CHECK(zx_cache_usual_slots(&recurrent, ZX_F32, 20, 3, &slots) == ZMLX_OK);
    CHECK(slots == 20 + 3 + 1); /* never more snapshots than pages */
    const zx_kv_layer page[] = {{.kv_heads = 1, .key_size = 1, .value_size = 1}};
    const zx_cache_layers thin = {page, 1, state_layers, 2};
    CHECK(zx_cache_usual_slots(&thin, ZX_F16, 12, 1, &slots) == ZMLX_OK);
    CHECK(slots == 12 * 256 / 4 / 128 + 2);
    CHECK(zx_cache_usual_slots(&thin, ZX_F16, 5, 1, &slots) == ZMLX_OK && slots == 6);
    CHECK(zx_cache_usual_slots(&little, ZX_F32, 3, 1, &slots) == ZMLX_OK && slots == 5);
    CHECK(zx_cache_usual_slots(&none, ZX_F32, 20, 3, &slots) == ZMLX_OK && slots == 0);
}
