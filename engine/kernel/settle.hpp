// The optimal matching of affinities that are known only roughly, each within an error of its own.
//
// Solved roughly first: that gives prices under which few entries are nearly tight. Only these are computed well, from the
// tokens, and solved again. When every entry that was not computed stays below its row's price even at its upper end, the
// matching is optimal for all entries, and the prices prove it:
//     no matching is worth more than sum_i max_j(a_ij - p_j) + sum_j p_j.
#pragma once

#include "short_paths.hpp"

namespace setwise::SETWISE_NAMESPACE {

// An inner product within kCareful |a| |b|: four products at a time in float32, the sums of four in float64.
constexpr double kCareful = 4.0 * kRoundoff * 1.01;

typedef float Eight __attribute__((vector_size(32), aligned(4), may_alias));
typedef double EightDoubles __attribute__((vector_size(64), may_alias));

SETWISE_INLINE double added(const EightDoubles& s) { return ((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7])); }

// out[c] = <a, b[c]>; C at once, because one row of a serves them all.
template <int C>
void careful_products(const float* a, const float* const* b, std::size_t d, double* out) {
    EightDoubles sums[C];
#pragma GCC unroll 4
    for (int c = 0; c < C; ++c) sums[c] = EightDoubles{};
    std::size_t k = 0;
    for (; k + 32 <= d; k += 32) {
        Eight four[C];
#pragma GCC unroll 4
        for (int c = 0; c < C; ++c) four[c] = Eight{};
#pragma GCC unroll 4
        for (std::size_t t = 0; t < 32; t += 8) {
            const Eight x = *reinterpret_cast<const Eight*>(a + k + t);
#pragma GCC unroll 4
            for (int c = 0; c < C; ++c) four[c] += x * *reinterpret_cast<const Eight*>(b[c] + k + t);
        }
#pragma GCC unroll 4
        for (int c = 0; c < C; ++c) sums[c] += __builtin_convertvector(four[c], EightDoubles);
    }
#pragma GCC unroll 4
    for (int c = 0; c < C; ++c) {
        double total = added(sums[c]);
        for (std::size_t t = k; t < d; ++t) total += static_cast<double>(a[t]) * static_cast<double>(b[c][t]);
        out[c] = total;
    }
}

// Rows and columns as tokens; an entry of the rough matrix is off by at most
//     row_errors[i] * column_norms[j] + row_norms[i] * column_errors[j].
struct RoughSides {
    const float *rows = nullptr, *columns = nullptr;  // (n, d), (m, d)
    const float *row_norms = nullptr, *column_norms = nullptr, *row_errors = nullptr, *column_errors = nullptr;
    std::size_t d = 0;
    double extent = 0.0;  // no entry is larger
};

struct Settled {
    double value = 0.0, bound = 0.0;  // of the matching that was found, in the computed entries; of every matching
    std::size_t refined = 0;          // entries computed
    bool stopped = false;
};

class Settler : public Assigner {
  public:
    // a: the rough matrix, which is refined in place; rows <= columns.
    Settled settle(const Matrix& a, float* values, const RoughSides& sides, const Stop& stop) {
        values_ = values, sides_ = &sides, words_ = a.stride / kWords + 1;
        std::memset(known_.get(a.rows * words_), 0, a.rows * words_ * sizeof(std::uint64_t));
        exact_.get(a.rows * a.stride);
        listed_.get(a.cols);
        Settled out;
        out.stopped = !solve_roughly(a, stop);
        while (!out.stopped && refine(a, out)) out.stopped = !solve_again(a, stop);
        if (!out.stopped) weigh(a, out);
        return out;
    }

  private:
    static constexpr int kIterations = 4;  // of Sinkhorn

    bool solve_roughly(const Matrix& a, const Stop& stop) {
        if (!a.square()) {
            no_bound(a, sides_->extent);
        } else {
            dual_bound(a, kIterations, sides_->extent);
            if (short_.solve(a, prices_.data(), owner_.data(), column_.data())) return true;
        }
        return Assigner::solve(a, -1e308, stop) != Found::stopped;
    }

