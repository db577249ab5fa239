// A candidate set in memory of its own, with its int8 gate.
#pragma once

#include "families.hpp"

namespace check {

inline float above(double value) {
    const float rounded = static_cast<float>(value);
    const float up = rounded < value ? std::nextafter(rounded, std::numeric_limits<float>::infinity()) : rounded;
    return std::nextafter(up, std::numeric_limits<float>::infinity());
}

class Candidate {
  public:
    explicit Candidate(const Tokens& set) : tokens_(set), square_(check::square(set)), mean_(set.m) {
        codes_.resize(set.values.size());
        scales_.resize(set.n), errors_.resize(set.n), norms_.resize(set.n), sums_.resize(set.n);
        fill_mean();
        for (std::size_t j = 0; j < set.n; ++j) fill(j);
    }

    // Overwrites the gate with anything.
    void garble(Random& random) {
        const auto any = [&random](std::vector<float>& values) {
            for (float& value : values) {
                const auto word = static_cast<std::uint32_t>(random.bits());
                std::memcpy(&value, &word, sizeof value);
            }
        };
        any(scales_), any(errors_), any(norms_), any(mean_);
        for (std::int8_t& code : codes_) code = static_cast<std::int8_t>(random.bits());
        for (std::int32_t& sum : sums_) sum = static_cast<std::int32_t>(random.below(1 << 16)) - (1 << 15);
    }

    setwise::SetView view(bool gate) const {
        setwise::SetView out;
        out.tokens = tokens_.values.data();
        out.m = tokens_.n;
        out.square = square_;
        if (gate) out.gate = {codes_.data(), scales_.data(), errors_.data(), norms_.data(), sums_.data(), mean_.data()};
        return out;
    }

  private:
    double value(std::size_t j, std::size_t k) const { return static_cast<double>(units(tokens_.at(j, k))) * 0x1p-24; }

    void fill_mean() {
        for (std::size_t k = 0; k < tokens_.m; ++k) {
            double sum = 0.0;
            for (std::size_t j = 0; j < tokens_.n; ++j) sum += value(j, k);
            mean_[k] = tokens_.n ? static_cast<float>(sum / static_cast<double>(tokens_.n)) : 0.0f;
        }
    }

    void fill(std::size_t j) {
        double size = 0.0, error = 0.0, norm = 0.0;
        for (std::size_t k = 0; k < tokens_.m; ++k) size = std::max(size, std::fabs(value(j, k) - mean_[k]));
        scales_[j] = static_cast<float>(size / 127.0);
        if (static_cast<double>(scales_[j]) * 127.0 < size) scales_[j] = std::nextafter(scales_[j], std::numeric_limits<float>::infinity());
        for (std::size_t k = 0; k < tokens_.m; ++k) {
            const double centred = value(j, k) - mean_[k], code = scales_[j] > 0 ? std::nearbyint(centred / scales_[j]) : 0.0;
            codes_[j * tokens_.m + k] = static_cast<std::int8_t>(std::clamp(code, -127.0, 127.0));
            sums_[j] += codes_[j * tokens_.m + k];
            const double rest = centred - static_cast<double>(scales_[j]) * codes_[j * tokens_.m + k];
            error += rest * rest;
            norm += centred * centred;
        }
        errors_[j] = above(std::sqrt(error));
        norms_[j] = above(std::sqrt(norm));
    }

    Tokens tokens_;
    double square_;
    std::vector<std::int8_t> codes_;
    std::vector<float> scales_, errors_, norms_, mean_;
    std::vector<std::int32_t> sums_;
};

}  // namespace check
