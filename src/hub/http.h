/* http.h - one request at a time over HTTP or HTTPS, by libcurl.
 *
 * Redirects are followed here, at most ten, to http and https alone and never from https to http;
 * the token goes where the request's own URL leads and to no other scheme, host or port.
 * Certificates are verified.  A build without libcurl fails with ZMLX_ERROR_UNSUPPORTED. */
#ifndef ZX_HUB_HTTP_H
#define ZX_HUB_HTTP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"

typedef struct zx_http zx_http; /* keeps its connections; for one thread at a time */

typedef struct zx_http_setup { /* its texts and 'user' must outlive the zx_http */
    const char *token;         /* NULL: none */
    /* Whose signatures alone count: certificates in a file, or else in folders, "a:b",
     * named by their hashes as OpenSSL does; NULL and NULL: those of the system. */
    const char *ca_file, *ca_folder;
    bool (*stop)(void *user); /* NULL: never; asked about once a second, true ends the request */
    void *user;
} zx_http_setup;

typedef struct zx_http_answer {
    long code;       /* of HTTP; 0: none came */
    bool cut;        /* no answer, or not all of it: trying again may help */
    bool stopped;    /* 'stop' said so */
    bool has_range;  /* Content-Range said where the body begins: */
    size_t first;    /* 0 without it */
    long wait;       /* Retry-After in seconds, 0 without it */
    char kind[32];   /* X-Error-Code of the hub, or empty */
    char error[256]; /* X-Error-Message, or empty */
} zx_http_answer;

typedef struct zx_http_request {
    const char *url;
    size_t from;          /* not 0: a Range from this byte on is asked for */
    long connect_seconds; /* until a connection stands */
    long stall_seconds;   /* without a byte */
    /* Takes a piece of the body of an answer 200 or 206; a failure ends the request. */
    zmlx_status (*take)(void *user, const zx_http_answer *answer, const char *bytes, size_t count);
    void *user;
} zx_http_request;

ZMLX_MUST_CHECK zmlx_status zx_http_open(const zx_http_setup *setup, zx_http **http);
void zx_http_close(zx_http *http); /* NULL does nothing */

/* ZMLX_OK where an answer came, whatever its code, to its end.  Else the reason: ZMLX_ERROR_IO with
 * answer->cut or answer->stopped where it was the network or 'stop', and what 'take' said. */
ZMLX_MUST_CHECK zmlx_status zx_http_send(zx_http *http, const zx_http_request *request,
                                         zx_http_answer *answer);

#endif
