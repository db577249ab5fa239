// Shortest augmenting paths in 16-bit integers: twice the columns in a vector and half the latency of float32.
//
// It solves reduced costs rounded to 14 bits, so what it finds is a start and proves nothing: settle.hpp does.
#pragma once

#include "assign.hpp"

namespace setwise::SETWISE_NAMESPACE {

#if SETWISE_LEVEL >= 2

class ShortPaths {
  public:
    static constexpr std::size_t kColumns = 256;  // more do not fit the registers

    // prices and owners of feasible prices of a square matrix (Prices::dual_bound), replaced by those of an optimum of the
    // rounded costs. False: left alone, sums may not fit 16 bits.
    bool solve(const Matrix& a, float* prices, std::int32_t* owners, std::int32_t* columns) {
        if (!a.square() || a.cols > kColumns) return false;
        switch ((a.cols + 31) / 32) {
#define SETWISE_CASE(W) \
    case W: return run<W>(a, prices, owners, columns);
            SETWISE_CASE(1) SETWISE_CASE(2) SETWISE_CASE(3) SETWISE_CASE(4) SETWISE_CASE(5) SETWISE_CASE(6) SETWISE_CASE(7) SETWISE_CASE(8)
#undef SETWISE_CASE
            default: return false;
        }
    }

  private:
    static constexpr float kLargest = 16383.0f;  // of a cost; three such sums fit 16 bits
    static constexpr int kMost = 16383;          // of a price
    static constexpr int kCentrings = 2;

    template <int W>
    bool run(const Matrix& a, float* prices, std::int32_t* owners, std::int32_t* columns) {
        const float unit = costs<W>(a, prices);
        for (std::size_t j = 0; j < W * 32; ++j) owner_[j] = j < a.cols ? static_cast<std::uint16_t>(owners[j]) : std::uint16_t{0}, prices_[j] = rest_[j] = 0;
        for (std::uint64_t& word : free_) word = 0;
        for (std::uint64_t& word : real_) word = 0;
        for (std::size_t j = 0; j < a.cols; ++j) {
            real_[j / 64] |= std::uint64_t{1} << (j % 64);
            if (owners[j] < 0)
                free_[j / 64] |= std::uint64_t{1} << (j % 64);
            else
                costs_.data()[static_cast<std::size_t>(owners[j]) * W * 32 + j] = 0;  // tight but for rounding
        }
        column_.get(a.rows);
        for (std::size_t i = 0; i < a.rows; ++i) column_.data()[i] = columns[i];
        for (std::size_t i = 0; i < a.rows; ++i)
            if (columns[i] < 0 && !augment<W>(i)) return false;
        for (int t = 0; t < kCentrings; ++t) centre<W>(a);
        for (std::size_t j = 0; j < a.cols; ++j) prices[j] += static_cast<float>(static_cast<std::int16_t>(prices_[j])) * unit, owners[j] = owner_[j];
        for (std::size_t i = 0; i < a.rows; ++i) columns[i] = column_.data()[i];
        return true;
    }

    // Moves every price towards the middle of what the others leave it, so that few rows change their minds when entries turn
    // out a little different. A price may fall by half of what its column's other entries lack to be tight, and rise by half of
    // what its row's do.
    template <int W>
    void centre(const Matrix& a) {
        __m512i price[W], fall[W];
#pragma GCC unroll 8
        for (int w = 0; w < W; ++w) price[w] = _mm512_load_si512(prices_ + w * 32), fall[w] = _mm512_set1_epi16(-1);
        for (std::size_t i = 0; i < a.rows; ++i) {
            const auto own = static_cast<std::size_t>(column_.data()[i]);
            const std::uint16_t* row = costs_.data() + i * W * 32;
            const __m512i mine = _mm512_set1_epi16(static_cast<short>(row[own] + prices_[own]));
            __m512i rise = _mm512_set1_epi16(-1);
#pragma GCC unroll 8
            for (int w = 0; w < W; ++w) {
                const __mmask32 others = half(real_, w) & ~(own / 32 == static_cast<std::size_t>(w) ? __mmask32{1} << (own % 32) : __mmask32{0});
                const __m512i slack = _mm512_sub_epi16(_mm512_add_epi16(_mm512_load_si512(row + w * 32), price[w]), mine);
                fall[w] = _mm512_mask_min_epu16(fall[w], others, fall[w], slack);
                rise = _mm512_mask_min_epu16(rise, others, rise, slack);
            }
            rest_[own] = static_cast<std::uint16_t>(_mm_extract_epi16(_mm512_castsi512_si128(lowest(rise)), 0));
        }
#pragma GCC unroll 8
        for (int w = 0; w < W; ++w) {
            const __m512i up = _mm512_srli_epi16(_mm512_load_si512(rest_ + w * 32), 2), down = _mm512_srli_epi16(fall[w], 2);
            _mm512_store_si512(prices_ + w * 32, _mm512_add_epi16(price[w], _mm512_maskz_sub_epi16(half(real_, w), up, down)));
        }
    }

