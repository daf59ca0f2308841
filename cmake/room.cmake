# Headers that nearly every file includes, parsed once: a third of all compile time.
# framemill_precompile(TARGET headers…): its own, with more headers.
# framemill_precompile(TARGET): the core's. A file still includes what it uses: it must
# compile with FRAMEMILL_PRECOMPILE off as well.
option(FRAMEMILL_PRECOMPILE "Precompile common headers" ON)
set(framemill_prelude <algorithm> <chrono> <filesystem> <functional> <map> <memory> <optional>
                      <set> <string> <string_view> <variant> <vector> <tl/expected.hpp>
                      <fmt/format.h>)
function(framemill_precompile target)
  if(ARGN AND FRAMEMILL_PRECOMPILE)
    target_precompile_headers(${target} PRIVATE ${framemill_prelude} ${ARGN})
  elseif(ARGN)
    target_precompile_headers(${target} PRIVATE ${ARGN})
  elseif(NOT FRAMEMILL_PRECOMPILE)
    return()
  elseif(target STREQUAL framemill_core)
    target_precompile_headers(${target} PRIVATE ${framemill_prelude})
  else()
    target_precompile_headers(${target} REUSE_FROM framemill_core)
  endif()
endfunction()

# framemill_room(NAME SOURCES … USES rooms… PRIVATE third parties… PRECOMPILE headers…)
# A room may include the rooms it USES; third parties stay inside of it.
function(framemill_room name)
  cmake_parse_arguments(ROOM "" "" "SOURCES;USES;PUBLIC;PRIVATE;PRECOMPILE" ${ARGN})
  add_library(framemill_${name} STATIC ${ROOM_SOURCES})
  add_library(framemill::${name} ALIAS framemill_${name})
  target_include_directories(framemill_${name} PUBLIC ${CMAKE_SOURCE_DIR})
  foreach(room ${ROOM_USES})
    target_link_libraries(framemill_${name} PUBLIC framemill::${room})
  endforeach()
  target_link_libraries(framemill_${name} PUBLIC ${ROOM_PUBLIC}
                                          PRIVATE ${ROOM_PRIVATE} framemill_warnings)
  framemill_precompile(framemill_${name} ${ROOM_PRECOMPILE})
endfunction()

# framemill_program(NAME SOURCES … LINKS …) → build/<preset>/bin/NAME
function(framemill_program name)
  cmake_parse_arguments(PROGRAM "" "" "SOURCES;LINKS" ${ARGN})
  add_executable(${name} ${PROGRAM_SOURCES})
  target_link_libraries(${name} PRIVATE ${PROGRAM_LINKS} framemill_warnings)
  framemill_precompile(${name})
endfunction()

# Where a test finds the programs that it starts, and the sources.
function(framemill_tell_places target)
  target_compile_definitions(${target} PRIVATE
    FRAMEMILL_BIN_DIR="${CMAKE_RUNTIME_OUTPUT_DIRECTORY}"
    FRAMEMILL_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
endfunction()

# framemill_test(ROOM LABEL unit|sim|system SOURCES … LINKS … BY_FILE): one doctest binary.
# BY_FILE: ctest knows each *_test.cpp of it as ROOM/FILE, and runs them side by side.
function(framemill_test room)
  cmake_parse_arguments(TEST "BY_FILE" "LABEL;TIMEOUT" "SOURCES;LINKS;PRECOMPILE" ${ARGN})
  if(NOT TEST_TIMEOUT)
    set(TEST_TIMEOUT 300)
  endif()
  add_executable(test_${room} $<TARGET_OBJECTS:framemill_test_main> ${TEST_SOURCES})
  target_include_directories(test_${room} PRIVATE ${CMAKE_SOURCE_DIR})
  target_link_libraries(test_${room} PRIVATE ${TEST_LINKS} doctest::doctest framemill_warnings)
  framemill_precompile(test_${room} ${TEST_PRECOMPILE})
  framemill_tell_places(test_${room})
  if(NOT TEST_BY_FILE)
    add_test(NAME ${room} COMMAND test_${room})
    set(names ${room})
  endif()
  foreach(file ${TEST_SOURCES})
    if(TEST_BY_FILE AND file MATCHES "([a-z_]+)_test\\.cpp$")
      add_test(NAME ${room}/${CMAKE_MATCH_1}
               COMMAND test_${room} --source-file=*/${CMAKE_MATCH_1}_test.cpp)
      list(APPEND names ${room}/${CMAKE_MATCH_1})
    endif()
  endforeach()
  # What may last longest begins first.
  set_tests_properties(${names} PROPERTIES LABELS ${TEST_LABEL} TIMEOUT ${TEST_TIMEOUT}
                                           COST ${TEST_TIMEOUT})
endfunction()
