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

#include "affinity.hpp"
#include "product.hpp"

namespace setwise::SETWISE_NAMESPACE {

constexpr bool kHasGate = SETWISE_LEVEL >= 3;  // without VNNI, float32 is as fast as int8 would be (docs/decisions/0085)

// A query, or a centred query, in int8.
struct GateQuery {
    Buffer<std::uint8_t> packed;  // (ceil(d / 4), stride, 4): codes + 128; 0 beyond d
    Buffer<float> scales;         // (stride)
    double norm = 0.0, error = 0.0;  // Frobenius norms of the tokens and of their rounding errors, rounded up

    void fill(const double* tokens, std::size_t n, std::size_t d, std::size_t stride) {
        const std::size_t groups = (d + 3) / 4;
        std::uint8_t* out = packed.get(groups * stride * 4);
        std::memset(out, 0, groups * stride * 4);
        std::memset(scales.get(stride), 0, stride * sizeof(float));
        double* rest = rest_.get(d);
        double squares = 0.0, errors = 0.0;
        for (std::size_t i = 0; i < n; ++i) {
            const double* x = tokens + i * d;
            double sizes[8] = {};
            for (std::size_t k = 0; k < d; ++k) {
                const double size = __builtin_fabs(x[k]);
                sizes[k % 8] = size > sizes[k % 8] ? size : sizes[k % 8];
            }
            for (std::size_t lane = 1; lane < 8; ++lane) sizes[0] = sizes[lane] > sizes[0] ? sizes[lane] : sizes[0];
            const float scale = scales.data()[i] = static_cast<float>(sizes[0] / 127.0 * (1.0 + 0x1p-23));
            const double inverse = scale > 0.0f ? 1.0 / scale : 0.0;
            for (std::size_t k = 0; k < d; ++k) {
                const double code = __builtin_rint(x[k] * inverse);
                rest[k] = x[k] - code * scale;
                out[((k / 4) * stride + i) * 4 + k % 4] = static_cast<std::uint8_t>(static_cast<int>(code) + 128);
            }
            squares += dot(x, x, d);
            errors += dot(rest, rest, d);
        }
        norm = __builtin_sqrt(squares) * (1.0 + 1e-9);
        error = __builtin_sqrt(errors) * (1.0 + 1e-9);
    }

  private:
    Buffer<double> rest_;
};

#if SETWISE_LEVEL >= 3

constexpr std::size_t kGateStrip = 4, kGateRows = 6;  // 24 accumulators, 4 vectors of the query, 1 of the candidate

// d is a multiple of 4. Of the last vector only the first `Lanes` count: narrower instructions cost less.
template <int V, int Lanes, int R>
void gate_tile(const GateView& x, const std::int8_t* codes, std::size_t first, std::size_t d, const std::uint8_t* packed,
               const float* scales, const float* offsets, std::size_t stride, float* out, float* largest) {
    __m512i sums[R][V];
    const std::int8_t* row = codes + first * d;
    if (x.next != nullptr)  // the candidate after this one: its rows seldom lie next to these
        for (std::size_t k = 0; k < R * d; k += 64) __builtin_prefetch(x.next + first * d + k, 0, 2);
#pragma GCC unroll 6
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) sums[r][v] = _mm512_set1_epi32(-128 * x.sums[first + static_cast<std::size_t>(r)]);
    for (std::size_t k = 0; k < d; k += 4) {
        __m512i q[V];
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) q[v] = _mm512_load_si512(packed + k * stride + v * 64);
#pragma GCC unroll 6
        for (int r = 0; r < R; ++r) {
            std::int32_t four;
            std::memcpy(&four, row + static_cast<std::size_t>(r) * d + k, 4);
            const __m512i b = _mm512_set1_epi32(four);
#pragma GCC unroll 4
            for (int v = 0; v < V; ++v) {  // inline: of the intrinsic, gcc 12 spills the accumulators
                if (v + 1 < V || Lanes == 16)
                    asm("vpdpbusd %2, %1, %0" : "+v"(sums[r][v]) : "v"(q[v]), "v"(b));
                else if (Lanes == 8)
                    asm("vpdpbusd %t2, %t1, %t0" : "+v"(sums[r][v]) : "v"(q[v]), "v"(b));
                else
                    asm("vpdpbusd %x2, %x1, %x0" : "+v"(sums[r][v]) : "v"(q[v]), "v"(b));
            }
        }
    }
    Floats tops[V];
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) tops[v] = load(largest + v * 16);
#pragma GCC unroll 6
    for (int r = 0; r < R; ++r) {
        const float scale = x.scales[first + static_cast<std::size_t>(r)];
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) {
            const Floats value = to_floats(reinterpret_cast<Ints>(sums[r][v])) * (load(scales + v * 16) * scale) + load(offsets + v * 16);
            store(out + static_cast<std::size_t>(r) * stride + v * 16, value);
            tops[v] = max(tops[v], value);
        }
    }
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) store(largest + v * 16, tops[v]);
}

