// A query made ready, and a candidate's way through the bounds to its exact matched sum.
//
// In native code the rows of a product are the candidate's tokens (m) and the columns the query's (n): the query is
// packed once, candidates are read where they lie.
#pragma once

#include "affinity.hpp"
#include "exact.hpp"
#include "gate.hpp"

namespace setwise::SETWISE_NAMESPACE {

constexpr double kFine = 0x1p48;           // integers in 1.0: fp16 products are multiples of 2^-48
constexpr double kContainmentFine = 0x1p52;  // weighted cosines are rounded to multiples of 2^-52
constexpr double kNarrow = 0x1p12;           // entries and prices below it leave room for sums in 64 bits

struct Query {
    std::size_t n, d, stride;
    bool containment;
    double square = 0.0, mean_norm = 0.0;
    ExactTokens exact;
    Buffer<float> panel, sums, offsets;          // (d, stride); sums of all tokens (d); 0, and -kHuge beyond n
    Buffer<double> token_squares, weights, mean;  // (n): exact squares, and their share of the whole; (d)
    GateQuery centred, whole;  // for candidates of the same size, and of others (see prepare)
    bool has_whole = false;

    Query(const Half* tokens, std::size_t n_, std::size_t d_, double square_, bool containment_)
        : n(n_), d(d_), stride(padded(n_)), containment(containment_), square(square_) {
        Buffer<float> narrow;
        widen(tokens, n * d, narrow.get(n * d));
        exact.fill(narrow.data(), n, d);
        pack_panel(narrow.data(), n, d, stride, panel.get(d * stride));
        float* offset = offsets.get(stride);
        for (std::size_t i = 0; i < stride; ++i) offset[i] = i < n ? 0.0f : -kHuge;
        if (containment) weigh(narrow.data());
        if (kHasGate && !containment && n > 0) fill_gate();
    }

    // Before candidates of another size come; not while weighers are at work.
    void prepare_other_sizes() {
        if (kHasGate && !containment && n > 0 && !has_whole) whole.fill(exact.whole.data(), n, d, stride);
        has_whole = true;
    }

  private:
    void weigh(const float* tokens) {
        weights.get(n);
        exact.squares(tokens, n, d, token_squares.get(n));
        for (std::size_t i = 0; i < n; ++i) weights.data()[i] = square > 0.0 ? token_squares.data()[i] / square : 0.0;
    }

    void fill_gate() {
        double* m = mean.get(d);
        for (std::size_t k = 0; k < d; ++k) m[k] = 0.0;
        for (std::size_t i = 0; i < n; ++i)
            for (std::size_t k = 0; k < d; ++k) m[k] += exact.whole.data()[i * d + k];
        sums.get(d);
        for (std::size_t k = 0; k < d; ++k) {
            sums.data()[k] = static_cast<float>(m[k]);
            m[k] /= static_cast<double>(n);
        }
        mean_norm = __builtin_sqrt(dot(m, m, d));
        Buffer<double> rest;
        double* out = rest.get(n * d);
        for (std::size_t i = 0; i < n; ++i)
            for (std::size_t k = 0; k < d; ++k) out[i * d + k] = exact.whole.data()[i * d + k] - m[k];
        centred.fill(out, n, d, stride);
    }
};

// A thread's memory and the way through the stages.
class Weigher {
  public:
    explicit Weigher(const Query& query) : q_(query) {}

    // Rules out a candidate whose matched sum is below `least`, or solves and proves it.
    Outcome weigh(const SetView& x, const Plan& plan, double least, const Stop& stop, Solution& solution) {
        x_ = x;
        Watch& watch = assigner_.watch();
        watch.begin(stop);
        if (q_.n == 0 || x.m == 0) return nothing(solution);
        const bool prune = plan.prune && least > -1e300;
        Outcome outcome;
        if (prune && kHasGate && plan.gate && x.gate.codes != nullptr && !q_.containment && gated(plan, least, outcome)) return outcome;
        if (watch.stopped()) return {Stage::stopped, 0.0};
        if (!all_finite(x.tokens, x.m * q_.d)) return {Stage::damaged, 0.0};
        if (!products(watch)) return {Stage::stopped, 0.0};
        const double slack = float_slack();
        const Matrix a = oriented(products_.data(), x.m);
        if (prune) {
            const double bound = row_column_bound() + slack;
            if (bound < least) return {Stage::bound, bound};
        }
        const double entry = q_.containment ? 1.0 : q_.exact.largest * __builtin_sqrt(x.square);
        if (prune && a.square()) {
            const double tight = assigner_.tight_bound(a, entry) + assigner_.rounding(a) + slack;
            if (watch.stopped()) return {Stage::stopped, 0.0};
            if (tight < least) return {Stage::dual, tight};
        }
        if (prune || a.square()) {
            const double dual = assigner_.dual_bound(a, kIterations, entry) + assigner_.rounding(a) + slack;
            if (watch.stopped()) return {Stage::stopped, 0.0};
            if (prune && dual < least) return {Stage::dual, dual};
        } else {
            assigner_.no_bound(a, entry);
        }
        const Found found = assigner_.solve(a, prune ? least - slack : -1e308);
        if (found == Found::stopped) return {Stage::stopped, 0.0};
        if (found == Found::below) return {Stage::dual, assigner_.bound() + slack};
        if (prune) {
            const double bound = assigner_.feasible_bound(a) + assigner_.rounding(a) + slack;
            if (bound < least) return {Stage::dual, bound};
        }
        return prove(a, watch, solution);
    }

