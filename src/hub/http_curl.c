/* http_curl.c - requests by libcurl's easy interface.
 *
 * libcurl would follow redirects itself; which hosts it hands a header on to depends on its
 * version, so that is decided here. */
#include <curl/curl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/fail.h"
#include "base/memory.h"
#include "hub/http.h"

enum { MOST_REDIRECTS = 10, MOST_DROPPED = 1 << 20, URL_SHOWN = 512 };

struct zx_http {
    CURL *curl;
    zx_http_setup setup;
    /* Of the request that runs: */
    const zx_http_request *request;
    zx_http_answer *answer;
    zmlx_status taken; /* what 'take' said last */
    size_t dropped;    /* bytes of a body that nobody wants */
    char reason[CURL_ERROR_SIZE];
};

static CURLcode global;

static void start_library(void)
{
    global = curl_global_init(CURL_GLOBAL_DEFAULT);
}

/* The value of a header's line where its name is this one, without spaces around it. */
static bool read_header(const char *line, size_t length, const char *name, char *value, size_t room)
{
    const size_t named = strlen(name);
    if (length <= named || line[named] != ':' || strncasecmp(line, name, named) != 0) return false;
    const char *at = line + named + 1, *end = line + length;
    while (at < end && (*at == ' ' || *at == '\t')) at++;
    while (end > at && (unsigned char)end[-1] <= ' ') end--;
    size_t used = 0;
    for (; at < end && used + 1 < room; at++)
        value[used++] = (unsigned char)*at < ' ' || *at == 0x7f ? '?' : *at;
    value[used] = 0;
    return true;
}

static size_t on_header(char *line, size_t size, size_t count, void *user)
{
    zx_http *const http = user;
    zx_http_answer *const answer = http->answer;
    const size_t length = size * count;
    char value[64] = "";
    /* A status line: what came before were the headers of a '100 Continue'. */
    if (length >= 5 && memcmp(line, "HTTP/", 5) == 0) *answer = (zx_http_answer){0};
    if (read_header(line, length, "content-range", value, sizeof value) &&
        strncmp(value, "bytes ", 6) == 0 && value[6] >= '0' && value[6] <= '9') {
        answer->has_range = true;
        answer->first = (size_t)strtoull(value + 6, NULL, 10);
    }
    (void)read_header(line, length, "x-error-code", answer->kind, sizeof answer->kind);
    (void)read_header(line, length, "x-error-message", answer->error, sizeof answer->error);
    return length;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *user)
{
    zx_http *const http = user;
    zx_http_answer *const answer = http->answer;
    (void)curl_easy_getinfo(http->curl, CURLINFO_RESPONSE_CODE, &answer->code);
    if (answer->code == 200 || answer->code == 206)
        http->taken = http->request->take(http->request->user, answer, bytes, size * count);
    else
        http->dropped += size * count;
    if (http->dropped > MOST_DROPPED)
        http->taken = ZX_FAIL(ZMLX_ERROR_IO, "%s: HTTP %ld with a body of more than %d bytes",
                              http->request->url, answer->code, MOST_DROPPED);
    return http->taken == ZMLX_OK ? size * count : 0;
}

static int on_progress(void *user, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    const zx_http *const http = user;
    (void)a, (void)b, (void)c, (void)d;
    return http->setup.stop != NULL && http->setup.stop(http->setup.user) ? 1 : 0;
}

static bool set_up(zx_http *http)
{
    CURL *const curl = http->curl;
    CURLcode bad = CURLE_OK;
#if LIBCURL_VERSION_NUM >= 0x075500
    bad |= curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
#else
    bad |= curl_easy_setopt(curl, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
    bad |= curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    bad |= curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    bad |= curl_easy_setopt(curl, CURLOPT_USERAGENT, "zmlx");
    bad |= curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, http->reason);
    bad |= curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    bad |= curl_easy_setopt(curl, CURLOPT_HEADERDATA, http);
    bad |= curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    bad |= curl_easy_setopt(curl, CURLOPT_WRITEDATA, http);
    bad |= curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    bad |= curl_easy_setopt(curl, CURLOPT_XFERINFODATA, http);
    bad |= curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    bad |= curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    return bad == CURLE_OK;
}

/* The system's certificates count no more where others are given.  What libcurl cannot forget it
 * did not know: not every TLS library takes folders. */
