// Part of bindings.cpp: sets of float32 tokens and their matched sums.
#pragma once

#include "sums.hpp"

namespace {

// Sets as the caller holds them (setwise_engine/matching/_token_sets.py), prepared; keeps their arrays alive.
class Sets {
  public:
    Sets(const Array<float, 2>& tokens, const Array<std::int64_t, 1>& offsets, const Array<double, 1>& squares, std::size_t threads,
         const nb::object& check, const std::string& name)
        : tokens_(tokens), offsets_(offsets), squares_(squares) {
        const std::size_t rows = squares.shape(0);
        require(threads > 0, "threads must be at least 1");
        require(offsets.shape(0) == rows + 1 && offsets.data()[0] == 0, "offsets must begin at 0 and be one longer than squares");
        for (std::size_t r = 0; r < rows; ++r) require(offsets.data()[r] <= offsets.data()[r + 1], "offsets must not fall: row " + std::to_string(r));
        require(static_cast<std::size_t>(offsets.data()[rows]) <= tokens.shape(0), "offsets lie beyond the tokens");
        check_dims(dims(), dims());
        for (std::size_t r = 0; r < rows; ++r) require(squares.data()[r] >= 0.0 && squares.data()[r] < 1e100, "squares must be finite");
        const setwise::Level& at = level(name);
        Patience patience(check);
        {
            nb::gil_scoped_release release;
            prepared_ = std::make_unique<setwise::PreparedSets>(at, tokens.data(), offsets.data(), squares.data(), rows, dims());
            setwise::prepare(*prepared_, threads, std::ref(patience));
        }
        patience.rethrow();
    }

    std::size_t dims() const { return tokens_.shape(1); }
    const setwise::PreparedSets& prepared() const { return *prepared_; }

  private:
    Array<float, 2> tokens_;
    Array<std::int64_t, 1> offsets_;
    Array<double, 1> squares_;
    std::unique_ptr<setwise::PreparedSets> prepared_;
};

nb::tuple matched_sums(const Sets& a, const Sets& b, std::size_t threads, const nb::object& check) {
    require(threads > 0, "threads must be at least 1");
    require(&a.prepared().level() == &b.prepared().level(), "both sides must be prepared at one level");
    const std::size_t n = a.prepared().rows(), m = b.prepared().rows();
    if (n > 0 && m > 0) check_dims(a.dims(), b.dims());
    auto values = std::make_unique<double[]>(n * m), gaps = std::make_unique<double[]>(n * m);
    Patience patience(check);
    {
        nb::gil_scoped_release release;
        setwise::matched_sums(a.prepared(), b.prepared(), &a == &b, threads, std::ref(patience), values.get(), gaps.get());
    }
    patience.rethrow();
    return nb::make_tuple(numpy(std::move(values), {n, m}), numpy(std::move(gaps), {n, m}));
}

void bind_sums(nb::module_& m) {
    nb::class_<Sets>(m, "Sets", "Sets of finite float32 tokens, prepared; keeps the arrays alive.")
        .def(nb::init<const Array<float, 2>&, const Array<std::int64_t, 1>&, const Array<double, 1>&, std::size_t, const nb::object&, const std::string&>(),
             nb::arg("tokens").noconvert(), nb::arg("offsets").noconvert(), nb::arg("squares").noconvert(), nb::arg("threads"), nb::arg("check"),
             nb::arg("level") = "");
    m.def("matched_sums", &matched_sums, nb::arg("a"), nb::arg("b"), nb::arg("threads"), nb::arg("check"),
          "Matched sums and gaps of all pairs, float64 (rows of a, rows of b) each; the same object twice: mirrored.\n\n"
          "Raises ValueError when d differs, and whatever `check` raises.");
}

}  // namespace
