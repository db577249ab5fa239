// Matrices to assign, as tests/matching/families.py has them, name by name (a test compares the names).
#pragma once

#include <cstdio>
#include <fstream>
#include <functional>
#include <random>
#include <stdexcept>
#include <string>

#include "oracle.hpp"

namespace check {

class Random {
  public:
    explicit Random(std::uint64_t seed) : engine_(seed) {}

    std::size_t below(std::size_t end) { return static_cast<std::size_t>(engine_() % end); }
    double uniform(double from = 0.0, double to = 1.0) { return from + (to - from) * (static_cast<double>(engine_() >> 11) * 0x1p-53); }
    double normal() { return normal_(engine_); }
    bool chance(double share) { return uniform() < share; }
    std::uint64_t bits() { return engine_(); }

    // `count` indices below `among`, without repeats while there are enough.
    std::vector<std::size_t> some(std::size_t among, std::size_t count) {
        std::vector<std::size_t> all(among), out(count);
        std::iota(all.begin(), all.end(), 0);
        std::shuffle(all.begin(), all.end(), engine_);
        for (std::size_t i = 0; i < count; ++i) out[i] = count <= among ? all[i] : below(among);
        return out;
    }

  private:
    std::mt19937_64 engine_;
    std::normal_distribution<double> normal_;
};

// The nearest float16 of a number within its range, ties to even.
inline Half to_half(double value) {
    const Half sign = std::signbit(value) ? 0x8000 : 0;
    const double size = std::fabs(value);
    int exponent = 0;
    std::frexp(size, &exponent);
    const int shift = std::max(exponent - 11, -24);  // of the last bit
    const auto units = static_cast<std::uint32_t>(std::nearbyint(std::ldexp(size, -shift)));
    return static_cast<Half>(sign | (units + (static_cast<std::uint32_t>(shift + 24) << 10)));
}

struct Pair {
    Tokens q, x;
};

// Encoded tokens of ten photos, (10, 100, 32): tests/matching/fixtures/photos.npy.
class Photos {
  public:
    static constexpr std::size_t kSets = 10, kTokens = 100, kDims = 32;

    explicit Photos(const std::string& path) : values_(kSets * kTokens * kDims) {
        std::ifstream file(path, std::ios::binary);
        char head[10] = {};
        file.read(head, sizeof head);
        const auto length = static_cast<unsigned char>(head[8]) + 256 * static_cast<unsigned char>(head[9]);
        file.ignore(length);
        file.read(reinterpret_cast<char*>(values_.data()), static_cast<std::streamsize>(values_.size() * sizeof(Half)));
        if (!file || std::string(head + 1, 5) != "NUMPY") throw std::runtime_error(path + " is not photos.npy");
    }

    Tokens pick(std::size_t photo, const std::vector<std::size_t>& tokens) const {
        Tokens out(tokens.size(), kDims);
        for (std::size_t i = 0; i < tokens.size(); ++i)
            std::copy_n(&values_[(photo * kTokens + tokens[i]) * kDims], kDims, out.values.begin() + static_cast<std::ptrdiff_t>(i * kDims));
        return out;
    }

