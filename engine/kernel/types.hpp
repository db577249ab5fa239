// What the translation units of all instruction levels share: plain structs, nothing inline.
//
// Every other header is compiled once for each level, in a namespace of its own (simd.hpp). Here stands only what has
// the same layout everywhere and no code, so that the linker cannot mix a function for one machine into another.
#pragma once

#include <cstddef>
#include <cstdint>

namespace setwise {

using Half = std::uint16_t;  // the bits of an IEEE 754 binary16 number

constexpr std::size_t kMaxDims = std::size_t{1} << 21;  // longest token: exact sums of its digits stay below 2^63

// Asked now and then by long loops (watch.hpp); true: stop, nobody waits for the answer.
struct Stop {
    bool (*asked)(void*) = nullptr;
    void* context = nullptr;
};

// A set in int8, see setwise_engine/matching/gate.py: token j is scales[j] * codes[j] + mean, but for errors[j].
struct GateView {
    const std::int8_t* codes = nullptr;  // (m, d); null: no gate
    const float* scales = nullptr;       // (m)
    const float* errors = nullptr;       // (m), at least the Euclidean norm of the token's error
    const float* norms = nullptr;        // (m), at least the norm of the centred token
    const std::int32_t* sums = nullptr;  // (m), sum of the token's codes
    const float* mean = nullptr;         // (d)
    const std::int8_t* next = nullptr;   // codes of the candidate that will come next, to be fetched ahead; may be null
};

// A candidate, where it lies.
struct SetView {
    const Half* tokens = nullptr;  // (m, d)
    std::size_t m = 0;
    double square = 0.0;  // squared Frobenius norm
    GateView gate;
};

// A matrix to assign: entry (i, j) at values + i * row_stride + j * column_stride, in elements.
struct MatrixView {
    const void* values = nullptr;
    int bits = 64;  // 16, 32 or 64: the floating-point type
    std::size_t n = 0, m = 0;
    std::ptrdiff_t row_stride = 0, column_stride = 0;
};

// An optimal matching with its proof; the arrays belong to the caller.
struct Solution {
    double value = 0.0;             // the matched sum, rounded once
    std::int32_t* columns = nullptr;  // (n): the column of each row, -1 for none
    double* row_prices = nullptr;     // (n)
    double* column_prices = nullptr;  // (m)
};

enum class Solved { yes, not_finite, stopped };  // not finite: or beyond 1e300

enum class Stage { gate, gate_dual, bound, dual, solved, stopped, damaged };

// Which stages are worth their time; the caller learns it from what they rule out.
struct Plan {
    bool prune = true, gate = true, gate_dual = true;
};

struct Outcome {
    Stage stage = Stage::solved;  // where the candidate's way ended
    double bound = 0.0;           // no matching is worth more than this, unless it was solved
};

// Pairs whose matched sums are asked for, and the whole results' arrays, (rows of a, stride).
struct SumsTile {
    std::size_t first_row = 0, last_row = 0, first_column = 0, last_column = 0;
    bool mirrored = false;  // only pairs with row <= column
    double *values = nullptr, *gaps = nullptr;
    std::size_t stride = 0;
};

}  // namespace setwise
