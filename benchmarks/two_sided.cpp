// The floor of the two-sided bound of docs/decisions/0084 beside the floor of a full int8 affinity; one thread.
//
//     g++ -std=c++17 -O3 -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni -mfma benchmarks/two_sided.cpp -o build/two_sided && build/two_sided
//
// Argument: how many images are gone through (8: all in cache; 2000: from memory). Needs AVX-512 with VNNI. Numbers are
// random: no time depends on them. Layout as in engine/kernel/gate.hpp: the query's tokens are lanes, in a panel of
// (d / 4, stride, 4) codes + 128; an image's rows are broadcast, four numbers at a time.
#include <immintrin.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

namespace {

constexpr int kTokens = 100, kStride = 112, kDims = 256, kRank = 16, kJoint = 2 * kRank;

struct Image {
    std::int8_t codes[kTokens * kDims], directions[kRank * kDims], weights[kTokens * kRank];
    std::int32_t sums[kTokens], direction_sums[kRank];
    float scales[kTokens], weight_scales[kTokens];
};

__m512i four(const std::int8_t* at) {
    std::int32_t value;
    std::memcpy(&value, at, 4);
    return _mm512_set1_epi32(value);
}

void ahead(const char*& next) {  // one line of the next image: spread over the loop, or memory stalls what follows
    _mm_prefetch(next, _MM_HINT_T1);
    next += 64;
}

#define EACH(i, count) _Pragma("GCC unroll 16") for (int i = 0; i < (count); ++i)
#define DOT(sum, panel, row) asm("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(panel), "v"(row))

// R rows of an image times V vectors of the panel, as floats, with each lane's largest number so far.
template <int V, int R>
void tile(const std::int8_t* rows, int d, const std::int32_t* sums, const float* row_scales, const std::uint8_t* panel, const float* scales,
          float* out, float* largest, const char* next) {
    __m512i acc[R][V];
    EACH(r, R) EACH(v, V) acc[r][v] = _mm512_set1_epi32(-128 * sums[r]);
    for (int k = 0; k < d; k += 4) {
        if (V == 4 && next != nullptr && (k & 8) == 0) ahead(next);
        __m512i q[V];
        EACH(v, V) q[v] = _mm512_load_si512(panel + k * kStride + v * 64);
        EACH(r, R) {
            const __m512i b = four(rows + r * d + k);
            EACH(v, V) DOT(acc[r][v], q[v], b);
        }
    }
    EACH(v, V) {
        __m512 top = _mm512_load_ps(largest + 16 * v);
        EACH(r, R) {
            const __m512 scale = _mm512_mul_ps(_mm512_load_ps(scales + 16 * v), _mm512_set1_ps(row_scales[r]));
            const __m512 value = _mm512_mul_ps(_mm512_cvtepi32_ps(acc[r][v]), scale);
            _mm512_store_ps(out + r * kStride + 16 * v, value);
            top = _mm512_max_ps(top, value);
        }
        _mm512_store_ps(largest + 16 * v, top);
    }
}

template <int V>
void strip(const std::int8_t* rows, int d, const std::int32_t* sums, const float* row_scales, const std::uint8_t* panel, const float* scales,
           float* out, float* largest, const char* next) {
    int j = 0;
    for (; j + 6 <= kTokens; j += 6)
        tile<V, 6>(rows + j * d, d, sums + j, row_scales + j, panel, scales, out + j * kStride, largest, next ? next + j * d : next);
    for (; j < kTokens; ++j) tile<V, 1>(rows + j * d, d, sums + j, row_scales + j, panel, scales, out + j * kStride, largest, nullptr);
}

__attribute__((noinline)) void affinity(const std::int8_t* rows, int d, const std::int32_t* sums, const float* row_scales,
                                        const std::uint8_t* panel, const float* scales, float* out, float* largest, const char* next) {
    std::fill(largest, largest + kStride, -3e38f);
    strip<4>(rows, d, sums, row_scales, panel, scales, out, largest, next);
    strip<3>(rows, d, sums, row_scales, panel + 256, scales + 64, out + 64, largest + 64, nullptr);
}

// The bound `halved`: half of each lane's largest as its price, then the least prices of the image's tokens.
__attribute__((noinline)) float halved(const float* matrix, const float* largest) {
    __m512 u[7];
    EACH(v, 7) u[v] = _mm512_mul_ps(_mm512_load_ps(largest + 16 * v), _mm512_set1_ps(0.5f));
    u[6] = _mm512_mask_mov_ps(_mm512_set1_ps(3e38f), 0xf, u[6]);
    float sum = 0;
    for (int j = 0; j < kTokens; ++j) {
        __m512 top = _mm512_sub_ps(_mm512_load_ps(matrix + j * kStride), u[0]);
        EACH(v, 7) top = _mm512_max_ps(top, _mm512_sub_ps(_mm512_load_ps(matrix + j * kStride + 16 * v), u[v]));
        sum += _mm512_reduce_max_ps(top);
    }
    for (int i = 0; i < kTokens; ++i) sum += 0.5f * largest[i];
    return sum;
}

// Panel rows 0..15: the rest of the query times the image's directions, as codes again; one scale a lane, known before.
template <int V>
__attribute__((noinline)) void directions(const Image& x, const std::uint8_t* rest, const float* scales, std::uint8_t* panel, const char* next) {
    for (int l = 0; l < kRank; l += 4) {
        __m512i acc[4][V];
        EACH(r, 4) EACH(v, V) acc[r][v] = _mm512_set1_epi32(-128 * x.direction_sums[l + r]);
        for (int k = 0; k < kDims; k += 4) {
            ahead(next);
            __m512i q[V];
            EACH(v, V) q[v] = _mm512_load_si512(rest + k * kStride + v * 64);
            EACH(r, 4) {
                const __m512i b = four(x.directions + (l + r) * kDims + k);
                EACH(v, V) DOT(acc[r][v], q[v], b);
            }
        }
        EACH(v, V) {
            __m512i code[4];
            EACH(r, 4) {
                const __m512 value = _mm512_mul_ps(_mm512_cvtepi32_ps(acc[r][v]), _mm512_load_ps(scales + 16 * v));
                code[r] = _mm512_slli_epi32(_mm512_add_epi32(_mm512_cvtps_epi32(value), _mm512_set1_epi32(128)), 8 * r);
            }
            _mm512_store_si512(panel + l * kStride + v * 64, (code[0] | code[1]) | (code[2] | code[3]));
        }
    }
}

// Rows [weights, tokens times the query's directions] as codes with one scale a row.
__attribute__((noinline)) void joint(const Image& x, const std::uint8_t* own, std::int8_t* rows, std::int32_t* sums, float* scales) {
    for (int j = 0; j < kTokens; j += 10) {
        __m512i acc[10];
        EACH(r, 10) acc[r] = _mm512_set1_epi32(-128 * x.sums[j + r]);
        for (int k = 0; k < kDims; k += 4) {
            const __m512i q = _mm512_load_si512(own + k * 16);
            EACH(r, 10) DOT(acc[r], q, four(x.codes + (j + r) * kDims + k));
        }
        EACH(r, 10) {
            const __m128i stored = _mm_loadu_si128(reinterpret_cast<const __m128i*>(x.weights + (j + r) * kRank));
            const __m512 w = _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(stored)), _mm512_set1_ps(x.weight_scales[j + r]));
            const __m512 t = _mm512_mul_ps(_mm512_cvtepi32_ps(acc[r]), _mm512_set1_ps(x.scales[j + r]));
            const float top = _mm512_reduce_max_ps(_mm512_max_ps(_mm512_abs_ps(t), _mm512_abs_ps(w)));
            const __m512 inverse = _mm512_set1_ps(top > 0 ? 127 / top : 0);
            const __m512i a = _mm512_cvtps_epi32(_mm512_mul_ps(w, inverse)), b = _mm512_cvtps_epi32(_mm512_mul_ps(t, inverse));
            auto* to = reinterpret_cast<__m128i*>(rows + (j + r) * kJoint);
            _mm_storeu_si128(to, _mm512_cvtsepi32_epi8(a));
            _mm_storeu_si128(to + 1, _mm512_cvtsepi32_epi8(b));
            sums[j + r] = _mm512_reduce_add_epi32(_mm512_add_epi32(a, b));
            scales[j + r] = top / 127;
        }
    }
}

