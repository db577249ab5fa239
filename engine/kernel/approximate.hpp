// Matchings that cost less than the optimum and may be worth less: greedy, and Sinkhorn's rounded to one. The prices of
// the second bound every matching (weak duality). setwise_engine/matching/_approximate.py defines both.
#pragma once

#include "half.hpp"
#include "memory.hpp"
#include "types.hpp"

namespace setwise::SETWISE_NAMESPACE {

// A matrix in this thread's memory: rows padded with -infinity to whole vectors.
template <typename T>
struct Padded {
    typedef T Vector __attribute__((vector_size(kWidth * 4), may_alias));
    static constexpr std::size_t kLanes = kWidth * 4 / sizeof(T);

    static std::size_t stride(std::size_t cols) { return (cols + kLanes - 1) / kLanes * kLanes; }
    static SETWISE_INLINE Vector& at(T* p) { return *reinterpret_cast<Vector*>(p); }
    static SETWISE_INLINE const Vector& at(const T* p) { return *reinterpret_cast<const Vector*>(p); }
    static SETWISE_INLINE Vector most(const Vector& a, const Vector& b) { return a > b ? a : b; }
    static SETWISE_INLINE T highest(const Vector& a) {
        if constexpr (sizeof(T) == 4) return setwise::SETWISE_NAMESPACE::highest(a);
        T best = a[0];
        for (std::size_t l = 1; l < kLanes; ++l) best = a[l] > best ? a[l] : best;
        return best;
    }
    // The lanes that hold x, as bits.
    static SETWISE_INLINE std::uint64_t equal(const Vector& a, T x) {
        if constexpr (sizeof(T) == 4) return bits(setwise::SETWISE_NAMESPACE::equal(a, all(x)));
        std::uint64_t found = 0;
        for (std::size_t l = 0; l < kLanes; ++l) found |= static_cast<std::uint64_t>(a[l] == x) << l;
        return found;
    }

    // Reads any type and layout, turned when asked for; false when an entry is not finite or beyond 1e300.
    bool read(const MatrixView& view, bool turned) {
        reserve(turned ? view.m : view.n, turned ? view.n : view.m);
        const std::ptrdiff_t down = turned ? view.column_stride : view.row_stride, right = turned ? view.row_stride : view.column_stride;
        if (view.bits == 64)
            convert(static_cast<const double*>(view.values), down, right);
        else if (view.bits == 32)
            convert(static_cast<const float*>(view.values), down, right);
        else
            convert(static_cast<const Half*>(view.values), down, right);
        const double size = extent();
        pad();
        return size <= 1e300;  // false for NaN
    }

    void reserve(std::size_t n, std::size_t m) {
        rows = n, cols = m, width = stride(m);
        values = memory.get(rows * width);
    }

    void pad() {
        for (std::size_t i = 0; i < rows; ++i)
            for (std::size_t j = cols; j < width; ++j) row(i)[j] = -static_cast<T>(__builtin_inf());
    }

    T* row(std::size_t i) const { return values + i * width; }

    std::size_t rows = 0, cols = 0, width = 0;
    T* values = nullptr;
    double size = 0.0;  // of the largest entry
    Buffer<T> memory;

  private:
    template <typename From>
    void convert(const From* from, std::ptrdiff_t down, std::ptrdiff_t right) {
        for (std::size_t i = 0; i < rows; ++i, from += down) {
            T* out = row(i);
            if (right == 1)
                for (std::size_t j = 0; j < cols; ++j) out[j] = whole(from[j]);
            else
                for (std::size_t j = 0; j < cols; ++j) out[j] = whole(from[static_cast<std::ptrdiff_t>(j) * right]);
            for (std::size_t j = cols; j < width; ++j) out[j] = T{0};
        }
    }
    static T whole(double value) { return static_cast<T>(value); }
    static T whole(float value) { return static_cast<T>(value); }
    static T whole(Half value) {
        return (value & 0x7c00u) == 0x7c00u ? static_cast<T>(__builtin_inf()) : static_cast<T>(to_float(value));
    }

