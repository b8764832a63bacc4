/* cache.c - one header, the two hash tables, where each token's text lies, the texts.
 *
 * The tables are mapped and used where they lie.  The name is the hash of the whole tokenizer.json,
 * so a file that changed is another one, whatever its time says; the hash of all that follows
 * the header's own fields finds damage. */
#include "text/cache.h"

#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/facts.h"
#include "base/fail.h"
#include "base/hash.h"
#include "base/memory.h"
#include "zmlx/runtime.h"

static const char magic[8] = "zmlxtok";
enum { VERSION = 1, NO_TOKEN = -1, TEXTS = 3 };

typedef struct place { /* of a token's text */
    uint32_t offset;
    int32_t length; /* NO_TOKEN where the id has none */
} place;

/* Everything in it has the machine's own byte order, which 'version' shows. */
typedef struct header {
    char magic[8];
    uint32_t version, header_bytes;
    uint64_t hash; /* of the rest of the header and of all behind it */
    uint64_t source_hash, source_size, model_begin, model_end;
    uint64_t vocabulary_seed, pair_seed;
    uint64_t slot_count, pair_slots, pair_count, token_size, token_count, text_bytes;
    uint64_t ranks, fuse_unknown, byte_fallback, ignore_merges;
    place texts[TEXTS]; /* unknown token, prefix, suffix */
} header;

static const size_t texts[TEXTS] = {offsetof(zx_model, unknown_token), offsetof(zx_model, prefix),
                                    offsetof(zx_model, suffix)};

/* The folder is that of the store of facts. */
static zmlx_status path_of(uint64_t source_hash, zx_text *path)
{
    ZX_TRY(zx_facts_path(path));
    while (path->length > 0 && path->bytes[path->length - 1] != '/') path->length--;
    return zx_text_format(path, "tokenizer-%016llx.bin", (unsigned long long)source_hash);
}

/* Where the parts begin: slots, pairs, places, texts, the end.  False where the sizes are absurd.
 */
static bool lay_out(const header *head, size_t at[5])
{
    const size_t counts[4] = {head->slot_count, head->pair_slots, head->token_size,
                              head->text_bytes};
    static const size_t sizes[4] = {sizeof(uint64_t), sizeof(zx_pair), sizeof(place), 1};
    at[0] = sizeof(header);
    for (int i = 0; i < 4; i++) {
        size_t bytes;
        if (!zx_multiply_fits(counts[i], sizes[i], &bytes)) return false;
        if (!zx_add_fits(at[i], bytes, &at[i + 1])) return false;
    }
    return true;
}

static bool is_table(uint64_t slots, uint64_t count)
{
    return slots > 0 && (slots & (slots - 1)) == 0 && count < slots;
}

/* Over the header's own fields and the parts behind it, one by one. */
static uint64_t hash_of(const header *head, const void *const parts[4], const size_t at[5])
{
    const size_t from = offsetof(header, source_hash);
    uint64_t hash = zx_hash((const char *)head + from, sizeof *head - from, VERSION);
    for (int i = 0; i < 4; i++) hash = zx_hash(parts[i], at[i + 1] - at[i], hash);
    return hash;
}

static bool is_whole(const zx_file *file, const zx_file *source, uint64_t source_hash,
                     const header *head, size_t at[5])
{
    if (memcmp(head->magic, magic, sizeof magic) != 0 || head->version != VERSION ||
        head->header_bytes != sizeof *head)
        return false;
    if (head->source_hash != source_hash || head->source_size != source->size) return false;
    if (!lay_out(head, at) || at[4] != file->size) return false;
    if (!is_table(head->slot_count, head->token_count) ||
        !is_table(head->pair_slots, head->pair_count))
        return false;
    if (head->token_size >= INT32_MAX || head->model_begin == 0 ||
        head->model_end <= head->model_begin || head->model_end > source->size)
        return false;
    const void *const parts[4] = {file->data + at[0], file->data + at[1], file->data + at[2],
                                  file->data + at[3]};
    return head->hash == hash_of(head, parts, at);
}

