// The assignment of largest sum in float32, from a warm start, with upper bounds on the way.
//
// Sinkhorn iterations (Cuturi, NeurIPS 2013) give column prices; two c-transforms make them feasible, so that their sum
// bounds the optimum by weak duality; shortest augmenting paths (Jonker and Volgenant 1987; Crouse 2016) finish from
// there. What float32 leaves open, exact.hpp settles.
#pragma once

#include "memory.hpp"
#include "types.hpp"

namespace setwise::SETWISE_NAMESPACE {

// rows <= cols, stride a multiple of kPad; entries of the columns beyond cols are -kHuge.
struct Matrix {
    const float* values;
    std::size_t rows, cols, stride;

    const float* row(std::size_t i) const { return values + i * stride; }
    bool square() const { return rows == cols; }
};

enum class Found { optimum, below, stopped };

// The state of one problem: prices, owners, and the memory of the search.
class Assigner {
  public:
    static constexpr float kSharpness = 0.3f;  // of Sinkhorn: eps / mean(row maximum - row mean); 0.2 to 0.4 are alike
    static constexpr std::size_t kWords = 64;  // columns in a word of the set of free columns

    // An upper bound of the optimum from `iterations` of Sinkhorn; prices stay for `solve`. Exact but for rounding(), to
    // which `extent` matters: no entry is larger.
    double dual_bound(const Matrix& a, int iterations, double extent) {
        reserve(a);
        largest_entry_ = extent;
        switch (fixed(a)) {
#define SETWISE_CASE(V) \
    case V: return warm<V>(a, iterations);
            SETWISE_CASE(1) SETWISE_CASE(2) SETWISE_CASE(3) SETWISE_CASE(4) SETWISE_CASE(5) SETWISE_CASE(6) SETWISE_CASE(7) SETWISE_CASE(8)
#undef SETWISE_CASE
        }
        return warm<0>(a, iterations);
    }