    // u_i + p_j - a_ij >= 0 in units, which are returned.
    template <int W>
    float costs(const Matrix& a, const float* prices) {
        float* tops = tops_.get(a.rows);
        Floats most = all(0.0f);
        for (std::size_t i = 0; i < a.rows; ++i) {
            Floats top = all(-kHuge), bottom = all(kHuge);
            for (std::size_t j = 0; j < a.stride; j += kWidth) {
                const Floats x = load(a.row(i) + j) - load(prices + j);
                top = max(top, x);
                bottom = min(bottom, select(less(all(-0.5f * kHuge), x), x, all(kHuge)));
            }
            tops[i] = highest(top);
            most = max(most, all(tops[i]) - bottom);
        }
        const float span = highest(most), unit = span > 0.0f ? span / kLargest : 1.0f, inverse = 1.0f / unit;
        std::uint16_t* out = costs_.get(a.rows * W * 32);
        for (std::size_t i = 0; i < a.rows; ++i)
            for (std::size_t j = 0; j < W * 32; j += kWidth) {
                if (j >= a.stride) {
                    _mm256_store_si256(reinterpret_cast<__m256i*>(out + i * W * 32 + j), _mm256_set1_epi16(0));
                    continue;
                }
                const Floats cost = min((all(tops[i]) - (load(a.row(i) + j) - load(prices + j))) * inverse, all(kLargest));
                _mm256_store_si256(reinterpret_cast<__m256i*>(out + i * W * 32 + j), _mm512_cvtepi32_epi16(_mm512_cvtps_epi32(cost)));
            }
        return unit;
    }