static bool view_of(const zx_file *file, const size_t at[5], const place *where,
                    zx_string_view *view)
{
    *view = (zx_string_view){0};
    if (where->length == NO_TOKEN) return true;
    const size_t bytes = at[4] - at[3];
    if (where->length < 0 || !zx_range_fits(where->offset, (size_t)where->length, bytes))
        return false;
    *view =
        (zx_string_view){(const char *)file->data + at[3] + where->offset, (size_t)where->length};
    return true;
}

/* The tokens' views, in memory of our own. */
static bool take_tokens(const zx_file *file, const size_t at[5], const header *head,
                        zx_vocabulary *vocabulary)
{
    void *memory;
    if (zx_alloc_array(head->token_size, sizeof(zx_string_view), "vocabulary", &memory) != ZMLX_OK)
        return false;
    vocabulary->tokens = memory;
    for (size_t id = 0; id < head->token_size; id++) {
        place where;
        memcpy(&where, file->data + at[2] + id * sizeof where, sizeof where);
        if (view_of(file, at, &where, &vocabulary->tokens[id])) continue;
        zx_free(memory);
        vocabulary->tokens = NULL;
        return false;
    }
    vocabulary->size = vocabulary->capacity = head->token_size;
    return true;
}

/* A place in the mapped file as the tables' pointers want it; nobody writes there. */
static void *inside(const zx_file *file, size_t offset)
{
    const uint8_t *const from = file->data + offset;
    void *to;
    memcpy(&to, &from, sizeof to);
    return to;
}

static bool take(zx_tokenizer *tokenizer, const header *head, const size_t at[5])
{
    zx_model *const model = &tokenizer->model;
    const zx_file *const file = &tokenizer->tables;
    zx_string_view views[TEXTS];
    for (int i = 0; i < TEXTS; i++)
        if (!view_of(file, at, &head->texts[i], &views[i])) return false;
    if (!take_tokens(file, at, head, &model->vocabulary)) return false;
    for (int i = 0; i < TEXTS; i++) memcpy((char *)model + texts[i], &views[i], sizeof views[i]);
    model->row = &zx_model_bpe;
    model->fuse_unknown = head->fuse_unknown != 0;
    model->byte_fallback = head->byte_fallback != 0;
    model->ignore_merges = head->ignore_merges != 0;
    model->mapped = true;
    model->vocabulary.slots = inside(file, at[0]);
    model->vocabulary.slot_count = head->slot_count;
    model->vocabulary.count = head->token_count;
    model->vocabulary.seed = head->vocabulary_seed;
    model->pairs = inside(file, at[1]);
    model->pair_slots = head->pair_slots;
    model->pair_count = head->pair_count;
    model->pair_seed = head->pair_seed;
    model->ranks = (uint32_t)head->ranks;
    return true;
}

/* Ids and slots are trusted, so the file must be one that strangers cannot write. */
static bool is_own(const char *path)
{
    struct stat about;
    return lstat(path, &about) == 0 && S_ISREG(about.st_mode) && about.st_uid == geteuid() &&
           (about.st_mode & S_IWOTH) == 0;
}

bool zx_cache_open(zx_tokenizer *tokenizer, zx_cache_place *where)
{
    const zx_file *const source = &tokenizer->file;
    *where = (zx_cache_place){
        .source_hash = zx_hash(source->data, source->size, /* a newer reader builds anew */
                               zx_hash(zmlx_version(), strlen(zmlx_version()), VERSION))};
    zx_text path = {0};
    zx_file *const file = &tokenizer->tables;
    const bool opened = path_of(where->source_hash, &path) == ZMLX_OK && is_own(path.bytes) &&
                        zx_file_open(path.bytes, file) == ZMLX_OK;
    zx_text_fini(&path);
    if (!opened) return false;
    header head;
    size_t at[5];
    if (file->size >= sizeof head) {
        memcpy(&head, file->data, sizeof head);
        if (is_whole(file, source, where->source_hash, &head, at) && take(tokenizer, &head, at)) {
            where->begin = head.model_begin;
            where->end = head.model_end;
            return true;
        }
    }
    zx_file_close(file);
    return false;
}

