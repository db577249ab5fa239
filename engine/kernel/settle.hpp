// The optimal matching of affinities that are known only roughly, each within an error of its own.
//
// Solved roughly first: that gives prices under which few entries are nearly tight. Only these are computed well, from the
// tokens, and solved again. When every entry that was not computed stays below its row's price even at its upper end, the
// matching is optimal for all entries, and the prices prove it:
//     no matching is worth more than sum_i max_j(a_ij - p_j) + sum_j p_j.
#pragma once

#include "careful.hpp"
#include "short_paths.hpp"

namespace setwise::SETWISE_NAMESPACE {

// Rows and columns as tokens; an entry of the rough matrix is off by at most
//     row_errors[i] * column_norms[j] + row_norms[i] * column_errors[j].
struct RoughSides {
    const float *rows = nullptr, *columns = nullptr;  // (n, d), (m, d)
    const float *row_norms = nullptr, *column_norms = nullptr, *row_errors = nullptr, *column_errors = nullptr;
    std::size_t d = 0, row_spacing = 0, column_spacing = 0;
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
        watch_.begin(stop);
        values_ = values, sides_ = &sides, words_ = a.stride / kWords + 1;
        std::memset(known_.get(a.rows * words_), 0, a.rows * words_ * sizeof(std::uint64_t));
        exact_.get(a.rows * a.stride);
        pairs_.get(a.rows * a.cols), tight_.get(a.rows * a.cols);
        Settled out;
        out.stopped = !solve_roughly(a);
        while (!out.stopped && refine(a, out)) out.stopped = !solve_again(a);
        if (!out.stopped) weigh(a, out);
        return out;
    }

  private:
    static constexpr int kIterations = 4;  // of Sinkhorn

    bool solve_roughly(const Matrix& a) {
        if (!a.square()) {
            no_bound(a, sides_->extent);
        } else {
            dual_bound(a, kIterations, sides_->extent);
            if (watch_.stopped()) return false;
            if (short_.solve(a, prices_.data(), owner_.data(), column_.data())) return true;
        }
        return Assigner::solve(a, -1e308) != Found::stopped;
    }

    // Computes what may contradict the matching. False: nothing does.
    bool refine(const Matrix& a, Settled& out) {
        const float tolerance = static_cast<float>(16.0 * kRoundoff * extent(a));
        // Errors of d numbers at random are that part of their bound.
        const float usual = 2.0f / static_cast<float>(__builtin_sqrt(static_cast<double>(sides_->d)));
        std::size_t count = 0;
        tight_count_ = 0;
        for (std::size_t i = 0; i < a.rows; ++i) {
            const float* row = a.row(i);
            const std::size_t own = static_cast<std::size_t>(column_.data()[i]);
            const Floats error = all(sides_->row_errors[i]), norm = all(sides_->row_norms[i]);
            float least = row[own] - prices_.data()[own] - tolerance;
            if (!known(i, own)) {
                // Not known yet to lie where it seems to: what it lacks at most as a rule.
                least -= usual * (sides_->row_errors[i] * sides_->column_norms[own] + sides_->row_norms[i] * sides_->column_errors[own]);
                list(i, own, count);
            }
            for (std::size_t first = 0; first < a.stride; first += kWords) {
                std::uint64_t near = 0, tight = 0;
                for (std::size_t j = first; j < smaller(a.stride, first + kWords); j += kWidth) {
                    const Floats doubt = error * loose(sides_->column_norms + j) + norm * loose(sides_->column_errors + j);
                    const Floats gain = load(row + j) - load(prices_.data() + j);
                    near |= bits(less(all(least), gain + doubt)) << (j - first);
                    tight |= bits(less(all(least), gain)) << (j - first);
                }
                const std::uint64_t known = known_.data()[i * words_ + first / kWords];
                near &= ~known;
                for (tight &= known; tight != 0; tight &= tight - 1)
                    tight_.data()[tight_count_++] = {static_cast<std::uint32_t>(i), static_cast<std::uint32_t>(first) + static_cast<std::uint32_t>(__builtin_ctzll(tight))};
                for (; near != 0; near &= near - 1) {
                    const std::size_t column = first + static_cast<std::size_t>(__builtin_ctzll(near));
                    if (column < a.cols) list(i, column, count);
                }
            }
        }
        out.refined += count;
        careful_products(sides_->rows, sides_->row_spacing, sides_->columns, sides_->column_spacing, sides_->d, pairs_.data(), count, sums_8_.get(count * 8));
        for (std::size_t e = 0; e < count; ++e) {
            const std::size_t at = pairs_.data()[e].row * a.stride + pairs_.data()[e].column;
            exact_.data()[at] = added(reinterpret_cast<const EightDoubles*>(sums_8_.data())[e]);
            values_[at] = static_cast<float>(exact_.data()[at]);
        }
        return count > 0;
    }

    void list(std::size_t i, std::size_t j, std::size_t& count) {
        known_.data()[i * words_ + j / kWords] |= std::uint64_t{1} << (j % kWords);
        pairs_.data()[count++] = {static_cast<std::uint32_t>(i), static_cast<std::uint32_t>(j)};
    }

    static SETWISE_INLINE Floats loose(const float* from) {
        Floats out;
        std::memcpy(&out, from, sizeof out);
        return out;
    }

    bool known(std::size_t i, std::size_t j) const { return (known_.data()[i * words_ + j / kWords] >> (j % kWords) & 1) != 0; }

    // From the prices of before: rows whose column is still their best keep it, the others search anew.
    bool solve_again(const Matrix& a) {
        if (!a.square()) return Assigner::solve(a, -1e308) != Found::stopped;
        for (std::size_t i = 0; i < a.rows; ++i) {
            Floats best = all(-kHuge);
            for (std::size_t j = 0; j < a.stride; j += kWidth) best = max(best, load(a.row(i) + j) - load(prices_.data() + j));
            const std::size_t own = static_cast<std::size_t>(column_.data()[i]);
            if (a.row(i)[own] - prices_.data()[own] >= highest(best)) continue;
            column_.data()[i] = -1, owner_.data()[own] = -1;
            free_.data()[own / kWords] |= std::uint64_t{1} << (own % kWords);
        }
        return Assigner::solve(a, -1e308) != Found::stopped;
    }

    // After a refine() that found nothing: a row's best is its own entry or one of the known, nearly tight ones.
    void weigh(const Matrix& a, Settled& out) const {
        std::size_t at = 0;
        for (std::uint32_t i = 0; i < a.rows; ++i) {
            const std::size_t own = static_cast<std::size_t>(column_.data()[i]);
            const double mine = exact_.data()[i * a.stride + own];
            double best = mine - static_cast<double>(prices_.data()[own]);
            for (; at < tight_count_ && tight_.data()[at].row == i; ++at) {
                const std::size_t j = tight_.data()[at].column;
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
    Buffer<double> exact_, sums_8_;
    Buffer<TokenPair> pairs_, tight_;  // to compute; known, and tight or nearly so
    std::size_t tight_count_ = 0;
    ShortPaths short_;
};

}  // namespace setwise::SETWISE_NAMESPACE
