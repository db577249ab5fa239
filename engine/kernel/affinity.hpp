// Affinities of two sets of fp16 tokens: exact inner products, each rounded once to double.
//
// A sum that is rounded once does not depend on the order of its terms. So these values are the same bits on every
// run, thread and instruction set, with or without fused multiply-add, and in the numpy twin
// (setwise_engine/matching/_affinity.py), whatever order its BLAS adds in.
//
// How: an fp16 number is a multiple of 2^-24 below 2^16, so a product of two is a multiple of 2^-48, and doubles add
// such products exactly while the sum of their absolute values stays within 2^53 * 2^-48 = 32. Tokens of q are split
// into high + low so that <high, x> and <low, x> are both exact; adding the two is the one rounding. `split_suffices`
// says when that holds, and it holds for tokens as networks make them; `digits_product` takes any fp16 numbers.
// Splitting for exact products of matrices: Ozaki, Ogita, Oishi, Rump, Numerical Algorithms 59 (2012).
#pragma once

#include "half.hpp"
#include "memory.hpp"
#include "watch.hpp"

namespace setwise::SETWISE_NAMESPACE {

constexpr std::size_t kRows = 4;       // halves of two tokens of q, worked on together
constexpr std::size_t kStep = 4;       // dimensions added at once; lengths are padded to whole steps
constexpr std::size_t kColumns = 128;  // tokens of x in a panel: with 256 dimensions it fits in L2

SETWISE_INLINE std::size_t round_up(std::size_t value, std::size_t unit) { return (value + unit - 1) / unit * unit; }

SETWISE_INLINE void widen(const Half* values, std::size_t count, double* out) {
    for (std::size_t i = 0; i < count; ++i) out[i] = static_cast<double>(to_float(values[i]));
}

// sum of a[k] * b[k] in double. Eight sums side by side: one alone cannot be vectorised without reordering it.
template <typename A, typename B>
SETWISE_INLINE double dot(const A* a, const B* b, std::size_t count) {
    double sums[8] = {};
    std::size_t k = 0;
    for (; k + 8 <= count; k += 8)
        for (std::size_t lane = 0; lane < 8; ++lane) sums[lane] += static_cast<double>(a[k + lane]) * static_cast<double>(b[k + lane]);
    for (; k < count; ++k) sums[0] += static_cast<double>(a[k]) * static_cast<double>(b[k]);
    return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

// The largest Euclidean norm of a token.
template <typename T>
double largest_norm(const T* tokens, std::size_t count, std::size_t d) {
    double largest = 0.0;
    for (std::size_t i = 0; i < count; ++i) {
        const double square = dot(tokens + i * d, tokens + i * d, d);
        largest = square > largest ? square : largest;
    }
    return __builtin_sqrt(largest);
}

// Whether the halves of `split` give exact inner products. By Cauchy-Schwarz the absolute terms of <high, x> sum to at
// most ~|q||x| in multiples of 2^-33, those of <low, x> to 2^-10 sqrt(d) |x| in multiples of 2^-48; half of what 53 bits
// hold is left for the rounding of the norms.
inline bool split_suffices(double q_norm, double x_norm, std::size_t d) {
    return q_norm * x_norm <= 0x1p19 && __builtin_sqrt(static_cast<double>(d)) * x_norm <= 0x1p14;
}

// The nearest multiple of 2^-9: adding 1.5 * 2^43 leaves no smaller bits. |value| < 2^16.
inline double high_part(double value) {
    constexpr double kShift = 0x1.8p43;
    return (value + kShift) - kShift;
}

// sums[r][j] = sum over k of rows[k / kStep][r][k % kStep] * panel[k][j]. Plain loops over j: these vectorise well on every
// instruction set, which a register tile did not (docs/decisions/0002).
inline void multiply_halves(const double* __restrict rows, const double* __restrict panel, std::size_t steps,
                                    std::size_t width, double* __restrict sums) {
    for (std::size_t s = 0; s < steps; ++s) {
        const double* c = rows + s * kRows * kStep;
        const double* x = panel + s * kStep * width;
        for (std::size_t j = 0; j < width; ++j)
            for (std::size_t r = 0; r < kRows; ++r)
                sums[r * width + j] += c[r * kStep] * x[j] + c[r * kStep + 1] * x[width + j] +
                                       c[r * kStep + 2] * x[2 * width + j] + c[r * kStep + 3] * x[3 * width + j];
    }
}

// Kept by each thread for its next call: allocating such blocks anew costs more page faults than the products cost time.
struct Workspace {
    Buffer<double> left, right, rows, panel, sums;
};

// The halves of each two tokens of q in the order `multiply_halves` reads them.
inline void pack_rows(const double* q, std::size_t n, std::size_t d, Buffer<double>& rows) {
    const std::size_t length = round_up(d, kStep);
    const std::size_t size = round_up(n, 2) * 2 * length;
    std::memset(rows.get(size), 0, size * sizeof(double));
    for (std::size_t i = 0; i < n; ++i)
        for (std::size_t k = 0; k < d; ++k) {
            const double high = high_part(q[i * d + k]);
            double* to = &rows.data()[(i / 2) * kRows * length + (k / kStep) * kRows * kStep + (i % 2) * 2 * kStep + k % kStep];
            to[0] = high;
            to[kStep] = q[i * d + k] - high;
        }
}

// `count` tokens of x, turned: panel[k][j], zero beyond the tokens and the dimensions.
inline void pack_columns(const double* x, std::size_t count, std::size_t d, std::size_t width, double* panel) {
    std::memset(panel, 0, round_up(d, kStep) * width * sizeof(double));
    for (std::size_t j = 0; j < count; ++j)
        for (std::size_t k = 0; k < d; ++k) panel[k * width + j] = x[j * d + k];
}

// For tokens of which split_suffices is true. False: stopped.
inline bool narrow(Workspace& space, std::size_t n, std::size_t m, std::size_t d, double* out, Watch& watch) {
    const std::size_t steps = round_up(d, kStep) / kStep;
    pack_rows(space.left.data(), n, d, space.rows);
    double *panel = space.panel.get(steps * kStep * kColumns), *sums = space.sums.get(kRows * kColumns);
    for (std::size_t first = 0; first < m; first += kColumns) {
        const std::size_t count = smaller(kColumns, m - first), width = round_up(count, 8);
        pack_columns(&space.right.data()[first * d], count, d, width, panel);
        for (std::size_t i = 0; i < n; i += 2) {
            if (watch.after(width * d / 2)) return false;
            std::memset(sums, 0, kRows * width * sizeof(double));
            multiply_halves(&space.rows.data()[i * 2 * steps * kStep], panel, steps, width, sums);
            for (std::size_t r = 0; r < smaller(2, n - i); ++r)
                for (std::size_t j = 0; j < count; ++j)
                    out[(i + r) * m + first + j] = sums[2 * r * width + j] + sums[(2 * r + 1) * width + j];
        }
    }
    return true;
}

// The double nearest to (high * 2^40 + middle * 2^20 + low) * 2^-48; |high|, |middle|, |low| < 2^62.
inline double round_once(std::int64_t high, std::int64_t middle, std::int64_t low) {
    constexpr std::int64_t kUnit = std::int64_t{1} << 20;
    const auto carry = [](std::int64_t& from, std::int64_t& to) {
        const std::int64_t rest = ((from % kUnit) + kUnit) % kUnit;
        to += (from - rest) / kUnit;
        from = rest;
    };
    carry(low, middle);
    carry(middle, high);
    const double lead = static_cast<double>(high);  // off by at most 2^9, which moves to the rest: both are exact
    const std::int64_t rest = (high - static_cast<std::int64_t>(lead)) * kUnit * kUnit + middle * kUnit + low;
    return (lead * 0x1p40 + static_cast<double>(rest)) * 0x1p-48;
}

// Tokens as integers of 40 bits, multiples of 2^-24, in two digits of 20.
struct Digits {
    Buffer<std::int32_t> high, low;

    void fill(const double* tokens, std::size_t count) {
        for (std::size_t i = 0, end = (high.get(count), low.get(count), count); i < end; ++i) {
            const double floor = __builtin_floor(tokens[i] * 0x1p4);
            high.data()[i] = static_cast<std::int32_t>(floor);
            low.data()[i] = static_cast<std::int32_t>((tokens[i] - floor * 0x1p-4) * 0x1p24);
        }
    }
};

inline double digits_product(const Digits& q, std::size_t i, const Digits& x, std::size_t j, std::size_t d) {
    const std::int32_t *q_high = &q.high.data()[i * d], *q_low = &q.low.data()[i * d];
    const std::int32_t *x_high = &x.high.data()[j * d], *x_low = &x.low.data()[j * d];
    std::int64_t high = 0, middle = 0, low = 0;
    for (std::size_t k = 0; k < d; ++k) {
        high += std::int64_t{q_high[k]} * x_high[k];
        middle += std::int64_t{q_high[k]} * x_low[k] + std::int64_t{q_low[k]} * x_high[k];
        low += std::int64_t{q_low[k]} * x_low[k];
    }
    return round_once(high, middle, low);
}

// out[i][j] = <q_i, x_j> for finite q (n, d), x (m, d) and out (n, m), all row-major; d <= kMaxDims. False: stopped.
inline bool affinity(const Half* q, std::size_t n, const Half* x, std::size_t m, std::size_t d, double* out, const Stop& stop) {
    if (d == 0) return std::memset(out, 0, n * m * sizeof(double)), true;
    thread_local Workspace space;
    Watch watch;
    watch.begin(stop);
    widen(q, n * d, space.left.get(n * d));
    widen(x, m * d, space.right.get(m * d));
    if (split_suffices(largest_norm(space.left.data(), n, d), largest_norm(space.right.data(), m, d), d))
        return narrow(space, n, m, d, out, watch);
    thread_local Digits left, right;
    left.fill(space.left.data(), n * d);
    right.fill(space.right.data(), m * d);
    for (std::size_t i = 0; i < n; ++i)
        for (std::size_t j = 0; j < m; ++j) {
            if (watch.after(d)) return false;
            out[i * m + j] = digits_product(left, i, right, j, d);
        }
    return true;
}

// <high + low, x>, exact and rounded once, where split_suffices holds. high, low: the halves of a token.
SETWISE_INLINE double exact_product(const double* high, const double* low, const float* x, std::size_t d) {
    typedef float Eight __attribute__((vector_size(32), aligned(4), may_alias));
    typedef double Doubles __attribute__((vector_size(64), aligned(8), may_alias));
    Doubles first[2] = {}, second[2] = {};  // every partial sum is exact, so that their order is free
    std::size_t k = 0;
    for (; k + 16 <= d; k += 16)
        for (std::size_t t = 0; t < 2; ++t) {
            const Doubles right = __builtin_convertvector(*reinterpret_cast<const Eight*>(x + k + 8 * t), Doubles);
            first[t] += *reinterpret_cast<const Doubles*>(high + k + 8 * t) * right;
            second[t] += *reinterpret_cast<const Doubles*>(low + k + 8 * t) * right;
        }
    double one = 0.0, two = 0.0;
    for (; k < d; ++k) one += high[k] * static_cast<double>(x[k]), two += low[k] * static_cast<double>(x[k]);
    const Doubles f = first[0] + first[1], s = second[0] + second[1];
    one += ((f[0] + f[1]) + (f[2] + f[3])) + ((f[4] + f[5]) + (f[6] + f[7]));
    two += ((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7]));
    return one + two;
}

// Tokens ready for single exact products and for their squares.
struct ExactTokens {
    Buffer<double> whole, high, low;  // high and low: their halves
    Digits digits;
    double largest = 0.0;  // norm of a token

