// Part of bindings.cpp: greedy matchings and Sinkhorn's (setwise_engine/matching/_approximate.py).
#pragma once

namespace {

void* kept_approximator(const setwise::Level& at) {
    thread_local KeptSolvers solvers;
    return kept(solvers, at, at.new_approximator, at.delete_approximator);
}

// The column of each row, -1 for none, one matrix after the other.
Numpy<std::int32_t> greedy(const std::vector<AnyMatrix>& matrices, std::size_t threads, const std::string& name) {
    const setwise::Level& at = level(name);
    const Places places(matrices);
    auto matched = std::make_unique<std::int32_t[]>(places.rows.back());
    std::vector<char> finite(matrices.size(), 1);
    {
        nb::gil_scoped_release release;
        parallel(threads, matrices.size(), [&](std::size_t b) {
            finite[b] = at.greedy(kept_approximator(at), places.views[b], matched.get() + places.rows[b]);
        });
    }
    require_finite(finite);
    return numpy(std::move(matched), {places.rows.back()});
}

// columns, or none when the plan is not rounded; row and column prices.
nb::tuple sinkhorn(const std::vector<AnyMatrix>& matrices, double regularisation, std::size_t iterations, bool round, std::size_t threads,
                   const std::string& name) {
    const setwise::Level& at = level(name);
    const Places places(matrices);
    const std::size_t rows = places.rows.back(), columns = places.columns.back(), matched_rows = round ? rows : 0;
    auto matched = std::make_unique<std::int32_t[]>(matched_rows);
    auto row_prices = std::make_unique<double[]>(rows), column_prices = std::make_unique<double[]>(columns);
    std::vector<char> finite(matrices.size(), 1);
    {
        nb::gil_scoped_release release;
        parallel(threads, matrices.size(), [&](std::size_t b) {
            finite[b] = at.sinkhorn(kept_approximator(at), places.views[b], regularisation, iterations,
                                    round ? matched.get() + places.rows[b] : nullptr, row_prices.get() + places.rows[b],
                                    column_prices.get() + places.columns[b]);
        });
    }
    require_finite(finite);
    return nb::make_tuple(numpy(std::move(matched), {matched_rows}), numpy(std::move(row_prices), {rows}),
                          numpy(std::move(column_prices), {columns}));
}

void bind_approximate(nb::module_& m) {
    m.def("greedy", &greedy, nb::arg("matrices").noconvert(), nb::arg("threads") = 1, nb::arg("level") = "",
          "Greedy matchings: the column of each row (-1: none), one matrix after the other.\n\n"
          "Raises ValueError when a matrix is not of a floating-point type or holds NaN or infinity.");
    m.def("sinkhorn", &sinkhorn, nb::arg("matrices").noconvert(), nb::arg("regularisation"), nb::arg("iterations"), nb::arg("round") = true,
          nb::arg("threads") = 1, nb::arg("level") = "",
          "Sinkhorn's plans rounded to matchings: columns (-1: none; empty unless `round`), row and column prices.\n\n"
          "Raises ValueError when a matrix is not of a floating-point type or holds NaN or infinity.");
}

}  // namespace
