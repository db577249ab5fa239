// Matched sums of float32 sets held to exact optima: values, and gaps that cover what they lack.
#pragma once

#include "../sums.hpp"
#include "candidates.hpp"
#include "judge.hpp"

namespace check {

// Sets side by side, as the caller holds them.
struct Floats {
    std::vector<float> tokens;
    std::vector<std::int64_t> offsets{0};
    std::vector<double> squares;
    std::size_t d = 0;

    explicit Floats(const std::vector<Tokens>& sets) : d(sets.front().m) {
        for (const Tokens& set : sets) {
            for (const Half half : set.values) tokens.push_back(static_cast<float>(static_cast<double>(units(half)) * 0x1p-24));
            offsets.push_back(offsets.back() + static_cast<std::int64_t>(set.n));
            squares.push_back(square(set));
        }
    }
    setwise::PreparedSets prepared(const setwise::Level& level, std::size_t threads) const {
        setwise::PreparedSets out(level, tokens.data(), offsets.data(), squares.data(), squares.size(), d);
        setwise::prepare(out, threads, [] { return true; });
        return out;
    }
};

inline void sums(const setwise::Level& level, const std::vector<Tokens>& sets, const std::vector<double>& best, std::size_t threads, bool mirrored, Judge& judge,
                 const std::string& at) {
    const Floats floats(sets);
    const std::size_t count = sets.size();
    const setwise::PreparedSets a = floats.prepared(level, threads);
    std::vector<double> values(count * count), gaps(count * count);
    judge.expect(setwise::matched_sums(a, a, mirrored, threads, [] { return true; }, values.data(), gaps.data()), at, "gave up");
    for (std::size_t i = 0; i < count; ++i)
        for (std::size_t j = 0; j < count; ++j) {
            const double unit = std::sqrt(floats.squares[i]) * std::sqrt(floats.squares[j]), value = values[i * count + j], gap = gaps[i * count + j];
            judge.expect(value <= best[i * count + j] + 4e-7 * unit, at, "more than the optimum");
            judge.expect(best[i * count + j] <= value + gap * (1 + 1e-9), at, "a gap that does not cover");
            judge.expect(gap >= 0.0 && gap <= 2e-6 * unit, at, "a gap larger than promised");
        }
}

inline void check_sums(const std::vector<const setwise::Level*>& levels, const Photos& photos, std::size_t seeds, std::size_t threads, std::size_t largest, Judge& judge) {
    for (const SetFamily& family : set_families(photos))
        for (std::uint64_t seed = 0; seed < seeds; ++seed) {
            Random random(seed * 613 + 5);
            std::vector<Tokens> sets;
            for (const std::size_t n : {std::size_t{20}, std::size_t{20}, std::size_t{49}, std::size_t{49}, std::size_t{0}, std::size_t{17}, std::size_t{100}, std::size_t{100}}) {
                const Pair pair = family.make(random, std::min(n, largest), 1 + random.below(9));
                sets.push_back(pair.q);
                sets.push_back(pair.x);
            }
            std::vector<double> best;
            for (const Tokens& q : sets)
                for (const Tokens& x : sets) best.push_back(optimum(affinity(q, x)));
            for (const setwise::Level* level : levels)
                for (const bool mirrored : {false, true}) {
                    std::ostringstream at;
                    at << level->name << " sums " << family.name << " seed " << seed;
                    sums(*level, sets, best, mirrored ? 1 : threads, mirrored, judge, at.str());
                }
        }
}

}  // namespace check
