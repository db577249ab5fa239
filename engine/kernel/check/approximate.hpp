// Greedy matchings held to their definition, and Sinkhorn's prices to the optimum that they must bound.
#pragma once

#include <memory>

#include "families.hpp"
#include "judge.hpp"

namespace check {

// The largest entry of a free row and a free column, the first of equal ones, until none is left.
inline std::vector<std::int32_t> greedy(const Matrix& a) {
    std::vector<std::int32_t> columns(a.n, -1);
    std::vector<char> taken(a.m, 0);
    for (std::size_t left = std::min(a.n, a.m); left > 0; --left) {
        std::size_t row = a.n, column = a.m;
        for (std::size_t i = 0; i < a.n; ++i)
            for (std::size_t j = 0; j < a.m; ++j)
                if (columns[i] < 0 && !taken[j] && (row == a.n || a.at(i, j) > a.at(row, column))) row = i, column = j;
        columns[row] = static_cast<std::int32_t>(column);
        taken[column] = 1;
    }
    return columns;
}

inline bool pairs_once(const std::vector<std::int32_t>& columns, std::size_t m) {
    std::vector<char> taken(m, 0);
    std::size_t count = 0;
    for (const std::int32_t column : columns) {
        if (column < 0) continue;
        if (static_cast<std::size_t>(column) >= m || taken[static_cast<std::size_t>(column)]) return false;
        taken[static_cast<std::size_t>(column)] = 1;
        ++count;
    }
    return count == std::min(columns.size(), m);
}

inline void approximate(const setwise::Level& level, void* approximator, const Matrix& a, double best, Judge& judge, const std::string& at) {
    setwise::MatrixView view;
    view.values = a.values.data();
    view.n = a.n, view.m = a.m;
    view.row_stride = static_cast<std::ptrdiff_t>(a.m), view.column_stride = 1;
    std::vector<std::int32_t> columns(a.n);
    judge.expect(level.greedy(approximator, view, columns.data()), at, "taken for not finite");
    judge.expect(columns == greedy(a), at, "not the greedy matching");
    std::vector<double> u(a.n), v(a.m);
    judge.expect(level.sinkhorn(approximator, view, 0.02, 7, columns.data(), u.data(), v.data()), at, "taken for not finite");
    judge.expect(pairs_once(columns, a.m), at, "Sinkhorn's is no matching of min(n, m) pairs");
    double bound = 0.0, terms = 0.0;
    for (const std::vector<double>* prices : {&u, &v})
        for (const double price : *prices) bound += price, terms += std::fabs(price);
    // The optimum counts entries to 2^-97 of the largest; prices bound the entries as they are.
    const double rounding = static_cast<double>(a.n + a.m + 8) * (0x1p-52 * terms + 0x1p-96 * largest(a) + 0x1p-1074);
    judge.expect(best <= bound + rounding, at, "prices do not bound the optimum");
}

inline void check_approximate(const std::vector<const setwise::Level*>& levels, const Photos& photos, std::size_t seeds, Judge& judge) {
    const std::vector<std::pair<std::size_t, std::size_t>> shapes = {{0, 3}, {3, 0}, {1, 1}, {1, 7}, {7, 1}, {6, 6}, {5, 19}, {19, 5}, {16, 16}, {33, 33}};
    for (const Family& family : families(photos))
        for (std::uint64_t seed = 0; seed < seeds; ++seed)
            for (const auto& [n, m] : shapes) {
                Random random(seed * 104729 + n * 131 + m);
                const Matrix a = family.make(random, n, m);
                const double best = optimum(a);
                for (const setwise::Level* level : levels) {
                    const std::unique_ptr<void, void (*)(void*)> approximator(level->new_approximator(), level->delete_approximator);
                    std::ostringstream at;
                    at << level->name << " " << family.name << " " << n << "x" << m << " seed " << seed << " approximate";
                    approximate(*level, approximator.get(), a, best, judge, at.str());
                }
            }
}

}  // namespace check
