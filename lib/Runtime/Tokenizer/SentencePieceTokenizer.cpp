#include "moe/Runtime/Tokenizer.h"
namespace moe::runtime {
Result<std::unique_ptr<Tokenizer>> parseTokenizerModel(std::string_view bytes, const SentencePieceOptions &options){return fail("stub");}
}
