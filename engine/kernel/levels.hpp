// The instruction levels that this build has, each a table of functions; level.cpp fills one table a level.
#pragma once

#include "types.hpp"

namespace setwise {

struct Level {
    const char* name;
    // out[i][j] = <q_i, x_j>, exact and rounded once; finite q (n, d), x (m, d), d <= kMaxDims. False: stopped.
    bool (*affinity)(const Half* q, std::size_t n, const Half* x, std::size_t m, std::size_t d, double* out, const Stop& stop);
    // out[i] = <x_i, x_i> likewise; x (count, d).
    void (*squares)(const Half* x, std::size_t count, std::size_t d, double* out);
    bool (*all_finite)(const Half* values, std::size_t count);

    // A query serves any number of threads, a weigher one.
    void* (*new_query)(const Half* tokens, std::size_t n, std::size_t d, double square, bool containment);
    void (*delete_query)(void* query);
    // Before candidates of another size than the query's are weighed; not while weighers are at work.
    void (*prepare_other_sizes)(void* query);
    void* (*new_weigher)(const void* query);
    void (*delete_weigher)(void* weigher);
    Outcome (*weigh)(void* weigher, const SetView& x, const Plan& plan, double least, const Stop& stop, Solution& solution);

    // The optimal assignment of a matrix. One thread a solver.
    void* (*new_solver)();
    void (*delete_solver)(void* solver);
    Solved (*assign)(void* solver, const MatrixView& matrix, const Stop& stop, Solution& solution, double& gap);

    // Cheaper matchings; false when an entry is not finite. One thread an approximator.
    void* (*new_approximator)();
    void (*delete_approximator)(void* approximator);
    bool (*greedy)(void* approximator, const MatrixView& matrix, std::int32_t* columns);
    // Sinkhorn's prices, feasible, and (unless columns is null) the plan rounded to a matching.
    bool (*sinkhorn)(void* approximator, const MatrixView& matrix, double regularisation, std::size_t iterations, std::int32_t* columns,
                     double* row_prices, double* column_prices);

    // Sets of finite float32 tokens, which stay the caller's; every row is prepared before any is matched.
    void* (*new_sets)(const float* tokens, const std::int64_t* offsets, const double* squares, std::size_t rows, std::size_t d);
    void (*delete_sets)(void* sets);
    void (*prepare_set)(void* sets, std::size_t row);
    // One thread a matcher. False: stopped.
    void* (*new_matcher)();
    void (*delete_matcher)(void* matcher);
    bool (*match)(void* matcher, const void* a, const void* b, const SumsTile& tile, const Stop& stop);
};

extern const Level kBaseline;
#ifdef SETWISE_X86
extern const Level kAvx2, kAvx512, kVnni;
#endif

}  // namespace setwise
