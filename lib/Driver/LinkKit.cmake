# The link kit: what an emitted executable is linked from, gathered beside moec
# so that the user's machine needs no compiler.
set(kit ${CMAKE_BINARY_DIR}/lib/moe/kit)
set(kit_files)
function(moe_kit_file name)
  execute_process(COMMAND ${CMAKE_CXX_COMPILER} -print-file-name=${name}
                  OUTPUT_VARIABLE path OUTPUT_STRIP_TRAILING_WHITESPACE)
  if(NOT IS_ABSOLUTE "${path}")
    message(FATAL_ERROR "link kit: ${name} not found")
  endif()
  file(MAKE_DIRECTORY ${kit})
  file(REAL_PATH ${path} real)
  configure_file(${real} ${kit}/${name} COPYONLY)
endfunction()
foreach(name Scrt1.o crti.o crtn.o crtbeginS.o crtendS.o libgcc.a libgcc_eh.a
        libstdc++.a libc.so.6 libm.so.6 libc_nonshared.a ld-linux-x86-64.so.2)
  moe_kit_file(${name})
endforeach()
# A sanitized runtime needs the sanitizers' own, which Link.cpp links if present.
if(MOE_SANITIZE)
  foreach(name asan_static asan asan_cxx)
    moe_kit_file(libclang_rt.${name}-x86_64.a)
  endforeach()
endif()
find_library(MOE_OMP_LIBRARY omp PATHS ${LLVM_LIBRARY_DIR} REQUIRED NO_DEFAULT_PATH)
file(REAL_PATH ${MOE_OMP_LIBRARY} omp_real)
configure_file(${omp_real} ${kit}/libomp.so COPYONLY)
configure_file(${MOE_PCRE2_ARCHIVE} ${kit}/libpcre2-8.a COPYONLY)
configure_file(${MOE_UTF8PROC_ARCHIVE} ${kit}/libutf8proc.a COPYONLY)
add_custom_command(
  OUTPUT ${kit}/libMoERuntime.a ${kit}/libMoERuntimeMain.a
  COMMAND ${CMAKE_COMMAND} -E copy $<TARGET_FILE:MoERuntime>
          $<TARGET_FILE:MoERuntimeMain> ${kit}
  DEPENDS MoERuntime MoERuntimeMain
  COMMENT "Link kit: runtime")
add_custom_target(MoELinkKit ALL DEPENDS ${kit}/libMoERuntime.a
                                         ${kit}/libMoERuntimeMain.a)