    // After dual_bound of the same matrix. `below`: no matching reaches `least`, and bound() tells what none exceeds.
    Found solve(const Matrix& a, double least, const Stop& stop) {
        switch (fixed(a)) {
#define SETWISE_CASE(V) \
    case V: return search<V>(a, least, stop);
            SETWISE_CASE(1) SETWISE_CASE(2) SETWISE_CASE(3) SETWISE_CASE(4) SETWISE_CASE(5) SETWISE_CASE(6) SETWISE_CASE(7) SETWISE_CASE(8)
#undef SETWISE_CASE
        }
        return search<0>(a, least, stop);
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
    const std::int32_t* columns() const { return column_.data(); }  // (rows): the column of each row after `solve`
    const std::int32_t* owners() const { return owner_.data(); }    // (cols): the row of each column, -1 for none

  private:
    static SETWISE_INLINE float larger(float a, float b) { return a > b ? a : b; }
    static std::size_t fixed(const Matrix& a) { return a.stride / kWidth <= 8 ? a.stride / kWidth : 0; }

    void reserve(const Matrix& a) {
        kernel_.get(a.rows * a.stride);
        Buffer<float>* const floats[] = {&prices_, &live_, &scaling_, &sums_, &work_, &distance_, &scanned_distance_};
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

    template <int V>
    double warm(const Matrix& a, int iterations) {
        const float eps = temperature<V>(a);
        if (iterations > 0 && eps > 0.0f)
            sinkhorn<V>(a, iterations, eps);
        else
            for (std::size_t j = 0; j < a.stride; j += kWidth) store(prices_.data() + j, all(0.0f));
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
        const double eps = kSharpness * spread / static_cast<double>(seen), floor = 1e-6 * largest_entry_;
        return static_cast<float>(eps > floor ? eps : floor);
    }

    template <int V>
    void sinkhorn(const Matrix& a, int iterations, float eps) {
        const float scale = 1.44269504f / eps;
        first_pass<V>(a, scale);
        scale_columns<V>(a);
        for (int t = 1; t < iterations; ++t) {
            next_pass<V>(a);
            scale_columns<V>(a);
        }
        for (std::size_t j = 0; j < a.stride; j += kWidth) {
            const Floats live = load(live_.data() + j);
            store(prices_.data() + j, -0.69314718f * eps * log2(load(scaling_.data() + j) + (1.0f - live)) * live);
        }
    }

    // The kernel matrix exp((a - row maximum) / eps), its rows scaled to sum 1, and its column sums.
    template <int V>
    void first_pass(const Matrix& a, float scale) {
        const std::size_t count = V ? V : a.stride / kWidth;
        Floats fixed_sums[V ? V : 1];
        Floats* sums = V ? fixed_sums : reinterpret_cast<Floats*>(sums_.data());
#pragma GCC unroll 8
        for (std::size_t v = 0; v < count; ++v) sums[v] = all(0.0f);
        for (std::size_t i = 0; i < a.rows; ++i) {
            float* k = kernel_.data() + i * a.stride;
            Floats top = all(-kHuge), total = all(0.0f);
#pragma GCC unroll 8
            for (std::size_t v = 0; v < count; ++v) top = max(top, load(a.row(i) + v * kWidth));
            const float largest = highest(top);
#pragma GCC unroll 8
            for (std::size_t v = 0; v < count; ++v) {
                const Floats x = exp2((load(a.row(i) + v * kWidth) - largest) * scale) * load(live_.data() + v * kWidth);
                store(k + v * kWidth, x);
                total += x;
            }
            const float weight = 1.0f / sum(total);
#pragma GCC unroll 8
            for (std::size_t v = 0; v < count; ++v) sums[v] += weight * load(k + v * kWidth);
        }
#pragma GCC unroll 8
        for (std::size_t v = 0; v < count; ++v) store(sums_.data() + v * kWidth, sums[v]);
    }

    template <int V>
    void next_pass(const Matrix& a) {
        const std::size_t count = V ? V : a.stride / kWidth;
        Floats fixed_sums[V ? V : 1];
        Floats* sums = V ? fixed_sums : reinterpret_cast<Floats*>(sums_.data());
#pragma GCC unroll 8
        for (std::size_t v = 0; v < count; ++v) sums[v] = all(0.0f);
        for (std::size_t i = 0; i < a.rows; ++i) {
            const float* k = kernel_.data() + i * a.stride;
            Floats dot = all(0.0f);
#pragma GCC unroll 8
            for (std::size_t v = 0; v < count; ++v) dot += load(k + v * kWidth) * load(scaling_.data() + v * kWidth);
            const float weight = 1.0f / sum(dot);
#pragma GCC unroll 8
            for (std::size_t v = 0; v < count; ++v) sums[v] += weight * load(k + v * kWidth);
        }
#pragma GCC unroll 8
        for (std::size_t v = 0; v < count; ++v) store(sums_.data() + v * kWidth, sums[v]);
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

    // A rectangle's unmatched columns must end at price 0, so its search starts there.
    template <int V>
    void start_rectangle(const Matrix& a) {
        const std::size_t count = V ? V : a.stride / kWidth;
        for (std::size_t v = 0; v < count; ++v) store(prices_.data() + v * kWidth, all(0.0f));
        for (std::size_t j = 0; j < a.stride; ++j) owner_.data()[j] = -1;
        for (std::size_t w = 0; w <= a.stride / kWords; ++w) free_.data()[w] = 0;
        for (std::size_t j = 0; j < a.cols; ++j) free_.data()[j / kWords] |= std::uint64_t{1} << (j % kWords);
        bound_ = 0.0;
        for (std::size_t i = 0; i < a.rows; ++i) {
            Floats largest = all(-kHuge);
            for (std::size_t j = 0; j < a.stride; j += kWidth) largest = max(largest, load(a.row(i) + j));
            const float top = highest(largest);
            bound_ += top;
            column_.data()[i] = -1;
            for (std::size_t j = 0; j < a.cols; ++j)
                if (a.row(i)[j] == top && owner_.data()[j] < 0) {
                    own(i, j);
                    break;
                }
        }
    }

    void own(std::size_t i, std::size_t j) {
        owner_.data()[j] = static_cast<std::int32_t>(i);
        column_.data()[i] = static_cast<std::int32_t>(j);
        free_.data()[j / kWords] &= ~(std::uint64_t{1} << (j % kWords));
    }

    template <int V>
    Found search(const Matrix& a, double least, const Stop& stop) {
        if (!a.square()) start_rectangle<V>(a);
        const bool large = a.rows * a.stride > 16384;
        give_up_ = least;
        for (std::size_t i = 0; i < a.rows; ++i) {
            if (column_.data()[i] >= 0) continue;
            if (large && stop.asked != nullptr && stop.asked(stop.context)) return Found::stopped;
            if (!augment<V>(a, i)) return Found::below;
        }
        return Found::optimum;
    }

    // Dijkstra's search from a free row to the nearest free column. False: the bound fell below give_up_.
    template <int V>
    bool augment(const Matrix& a, std::size_t start) {
        const std::size_t count = V ? V : a.stride / kWidth;
        Floats fixed_open[V ? V : 1], fixed_distance[V ? V : 1];
        Ints fixed_previous[V ? V : 1];
        // Narrow problems live in registers; open: prices of the columns not scanned yet, kHuge for the others.
        Floats* open = V ? fixed_open : reinterpret_cast<Floats*>(work_.data());
        Floats* distance = V ? fixed_distance : reinterpret_cast<Floats*>(distance_.data());
        Ints* previous = V ? fixed_previous : reinterpret_cast<Ints*>(previous_.data());
        Floats nearest = all(kHuge);
#pragma GCC unroll 8
        for (std::size_t v = 0; v < count; ++v) {
            open[v] = load(prices_.data() + v * kWidth);
            distance[v] = open[v] - load(a.row(start) + v * kWidth);
            previous[v] = all(static_cast<std::int32_t>(start));
            nearest = min(nearest, distance[v]);
        }
        const float mu0 = lowest(nearest);
        float mu = mu0;
        std::size_t scanned = 0, j;
        while (!pick<V>(distance, count, mu, j)) {
            if (bound_ - (static_cast<double>(mu) - static_cast<double>(mu0)) < give_up_ && hopeless(a, scanned, mu)) return false;
            const std::size_t i = static_cast<std::size_t>(owner_.data()[j]);
            scanned_.data()[scanned] = static_cast<std::int32_t>(j);
            scanned_distance_.data()[scanned++] = mu;
            const float shift = mu - (prices_.data()[j] - a.row(i)[j]);
            if constexpr (V == 0) reinterpret_cast<float*>(distance)[j] = reinterpret_cast<float*>(open)[j] = kHuge;
            nearest = all(kHuge);
#pragma GCC unroll 8
            for (std::size_t v = 0; v < count; ++v) {
                if constexpr (V != 0) {
                    const Mask here = equal(load(index_.data() + v * kWidth), all(static_cast<std::int32_t>(j)));
                    open[v] = select(here, all(kHuge), open[v]);
                    distance[v] = select(here, all(kHuge), distance[v]);
                }
                const Floats d = open[v] - load(a.row(i) + v * kWidth) + shift;
                const Mask closer = less(d, distance[v]);
                distance[v] = select(closer, d, distance[v]);
                previous[v] = select(closer, all(static_cast<std::int32_t>(i)), previous[v]);
                nearest = min(nearest, distance[v]);
            }
            const float next = lowest(nearest);
            if (next < mu)  // by rounding only: distances never fall
                for (std::size_t v = 0; v < count; ++v) distance[v] = max(distance[v], all(mu));
            mu = next < mu ? mu : next;
        }
        raise(scanned, mu);
        bound_ -= static_cast<double>(mu) - static_cast<double>(mu0);
        if constexpr (V != 0)
            for (std::size_t v = 0; v < count; ++v) store(previous_.data() + v * kWidth, previous[v]);
        flip(start, j);
        return true;
    }

    // A column at distance mu, a free one if there is any; true if it is free.
    template <int V>
    SETWISE_INLINE bool pick(const Floats* distance, std::size_t count, float mu, std::size_t& j) const {
        const Floats now = all(mu);
        std::uint64_t any = 0;
        std::size_t word = 0;
        if constexpr (V != 0) {
            constexpr std::size_t kHere = (V * kWidth + kWords - 1) / kWords;
            std::uint64_t at[kHere] = {}, open = 0;
#pragma GCC unroll 8
            for (std::size_t v = 0; v < V; ++v) at[v * kWidth / kWords] |= bits(equal(distance[v], now)) << (v * kWidth % kWords);
            for (std::size_t w = 0; w < kHere; ++w) open |= at[w] & free_.data()[w];
            if (open) {
                while (!(at[word] & free_.data()[word])) ++word;
                j = word * kWords + static_cast<std::size_t>(__builtin_ctzll(at[word] & free_.data()[word]));
                return true;
            }
            while (word + 1 < kHere && !at[word]) ++word;
            any = at[word];
        } else {
            constexpr std::size_t kStep = kWords / kWidth;
            for (std::size_t v = 0; v < count; v += kStep) {
                std::uint64_t here = 0;
                for (std::size_t t = v; t < smaller(count, v + kStep); ++t) here |= bits(equal(distance[t], now)) << (t - v) * kWidth;
                if (const std::uint64_t open = here & free_.data()[v / kStep]) {
                    j = v * kWidth + static_cast<std::size_t>(__builtin_ctzll(open));
                    return true;
                }
                if (here && !any) any = here, word = v / kStep;
            }
        }
        j = word * kWords + static_cast<std::size_t>(__builtin_ctzll(any));
        return false;
    }

    void raise(std::size_t scanned, float mu) {
        for (std::size_t k = 0; k < scanned; ++k) prices_.data()[scanned_.data()[k]] += mu - scanned_distance_.data()[k];
    }

    void flip(std::size_t start, std::size_t j) {
        for (;;) {
            const std::size_t i = static_cast<std::size_t>(previous_.data()[j]);
            const std::int32_t next = column_.data()[i];
            own(i, j);
            if (i == start) return;
            j = static_cast<std::size_t>(next);
        }
    }

    // Whether feasible prices prove that `give_up_` is out of reach; they are what the search has raised so far.
    bool hopeless(const Matrix& a, std::size_t scanned, float mu) {
        for (std::size_t k = 0; k < scanned; ++k) prices_.data()[scanned_.data()[k]] += mu - scanned_distance_.data()[k];
        const double proven = feasible_bound(a) + rounding(a);
        if (proven < give_up_) {
            bound_ = proven;
            return true;
        }
        for (std::size_t k = 0; k < scanned; ++k) prices_.data()[scanned_.data()[k]] -= mu - scanned_distance_.data()[k];
        give_up_ = -1e308;  // as good as reached: rounding decides, so solve it
        return false;
    }

    Buffer<float> kernel_, prices_, live_, scaling_, sums_, work_, distance_, scanned_distance_;
    Buffer<std::int32_t> owner_, previous_, scanned_, index_, column_;
    Buffer<std::uint64_t> free_;
    double bound_ = 0.0, give_up_ = 0.0, largest_entry_ = 0.0;
};

}  // namespace setwise::SETWISE_NAMESPACE
