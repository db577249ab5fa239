// Matrices of any floating-point type and layout: their optimal assignment, proven.
//
// Entries are scaled by a power of two, so that the largest lies in [0.5, 1), and taken as integers: of 2^-57 where all
// of them are such, else of 2^-97, to which the rest are rounded. The optimum of these integers is exact.
#pragma once

#include "exact.hpp"
#include "half.hpp"

namespace setwise::SETWISE_NAMESPACE {

enum class Solved { yes, not_finite };

class Solver {
  public:
    Solved assign(const MatrixView& view, Solution& solution, double& gap) {
        v_ = view;
        turned_ = view.n > view.m;
        if (turned_) {
            v_.n = view.m, v_.m = view.n;
            v_.row_stride = view.column_stride, v_.column_stride = view.row_stride;
        }
        if (!measure()) return Solved::not_finite;
        for (std::size_t i = 0; i < view.n; ++i) solution.columns[i] = -1;
        if (v_.n == 0) return trivial(view, solution, gap);
        const Matrix a = floats();
        assigner_.dual_bound(a, kIterations, 1.0);
        assigner_.solve(a, -1e308, Stop{});
        if (narrow_) {
            const auto entry = [this](std::size_t i, std::size_t j) { return static_cast<std::int64_t>(scaled(i, j) * 0x1p57); };
            if (int_.sparse(a, assigner_, 0x1p57, kRoundoff, entry) || int_.dense(a, assigner_, 0x1p57, entry, Stop{})) write(a, int_, -57, solution, gap);
        } else {
            const auto entry = [this](std::size_t i, std::size_t j) { return static_cast<Wide>(__builtin_rint(scaled(i, j) * 0x1p97)); };
            if (wide_.sparse(a, assigner_, 0x1p97, kRoundoff, entry) || wide_.dense(a, assigner_, 0x1p97, entry, Stop{})) write(a, wide_, -97, solution, gap);
        }
        return Solved::yes;
    }

  private:
    static constexpr int kIterations = 4;
    static constexpr double kLargest = 1e300;

    double at(std::size_t i, std::size_t j) const {
        const std::ptrdiff_t place = static_cast<std::ptrdiff_t>(i) * v_.row_stride + static_cast<std::ptrdiff_t>(j) * v_.column_stride;
        if (v_.bits == 64) return static_cast<const double*>(v_.values)[place];
        if (v_.bits == 32) return static_cast<double>(static_cast<const float*>(v_.values)[place]);
        return half(static_cast<const Half*>(v_.values)[place]);
    }

    // Infinities and NaN of fp16 stay what they are.
    static double half(Half value) {
        const bool special = (value & 0x7c00u) == 0x7c00u;
        return special ? __builtin_inf() : static_cast<double>(to_float(value));
    }

    double scaled(std::size_t i, std::size_t j) const { return at(i, j) * first_scale_ * second_scale_; }

    // Finds the largest entry; false when one is not finite or so large that sums may overflow (reference.py).
    bool measure() {
        double largest = 0.0;
        for (std::size_t i = 0; i < v_.n; ++i)
            for (std::size_t j = 0; j < v_.m; ++j) {
                const double value = at(i, j), size = value < 0 ? -value : value;
                if (!(size <= kLargest)) return false;
                largest = size > largest ? size : largest;
            }
        exponent_ = 0;
        if (largest > 0.0) __builtin_frexp(largest, &exponent_);
        // Two factors: 2^-exponent alone may be out of range.
        first_scale_ = __builtin_ldexp(1.0, -exponent_ / 2);
        second_scale_ = __builtin_ldexp(1.0, -exponent_ - -exponent_ / 2);
        return true;
    }

    Matrix floats() {
        const std::size_t stride = padded(v_.m);
        float* out = floats_.get(v_.n * stride);
        narrow_ = true;
        for (std::size_t i = 0; i < v_.n; ++i) {
            for (std::size_t j = 0; j < v_.m; ++j) {
                const double value = scaled(i, j), units = value * 0x1p57;
                narrow_ &= __builtin_rint(units) == units;
                out[i * stride + j] = static_cast<float>(value);
            }
            for (std::size_t j = v_.m; j < stride; ++j) out[i * stride + j] = -kHuge;
        }
        return {out, v_.n, v_.m, stride};
    }

    static Solved trivial(const MatrixView& view, Solution& solution, double& gap) {
        for (std::size_t i = 0; i < view.n; ++i) solution.row_prices[i] = 0.0;
        for (std::size_t j = 0; j < view.m; ++j) solution.column_prices[j] = 0.0;
        solution.value = gap = 0.0;
        return Solved::yes;
    }

    template <typename Int>
    void write(const Matrix& a, const Prover<Int>& prover, int power, Solution& solution, double& gap) const {
        double* row_side = turned_ ? solution.column_prices : solution.row_prices;
        double* column_side = turned_ ? solution.row_prices : solution.column_prices;
        const int shift = power + exponent_;
        double sum = 0.0, rest = 0.0;  // Neumaier's compensated sum
        const auto add = [&sum, &rest](double x) {
            const double total = sum + x;
            rest += __builtin_fabs(sum) >= __builtin_fabs(x) ? (sum - total) + x : (x - total) + sum;
            sum = total;
        };
        for (std::size_t r = 0; r < a.rows; ++r) {
            const std::size_t c = prover.column_of(r);
            solution.columns[turned_ ? c : r] = static_cast<std::int32_t>(turned_ ? r : c);
            add(row_side[r] = __builtin_ldexp(static_cast<double>(prover.row_price(r)), shift));
            add(-at(r, c));
        }
        for (std::size_t c = 0; c < a.cols; ++c)
            add(column_side[c] = __builtin_ldexp(static_cast<double>(prover.column_price(c)), shift));
        solution.value = __builtin_ldexp(static_cast<double>(prover.sum(a.rows)), shift);
        gap = sum + rest;
    }

    MatrixView v_;
    bool turned_ = false, narrow_ = true;
    int exponent_ = 0;
    double first_scale_ = 1.0, second_scale_ = 1.0;
    Assigner assigner_;
    Prover<std::int64_t> int_;
    Prover<Wide> wide_;
    Buffer<float> floats_;
};

}  // namespace setwise::SETWISE_NAMESPACE