    // The size of the largest entry, kept; NaN when one is not finite. Before pad().
    double extent() {
        Vector high = Vector{}, low = Vector{}, odd = Vector{};
        for (std::size_t k = 0; k < rows * width; k += kLanes) {
            const Vector& x = at(values + k);
            high = most(high, x), low = most(low, -x), odd += x - x;
        }
        T rest = T{0};
        for (std::size_t l = 0; l < kLanes; ++l) rest += odd[l];
        return size = static_cast<double>(highest(most(high, low)) + rest);
    }
};

// Takes the largest entry whose row and column are both free until none is left; ties go to the lowest row, then column.
// Every row waits in a heap with an upper bound of its best free entry: only the row on top is looked at again.
template <typename T>
class Greedy {
  public:
    void solve(const Padded<T>& a, std::int32_t* columns) {
        reserve(a);
        for (std::size_t i = 0; i < a.rows; ++i) {
            columns[i] = -1;
            look(a, i);
            heap_.data()[i] = static_cast<std::int32_t>(i);
        }
        std::size_t size = a.rows, left = smaller(a.rows, a.cols);
        for (std::size_t k = size / 2; k-- > 0;) sink(k, size);
        while (left > 0) {
            const std::size_t i = static_cast<std::size_t>(heap_.data()[0]);
            const std::size_t j = static_cast<std::size_t>(place_.data()[i]);
            if (taken_.data()[j] != T{0}) {
                look(a, i);
            } else {
                columns[i] = static_cast<std::int32_t>(j);
                taken_.data()[j] = -static_cast<T>(__builtin_inf());
                heap_.data()[0] = heap_.data()[--size];
                --left;
            }
            sink(0, size);
        }
    }

  private:
    void reserve(const Padded<T>& a) {
        taken_.get(a.width);
        best_.get(a.rows);
        place_.get(a.rows);
        heap_.get(a.rows);
        for (std::size_t j = 0; j < a.width; ++j) taken_.data()[j] = T{0};
    }

    // The best free entry of row i, the first of equal ones.
    void look(const Padded<T>& a, std::size_t i) {
        using P = Padded<T>;
        const T* row = a.row(i);
        typename P::Vector top = P::at(row) + P::at(taken_.data());
        for (std::size_t j = P::kLanes; j < a.width; j += P::kLanes) top = P::most(top, P::at(row + j) + P::at(taken_.data() + j));
        const T best = best_.data()[i] = P::highest(top);
        for (std::size_t j = 0;; j += P::kLanes)
            if (const std::uint64_t here = P::equal(P::at(row + j) + P::at(taken_.data() + j), best)) {
                place_.data()[i] = static_cast<std::int32_t>(j + static_cast<std::size_t>(__builtin_ctzll(here)));
                return;
            }
    }

    bool before(std::int32_t a, std::int32_t b) const {
        const T x = best_.data()[a], y = best_.data()[b];
        return x > y || (x == y && a < b);
    }

    void sink(std::size_t k, std::size_t size) {
        if (size == 0) return;
        std::int32_t* heap = heap_.data();
        const std::int32_t moved = heap[k];
        for (std::size_t child; (child = 2 * k + 1) < size; k = child) {
            if (child + 1 < size && before(heap[child + 1], heap[child])) ++child;
            if (!before(heap[child], moved)) break;
            heap[k] = heap[child];
        }
        heap[k] = moved;
    }

    Buffer<T> taken_, best_;  // taken: -infinity for a column that is
    Buffer<std::int32_t> place_, heap_;
};

// Entropic prices in float32: Sinkhorn's scaling (Cuturi, NeurIPS 2013), absorbed into the prices every few iterations
// (Schmitzer, SIAM J. Sci. Comput. 2019), so that no exponential leaves its range. A column of the longer side may stay
// free: its price is held at 0 or more.
class Sinkhorn {
  public:
    // Column prices v (width), rows <= cols; the largest entry of `a` is 1/2 to 1 in size.
    void prices(const Padded<float>& a, double regularisation, std::size_t iterations, float* v) {
        kernel_.get(a.rows * a.width);
        scaling_.get(a.width);
        sums_.get(a.width);
        start(a, v);
        const double eps = regularisation * spread(a);
        if (!(eps > 0.0)) return;
        const float unit = static_cast<float>(eps > 1e-7 ? eps : 1e-7), scale = 1.44269504f / unit;
        for (std::size_t done = 0; done < iterations; done += kAbsorb) {
            exponentials(a, v, scale);
            for (std::size_t j = 0; j < a.width; ++j) scaling_.data()[j] = j < a.cols ? 1.0f : 0.0f;
            for (std::size_t t = done; t < done + kAbsorb && t < iterations; ++t) pass(a, v, scale);
            for (std::size_t j = 0; j < a.cols; ++j) v[j] -= 0.69314718f * unit * log2(all(scaling_.data()[j]))[0];
            if (a.rows < a.cols)
                for (std::size_t j = 0; j < a.cols; ++j) v[j] = v[j] > 0.0f ? v[j] : 0.0f;
        }
    }

