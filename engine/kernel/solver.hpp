// Matrices of any floating-point type and layout: their optimal assignment, proven.
//
// Entries are scaled by a power of two, so that the largest lies in [0.5, 1), and taken as integers: of 2^-60 where all
// of them are such, else of 2^-97, to which the rest are rounded. The optimum of these integers is exact.
#pragma once

#include "exact.hpp"
#include "half.hpp"

namespace setwise::SETWISE_NAMESPACE {

class Solver {
  public:
    Solved assign(const MatrixView& view, const Stop& stop, Solution& solution, double& gap) {
        Watch& watch = assigner_.watch();
        watch.begin(stop);
        turned_ = view.n > view.m;
        rows_ = turned_ ? view.m : view.n, columns_ = turned_ ? view.n : view.m;
        if (!measure(view, watch)) return watch.stopped() ? Solved::stopped : Solved::not_finite;
        for (std::size_t i = 0; i < view.n; ++i) solution.columns[i] = -1;
        if (rows_ == 0) return trivial(view, solution, gap);
        const Matrix a = floats(watch);
        if (a.square())
            assigner_.dual_bound(a, kIterations, 1.0);
        else
            assigner_.no_bound(a, 1.0);
        if (assigner_.solve(a, -1e308) == Found::stopped) return Solved::stopped;
        if (narrow_ && assigner_.price_extent(a) < 1.5) {
            const auto entry = [this](std::size_t i, std::size_t j) { return static_cast<std::int64_t>(at(i, j) * kNarrowUnits); };
            if (int_.sparse(a, assigner_, kNarrowUnits, kRoundoff, entry, watch)) {
                write(a, int_, -60, solution, gap);
                return Solved::yes;
            }
        }
        const auto entry = [this](std::size_t i, std::size_t j) { return static_cast<Wide>(__builtin_rint(at(i, j) * kWideUnits)); };
        if (watch.stopped() || (!wide_.sparse(a, assigner_, kWideUnits, kRoundoff, entry, watch) &&
                                (watch.stopped() || !wide_.dense(a, assigner_, kWideUnits, entry, watch))))
            return Solved::stopped;
        write(a, wide_, -97, solution, gap);
        return Solved::yes;
    }

  private:
    static constexpr int kIterations = 4;
    static constexpr double kLargest = 1e300;  // as the reference: sums and prices stay finite
    static constexpr double kNarrowUnits = 0x1p60, kWideUnits = 0x1p97;  // sums of four entries or prices fit 64 bits

    // The scaled entry.
    double at(std::size_t i, std::size_t j) const {
        const std::size_t place = i * stride_ + j;
        const double value = bits_ == 64   ? static_cast<const double*>(source_)[place]
                             : bits_ == 32 ? static_cast<double>(static_cast<const float*>(source_)[place])
                                           : whole(static_cast<const Half*>(source_)[place]);
        return value * first_ * second_;
    }

    // Reads rows, of the shorter side, where they lie, or a copy where entries of a row are not neighbours. Finds the scale;
    // false when an entry is not finite or too large, or stopped.
    bool measure(const MatrixView& view, Watch& watch) {
        const std::ptrdiff_t down = turned_ ? view.column_stride : view.row_stride, right = turned_ ? view.row_stride : view.column_stride;
        source_ = view.values, stride_ = static_cast<std::size_t>(down), bits_ = view.bits;
        if ((right != 1 || down < 0) && !copy(view, down, right, watch)) return false;
        const double size = bits_ == 64 ? largest<double, std::uint64_t>() : bits_ == 32 ? largest<float, std::uint32_t>() : largest<Half, std::uint16_t>();
        if (!(size <= kLargest)) return false;
        exponent_ = 0;
        if (size > 0.0) __builtin_frexp(size, &exponent_);
        // Two factors: 2^-exponent alone may be out of range.
        first_ = __builtin_ldexp(1.0, -exponent_ / 2), second_ = __builtin_ldexp(1.0, -exponent_ - -exponent_ / 2);
        return true;
    }

    bool copy(const MatrixView& view, std::ptrdiff_t down, std::ptrdiff_t right, Watch& watch) {
        double* out = copied_.get(rows_ * columns_);
        for (std::size_t i = 0; i < rows_; ++i) {
            if (watch.after(8 * columns_)) return false;
            for (std::size_t j = 0; j < columns_; ++j) {
                const std::ptrdiff_t place = static_cast<std::ptrdiff_t>(i) * down + static_cast<std::ptrdiff_t>(j) * right;
                out[i * columns_ + j] = view.bits == 64   ? static_cast<const double*>(view.values)[place]
                                        : view.bits == 32 ? whole(static_cast<const float*>(view.values)[place])
                                                          : whole(static_cast<const Half*>(view.values)[place]);
            }
        }
        source_ = out, stride_ = columns_, bits_ = 64;
        return true;
    }

