//===- CharacterClass.h - Classes of code points ----------------*- C++ -*-===//
//
// Part of moe-mlir. As Rust's char methods, which tokenizer.json's steps call.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_TOKENIZER_CHARACTERCLASS_H
#define MOE_RUNTIME_TOKENIZER_CHARACTERCLASS_H

#include <cstdint>
#include <utf8proc.h>

namespace moe::runtime {

inline utf8proc_category_t categoryOf(uint32_t c) {
  return utf8proc_category(utf8proc_int32_t(c));
}

/// Unicode's White_Space.
inline bool isSpace(uint32_t c) {
  return c == ' ' || (c >= 9 && c <= 13) || c == 0x85 || c == 0xA0 ||
         c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 ||
         c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

inline bool isNumeric(uint32_t c) {
  utf8proc_category_t category = categoryOf(c);
  return category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO;
}

inline bool isMark(uint32_t c) {
  utf8proc_category_t category = categoryOf(c);
  return category >= UTF8PROC_CATEGORY_MN && category <= UTF8PROC_CATEGORY_ME;
}

inline bool isPunctuation(uint32_t c) {
  bool ascii = (c >= 0x21 && c <= 0x2F) || (c >= 0x3A && c <= 0x40) ||
               (c >= 0x5B && c <= 0x60) || (c >= 0x7B && c <= 0x7E);
  utf8proc_category_t category = categoryOf(c);
  return ascii || (category >= UTF8PROC_CATEGORY_PC &&
                   category <= UTF8PROC_CATEGORY_PO);
}

/// \w of Rust's regex crate: Alphabetic, marks, Nd, Pc, joiners. Alphabetic is
/// letters, Nl and the circled letters.
inline bool isWord(uint32_t c) {
  utf8proc_category_t category = categoryOf(c);
  bool circled = (c >= 0x24B6 && c <= 0x24E9) ||
                 (c >= 0x1F130 && c <= 0x1F149) ||
                 (c >= 0x1F150 && c <= 0x1F169) ||
                 (c >= 0x1F170 && c <= 0x1F189);
  return (category >= UTF8PROC_CATEGORY_LU &&
          category <= UTF8PROC_CATEGORY_NL) ||
         category == UTF8PROC_CATEGORY_PC || circled || c == 0x200C ||
         c == 0x200D;
}

} // namespace moe::runtime

#endif // MOE_RUNTIME_TOKENIZER_CHARACTERCLASS_H
