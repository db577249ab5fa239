// Matched sums of all pairs, tile by tile, by any number of threads. A pair's result depends on nothing but the pair.
#pragma once

#include <atomic>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "levels.hpp"

namespace setwise {

// Sets as one level prepares them.
class PreparedSets {
  public:
    PreparedSets(const Level& level, const float* tokens, const std::int64_t* offsets, const double* squares, std::size_t rows, std::size_t d)
        : level_(level), rows_(rows), sets_(level.new_sets(tokens, offsets, squares, rows, d), level.delete_sets) {}

    const Level& level() const { return level_; }
    std::size_t rows() const { return rows_; }
    void* get() const { return sets_.get(); }

  private:
    const Level& level_;
    std::size_t rows_;
    std::unique_ptr<void, void (*)(void*)> sets_;
};

// Runs job(i, asks) for i in [0, count) on `threads` threads until `waiting`, asked on the calling thread, is false. A job
// returns false when it was told to stop. False: it was; what one throws is thrown here.
class Workers {
  public:
    Workers(std::size_t threads, std::function<bool()> waiting) : threads_(threads), waiting_(std::move(waiting)) {}

    template <typename Make, typename Job>
    bool run(std::size_t count, const Make& make, const Job& job) {
        std::atomic<std::size_t> next{0};
        std::exception_ptr error;
        std::mutex guard;
        const auto work = [&](bool calling) {
            try {
                auto own = make();
                Asker asker{this, calling};
                const Stop stop{[](void* context) { return static_cast<Asker*>(context)->stop(); }, &asker};
                for (std::size_t i; !stopped_ && (i = next.fetch_add(1)) < count;) {
                    if (stop.asked(stop.context) || !job(own, i, stop)) stopped_ = true;
                }
            } catch (...) {
                stopped_ = true;
                const std::lock_guard<std::mutex> lock(guard);
                error = std::current_exception();
            }
        };
        std::vector<std::thread> others;
        for (std::size_t t = 1; t < std::min(threads_, count); ++t) others.emplace_back(work, false);
        work(true);
        for (std::thread& one : others) one.join();
        if (error) std::rethrow_exception(error);
        return !stopped_;
    }

  private:
    struct Asker {
        Workers* workers;
        bool calling;
        bool stop() const {
            if (calling && !workers->stopped_ && !workers->waiting_()) workers->stopped_ = true;
            return workers->stopped_;
        }
    };

    std::size_t threads_;
    std::function<bool()> waiting_;
    std::atomic<bool> stopped_{false};
};

inline bool prepare(const PreparedSets& sets, std::size_t threads, const std::function<bool()>& waiting) {
    return Workers(threads, waiting).run(sets.rows(), [] { return 0; }, [&](int, std::size_t r, const Stop&) {
        sets.level().prepare_set(sets.get(), r);
        return true;
    });
}

// values, gaps: (rows of a, rows of b), zero where nothing is computed. Mirrored: a is b, and the upper half is enough.
inline bool matched_sums(const PreparedSets& a, const PreparedSets& b, bool mirrored, std::size_t threads, const std::function<bool()>& waiting,
                         double* values, double* gaps) {
    constexpr std::size_t kRows = 32, kColumns = 4;
    const Level& level = a.level();
    const std::size_t down = (a.rows() + kRows - 1) / kRows, across = (b.rows() + kColumns - 1) / kColumns;
    const auto make = [&level] { return std::unique_ptr<void, void (*)(void*)>(level.new_matcher(), level.delete_matcher); };
    const bool done = Workers(threads, waiting).run(down * across, make, [&](const auto& matcher, std::size_t t, const Stop& stop) {
        SumsTile tile;
        tile.first_row = t / across * kRows, tile.last_row = std::min(a.rows(), tile.first_row + kRows);
        tile.first_column = t % across * kColumns, tile.last_column = std::min(b.rows(), tile.first_column + kColumns);
        tile.mirrored = mirrored;
        tile.values = values, tile.gaps = gaps, tile.stride = b.rows();
        if (mirrored && tile.first_row >= tile.last_column) return true;
        return level.match(matcher.get(), a.get(), b.get(), tile, stop);
    });
    for (std::size_t i = 0; done && mirrored && i < a.rows(); ++i)
        for (std::size_t j = 0; j < i; ++j) values[i * b.rows() + j] = values[j * b.rows() + i], gaps[i * b.rows() + j] = gaps[j * b.rows() + i];
    return done;
}

}  // namespace setwise
