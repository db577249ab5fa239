// The k best of many candidates, by any number of threads.
//
// Answers do not depend on how candidates fall to threads: a candidate is dropped only when it is proven to score below
// a score that k others reach, and scores are exact. Which stage drops it, and how many, may vary.
#pragma once

#include <atomic>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <queue>
#include <thread>
#include <vector>

#include "levels.hpp"
#include "rule.hpp"

namespace setwise {

struct Candidate {
    std::int64_t key;
    SetView set;
};

struct Finalist {
    std::int64_t key;
    double matched_sum, score, square;
    std::vector<std::int32_t> columns;
    std::vector<double> row_prices, column_prices;
};

struct Counts {
    std::int64_t stage[5] = {};  // gate, gate_dual, bound, dual, solved
};

class Ranker {
  public:
    Ranker(const Level& level, const Half* tokens, std::size_t n, std::size_t d, const Rule& rule, std::size_t k, double least,
           std::size_t threads, bool prune, bool proofs)
        : level_(level), n_(n), rule_(rule), k_(k), least_(least), prune_(prune), proofs_(proofs),
          query_(level.new_query(tokens, n, d, rule.q_square, rule.reading == Reading::containment), level.delete_query) {
        for (std::size_t t = 0; t < threads; ++t) workers_.push_back(std::make_unique<Worker>(*this));
    }

    // `waiting` is asked now and then, on the calling thread; false: give up. Returns false when it did.
    bool add(const std::vector<Candidate>& candidates, const std::function<bool()>& waiting) {
        std::atomic<std::size_t> next{0};
        given_up_ = false;
        if (std::any_of(candidates.begin(), candidates.end(), [this](const Candidate& one) { return one.set.m != n_; }))
            level_.prepare_other_sizes(query_.get());
        std::exception_ptr error;
        std::mutex guard;
        const auto work = [&](Worker& worker, const std::function<bool()>* ask) {
            try {
                worker.ask = ask;
                for (std::size_t i; !given_up_ && (i = next.fetch_add(1)) < candidates.size();) {
                    if (ask != nullptr && !(*ask)()) given_up_ = true;
                    else consider(worker, candidates, i);
                }
            } catch (...) {
                given_up_ = true;
                const std::lock_guard<std::mutex> lock(guard);
                error = std::current_exception();
            }
        };
        std::vector<std::thread> others;
        for (std::size_t t = 1; t < std::min(workers_.size(), candidates.size()); ++t)
            others.emplace_back([&work, this, t] { work(*workers_[t], nullptr); });
        work(*workers_.front(), &waiting);
        for (std::thread& one : others) one.join();
        if (error) std::rethrow_exception(error);
        return !given_up_;
    }

    // Every candidate that scores at least as much as the k-th best.
    const std::vector<Finalist>& found() {
        purge();
        return found_;
    }
    Counts counts() const {
        Counts total;
        for (const auto& worker : workers_)
            for (int s = 0; s < 5; ++s) total.stage[s] += worker->counts.stage[s];
        return total;
    }
    double highest_bound() const {
        double highest = -std::numeric_limits<double>::infinity();
        for (const auto& worker : workers_) highest = std::max(highest, worker->highest_bound);
        return highest;
    }
    std::vector<std::int64_t> read() const {
        std::vector<std::int64_t> keys;
        for (const auto& worker : workers_) keys.insert(keys.end(), worker->read.begin(), worker->read.end());
        return keys;
    }
    std::size_t damaged() const { return damaged_; }

  private:
    // Whether a stage is worth its time: one that lets pass more than `most` of a window is left out for the next one.
    // In coarse order the first candidates pass nearly all bounds, the many after them nearly none.
    struct Worth {
        int most, seen = 0, passed = 0, skip = 0;
        static constexpr int kWindow = 32;
        bool pays() { return skip == 0 || --skip == 0; }
        void learn(bool through) {
            passed += through;
            if (++seen < kWindow) return;
            if (passed > most) skip = kWindow;
            seen = passed = 0;
        }
    };

    struct Worker {
        explicit Worker(Ranker& ranker)
            : ranker(ranker), weigher(ranker.level_.new_weigher(ranker.query_.get()), ranker.level_.delete_weigher) {}
        Ranker& ranker;
        std::unique_ptr<void, void (*)(void*)> weigher;
        const std::function<bool()>* ask = nullptr;
        Counts counts;
        double highest_bound = -std::numeric_limits<double>::infinity();
        Worth gate{31}, gate_dual{31};  // measured: docs/decisions/0082
        std::vector<std::int64_t> read;
        std::vector<std::int32_t> columns;
        std::vector<double> row_prices, column_prices;

