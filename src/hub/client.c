/* client.c - the environment as huggingface_hub reads it, patience, and the hub's refusals in
 * words. */
#include "hub/client.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/clock.h"
#include "base/fail.h"
#include "base/file.h"
#include "base/memory.h"
#include "hub/cache.h"

enum { TOKEN_BYTES = 4096, MOST_TRIES = 5, DEFAULT_SECONDS = 10, MOST_SECONDS = 86400 };
static const double first_pause = 0.5, longest_pause = 60;

zmlx_status zx_hub_quote(const char *part, size_t length, bool slashes, zx_text *url)
{
    for (size_t i = 0; i < length; i++) {
        const char c = part[i];
        const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                           (c >= 'A' && c <= 'Z') || c == '-' || c == '_' || c == '.' || c == '~';
        if (plain || (slashes && c == '/'))
            ZX_TRY(zx_text_add(url, &c, 1));
        else
            ZX_TRY(zx_text_format(url, "%%%02X", (unsigned)(unsigned char)c));
    }
    return ZMLX_OK;
}

/* A token without the spaces and newlines around it; it becomes part of a header. */
static zmlx_status take_token(const char *where, const char *text, zx_text *token)
{
    while (*text != 0 && (unsigned char)*text <= ' ') text++;
    size_t length = strlen(text);
    while (length > 0 && (unsigned char)text[length - 1] <= ' ') length--;
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)text[i] <= ' ' || (unsigned char)text[i] >= 0x7f)
            return ZX_FAIL(ZMLX_ERROR_ARGUMENT, "%s: expected a token without spaces", where);
    return zx_text_add(token, text, length);
}

static zmlx_status read_token_file(zx_text *token)
{
    const char *const set = getenv("HF_TOKEN_PATH");
    zx_text path = {0};
    char *text = NULL;
    size_t size = 0;
    zmlx_status status = set != NULL ? zx_hub_expand(set, &path) : zx_hub_home(&path);
    if (status == ZMLX_OK && set == NULL) status = zx_text_add_string(&path, "/token");
    if (status == ZMLX_OK && path.length > 0 && zx_path_exists(path.bytes)) {
        status = zx_file_read(path.bytes, TOKEN_BYTES, &text, &size);
        if (status == ZMLX_OK) status = take_token(path.bytes, text, token);
    }
    zx_free(text);
    zx_text_fini(&path);
    return status;
}

static bool is_set(const char *name)
{
    static const char *const yes[] = {"1", "on", "yes", "true"};
    const char *const value = getenv(name);
    for (size_t i = 0; value != NULL && i < sizeof yes / sizeof *yes; i++)
        if (strcasecmp(value, yes[i]) == 0) return true;
    return false;
}

/* The first of them that is not empty counts. */
static const char *offline(void)
{
    static const char *const names[] = {"HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"};
    const char *const first = getenv(names[0]);
    const char *const name = names[first == NULL || *first == 0];
    return is_set(name) ? name : NULL;
}

