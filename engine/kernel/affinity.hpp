// Affinities of two sets of fp16 tokens: exact inner products, each rounded once to double.
//
// A sum that is rounded once does not depend on the order of its terms. So these values are the same bits on every
// run, thread and instruction set, with or without fused multiply-add, and in the numpy twin
// (setwise_engine/matching/_affinity.py), whatever order its BLAS adds in.
//
// How: an fp16 number is a multiple of 2^-24 below 2^16, so a product of two is a multiple of 2^-48, and doubles add
// such products exactly while the sum of their absolute values stays within 2^53 * 2^-48 = 32. Tokens of q are split
// into high + low so that <high, x> and <low, x> are both exact; adding the two is the one rounding. `split_suffices`
// says when that holds, and it holds for tokens as networks make them; `affinity_wide` takes any fp16 numbers.
// Splitting for exact products of matrices: Ozaki, Ogita, Oishi, Rump, Numerical Algorithms 59 (2012).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

// Function multiversioning needs ifunc: gcc on x86 Linux with glibc. Elsewhere the compiler's baseline is used.
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__)
#define SETWISE_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define SETWISE_CLONES
#endif

namespace setwise {

using Half = std::uint16_t;  // the bits of an IEEE 754 binary16 number

constexpr std::size_t kRows = 4;                        // halves of two tokens of q, worked on together
constexpr std::size_t kStep = 4;                        // dimensions added at once; lengths are padded to whole steps
constexpr std::size_t kColumns = 128;                   // tokens of x in a panel: with 256 dimensions it fits in L2
constexpr std::size_t kMaxDims = std::size_t{1} << 21;  // longest token: the sums of `wide` stay below 2^63

inline std::size_t round_up(std::size_t value, std::size_t unit) { return (value + unit - 1) / unit * unit; }

// Exact for finite numbers. Infinities and NaN come out finite and wrong: refuse them first.
inline double half_to_double(Half half) {
    // Moved into place, exponent and mantissa make a double 2^1008 too small, subnormal halves included.
    const std::uint64_t bits = (static_cast<std::uint64_t>(half & 0x8000u) << 48) |
                               (static_cast<std::uint64_t>(half & 0x7fffu) << 42);
    double value;
    std::memcpy(&value, &bits, sizeof value);
    return value * 0x1p1008;
}

SETWISE_CLONES inline bool all_finite(const Half* values, std::size_t count) {
    std::uint32_t seen = 0;
    for (std::size_t i = 0; i < count; ++i) seen |= (values[i] & 0x7c00u) == 0x7c00u;
    return seen == 0;
}

SETWISE_CLONES inline void widen(const Half* values, std::size_t count, double* out) {
    for (std::size_t i = 0; i < count; ++i) out[i] = half_to_double(values[i]);
}

// The largest Euclidean norm of a token.
inline double largest_norm(const std::vector<double>& tokens, std::size_t d) {
    double largest = 0.0;
    for (std::size_t i = 0; i < tokens.size(); i += d) {
        double sum = 0.0;
        for (std::size_t k = 0; k < d; ++k) sum += tokens[i + k] * tokens[i + k];
        largest = std::max(largest, sum);
    }
    return std::sqrt(largest);
}

// Whether the halves of `split` give exact inner products. By Cauchy-Schwarz the absolute terms of <high, x> sum to at
// most ~|q||x| in multiples of 2^-33, those of <low, x> to 2^-10 sqrt(d) |x| in multiples of 2^-48; half of what 53 bits
// hold is left for the rounding of the norms.
inline bool split_suffices(double q_norm, double x_norm, std::size_t d) {
    return q_norm * x_norm <= 0x1p19 && std::sqrt(static_cast<double>(d)) * x_norm <= 0x1p14;
}

// The nearest multiple of 2^-9: adding 1.5 * 2^43 leaves no smaller bits. |value| < 2^16.
inline double high_part(double value) {
    constexpr double kShift = 0x1.8p43;
    return (value + kShift) - kShift;
}

// sums[r][j] = sum over k of rows[k / kStep][r][k % kStep] * panel[k][j]. Plain loops over j: these vectorise well on every
// instruction set, which a register tile did not (docs/decisions/0002).
SETWISE_CLONES inline void multiply(const double* __restrict rows, const double* __restrict panel, std::size_t steps,
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
    std::vector<double> left, right, rows, panel, sums;
};

// The halves of each two tokens of q in the order `multiply` reads them.
inline void pack_rows(const double* q, std::size_t n, std::size_t d, std::vector<double>& rows) {
    const std::size_t length = round_up(d, kStep);
    rows.assign(round_up(n, 2) * 2 * length, 0.0);
    for (std::size_t i = 0; i < n; ++i)
        for (std::size_t k = 0; k < d; ++k) {
            const double high = high_part(q[i * d + k]);
            double* to = &rows[(i / 2) * kRows * length + (k / kStep) * kRows * kStep + (i % 2) * 2 * kStep + k % kStep];
            to[0] = high;
            to[kStep] = q[i * d + k] - high;
        }
}

// `count` tokens of x, turned: panel[k][j], zero beyond the tokens and the dimensions.
inline void pack_panel(const double* x, std::size_t count, std::size_t d, std::size_t width, double* panel) {
    std::fill(panel, panel + round_up(d, kStep) * width, 0.0);
    for (std::size_t j = 0; j < count; ++j)
        for (std::size_t k = 0; k < d; ++k) panel[k * width + j] = x[j * d + k];
}

// For tokens of which split_suffices is true.
inline void narrow(Workspace& space, std::size_t n, std::size_t m, std::size_t d, double* out) {
    const std::size_t steps = round_up(d, kStep) / kStep;
    pack_rows(space.left.data(), n, d, space.rows);
    space.panel.resize(steps * kStep * kColumns);
    space.sums.resize(kRows * kColumns);
    double *panel = space.panel.data(), *sums = space.sums.data();
    for (std::size_t first = 0; first < m; first += kColumns) {
        const std::size_t count = std::min(kColumns, m - first), width = round_up(count, 8);
        pack_panel(&space.right[first * d], count, d, width, panel);
        for (std::size_t i = 0; i < n; i += 2) {
            std::fill(sums, sums + kRows * width, 0.0);
            multiply(&space.rows[i * 2 * steps * kStep], panel, steps, width, sums);
            for (std::size_t r = 0; r < std::min<std::size_t>(2, n - i); ++r)
                for (std::size_t j = 0; j < count; ++j)
                    out[(i + r) * m + first + j] = sums[2 * r * width + j] + sums[(2 * r + 1) * width + j];
        }
    }
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
    std::vector<std::int32_t> high, low;

    explicit Digits(const std::vector<double>& tokens) : high(tokens.size()), low(tokens.size()) {
        for (std::size_t i = 0; i < tokens.size(); ++i) {
            const double floor = std::floor(tokens[i] * 0x1p4);
            high[i] = static_cast<std::int32_t>(floor);
            low[i] = static_cast<std::int32_t>((tokens[i] - floor * 0x1p-4) * 0x1p24);
        }
    }
};

SETWISE_CLONES inline double digits_product(const Digits& q, std::size_t i, const Digits& x, std::size_t j, std::size_t d) {
    const std::int32_t *q_high = &q.high[i * d], *q_low = &q.low[i * d], *x_high = &x.high[j * d], *x_low = &x.low[j * d];
    std::int64_t high = 0, middle = 0, low = 0;
    for (std::size_t k = 0; k < d; ++k) {
        high += std::int64_t{q_high[k]} * x_high[k];
        middle += std::int64_t{q_high[k]} * x_low[k] + std::int64_t{q_low[k]} * x_high[k];
        low += std::int64_t{q_low[k]} * x_low[k];
    }
    return round_once(high, middle, low);
}

// For any finite tokens.
inline void wide(const Workspace& space, std::size_t n, std::size_t m, std::size_t d, double* out) {
    const Digits q(space.left), x(space.right);
    for (std::size_t i = 0; i < n; ++i)
        for (std::size_t j = 0; j < m; ++j) out[i * m + j] = digits_product(q, i, x, j, d);
}

// out[i][j] = <q_i, x_j> for finite q (n, d), x (m, d) and out (n, m), all row-major; d <= kMaxDims.
inline void affinity(const Half* q, std::size_t n, const Half* x, std::size_t m, std::size_t d, double* out) {
    if (d == 0) return static_cast<void>(std::fill(out, out + n * m, 0.0));
    thread_local Workspace space;
    space.left.resize(n * d);
    space.right.resize(m * d);
    widen(q, n * d, space.left.data());
    widen(x, m * d, space.right.data());
    if (split_suffices(largest_norm(space.left, d), largest_norm(space.right, d), d))
        narrow(space, n, m, d, out);
    else
        wide(space, n, m, d, out);
}

}  // namespace setwise