    // Computes what may contradict the matching. False: nothing does.
    bool refine(const Matrix& a, Settled& out) {
        bool changed = false;
        for (std::size_t i = 0; i < a.rows; ++i) {
            const std::size_t own = static_cast<std::size_t>(column_.data()[i]);
            if (!known(i, own)) compute(a, i, own, out), changed = true;
        }
        const double noise = 16.0 * kRoundoff * extent(a);
        const float tolerance = static_cast<float>(noise);
        for (std::size_t i = 0; i < a.rows; ++i) {
            const float* row = a.row(i);
            const std::size_t own = static_cast<std::size_t>(column_.data()[i]);
            const float least = row[own] - prices_.data()[own] - tolerance;
            const Floats error = all(sides_->row_errors[i]), norm = all(sides_->row_norms[i]);
            std::size_t count = 0;
            for (std::size_t j = 0; j < a.stride; j += kWidth) {
                const Floats doubt = error * loose(sides_->column_norms + j) + norm * loose(sides_->column_errors + j);
                std::uint64_t near = bits(less(all(least), load(row + j) - load(prices_.data() + j) + doubt));
                near &= ~(known_.data()[i * words_ + j / kWords] >> (j % kWords));
                for (; near != 0; near &= near - 1) {
                    const std::size_t column = j + static_cast<std::size_t>(__builtin_ctzll(near));
                    if (column < a.cols) listed_.data()[count++] = static_cast<std::int32_t>(column);
                }
            }
            compute(a, i, count, listed_.data(), out);
            changed = changed || count > 0;
        }
        return changed;
    }

    static SETWISE_INLINE Floats loose(const float* from) {
        Floats out;
        std::memcpy(&out, from, sizeof out);
        return out;
    }

    bool known(std::size_t i, std::size_t j) const { return (known_.data()[i * words_ + j / kWords] >> (j % kWords) & 1) != 0; }

    void compute(const Matrix& a, std::size_t i, std::size_t j, Settled& out) {
        const auto column = static_cast<std::int32_t>(j);
        compute(a, i, 1, &column, out);
    }

    void compute(const Matrix& a, std::size_t i, std::size_t count, const std::int32_t* columns, Settled& out) {
        const std::size_t d = sides_->d;
        const float* row = sides_->rows + i * d;
        out.refined += count;
        for (std::size_t at = 0; at < count;) {
            const float* b[4];
            double products[4];
            const std::size_t take = count - at >= 4 ? 4 : count - at >= 2 ? 2 : 1;
            for (std::size_t c = 0; c < take; ++c) b[c] = sides_->columns + static_cast<std::size_t>(columns[at + c]) * d;
            if (take == 4)
                careful_products<4>(row, b, d, products);
            else if (take == 2)
                careful_products<2>(row, b, d, products);
            else
                careful_products<1>(row, b, d, products);
            for (std::size_t c = 0; c < take; ++c, ++at) {
                const auto j = static_cast<std::size_t>(columns[at]);
                exact_.data()[i * a.stride + j] = products[c];
                values_[i * a.stride + j] = static_cast<float>(products[c]);
                known_.data()[i * words_ + j / kWords] |= std::uint64_t{1} << (j % kWords);
            }
        }
    }

    // From the prices of before: rows whose column is still their best keep it, the others search anew.
    bool solve_again(const Matrix& a, const Stop& stop) {
        if (!a.square()) return Assigner::solve(a, -1e308, stop) != Found::stopped;
        for (std::size_t i = 0; i < a.rows; ++i) {
            Floats best = all(-kHuge);
            for (std::size_t j = 0; j < a.stride; j += kWidth) best = max(best, load(a.row(i) + j) - load(prices_.data() + j));
            const std::size_t own = static_cast<std::size_t>(column_.data()[i]);
            if (a.row(i)[own] - prices_.data()[own] >= highest(best)) continue;
            column_.data()[i] = -1, owner_.data()[own] = -1;
            free_.data()[own / kWords] |= std::uint64_t{1} << (own % kWords);
        }
        return Assigner::solve(a, -1e308, stop) != Found::stopped;
    }

    void weigh(const Matrix& a, Settled& out) const {
        for (std::size_t i = 0; i < a.rows; ++i) {
            const std::size_t own = static_cast<std::size_t>(column_.data()[i]);
            const double mine = exact_.data()[i * a.stride + own];
            double best = mine - static_cast<double>(prices_.data()[own]);
            for (std::size_t w = 0; w < words_; ++w)
                for (std::uint64_t left = known_.data()[i * words_ + w]; left != 0; left &= left - 1) {
                    const std::size_t j = w * kWords + static_cast<std::size_t>(__builtin_ctzll(left));
                    const double here = exact_.data()[i * a.stride + j] - static_cast<double>(prices_.data()[j]);
                    best = here > best ? here : best;
                }
            out.value += mine;
            out.bound += best;
        }
        for (std::size_t j = 0; j < a.cols; ++j) out.bound += static_cast<double>(prices_.data()[j]);
    }

    float* values_ = nullptr;
    const RoughSides* sides_ = nullptr;
    std::size_t words_ = 0;
    Buffer<std::uint64_t> known_;
    Buffer<double> exact_;
    Buffer<std::int32_t> listed_;
    ShortPaths short_;
};

}  // namespace setwise::SETWISE_NAMESPACE