  private:
    static constexpr std::size_t kAbsorb = 5;
    static constexpr float kFar = 0x1p60f;  // a scaling goes no further before it is absorbed

    // Half of every column's maximum, less where columns stay free.
    static void start(const Padded<float>& a, float* v) {
        const bool square = a.rows == a.cols;
        for (std::size_t j = 0; j < a.width; j += kWidth) store(v + j, all(square ? -2.0f : 0.0f));
        for (std::size_t i = 0; i < a.rows; ++i)
            for (std::size_t j = 0; j < a.width; j += kWidth) store(v + j, max(load(v + j), load(a.row(i) + j)));
        const float share = 0.5f * static_cast<float>(a.rows) / static_cast<float>(a.cols);
        for (std::size_t j = 0; j < a.width; ++j) v[j] = j < a.cols ? share * v[j] : 0.0f;
    }

    // Mean over rows of (largest - mean).
    static double spread(const Padded<float>& a) {
        double total = 0.0;
        for (std::size_t i = 0; i < a.rows; ++i) {
            const float* row = a.row(i);
            Floats top = load(row), sums = all(0.0f);
            std::size_t j = 0;
            for (; j + kWidth <= a.cols; j += kWidth) top = max(top, load(row + j)), sums += load(row + j);
            double mean = static_cast<double>(sum(sums));
            float largest = highest(top);
            for (; j < a.cols; ++j) mean += static_cast<double>(row[j]), largest = row[j] > largest ? row[j] : largest;
            total += static_cast<double>(largest) - mean / static_cast<double>(a.cols);
        }
        return total / static_cast<double>(a.rows);
    }

    // exp((a - v - row maximum) / eps); beyond the columns: something tiny, which a scaling of 0 hides.
    void exponentials(const Padded<float>& a, const float* v, float scale) {
        for (std::size_t i = 0; i < a.rows; ++i) {
            const float* row = a.row(i);
            Floats top = load(row) - load(v);
            for (std::size_t j = kWidth; j < a.width; j += kWidth) top = max(top, load(row + j) - load(v + j));
            const float largest = highest(top);
            for (std::size_t j = 0; j < a.width; j += kWidth)
                store(kernel_.data() + i * a.width + j, exp2((max(load(row + j) - load(v + j), all(-kHuge)) - largest) * scale));
        }
    }

    // Rows scaled to sum 1, then columns to sum 1, or to at most 1 where one may stay free.
    void pass(const Padded<float>& a, const float* v, float scale) {
        float *sums = sums_.data(), *y = scaling_.data();
        for (std::size_t j = 0; j < a.width; j += kWidth) store(sums + j, all(0.0f));
        for (std::size_t i = 0; i < a.rows; ++i) {
            const float* k = kernel_.data() + i * a.width;
            Floats total = all(0.0f);
            for (std::size_t j = 0; j < a.width; j += kWidth) total += load(k + j) * load(y + j);
            const Floats weight = all(1.0f / sum(total));
            for (std::size_t j = 0; j < a.width; j += kWidth) store(sums + j, load(sums + j) + weight * load(k + j));
        }
        for (std::size_t j = 0; j < a.cols; ++j) {
            float next = 1.0f / (sums[j] > 1.0f / kFar ? sums[j] : 1.0f / kFar);
            if (a.rows < a.cols) {
                const float power = v[j] * scale;  // the price may fall to 0
                const float cap = power < 60.0f ? 1.0f / exp2(all(-power))[0] : kFar;
                next = next < cap ? next : cap;
            }
            y[j] = next > 1.0f / kFar ? next : 1.0f / kFar;
        }
    }

    Buffer<float> kernel_, scaling_, sums_;
};

class Approximator {
  public:
    // columns (n): of each row, -1 for none. False: an entry is not finite.
    bool greedy(const MatrixView& view, std::int32_t* columns) {
        if (view.bits == 64) {
            if (!doubles_.read(view, false)) return false;
            if (trivial(view, columns)) return true;
            wide_.solve(doubles_, columns);
        } else {
            if (!floats_.read(view, false)) return false;
            if (trivial(view, columns)) return true;
            narrow_.solve(floats_, columns);
        }
        return true;
    }

    // Also prices u (n), v (m): u_i + v_j >= a_ij but for one rounding each. columns may be null: prices alone.
    bool sinkhorn(const MatrixView& view, double regularisation, std::size_t iterations, std::int32_t* columns, double* u, double* v) {
        return view.bits == 64 ? sinkhorn(doubles_, view, regularisation, iterations, columns, u, v)
                               : sinkhorn(floats_, view, regularisation, iterations, columns, u, v);
    }

