// How long loops notice that nobody waits any more: they count their work and ask each time that enough was done.
#pragma once

#include "simd.hpp"
#include "types.hpp"

namespace setwise::SETWISE_NAMESPACE {

class Watch {
  public:
    void begin(const Stop& stop) { stop_ = stop, done_ = 0, stopped_ = false; }

    // After so many steps, of about a nanosecond each. True: stop; it stays true. For once in some hundreds of steps: shorter
    // loops call it in every kTurns-th turn.
    SETWISE_INLINE bool after(std::size_t steps) {
        done_ += steps;
        return done_ >= kSteps && ask();
    }
    __attribute__((noinline, cold)) bool ask() {
        done_ = 0;
        stopped_ = stopped_ || (stop_.asked != nullptr && stop_.asked(stop_.context));
        return stopped_;
    }
    bool stopped() const { return stopped_; }
    static constexpr std::size_t kTurns = 16;

  private:
    static constexpr std::size_t kSteps = std::size_t{1} << 17;  // asking takes some 30 ns
    Stop stop_;
    std::size_t done_ = 0;
    bool stopped_ = false;
};

}  // namespace setwise::SETWISE_NAMESPACE
