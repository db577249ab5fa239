// Which instruction levels this machine runs.
#pragma once

#include <string>
#include <vector>

#include "levels.hpp"

namespace setwise {

// Slowest first; the last is the one to take.
inline std::vector<const Level*> levels() {
    std::vector<const Level*> found{&kBaseline};
#ifdef SETWISE_X86
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") || !__builtin_cpu_supports("f16c")) return found;
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
