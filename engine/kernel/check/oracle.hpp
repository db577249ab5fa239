// What must come out, by other means than the kernel's: integers of 128 bits and textbook algorithms.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <vector>

#include "../types.hpp"

namespace check {

using setwise::Half;
using Wide = __int128;

// Rows and columns of numbers.
template <typename T>
struct Grid {
    std::size_t n = 0, m = 0;
    std::vector<T> values;

    Grid(std::size_t n_, std::size_t m_) : n(n_), m(m_), values(n_ * m_) {}
    T& at(std::size_t i, std::size_t j) { return values[i * m + j]; }
    const T& at(std::size_t i, std::size_t j) const { return values[i * m + j]; }

    Grid turned() const {
        Grid out(m, n);
        for (std::size_t i = 0; i < n; ++i)
            for (std::size_t j = 0; j < m; ++j) out.at(j, i) = at(i, j);
        return out;
    }
};

using Matrix = Grid<double>;
using Tokens = Grid<Half>;

inline double largest(const Matrix& a) {
    double size = 0.0;
    for (const double value : a.values) size = std::max(size, std::fabs(value));
    return size;
}

// The entries as multiples of 2^(e - 97), |a| < 2^e (setwise_engine/matching/reference.py, assign); gives e - 97.
inline int integers(const Matrix& a, Grid<Wide>& out) {
    int exponent = 0;
    std::frexp(largest(a), &exponent);
    for (std::size_t i = 0; i < a.values.size(); ++i) out.values[i] = static_cast<Wide>(std::nearbyint(std::ldexp(a.values[i], 97 - exponent)));
    return exponent - 97;
}

// The largest sum of a matching, n <= m: shortest augmenting paths with potentials (Kuhn 1955; Munkres 1957; Tomizawa
// 1971), on costs -k. Potentials of rows u and of columns v; index 0 stands for "none".
inline Wide hungarian(const Grid<Wide>& k) {
    constexpr Wide kInfinity = static_cast<Wide>(1) << 120;
    std::vector<Wide> u(k.n + 1), v(k.m + 1);
    std::vector<std::size_t> owner(k.m + 1), way(k.m + 1);
    for (std::size_t i = 1; i <= k.n; ++i) {
        std::vector<Wide> least(k.m + 1, kInfinity);
        std::vector<char> seen(k.m + 1, 0);
        std::size_t column = 0;
        owner[0] = i;
        do {
            seen[column] = 1;
            const std::size_t row = owner[column];
            Wide delta = kInfinity;
            std::size_t next = 0;
            for (std::size_t j = 1; j <= k.m; ++j) {
                if (seen[j]) continue;
                const Wide cost = -k.at(row - 1, j - 1) - u[row] - v[j];
                if (cost < least[j]) least[j] = cost, way[j] = column;
                if (least[j] < delta) delta = least[j], next = j;
            }
            for (std::size_t j = 0; j <= k.m; ++j)
                if (seen[j])
                    u[owner[j]] += delta, v[j] -= delta;
                else
                    least[j] -= delta;
            column = next;
        } while (owner[column] != 0);
        for (; column != 0; column = way[column]) owner[column] = owner[way[column]];
    }
    Wide total = 0;
    for (std::size_t j = 1; j <= k.m; ++j)
        if (owner[j] != 0) total += k.at(owner[j] - 1, j - 1);
    return total;
}

// The same, n <= m, by trying every matching.
inline Wide brute_force(const Grid<Wide>& k) {
    std::vector<std::size_t> order(k.m);
    std::iota(order.begin(), order.end(), 0);
    Wide best = -(static_cast<Wide>(1) << 120);
    do {
        Wide sum = 0;
        for (std::size_t i = 0; i < k.n; ++i) sum += k.at(i, order[i]);
        best = std::max(best, sum);
        std::reverse(order.begin() + static_cast<std::ptrdiff_t>(k.n), order.end());  // skip what differs beyond n only
    } while (std::next_permutation(order.begin(), order.end()));
    return best;
}

// The optimum, rounded once.
inline double optimum(const Matrix& a) {
    if (a.n > a.m) return optimum(a.turned());
    if (a.n == 0) return 0.0;
    Grid<Wide> k(a.n, a.m);
    const int unit = integers(a, k);
    return std::ldexp(static_cast<double>(a.m <= 6 ? brute_force(k) : hungarian(k)), unit);
}

// A float16 number in multiples of 2^-24.
inline std::int64_t units(Half half) {
    const int exponent = (half >> 10) & 31;
    const std::int64_t mantissa = half & 1023, size = exponent == 0 ? mantissa : (mantissa + 1024) << (exponent - 1);
    return (half & 0x8000) ? -size : size;
}

// Inner products, each rounded once.
inline Matrix affinity(const Tokens& q, const Tokens& x) {
    Matrix out(q.n, x.n);
    for (std::size_t i = 0; i < q.n; ++i)
        for (std::size_t j = 0; j < x.n; ++j) {
            Wide sum = 0;
            for (std::size_t k = 0; k < q.m; ++k) sum += static_cast<Wide>(units(q.at(i, k))) * units(x.at(j, k));
            out.at(i, j) = static_cast<double>(sum) * 0x1p-48;
        }
    return out;
}

// Squared norms of tokens, each rounded once.
inline std::vector<double> squares(const Tokens& tokens) {
    std::vector<double> out(tokens.n);
    for (std::size_t i = 0; i < tokens.n; ++i) {
        Wide sum = 0;
        for (std::size_t k = 0; k < tokens.m; ++k) sum += static_cast<Wide>(units(tokens.at(i, k))) * units(tokens.at(i, k));
        out[i] = static_cast<double>(sum) * 0x1p-48;
    }
    return out;
}

// The squared Frobenius norm: the sum of the tokens' rounded squares, rounded once.
inline double square(const Tokens& tokens) {
    Wide sum = 0;
    for (const double one : squares(tokens)) sum += static_cast<Wide>(one * 0x1p48);
    return static_cast<double>(sum) * 0x1p-48;
}

// w_i cos(q_i, x_j) in multiples of 2^-52 (setwise_engine/matching/_scores.py).
inline Matrix weighted_cosines(const Tokens& q, const Tokens& x) {
    Matrix a = affinity(q, x);
    const std::vector<double> left = squares(q), right = squares(x);
    const double total = square(q);
    for (std::size_t i = 0; i < a.n; ++i)
        for (std::size_t j = 0; j < a.m; ++j) {
            const double norms = std::sqrt(left[i] * right[j]);
            const double cosine = norms > 0.0 ? std::clamp(a.at(i, j) / norms, -1.0, 1.0) : 0.0;
            a.at(i, j) = total > 0.0 ? std::nearbyint(cosine * (left[i] / total) * 0x1p52) * 0x1p-52 : 0.0;
        }
    return a;
}

}  // namespace check
