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
foreach(name Scrt1.o rcrt1.o crti.o crtn.o crtbeginS.o crtendS.o libgcc.a
        libgcc_eh.a libstdc++.a libc.a libc.so.6 libm.so.6 libc_nonshared.a
        ld-linux-x86-64.so.2)
  moe_kit_file(${name})
endforeach()
# Debian's libm.a is a linker script that names the archive beside it.
execute_process(COMMAND ${CMAKE_CXX_COMPILER} -print-file-name=libm.a
                OUTPUT_VARIABLE libm OUTPUT_STRIP_TRAILING_WHITESPACE)
file(REAL_PATH ${libm} libm)
get_filename_component(libm_directory ${libm} DIRECTORY)
file(GLOB libm_archives ${libm_directory}/libm-*.a)
list(APPEND libm_archives ${libm})
list(GET libm_archives 0 libm)
configure_file(${libm} ${kit}/libm.a COPYONLY)
# A sanitized runtime needs the sanitizers' own, which Link.cpp links if present.
if(MOE_SANITIZE)
  foreach(name asan_static asan asan_cxx)
    moe_kit_file(libclang_rt.${name}-x86_64.a)
  endforeach()
endif()
find_library(MOE_OMP_LIBRARY omp PATHS ${LLVM_LIBRARY_DIR} REQUIRED NO_DEFAULT_PATH)
file(REAL_PATH ${MOE_OMP_LIBRARY} omp_real)
configure_file(${omp_real} ${kit}/libomp.so COPYONLY)
# Libraries for AArch64 name the same shared libraries, of which stubs suffice.
file(MAKE_DIRECTORY ${kit}/aarch64)
file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/stub.c "")
foreach(name libomp.so:libomp.so.5 libc.so.6:libc.so.6)
  string(REPLACE ":" ";" name ${name})
  list(GET name 0 file)
  list(GET name 1 soname)
  execute_process(
    COMMAND ${CMAKE_CXX_COMPILER} -x c --target=aarch64-linux-gnu -shared
            -nostdlib -fuse-ld=lld -Wl,-soname,${soname}
            ${CMAKE_CURRENT_BINARY_DIR}/stub.c -o ${kit}/aarch64/${file}
    COMMAND_ERROR_IS_FATAL ANY)
endforeach()
configure_file(${MOE_PCRE2_ARCHIVE} ${kit}/libpcre2-8.a COPYONLY)
configure_file(${MOE_UTF8PROC_ARCHIVE} ${kit}/libutf8proc.a COPYONLY)
set(kit_archives)
set(kit_built)
foreach(target MoERuntime MoERuntimeMain MoEOpenMP)
  list(APPEND kit_archives ${kit}/lib${target}.a)
  list(APPEND kit_built $<TARGET_FILE:${target}>)
endforeach()
add_custom_command(
  OUTPUT ${kit_archives}
  COMMAND ${CMAKE_COMMAND} -E copy ${kit_built} ${kit}
  DEPENDS MoERuntime MoERuntimeMain MoEOpenMP
  COMMENT "Link kit: runtime")
add_custom_target(MoELinkKit ALL DEPENDS ${kit_archives})