    void fill(const float* tokens, std::size_t count, std::size_t d) {
        double* out = whole.get(count * d);
        for (std::size_t i = 0; i < count * d; ++i) out[i] = static_cast<double>(tokens[i]);
        largest = largest_norm(out, count, d);
        high.get(count * d), low.get(count * d);
        for (std::size_t i = 0; i < count * d; ++i) {
            high.data()[i] = high_part(out[i]);
            low.data()[i] = out[i] - high.data()[i];
        }
    }

    // out[i] = |token i|^2, exact and rounded once; `tokens` are those that were filled in.
    void squares(const float* tokens, std::size_t count, std::size_t d, double* out) {
        const bool narrow = split_suffices(largest, largest, d);
        if (!narrow) digits.fill(whole.data(), count * d);
        for (std::size_t i = 0; i < count; ++i)
            out[i] = narrow ? exact_product(high.data() + i * d, low.data() + i * d, tokens + i * d, d) : digits_product(digits, i, digits, i, d);
    }
};

// out[i] = |token i|^2 for finite tokens (count, d), exact and rounded once.
inline void squares(const Half* tokens, std::size_t count, std::size_t d, double* out) {
    thread_local Buffer<float> narrow;
    thread_local ExactTokens exact;
    widen(tokens, count * d, narrow.get(count * d));
    exact.fill(narrow.data(), count, d);
    exact.squares(narrow.data(), count, d, out);
}

}  // namespace setwise::SETWISE_NAMESPACE
