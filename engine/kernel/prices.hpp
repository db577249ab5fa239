// Upper bounds of the best assignment from column prices.
//
// For any prices p, u_i = max_j(a_ij - p_j) makes (u, p) feasible, and the sum of all prices bounds every matching (weak
// duality). Half of every column's maximum is a surprisingly good start (docs/decisions/0084); one more pass over the
// matrix makes each price as small as its column allows. Sinkhorn iterations (Cuturi, NeurIPS 2013) on what the start
// leaves give the prices from which the search for the optimum begins.
#pragma once

#include "memory.hpp"
#include "watch.hpp"

namespace setwise::SETWISE_NAMESPACE {

// rows <= cols, stride a multiple of kPad; entries of the columns beyond cols are -kHuge.
struct Matrix {
    const float* values;
    std::size_t rows, cols, stride;

    const float* row(std::size_t i) const { return values + i * stride; }
    bool square() const { return rows == cols; }
};

// Calls the member template CALL with the number of vectors in a row where that is small, so that a row stays in
// registers, and with 0 where it is not.
#define SETWISE_BY_WIDTH(a, CALL, ...)                   \
    switch ((a).stride / kWidth) {                       \
        case 1: return CALL<1>(__VA_ARGS__);             \
        case 2: return CALL<2>(__VA_ARGS__);             \
        case 3: return CALL<3>(__VA_ARGS__);             \
        case 4: return CALL<4>(__VA_ARGS__);             \
        case 5: return CALL<5>(__VA_ARGS__);             \
        case 6: return CALL<6>(__VA_ARGS__);             \
        case 7: return CALL<7>(__VA_ARGS__);             \
        case 8: return CALL<8>(__VA_ARGS__);             \
        default: return CALL<0>(__VA_ARGS__);            \
    }

class Prices {
  public:
    // Asked by what takes long; what was stopped has no meaning.
    Watch& watch() { return watch_; }

    // A bound from two passes over the matrix. Exact but for rounding(), to which `extent` matters: no entry is larger.
    double tight_bound(const Matrix& a, double extent) {
        reserve(a);
        largest_entry_ = extent;
        halve(a);
        SETWISE_BY_WIDTH(a, transform, a)
    }

    // Neither: for rectangles, whose search begins at prices of 0.
    void no_bound(const Matrix& a, double extent) {
        reserve(a);
        largest_entry_ = extent;
    }

    // A tighter bound, dearer; its prices are where a search begins.
    double dual_bound(const Matrix& a, int iterations, double extent) {
        reserve(a);
        largest_entry_ = extent;
        SETWISE_BY_WIDTH(a, warm, a, iterations)
    }

    // Sum of feasible prices, recomputed: u_i = max_j(a_ij - p_j), in float32, summed in double.
    double feasible_bound(const Matrix& a) {
        double total = 0.0;
        for (std::size_t i = 0; i < a.rows; ++i) {
            Floats best = all(-kHuge);
            for (std::size_t j = 0; j < a.stride; j += kWidth) best = max(best, load(a.row(i) + j) - load(prices() + j));
            total += highest(best);
        }
        for (std::size_t j = 0; j < a.cols; ++j) total += prices()[j];
        return total;
    }

    // The largest price, and the largest entry or price.
    double price_extent(const Matrix& a) const {
        float largest = 0.0f;
        for (std::size_t j = 0; j < a.cols; ++j) largest = larger(largest, larger(prices_.data()[j], -prices_.data()[j]));
        return largest;
    }
    double extent(const Matrix& a) const {
        const double prices = price_extent(a);
        return prices > largest_entry_ ? prices : largest_entry_;
    }

    // How far feasible_bound may lie below the sum of exactly feasible prices: each u_i rounds once.
    double rounding(const Matrix& a) const { return static_cast<double>(a.rows) * 2.0 * kRoundoff * extent(a) * 1.01; }

    double bound() const { return bound_; }
    const float* prices() const { return prices_.data(); }          // (stride): p of the columns, 0 beyond cols
    const std::int32_t* columns() const { return column_.data(); }  // (rows): the column of each row, -1 for none
    const std::int32_t* owners() const { return owner_.data(); }    // (cols): the row of each column, -1 for none

  protected:
    // Sinkhorn's eps / mean(row maximum - row mean), after halving and for rectangles; .06 to .12 and .2 to .4 are alike.
    static constexpr float kSharpness = 0.075f, kRectangleSharpness = 0.3f;
    static constexpr std::size_t kWords = 64;    // columns in a word of the set of free columns

    static SETWISE_INLINE float larger(float a, float b) { return a > b ? a : b; }