double now() {
    timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) * 1e6 + static_cast<double>(t.tv_nsec) * 1e-3;
}

}  // namespace

int main(int argc, char** argv) {
    const int distinct = argc > 1 ? std::max(1, std::atoi(argv[1])) : 2000, images = std::max(distinct, 200);
    auto* x = static_cast<Image*>(std::aligned_alloc(64, (sizeof(Image) * static_cast<std::size_t>(images + 2) + 63) / 64 * 64));
    for (std::size_t i = 0; i < sizeof(Image) * static_cast<std::size_t>(images + 2); ++i) reinterpret_cast<char*>(x)[i] = static_cast<char>(std::rand());
    for (int i = 0; i < images; ++i) {
        std::fill(x[i].scales, x[i].scales + kTokens, 0.01f);
        std::fill(x[i].weight_scales, x[i].weight_scales + kTokens, 0.01f);
        std::fill(x[i].sums, x[i].sums + kTokens, 0);
        std::fill(x[i].direction_sums, x[i].direction_sums + kRank, 0);
    }
    alignas(64) static std::uint8_t panel[kDims * kStride], rest[kDims * kStride], own[kDims * 16], small[kJoint * kStride];
    alignas(64) static float matrix[kTokens * kStride], largest[kStride], scales[kStride], row_scales[kStride];
    alignas(64) static std::int8_t rows[kTokens * kJoint];
    alignas(64) static std::int32_t sums[kStride];
    for (auto* some : {panel, rest}) std::generate(some, some + kDims * kStride, std::rand);
    std::generate(own, own + kDims * 16, std::rand);
    std::fill(scales, scales + kStride, 1e-5f);
    volatile float sink = 0;
    double best[6];
    std::fill(best, best + 6, 1e9);
    const auto time = [&](int which, auto work) {
        const double start = now();
        for (int i = 0; i < images; ++i) work(x[i % distinct], reinterpret_cast<const char*>(x + i % distinct + 1));
        best[which] = std::min(best[which], (now() - start) / images);
    };
    for (int repeat = 0; repeat < 9; ++repeat) {
        const auto project = [&](const Image& image, const char* next) {
            directions<4>(image, rest, scales, small, next);
            directions<3>(image, rest + 256, scales + 64, small + 256, next + 256 * 64);
        };
        time(0, [&](const Image& image, const char* next) {
            affinity(image.codes, kDims, image.sums, image.scales, panel, scales, matrix, largest, next);
            sink = halved(matrix, largest);
        });
        time(1, [&](const Image& image, const char* next) {
            project(image, next);
            joint(image, own, rows, sums, row_scales);
            affinity(rows, kJoint, sums, row_scales, small, scales, matrix, largest, nullptr);
            sink = halved(matrix, largest);
        });
        time(2, project);
        time(3, [&](const Image& image, const char*) { joint(image, own, rows, sums, row_scales); });
        time(4, [&](const Image&, const char*) { affinity(rows, kJoint, sums, row_scales, small, scales, matrix, largest, nullptr); });
        time(5, [&](const Image&, const char*) { sink = halved(matrix, largest); });
    }
    const char* names[] = {"full affinity, halved", "two-sided 16 + 16, halved", "  rest of the query times the image's directions",
                           "  tokens times the query's directions", "  joint product of 32", "  halved"};
    std::printf("| %d images, us an image | |\n| --- | --: |\n", distinct);
    for (int i = 0; i < 6; ++i) std::printf("| %s | %.1f |\n", names[i], best[i]);
}
