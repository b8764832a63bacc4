/* http_none.c - what stands in for http_curl.c where the build has no libcurl. */
#include "base/fail.h"
#include "hub/http.h"

static const char message[] = "this zmlx was built without libcurl and asks no network";

zmlx_status zx_http_open(const zx_http_setup *setup, zx_http **http)
{
    (void)setup, (void)http;
    return ZX_FAIL(ZMLX_ERROR_UNSUPPORTED, "%s", message);
}

void zx_http_close(zx_http *http)
{
    (void)http;
}

zmlx_status zx_http_send(zx_http *http, const zx_http_request *request, zx_http_answer *answer)
{
    (void)http, (void)request;
    *answer = (zx_http_answer){0};
    return ZX_FAIL(ZMLX_ERROR_UNSUPPORTED, "%s", message);
}
