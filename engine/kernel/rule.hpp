// From matched sums to scores and back: which score ranks, and which matched sum a candidate needs to matter.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

namespace setwise {

enum class Reading { cosine, inner_product, rbf, containment };

// setwise_engine/matching/_scores.py defines the scores. Every step of them keeps order, so a bound of the matched sum
// bounds the score. std::exp may differ from Python's in the last places: kLoose covers that, and Python computes the
// scores that are returned.
struct Rule {
    Reading reading = Reading::cosine;
    double q_square = 0.0, sigma = 1.0;

    static constexpr double kLoose = 0x1p-47;

    double score(double matched_sum, double x_square) const {
        if (reading == Reading::cosine) {
            const double norms = std::sqrt(q_square * x_square);
            return norms != 0.0 ? std::min(1.0, std::max(-1.0, matched_sum / norms)) : 0.0;
        }
        if (reading == Reading::containment) return std::min(1.0, std::max(-1.0, matched_sum));
        if (reading != Reading::rbf) return matched_sum;
        const double distance = std::max(0.0, q_square + x_square - 2.0 * matched_sum), width = 2.0 * sigma * sigma;
        if (width == 0.0) return distance == 0.0 ? 1.0 : 0.0;
        return std::exp(-distance / width);
    }

    // A candidate whose matched sum is below this scores strictly below `least`.
    double needed(double least, double x_square) const {
        constexpr double kNone = -std::numeric_limits<double>::infinity();
        if (least == kNone) return kNone;
        if (reading == Reading::cosine) {
            const double norms = std::sqrt(q_square * x_square), wanted = least * norms;
            if (norms == 0.0) return least > 0.0 ? -kNone : kNone;
            return least <= -1.0 ? kNone : wanted - std::abs(wanted) * 0x1p-50;
        }
        if (reading != Reading::rbf) return least;
        const double width = 2.0 * sigma * sigma;
        if (least <= 0.0 || width == 0.0) return kNone;
        const double squares = q_square + x_square, distance = -std::log(least * (1.0 - kLoose)) * width;
        if (distance < 0.0) return -kNone;  // more than the highest score, 1
        return (squares - distance) / 2.0 - (squares + distance) * 0x1p-46;
    }

    // What a score may lack of the k-th best and yet be found equal to it by Python.
    double nearly(double score) const { return reading == Reading::rbf ? score * (1.0 - kLoose) : score; }
};

}  // namespace setwise