template <int V, int Lanes, int R>
void gate_rest(const GateView& x, const std::int8_t* codes, std::size_t first, std::size_t count, std::size_t d, const std::uint8_t* packed,
               const float* scales, const float* offsets, std::size_t stride, float* out, float* largest) {
    if (count == R)
        return gate_tile<V, Lanes, R>(x, codes, first, d, packed, scales, offsets, stride, out, largest);
    if constexpr (R > 1) gate_rest<V, Lanes, R - 1>(x, codes, first, count, d, packed, scales, offsets, stride, out, largest);
}

template <int V, int Lanes>
void gate_strip(const GateView& x, const std::int8_t* codes, std::size_t m, std::size_t d, const std::uint8_t* packed, const float* scales,
                const float* offsets, std::size_t stride, float* out, float* largest) {
    for (std::size_t j = 0; j < m; j += kGateRows)
        gate_rest<V, Lanes, kGateRows>(x, codes, j, smaller(kGateRows, m - j), d, packed, scales, offsets, stride, out + j * stride, largest);
}

#endif

// out (m, stride): <a^_i, b^_j> + offsets[i] for candidate row j and query column i; largest (stride): of each column.
// `rest` holds the codes when d is no multiple of 4. Stopped, not all of it is written.
inline void gate_products(const GateView& x, std::size_t m, std::size_t n, std::size_t d, const GateQuery& q, const float* offsets, std::size_t stride,
                          Buffer<std::int8_t>& rest, float* out, float* largest, Watch& watch) {
    for (std::size_t i = 0; i < stride; ++i) largest[i] = -kHuge;
#if SETWISE_LEVEL >= 3
    const std::size_t whole = (d + 3) / 4 * 4;
    const std::int8_t* codes = x.codes;
    if (whole != d) {
        std::memset(rest.get(m * whole), 0, m * whole);
        for (std::size_t j = 0; j < m; ++j) std::memcpy(rest.data() + j * whole, x.codes + j * d, d);
        codes = rest.data();
    }
    for (std::size_t first = 0; first < stride;) {
        const std::size_t take = smaller((stride - first) / kWidth, kGateStrip);
        if (watch.after(take * m * d / 16)) return;
        const std::uint8_t* packed = q.packed.data() + first * 4;
        const float *scales = q.scales.data() + first, *add = offsets + first;
        const std::size_t tail = n > first + (take - 1) * 16 ? n - first - (take - 1) * 16 : 16;
        switch (take * 4 + (tail <= 4 ? 1 : tail <= 8 ? 2 : 0)) {
#define SETWISE_CASE(V, KIND, LANES) \
    case V * 4 + KIND: gate_strip<V, LANES>(x, codes, m, whole, packed, scales, add, stride, out + first, largest + first); break;
#define SETWISE_CASES(V) SETWISE_CASE(V, 0, 16) SETWISE_CASE(V, 1, 4) SETWISE_CASE(V, 2, 8)
            SETWISE_CASES(1) SETWISE_CASES(2) SETWISE_CASES(3) SETWISE_CASES(4)
#undef SETWISE_CASES
#undef SETWISE_CASE
        }
        first += take * kWidth;
    }
#else
    static_cast<void>(watch), static_cast<void>(m), static_cast<void>(n), static_cast<void>(d), static_cast<void>(x), static_cast<void>(q), static_cast<void>(offsets), static_cast<void>(rest), static_cast<void>(out);
#endif
}

}  // namespace setwise::SETWISE_NAMESPACE