    // The size of the largest entry. As integers: sizes have the order of their bits, infinity and NaN above all others,
    // and only integers' maxima may be reordered.
    template <typename T, typename Word>
    double largest() const {
        constexpr Word kSign = static_cast<Word>(Word{1} << (8 * sizeof(Word) - 1));
        Word most = 0;
        for (std::size_t i = 0; i < rows_; ++i) {
            const T* row = static_cast<const T*>(source_) + i * stride_;
            for (std::size_t j = 0; j < columns_; ++j) {
                Word word;
                std::memcpy(&word, row + j, sizeof word);
                word = static_cast<Word>(word & ~kSign);
                most = word > most ? word : most;
            }
        }
        T size;
        std::memcpy(&size, &most, sizeof size);
        return whole(size);
    }

    static double whole(double value) { return value; }
    static double whole(float value) { return static_cast<double>(value); }
    // Infinities and NaN of fp16 stay what they are.
    static double whole(Half value) {
        return (value & 0x7c00u) == 0x7c00u ? __builtin_inf() : static_cast<double>(to_float(value));
    }

    Matrix floats(Watch& watch) {
        const std::size_t stride = padded(columns_);
        float* out = floats_.get(rows_ * stride);
        narrow_ = bits_ == 64   ? convert<double>(out, stride, watch)
                  : bits_ == 32 ? convert<float>(out, stride, watch)
                                : convert<Half>(out, stride, watch);
        return {out, rows_, columns_, stride};
    }

    // Scaled entries in float32; whether all are multiples of 1 / kNarrowUnits.
    template <typename T>
    bool convert(float* out, std::size_t stride, Watch& watch) const {
        std::int64_t odd = 0;
        for (std::size_t i = 0; i < rows_; ++i, out += stride) {
            if (watch.after(2 * stride)) return false;
            const T* row = static_cast<const T*>(source_) + i * stride_;
            for (std::size_t j = 0; j < columns_; ++j) {
                const double value = whole(row[j]) * first_ * second_, units = value * kNarrowUnits;
                odd |= __builtin_rint(units) != units;
                out[j] = static_cast<float>(value);
            }
            for (std::size_t j = columns_; j < stride; ++j) out[j] = -kHuge;
        }
        return odd == 0;
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
        // Two factors: one power of two may be out of range, and ldexp takes as long as all the rest of this.
        const int shift = power + exponent_;
        const double first = __builtin_ldexp(1.0, shift / 2), second = __builtin_ldexp(1.0, shift - shift / 2);
        const double whole = __builtin_ldexp(1.0, exponent_ / 2), rest = __builtin_ldexp(1.0, exponent_ - exponent_ / 2);
        Compensated sum;
        for (std::size_t r = 0; r < a.rows; ++r) {
            const std::size_t c = prover.column_of(r);
            solution.columns[turned_ ? c : r] = static_cast<std::int32_t>(turned_ ? r : c);
            sum.add(row_side[r] = static_cast<double>(prover.row_price(r)) * first * second);
            sum.add(-(at(r, c) * whole * rest));
        }
        for (std::size_t c = 0; c < a.cols; ++c) sum.add(column_side[c] = static_cast<double>(prover.column_price(c)) * first * second);
        solution.value = static_cast<double>(prover.sum(a.rows)) * first * second;
        gap = sum.total();
    }

    // Neumaier's sum.
    struct Compensated {
        double sum = 0.0, rest = 0.0;
        void add(double x) {
            const double total = sum + x;
            rest += __builtin_fabs(sum) >= __builtin_fabs(x) ? (sum - total) + x : (x - total) + sum;
            sum = total;
        }
        double total() const { return sum + rest; }
    };

    bool turned_ = false, narrow_ = true;
    std::size_t rows_ = 0, columns_ = 0;
    const void* source_ = nullptr;  // rows of entries side by side, stride_ apart
    std::size_t stride_ = 0;
    int bits_ = 64, exponent_ = 0;
    double first_ = 1.0, second_ = 1.0;  // the scale
    Assigner assigner_;
    Prover<std::int64_t> int_;
    Prover<Wide> wide_;
    Buffer<double> copied_;
    Buffer<float> floats_;
};

}  // namespace setwise::SETWISE_NAMESPACE