    void reserve(const Matrix& a) {
        kernel_.get(a.rows * a.stride);
        Buffer<float>* const floats[] = {&prices_, &live_, &scaling_, &sums_, &work_, &distance_, &scanned_distance_, &rest_};
        Buffer<std::int32_t>* const numbers[] = {&owner_, &previous_, &scanned_, &index_};
        for (Buffer<float>* one : floats) one->get(a.stride);
        for (Buffer<std::int32_t>* one : numbers) one->get(a.stride);
        column_.get(a.rows);
        free_.get(a.stride / kWords + 1);
        for (std::size_t j = 0; j < a.stride; ++j) {
            live_.data()[j] = j < a.cols ? 1.0f : 0.0f;
            index_.data()[j] = static_cast<std::int32_t>(j);
        }
    }

    // Half of every column's maximum. A rectangle's prices stay at 0: columns that stay free must.
    void halve(const Matrix& a) {
        float* prices = prices_.data();
        for (std::size_t j = 0; j < a.stride; j += kWidth) store(prices + j, all(a.square() ? -kHuge : 0.0f));
        if (!a.square()) return;
        for (std::size_t i = 0; i < a.rows; ++i) {
            if (i % Watch::kTurns == 0 && watch_.after(Watch::kTurns * a.stride)) return;
            for (std::size_t j = 0; j < a.stride; j += kWidth) store(prices + j, max(load(prices + j), load(a.row(i) + j)));
        }
        for (std::size_t j = 0; j < a.stride; j += kWidth) store(prices + j, 0.5f * load(prices + j) * load(live_.data() + j));
    }

    template <int V>
    double warm(const Matrix& a, int iterations) {
        const float eps = temperature<V>(a);
        halve(a);
        if (iterations > 0 && eps > 0.0f) sinkhorn<V>(a, iterations, eps);
        return transform<V>(a);
    }

    // Sinkhorn's temperature, from every eighth row: any would do, this one suits.
    template <int V>
    float temperature(const Matrix& a) const {
        const std::size_t count = V ? V : a.stride / kWidth;
        double spread = 0.0;
        std::size_t seen = 0;
        for (std::size_t i = 0; i < a.rows; i += 8, ++seen) {
            Floats top = all(-kHuge), total = all(0.0f);
#pragma GCC unroll 8
            for (std::size_t v = 0; v < count; ++v) {
                const Floats x = load(a.row(i) + v * kWidth);
                top = max(top, x);
                total += x * load(live_.data() + v * kWidth);
            }
            spread += static_cast<double>(highest(top)) - static_cast<double>(sum(total)) / static_cast<double>(a.cols);
        }
        const float sharpness = a.square() ? kSharpness : kRectangleSharpness;
        const double eps = sharpness * spread / static_cast<double>(seen), floor = 1e-6 * largest_entry_;
        return static_cast<float>(eps > floor ? eps : floor);
    }

    template <int V>
    void sinkhorn(const Matrix& a, int iterations, float eps) {
        const float scale = 1.44269504f / eps;
        std::memcpy(scaling_.data(), live_.data(), a.stride * sizeof(float));
        pass<V, true>(a, scale);
        scale_columns<V>(a);
        for (int t = 1; t < iterations && !watch_.stopped(); ++t) {
            pass<V, false>(a, scale);
            scale_columns<V>(a);
        }
        for (std::size_t j = 0; j < a.stride; j += kWidth) {
            const Floats live = load(live_.data() + j);
            const Floats change = -0.69314718f * eps * log2(load(scaling_.data() + j) + (1.0f - live)) * live;
            store(prices_.data() + j, load(prices_.data() + j) + change);
        }
    }

    // Sums of the columns of the kernel matrix exp((a - p - row maximum) / eps), its rows scaled to sum 1. The first pass
    // makes the matrix.
    template <int V, bool First>
    void pass(const Matrix& a, float scale) {
        const std::size_t count = V ? V : a.stride / kWidth;
        Floats fixed_sums[V ? V : 1];
        Floats* sums = V ? fixed_sums : reinterpret_cast<Floats*>(sums_.data());
#pragma GCC unroll 8
        for (std::size_t v = 0; v < count; ++v) sums[v] = all(0.0f);
        for (std::size_t i = 0; i < a.rows; ++i) {
            if (V == 0 && i % Watch::kTurns == 0 && watch_.after(Watch::kTurns * a.stride)) break;
            float* k = kernel_.data() + i * a.stride;
            if constexpr (First) exponentials<V>(a, i, scale, k);
            Floats total = all(0.0f);
#pragma GCC unroll 8
            for (std::size_t v = 0; v < count; ++v) total += load(k + v * kWidth) * load(scaling_.data() + v * kWidth);
            const float weight = 1.0f / sum(total);
#pragma GCC unroll 8
            for (std::size_t v = 0; v < count; ++v) sums[v] += weight * load(k + v * kWidth);
        }
#pragma GCC unroll 8
        for (std::size_t v = 0; v < count; ++v) store(sums_.data() + v * kWidth, sums[v]);
    }

