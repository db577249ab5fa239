// The assignment of largest sum in float32: shortest augmenting paths (Jonker and Volgenant 1987; Crouse 2016) from the
// prices of prices.hpp, given up as soon as no matching can reach what is asked for. What float32 leaves open, exact.hpp
// settles.
#pragma once

#include "prices.hpp"

namespace setwise::SETWISE_NAMESPACE {

enum class Found { optimum, below, stopped };

class Assigner : public Prices {
  public:
    // After dual_bound (or, for a rectangle, no_bound) of the same matrix. `below`: no matching reaches `least`, and bound() tells what none exceeds.
    Found solve(const Matrix& a, double least) {
        SETWISE_BY_WIDTH(a, search, a, least)
    }

  protected:
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
            if (V == 0 && i % Watch::kTurns == 0 && watch_.after(Watch::kTurns * a.stride)) return;
            Floats largest = all(-kHuge);
            for (std::size_t j = 0; j < a.stride; j += kWidth) largest = max(largest, load(a.row(i) + j));
            largest = all(highest(largest));
            bound_ += largest[0];
            column_.data()[i] = -1;
            for (std::size_t j = 0; j < a.stride; j += kWidth) {
                const std::uint64_t at = bits(equal(load(a.row(i) + j), largest)) & (free_.data()[j / kWords] >> (j % kWords));
                if (at == 0) continue;
                own(a, i, j + static_cast<std::size_t>(__builtin_ctzll(at)));
                break;
            }
        }
    }

    void own(const Matrix& a, std::size_t i, std::size_t j) {
        rest_.data()[j] = prices_.data()[j] - a.row(i)[j];
        owner_.data()[j] = static_cast<std::int32_t>(i);
        column_.data()[i] = static_cast<std::int32_t>(j);
        free_.data()[j / kWords] &= ~(std::uint64_t{1} << (j % kWords));
    }

    template <int V>
    Found search(const Matrix& a, double least) {
        if (!a.square()) start_rectangle<V>(a);
        if (watch_.stopped()) return Found::stopped;
        for (std::size_t i = 0; i < a.rows; ++i)
            if (column_.data()[i] >= 0) own(a, i, static_cast<std::size_t>(column_.data()[i]));
        give_up_ = least;
        for (std::size_t i = 0; i < a.rows; ++i) {
            if (column_.data()[i] >= 0) continue;
            if (V == 0 && watch_.after(Watch::kTurns * a.stride)) return Found::stopped;
            if (!augment<V>(a, i)) return watch_.stopped() ? Found::stopped : Found::below;
        }
        return Found::optimum;
    }

    // Dijkstra's search from a free row to the nearest free column. False: the bound fell below give_up_, or stopped.
    template <int V>
    bool augment(const Matrix& a, std::size_t start) {
        const std::size_t count = V ? V : a.stride / kWidth, stride = count * kWidth;
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
        Floats mu = lowest_in_all(nearest);  // in all lanes: the search waits for nothing but this number
        const float mu0 = mu[0];
        std::size_t scanned = 0, j;
        while (!pick<V>(distance, count, mu, j)) {
            if (bound_ - (static_cast<double>(mu[0]) - static_cast<double>(mu0)) < give_up_ && hopeless(a, scanned, mu[0])) return false;
            if (V == 0 && scanned % Watch::kTurns == Watch::kTurns - 1 && watch_.after(Watch::kTurns * stride)) return false;
            const std::size_t i = static_cast<std::size_t>(owner_.data()[j]);
            const float* row = a.values + i * stride;
            scanned_.data()[scanned] = static_cast<std::int32_t>(j);
            scanned_distance_.data()[scanned++] = mu[0];
            const Floats shift = mu - rest_.data()[j];
            if constexpr (V == 0) reinterpret_cast<float*>(distance)[j] = reinterpret_cast<float*>(open)[j] = kHuge;
            nearest = all(kHuge);
#pragma GCC unroll 8
            for (std::size_t v = 0; v < count; ++v) {
                if constexpr (V != 0) {
                    const Mask here = equal(load(index_.data() + v * kWidth), all(static_cast<std::int32_t>(j)));
                    open[v] = select(here, all(kHuge), open[v]);
                    distance[v] = select(here, all(kHuge), distance[v]);
                }
                const Floats d = open[v] - load(row + v * kWidth) + shift;
                const Mask closer = less(d, distance[v]);
                distance[v] = select(closer, d, distance[v]);
                previous[v] = select(closer, all(static_cast<std::int32_t>(i)), previous[v]);
                nearest = min(nearest, distance[v]);
            }
            const Floats next = lowest_in_all(nearest);
            if (next[0] < mu[0])  // by rounding only: distances never fall
                for (std::size_t v = 0; v < count; ++v) distance[v] = max(distance[v], mu);
            mu = max(mu, next);
        }
        raise(a, scanned, mu[0]);
        bound_ -= static_cast<double>(mu[0]) - static_cast<double>(mu0);
        if constexpr (V != 0)
            for (std::size_t v = 0; v < count; ++v) store(previous_.data() + v * kWidth, previous[v]);
        flip(a, start, j);
        return true;
    }

    // A column at distance `now`, a free one if there is any; true if it is free.
    template <int V>
    SETWISE_INLINE bool pick(const Floats* distance, std::size_t count, Floats now, std::size_t& j) const {
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

    void raise(const Matrix& a, std::size_t scanned, float mu) {
        for (std::size_t k = 0; k < scanned; ++k) {
            const std::size_t j = static_cast<std::size_t>(scanned_.data()[k]);
            prices_.data()[j] += mu - scanned_distance_.data()[k];
            rest_.data()[j] = prices_.data()[j] - a.row(static_cast<std::size_t>(owner_.data()[j]))[j];
        }
    }

    void flip(const Matrix& a, std::size_t start, std::size_t j) {
        for (;;) {
            const std::size_t i = static_cast<std::size_t>(previous_.data()[j]);
            const std::int32_t next = column_.data()[i];
            own(a, i, j);
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

    double give_up_ = 0.0;
};

}  // namespace setwise::SETWISE_NAMESPACE
