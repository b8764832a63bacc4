#include "base/test.h"
#include "hub/parts.h"

TEST(parts_of_a_model_are_known_by_their_names)
{
    CHECK(!zx_parts_is_later("m.gguf") && !zx_parts_is_later("m-00001-of-00003.gguf"));
    CHECK(zx_parts_is_later("m-00002-of-00003.gguf"));
    CHECK(!zx_parts_is_later("m-0002-of-00003.gguf") && !zx_parts_is_later("-00002-of-00003.gguf"));
    CHECK(zx_parts_same_model("q/m-00001-of-00003.gguf", "q/m-00003-of-00003.gguf"));
    CHECK(!zx_parts_same_model("q/m-00001-of-00003.gguf", "q/m-00003-of-00004.gguf"));
    CHECK(!zx_parts_same_model("q/m-00001-of-00003.gguf", "q/n-00001-of-00003.gguf"));
    CHECK(zx_parts_same_model("a.gguf", "a.gguf") && !zx_parts_same_model("a.gguf", "b.gguf"));
}
