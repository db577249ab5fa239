// The proof: prices in integers, under which the matching is optimal exactly.
//
// Affinities are integers times a unit (2^-48 for fp16 tokens), and so are optimal prices. Given a matching that float32
// believes optimal, and its prices, only entries within rounding of tight can contradict it. Those alone are computed
// exactly; Bellman-Ford over them raises the prices until none does. If that fails, the float32 matching was not quite
// optimal, and shortest augmenting paths in integers, over all entries, find one that is.
#pragma once

#include "assign.hpp"

namespace setwise::SETWISE_NAMESPACE {

using Wide = __int128;

// Exact prices of one matching. Int: std::int64_t where entries stay below 2^58 units, else Wide.
template <typename Int>
class Prover {
  public:
    // Tries the float32 matching; false: it may not be optimal, or is tight almost everywhere, or stopped.
    // entry(i, j): the exact integer of row i and column j. per_unit: integers in 1.0 of the float matrix.
    // entry_error: how far a float entry may lie from the exact one.
    template <typename Entry>
    bool sparse(const Matrix& a, const Assigner& floats, double per_unit, double entry_error, const Entry& entry, Watch& watch) {
        reserve(a);
        edges_.get(edge_limit(a));
        // A slack of the float matrix is off by two entries and by the rounding of two sums and two prices.
        const double off = 2.0 * entry_error + 8.0 * kRoundoff * floats.extent(a);
        const double lower = a.square() ? 0.0 : off, listed = (a.square() ? 4.0 : 10.0) * off;
        const float* prices = floats.prices();
        for (std::size_t j = 0; j < a.cols; ++j) {
            // Unmatched columns of a rectangle stay at 0, and no price is below; so begin a little lower and only rise.
            const double p = floats.owners()[j] < 0 ? 0.0 : static_cast<double>(prices[j]) - lower;
            prices_.data()[j] = before_.data()[j] = rounded((a.square() || p > 0.0 ? p : 0.0) * per_unit);
        }
        std::size_t edges = 0;
        for (std::size_t i = 0; i < a.rows; ++i) {
            if (watch.after(a.stride + kEntrySteps)) return false;
            const std::size_t own = static_cast<std::size_t>(floats.columns()[i]);
            column_.data()[i] = static_cast<std::int32_t>(own);
            const Int mine = matched_.data()[i] = entry(i, own);
            const float base = a.row(i)[own] - prices[own] - static_cast<float>(listed);
            for (std::size_t j = 0; j < a.stride; j += kWidth) {
                std::uint64_t near = bits(less(load(prices + j) + base, load(a.row(i) + j)));
                for (; near; near &= near - 1) {
                    const std::size_t column = j + static_cast<std::size_t>(__builtin_ctzll(near));
                    if (column == own || column >= a.cols) continue;
                    if (edges == edge_limit(a) || watch.after(kEntrySteps)) return false;
                    edges_.data()[edges++] = {static_cast<std::int32_t>(i), static_cast<std::int32_t>(column), entry(i, column) - mine};
                }
            }
        }
        return settle(a, floats, edges, watch) && little_changed(a, (listed - off - lower) * 0.5 * per_unit);
    }

    // All of it in integers, from the prices of `floats`. False: stopped.
    template <typename Entry>
    bool dense(const Matrix& a, const Assigner& floats, double per_unit, const Entry& entry, Watch& watch) {
        reserve(a);
        Int* all_entries = entries_.get(a.rows * a.cols);
        for (std::size_t i = 0; i < a.rows; ++i)
            for (std::size_t j = 0; j < a.cols; ++j) {
                if (watch.after(kEntrySteps)) return false;
                all_entries[i * a.cols + j] = entry(i, j);
            }
        if (!start(a, floats, per_unit, watch)) return false;
        for (std::size_t i = 0; i < a.rows; ++i)
            if (column_.data()[i] < 0 && !augment(a, i, watch)) return false;
        for (std::size_t i = 0; i < a.rows; ++i) matched_.data()[i] = at(a, i, column_of(i));
        return true;
    }

    std::size_t column_of(std::size_t i) const { return static_cast<std::size_t>(column_.data()[i]); }
    Int matched(std::size_t i) const { return matched_.data()[i]; }
    Int column_price(std::size_t j) const { return prices_.data()[j]; }
    Int row_price(std::size_t i) const { return matched_.data()[i] - prices_.data()[column_of(i)]; }

    Wide sum(std::size_t rows) const {
        Wide total = 0;
        for (std::size_t i = 0; i < rows; ++i) total += matched_.data()[i];
        return total;
    }

  private:
    static constexpr std::size_t kEntrySteps = 256;  // of Watch: an exact entry takes some tenths of a microsecond

    void reserve(const Matrix& a) {
        column_.get(a.rows);
        matched_.get(a.rows);
        prices_.get(a.stride);
        before_.get(a.stride);
        owner_.get(a.stride);
        distance_.get(a.stride);
        previous_.get(a.stride);
        scanned_.get(a.stride);
    }

