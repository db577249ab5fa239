// Sets of float32 tokens made ready for matched sums: centred, and rounded to bytes with proven errors.
//
// For sets of equal size every token is matched, so centring both on their means moves the matched sum by a constant:
//     sum_i <q_i, x_p(i)> = <sum q, sum x> / n + sum_i <a_i, b_p(i)>,   a, b the centred tokens,
// but for <sum a, sum b> / n, what rounding leaves of the sums of the centred tokens. Centred tokens have smaller products,
// hence smaller errors. Bytes are of the tokens turned by signs and Hadamard transforms, which even out their numbers:
// inner products stay what they are.
#pragma once

#include "affinity.hpp"
#include "product.hpp"

namespace setwise::SETWISE_NAMESPACE {

constexpr bool kHasBytes = SETWISE_LEVEL >= 3;  // without VNNI, float32 is as fast as int8 would be (docs/decisions/0085)

// The same for all sets of one width d: in each round other signs and another order of the numbers, and Hadamard
// transforms of 16 numbers that lie 16 apart (of all neighbours where d is small).
class Turn {
  public:
    explicit Turn(std::size_t d) : d_(d) {
        while (block_ * 2 <= d && block_ < 256) block_ *= 2;
        if (block_ == 256) least_ = 16;
        std::uint32_t state = 0x9e3779b9u;
        const auto draw = [&state] {  // Marsaglia's xorshift
            state ^= state << 13, state ^= state >> 17, state ^= state << 5;
            return state;
        };
        float* signs = signs_.get(kRounds * d);
        for (std::size_t k = 0; k < kRounds * d; ++k) signs[k] = (draw() & 1u) != 0 ? 1.0f : -1.0f;
        std::uint32_t* order = order_.get(d);
        for (std::size_t k = 0; k < d; ++k) {
            const std::size_t other = draw() % (k + 1);
            order[k] = static_cast<std::uint32_t>(k);
            order[k] = order[other];
            order[other] = static_cast<std::uint32_t>(k);
        }
    }

    // Turns the d numbers in `x`; `rest` is as long. A round rounds every number at most 9 times, each time to 2^-24 of what
    // leaves the sum of all squares alone: within kError |x| in all.
    static constexpr std::size_t kRounds = 3;
    static constexpr double kError = 0x1p-18;
    void apply(float* x, float* rest) const {
        for (std::size_t t = 0; t < kRounds; ++t) {
            const float* signs = signs_.data() + t * d_;
            const std::uint32_t* order = order_.data();
            for (std::size_t k = 0; k < d_; ++k) rest[k] = x[order[k]] * signs[k];
            round(rest, t % 2 == 0 ? 0 : d_ % block_);  // what one round leaves out at the end, the next does not
            std::memcpy(x, rest, d_ * sizeof(float));
        }
    }

  private:
    void round(float* x, std::size_t first) const {
        const float scale = static_cast<float>(1.0 / __builtin_sqrt(static_cast<double>(block_ / least_)));
        for (std::size_t at = first; at + block_ <= d_; at += block_) {
            float* y = x + at;
            for (std::size_t half = least_; half < block_; half *= 2)
                for (std::size_t i = 0; i < block_; i += 2 * half)
                    for (std::size_t k = i; k < i + half; ++k) {
                        const float a = y[k], b = y[k + half];
                        y[k] = a + b, y[k + half] = a - b;
                    }
            for (std::size_t k = 0; k < block_; ++k) y[k] *= scale;
        }
    }

    std::size_t d_, block_ = 1, least_ = 1;
    Buffer<float> signs_;
    Buffer<std::uint32_t> order_;
};

// What the levels know of sets; tokens and offsets belong to the caller and stay.
class TokenSets {
  public:
    TokenSets(const float* tokens, const std::int64_t* offsets, const double* squares, std::size_t rows, std::size_t d)
        : d(d), wide(round_up(d, 4)), apart(((d + 15) / 16 | 1) * 16), rows_(rows), whole_(tokens), offsets_(offsets), turn_(d) {
        const std::size_t t = first(rows);
        exponents_.get(rows);
        bool far = false;
        for (std::size_t r = 0; r < rows; ++r) {
            int e = 0;
            if (squares[r] > 0.0) __builtin_frexp(__builtin_sqrt(squares[r]), &e);
            exponents_.data()[r] = e;
            far = far || e > kFar || e < -kFar;
        }
        if (far) whole_ = scaled_.get(t * d + kPad);
        for (std::size_t r = 0; r < rows && !far; ++r) exponents_.data()[r] = 0;
        if (far) std::memcpy(scaled_.data(), tokens, t * d * sizeof(float));
        centred_.get(t * apart + kPad);
        totals_.get(rows * d);
        Buffer<float>* const numbers[] = {&norms_, &whole_norms_, &byte_norms_, &errors_, &scales_};  // read in whole vectors
        for (Buffer<float>* one : numbers) std::memset(one->get(t + kPad), 0, (t + kPad) * sizeof(float));
        size_.get(rows), whole_size_.get(rows);
        if (!kHasBytes) return;
        codes_.get(t * wide);
        sums_.get(t);
    }

