// Products of one set's bytes with those of a group of sets, each set's part written into a matrix of its own.
//
// A group's tokens are packed side by side without gaps, so that sets of 49 tokens waste no part of a 16-column vector.
#pragma once

#include "gate.hpp"
#include "token_sets.hpp"

namespace setwise::SETWISE_NAMESPACE {

constexpr std::size_t kGroup = 4;         // sets in a group at most
constexpr std::size_t kFewestTokens = 16;  // a vector of columns touches two sets at most

// Where the 16 columns of a vector go: the lower ones to one matrix, the rest to the next.
struct Destination {
    float *low = nullptr, *high = nullptr;  // in the first row
    std::size_t low_stride = 0, high_stride = 0;
    std::uint16_t low_mask = 0, high_mask = 0;
};

// Sets of the column side, packed: byte + 128, (wide / 4, stride, 4), and for each column its scale.
struct ByteGroup {
    Buffer<std::uint8_t> packed;
    Buffer<float> scales;
    Buffer<Destination> destinations;  // of each vector
    std::size_t stride = 0, columns = 0;

    void pack(const TokenSets& x, std::size_t begin, std::size_t count) {
        columns = x.first(begin + count) - x.first(begin), stride = padded(columns);
        const std::size_t steps = x.wide / 4;
        std::uint8_t* out = packed.get(steps * stride * 4);
        std::memset(scales.get(stride), 0, stride * sizeof(float));
        for (std::size_t j = 0; j < columns; ++j) {
            const std::int8_t* codes = x.codes(x.first(begin) + j);
            scales.data()[j] = x.scales()[x.first(begin) + j];
            for (std::size_t k = 0; k < steps; ++k) {
                std::uint32_t four;
                std::memcpy(&four, codes + 4 * k, 4);
                four ^= 0x80808080u;  // + 128
                std::memcpy(out + (k * stride + j) * 4, &four, 4);
            }
        }
        for (std::size_t j = columns; j < stride; ++j)
            for (std::size_t k = 0; k < steps; ++k) std::memset(out + (k * stride + j) * 4, 0, 4);
    }

    // Set s of the group has sizes[s] tokens and its matrix at matrices[s], rows strides[s] apart.
    void aim(std::size_t count, const std::size_t* sizes, float* const* matrices, const std::size_t* strides) {
        Destination* to = destinations.get(stride / 16);
        for (std::size_t v = 0; v < stride / 16; ++v) to[v] = Destination{};
        for (std::size_t s = 0, at = 0; s < count; at += sizes[s], ++s)
            for (std::size_t v = at / 16; v * 16 < at + sizes[s]; ++v) {
                const std::size_t from = at > v * 16 ? at - v * 16 : 0, end = smaller(16, at + sizes[s] - v * 16);
                const auto mask = static_cast<std::uint16_t>(((1u << end) - 1u) & ~((1u << from) - 1u));
                // May point before the matrix; what the mask leaves out is not touched.
                float* row = matrices[s] + (static_cast<std::ptrdiff_t>(v * 16) - static_cast<std::ptrdiff_t>(at));
                if (to[v].low_mask == 0)
                    to[v].low = row, to[v].low_stride = strides[s], to[v].low_mask = mask;
                else
                    to[v].high = row, to[v].high_stride = strides[s], to[v].high_mask = mask;
            }
    }
};

#if SETWISE_LEVEL >= 3

// R rows from token `first` on, the V vectors of the group from `vector` on; of the last only `Lanes` columns count.
template <int V, int Lanes, int R>
void byte_tile(const TokenSets& q, std::size_t first, std::size_t row, const ByteGroup& x, std::size_t vector) {
    __m512i sums[R][V];
    const std::int8_t* codes = q.codes(first);
    const std::uint8_t* packed = x.packed.data() + vector * 64;
    const std::size_t wide = q.wide;
#pragma GCC unroll 6
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) sums[r][v] = _mm512_set1_epi32(-128 * q.sums()[first + static_cast<std::size_t>(r)]);
    for (std::size_t k = 0; k < wide; k += 4) {
        __m512i b[V];
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) b[v] = _mm512_load_si512(packed + k * x.stride + v * 64);
#pragma GCC unroll 6
        for (int r = 0; r < R; ++r) {
            std::int32_t four;
            std::memcpy(&four, codes + static_cast<std::size_t>(r) * wide + k, 4);
            const __m512i a = _mm512_set1_epi32(four);
#pragma GCC unroll 4
            for (int v = 0; v < V; ++v) {  // inline: of the intrinsic, gcc 12 spills the accumulators
                if (v + 1 < V || Lanes == 16)
                    asm("vpdpbusd %2, %1, %0" : "+v"(sums[r][v]) : "v"(b[v]), "v"(a));
                else if (Lanes == 8)
                    asm("vpdpbusd %t2, %t1, %t0" : "+v"(sums[r][v]) : "v"(b[v]), "v"(a));
                else
                    asm("vpdpbusd %x2, %x1, %x0" : "+v"(sums[r][v]) : "v"(b[v]), "v"(a));
            }
        }
    }
    const Destination* to = x.destinations.data() + vector;
