// The int8 gate: an upper bound of the matched sum from one byte a number.
//
// Both sets are centred on their means and rounded to int8 (setwise_engine/matching/gate.py says how). Centring is what
// makes bounds tight and rounding errors small (docs/decisions/0080). Let q_i = c + a_i, x_j = e + b_j with centres c, e,
// and a^, b^ the rounded a, b. For sets of equal size every token is matched, hence
//     sum_i <q_i, x_p(i)> = n <c, e> + <c, sum b> + <sum a, e> + sum_i <a_i, b_p(i)>,
// where sum a and sum b are what the rounding of the means to float32 leaves. When the query is the smaller set, all of
// it is matched and Q stays uncentred: sum_i <q_i, e> + sum_i <q_i, b_p(i)>; when it is the larger one, <q_i, e> is added
// to every product of row i. Then <a, b> = <a^, b^> + <a - a^, b^> + <a, b - b^>, and by Cauchy-Schwarz over the pairs the
// last two add up to at most |A - A^| |B^| + |A| |B - B^|.
#pragma once

#include "memory.hpp"
#include "product.hpp"

namespace setwise::SETWISE_NAMESPACE {

constexpr bool kHasGate = SETWISE_LEVEL >= 3;  // without VNNI, float32 is as fast as int8 would be (docs/decisions/0082)

// A query, or a centred query, in int8.
struct GateQuery {
    Buffer<std::uint8_t> packed;  // (ceil(d / 4), stride, 4): codes + 128; 0 beyond d
    Buffer<float> scales;         // (stride)
    double norm = 0.0, error = 0.0;  // Frobenius norms of the tokens and of their rounding errors, rounded up

    void fill(const double* tokens, std::size_t n, std::size_t d, std::size_t stride) {
        const std::size_t groups = (d + 3) / 4;
        std::uint8_t* out = packed.get(groups * stride * 4);
        std::memset(out, 0, groups * stride * 4);
        float* scale = scales.get(stride);
        double squares = 0.0, errors = 0.0;
        for (std::size_t i = 0; i < stride; ++i) scale[i] = 0.0f;
        for (std::size_t i = 0; i < n; ++i) {
            double largest = 0.0;
            for (std::size_t k = 0; k < d; ++k) {
                const double size = tokens[i * d + k] < 0 ? -tokens[i * d + k] : tokens[i * d + k];
                largest = size > largest ? size : largest;
            }
            scale[i] = static_cast<float>(largest / 127.0 * (1.0 + 0x1p-23));
            const double inverse = scale[i] > 0.0f ? 1.0 / scale[i] : 0.0;
            for (std::size_t k = 0; k < d; ++k) {
                const double x = tokens[i * d + k], code = __builtin_rint(x * inverse), rest = x - code * scale[i];
                squares += x * x;
                errors += rest * rest;
                out[((k / 4) * stride + i) * 4 + k % 4] = static_cast<std::uint8_t>(static_cast<int>(code) + 128);
            }
        }
        norm = __builtin_sqrt(squares) * (1.0 + 1e-9);
        error = __builtin_sqrt(errors) * (1.0 + 1e-9);
    }
};

#if SETWISE_LEVEL >= 3

template <int V, int R>
void gate_tile(const GateView& x, std::size_t first, std::size_t d, const std::uint8_t* packed, const float* scales,
               const float* offsets, std::size_t stride, float* out, float* row_largest, float* column_largest) {
    __m512i sums[R][V];
    const std::int8_t* row = x.codes + first * d;
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
        for (int v = 0; v < V; ++v) sums[r][v] = _mm512_set1_epi32(-128 * x.sums[first + static_cast<std::size_t>(r)]);
    for (std::size_t k = 0; k < d / 4; ++k) {
#pragma GCC unroll 8
        for (int v = 0; v < V; ++v) {
            const __m512i q = _mm512_load_si512(packed + (k * stride + v * 16) * 4);
#pragma GCC unroll 4
            for (int r = 0; r < R; ++r) {
                std::int32_t four;
                std::memcpy(&four, row + static_cast<std::size_t>(r) * d + 4 * k, 4);
                // Inline: gcc 12 spills accumulators of the intrinsic.
                asm("vpdpbusd %2, %1, %0" : "+v"(sums[r][v]) : "v"(q), "v"(_mm512_set1_epi32(four)));
            }
        }
    }
    if (d % 4) {
#pragma GCC unroll 8
        for (int v = 0; v < V; ++v)
            for (int r = 0; r < R; ++r) {
                std::int32_t rest = 0;
                std::memcpy(&rest, row + static_cast<std::size_t>(r) * d + d / 4 * 4, d % 4);
                sums[r][v] = _mm512_dpbusd_epi32(sums[r][v], _mm512_load_si512(packed + (d / 4 * stride + v * 16) * 4), _mm512_set1_epi32(rest));
            }
    }
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) {
        Floats largest = all(-kHuge);
        const float scale = x.scales[first + static_cast<std::size_t>(r)];
#pragma GCC unroll 8
        for (int v = 0; v < V; ++v) {
            const Floats value = to_floats(reinterpret_cast<Ints>(sums[r][v])) * (load(scales + v * 16) * scale) + load(offsets + v * 16);
            store(out + static_cast<std::size_t>(r) * stride + v * 16, value);
            largest = max(largest, value);
            store(column_largest + v * 16, max(load(column_largest + v * 16), value));
        }
        const float here = highest(largest);
        float* const old = row_largest + first + r;
        *old = here > *old ? here : *old;
    }
}

template <int V>
void gate_strip(const GateView& x, std::size_t m, std::size_t d, const std::uint8_t* packed, const float* scales,
                const float* offsets, std::size_t stride, float* out, float* row_largest, float* column_largest) {
    std::size_t j = 0;
    for (; j + kTileRows <= m; j += kTileRows)
        gate_tile<V, kTileRows>(x, j, d, packed, scales, offsets, stride, out + j * stride, row_largest, column_largest);
    for (; j < m; ++j) gate_tile<V, 1>(x, j, d, packed, scales, offsets, stride, out + j * stride, row_largest, column_largest);
}

#endif

// out (m, stride): <a^_i, b^_j> + offsets[i] for candidate row j and query column i; the largest of each row and column.
inline void gate_products(const GateView& x, std::size_t m, std::size_t d, const GateQuery& q, const float* offsets,
                          std::size_t stride, float* out, float* row_largest, float* column_largest) {
    for (std::size_t j = 0; j < m; ++j) row_largest[j] = -kHuge;
    for (std::size_t i = 0; i < stride; ++i) column_largest[i] = -kHuge;
#if SETWISE_LEVEL >= 3
    for (std::size_t first = 0; first < stride;) {
        const std::size_t left = (stride - first) / kWidth, take = left < kStrip ? left : kStrip;
        const std::uint8_t* packed = q.packed.data() + first * 4;
        const float *scales = q.scales.data() + first, *add = offsets + first;
        switch (take) {
#define SETWISE_CASE(V) \
    case V: gate_strip<V>(x, m, d, packed, scales, add, stride, out + first, row_largest, column_largest + first); break;
            SETWISE_CASE(1) SETWISE_CASE(2) SETWISE_CASE(3) SETWISE_CASE(4) SETWISE_CASE(5) SETWISE_CASE(6) SETWISE_CASE(7)
#undef SETWISE_CASE
        }
        first += take * kWidth;
    }
#else
    static_cast<void>(d), static_cast<void>(x), static_cast<void>(q), static_cast<void>(offsets), static_cast<void>(out);
#endif
}

}  // namespace setwise::SETWISE_NAMESPACE
