# Faster builds when the tools are there; sanitizers by FRAMEMILL_SANITIZE.
find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER
      ${CMAKE_COMMAND} -E env CCACHE_NOHASHDIR=1
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime ${CCACHE})
endif()
find_program(MOLD mold)
find_program(LLD ld.lld)
if(MOLD)
  add_link_options(-fuse-ld=mold)
elseif(LLD)
  add_link_options(-fuse-ld=lld)
endif()

set(FRAMEMILL_SANITIZE "" CACHE STRING "address,undefined or thread")
if(FRAMEMILL_SANITIZE)
  # CAF 0.17's init_fun_factory binds a null reference, harmlessly.
  add_compile_options(-fsanitize=${FRAMEMILL_SANITIZE} -fno-sanitize=null -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${FRAMEMILL_SANITIZE})
endif()

add_library(framemill_warnings INTERFACE)
target_compile_options(framemill_warnings INTERFACE -Wall -Wextra -Wpedantic -Wnon-virtual-dtor
                                                    -Wno-missing-field-initializers)
