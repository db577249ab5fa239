// One instruction level: compiled once for each, with the flags for it and SETWISE_LEVEL (CMakeLists.txt).
#include "approximate.hpp"
#include "levels.hpp"
#include "matched_sums.hpp"
#include "query.hpp"
#include "solver.hpp"

#if SETWISE_LEVEL == 0
#define SETWISE_TABLE kBaseline
#elif SETWISE_LEVEL == 1
#define SETWISE_TABLE kAvx2
#elif SETWISE_LEVEL == 2
#define SETWISE_TABLE kAvx512
#else
#define SETWISE_TABLE kVnni
#endif
#define SETWISE_TEXT(name) #name
#define SETWISE_NAME(name) SETWISE_TEXT(name)

namespace setwise {
namespace here = SETWISE_NAMESPACE;

extern const Level SETWISE_TABLE;
const Level SETWISE_TABLE = {
    SETWISE_NAME(SETWISE_NAMESPACE),
    here::affinity,
    here::squares,
    [](const Half* values, std::size_t count) { return here::all_finite(values, count); },
    [](const Half* tokens, std::size_t n, std::size_t d, double square, bool containment) -> void* {
        return new here::Query(tokens, n, d, square, containment);
    },
    [](void* query) { delete static_cast<here::Query*>(query); },
    [](void* query) { static_cast<here::Query*>(query)->prepare_other_sizes(); },
    [](const void* query) -> void* { return new here::Weigher(*static_cast<const here::Query*>(query)); },
    [](void* weigher) { delete static_cast<here::Weigher*>(weigher); },
    [](void* weigher, const SetView& x, const Plan& plan, double least, const Stop& stop, Solution& solution) {
        return static_cast<here::Weigher*>(weigher)->weigh(x, plan, least, stop, solution);
    },
    []() -> void* { return new here::Solver; },
    [](void* solver) { delete static_cast<here::Solver*>(solver); },
    [](void* solver, const MatrixView& matrix, const Stop& stop, Solution& solution, double& gap) {
        return static_cast<here::Solver*>(solver)->assign(matrix, stop, solution, gap);
    },
    []() -> void* { return new here::Approximator; },
    [](void* approximator) { delete static_cast<here::Approximator*>(approximator); },
    [](void* approximator, const MatrixView& matrix, std::int32_t* columns) {
        return static_cast<here::Approximator*>(approximator)->greedy(matrix, columns);
    },
    [](void* approximator, const MatrixView& matrix, double regularisation, std::size_t iterations, std::int32_t* columns, double* u, double* v) {
        return static_cast<here::Approximator*>(approximator)->sinkhorn(matrix, regularisation, iterations, columns, u, v);
    },
    [](const float* tokens, const std::int64_t* offsets, const double* squares, std::size_t rows, std::size_t d) -> void* {
        return new here::TokenSets(tokens, offsets, squares, rows, d);
    },
    [](void* sets) { delete static_cast<here::TokenSets*>(sets); },
    [](void* sets, std::size_t row) { static_cast<here::TokenSets*>(sets)->prepare(row); },
    []() -> void* { return new here::Matcher; },
    [](void* matcher) { delete static_cast<here::Matcher*>(matcher); },
    [](void* matcher, const void* a, const void* b, const SumsTile& tile, const Stop& stop) {
        return static_cast<here::Matcher*>(matcher)->match(*static_cast<const here::TokenSets*>(a), *static_cast<const here::TokenSets*>(b), tile, stop);
    },
};

}  // namespace setwise