static zmlx_status set_certificates(zx_http *http)
{
    const char *const file = http->setup.ca_file, *const folder = http->setup.ca_folder;
    if (file == NULL && folder == NULL) return ZMLX_OK;
    (void)curl_easy_setopt(http->curl, CURLOPT_CAINFO, NULL);
    (void)curl_easy_setopt(http->curl, CURLOPT_CAPATH, NULL);
    const CURLcode code = file != NULL ? curl_easy_setopt(http->curl, CURLOPT_CAINFO, file)
                                       : curl_easy_setopt(http->curl, CURLOPT_CAPATH, folder);
    if (code == CURLE_OK) return ZMLX_OK;
    return ZX_FAIL(code == CURLE_OUT_OF_MEMORY ? ZMLX_ERROR_MEMORY : ZMLX_ERROR_UNSUPPORTED,
                   "libcurl cannot take certificates from the %s '%s': %s",
                   file != NULL ? "file" : "folder", file != NULL ? file : folder,
                   curl_easy_strerror(code));
}

zmlx_status zx_http_open(const zx_http_setup *setup, zx_http **http)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    void *memory = NULL;
    (void)pthread_once(&once, start_library);
    if (global != CURLE_OK)
        return ZX_FAIL(ZMLX_ERROR_IO, "libcurl cannot start: %s", curl_easy_strerror(global));
    ZX_TRY(zx_alloc(sizeof **http, "HTTP client", &memory));
    zx_http *const fresh = memory;
    fresh->setup = *setup;
    fresh->curl = curl_easy_init();
    if (fresh->curl == NULL || !set_up(fresh)) {
        zx_http_close(fresh);
        return ZX_FAIL(ZMLX_ERROR_MEMORY, "libcurl cannot make a client");
    }
    const zmlx_status status = set_certificates(fresh);
    if (status == ZMLX_OK)
        *http = fresh;
    else
        zx_http_close(fresh);
    return status;
}

void zx_http_close(zx_http *http)
{
    if (http == NULL) return;
    curl_easy_cleanup(http->curl);
    zx_free(http);
}

