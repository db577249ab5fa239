// Vectors of floats as wide as the instruction level has them, and the namespace of the level.
//
// level.cpp is compiled once for each level with the compiler's flags for it and SETWISE_LEVEL: 0 baseline (SSE2, NEON,
// whatever the compiler's default target has), 1 AVX2 with FMA and F16C, 2 AVX-512 (F, BW, DQ, VL), 3 AVX-512 with VNNI.
// GCC and Clang give vector types arithmetic; only what they cannot say is written with intrinsics.
#pragma once

#include <cstdint>
#include <cstring>

#ifndef SETWISE_LEVEL
#define SETWISE_LEVEL 0
#endif
#if SETWISE_LEVEL == 0
#define SETWISE_NAMESPACE baseline
#elif SETWISE_LEVEL == 1
#define SETWISE_NAMESPACE avx2
#elif SETWISE_LEVEL == 2
#define SETWISE_NAMESPACE avx512
#else
#define SETWISE_NAMESPACE vnni
#endif
#if SETWISE_LEVEL > 0 || defined(__SSE2__)
#include <immintrin.h>
#endif

#define SETWISE_INLINE inline __attribute__((always_inline))

namespace setwise::SETWISE_NAMESPACE {

#if SETWISE_LEVEL >= 2
constexpr int kWidth = 16;
#elif SETWISE_LEVEL == 1
constexpr int kWidth = 8;
#else
constexpr int kWidth = 4;
#endif
constexpr std::size_t kPad = 16;  // rows of float matrices are padded to whole 64-byte lines on every level
constexpr double kRoundoff = 0x1p-24;  // of float32
constexpr float kHuge = 3e38f;    // stands for infinity: sums of two stay ordered, and no NaN can arise from it

typedef float Floats __attribute__((vector_size(kWidth * 4), may_alias));
typedef std::int32_t Ints __attribute__((vector_size(kWidth * 4), may_alias));

SETWISE_INLINE Floats load(const float* from) { return *reinterpret_cast<const Floats*>(from); }
SETWISE_INLINE Ints load(const std::int32_t* from) { return *reinterpret_cast<const Ints*>(from); }
SETWISE_INLINE void store(float* to, Floats value) { *reinterpret_cast<Floats*>(to) = value; }
SETWISE_INLINE void store(std::int32_t* to, Ints value) { *reinterpret_cast<Ints*>(to) = value; }
SETWISE_INLINE Floats all(float value) { return value + Floats{}; }
SETWISE_INLINE Ints all(std::int32_t value) { return value + Ints{}; }
SETWISE_INLINE Floats to_floats(Ints value) { return __builtin_convertvector(value, Floats); }

#if SETWISE_LEVEL >= 2

using Mask = __mmask16;
SETWISE_INLINE Floats min(Floats a, Floats b) { return _mm512_min_ps(a, b); }
SETWISE_INLINE Floats max(Floats a, Floats b) { return _mm512_max_ps(a, b); }
SETWISE_INLINE Mask less(Floats a, Floats b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
SETWISE_INLINE Mask equal(Floats a, Floats b) { return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ); }
SETWISE_INLINE Mask equal(Ints a, Ints b) {
    return _mm512_cmpeq_epi32_mask(reinterpret_cast<__m512i>(a), reinterpret_cast<__m512i>(b));
}
SETWISE_INLINE std::uint64_t bits(Mask mask) { return mask; }
SETWISE_INLINE Floats select(Mask mask, Floats a, Floats b) { return _mm512_mask_blend_ps(mask, b, a); }
SETWISE_INLINE Ints select(Mask mask, Ints a, Ints b) {
    return reinterpret_cast<Ints>(_mm512_mask_blend_epi32(mask, reinterpret_cast<__m512i>(b), reinterpret_cast<__m512i>(a)));
}
SETWISE_INLINE float lowest(Floats a) { return _mm512_reduce_min_ps(a); }
SETWISE_INLINE float highest(Floats a) { return _mm512_reduce_max_ps(a); }
SETWISE_INLINE float sum(Floats a) { return _mm512_reduce_add_ps(a); }

#elif SETWISE_LEVEL == 1

using Mask = Ints;
SETWISE_INLINE Floats min(Floats a, Floats b) { return _mm256_min_ps(a, b); }
SETWISE_INLINE Floats max(Floats a, Floats b) { return _mm256_max_ps(a, b); }
SETWISE_INLINE Mask less(Floats a, Floats b) { return a < b; }
SETWISE_INLINE Mask equal(Floats a, Floats b) { return a == b; }
SETWISE_INLINE Mask equal(Ints a, Ints b) { return a == b; }
SETWISE_INLINE std::uint64_t bits(Mask mask) {
    return static_cast<std::uint32_t>(_mm256_movemask_ps(reinterpret_cast<Floats>(mask)));
}
SETWISE_INLINE Floats select(Mask mask, Floats a, Floats b) {
    return _mm256_blendv_ps(b, a, reinterpret_cast<Floats>(mask));
}
SETWISE_INLINE Ints select(Mask mask, Ints a, Ints b) {
    return reinterpret_cast<Ints>(_mm256_blendv_ps(reinterpret_cast<Floats>(b), reinterpret_cast<Floats>(a), reinterpret_cast<Floats>(mask)));
}

template <typename Fold>
SETWISE_INLINE float folded(Floats a, Fold fold) {
    const __m128 low = _mm256_castps256_ps128(a), high = _mm256_extractf128_ps(a, 1);
    const __m128 four = fold(low, high), two = fold(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(fold(two, _mm_shuffle_ps(two, two, 1)));
}
SETWISE_INLINE float lowest(Floats a) { return folded(a, [](__m128 x, __m128 y) { return _mm_min_ps(x, y); }); }
SETWISE_INLINE float highest(Floats a) { return folded(a, [](__m128 x, __m128 y) { return _mm_max_ps(x, y); }); }
SETWISE_INLINE float sum(Floats a) { return folded(a, [](__m128 x, __m128 y) { return _mm_add_ps(x, y); }); }

#else

using Mask = Ints;
SETWISE_INLINE Mask less(Floats a, Floats b) { return a < b; }
SETWISE_INLINE Mask equal(Floats a, Floats b) { return a == b; }
SETWISE_INLINE Mask equal(Ints a, Ints b) { return a == b; }
SETWISE_INLINE Ints select(Mask mask, Ints a, Ints b) { return (a & mask) | (b & ~mask); }
SETWISE_INLINE Floats select(Mask mask, Floats a, Floats b) {
    return reinterpret_cast<Floats>(select(mask, reinterpret_cast<Ints>(a), reinterpret_cast<Ints>(b)));
}
#ifdef __SSE2__
SETWISE_INLINE Floats min(Floats a, Floats b) { return _mm_min_ps(a, b); }
SETWISE_INLINE Floats max(Floats a, Floats b) { return _mm_max_ps(a, b); }
SETWISE_INLINE std::uint64_t bits(Mask mask) { return static_cast<std::uint32_t>(_mm_movemask_ps(reinterpret_cast<Floats>(mask))); }
#else
SETWISE_INLINE Floats min(Floats a, Floats b) { return select(a < b, a, b); }
SETWISE_INLINE Floats max(Floats a, Floats b) { return select(a > b, a, b); }
SETWISE_INLINE std::uint64_t bits(Mask m) {
    return static_cast<std::uint64_t>((m[0] & 1) | (m[1] & 2) | (m[2] & 4) | (m[3] & 8));
}
#endif
SETWISE_INLINE float least(float a, float b) { return a < b ? a : b; }
SETWISE_INLINE float most(float a, float b) { return a > b ? a : b; }
SETWISE_INLINE float lowest(Floats a) { return least(least(a[0], a[1]), least(a[2], a[3])); }
SETWISE_INLINE float highest(Floats a) { return most(most(a[0], a[1]), most(a[2], a[3])); }
SETWISE_INLINE float sum(Floats a) { return (a[0] + a[1]) + (a[2] + a[3]); }

#endif

// 2^x for x <= 0, to about 4e-6; below -126 it stays at 2^-126. Only ever used where any positive value would be valid.
SETWISE_INLINE Floats exp2(Floats x) {
    constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer, in the lowest bits
    x = max(x, all(-126.0f));
    const Floats rounded = x + kRound;
    const Floats f = x - (rounded - kRound);
    const Ints power = (reinterpret_cast<Ints>(rounded) - 0x4b400000 + 127) << 23;
    const Floats p = 1.0f + f * (0.69314718f + f * (0.24022651f + f * (0.05550411f + f * 0.00961813f)));
    return p * reinterpret_cast<Floats>(power);
}

// log2 of positive normal numbers, to about 2e-4.
SETWISE_INLINE Floats log2(Floats x) {
    const Ints word = reinterpret_cast<Ints>(x);
    const Floats m = reinterpret_cast<Floats>((word & 0x7fffff) | 0x3f800000) - 1.0f;
    return to_floats((word >> 23) - 127) + m + m * (1.0f - m) * (0.43998f + m * (-0.24169f + m * 0.08231f));
}

// The lowest lane, in all lanes.
SETWISE_INLINE Floats lowest_in_all(Floats a) {
#if SETWISE_LEVEL >= 2
    a = min(a, _mm512_shuffle_f32x4(a, a, 0x4e));
    a = min(a, _mm512_shuffle_f32x4(a, a, 0xb1));
    a = min(a, _mm512_permute_ps(a, 0x4e));
    return min(a, _mm512_permute_ps(a, 0xb1));
#else
    return all(lowest(a));
#endif
}

SETWISE_INLINE std::size_t padded(std::size_t count) { return (count + kPad - 1) / kPad * kPad; }
SETWISE_INLINE std::size_t smaller(std::size_t a, std::size_t b) { return a < b ? a : b; }

}  // namespace setwise::SETWISE_NAMESPACE
