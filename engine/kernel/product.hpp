// Products of a candidate's tokens with all tokens of a query, in float32.
//
// The query is packed once as a panel (d, stride): the tokens' k-th numbers side by side. A tile of candidates' rows
// times a strip of the panel stays in registers while k runs.
#pragma once

#include "half.hpp"
#include "memory.hpp"

namespace setwise::SETWISE_NAMESPACE {

#if SETWISE_LEVEL >= 2
constexpr std::size_t kStrip = 7;  // vectors of the panel in a tile: 28 of 32 registers accumulate
#elif SETWISE_LEVEL == 1
constexpr std::size_t kStrip = 3;
#else
constexpr std::size_t kStrip = 2;
#endif
constexpr std::size_t kTileRows = 4;

// out[r][v] = sum over k of rows[r][k] * panel[k][v].
template <int V, int R>
void multiply_tile(const float* rows, std::size_t apart, std::size_t d, const float* panel, std::size_t stride, float* out) {
    Floats sums[R][V];
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
        for (int v = 0; v < V; ++v) sums[r][v] = all(0.0f);
    for (std::size_t k = 0; k < d; ++k) {
#pragma GCC unroll 8
        for (int v = 0; v < V; ++v) {
            const Floats x = load(panel + k * stride + v * kWidth);
#pragma GCC unroll 4
            for (int r = 0; r < R; ++r) sums[r][v] += rows[static_cast<std::size_t>(r) * apart + k] * x;
        }
    }
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
        for (int v = 0; v < V; ++v) store(out + static_cast<std::size_t>(r) * stride + v * kWidth, sums[r][v]);
}

template <int V>
void multiply_strip(const float* rows, std::size_t apart, std::size_t count, std::size_t d, const float* panel, std::size_t stride, float* out) {
    std::size_t i = 0;
    for (; i + kTileRows <= count; i += kTileRows) multiply_tile<V, kTileRows>(rows + i * apart, apart, d, panel, stride, out + i * stride);
    for (; i < count; ++i) multiply_tile<V, 1>(rows + i * apart, apart, d, panel, stride, out + i * stride);
}

// out (count, stride) = rows (count, d), `apart` from one another, times panel (d, stride).
inline void multiply(const float* rows, std::size_t apart, std::size_t count, std::size_t d, const float* panel, std::size_t stride, float* out) {
    for (std::size_t first = 0; first < stride;) {
        const std::size_t left = (stride - first) / kWidth, take = left < kStrip ? left : kStrip;
        const float* strip = panel + first;
        float* to = out + first;
        switch (take) {
#define SETWISE_CASE(V) \
    case V: multiply_strip<V>(rows, apart, count, d, strip, stride, to); break;
            SETWISE_CASE(1)
            SETWISE_CASE(2)
#if SETWISE_LEVEL >= 1
            SETWISE_CASE(3)
#endif
#if SETWISE_LEVEL >= 2
            SETWISE_CASE(4) SETWISE_CASE(5) SETWISE_CASE(6) SETWISE_CASE(7)
#endif
#undef SETWISE_CASE
        }
        first += take * kWidth;
    }
}

inline void multiply(const float* rows, std::size_t count, std::size_t d, const float* panel, std::size_t stride, float* out) {
    multiply(rows, d, count, d, panel, stride, out);
}

// panel[k][i] = tokens[i][k], zero beyond the tokens, which are `apart` from one another.
inline void pack_panel(const float* tokens, std::size_t apart, std::size_t count, std::size_t d, std::size_t stride, float* panel) {
    std::memset(panel, 0, d * stride * sizeof(float));
    for (std::size_t i = 0; i < count; ++i)
        for (std::size_t k = 0; k < d; ++k) panel[k * stride + i] = tokens[i * apart + k];
}

inline void pack_panel(const float* tokens, std::size_t count, std::size_t d, std::size_t stride, float* panel) {
    pack_panel(tokens, d, count, d, stride, panel);
}

}  // namespace setwise::SETWISE_NAMESPACE
