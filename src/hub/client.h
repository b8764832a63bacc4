/* client.h - what the environment says about the hub, and a download that is tried again where that
 * may help. */
#ifndef ZX_HUB_CLIENT_H
#define ZX_HUB_CLIENT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"
#include "hub/http.h"

typedef struct zx_hub_client {  /* {0} is empty */
    zx_text endpoint, token;    /* token: empty where there is none */
    zx_text ca_file, ca_folder; /* at most one is not empty */
    long connect_seconds, stall_seconds;
    bool (*stop)(void *user);
    void *user;
} zx_hub_client;

/* Reads HF_ENDPOINT, HF_TOKEN, HUGGING_FACE_HUB_TOKEN, HF_TOKEN_PATH, HF_HOME/token, SSL_CERT_FILE,
 * SSL_CERT_DIR and the two timeouts; ZMLX_ERROR_IO where HF_HUB_OFFLINE or
 * TRANSFORMERS_OFFLINE forbids asking. */
ZMLX_MUST_CHECK zmlx_status zx_hub_client_init(zx_hub_client *client);
void zx_hub_client_fini(zx_hub_client *client);

ZMLX_MUST_CHECK zmlx_status zx_hub_client_open(const zx_hub_client *client, zx_http **http);

typedef struct zx_hub_download {
    const char *what, *url;    /* 'what' for messages */
    size_t done;               /* bytes there: moved on by 'take', asked for from there on */
    size_t size;               /* bytes in all; SIZE_MAX: whatever comes */
    void (*begin)(void *user); /* before each try */
    zmlx_status (*take)(void *user, const zx_http_answer *answer, const char *bytes, size_t count);
    void *user;
    bool stopped; /* the client's 'stop' ended it */
} zx_hub_download;

/* ZMLX_OK where all came.  Cuts, 408, 429 and 5xx are tried again, five times without a new byte at
 * most, after what Retry-After says (at most a minute) or ever longer pauses. */
ZMLX_MUST_CHECK zmlx_status zx_hub_get(const zx_hub_client *client, zx_http *http,
                                       zx_hub_download *download);

/* Appends a part of a URL with all but letters, digits and "-_.~" (and '/' where 'slashes') as %XX.
 */
ZMLX_MUST_CHECK zmlx_status zx_hub_quote(const char *part, size_t length, bool slashes,
                                         zx_text *url);

#endif
