# Read by ik_llama.cpp's CMake project at setup. What takes clang minutes each and no benchmark runs is not optimized:
# products of formats that are not measured, flash attention of head sizes other than 128, a table of characters.
foreach(name gemm_1bit gemm_iqk_quants gemm_iquants gemm_ktquants)
  list(APPEND idle ggml/src/iqk/iqk_${name}.cpp)
endforeach()
foreach(size 64_64 96_96 192_128 192_192 256_256 320_256 512_512 576_512)
  list(APPEND idle ggml/src/iqk/fa/iqk_fa_${size}.cpp)
endforeach()
cmake_language(DEFER CALL set_source_files_properties ${idle} TARGET_DIRECTORY ggml PROPERTIES COMPILE_OPTIONS -O0)
cmake_language(DEFER CALL set_source_files_properties src/unicode-data.cpp TARGET_DIRECTORY llama
               PROPERTIES COMPILE_OPTIONS -O0)
