#include "moe/Runtime/Tokenizer.h"
namespace moe::runtime {
Result<std::unique_ptr<Tokenizer>> parseTokenizerJson(std::string_view json){return fail("stub");}
Result<std::unique_ptr<Tokenizer>> parseTokenizerModel(std::string_view bytes, const SentencePieceOptions &options){return fail("stub");}
}