/* "scheme://host:port" of a URL; false where it is none. */
static bool read_origin(const char *url, char *origin, size_t room)
{
    char *scheme = NULL, *host = NULL, *port = NULL;
    CURLU *const parts = curl_url();
    const bool good = parts != NULL && curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK &&
                      curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
                      curl_url_get(parts, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
                      curl_url_get(parts, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK;
    const int used = good ? snprintf(origin, room, "%s://%s:%s", scheme, host, port) : -1;
    curl_free(scheme);
    curl_free(host);
    curl_free(port);
    curl_url_cleanup(parts);
    return used > 0 && (size_t)used < room;
}

static bool is_secure(const char *url)
{
    return strncasecmp(url, "https:", 6) == 0;
}

/* An address as messages show it: without a user's password or a signature behind '?'. */
static const char *shown(const char *url, char text[URL_SHOWN])
{
    const char *scheme = strstr(url, "://");
    const char *host = scheme == NULL ? url : scheme + 3;
    const char *user = memchr(host, '@', strcspn(host, "/?#"));
    if (user != NULL) host = user + 1;
    const size_t before = scheme == NULL ? 0 : (size_t)(scheme + 3 - url);
    (void)snprintf(text, URL_SHOWN, "%.*s%.*s", (int)before, url, (int)strcspn(host, "?#"), host);
    return text;
}

/* What curl's failure means for whoever asked. */
static zmlx_status explain(const zx_http *http, const char *url, CURLcode code)
{
    static const CURLcode final[] = {
        CURLE_UNSUPPORTED_PROTOCOL,     CURLE_URL_MALFORMAT,      CURLE_OUT_OF_MEMORY,
        CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CACERT_BADFILE, CURLE_WRITE_ERROR,
    };
    zx_http_answer *const answer = http->answer;
    char text[URL_SHOWN];
    if (http->taken != ZMLX_OK) return http->taken;
    answer->stopped = code == CURLE_ABORTED_BY_CALLBACK;
    answer->cut = !answer->stopped;
    for (size_t i = 0; i < sizeof final / sizeof *final; i++)
        if (code == final[i]) answer->cut = false;
    return ZX_FAIL(code == CURLE_OUT_OF_MEMORY ? ZMLX_ERROR_MEMORY : ZMLX_ERROR_IO, "%s: %s",
                   shown(url, text),
                   http->reason[0] != 0 ? http->reason : curl_easy_strerror(code));
}

/* The header with the token, in *headers; none without a token. */
static zmlx_status add_token(const char *token, struct curl_slist **headers)
{
    zx_text line = {0};
    if (token == NULL) return ZMLX_OK;
    zmlx_status status = zx_text_format(&line, "Authorization: Bearer %s", token);
    if (status == ZMLX_OK) *headers = curl_slist_append(NULL, line.bytes);
    if (status == ZMLX_OK && *headers == NULL)
        status = ZX_FAIL(ZMLX_ERROR_MEMORY, "libcurl: no memory for a header");
    zx_text_fini(&line);
    return status;
}

/* One request, without its redirects. */
static zmlx_status send_once(zx_http *http, const char *url, const char *token)
{
    const zx_http_request *const request = http->request;
    struct curl_slist *headers = NULL;
    char range[32];
    curl_off_t wait = 0;
    ZX_TRY(add_token(token, &headers));
    *http->answer = (zx_http_answer){0};
    http->reason[0] = 0;
    http->dropped = 0;
    (void)snprintf(range, sizeof range, "%zu-", request->from);
    (void)curl_easy_setopt(http->curl, CURLOPT_URL, url);
    (void)curl_easy_setopt(http->curl, CURLOPT_HTTPHEADER, headers);
    (void)curl_easy_setopt(http->curl, CURLOPT_CONNECTTIMEOUT, request->connect_seconds);
    (void)curl_easy_setopt(http->curl, CURLOPT_LOW_SPEED_TIME, request->stall_seconds);
    (void)curl_easy_setopt(http->curl, CURLOPT_RANGE, request->from > 0 ? range : NULL);
    const CURLcode code = curl_easy_perform(http->curl);
    (void)curl_easy_getinfo(http->curl, CURLINFO_RESPONSE_CODE, &http->answer->code);
    if (curl_easy_getinfo(http->curl, CURLINFO_RETRY_AFTER, &wait) == CURLE_OK && wait > 0)
        http->answer->wait = wait < INT32_MAX ? (long)wait : INT32_MAX;
    (void)curl_easy_setopt(http->curl, CURLOPT_HTTPHEADER, NULL);
    curl_slist_free_all(headers);
    return code == CURLE_OK ? ZMLX_OK : explain(http, url, code);
}

/* Where the answer sends us, in *next; empty where it is the last one. */
static zmlx_status find_next(const zx_http *http, const char *url, zx_text *next)
{
    char *location = NULL, text[2][URL_SHOWN];
    zx_text_clear(next);
    if (http->answer->code < 300 || http->answer->code > 399) return ZMLX_OK;
    if (curl_easy_getinfo(http->curl, CURLINFO_REDIRECT_URL, &location) != CURLE_OK ||
        location == NULL)
        return ZX_FAIL(ZMLX_ERROR_IO, "%s: HTTP %ld without a usable Location", shown(url, text[0]),
                       http->answer->code);
    if (is_secure(url) && !is_secure(location))
        return ZX_FAIL(ZMLX_ERROR_IO, "%s: redirects to %s, which is not https",
                       shown(url, text[0]), shown(location, text[1]));
    return zx_text_add_string(next, location);
}

zmlx_status zx_http_send(zx_http *http, const zx_http_request *request, zx_http_answer *answer)
{
    char home[512], origin[512];
    zx_text url = {0}, next = {0};
    size_t sent = 0;
    http->request = request;
    http->answer = answer;
    http->taken = ZMLX_OK;
    *answer = (zx_http_answer){0};
    if (!read_origin(request->url, home, sizeof home))
        return ZX_FAIL(ZMLX_ERROR_ARGUMENT, "%s: is no URL", request->url);
    zmlx_status status = zx_text_add_string(&next, request->url);
    while (status == ZMLX_OK && next.length > 0) {
        zx_text_clear(&url);
        status = zx_text_add(&url, next.bytes, next.length);
        if (status == ZMLX_OK && sent++ > MOST_REDIRECTS)
            status =
                ZX_FAIL(ZMLX_ERROR_IO, "%s: more than %d redirects", request->url, MOST_REDIRECTS);
        if (status != ZMLX_OK) break;
        const bool same =
            read_origin(url.bytes, origin, sizeof origin) && strcasecmp(origin, home) == 0;
        status = send_once(http, url.bytes, same ? http->setup.token : NULL);
        if (status == ZMLX_OK) status = find_next(http, url.bytes, &next);
    }
    zx_text_fini(&url);
    zx_text_fini(&next);
    return status;
}
