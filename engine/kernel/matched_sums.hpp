// Matched sums of tiles of pairs of sets: rough affinities from bytes where sets are of one size and the machine is quick at
// them, else from float32; settle.hpp makes them exact.
#pragma once

#include "byte_product.hpp"
#include "settle.hpp"

namespace setwise::SETWISE_NAMESPACE {

// A thread's memory.
class Matcher {
  public:
    // Pairs of rows [tile.first_row, tile.last_row) of a and columns of b, those below the diagonal left out when `mirrored`.
    // False: stopped.
    bool match(const TokenSets& a, const TokenSets& b, const SumsTile& tile, const Stop& stop) {
        panel_.set = nullptr;
        for (std::size_t c = tile.first_column; c < tile.last_column;) {
            const std::size_t count = group_size(b, c, tile.last_column);
            if (!match_group(a, b, c, count, tile, stop)) return false;
            c += count;
        }
        return true;
    }

  private:
    static constexpr std::size_t kGroupBytes = std::size_t{1} << 19;  // of float32 tokens: half of a usual L2 cache

    // How many neighbouring sets of one size go together.
    static std::size_t group_size(const TokenSets& b, std::size_t c, std::size_t end) {
        const std::size_t bytes = b.size(c) * b.d * sizeof(float);
        std::size_t count = 1;
        while (count < kGroup && c + count < end && b.size(c + count) == b.size(c) && (count + 1) * bytes <= kGroupBytes) ++count;
        return count;
    }

    bool match_group(const TokenSets& a, const TokenSets& b, std::size_t c, std::size_t count, const SumsTile& tile, const Stop& stop) {
        const std::size_t m = b.size(c), stride = padded(m);
        const bool bytes = kHasBytes && m >= kFewestTokens && b.d > 0;
        float* matrices[kGroup];
        if (bytes) {
            group_.pack(b, c, count);
            std::size_t sizes[kGroup], strides[kGroup];
            for (std::size_t s = 0; s < count; ++s) {
                matrices[s] = group_matrices_[s].get(m * stride);
                sizes[s] = m, strides[s] = stride;
                for (std::size_t i = 0; i < m; ++i)
                    for (std::size_t j = m; j < stride; ++j) matrices[s][i * stride + j] = -kHuge;
            }
            group_.aim(count, sizes, matrices, strides);
        }
        for (std::size_t r = tile.first_row; r < tile.last_row; ++r) {
            if (tile.mirrored && r >= c + count) break;
            if (stop.asked != nullptr && stop.asked(stop.context)) return false;
            const bool rough = bytes && a.size(r) == m;
            if (rough) byte_products(a, r, group_);
            for (std::size_t s = 0; s < count; ++s) {
                if (tile.mirrored && r > c + s) continue;
                double &value = tile.values[r * tile.stride + c + s], &gap = tile.gaps[r * tile.stride + c + s];
                if (!(rough ? from_bytes(a, r, b, c + s, matrices[s], stop, value, gap) : from_floats(a, r, b, c + s, stop, value, gap))) return false;
            }
        }
        return true;
    }

    bool from_bytes(const TokenSets& a, std::size_t r, const TokenSets& b, std::size_t c, float* values, const Stop& stop, double& value, double& gap) {
        const std::size_t i = a.first(r), j = b.first(c), m = b.size(c);
        RoughSides sides;
        sides.rows = a.centred(i), sides.columns = b.centred(j);
        sides.row_norms = a.byte_norms() + i, sides.column_norms = b.norms(true) + j;
        sides.row_errors = a.errors() + i, sides.column_errors = b.errors() + j;
        sides.d = a.d, sides.row_spacing = a.apart, sides.column_spacing = b.apart;
        sides.extent = a.largest(r, true) * b.largest(c, true);
        return finish(a, r, b, c, {values, m, m, padded(m)}, values, sides, stop, value, gap);
    }

    // rows <= columns.
    bool from_floats(const TokenSets& a, std::size_t r, const TokenSets& b, std::size_t c, const Stop& stop, double& value, double& gap) {
        if (a.size(r) > b.size(c)) return from_floats(b, c, a, r, stop, value, gap);
        value = gap = 0.0;
        const std::size_t n = a.size(r), m = b.size(c), d = a.d, stride = padded(m);
        if (n == 0 || d == 0) return true;
        const bool square = n == m;
        const float *rows = a.token(a.first(r), square), *columns = b.token(b.first(c), square);
        panel_.hold(columns, b.spacing(square), m, d, stride);
        float* values = values_.get(n * stride);
        multiply(rows, a.spacing(square), n, d, panel_.values.data(), stride, values);
        for (std::size_t i = 0; i < n; ++i)
            for (std::size_t j = m; j < stride; ++j) values[i * stride + j] = -kHuge;
        RoughSides sides;
        sides.rows = rows, sides.columns = columns;
        sides.row_norms = a.norms(square) + a.first(r), sides.column_norms = b.norms(square) + b.first(c);
        // Of a sum of d products in any order (Higham, Accuracy and Stability, section 3.1).
        const double nu = static_cast<double>(d + 4) * kRoundoff;
        float *row_errors = row_errors_.get(n), *column_errors = column_errors_.get(stride);
        for (std::size_t i = 0; i < n; ++i) row_errors[i] = static_cast<float>(static_cast<double>(sides.row_norms[i]) * nu / (1.0 - nu) * 1.000001);
        std::memset(column_errors, 0, stride * sizeof(float));
        sides.row_errors = row_errors, sides.column_errors = column_errors;
        sides.d = d, sides.row_spacing = a.spacing(square), sides.column_spacing = b.spacing(square);
        sides.extent = a.largest(r, square) * b.largest(c, square);
        return finish(a, r, b, c, {values, n, m, stride}, values, sides, stop, value, gap);
    }

    bool finish(const TokenSets& a, std::size_t r, const TokenSets& b, std::size_t c, const Matrix& matrix, float* values, const RoughSides& sides,
                const Stop& stop, double& value, double& gap) {
        const Settled settled = settler_.settle(matrix, values, sides, stop);
        if (settled.stopped) return false;
        const bool square = matrix.square();
        // Centring moves every matched sum by the same (token_sets.hpp).
        const double centre = square ? dot(a.total(r), b.total(c), a.d) / static_cast<double>(matrix.rows) : 0.0;
        const double size = a.norm(r, square) * b.norm(c, square), whole = a.norm(r, false) * b.norm(c, false);
        const double slack = (kCareful + (square ? 2.02 * kRoundoff : 0.0)) * size + static_cast<double>(a.d + matrix.cols) * 0x1p-51 * whole;
        const double most = settled.bound - settled.value;
        const int power = a.exponent(r) + b.exponent(c);
        value = __builtin_ldexp(settled.value + centre, power);
        gap = __builtin_ldexp((most > 0.0 ? most : 0.0) + slack, power);
        return true;
    }

    // Turned tokens, kept for the next pair of the same set.
    struct Panel {
        const float* set = nullptr;
        Buffer<float> values;

        void hold(const float* tokens, std::size_t apart, std::size_t count, std::size_t d, std::size_t stride) {
            if (set == tokens) return;
            pack_panel(tokens, apart, count, d, stride, values.get(d * stride));
            set = tokens;
        }
    };

    Settler settler_;
    ByteGroup group_;
    Panel panel_;
    Buffer<float> group_matrices_[kGroup], values_, row_errors_, column_errors_;
};

}  // namespace setwise::SETWISE_NAMESPACE
