// IEEE 754 binary16 numbers: to float and double, exactly.
#pragma once

#include "simd.hpp"
#include "types.hpp"

namespace setwise::SETWISE_NAMESPACE {

// Exact for finite numbers. Infinities and NaN come out finite and wrong: refuse them first (all_finite).
SETWISE_INLINE float to_float(Half half) {
    // Moved into place, exponent and mantissa make a float 2^112 too small, subnormal halves included.
    const std::uint32_t word = (static_cast<std::uint32_t>(half & 0x8000u) << 16) |
                               (static_cast<std::uint32_t>(half & 0x7fffu) << 13);
    float value;
    std::memcpy(&value, &word, sizeof value);
    return value * 0x1p112f;
}

SETWISE_INLINE void widen(const Half* values, std::size_t count, float* out) {
    std::size_t i = 0;
#if SETWISE_LEVEL >= 2
    for (; i + 16 <= count; i += 16)
        _mm512_storeu_ps(out + i, _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(values + i))));
#elif SETWISE_LEVEL == 1
    for (; i + 8 <= count; i += 8)
        _mm256_storeu_ps(out + i, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(values + i))));
#endif
    for (; i < count; ++i) out[i] = to_float(values[i]);
}

SETWISE_INLINE bool all_finite(const Half* values, std::size_t count) {
    std::uint32_t seen = 0;
    for (std::size_t i = 0; i < count; ++i) seen |= (values[i] & 0x7c00u) == 0x7c00u;
    return seen == 0;
}

}  // namespace setwise::SETWISE_NAMESPACE