#pragma GCC unroll 6
    for (int r = 0; r < R; ++r) {
        const float scale = q.scales()[first + static_cast<std::size_t>(r)];
        const std::size_t i = row + static_cast<std::size_t>(r);
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) {
            const Floats value = to_floats(reinterpret_cast<Ints>(sums[r][v])) * (load(x.scales.data() + (vector + v) * 16) * scale);
            _mm512_mask_storeu_ps(to[v].low + i * to[v].low_stride, to[v].low_mask, value);
            if (to[v].high_mask != 0) _mm512_mask_storeu_ps(to[v].high + i * to[v].high_stride, to[v].high_mask, value);
        }
    }
}

template <int V, int Lanes, int R>
void byte_rest(const TokenSets& q, std::size_t first, std::size_t row, std::size_t count, const ByteGroup& x, std::size_t vector) {
    if (count == R) return byte_tile<V, Lanes, R>(q, first, row, x, vector);
    if constexpr (R > 1) byte_rest<V, Lanes, R - 1>(q, first, row, count, x, vector);
}

template <int V, int Lanes>
void byte_strip(const TokenSets& q, std::size_t begin, std::size_t n, const ByteGroup& x, std::size_t vector) {
    for (std::size_t i = 0; i < n; i += kGateRows)
        byte_rest<V, Lanes, kGateRows>(q, begin + i, i, smaller(kGateRows, n - i), x, vector);
}

// Row set r of q with all columns of the group, into the matrices that it aims at.
inline void byte_products(const TokenSets& q, std::size_t r, const ByteGroup& x) {
    const std::size_t begin = q.first(r), n = q.size(r), vectors = x.stride / 16;
    for (std::size_t vector = 0; vector < vectors;) {
        const std::size_t take = smaller(vectors - vector, kGateStrip), end = (vector + take) * 16;
        const std::size_t tail = end > x.columns ? 16 - (end - x.columns) : 16;
        switch (take * 4 + (tail <= 4 ? 1 : tail <= 8 ? 2 : 0)) {
#define SETWISE_CASE(V, KIND, LANES) \
    case V * 4 + KIND: byte_strip<V, LANES>(q, begin, n, x, vector); break;
#define SETWISE_CASES(V) SETWISE_CASE(V, 0, 16) SETWISE_CASE(V, 1, 4) SETWISE_CASE(V, 2, 8)
            SETWISE_CASES(1) SETWISE_CASES(2) SETWISE_CASES(3) SETWISE_CASES(4)
#undef SETWISE_CASES
#undef SETWISE_CASE
        }
        vector += take;
    }
}

#else

inline void byte_products(const TokenSets&, std::size_t, const ByteGroup&) {}

#endif

}  // namespace setwise::SETWISE_NAMESPACE