static zmlx_status read_token(zx_text *token)
{
    static const char *const names[] = {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"};
    if (is_set("HF_HUB_DISABLE_IMPLICIT_TOKEN")) return ZMLX_OK;
    for (size_t i = 0; i < 2 && token->length == 0; i++) {
        const char *const value = getenv(names[i]);
        if (value != NULL) ZX_TRY(take_token(names[i], value, token));
    }
    return token->length > 0 ? ZMLX_OK : read_token_file(token);
}

static zmlx_status read_seconds(const char *name, long *seconds)
{
    const char *const value = getenv(name);
    char *end = NULL;
    *seconds = DEFAULT_SECONDS;
    if (value == NULL || *value == 0) return ZMLX_OK;
    *seconds = strtol(value, &end, 10);
    if (*end != 0 || *seconds < 1 || *seconds > MOST_SECONDS)
        return ZX_FAIL(ZMLX_ERROR_ARGUMENT, "%s: '%s': expected seconds, 1 to %d", name, value,
                       MOST_SECONDS);
    return ZMLX_OK;
}

/* Certificates of one's own, in place of the system's.  Of two the file counts, and one that is
 * missing is an error, as with huggingface_hub: a proxy's certificate would not be found.  The
 * folders may be several, "a:b", and missing ones hold no certificates, as OpenSSL has it. */
static zmlx_status read_certificates(zx_hub_client *client)
{
    const char *const file = getenv("SSL_CERT_FILE"), *const folders = getenv("SSL_CERT_DIR");
    if (file != NULL && *file != 0) {
        if (!zx_path_exists(file) || zx_path_is_directory(file))
            return ZX_FAIL(ZMLX_ERROR_ARGUMENT,
                           "SSL_CERT_FILE: '%s': expected a file of certificates", file);
        return zx_text_add_string(&client->ca_file, file);
    }
    if (folders == NULL || *folders == 0) return ZMLX_OK;
    return zx_text_add_string(&client->ca_folder, folders);
}

static zmlx_status read_environment(zx_hub_client *client)
{
    const char *endpoint = getenv("HF_ENDPOINT");
    const char *const barrier = offline();
    if (barrier != NULL) return ZX_FAIL(ZMLX_ERROR_IO, "%s is set: no network is asked", barrier);
    if (endpoint == NULL || *endpoint == 0) endpoint = "https://huggingface.co";
    if (strncmp(endpoint, "http://", 7) != 0 && strncmp(endpoint, "https://", 8) != 0)
        return ZX_FAIL(ZMLX_ERROR_ARGUMENT, "HF_ENDPOINT: '%s': expected http:// or https://",
                       endpoint);
    size_t length = strlen(endpoint);
    while (endpoint[length - 1] == '/') length--;
    ZX_TRY(zx_text_add(&client->endpoint, endpoint, length));
    ZX_TRY(read_seconds("HF_HUB_ETAG_TIMEOUT", &client->connect_seconds));
    ZX_TRY(read_seconds("HF_HUB_DOWNLOAD_TIMEOUT", &client->stall_seconds));
    ZX_TRY(read_certificates(client));
    return read_token(&client->token);
}

zmlx_status zx_hub_client_init(zx_hub_client *client)
{
    *client = (zx_hub_client){0};
    const zmlx_status status = read_environment(client);
    if (status != ZMLX_OK) zx_hub_client_fini(client);
    return status;
}

void zx_hub_client_fini(zx_hub_client *client)
{
    zx_text_fini(&client->endpoint);
    zx_text_fini(&client->token);
    zx_text_fini(&client->ca_file);
    zx_text_fini(&client->ca_folder);
    *client = (zx_hub_client){0};
}

static const char *or_null(const zx_text *text)
{
    return text->length > 0 ? text->bytes : NULL;
}

zmlx_status zx_hub_client_open(const zx_hub_client *client, zx_http **http)
{
    return zx_http_open(&(zx_http_setup){.token = or_null(&client->token),
                                         .ca_file = or_null(&client->ca_file),
                                         .ca_folder = or_null(&client->ca_folder),
                                         .stop = client->stop,
                                         .user = client->user},
                        http);
}

/* The hub's refusal in words; the first row that fits. */
static zmlx_status refuse(const zx_hub_download *download, const zx_http_answer *answer)
{
    static const struct {
        long code;
        const char *kind, *text;
    } rows[] = {
        {0, "GatedRepo", "the model is gated: ask for access on its page and set HF_TOKEN"},
        {0, "RevisionNotFound", "the model has no such revision"},
        {0, "EntryNotFound", "the revision has no such file"},
        {401, NULL,
         "the hub knows no such model, or it is private or gated: check the name, or set HF_TOKEN "
         "to a token that may read it"},
        {403, NULL, "the token may not read it"},
        {0, "RepoNotFound", "the hub knows no such model"},
        {404, NULL, "the hub knows no such model or revision"},
        {429, NULL, "too many requests; later it may go"},
        {0, NULL, "not what was asked for"},
    };
    size_t row = 0;
    while ((rows[row].code != 0 && rows[row].code != answer->code) ||
           (rows[row].kind != NULL && strcmp(rows[row].kind, answer->kind) != 0))
        row++;
    const bool said = answer->error[0] != 0;
    if (answer->code == 416)
        return ZX_FAIL(ZMLX_ERROR_FORMAT, "%s: has fewer bytes than the list says", download->what);
    return ZX_FAIL(ZMLX_ERROR_IO, "%s: HTTP %ld: %s%s%s%s", download->what, answer->code,
                   rows[row].text, said ? " (the hub: " : "", answer->error, said ? ")" : "");
}

/* False where it was stopped. */
static bool pause_for(const zx_hub_client *client, double seconds)
{
    const double end = zx_seconds() + seconds;
    while (zx_seconds() < end) {
        if (client->stop != NULL && client->stop(client->user)) return false;
        (void)nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    }
    return true;
}

static bool may_pass(long code)
{
    return code == 408 || code == 429 || (code >= 500 && code <= 599);
}

/* One try; *again says whether another one may help. */
static zmlx_status try_once(const zx_hub_client *client, zx_http *http, zx_hub_download *download,
                            zx_http_answer *answer, bool *again)
{
    const zx_http_request request = {
        .url = download->url,
        .from = download->done,
        .connect_seconds = client->connect_seconds,
        .stall_seconds = client->stall_seconds,
        .take = download->take,
        .user = download->user,
    };
    if (download->begin != NULL) download->begin(download->user);
    const zmlx_status status = zx_http_send(http, &request, answer);
    download->stopped = answer->stopped;
    *again = answer->cut;
    if (status != ZMLX_OK) return status;
    *again = may_pass(answer->code);
    if (answer->code != 200 && answer->code != 206) return refuse(download, answer);
    if (download->size == SIZE_MAX || download->done == download->size) return ZMLX_OK;
    *again = download->done < download->size;
    return ZX_FAIL(ZMLX_ERROR_IO, "%s: %zu bytes came, expected %zu", download->what,
                   download->done, download->size);
}

zmlx_status zx_hub_get(const zx_hub_client *client, zx_http *http, zx_hub_download *download)
{
    double pause = first_pause;
    for (int tries = 1;; tries++) {
        zx_http_answer answer = {0};
        bool again = false;
        const size_t before = download->done;
        const zmlx_status status = try_once(client, http, download, &answer, &again);
        if (status == ZMLX_OK || !again) return status;
        if (download->done > before) {
            tries = 0;
            pause = first_pause;
        }
        if (tries >= MOST_TRIES) return status;
        double wait = answer.wait > 0 ? (double)answer.wait : pause;
        if (wait > longest_pause) wait = longest_pause;
        pause *= 2;
        if (!pause_for(client, wait)) {
            download->stopped = true;
            return status;
        }
    }
}
