// Which instruction levels this machine runs.
#pragma once

#include <string>
#include <vector>

#include "levels.hpp"

#ifdef SETWISE_X86
#include <cpuid.h>
#endif

namespace setwise {

#ifdef SETWISE_X86
// Clang's __builtin_cpu_supports did not know it before version 16.
inline bool has_f16c() {
    unsigned a = 0, b = 0, c = 0, d = 0;
    return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_F16C) != 0;
}
#endif

// Slowest first; the last is the one to take.
inline std::vector<const Level*> levels() {
    std::vector<const Level*> found{&kBaseline};
#ifdef SETWISE_X86
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") || !has_f16c()) return found;
    found.push_back(&kAvx2);
    const bool wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512vl");
    if (wide) found.push_back(&kAvx512);
    if (wide && __builtin_cpu_supports("avx512vnni")) found.push_back(&kVnni);
#endif
    return found;
}

// Null when the machine lacks it; "" means the best.
inline const Level* level(const std::string& name) {
    const std::vector<const Level*> found = levels();
    if (name.empty()) return found.back();
    for (const Level* one : found)
        if (name == one->name) return one;
    return nullptr;
}

}  // namespace setwise