  private:
    template <typename T>
    bool sinkhorn(Padded<T>& a, const MatrixView& view, double regularisation, std::size_t iterations, std::int32_t* columns, double* u,
                  double* v) {
        const bool turned = view.n > view.m;
        if (!a.read(view, turned)) return false;
        for (std::size_t i = 0; i < view.n; ++i) u[i] = 0.0;
        for (std::size_t j = 0; j < view.m; ++j) v[j] = 0.0;
        if (a.rows == 0) return columns == nullptr || trivial(view, columns);
        int exponent = 0;
        __builtin_frexp(a.size, &exponent);
        // By a power of two, in two factors: one alone may be out of range.
        const double first = __builtin_ldexp(1.0, -exponent / 2), second = __builtin_ldexp(1.0, -exponent - -exponent / 2);
        scaled_.reserve(a.rows, a.cols);
        for (std::size_t i = 0; i < a.rows; ++i)
            for (std::size_t j = 0; j < a.cols; ++j) scaled_.row(i)[j] = static_cast<float>(static_cast<double>(a.row(i)[j]) * first * second);
        scaled_.pad();
        float* prices = prices_.get(scaled_.width);
        entropic_.prices(scaled_, regularisation, iterations, prices);
        double *row_side = turned ? v : u, *column_side = turned ? u : v;
        transform(a, prices, exponent, row_side, column_side);
        if (columns != nullptr) round(a, first, second, row_side, column_side, turned, view.n, columns);
        return true;
    }

    static bool trivial(const MatrixView& view, std::int32_t* columns) {
        for (std::size_t i = 0; i < view.n; ++i) columns[i] = -1;
        return view.n == 0 || view.m == 0;
    }

    // Feasible prices, in double: u_i = max_j(a_ij - v_j), then the least v_j for them.
    template <typename T>
    void transform(const Padded<T>& a, const float* prices, int exponent, double* u, double* v) {
        using D = Padded<double>;
        typedef T Part __attribute__((vector_size(sizeof(T) * D::kLanes), may_alias));
        const auto entries = [](const T* p) { return __builtin_convertvector(*reinterpret_cast<const Part*>(p), D::Vector); };
        double *least = least_.get(a.width), *from = from_.get(a.width);
        const bool square = a.rows == a.cols;
        for (std::size_t j = 0; j < a.width; ++j) {
            from[j] = j < a.cols ? __builtin_ldexp(static_cast<double>(prices[j]), exponent) : 0.0;
            least[j] = square ? -1e308 : 0.0;
        }
        for (std::size_t i = 0; i < a.rows; ++i) {
            const T* row = a.row(i);
            D::Vector top = entries(row) - D::at(from);
            for (std::size_t j = D::kLanes; j < a.width; j += D::kLanes) top = D::most(top, entries(row + j) - D::at(from + j));
            const double most = u[i] = D::highest(top);
            for (std::size_t j = 0; j < a.width; j += D::kLanes) D::at(least + j) = D::most(D::at(least + j), entries(row + j) - most);
        }
        for (std::size_t j = 0; j < a.cols; ++j) v[j] = least[j];
    }

    // Greedy on the plan exp((a - u - v) / eps): on what is under the exponential, the order is the same.
    template <typename T>
    void round(const Padded<T>& a, double first, double second, const double* u, const double* v, bool turned, std::size_t n,
               std::int32_t* columns) {
        for (std::size_t i = 0; i < a.rows; ++i) {
            const double own = u[i];
            for (std::size_t j = 0; j < a.cols; ++j)
                scaled_.row(i)[j] = static_cast<float>((static_cast<double>(a.row(i)[j]) - own - v[j]) * first * second);
        }
        if (!turned) return narrow_.solve(scaled_, columns);
        std::int32_t* partners = partners_.get(scaled_.rows);
        narrow_.solve(scaled_, partners);
        for (std::size_t i = 0; i < n; ++i) columns[i] = -1;
        for (std::size_t r = 0; r < scaled_.rows; ++r) columns[partners[r]] = static_cast<std::int32_t>(r);
    }

    Padded<double> doubles_;
    Padded<float> floats_, scaled_;
    Greedy<double> wide_;
    Greedy<float> narrow_;
    Sinkhorn entropic_;
    Buffer<float> prices_;
    Buffer<double> least_, from_;
    Buffer<std::int32_t> partners_;
};

}  // namespace setwise::SETWISE_NAMESPACE
