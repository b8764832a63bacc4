/* hostile_test.c - damaged files of every format: each is opened or refused with a message that
 * names the file, without a byte read behind its end, with memory in proportion to its size, and
 * soon.
 *
 * A file lies before a page that cannot be read, so that a step past its end ends the test.
 * ZX_HOSTILE=1 prints for each good file how many were made of it and what they took. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/test.h"
#include "jinja/jinja.h"
#include "model/family.h"
#include "model/make_files.h"
#include "model/mutate.h"
#include "model/rope_config.h"
#include "model/safetensors.h"
#include "model/shards.h"
#include "model/text_source.h"
#include "text/tokenizer.h"

enum { ROOM = 2 << 20, PAGE = 64 << 10, LEAST_FILES = 300, MOST_SECONDS = 2 };

#define FILE_NAME "hostile.file"

/* One format: how a file is opened, looked through and closed, and what that may cost. */
typedef struct format_row {
    const char *name;
    zx_spot_finder find;
    zmlx_status (*open)(const uint8_t *bytes, size_t size);
    size_t random; /* files with a random damage, from each seed */
    size_t times;  /* bytes of memory for each byte of the file ... */
    size_t more;   /* ... and bytes besides */
} format_row;

static struct {
    uint8_t *memory;
    zx_meter meter;
    const char *folder; /* NULL, or where the formats that are opened by path lie */
    size_t files, refused;
    double slowest;
    size_t most; /* bytes of memory, beyond 'times' */
} now;

static void *json_memory(size_t bytes)
{
    void *memory = NULL;
    return zx_alloc(bytes, "JSON", &memory) == ZMLX_OK ? memory : NULL;
}

static void read_through(const uint8_t *bytes, size_t count)
{
    volatile uint8_t last = 0;
    for (size_t i = 0; i < count; i++) last = bytes[i];
    (void)last;
}

/* Family, sizes and rope. */
static zmlx_status read_model(zx_checkpoint *checkpoint)
{
    const zx_family *family = NULL;
    zx_config config;
    zx_arena arena = {0};
    zx_rope rope;
    zmlx_status status = zx_family_find(checkpoint, &family);
    if (status == ZMLX_OK) status = zx_config_read(family, checkpoint, &config);
    if (status == ZMLX_OK) status = zx_checkpoint_rope(checkpoint, config.head_size, &arena, &rope);
    zx_arena_reset(&arena);
    return status;
}

static zmlx_status open_gguf(const uint8_t *bytes, size_t size)
{
    zx_checkpoint *checkpoint = NULL;
    bool used = false;
    zmlx_status status = zx_checkpoint_open_gguf(FILE_NAME, bytes, size, &checkpoint);
    if (status != ZMLX_OK) return status;
    for (size_t i = 0; i < zx_checkpoint_count(checkpoint); i++) {
        const zx_stored_tensor *tensor = zx_checkpoint_tensor(checkpoint, i, &used);
        read_through(tensor->data, tensor->bytes);
    }
    status = read_model(checkpoint);
    zx_checkpoint_close(checkpoint);
    return status;
}

static zmlx_status open_safetensors(const uint8_t *bytes, size_t size)
{
    zx_safetensors file;
    const zmlx_status status = zx_safetensors_open_bytes(FILE_NAME, bytes, size, &file);
    if (status != ZMLX_OK) return status;
    for (size_t i = 0; i < file.stored.count; i++)
        read_through(file.stored.tensors[i].data, file.stored.tensors[i].bytes);
    zx_safetensors_close(&file);
    return ZMLX_OK;
}

static zmlx_status open_config(const uint8_t *bytes, size_t size)
{
    zx_checkpoint *checkpoint = NULL;
    zmlx_status status =
        zx_checkpoint_open_config(FILE_NAME, (const char *)bytes, size, &checkpoint);
    if (status == ZMLX_OK) status = read_model(checkpoint);
    zx_checkpoint_close(checkpoint);
    return status;
}

/* A text there and back; only opening may fail. */
static zmlx_status use_tokenizer(zx_tokenizer *tokenizer)
{
    static const char text[] = " Hello  world, it's \xE6\xBC\xA2 <s> 1234\n";
    zx_ids ids = {0};
    zx_text decoded = {0};
    zmlx_status status = zx_tokenizer_encode(tokenizer, text, sizeof text - 1, true, &ids);
    if (status == ZMLX_OK)
        status = zx_tokenizer_decode(tokenizer, ids.items, ids.count, false, &decoded);
    zx_text_fini(&decoded);
    zx_ids_fini(&ids);
    zx_tokenizer_close(tokenizer);
    return status == ZMLX_ERROR_MEMORY ? status : ZMLX_OK;
}