  private:
    static constexpr std::size_t kPiece = std::size_t{1} << 26;  // products of numbers
    static constexpr int kIterations = 4, kGateIterations = 3;  // of Sinkhorn, as measured (docs/decisions/0082)

    Outcome nothing(Solution& solution) const {
        solution.value = 0.0;
        for (std::size_t i = 0; i < q_.n && solution.columns != nullptr; ++i) solution.columns[i] = -1, solution.row_prices[i] = 0.0;
        for (std::size_t j = 0; j < x_.m && solution.columns != nullptr; ++j) solution.column_prices[j] = 0.0;
        return {Stage::solved, 0.0};
    }

    // rows <= columns: as computed (m, n), or turned.
    Matrix oriented(const float* values, std::size_t m) {
        if (m <= q_.n) return {values, m, q_.n, q_.stride};
        const std::size_t stride = padded(m);
        float* turned = turned_.get(q_.n * stride);
        for (std::size_t i = 0; i < q_.n; ++i) {
            for (std::size_t j = 0; j < m; ++j) turned[i * stride + j] = values[j * q_.stride + i];
            for (std::size_t j = m; j < stride; ++j) turned[i * stride + j] = -kHuge;
        }
        return {turned, q_.n, m, stride};
    }

    bool gated(const Plan& plan, double least, Outcome& outcome) {
        const std::size_t m = x_.m;
        const bool square = m == q_.n;
        double slack = 0.0;
        const float* offsets = q_.offsets.data();
        const double shift = gate_shift(slack, offsets);
        const GateQuery& gate = square ? q_.centred : q_.whole;
        float* out = products_.get(m * q_.stride);
        float* columns = column_largest_.get(q_.stride);
        gate_products(x_.gate, m, q_.n, q_.d, gate, offsets, q_.stride, codes_, out, columns, assigner_.watch());
        if (assigner_.watch().stopped()) return false;
        slack += gate_slack(gate);
        // The columns' maxima come with the products, and rule out 9 of 10 candidates.
        const double bound = shift + slack + (m < q_.n ? row_bound() : column_bound());
        if (bound < least) return outcome = {Stage::gate, bound}, true;
        if (!plan.gate_dual) return false;
        const Matrix a = oriented(out, m);
        const double entry = (gate.norm + gate.error) * size_ + q_.exact.largest * centre_norm_;
        const double dual = a.square() ? assigner_.tight_bound(a, entry) : assigner_.dual_bound(a, kGateIterations, entry);
        if (assigner_.watch().stopped()) return false;
        const double tighter = shift + slack + dual + assigner_.rounding(a);
        if (tighter < least) return outcome = {Stage::gate_dual, tighter}, true;
        return false;
    }

    // What is added to the matched sum of the rounded sets (gate.hpp), and how far off it may be.
    double gate_shift(double& slack, const float*& offsets) {
        const float* centre = x_.gate.mean;
        const std::size_t d = q_.d;
        const double centre_norm = centre_norm_ = __builtin_sqrt(dot(centre, centre, d)), pairs = static_cast<double>(smaller(x_.m, q_.n));
        slack = 0x1p-22 * pairs * q_.mean_norm * centre_norm;  // means and sums were rounded to float32
        if (x_.m == q_.n) return pairs * dot(centre, q_.mean.data(), d);
        if (x_.m > q_.n) return dot(centre, q_.sums.data(), d);
        float* with = with_centre_.get(q_.stride);
        multiply(centre, 1, d, q_.panel.data(), q_.stride, with);
        for (std::size_t i = q_.n; i < q_.stride; ++i) with[i] = -kHuge;
        offsets = with;
        // Sums of d products in float32, one per pair; and sum b is only nearly 0.
        slack = (float_error() + 0x1p-22) * __builtin_sqrt(pairs) * (1.0 + __builtin_sqrt(pairs)) * __builtin_sqrt(q_.square) * centre_norm;
        return 0.0;
    }

