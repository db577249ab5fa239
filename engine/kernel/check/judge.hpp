// What a level of the kernel answered, held to what must come out.
#pragma once

#include <atomic>
#include <mutex>
#include <sstream>
#include <string>

#include "../levels.hpp"
#include "oracle.hpp"

namespace check {

// An answer and the memory for it, no longer than it must be, so that a sanitizer sees every step beyond.
struct Answer {
    std::vector<std::int32_t> columns;
    std::vector<double> row_prices, column_prices;
    setwise::Solution solution;
    double gap = 0.0;

    Answer(std::size_t n, std::size_t m) : columns(n), row_prices(n), column_prices(m) {
        solution.columns = columns.data();
        solution.row_prices = row_prices.data();
        solution.column_prices = column_prices.data();
    }
    Answer(const Answer&) = delete;
    Answer& operator=(const Answer&) = delete;
};

// Counts what was tried and tells what was wrong, from any thread.
class Judge {
  public:
    void expect(bool holds, const std::string& where, const std::string& what) {
        ++tried_;
        if (holds) return;
        const std::lock_guard<std::mutex> guard(mutex_);
        if (++wrong_ <= 20) std::fprintf(stderr, "WRONG  %s: %s\n", where.c_str(), what.c_str());
    }

    // The value, to the bit, and the proof (setwise_engine/matching/_proof.py), up to the rounding of its prices.
    void optimal(const Matrix& a, const Answer& answer, double value, const std::string& where) {
        if (!same(answer.solution.value, value)) {
            std::ostringstream what;
            what.precision(17);
            what << "value " << answer.solution.value << ", not " << value;
            return expect(false, where, what.str());
        }
        if (!matching(a, answer)) return expect(false, where, "no matching of min(n, m) pairs");
        const double price = std::max(16.0 * static_cast<double>(std::min(a.n, a.m)) * 0x1p-53 * largest(a), 0x1p-1074);
        expect(worth(a, answer, value), where, "the pairs are not worth the value");
        expect(feasible(a, answer, price), where, "prices do not cover an entry");
        expect(signs(a, answer, price), where, "a price of the larger side has the wrong sign, or an unmatched one a price");
        expect(std::fabs(gap(a, answer)) <= static_cast<double>(a.n + a.m) * price, where, "prices leave a gap");
    }

    long tried() const { return tried_; }
    long wrong() const { return wrong_; }

  private:
    static bool same(double a, double b) { return a == b; }

    static bool matching(const Matrix& a, const Answer& answer) {
        std::vector<char> taken(a.m, 0);
        std::size_t pairs = 0;
        for (const std::int32_t column : answer.columns) {
            if (column == -1) continue;
            if (column < 0 || static_cast<std::size_t>(column) >= a.m || taken[static_cast<std::size_t>(column)]++) return false;
            ++pairs;
        }
        return pairs == std::min(a.n, a.m);
    }

    // In integers; rounding once.
    static bool worth(const Matrix& a, const Answer& answer, double value) {
        Grid<Wide> k(a.n, a.m);
        const int unit = integers(a, k);
        Wide sum = 0;
        for (std::size_t i = 0; i < a.n; ++i)
            if (answer.columns[i] >= 0) sum += k.at(i, static_cast<std::size_t>(answer.columns[i]));
        return same(std::ldexp(static_cast<double>(sum), unit), value);
    }

    static bool feasible(const Matrix& a, const Answer& answer, double tolerance) {
        for (std::size_t i = 0; i < a.n; ++i)
            for (std::size_t j = 0; j < a.m; ++j)
                if (!(a.at(i, j) - (answer.row_prices[i] + answer.column_prices[j]) <= tolerance)) return false;
        return true;
    }

    static bool signs(const Matrix& a, const Answer& answer, double tolerance) {
        if (a.n == a.m) return true;
        std::vector<char> matched(std::max(a.n, a.m), 0);
        for (std::size_t i = 0; i < a.n; ++i)
            if (answer.columns[i] >= 0) matched[a.n > a.m ? i : static_cast<std::size_t>(answer.columns[i])] = 1;
        const std::vector<double>& prices = a.n > a.m ? answer.row_prices : answer.column_prices;
        for (std::size_t i = 0; i < prices.size(); ++i)
            if (!(prices[i] >= -tolerance) || (!matched[i] && !(prices[i] <= tolerance))) return false;
        return true;
    }

    static double gap(const Matrix& a, const Answer& answer) {
        long double sum = 0.0;
        for (std::size_t i = 0; i < a.n; ++i) {
            sum += answer.row_prices[i];
            if (answer.columns[i] >= 0) sum -= a.at(i, static_cast<std::size_t>(answer.columns[i]));
        }
        for (const double price : answer.column_prices) sum += price;
        return static_cast<double>(sum);
    }

    std::atomic<long> tried_{0}, wrong_{0};
    std::mutex mutex_;
};

}  // namespace check
