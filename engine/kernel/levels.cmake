# level.cpp once for each instruction level, into `target`; machine.hpp chooses when it runs. Neither -march=native (a
# wheel must run elsewhere) nor -ffast-math (linked by gcc < 13 it changes the whole process's arithmetic). The two
# warnings that are off are gcc 12's own, inside its AVX-512 headers.
function(setwise_level target name number)
  add_library(level_${name} OBJECT ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/level.cpp)
  target_compile_definitions(level_${name} PRIVATE SETWISE_LEVEL=${number} ${SETWISE_DEFINITIONS})
  target_compile_options(level_${name} PRIVATE ${SETWISE_OPTIMISE} -ffp-contract=fast -fno-math-errno -fno-trapping-math
    -Wall -Wextra -Wno-uninitialized $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized> ${ARGN})
  target_sources(${target} PRIVATE $<TARGET_OBJECTS:level_${name}>)
endfunction()

function(setwise_levels target)
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64" AND NOT CMAKE_OSX_ARCHITECTURES MATCHES "arm64")
    set(SETWISE_DEFINITIONS SETWISE_X86)
    target_compile_definitions(${target} PRIVATE SETWISE_X86)
    set(avx2 -mavx2 -mfma -mf16c)
    set(avx512 ${avx2} -mavx512f -mavx512bw -mavx512dq -mavx512vl -mprefer-vector-width=512)
    setwise_level(${target} avx2 1 ${avx2})
    setwise_level(${target} avx512 2 ${avx512})
    setwise_level(${target} vnni 3 ${avx512} -mavx512vnni)
  endif()
  setwise_level(${target} baseline 0)
endfunction()