    // Cauchy-Schwarz over the pairs; the second terms are the rounding of the float32 that the integers are scaled to.
    double gate_slack(const GateQuery& gate) {
        const GateView& x = x_.gate;
        double errors = dot(x.errors, x.errors, x_.m), norms = dot(x.norms, x.norms, x_.m);
        if (x_.m > q_.n) {  // only n of the candidate's tokens are matched
            double error = 0.0, norm = 0.0;
            for (std::size_t j = 0; j < x_.m; ++j) {
                error = x.errors[j] > error ? static_cast<double>(x.errors[j]) : error;
                norm = x.norms[j] > norm ? static_cast<double>(x.norms[j]) : norm;
            }
            const double pairs = static_cast<double>(q_.n);
            errors = errors < pairs * error * error ? errors : pairs * error * error;
            norms = norms < pairs * norm * norm ? norms : pairs * norm * norm;
        }
        const double size = size_ = __builtin_sqrt(norms) + __builtin_sqrt(errors);  // at least |B^|
        return (gate.norm * __builtin_sqrt(errors) + gate.error * size + 0x1p-21 * (gate.norm + gate.error) * size) * (1.0 + 1e-9);
    }

    // Every query token takes its best candidate token: a bound when all query tokens are matched (n <= m).
    double column_bound() const {
        double total = 0.0;
        for (std::size_t i = 0; i < q_.n; ++i) total += column_largest_.data()[i];
        return total;
    }

    // Every candidate token takes its best query token: a bound when m <= n.
    double row_bound() const {
        double total = 0.0;
        for (std::size_t j = 0; j < x_.m; ++j) {
            Floats largest = all(-kHuge);
            for (std::size_t i = 0; i < q_.stride; i += kWidth) largest = max(largest, load(products_.data() + j * q_.stride + i));
            total += highest(largest);
        }
        return total;
    }

    // Relative error of a float32 inner product of d numbers, in any order (Higham, Accuracy and Stability, section 3.1).
    double float_error() const {
        const double nu = static_cast<double>(q_.d + 4) * kRoundoff;
        return nu / (1.0 - nu);
    }

    double float_slack() const {
        // sum over pairs of |q||x| is at most |Q||X|; of w |q||x| / (|q||x|), at most 1.
        const double size = q_.containment ? 1.0 : __builtin_sqrt(q_.square) * __builtin_sqrt(x_.square);
        return float_error() * size * (1.0 + 1e-9);
    }

    // False: stopped.
    bool products(Watch& watch) {
        const std::size_t m = x_.m, d = q_.d;
        widen(x_.tokens, m * d, tokens_.get(m * d));
        float* out = products_.get(m * q_.stride);
        // In pieces of some milliseconds; of the common sizes each is one.
        const std::size_t rows = round_up(kPiece / (d * q_.stride + 1) + 1, kTileRows);
        for (std::size_t j = 0; j < m; j += rows) {
            if (j > 0 && watch.ask()) return false;
            multiply(tokens_.data() + j * d, smaller(rows, m - j), d, q_.panel.data(), q_.stride, out + j * q_.stride);
        }
        if (q_.containment && !scale(out, watch)) return false;
        for (std::size_t j = 0; j < m; ++j)
            for (std::size_t i = q_.n; i < q_.stride; ++i) out[j * q_.stride + i] = -kHuge;
        return true;
    }

    // Products to weighted cosines; the exact token squares of the candidate are needed for it.
    bool scale(float* out, Watch& watch) {
        const std::size_t m = x_.m, d = q_.d;
        exact_.fill(tokens_.data(), m, d);
        exact_.squares(tokens_.data(), m, d, squares_.get(m));
        const double* squares = squares_.data();
        for (std::size_t j = 0; j < m; ++j) {
            if (watch.after(4 * q_.n)) return false;
            for (std::size_t i = 0; i < q_.n; ++i) {
                const double norms = __builtin_sqrt(q_.token_squares.data()[i] * squares[j]);
                const double factor = norms > 0.0 ? q_.weights.data()[i] / norms : 0.0;
                out[j * q_.stride + i] = static_cast<float>(out[j * q_.stride + i] * factor);
            }
        }
        return true;
    }

    double row_column_bound() {
        const double rows = x_.m <= q_.n ? row_bound() : kHuge;
        if (x_.m < q_.n) return rows;
        float* columns = column_largest_.get(q_.stride);
        for (std::size_t i = 0; i < q_.stride; ++i) columns[i] = -kHuge;
        for (std::size_t j = 0; j < x_.m; ++j)
            for (std::size_t i = 0; i < q_.stride; i += kWidth)
                store(columns + i, max(load(columns + i), load(products_.data() + j * q_.stride + i)));
        const double by_columns = column_bound();
        return rows < by_columns ? rows : by_columns;
    }