    // Once for every set; different ones by different threads.
    void prepare(std::size_t r) {
        const std::size_t begin = first(r), n = size(r);
        scale(r, begin, n);
        double* total = totals_.data() + r * d;
        for (std::size_t k = 0; k < d; ++k) total[k] = 0.0;
        for (std::size_t i = 0; i < n; ++i)
            for (std::size_t k = 0; k < d; ++k) total[k] += static_cast<double>(whole(begin + i)[k]);
        float* middle = centred_.data() + begin * apart;
        const double part = n > 0 ? 1.0 / static_cast<double>(n) : 0.0;
        for (std::size_t i = 0; i < n; ++i)
            for (std::size_t k = 0; k < d; ++k) middle[i * apart + k] = static_cast<float>(static_cast<double>(whole(begin + i)[k]) - total[k] * part);
        size_.data()[r] = whole_size_.data()[r] = 0.0;
        Buffer<float> turned, rest;
        turned.get(d), rest.get(wide);
        for (std::size_t i = begin; i < begin + n; ++i) {
            size_.data()[r] += measure(centred(i), norms_.data()[i]);
            whole_size_.data()[r] += measure(whole(i), whole_norms_.data()[i]);
            if (kHasBytes) fill_bytes(i, turned.data(), rest.data());
        }
        size_.data()[r] = __builtin_sqrt(size_.data()[r]) * kUp;
        whole_size_.data()[r] = __builtin_sqrt(whole_size_.data()[r]) * kUp;
    }

    std::size_t rows() const { return rows_; }
    std::size_t first(std::size_t r) const { return static_cast<std::size_t>(offsets_[r]); }
    std::size_t size(std::size_t r) const { return first(r + 1) - first(r); }
    int exponent(std::size_t r) const { return exponents_.data()[r]; }  // tokens count as multiples of 2^this
    const double* total(std::size_t r) const { return totals_.data() + r * d; }
    // Of token i, counted over all sets: itself or centred, and upper bounds of its norm.
    const float* whole(std::size_t i) const { return whole_ + i * d; }
    const float* centred(std::size_t i) const { return centred_.data() + i * apart; }
    const float* norms(bool square) const { return square ? norms_.data() : whole_norms_.data(); }
    const float* token(std::size_t i, bool square) const { return square ? centred(i) : whole(i); }
    std::size_t spacing(bool square) const { return square ? apart : d; }
    // Upper bounds of the set's norm and of its tokens' largest.
    double norm(std::size_t r, bool square) const { return square ? size_.data()[r] : whole_size_.data()[r]; }
    double largest(std::size_t r, bool square) const {
        float most = 0.0f;
        for (std::size_t i = first(r); i < first(r + 1); ++i) most = norms(square)[i] > most ? norms(square)[i] : most;
        return static_cast<double>(most);
    }
    // Of centred, turned tokens: scale * code is off by a vector of a norm of at most `error`, so that its own norm is at
    // most norm + error. wide numbers a token.
    const std::int8_t* codes(std::size_t i) const { return codes_.data() + i * wide; }
    const float* scales() const { return scales_.data(); }
    const float* errors() const { return errors_.data(); }
    const float* byte_norms() const { return byte_norms_.data(); }
    const std::int32_t* sums() const { return sums_.data(); }

    const std::size_t d, wide, apart;  // centred tokens are `apart`: an odd number of lines, to use all of a cache

  private:
    static constexpr double kUp = 1.0 + 1e-6;  // covers the rounding to float32 too
    static constexpr int kFar = 40;            // sets of norms beyond 2^40 or below 2^-40 are scaled

    void scale(std::size_t r, std::size_t begin, std::size_t n) {
        if (whole_ != scaled_.data()) return;
        const int e = -exponent(r);
        const float once = static_cast<float>(__builtin_ldexp(1.0, e / 2)), twice = static_cast<float>(__builtin_ldexp(1.0, e - e / 2));
        float* x = scaled_.data() + begin * d;
        for (std::size_t k = 0; k < n * d; ++k) x[k] = x[k] * once * twice;
    }

    double measure(const float* x, float& norm) const {
        const double square = dot(x, x, d);
        norm = static_cast<float>(__builtin_sqrt(square) * kUp);
        return square;
    }

    void fill_bytes(std::size_t i, float* turned, float* rest) {
        std::memcpy(turned, centred(i), d * sizeof(float));
        turn_.apply(turned, rest);
        float sizes[16] = {}, largest = 0.0f;  // side by side: one alone cannot be vectorised
        for (std::size_t k = 0; k < d; ++k) {
            const float size = __builtin_fabsf(turned[k]);
            sizes[k % 16] = size > sizes[k % 16] ? size : sizes[k % 16];
        }
        for (const float size : sizes) largest = size > largest ? size : largest;
        const float scale = scales_.data()[i] = largest / 127.0f, inverse = scale > 0x1p-120f ? 1.0f / scale : 0.0f;
        std::int8_t* codes = codes_.data() + i * wide;
        std::int32_t sum = 0;
        for (std::size_t k = 0; k < d; ++k) {
            const float code = __builtin_rintf(turned[k] * inverse);
            codes[k] = static_cast<std::int8_t>(code);
            rest[k] = turned[k] - code * scale;
            sum += codes[k];
        }
        for (std::size_t k = d; k < wide; ++k) codes[k] = 0;
        sums_.data()[i] = sum;
        // What rounding adds: that of `rest` itself, and of products of the bytes when they are scaled in float32.
        const double norm = static_cast<double>(norms_.data()[i]), error = __builtin_sqrt(dot(rest, rest, d)) + (Turn::kError + 0x1p-21) * norm;
        errors_.data()[i] = static_cast<float>(error * kUp);
        byte_norms_.data()[i] = static_cast<float>((norm + error) * kUp);
    }

    std::size_t rows_;
    const float* whole_;
    const std::int64_t* offsets_;
    Turn turn_;
    Buffer<int> exponents_;
    Buffer<float> scaled_, centred_, norms_, whole_norms_, byte_norms_, errors_, scales_;
    Buffer<double> totals_, size_, whole_size_;
    Buffer<std::int8_t> codes_;
    Buffer<std::int32_t> sums_;
};

}  // namespace setwise::SETWISE_NAMESPACE
