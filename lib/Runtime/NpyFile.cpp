//===- NpyFile.cpp - NumPy's .npy format ----------------------------------===//
//
// Part of moe-mlir. Format: numpy/lib/format.py, version 1.0.
//
//===----------------------------------------------------------------------===//

#include "NpyFile.h"

namespace moe::runtime {

std::string npyHeader(int64_t rows, int64_t columns) {
  std::string dict = "{'descr': '<f4', 'fortran_order': False, 'shape': (" +
                     std::to_string(rows) + ", " + std::to_string(columns) +
                     "), }";
  constexpr size_t prefixBytes = 10;
  while ((prefixBytes + dict.size() + 1) % 64 != 0)
    dict += ' ';
  dict += '\n';
  std::string header("\x93NUMPY\x01\x00", 8);
  header += char(dict.size() & 0xff);
  header += char(dict.size() >> 8);
  return header + dict;
}

} // namespace moe::runtime