    // Dijkstra's search from a free row to the nearest free column. False: a number may not fit.
    template <int W>
    bool augment(std::size_t start) {
        constexpr int kWords = (W + 1) / 2;  // of 64 columns
        __m512i open[W], distance[W], previous[W];
        std::uint64_t live[kWords];
        const std::uint16_t* costs = costs_.data();
        const __m512i* row = reinterpret_cast<const __m512i*>(costs + start * W * 32);
        __m512i nearest = _mm512_set1_epi16(-1);
#pragma GCC unroll 4
        for (int t = 0; t < kWords; ++t) live[t] = real_[t];
#pragma GCC unroll 8
        for (int w = 0; w < W; ++w) {
            open[w] = _mm512_load_si512(prices_ + w * 32);
            distance[w] = _mm512_add_epi16(_mm512_load_si512(row + w), open[w]);
            previous[w] = _mm512_set1_epi16(static_cast<short>(start));
            nearest = _mm512_mask_min_epu16(nearest, half(live, w), nearest, distance[w]);
        }
        __m512i now;
        std::size_t j;
        for (;;) {
            now = lowest(nearest);
            std::uint64_t here[kWords];
#pragma GCC unroll 4
            for (int t = 0; t < kWords; ++t) {
                here[t] = _mm512_cmpeq_epi16_mask(distance[2 * t], now);
                if (2 * t + 1 < W) here[t] |= static_cast<std::uint64_t>(_mm512_cmpeq_epi16_mask(distance[2 * t + 1 < W ? 2 * t + 1 : 0], now)) << 32;
                here[t] &= live[t];
            }
            if (const int end = first<kWords>(here, free_); end >= 0) {
                j = static_cast<std::size_t>(end);
                break;
            }
            const int next = first<kWords>(here, here);
            if (next < 0) return false;
            j = static_cast<std::size_t>(next);
            const std::size_t i = owner_[j];
            row = reinterpret_cast<const __m512i*>(costs + i * W * 32);
            const __m512i shift = _mm512_sub_epi16(now, _mm512_set1_epi16(static_cast<short>(rest_[j])));
            const __m512i from = _mm512_set1_epi16(static_cast<short>(i));
#pragma GCC unroll 4
            for (int t = 0; t < kWords; ++t) live[t] &= ~(static_cast<std::size_t>(t) == j / 64 ? std::uint64_t{1} << (j % 64) : 0);
            nearest = _mm512_set1_epi16(-1);
#pragma GCC unroll 8
            for (int w = 0; w < W; ++w) {
                const __mmask32 mine = half(live, w);
                const __m512i d = _mm512_add_epi16(_mm512_add_epi16(_mm512_load_si512(row + w), open[w]), shift);
                previous[w] = _mm512_mask_mov_epi16(previous[w], _mm512_mask_cmplt_epu16_mask(mine, d, distance[w]), from);
                distance[w] = _mm512_mask_min_epu16(distance[w], mine, distance[w], d);
                nearest = _mm512_mask_min_epu16(nearest, mine, nearest, distance[w]);
            }
        }
        if (_mm_extract_epi16(_mm512_castsi512_si128(now), 0) > kMost) return false;
        __m512i most = _mm512_setzero_si512();
#pragma GCC unroll 8
        for (int w = 0; w < W; ++w) {
            const __mmask32 scanned = half(real_, w) & ~half(live, w);
            const __m512i raise = _mm512_maskz_sub_epi16(scanned, now, distance[w]);
            open[w] = _mm512_add_epi16(open[w], raise);
            most = _mm512_max_epu16(most, open[w]);
            _mm512_store_si512(prices_ + w * 32, open[w]);
            _mm512_store_si512(rest_ + w * 32, _mm512_add_epi16(_mm512_load_si512(rest_ + w * 32), raise));
            _mm512_store_si512(previous_ + w * 32, previous[w]);
        }
        if (_mm512_cmpgt_epu16_mask(most, _mm512_set1_epi16(kMost)) != 0) return false;
        flip<W>(start, j);
        return true;
    }

    template <int W>
    void flip(std::size_t start, std::size_t j) {
        free_[j / 64] &= ~(std::uint64_t{1} << (j % 64));
        for (;;) {
            const auto i = static_cast<std::size_t>(previous_[j]);
            const std::int32_t next = column_.data()[i];
            owner_[j] = static_cast<std::uint16_t>(i);
            column_.data()[i] = static_cast<std::int32_t>(j);
            rest_[j] = static_cast<std::uint16_t>(prices_[j] + costs_.data()[i * W * 32 + j]);
            if (i == start) return;
            j = static_cast<std::size_t>(next);
        }
    }

    // The least of 32 numbers, in all lanes.
    static SETWISE_INLINE __m512i lowest(__m512i x) {
        const __m256i half = _mm256_min_epu16(_mm512_castsi512_si256(x), _mm512_extracti64x4_epi64(x, 1));
        return _mm512_broadcastw_epi16(_mm_minpos_epu16(_mm_min_epu16(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1))));
    }

    static SETWISE_INLINE __mmask32 half(const std::uint64_t* words, int w) {
        return static_cast<__mmask32>(words[w / 2] >> (w % 2 * 32));
    }

    // The first bit that both have; -1: none.
    template <int Words>
    static SETWISE_INLINE int first(const std::uint64_t* a, const std::uint64_t* b) {
#pragma GCC unroll 4
        for (int t = 0; t < Words; ++t)
            if (const std::uint64_t both = a[t] & b[t]) return t * 64 + __builtin_ctzll(both);
        return -1;
    }

    alignas(64) std::uint16_t prices_[kColumns], rest_[kColumns];
    alignas(64) std::uint16_t previous_[kColumns], owner_[kColumns];
    std::uint64_t free_[kColumns / 64], real_[kColumns / 64];
    Buffer<std::uint16_t> costs_;
    Buffer<std::int32_t> column_;
    Buffer<float> tops_;
};

#else

class ShortPaths {
  public:
    bool solve(const Matrix&, float*, std::int32_t*, std::int32_t*) { return false; }
};

#endif

}  // namespace setwise::SETWISE_NAMESPACE
