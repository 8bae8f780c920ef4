# How every target of the project is made, so that a folder's CMakeLists.txt says only what is its own.

add_library(haq_options INTERFACE)
target_include_directories(haq_options INTERFACE ${CMAKE_SOURCE_DIR})
# No FMA contraction: one answer on every machine includes the few float steps at the edges.
target_compile_options(haq_options INTERFACE -Wall -Wextra -Werror -ffp-contract=off -fno-omit-frame-pointer)
if(CMAKE_BUILD_TYPE STREQUAL "RelWithDebInfo")
  set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O2 -g1 -DNDEBUG")
endif()
if(HAQ_SANITIZE)
  add_compile_options(-fsanitize=${HAQ_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${HAQ_SANITIZE})
endif()
find_program(LLD ld.lld)
if(LLD)
  add_link_options(-fuse-ld=lld)
endif()

# haq_library(NAME SOURCES a.cc b.cc [DEPS other targets and libraries])
# One per folder: haq_<folder path with underscores>. Dependencies are public; what a folder may
# depend on is checked against docs/architecture by tests/unit/include_direction_test.py.
function(haq_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC haq_options ${ARG_DEPS})
endfunction()

# haq_executable(NAME SOURCES .. [DEPS ..]); the binary lands in <build>/bin.
function(haq_executable name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE haq_options ${ARG_DEPS})
endfunction()

# haq_test(NAME SOURCES .. [DEPS ..]): a GoogleTest binary, registered with ctest as one test.
function(haq_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;DEPS" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  haq_executable(${name} SOURCES ${ARG_SOURCES} DEPS ${ARG_DEPS} GTest::gtest GTest::gmock GTest::gtest_main)
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT ${ARG_TIMEOUT} SKIP_REGULAR_EXPRESSION "HAQ_SKIP_ALL")
endfunction()
