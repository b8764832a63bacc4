#include <string.h>

#include "base/test.h"
#include "model/choices.h"
#include "zmlx/session.h"

TEST(public_dtypes_and_precisions_have_a_meaning_each)
{
    static const zx_precision precisions[] = {ZX_PRECISION_Q16, ZX_PRECISION_F32, ZX_PRECISION_Q16,
                                              ZX_PRECISION_Q8};
    zx_precision precision;
    zx_dtype dtype;
    for (int i = 0; i < 4; i++) {
        CHECK(zx_choose_precision((zmlx_precision)i, &precision) == ZMLX_OK);
        CHECK(precision == precisions[i]);
    }
    for (int i = ZMLX_DTYPE_F32; i <= ZMLX_DTYPE_BF16; i++) {
        CHECK(zx_choose_dtype((zmlx_dtype)i, "kv", ZX_I8, &dtype) == ZMLX_OK);
        CHECK(dtype != ZX_I8 && zx_public_dtype(dtype) == (zmlx_dtype)i);
    }
    CHECK(zx_choose_dtype(ZMLX_DTYPE_DEFAULT, "kv", ZX_BF16, &dtype) == ZMLX_OK);
    CHECK(dtype == ZX_BF16 && zx_public_dtype(ZX_I8) == ZMLX_DTYPE_DEFAULT);
}

TEST(what_is_none_of_the_enums_is_refused_everywhere)
{
    zmlx_model *model = NULL;
    zmlx_string text;
    zmlx_memory memory;
    const zmlx_precision none = (zmlx_precision)4;
    const zmlx_dtype no_dtype = (zmlx_dtype)4;
    CHECK(zmlx_model_open("tests/golden/llama", &(zmlx_model_options){.dtype = no_dtype}, &model) ==
          ZMLX_ERROR_ARGUMENT);
    CHECK(strstr(zmlx_error_message(), "activations: dtype 4 is not known") != NULL);
    CHECK(zmlx_model_open("tests/golden/llama", NULL, &model) == ZMLX_OK);
    CHECK(zmlx_model_print_graph(model, &(zmlx_graph_options){.precision = none}, &text) ==
          ZMLX_ERROR_ARGUMENT);
    CHECK(strstr(zmlx_error_message(), "precision 4 is not known; expected 0 to 3") != NULL);
    CHECK(zmlx_model_print_graph(model, &(zmlx_graph_options){.precision = (zmlx_precision)-1},
                                 &text) == ZMLX_ERROR_ARGUMENT);
    CHECK(zmlx_session_estimate(model, &(zmlx_session_options){.precision = none}, &memory) ==
          ZMLX_ERROR_ARGUMENT);
    CHECK(zmlx_session_estimate(model, &(zmlx_session_options){.kv = no_dtype}, &memory) ==
          ZMLX_ERROR_ARGUMENT);
    CHECK(strstr(zmlx_error_message(), "keys and values: dtype 4 is not known") != NULL);
    zmlx_model_close(model);
    CHECK(zx_test_live_blocks() == 0);
}