    template <int V>
    SETWISE_INLINE void exponentials(const Matrix& a, std::size_t i, float scale, float* k) const {
        const std::size_t count = V ? V : a.stride / kWidth;
        Floats top = all(-kHuge);
#pragma GCC unroll 8
        for (std::size_t v = 0; v < count; ++v) top = max(top, load(a.row(i) + v * kWidth) - load(prices_.data() + v * kWidth));
        const float largest = highest(top);
#pragma GCC unroll 8
        for (std::size_t v = 0; v < count; ++v)
            store(k + v * kWidth, exp2((load(a.row(i) + v * kWidth) - load(prices_.data() + v * kWidth) - largest) * scale));
    }

    template <int V>
    void scale_columns(const Matrix& a) {
        const Floats most = all(a.square() ? kHuge : 1.0f);  // a column may stay free: its price is not below 0
        for (std::size_t j = 0; j < a.stride; j += kWidth)
            store(scaling_.data() + j, min(1.0f / max(load(sums_.data() + j), all(1e-30f)), most) * load(live_.data() + j));
    }

    // Feasible prices: u_i = max_j(a_ij - p_j), then the least p_j for them. Sets owners from the tight columns.
    template <int V>
    double transform(const Matrix& a) {
        const std::size_t count = V ? V : a.stride / kWidth;
        float* prices = prices_.data();
        Floats fixed_least[V ? V : 1];
        Ints fixed_tight[V ? V : 1];
        Floats* least = V ? fixed_least : reinterpret_cast<Floats*>(work_.data());
        Ints* tight = V ? fixed_tight : reinterpret_cast<Ints*>(previous_.data());
#pragma GCC unroll 8
        for (std::size_t v = 0; v < count; ++v) {
            least[v] = all(a.square() ? -kHuge : 0.0f);
            tight[v] = all(std::int32_t{-1});
        }
        double total = 0.0;
        for (std::size_t i = 0; i < a.rows; ++i) {
            if (V == 0 && i % Watch::kTurns == 0 && watch_.after(Watch::kTurns * a.stride)) break;
            Floats best = all(-kHuge);
#pragma GCC unroll 8
            for (std::size_t v = 0; v < count; ++v) best = max(best, load(a.row(i) + v * kWidth) - load(prices + v * kWidth));
            const float u = highest(best);
            total += u;
#pragma GCC unroll 8
            for (std::size_t v = 0; v < count; ++v) {
                const Floats p = load(a.row(i) + v * kWidth) - u;
                const Mask more = less(least[v], p);
                least[v] = select(more, p, least[v]);
                tight[v] = select(more, all(static_cast<std::int32_t>(i)), tight[v]);
            }
        }
#pragma GCC unroll 8
        for (std::size_t v = 0; v < count; ++v) {
            store(work_.data() + v * kWidth, least[v]);
            store(previous_.data() + v * kWidth, tight[v]);
        }
        for (std::size_t i = 0; i < a.rows; ++i) column_.data()[i] = -1;
        for (std::size_t w = 0; w <= a.stride / kWords; ++w) free_.data()[w] = 0;
        for (std::size_t j = 0; j < a.stride; ++j) {
            const bool real = j < a.cols;
            prices[j] = real ? work_.data()[j] : 0.0f;
            if (real) total += prices[j];
            const std::int32_t row = real ? previous_.data()[j] : -1;
            const bool take = row >= 0 && column_.data()[row] < 0;
            owner_.data()[j] = take ? row : -1;
            if (take)
                column_.data()[row] = static_cast<std::int32_t>(j);
            else if (real)
                free_.data()[j / kWords] |= std::uint64_t{1} << (j % kWords);
        }
        return bound_ = total;
    }

    Buffer<float> kernel_, prices_, live_, scaling_, sums_, work_, distance_, scanned_distance_, rest_;
    Buffer<std::int32_t> owner_, previous_, scanned_, index_, column_;
    Buffer<std::uint64_t> free_;
    double bound_ = 0.0, largest_entry_ = 0.0;
    Watch watch_;
};

}  // namespace setwise::SETWISE_NAMESPACE
