// Inner products of listed pairs of tokens, in float32 where that is careful enough and in float64 above.
#pragma once

#include "memory.hpp"

namespace setwise::SETWISE_NAMESPACE {

// They are within kCareful |a| |b|: four products are added in float32, then two such sums, the rest in float64.
constexpr double kCareful = 5.0 * kRoundoff * 1.01;

constexpr std::size_t kLane = SETWISE_LEVEL >= 2 ? 16 : 8;
constexpr std::size_t kBlock = 8 * kLane;  // numbers of all tokens that are worked on together: as many as stay in L1

typedef float Lane __attribute__((vector_size(kLane * 4), aligned(4), may_alias));
typedef float Eight __attribute__((vector_size(32), aligned(4), may_alias));
typedef double EightDoubles __attribute__((vector_size(64), may_alias));

SETWISE_INLINE double added(const EightDoubles& s) { return ((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7])); }

struct TokenPair {
    std::uint32_t row, column;
};

SETWISE_INLINE void add(EightDoubles& sums, const Lane& x) {
#if SETWISE_LEVEL >= 2
    sums += _mm512_cvtps_pd(_mm512_castps512_ps256(x)) + _mm512_cvtps_pd(_mm512_extractf32x8_ps(x, 1));
#else
    sums += __builtin_convertvector(x, EightDoubles);
#endif
}

// sums (count, 8): eight parts of each pair's inner product. Pairs of one row should be neighbours.
inline void careful_products(const float* rows, std::size_t row_spacing, const float* columns, std::size_t column_spacing, std::size_t d,
                             const TokenPair* pairs, std::size_t count, double* sums) {
    EightDoubles* out = reinterpret_cast<EightDoubles*>(sums);
    for (std::size_t e = 0; e < count; ++e) out[e] = EightDoubles{};
    std::size_t k = 0;
    for (; k + kBlock <= d; k += kBlock)
        for (std::size_t e = 0; e < count;) {
            const std::uint32_t row = pairs[e].row;
            Lane a[8];
#pragma GCC unroll 8
            for (std::size_t t = 0; t < 8; ++t) a[t] = *reinterpret_cast<const Lane*>(rows + row * row_spacing + k + t * kLane);
            for (; e < count && pairs[e].row == row; ++e) {
                const float* x = columns + pairs[e].column * column_spacing + k;
                Lane four[2] = {};
#pragma GCC unroll 8
                for (std::size_t t = 0; t < 8; ++t) four[t / 4] += a[t] * *reinterpret_cast<const Lane*>(x + t * kLane);
                add(out[e], four[0] + four[1]);
            }
        }
    if (k == d) return;
    for (std::size_t e = 0; e < count; ++e) {
        const float *a = rows + pairs[e].row * row_spacing, *x = columns + pairs[e].column * column_spacing;
        std::size_t t = k;
        for (; t + 8 <= d; t += 8) out[e] += __builtin_convertvector(*reinterpret_cast<const Eight*>(a + t) * *reinterpret_cast<const Eight*>(x + t), EightDoubles);
        for (; t < d; ++t) out[e][0] += static_cast<double>(a[t]) * static_cast<double>(x[t]);
    }
}

}  // namespace setwise::SETWISE_NAMESPACE