    Outcome prove(const Matrix& a, Watch& watch, Solution& solution) {
        const double largest = largest_norm(tokens_.data(), x_.m, q_.d);
        narrow_ = split_suffices(q_.exact.largest, largest, q_.d);
        if (!narrow_) {
            if (!q_.containment) exact_.fill(tokens_.data(), x_.m, q_.d);
            wide_query_.fill(q_.exact.whole.data(), q_.n * q_.d);
            exact_.digits.fill(exact_.whole.data(), x_.m * q_.d);
        }
        const bool turned = x_.m > q_.n;  // the matrix' rows are the query's tokens
        const auto entry = [this, turned](std::size_t row, std::size_t column) {
            const std::size_t i = turned ? row : column, j = turned ? column : row;
            return q_.containment ? weighted(i, j) : product(i, j) * kFine;
        };
        const double fine = q_.containment ? kContainmentFine : kFine;
        const double entry_extent = q_.containment ? 1.0 : q_.exact.largest * largest * (1.0 + 1e-9);
        const double error = float_error() * entry_extent;
        if (entry_extent < kNarrow && assigner_.price_extent(a) < kNarrow) {
            const auto narrow = [&entry](std::size_t r, std::size_t c) { return static_cast<std::int64_t>(entry(r, c)); };
            if (int_prover_.sparse(a, assigner_, fine, error, narrow, watch)) return finish(a, int_prover_, fine, turned, solution);
        }
        const auto wide = [&entry](std::size_t r, std::size_t c) { return static_cast<Wide>(entry(r, c)); };
        if (watch.stopped() || (!wide_prover_.sparse(a, assigner_, fine, error, wide, watch) &&
                                (watch.stopped() || !wide_prover_.dense(a, assigner_, fine, wide, watch))))
            return {Stage::stopped, 0.0};
        return finish(a, wide_prover_, fine, turned, solution);
    }

    double product(std::size_t i, std::size_t j) const {
        const std::size_t d = q_.d;
        if (!narrow_) return digits_product(wide_query_, i, exact_.digits, j, d);
        return exact_product(q_.exact.high.data() + i * d, q_.exact.low.data() + i * d, tokens_.data() + j * d, d);
    }

    // An integer: w cos(q, x) in multiples of 2^-52 (setwise_engine/matching/_scores.py, containment).
    double weighted(std::size_t i, std::size_t j) const {
        const double norms = __builtin_sqrt(q_.token_squares.data()[i] * squares_.data()[j]);
        double cosine = norms > 0.0 ? product(i, j) / norms : 0.0;
        cosine = cosine > 1.0 ? 1.0 : cosine < -1.0 ? -1.0 : cosine;
        return __builtin_rint(cosine * q_.weights.data()[i] * kContainmentFine);
    }

    template <typename Int>
    Outcome finish(const Matrix& a, const Prover<Int>& prover, double fine, bool turned, Solution& solution) const {
        solution.value = static_cast<double>(prover.sum(a.rows)) / fine;
        if (solution.columns == nullptr) return {Stage::solved, 0.0};
        double* row_side = turned ? solution.row_prices : solution.column_prices;
        double* column_side = turned ? solution.column_prices : solution.row_prices;
        for (std::size_t i = 0; i < q_.n; ++i) solution.columns[i] = -1;
        for (std::size_t r = 0; r < a.rows; ++r) {
            const std::size_t c = prover.column_of(r);
            solution.columns[turned ? r : c] = static_cast<std::int32_t>(turned ? c : r);
            row_side[r] = static_cast<double>(prover.row_price(r)) / fine;
        }
        for (std::size_t c = 0; c < a.cols; ++c) column_side[c] = static_cast<double>(prover.column_price(c)) / fine;
        return {Stage::solved, 0.0};
    }

    const Query& q_;
    SetView x_;
    double centre_norm_ = 0.0, size_ = 0.0;  // of the gate: norms of the centre, and of the rounded candidate
    bool narrow_ = true;  // whether exact products may take the split
    Assigner assigner_;
    Prover<std::int64_t> int_prover_;
    Prover<Wide> wide_prover_;
    ExactTokens exact_;
    Digits wide_query_;
    Buffer<float> products_, turned_, tokens_, column_largest_, with_centre_;
    Buffer<double> squares_;
    Buffer<std::int8_t> codes_;
};

}  // namespace setwise::SETWISE_NAMESPACE