static zmlx_status open_tokenizer_json(const uint8_t *bytes, size_t size)
{
    zx_tokenizer *tokenizer = NULL;
    const zmlx_status status = zx_tokenizer_open_json_bytes(FILE_NAME, bytes, size, &tokenizer);
    return status == ZMLX_OK ? use_tokenizer(tokenizer) : status;
}

static zmlx_status open_tokenizer_model(const uint8_t *bytes, size_t size)
{
    static const zx_tokenizer_options options = {.add_bos = true};
    zx_tokenizer *tokenizer = NULL;
    const zmlx_status status =
        zx_tokenizer_open_model_bytes(FILE_NAME, bytes, size, &options, &tokenizer);
    return status == ZMLX_OK ? use_tokenizer(tokenizer) : status;
}

static zmlx_status open_template(const uint8_t *bytes, size_t size)
{
    static const char given[] =
        "{\"messages\":[{\"role\":\"system\",\"content\":\"Be brief.\"},"
        "{\"role\":\"user\",\"content\":\"Hi\"},{\"role\":\"assistant\",\"content\":null,"
        "\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":{\"a\":[1,2.5]}}}]}],"
        "\"tools\":[{\"name\":\"f\"}],\"bos_token\":\"<s>\",\"add_generation_prompt\":true}";
    const zx_jinja_options options = {.now = 1768478400, .source = FILE_NAME};
    zx_text output = {0};
    json_t *const variables = json_loads(given, 0, NULL);
    if (variables == NULL) return ZMLX_ERROR_MEMORY;
    const zmlx_status status =
        zx_jinja_render((const char *)bytes, size, variables, &options, &output);
    zx_text_fini(&output);
    json_decref(variables);
    return status;
}

/* The index of a folder whose weights are whole. */
static zmlx_status open_index(const uint8_t *bytes, size_t size)
{
    zx_shards shards;
    if (!zx_write_text(zx_in_folder(now.folder, "model.safetensors.index.json"), bytes, size))
        return ZMLX_ERROR_IO;
    const zmlx_status status = zx_shards_open(now.folder, &shards);
    if (status == ZMLX_OK) zx_shards_close(&shards);
    return status;
}

/* The vocabulary and the template of a GGUF file. */
static zmlx_status open_gguf_text(const uint8_t *bytes, size_t size)
{
    zx_text_source *source = NULL;
    zx_tokenizer *tokenizer = NULL;
    const char *const path = zx_in_folder(now.folder, FILE_NAME ".gguf");
    if (!zx_write_text(path, bytes, size)) return ZMLX_ERROR_IO;
    zmlx_status status = zx_text_source_open(path, &source);
    if (status == ZMLX_OK) status = zx_text_source_tokenizer(source, &tokenizer);
    if (status == ZMLX_OK) status = use_tokenizer(tokenizer);
    zx_text_source_close(source);
    return status;
}

/* Limits of templates are an error of memory, and so may be one of them. */
static bool is_refusal(zmlx_status status)
{
    const char *const message = zmlx_error_message();
    if (status == ZMLX_ERROR_MEMORY)
        return strstr(message, "too long") != NULL || strstr(message, "MiB of memory") != NULL;
    return status == ZMLX_ERROR_FORMAT || status == ZMLX_ERROR_UNSUPPORTED ||
           status == ZMLX_ERROR_ARGUMENT || status == ZMLX_ERROR_IO;
}

static bool says_which(void)
{
    const char *const message = zmlx_error_message();
    return strstr(message, FILE_NAME) != NULL ||
           (now.folder != NULL && strstr(message, now.folder) != NULL);
}

static const char *judge(const format_row *format, const zx_text *file)
{
    const size_t size = file->length < ROOM ? file->length : ROOM;
    uint8_t *const bytes = now.memory + ROOM - size;
    if (size > 0) memcpy(bytes, file->bytes, size);
    const double start = zx_seconds();
    zx_meter_start(&now.meter);
    const zmlx_status status = format->open(bytes, size);
    zx_meter_stop(&now.meter);
    const double took = zx_seconds() - start;
    const size_t most = format->times * size;
    if (took > now.slowest) now.slowest = took;
    if (now.meter.peak > most + now.most) now.most = now.meter.peak - most;
    now.files++;
    now.refused += status != ZMLX_OK;
    if (now.meter.now != 0) return "memory is not given back";
    if (status != ZMLX_OK && !is_refusal(status)) return "an error of another kind";
    if (status != ZMLX_OK && !says_which()) return "the message does not name the file";
    if (now.meter.peak > most + format->more) return "it takes too much memory";
    return took > MOST_SECONDS ? "it takes too long" : NULL;
}

static bool behaves(const format_row *format, const zx_text *good)
{
    zx_seed_file seed = {0};
    zx_text file = {0};
    char what[96] = "nothing";
    bool fits = zx_text_add(&seed.bytes, good->bytes, good->length) == ZMLX_OK &&
                format->find(&seed) && judge(format, good) == NULL && now.refused == 0;
    if (!fits) (void)printf("%s: the good file: %s\n", format->name, zmlx_error_message());
    const size_t count = zx_mutations(&seed) + format->random;
    for (size_t i = 0; i < count && fits; i++) {
        fits = zx_mutate(&seed, i, &file, what);
        const char *const wrong = fits ? judge(format, &file) : NULL;
        fits = fits && wrong == NULL;
        if (wrong != NULL)
            (void)printf("%s of %zu bytes, file %zu (%s): %s; %zu bytes, %.3f s, '%s'\n",
                         format->name, seed.bytes.length, i, what, wrong, now.meter.peak,
                         now.slowest, zmlx_error_message());
    }
    zx_seed_file_fini(&seed);
    zx_text_fini(&file);
    return fits;
}

/* Room of ROOM bytes with a page behind it that cannot be read, and all memory watched. */
static bool run(const format_row *format, const zx_text *good)
{
    json_malloc_t usual_alloc;
    json_free_t usual_free;
    now.files = now.refused = now.most = 0;
    now.slowest = 0;
    now.memory =
        mmap(NULL, ROOM + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (now.memory == MAP_FAILED) return false;
    bool fits = mprotect(now.memory + ROOM, PAGE, PROT_NONE) == 0;
    json_get_alloc_funcs(&usual_alloc, &usual_free);
    json_set_alloc_funcs(json_memory, zx_free);
    fits = fits && behaves(format, good);
    json_set_alloc_funcs(usual_alloc, usual_free);
    (void)munmap(now.memory, ROOM + PAGE);
    if (getenv("ZX_HOSTILE") != NULL)
        (void)printf(
            "%s: %zu files, %zu refused, the slowest %.4f s, memory %zu bytes + %zu a byte\n",
            format->name, now.files, now.refused, now.slowest, now.most, format->times);
    return fits && now.files >= LEAST_FILES && now.refused > now.files / 4;
}

static bool run_file(const format_row *format, const char *path)
{
    zx_text good = {0};
    char *bytes = NULL;
    size_t size = 0;
    bool fits = zx_file_read(path, ROOM, &bytes, &size) == ZMLX_OK &&
                zx_text_add(&good, bytes, size) == ZMLX_OK;
    zx_free(bytes);
    fits = fits && run(format, &good);
    zx_text_fini(&good);
    return fits;
}

/* A tokenizer may name 2^20 ids that have no token: 16 bytes each, and as much again while the
 * table grows.  A template is cut into tokens of more than a hundred bytes, some of one character.
 */
enum { TIMES = 64, MORE = 1 << 20, SPARE_IDS = 24 << 20 };

static const format_row gguf = {"GGUF", zx_spots_of_gguf, open_gguf, 600, TIMES, MORE};
static const format_row gguf_text = {"GGUF's text", zx_spots_of_gguf, open_gguf_text, 300, TIMES,
                                     MORE};
static const format_row safetensors = {
    "safetensors", zx_spots_of_safetensors, open_safetensors, 1000, TIMES, MORE};
static const format_row shard_index = {"index", zx_spots_of_text, open_index, 400, TIMES, MORE};
static const format_row config = {"config.json", zx_spots_of_text, open_config, 400, TIMES, MORE};
static const format_row tokenizer_json = {
    "tokenizer.json", zx_spots_of_text, open_tokenizer_json, 400, TIMES, MORE + SPARE_IDS};
static const format_row sentencepiece = {
    "tokenizer.model", zx_spots_of_protobuf, open_tokenizer_model, 400, TIMES, MORE + SPARE_IDS};
static const format_row tiktoken = {"tiktoken", zx_spots_of_text, open_tokenizer_model, 300,
                                    TIMES,      MORE + SPARE_IDS};
static const format_row chat_template = {"template", zx_spots_of_text, open_template,
                                         600,        4 * TIMES,        MORE};

TEST(hostile_gguf)
{
    zx_gguf_maker maker = {0};
    CHECK(zx_make_llama(&maker, NULL));
    CHECK(run(&gguf, &maker.file));
    zx_gguf_maker_fini(&maker);
}

static void gguf_texts(const char *folder)
{
    zx_gguf_maker maker = {0};
    now.folder = folder;
    CHECK(zx_make_string(&maker, "tokenizer.chat_template", "{{ messages[0].content }}"));
    CHECK(zx_make_llama(&maker, NULL));
    const bool fits = run(&gguf_text, &maker.file);
    now.folder = NULL;
    CHECK(fits);
    zx_gguf_maker_fini(&maker);
}

TEST(hostile_gguf_text)
{
    zx_with_folder(gguf_texts);
}

static const char safetensors_head[] =
    "{\"__metadata__\":{\"format\":\"pt\"},"
    "\"model.norm.weight\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},"
    "\"lm_head.weight\":{\"dtype\":\"BF16\",\"shape\":[4],\"data_offsets\":[24,32]}}";

TEST(hostile_safetensors)
{
    zx_text file = {0};
    CHECK(zx_make_safetensors(&file, safetensors_head, 32));
    CHECK(run(&safetensors, &file));
    zx_text_fini(&file);
}

static void indexes(const char *folder)
{
    zx_text file = {0}, index = {0};
    now.folder = folder;
    CHECK(zx_make_safetensors(&file, safetensors_head, 32));
    CHECK(zx_write_text(zx_in_folder(folder, "model-1.safetensors"), file.bytes, file.length));
    CHECK(zx_text_add_string(&index, "{\"metadata\":{\"total_size\":32},\"weight_map\":{"
                                     "\"model.norm.weight\":\"model-1.safetensors\","
                                     "\"lm_head.weight\":\"model-1.safetensors\"}}") == ZMLX_OK);
    const bool fits = run(&shard_index, &index);
    now.folder = NULL;
    zx_text_fini(&file);
    zx_text_fini(&index);
    CHECK(fits);
}

TEST(hostile_index)
{
    zx_with_folder(indexes);
}

static const struct {
    const format_row *format;
    const char *path;
} files[] = {
    {&gguf, "tests/fuzz/corpus/gguf/deepseek2"},
    {&gguf, "tests/fuzz/corpus/gguf/gemma4"},
    {&gguf, "tests/fuzz/corpus/gguf/qwen35"},
    {&config, "tests/fuzz/corpus/config/llama-4bit-g64.json"},
    {&config, "tests/fuzz/corpus/config/deepseek_v3.json"},
    {&config, "tests/fuzz/corpus/config/gpt_oss.json"},
    {&config, "tests/fuzz/corpus/config/phi3.json"},
    {&tokenizer_json, "tests/data/tokenizers-small/bpe_bytelevel/tokenizer.json"},
    {&tokenizer_json, "tests/data/tokenizers-small/unigram_metaspace_nfkc/tokenizer.json"},
    {&tokenizer_json, "tests/data/tokenizers-small/wordpiece_bert/tokenizer.json"},
    {&sentencepiece, "tests/data/sentencepiece/bpe/tokenizer.model"},
    {&sentencepiece, "tests/data/sentencepiece/unigram/tokenizer.model"},
    {&tiktoken, "tests/data/tiktoken/small/tokenizer.model"},
};

TEST(hostile_published_files)
{
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        CHECK_ON(files[i].path, run_file(files[i].format, files[i].path));
}

/* Valgrind is fifty times as slow, which is too long for the longest. */
TEST_MARKED(hostile_templates, "no-valgrind")
{
    static const char text[] =
        "{%- set ns = namespace(found=false, n=3) -%}\n"
        "{%- macro line(role, text) -%}<|{{ role }}|>{{ text | trim }}{{ '\\n' * 2 }}{%- endmacro "
        "-%}\n"
        "{{ bos_token }}{% if tools is defined and tools %}{{ tools | tojson(indent=4) }}{% endif "
        "%}\n"
        "{% for message in messages[0:] %}{# each #}{% if message['role'] == 'system' %}\n"
        "{% set ns.found = true %}{{ line('sys', message.content) }}{% elif message.tool_calls "
        "%}\n"
        "{% for call in message.tool_calls %}{{ call.function.name }}{{ "
        "call.function.arguments | tojson }}{% if not loop.last %}, {% endif %}{% endfor %}\n"
        "{% else %}{{ line(message.role, message.content ~ '%05d' % (loop.index0 + 17)) }}{% "
        "endif %}{% endfor %}\n"
        "{% for i in range(10) %}{{ i * ns.n ** 2 // 7 }}{% endfor %}{{ 'abc'.split('b')[1] }}"
        "{{ messages | map(attribute='role') | join(',') | replace('user', 'u') }}\n"
        "{% if add_generation_prompt and ns.found %}<|assistant|>{% endif %}";
    zx_text good = {0};
    CHECK(zx_text_add_string(&good, text) == ZMLX_OK);
    CHECK(run(&chat_template, &good));
    zx_text_fini(&good);
}

/* More layers than any model has cost memory for each. */
TEST(hostile_counts_of_layers)
{
    static const char *const counts[] = {"1025", "2147483647", "9223372036854775807", "-1", "0"};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        char text[512];
        const int length =
            snprintf(text, sizeof text,
                     "{\"model_type\":\"llama\",\"num_hidden_layers\":%s,\"hidden_size\":32,"
                     "\"num_attention_heads\":2,\"intermediate_size\":64,\"vocab_size\":6}",
                     counts[i]);
        CHECK_ON(counts[i],
                 open_config((const uint8_t *)text, (size_t)length) == ZMLX_ERROR_FORMAT);
        CHECK_ON(counts[i], strstr(zmlx_error_message(), "num_hidden_layers") != NULL);
    }
    zx_gguf_maker maker = {0};
    CHECK(zx_make_llama(&maker, "llama.block_count"));
    CHECK(zx_make_u32(&maker, "llama.block_count", 1025) && zx_make_file(&maker));
    CHECK(open_gguf((const uint8_t *)maker.file.bytes, maker.file.length) == ZMLX_ERROR_FORMAT);
    CHECK(strstr(zmlx_error_message(), "metadata key 'llama.block_count' is 1025") != NULL);
    zx_gguf_maker_fini(&maker);
}

/* Tokens that look like a byte's and are none stand for themselves. */
TEST(hostile_names_of_bytes)
{
    static const char text[] =
        "{\"model\":{\"type\":\"BPE\",\"byte_fallback\":true,\"unk_token\":\"<unk>\",\"merges\":[],"
        "\"vocab\":{\"<unk>\":0,\"<0x-1>\":1,\"<0xC3>\":2,\"<0xA9>\":3,\"<0x1G>\":4,\"<0x\":5,"
        "\"<0x100>\":6}},\"decoder\":{\"type\":\"ByteFallback\"}}";
    static const int32_t odd[] = {1, 4, 5, 6};
    zx_tokenizer *tokenizer = NULL;
    zx_ids ids = {0};
    zx_text decoded = {0};
    CHECK(zx_tokenizer_open_json_bytes(FILE_NAME, text, sizeof text - 1, &tokenizer) == ZMLX_OK);
    bool good = zx_tokenizer_encode(tokenizer, "\xC3\xA9", 2, false, &ids) == ZMLX_OK &&
                ids.count == 2 && ids.items[0] == 2 && ids.items[1] == 3;
    good = good && zx_tokenizer_decode(tokenizer, odd, 4, false, &decoded) == ZMLX_OK &&
           zx_text_add(&decoded, "", 1) == ZMLX_OK;
    const bool same = good && strcmp(decoded.bytes, "<0x-1><0x1G><0x<0x100>") == 0;
    /* a text of 2 GiB is refused by its length, before a byte of it is read */
    const zmlx_status status =
        zx_tokenizer_encode(tokenizer, text, (size_t)INT32_MAX + 1, false, &ids);
    const bool by_length = strstr(zmlx_error_message(), "too long") != NULL;
    zx_text_fini(&decoded);
    zx_ids_fini(&ids);
    zx_tokenizer_close(tokenizer);
    CHECK(good);
    CHECK(same);
    CHECK(status == ZMLX_ERROR_ARGUMENT && by_length);
}
