// The ranker held to scores of exact optima: the same best candidates whatever threads, pruning, gate and order.
#pragma once

#include "../ranker.hpp"
#include "candidates.hpp"
#include "judge.hpp"

namespace check {

// A query and candidates of every family, many of them alike, with the matched sums that must come out.
class Pool {
  public:
    Pool(const Photos& photos, Random& random, std::size_t n, std::size_t largest, bool containment) : query_(photos.pick(0, random.some(100, n))) {
        for (int round = 0; round < 3; ++round)
            for (const SetFamily& family : set_families(photos)) {
                Tokens x = family.make(random, n, 1 + random.below(largest)).x;
                if (x.m != query_.m) continue;
                for (int copy = 0; copy < 2; ++copy) add(picked(x, random.some(x.n, x.n)), containment);
            }
        add(Tokens(0, query_.m), containment);
    }

    const Tokens& query() const { return query_; }
    std::size_t size() const { return candidates_.size(); }
    double matched_sum(std::size_t i) const { return sums_[i]; }
    double square(std::size_t i) const { return candidates_[i].view(false).square; }

    std::vector<setwise::Candidate> views(bool gate, bool backwards) const {
        std::vector<setwise::Candidate> out;
        for (std::size_t i = 0; i < size(); ++i) out.push_back({static_cast<std::int64_t>(i), candidates_[i].view(gate)});
        if (backwards) std::reverse(out.begin(), out.end());
        return out;
    }

  private:
    void add(const Tokens& x, bool containment) {
        candidates_.emplace_back(x);
        sums_.push_back(optimum(containment ? weighted_cosines(query_, x) : affinity(query_, x)));
    }

    Tokens query_;
    std::vector<Candidate> candidates_;
    std::vector<double> sums_;
};

inline void rank(const setwise::Level& level, const Pool& pool, const setwise::Rule& rule, std::size_t k, std::size_t threads, bool prune, Judge& judge) {
    std::vector<double> scores;
    for (std::size_t i = 0; i < pool.size(); ++i) scores.push_back(rule.score(pool.matched_sum(i), pool.square(i)));
    std::vector<double> sorted = scores;
    std::sort(sorted.rbegin(), sorted.rend());
    const double kth = sorted[std::min(k, sorted.size()) - 1];
    std::vector<std::int64_t> expected;
    for (std::size_t i = 0; i < scores.size(); ++i)
        if (scores[i] >= kth) expected.push_back(static_cast<std::int64_t>(i));
    for (const bool gate : {false, true})
        for (const bool backwards : {false, true}) {
            std::ostringstream at;
            at << level.name << " ranker reading " << static_cast<int>(rule.reading) << " k " << k << " threads " << threads << (prune ? " prune" : "")
               << (gate ? " gate" : "") << (backwards ? " backwards" : "");
            setwise::Ranker ranker(level, pool.query().values.data(), pool.query().n, pool.query().m, rule, k, -HUGE_VAL, threads, prune, true);
            judge.expect(ranker.add(pool.views(gate, backwards), [] { return true; }), at.str(), "gave up");
            std::vector<std::int64_t> found;
            for (const setwise::Finalist& one : ranker.found()) {
                const auto i = static_cast<std::size_t>(one.key);
                judge.expect(one.matched_sum == pool.matched_sum(i) && one.score == scores[i], at.str(), "a finalist's score is not its own");
                if (one.score >= kth) found.push_back(one.key);
            }
            std::sort(found.begin(), found.end());
            judge.expect(found == expected, at.str(), "other finalists than the best");
            const setwise::Counts counts = ranker.counts();
            judge.expect(std::accumulate(counts.stage, counts.stage + 5, std::int64_t{0}) == static_cast<std::int64_t>(pool.size()), at.str(), "a candidate got lost");
            judge.expect(prune || counts.stage[4] == static_cast<std::int64_t>(pool.size()), at.str(), "ruled out when it should not");
            judge.expect(!(ranker.highest_bound() > kth * (kth > 0 ? 1 + 1e-9 : 1 - 1e-9) + 1e-300), at.str(), "ruled out what a bound left open");
        }
}

inline void check_rankers(const std::vector<const setwise::Level*>& levels, const Photos& photos, std::size_t seeds, std::size_t threads, std::size_t largest,
                          Judge& judge) {
    using setwise::Reading;
    for (std::uint64_t seed = 0; seed < seeds; ++seed)
        for (const Reading reading : {Reading::cosine, Reading::inner_product, Reading::rbf, Reading::containment}) {
            Random random(seed * 31 + static_cast<std::uint64_t>(reading));
            const Pool pool(photos, random, 1 + random.below(largest), largest, reading == Reading::containment);
            setwise::Rule rule;
            rule.reading = reading;
            rule.q_square = square(pool.query());
            rule.sigma = std::sqrt(rule.q_square);
            for (const setwise::Level* level : levels)
                for (const std::size_t k : {std::size_t{1}, std::size_t{5}, std::size_t{500}})
                    for (const bool prune : {false, true})
                        for (const std::size_t count : {std::size_t{1}, threads}) rank(*level, pool, rule, k, count, prune, judge);
        }
}

}  // namespace check