        static bool stop(void* self) {
            Worker& w = *static_cast<Worker*>(self);
            if (w.ask != nullptr && !(*w.ask)()) w.ranker.given_up_ = true;
            return w.ranker.given_up_;
        }
    };

    void consider(Worker& worker, const std::vector<Candidate>& candidates, std::size_t i) {
        Candidate candidate = candidates[i];
        const std::size_t after = i + workers_.size();
        if (after < candidates.size() && candidates[after].set.m >= candidate.set.m) candidate.set.gate.next = candidates[after].set.gate.codes;
        const double threshold = threshold_;
        Plan plan;
        plan.prune = prune_;
        const bool gated = candidate.set.gate.codes != nullptr && threshold > -std::numeric_limits<double>::infinity();
        plan.gate = gated && worker.gate.pays();
        plan.gate_dual = plan.gate && worker.gate_dual.pays();
        Solution solution;
        if (proofs_) {
            worker.columns.resize(n_ + 1);
            worker.row_prices.resize(n_ + 1);
            worker.column_prices.resize(candidate.set.m + 1);
            solution.columns = worker.columns.data();
            solution.row_prices = worker.row_prices.data();
            solution.column_prices = worker.column_prices.data();
        }
        const Outcome outcome = level_.weigh(worker.weigher.get(), candidate.set, plan, rule_.needed(threshold, candidate.set.square),
                                             Stop{&Worker::stop, &worker}, solution);
        if (outcome.stage == Stage::stopped) return;
        const bool by_gate = outcome.stage == Stage::gate || outcome.stage == Stage::gate_dual;
        if (!by_gate) worker.read.push_back(candidate.key);
        if (outcome.stage == Stage::damaged) {
            ++damaged_;
            given_up_ = true;
            return;
        }
        if (plan.gate) worker.gate.learn(outcome.stage != Stage::gate);
        if (plan.gate_dual && outcome.stage != Stage::gate) worker.gate_dual.learn(outcome.stage != Stage::gate_dual);
        ++worker.counts.stage[static_cast<int>(outcome.stage)];
        if (outcome.stage == Stage::solved)
            keep(worker, candidate, solution.value);
        else
            worker.highest_bound = std::max(worker.highest_bound, rule_.score(outcome.bound, candidate.set.square));
    }

    void keep(const Worker& worker, const Candidate& candidate, double matched_sum) {
        const double score = rule_.score(matched_sum, candidate.set.square);
        const std::lock_guard<std::mutex> lock(mutex_);
        if (best_.size() == k_ && score < rule_.nearly(best_.top())) return;
        best_.push(score);
        if (best_.size() > k_) best_.pop();
        if (best_.size() == k_) threshold_ = std::max(least_, best_.top());
        Finalist one{candidate.key, matched_sum, score, candidate.set.square, {}, {}, {}};
        if (proofs_) {
            one.columns.assign(worker.columns.begin(), worker.columns.begin() + static_cast<std::ptrdiff_t>(n_));
            one.row_prices.assign(worker.row_prices.begin(), worker.row_prices.begin() + static_cast<std::ptrdiff_t>(n_));
            one.column_prices.assign(worker.column_prices.begin(), worker.column_prices.begin() + static_cast<std::ptrdiff_t>(candidate.set.m));
        }
        found_.push_back(std::move(one));
        if (found_.size() >= purge_at_) {
            purge();
            purge_at_ = 2 * found_.size() + 64;
        }
    }

    void purge() {
        if (best_.size() < k_) return;
        const double least = rule_.nearly(best_.top());
        found_.erase(std::remove_if(found_.begin(), found_.end(), [least](const Finalist& one) { return one.score < least; }), found_.end());
    }

    const Level& level_;
    const std::size_t n_;
    const Rule rule_;
    const std::size_t k_;
    const double least_;
    const bool prune_, proofs_;
    std::unique_ptr<void, void (*)(void*)> query_;
    std::vector<std::unique_ptr<Worker>> workers_;
    std::atomic<double> threshold_{least_};
    std::atomic<bool> given_up_{false};
    std::atomic<std::size_t> damaged_{0};
    std::mutex mutex_;
    std::priority_queue<double, std::vector<double>, std::greater<double>> best_;
    std::vector<Finalist> found_;
    std::size_t purge_at_ = 1024;
};

}  // namespace setwise