    struct Edge {
        std::int32_t row, column;
        Int gain;  // what the row would gain by moving from its own column
    };
    static std::size_t edge_limit(const Matrix& a) { return 16 * (a.rows + a.cols) + 64; }

    static Int rounded(double value) { return static_cast<Int>(__builtin_rint(value)); }

    // Raises prices until no listed edge pays. False: a better matching may exist, or stopped.
    bool settle(const Matrix& a, const Assigner& floats, std::size_t edges, Watch& watch) {
        Int* p = prices_.data();
        for (std::size_t round = 0; round <= a.rows; ++round) {
            bool changed = false;
            for (std::size_t e = 0; e < edges; ++e) {
                const Edge& edge = edges_.data()[e];
                const std::size_t j = static_cast<std::size_t>(edge.column);
                const Int wanted = p[column_of(static_cast<std::size_t>(edge.row))] + edge.gain;
                if (wanted <= p[j]) continue;
                if (!a.square() && floats.owners()[j] < 0) return false;
                p[j] = wanted;
                changed = true;
            }
            if (!changed) return true;
            if (watch.after(4 * edges)) return false;
        }
        return false;
    }

    // Entries that were not listed stay untight while no price has risen further than this.
    bool little_changed(const Matrix& a, double limit) const {
        for (std::size_t j = 0; j < a.cols; ++j)
            if (static_cast<double>(prices_.data()[j] - before_.data()[j]) > limit) return false;
        return true;
    }

    Int at(const Matrix& a, std::size_t i, std::size_t j) const { return entries_.data()[i * a.cols + j]; }

    bool start(const Matrix& a, const Assigner& floats, double per_unit, Watch& watch) {
        for (std::size_t j = 0; j < a.cols; ++j) {
            prices_.data()[j] = a.square() ? rounded(static_cast<double>(floats.prices()[j]) * per_unit) : 0;
            owner_.data()[j] = -1;
        }
        for (std::size_t i = 0; i < a.rows; ++i) {
            if (watch.after(4 * a.cols)) return false;
            Int best = at(a, i, 0) - prices_.data()[0];
            for (std::size_t j = 1; j < a.cols; ++j) {
                const Int here = at(a, i, j) - prices_.data()[j];
                best = here > best ? here : best;
            }
            column_.data()[i] = -1;
            for (std::size_t j = 0; j < a.cols; ++j)
                if (at(a, i, j) - prices_.data()[j] == best && owner_.data()[j] < 0) {
                    owner_.data()[j] = static_cast<std::int32_t>(i);
                    column_.data()[i] = static_cast<std::int32_t>(j);
                    break;
                }
        }
        return true;
    }

    bool augment(const Matrix& a, std::size_t start, Watch& watch) {
        Int* d = distance_.data();
        bool* scanned = scanned_.data();
        for (std::size_t j = 0; j < a.cols; ++j) {
            d[j] = prices_.data()[j] - at(a, start, j);
            previous_.data()[j] = static_cast<std::int32_t>(start);
            scanned[j] = false;
        }
        Int mu;
        std::size_t j;
        for (;;) {
            j = a.cols;
            for (std::size_t k = 0; k < a.cols; ++k)
                if (!scanned[k] && (j == a.cols || d[k] < d[j] || (d[k] == d[j] && owner_.data()[k] < 0 && owner_.data()[j] >= 0))) j = k;
            mu = d[j];
            if (owner_.data()[j] < 0) break;
            if (watch.after(4 * a.cols)) return false;
            scanned[j] = true;
            const std::size_t i = static_cast<std::size_t>(owner_.data()[j]);
            const Int shift = mu - (prices_.data()[j] - at(a, i, j));
            for (std::size_t k = 0; k < a.cols; ++k) {
                const Int here = prices_.data()[k] - at(a, i, k) + shift;
                if (scanned[k] || here >= d[k]) continue;
                d[k] = here;
                previous_.data()[k] = static_cast<std::int32_t>(i);
            }
        }
        for (std::size_t k = 0; k < a.cols; ++k)
            if (scanned[k]) prices_.data()[k] += mu - d[k];
        for (;;) {
            const std::size_t i = static_cast<std::size_t>(previous_.data()[j]);
            const std::int32_t next = column_.data()[i];
            owner_.data()[j] = static_cast<std::int32_t>(i);
            column_.data()[i] = static_cast<std::int32_t>(j);
            if (i == start) return true;
            j = static_cast<std::size_t>(next);
        }
    }

    Buffer<Int> entries_, matched_, prices_, before_, distance_;
    Buffer<std::int32_t> column_, owner_, previous_;
    Buffer<bool> scanned_;
    Buffer<Edge> edges_;
};

}  // namespace setwise::SETWISE_NAMESPACE
