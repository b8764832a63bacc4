/* words.c - the two models over whole words: WordPiece (the longest token first, the rest with a
 * prefix) and WordLevel (the word is a token or unknown). */
#include <string.h>

#include "base/fail.h"
#include "text/model.h"
#include "text/unicode.h"

static zmlx_status add_unknown(const zx_model *model, zx_ids *ids)
{
    if (model->unknown >= 0) return zx_ids_add(ids, model->unknown);
    return ZX_FAIL(ZMLX_ERROR_FORMAT,
                   "the text needs the unknown token \"%.*s\", which the vocabulary lacks",
                   (int)model->unknown_token.length, model->unknown_token.bytes);
}

static void find_unknown(zx_model *model)
{
    if (model->unknown_token.bytes != NULL)
        model->unknown = zx_vocabulary_find(&model->vocabulary, model->unknown_token.bytes,
                                            model->unknown_token.length);
}

static zmlx_status prepare_wordpiece(zx_model *model, const char *source)
{
    (void)source;
    find_unknown(model);
    const zx_vocabulary *const vocabulary = &model->vocabulary;
    for (size_t id = 0; id < vocabulary->size; id++) {
        const zx_string_view *const token = &vocabulary->tokens[id];
        if (token->bytes != NULL && token->length > 0)
            ZX_TRY(zx_trie_add(&model->trie, token->bytes, token->length, (int32_t)id, true));
    }
    uint32_t node = ZX_TRIE_ROOT;
    for (size_t i = 0; i < model->prefix.length && model->trie.node_count > 0; i++) {
        node = zx_trie_step(&model->trie, node, (unsigned char)model->prefix.bytes[i]);
        if (node == 0) break;
    }
    model->prefix_node = node;
    return ZMLX_OK;
}

static size_t character_count(const char *bytes, size_t length)
{
    size_t count = 0;
    for (size_t i = 0; i < length; i++) count += ((unsigned char)bytes[i] & 0xC0) != 0x80;
    return count;
}

/* The longest token at 'at', found from 'node' of the trie; -1 for none. */
static int32_t longest(const zx_model *model, uint32_t node, const char *bytes, size_t length,
                       size_t at, size_t *end)
{
    int32_t found = -1;
    for (size_t i = at; i < length && model->trie.node_count > 0; i++) {
        node = zx_trie_step(&model->trie, node, (unsigned char)bytes[i]);
        if (node == 0) break;
        if (model->trie.values[node] < 0) continue;
        found = model->trie.values[node];
        *end = i + 1;
    }
    return found;
}

static zmlx_status encode_wordpiece(const zx_model *model, zx_work *work, const char *bytes,
                                    size_t length, zx_ids *ids)
{
    (void)work;
    const size_t before = ids->count;
    bool known = character_count(bytes, length) <= model->max_word_characters;
    for (size_t at = 0, end = 0; at < length && known; at = end) {
        const bool lost = at > 0 && model->prefix.length > 0 && model->prefix_node == 0;
        const int32_t id = lost ? -1
                                : longest(model, at == 0 ? ZX_TRIE_ROOT : model->prefix_node, bytes,
                                          length, at, &end);
        known = id >= 0;
        if (known) ZX_TRY(zx_ids_add(ids, id));
    }
    if (known) return ZMLX_OK;
    ids->count = before;
    return add_unknown(model, ids);
}

static zmlx_status prepare_wordlevel(zx_model *model, const char *source)
{
    (void)source;
    find_unknown(model);
    if (model->byte_fallback) zx_model_find_bytes(model);
    return ZMLX_OK;
}

static zmlx_status encode_wordlevel(const zx_model *model, zx_work *work, const char *bytes,
                                    size_t length, zx_ids *ids)
{
    (void)work;
    const int32_t id = zx_vocabulary_find(&model->vocabulary, bytes, length);
    if (id >= 0) return zx_ids_add(ids, id);
    bool added;
    ZX_TRY(zx_model_add_bytes(model, bytes, length, ids, &added));
    if (added) return ZMLX_OK;
    if (model->sentencepiece && ids->count > 0 && ids->items[ids->count - 1] == model->unknown)
        return ZMLX_OK; /* one for several */
    return add_unknown(model, ids);
}

const zx_model_row zx_model_wordpiece = {"WordPiece", prepare_wordpiece, encode_wordpiece};
const zx_model_row zx_model_wordlevel = {"WordLevel", prepare_wordlevel, encode_wordlevel};
