//===- NpyFile.h - NumPy's .npy format --------------------------*- C++ -*-===//
//
// Part of moe-mlir.
//
//===----------------------------------------------------------------------===//

#ifndef MOE_RUNTIME_NPYFILE_H
#define MOE_RUNTIME_NPYFILE_H

#include <cstdint>
#include <string>

namespace moe::runtime {

/// The bytes in front of the data of a row-major f32 [rows, columns] array
/// (format version 1.0, padded to a multiple of 64).
std::string npyHeader(int64_t rows, int64_t columns);

} // namespace moe::runtime

#endif // MOE_RUNTIME_NPYFILE_H
