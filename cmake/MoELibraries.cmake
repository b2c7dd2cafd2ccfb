# Libraries and tools that link MLIR. All of them share one precompiled header
# and the flags it was compiled with.

add_library(MoEPrecompiled STATIC ${CMAKE_SOURCE_DIR}/cmake/precompiled.cpp)
target_precompile_headers(MoEPrecompiled PRIVATE
                          ${CMAKE_SOURCE_DIR}/include/moe/Precompiled.h)
target_compile_options(MoEPrecompiled PRIVATE -fpch-instantiate-templates)
target_link_libraries(MoEPrecompiled PUBLIC MLIR LLVM)

function(moe_use_mlir target)
  target_compile_options(${target} PRIVATE -fpch-instantiate-templates)
  target_precompile_headers(${target} REUSE_FROM MoEPrecompiled)
  target_link_libraries(${target} PUBLIC MLIR LLVM)
endfunction()

function(moe_add_library target)
  add_library(${target} STATIC ${ARGN})
  moe_use_mlir(${target})
endfunction()

function(moe_add_tool target)
  add_executable(${target} ${ARGN})
  # The precompiled header was made for libraries: same code model.
  set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
  target_compile_options(${target} PRIVATE -fPIC)
  moe_use_mlir(${target})
endfunction()