  private:
    std::vector<Half> values_;
};

struct SetFamily {
    const char* name;
    std::function<Pair(Random&, std::size_t n, std::size_t m)> make;
};

struct Family {
    const char* name;
    std::function<Matrix(Random&, std::size_t n, std::size_t m)> make;
};

template <typename Entry>
Tokens tokens(std::size_t n, std::size_t d, const Entry& entry) {
    Tokens out(n, d);
    for (std::size_t i = 0; i < n; ++i)
        for (std::size_t k = 0; k < d; ++k) out.at(i, k) = to_half(entry(i, k));
    return out;
}

inline Tokens picked(const Tokens& from, const std::vector<std::size_t>& rows) {
    Tokens out(rows.size(), from.m);
    for (std::size_t i = 0; i < rows.size(); ++i)
        for (std::size_t k = 0; k < from.m; ++k) out.at(i, k) = from.at(rows[i], k);
    return out;
}

inline void blank_some(Random& random, Tokens& set) {
    for (std::size_t i = 0; i < set.n; ++i)
        if (random.chance(0.5))
            for (std::size_t k = 0; k < set.m; ++k) set.at(i, k) = 0;
}

inline std::vector<SetFamily> set_families(const Photos& photos) {
    const auto two = [&photos](Random& r, std::size_t n, std::size_t m) {
        return Pair{photos.pick(r.below(10), r.some(100, n)), photos.pick(r.below(10), r.some(100, m))};
    };
    return {
        {"photos", two},
        {"copies",
         [&photos](Random& r, std::size_t n, std::size_t m) {
             const Tokens all = photos.pick(r.below(10), r.some(100, std::max(n, m)));
             return Pair{picked(all, r.some(all.n, n)), picked(all, r.some(all.n, m))};
         }},
        {"repeats",
         [&photos](Random& r, std::size_t n, std::size_t m) {
             const Tokens few = photos.pick(r.below(10), r.some(100, 4));
             std::vector<std::size_t> left(n), right(m);
             for (std::size_t& one : left) one = r.below(4);
             for (std::size_t& one : right) one = r.below(4);
             return Pair{picked(few, left), picked(few, right)};
         }},
        {"blanks",
         [two](Random& r, std::size_t n, std::size_t m) {
             Pair sets = two(r, n, m);
             blank_some(r, sets.q), blank_some(r, sets.x);
             return sets;
         }},
        {"normals",
         [](Random& r, std::size_t n, std::size_t m) {
             const auto entry = [&r](std::size_t, std::size_t) { return r.normal(); };
             return Pair{tokens(n, 32, entry), tokens(m, 32, entry)};
         }},
        {"hubs",
         [](Random& r, std::size_t n, std::size_t m) {
             std::vector<double> common(32), lengths(std::max(n, m));
             for (double& one : common) one = 2 * r.normal();
             for (double& one : lengths) one = std::exp(r.normal());
             const auto entry = [&](std::size_t i, std::size_t k) { return (common[k] + r.normal()) * lengths[i]; };
             return Pair{tokens(n, 32, entry), tokens(m, 32, entry)};
         }},
        {"neighbours",
         [&photos](Random& r, std::size_t n, std::size_t m) {
             const Tokens one = photos.pick(r.below(10), {r.below(100)});
             const auto near = [&](std::size_t count) {
                 Tokens out = picked(one, std::vector<std::size_t>(count, 0));
                 for (Half& value : out.values) value = static_cast<Half>(value + r.below(3));
                 return out;
             };
             return Pair{near(n), near(m)};
         }},
        {"extremes",
         [](Random& r, std::size_t n, std::size_t m) {
             const double numbers[] = {65504, -65504, 0x1p-24, -0x1p-24, 0x1p-14, 1, -1, 0, -0.0};
             const auto entry = [&](std::size_t, std::size_t) { return numbers[r.below(9)]; };
             return Pair{tokens(n, 8, entry), tokens(m, 8, entry)};
         }},
    };
}

template <typename Entry>
Matrix matrix(std::size_t n, std::size_t m, const Entry& entry) {
    Matrix out(n, m);
    for (std::size_t i = 0; i < n; ++i)
        for (std::size_t j = 0; j < m; ++j) out.at(i, j) = entry(i, j);
    return out;
}

// A family whose entries are drawn one by one.
template <typename Entry>
Family drawn(const char* name, Entry entry) {
    return {name, [entry](Random& r, std::size_t n, std::size_t m) {
                return matrix(n, m, [&](std::size_t i, std::size_t j) { return entry(r, i, j, n, m); });
            }};
}

// A family of sum over r < rank of a_ir b_rj.
inline Matrix product(Random& r, std::size_t n, std::size_t m, std::size_t rank) {
    const Matrix a = matrix(n, rank, [&](std::size_t, std::size_t) { return r.normal(); });
    const Matrix b = matrix(rank, m, [&](std::size_t, std::size_t) { return r.normal(); });
    return matrix(n, m, [&](std::size_t i, std::size_t j) {
        double sum = 0.0;
        for (std::size_t k = 0; k < rank; ++k) sum += a.at(i, k) * b.at(k, j);
        return sum;
    });
}

inline Matrix additive(Random& r, std::size_t n, std::size_t m, double noise) {
    const Matrix a = matrix(n, 1, [&](std::size_t, std::size_t) { return r.normal(); });
    const Matrix b = matrix(m, 1, [&](std::size_t, std::size_t) { return r.normal(); });
    return matrix(n, m, [&](std::size_t i, std::size_t j) { return a.at(i, 0) + b.at(j, 0) + noise * r.normal(); });
}

inline double signed_power(Random& r, double decades) { return std::pow(10.0, r.uniform(-decades, decades)) * (r.chance(0.5) ? 1 : -1); }

inline std::vector<Family> matrix_families() {
    using S = std::size_t;
    std::vector<Family> out = {
        drawn("uniform", [](Random& r, S, S, S, S) { return r.uniform(); }),
        drawn("gaussian", [](Random& r, S, S, S, S) { return r.normal(); }),
        drawn("negative", [](Random& r, S, S, S, S) { return -1 + std::log(1 - r.uniform()); }),
        drawn("zeros", [](Random& r, S, S, S, S) { return r.chance(0.5) ? 0.0 : -0.0; }),
        drawn("integers", [](Random& r, S, S, S, S) { return static_cast<double>(r.below(7)) - 3; }),
        drawn("binary", [](Random& r, S, S, S n, S m) { return r.chance(1.5 / static_cast<double>(std::min(n, m))) ? 1.0 : 0.0; }),
        drawn("sparse", [](Random& r, S, S, S, S) { return r.chance(0.1) ? r.normal() : 0.0; }),
        drawn("machol_wien", [](Random&, S i, S j, S, S) { return -static_cast<double>((i + 1) * (j + 1)); }),
        drawn("decades", [](Random& r, S, S, S, S) { return signed_power(r, 6); }),
        drawn("more_decades", [](Random& r, S, S, S, S) { return signed_power(r, 30); }),
        drawn("huge", [](Random& r, S, S, S, S) { return 1e30 * r.normal(); }),
        drawn("tiny", [](Random& r, S, S, S, S) { return 1e-30 * r.normal(); }),
        drawn("subnormal", [](Random& r, S, S, S, S) { return (static_cast<double>(r.below(19)) - 9) * 5e-324; }),
        drawn("largest", [](Random& r, S, S, S, S) { return r.uniform(-1e300, 1e300); }),
        drawn("nearly_equal", [](Random& r, S, S, S, S) { return 1 + static_cast<double>(r.below(5)) * 0x1p-52; }),
        drawn("last_bits", [](Random& r, S, S, S, S) { return 8.0 * static_cast<double>(r.below(2)) + static_cast<double>(r.below(4)) * 0x1p-48; }),
        drawn("contested", [](Random& r, S, S j, S, S m) { return r.uniform() * 1e-3 + (j < std::max<S>(1, m / 8) ? 10.0 : 0.0); }),
        drawn("single", [](Random& r, S, S, S, S) { return static_cast<double>(static_cast<float>(r.normal())); }),
    };
    const auto add = [&out](const char* name, auto make) { out.push_back({name, make}); };
    add("constant", [](Random& r, S n, S m) { return matrix(n, m, [value = r.normal()](S, S) { return value; }); });
    add("diagonal", [](Random& r, S n, S m) {
        const std::vector<S> order = r.some(std::max(n, m), n);
        return matrix(n, m, [&](S i, S j) { return (order[i] == j ? 1.0 : 0.0) + 1e-3 * r.uniform(); });
    });
    add("rank_one", [](Random& r, S n, S m) { return product(r, n, m, 1); });
    add("low_rank", [](Random& r, S n, S m) { return product(r, n, m, 3); });
    add("additive", [](Random& r, S n, S m) { return additive(r, n, m, 0.0); });
    add("nearly_additive", [](Random& r, S n, S m) { return additive(r, n, m, 1e-6); });
    add("doubled", [](Random& r, S n, S m) {
        const Matrix half = matrix(n / 2 + 1, m / 2 + 1, [&r](S, S) { return r.normal(); });
        return matrix(n, m, [&half](S i, S j) { return half.at(i / 2, j / 2); });
    });
    add("distances", [](Random& r, S n, S m) {
        const Matrix a = matrix(n, 2, [&r](S, S) { return r.uniform(); }), b = matrix(m, 2, [&r](S, S) { return r.uniform(); });
        return matrix(n, m, [&](S i, S j) { return -std::hypot(a.at(i, 0) - b.at(j, 0), a.at(i, 1) - b.at(j, 1)); });
    });
    add("toeplitz", [](Random& r, S n, S m) {
        const double shift = static_cast<double>(r.below(3));
        return matrix(n, m, [shift](S i, S j) { return -std::fabs(static_cast<double>(i) - static_cast<double>(j) + shift); });
    });
    add("staircase", [](Random& r, S n, S m) {
        const S s = std::min(n, m);
        std::vector<double> gains(s ? s - 1 : 0);
        for (double& gain : gains) gain = r.uniform(0.5, 0.9) * 0x1p-24;
        if (!gains.empty()) gains.back() = -0.95 * std::accumulate(gains.begin(), gains.end() - 1, 0.0);
        const std::vector<S> rows = r.some(n, n), columns = r.some(m, m);
        return matrix(n, m, [&](S i, S j) {
            const S a = rows[i], b = columns[j];
            return a == b ? 1.0 : a + 1 == b && a < gains.size() ? 1.0 + gains[a] : -1.0;
        });
    });
    return out;
}

// All of them: affinities of sets, and matrices.
inline std::vector<Family> families(const Photos& photos) {
    std::vector<Family> out = matrix_families();
    for (const SetFamily& one : set_families(photos))
        out.push_back({one.name, [make = one.make](Random& r, std::size_t n, std::size_t m) {
                           const Pair sets = make(r, n, m);
                           return affinity(sets.q, sets.x);
                       }});
    return out;
}

}  // namespace check
