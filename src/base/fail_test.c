/* fail_test.c - the message is this thread's, bounded, and may quote the one before. */
#include <pthread.h>
#include <string.h>

#include "base/fail.h"
#include "base/test.h"

static zmlx_status fails(void)
{
    return ZX_FAIL(ZMLX_ERROR_SHAPE, "rows %d, not %d", 3, 4);
}

static zmlx_status passes_on(void)
{
    ZX_TRY(fails());
    return ZMLX_OK;
}

TEST(fail_records_and_travels)
{
    CHECK(passes_on() == ZMLX_ERROR_SHAPE);
    CHECK(strcmp(zmlx_error_message(), "rows 3, not 4") == 0);
}

TEST(fail_may_quote_the_message_before)
{
    CHECK(fails() == ZMLX_ERROR_SHAPE);
    zx_record_failure("layer 7: %s", zmlx_error_message());
    CHECK(strcmp(zmlx_error_message(), "layer 7: rows 3, not 4") == 0);
}

TEST(fail_bounds_the_message)
{
    char endless[5000];
    memset(endless, 'x', sizeof endless - 1);
    endless[sizeof endless - 1] = 0;
    zx_record_failure("%s", endless);
    CHECK(strlen(zmlx_error_message()) > 100 && strlen(zmlx_error_message()) < 4096);
}

static void *fail_elsewhere(void *unused)
{
    zx_record_failure("elsewhere");
    return unused;
}

TEST(fail_message_belongs_to_its_thread)
{
    pthread_t thread;
    CHECK(fails() == ZMLX_ERROR_SHAPE);
    CHECK(pthread_create(&thread, NULL, fail_elsewhere, NULL) == 0);
    (void)pthread_join(thread, NULL);
    CHECK(strcmp(zmlx_error_message(), "rows 3, not 4") == 0);
}

TEST(fail_every_status_has_a_text)
{
    for (int i = ZMLX_OK; i <= ZMLX_ERROR_DEVICE; i++) {
        CHECK(strcmp(zmlx_status_text((zmlx_status)i), "unknown status") != 0);
        for (int j = ZMLX_OK; j < i; j++)
            CHECK(strcmp(zmlx_status_text((zmlx_status)i), zmlx_status_text((zmlx_status)j)) != 0);
    }
}