/* Puts a text behind the others. */
static zmlx_status put_text(zx_text *blob, zx_string_view view, place *where)
{
    *where = (place){(uint32_t)blob->length, view.bytes == NULL ? NO_TOKEN : (int32_t)view.length};
    return view.bytes == NULL ? ZMLX_OK : zx_text_add(blob, view.bytes, view.length);
}

static zmlx_status write_file(const char *path, const header *head, const void *const parts[4],
                              const size_t at[5])
{
    zx_writer writer;
    ZX_TRY(zx_path_make_folders(path));
    ZX_TRY(zx_writer_open(path, &writer));
    writer.unsynced = true; /* the hash tells whether all of it came to the disk */
    zmlx_status status = zx_writer_add(&writer, head, sizeof *head);
    for (int i = 0; i < 4 && status == ZMLX_OK; i++)
        status = zx_writer_add(&writer, parts[i], at[i + 1] - at[i]);
    if (status == ZMLX_OK) status = zx_writer_commit(&writer);
    zx_writer_abandon(&writer);
    return status;
}

/* Adds to the header what it says of the parts, and writes all. */
static zmlx_status write_parts(const zx_model *model, header *head, const char *path, zx_text *blob,
                               place *places)
{
    const zx_vocabulary *const vocabulary = &model->vocabulary;
    for (size_t id = 0; id < vocabulary->size; id++)
        ZX_TRY(put_text(blob, vocabulary->tokens[id], &places[id]));
    for (int i = 0; i < TEXTS; i++) {
        zx_string_view view;
        memcpy(&view, (const char *)model + texts[i], sizeof view);
        ZX_TRY(put_text(blob, view, &head->texts[i]));
    }
    size_t at[5];
    head->text_bytes = blob->length;
    if (blob->length > INT32_MAX || !lay_out(head, at)) return ZMLX_ERROR_UNSUPPORTED;
    const void *const parts[4] = {vocabulary->slots, model->pairs, places,
                                  blob->length == 0 ? "" : blob->bytes};
    head->hash = hash_of(head, parts, at);
    return write_file(path, head, parts, at);
}

void zx_cache_write(const zx_tokenizer *tokenizer, const zx_cache_place *where)
{
    const zx_model *const model = &tokenizer->model;
    header head = {.version = VERSION,
                   .header_bytes = sizeof head,
                   .ranks = model->ranks,
                   .source_hash = where->source_hash,
                   .source_size = tokenizer->file.size,
                   .model_begin = where->begin,
                   .model_end = where->end,
                   .vocabulary_seed = model->vocabulary.seed,
                   .pair_seed = model->pair_seed,
                   .slot_count = model->vocabulary.slot_count,
                   .pair_slots = model->pair_slots,
                   .pair_count = model->pair_count,
                   .token_size = model->vocabulary.size,
                   .token_count = model->vocabulary.count,
                   .fuse_unknown = model->fuse_unknown,
                   .byte_fallback = model->byte_fallback,
                   .ignore_merges = model->ignore_merges};
    memcpy(head.magic, magic, sizeof magic);
    zx_text path = {0}, blob = {0};
    void *places = NULL;
    zmlx_status status = path_of(where->source_hash, &path);
    if (status == ZMLX_OK)
        status = zx_alloc_array(head.token_size, sizeof(place), "tokenizer's tables", &places);
    if (status == ZMLX_OK) status = write_parts(model, &head, path.bytes, &blob, places);
    (void)status; /* without it the next time takes as long, and nobody needs to hear of it */
    zx_free(places);
    zx_text_fini(&path);
    zx_text_fini(&blob);
}
