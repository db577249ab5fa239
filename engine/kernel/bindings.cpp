// The kernel's Python face: checks what the core takes for granted and lets go of the GIL.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>

#include "machine.hpp"
#include "ranker.hpp"

namespace nb = nanobind;
using setwise::Half;

namespace {

// A type of its own, so that nanobind knows numpy.float16 by it.
struct Float16 {
    Half bits;
};

}  // namespace

namespace nanobind::detail {
template <>
struct dtype_traits<Float16> {
    static constexpr dlpack::dtype value{static_cast<std::uint8_t>(dlpack::dtype_code::Float), 16, 1};
    static constexpr auto name = const_name("float16");
};
}  // namespace nanobind::detail

namespace {

template <typename T, std::size_t Dims>
using Array = nb::ndarray<const T, nb::ndim<Dims>, nb::c_contig, nb::device::cpu>;
using Tokens = Array<Float16, 2>;
using AnyMatrix = nb::ndarray<nb::ro, nb::ndim<2>, nb::device::cpu>;
template <typename T>
using Numpy = nb::ndarray<nb::numpy, T>;

const Half* bits(const Tokens& tokens) { return reinterpret_cast<const Half*>(tokens.data()); }

void require(bool condition, const std::string& message) {
    if (!condition) throw std::invalid_argument(message);
}

const setwise::Level& level(const std::string& name) {
    const setwise::Level* found = setwise::level(name);
    require(found != nullptr, "this machine has no kernel level '" + name + "'");
    return *found;
}

template <typename T>
Numpy<T> numpy(std::unique_ptr<T[]> values, std::vector<std::size_t> shape) {
    T* data = values.get();
    nb::capsule owner(values.release(), [](void* p) noexcept { delete[] static_cast<T*>(p); });
    return Numpy<T>(data, shape.size(), shape.data(), owner);
}

template <typename T>
Numpy<T> numpy(const std::vector<T>& values) {
    auto copy = std::make_unique<T[]>(values.size());
    std::copy(values.begin(), values.end(), copy.get());
    return numpy(std::move(copy), {values.size()});
}

void check_dims(std::size_t d, std::size_t other) {
    require(other == d, "tokens of q have " + std::to_string(d) + " numbers, those of x " + std::to_string(other));
    require(d <= setwise::kMaxDims, "tokens have " + std::to_string(d) + " numbers, more than " + std::to_string(setwise::kMaxDims));
}

// Asks Python every few milliseconds whether anybody still waits; None: nobody is asked.
class Patience {
  public:
    explicit Patience(const nb::object& check) : check_(check), asks_(!check.is_none()) {}

    // On the thread that called. False: give up, which it stays.
    bool operator()() {
        if (!asks_ || raised_) return !raised_;
        const auto now = std::chrono::steady_clock::now();
        if (now - last_ < std::chrono::milliseconds(4)) return true;
        nb::gil_scoped_acquire acquire;
        try {
            check_();
        } catch (nb::python_error& error) {
            raised_ = std::make_unique<nb::python_error>(error);
            return false;
        }
        last_ = std::chrono::steady_clock::now();
        return true;
    }
    // With the GIL: throws what the check raised.
    void rethrow() {
        if (raised_) throw nb::python_error(*raised_);
    }

  private:
    const nb::object& check_;
    const bool asks_;
    std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
    std::unique_ptr<nb::python_error> raised_;
};

// Lets every thread of a call stop; the one that made it asks.
class Stopper {
  public:
    explicit Stopper(Patience& patience) : patience_(patience) {}
    setwise::Stop stop() { return {&Stopper::asked, this}; }
    bool operator()() {
        if (std::this_thread::get_id() == asker_ && !patience_()) given_up_ = true;
        return given_up_;
    }

  private:
    static bool asked(void* self) { return (*static_cast<Stopper*>(self))(); }
    Patience& patience_;
    const std::thread::id asker_ = std::this_thread::get_id();
    std::atomic<bool> given_up_{false};
};

Numpy<double> affinity(const Tokens& q, const Tokens& x, const std::string& name, const nb::object& check) {
    const setwise::Level& at = level(name);
    const std::size_t n = q.shape(0), m = x.shape(0), d = q.shape(1);
    check_dims(d, x.shape(1));
    std::unique_ptr<double[]> out(new double[n * m]);  // not zeroed: that alone takes long where it is large
    bool finite;
    Patience patience(check);
    {
        nb::gil_scoped_release release;
        Stopper stopper(patience);
        finite = at.all_finite(bits(q), n * d) && at.all_finite(bits(x), m * d);
        if (finite) at.affinity(bits(q), n, bits(x), m, d, out.get(), stopper.stop());
    }
    patience.rethrow();
    require(finite, "tokens hold NaN or infinity");
    return numpy(std::move(out), {n, m});
}

Numpy<double> squares(const Tokens& x, const std::string& name) {
    const setwise::Level& at = level(name);
    const std::size_t count = x.shape(0), d = x.shape(1);
    check_dims(d, d);
    require(at.all_finite(bits(x), count * d), "tokens hold NaN or infinity");
    auto out = std::make_unique<double[]>(count);
    at.squares(bits(x), count, d, out.get());
    return numpy(std::move(out), {count});
}

// Runs job(i) for i in [0, count) on `threads` threads. What one throws is thrown here.
template <typename Job>
void parallel(std::size_t threads, std::size_t count, const Job& job) {
    std::atomic<std::size_t> next{0};
    std::exception_ptr error;
    std::mutex guard;
    const auto work = [&] {
        try {
            for (std::size_t i; (i = next.fetch_add(1)) < count;) job(i);
        } catch (...) {
            next = count;
            const std::lock_guard<std::mutex> lock(guard);
            error = std::current_exception();
        }
    };
    std::vector<std::thread> others;
    for (std::size_t t = 1; t < std::min(threads, count); ++t) others.emplace_back(work);
    work();
    for (std::thread& one : others) one.join();
    if (error) std::rethrow_exception(error);
}

setwise::MatrixView view(const AnyMatrix& a) {
    const nb::dlpack::dtype type = a.dtype();
    const bool known = type.code == static_cast<std::uint8_t>(nb::dlpack::dtype_code::Float) && type.lanes == 1 &&
                       (type.bits == 16 || type.bits == 32 || type.bits == 64);
    require(known, "matrices must be float16, float32 or float64");
    require(a.shape(0) < (1u << 31) && a.shape(1) < (1u << 31), "a matrix has more than 2^31 rows or columns");
    return {a.data(), type.bits, a.shape(0), a.shape(1), a.stride(0), a.stride(1)};
}

using Solver = std::unique_ptr<void, void (*)(void*)>;
using KeptSolvers = std::vector<std::pair<const setwise::Level*, Solver>>;

// A solver that this thread keeps: its memory costs more to get than a small problem to solve.
void* kept(KeptSolvers& solvers, const setwise::Level& at, void* (*make)(), void (*remove)(void*)) {
    for (const auto& [level, solver] : solvers)
        if (level == &at) return solver.get();
    solvers.emplace_back(&at, Solver(make(), remove));
    return solvers.back().second.get();
}

void* kept_solver(const setwise::Level& at) {
    thread_local KeptSolvers solvers;
    return kept(solvers, at, at.new_solver, at.delete_solver);
}

// Where the rows and columns of matrices begin when all of them stand one after the other.
struct Places {
    explicit Places(const std::vector<AnyMatrix>& matrices) {
        for (const AnyMatrix& one : matrices) {
            views.push_back(view(one));
            rows.push_back(rows.back() + one.shape(0));
            columns.push_back(columns.back() + one.shape(1));
        }
    }
    std::vector<setwise::MatrixView> views;
    std::vector<std::size_t> rows{0}, columns{0};
};

void require_finite(const std::vector<char>& finite) {
    for (std::size_t b = 0; b < finite.size(); ++b) require(finite[b], "matrix " + std::to_string(b) + " holds NaN or infinity");
}

// values, gaps (b,); columns (sum n), row prices (sum n), column prices (sum m), one matrix after the other.
nb::tuple assign(const std::vector<AnyMatrix>& matrices, std::size_t threads, const std::string& name, const nb::object& check) {
    const setwise::Level& at = level(name);
    const std::size_t count = matrices.size();
    const Places places(matrices);
    const std::size_t rows = places.rows.back(), columns = places.columns.back();
    auto values = std::make_unique<double[]>(count), gaps = std::make_unique<double[]>(count);
    auto matched = std::make_unique<std::int32_t[]>(rows);
    auto row_prices = std::make_unique<double[]>(rows), column_prices = std::make_unique<double[]>(columns);
    std::vector<char> finite(count, 1);
    Patience patience(check);
    {
        nb::gil_scoped_release release;
        Stopper stopper(patience);
        parallel(threads, count, [&](std::size_t b) {
            if (stopper()) return;
            setwise::Solution solution;
            solution.columns = matched.get() + places.rows[b];
            solution.row_prices = row_prices.get() + places.rows[b];
            solution.column_prices = column_prices.get() + places.columns[b];
            finite[b] = at.assign(kept_solver(at), places.views[b], stopper.stop(), solution, gaps[b]) != setwise::Solved::not_finite;
            values[b] = solution.value;
        });
    }
    patience.rethrow();
    require_finite(finite);
    return nb::make_tuple(numpy(std::move(values), {count}), numpy(std::move(gaps), {count}), numpy(std::move(matched), {rows}),
                          numpy(std::move(row_prices), {rows}), numpy(std::move(column_prices), {columns}));
}

// A block of sets as the caller holds it (setwise_engine/matching/_blocks.py, Block); keeps its arrays alive.
class Block {
  public:
    Block(const Tokens& tokens, const Array<std::int64_t, 1>& offsets, const Array<double, 1>& squares)
        : tokens_(tokens), offsets_(offsets), squares_(squares) {
        require(offsets.shape(0) == squares.shape(0) + 1, "offsets must be one longer than squares");
        require(offsets.data()[0] == 0, "offsets must begin at 0");
        for (std::size_t r = 0; r < rows(); ++r)
            require(offsets.data()[r] <= offsets.data()[r + 1], "offsets must not fall: row " + std::to_string(r));
        require(static_cast<std::size_t>(offsets.data()[rows()]) <= tokens.shape(0), "offsets lie beyond the tokens");
    }

    void set_gate(const Array<std::int8_t, 2>& codes, const Array<float, 1>& scales, const Array<float, 1>& errors,
                  const Array<float, 1>& norms, const Array<std::int32_t, 1>& sums, const Array<float, 2>& means) {
        const std::size_t t = tokens_.shape(0);
        require(codes.shape(0) == t && codes.shape(1) == dims() && scales.shape(0) == t && errors.shape(0) == t && norms.shape(0) == t &&
                    sums.shape(0) == t && means.shape(0) == rows() && means.shape(1) == dims(),
                "the gate's arrays do not fit the tokens");
        codes_ = codes, scales_ = scales, errors_ = errors, norms_ = norms, sums_ = sums, means_ = means;
        gated_ = true;
    }

    setwise::SetView row(std::size_t r) const {
        require(r < rows(), "row " + std::to_string(r) + " lies beyond the block");
        const auto first = static_cast<std::size_t>(offsets_.data()[r]), last = static_cast<std::size_t>(offsets_.data()[r + 1]);
        setwise::SetView set;
        set.tokens = bits(tokens_) + first * dims();
        set.m = last - first;
        set.square = squares_.data()[r];
        if (gated_)
            set.gate = {codes_.data() + first * dims(), scales_.data() + first, errors_.data() + first,
                        norms_.data() + first,          sums_.data() + first,   means_.data() + r * dims()};
        return set;
    }
    std::size_t rows() const { return squares_.shape(0); }
    std::size_t dims() const { return tokens_.shape(1); }

  private:
    Tokens tokens_;
    Array<std::int64_t, 1> offsets_;
    Array<double, 1> squares_;
    Array<std::int8_t, 2> codes_;
    Array<float, 1> scales_, errors_, norms_;
    Array<std::int32_t, 1> sums_;
    Array<float, 2> means_;
    bool gated_ = false;
};

class Ranker {
  public:
    Ranker(const Tokens& query, double square, int reading, double sigma, std::size_t k, double least, std::size_t threads, bool prune,
           bool proofs, const std::string& name)
        : dims_(query.shape(1)) {
        require(reading >= 0 && reading <= 3, "the kernel is unknown");
        require(k > 0 && threads > 0, "k and threads must be at least 1");
        check_dims(dims_, dims_);
        const setwise::Level& at = level(name);
        require(at.all_finite(bits(query), query.shape(0) * dims_), "tokens hold NaN or infinity");
        setwise::Rule rule;
        rule.reading = static_cast<setwise::Reading>(reading);
        rule.q_square = square;
        rule.sigma = sigma;
        nb::gil_scoped_release release;
        ranker_ = std::make_unique<setwise::Ranker>(at, bits(query), query.shape(0), dims_, rule, k, least, threads, prune, proofs);
    }

    void add(const std::vector<const Block*>& blocks, const Array<std::int64_t, 1>& keys, const Array<std::int64_t, 1>& places,
             const nb::object& check) {
        require(keys.shape(0) == places.shape(0), "every key needs its block");
        std::vector<setwise::Candidate> candidates(keys.shape(0));
        for (std::size_t i = 0; i < candidates.size(); ++i) {
            const std::int64_t place = places.data()[i];
            require(place >= 0 && static_cast<std::size_t>(place) < blocks.size(), "a key names no block");
            const Block& block = *blocks[static_cast<std::size_t>(place)];
            check_dims(dims_, block.dims());
            candidates[i] = {keys.data()[i], block.row(static_cast<std::size_t>(keys.data()[i] & 0xffffffff))};
        }
        Patience patience(check);
        {
            nb::gil_scoped_release release;
            ranker_->add(candidates, std::ref(patience));
        }
        patience.rethrow();
        require(ranker_->damaged() == 0, "tokens hold NaN or infinity");
    }

    // Keys, matched sums; columns (f, n), row prices (f, n), and a list of column prices when proofs were asked for.
    nb::tuple result() {
        const std::vector<setwise::Finalist>& found = ranker_->found();
        std::vector<std::int64_t> keys;
        std::vector<double> sums, squares;
        nb::list columns, row_prices, column_prices;
        for (const setwise::Finalist& one : found) {
            keys.push_back(one.key);
            sums.push_back(one.matched_sum);
            squares.push_back(one.square);
            columns.append(numpy(one.columns));
            row_prices.append(numpy(one.row_prices));
            column_prices.append(numpy(one.column_prices));
        }
        const setwise::Counts counts = ranker_->counts();
        const std::vector<std::int64_t> stages(counts.stage, counts.stage + 5);
        return nb::make_tuple(numpy(keys), numpy(sums), numpy(squares), columns, row_prices, column_prices, stages, ranker_->highest_bound(),
                              numpy(ranker_->read()));
    }

  private:
    std::size_t dims_;
    std::unique_ptr<setwise::Ranker> ranker_;
};

}  // namespace

#include "bind_approximate.hpp"
#include "bind_sums.hpp"

NB_MODULE(_kernel, m) {
    m.doc() = "Native kernel of setwise_engine.matching.";
    m.def("levels", [] {
        std::vector<std::string> names;
        for (const setwise::Level* one : setwise::levels()) names.emplace_back(one->name);
        return names;
    }, "The instruction levels of this machine, the best last.");
    m.def("affinity", &affinity, nb::arg("q").noconvert(), nb::arg("x").noconvert(), nb::arg("level") = "",
          nb::arg("check") = nb::none(),
          "Exact inner products of two sets of float16 tokens, (n, d) and (m, d), rounded once: float64 (n, m).\n\n"
          "Raises ValueError when d differs, is more than 2**21, or a number is not finite, and whatever `check` raises.");
    m.def("squares", &squares, nb::arg("tokens").noconvert(), nb::arg("level") = "",
          "Exact squared norms of float16 tokens (n, d), each rounded once: float64 (n,).\n\n"
          "Raises ValueError when d is more than 2**21 or a number is not finite.");
    m.def("assign", &assign, nb::arg("matrices").noconvert(), nb::arg("threads") = 1, nb::arg("level") = "",
          nb::arg("check") = nb::none(),
          "Optimal assignments of matrices in any layout: values, gaps, columns (-1: none), row and column prices, the last\n"
          "three of all matrices one after the other.\n\n"
          "Raises ValueError when a matrix is not of a floating-point type or holds NaN or infinity, and whatever `check`\n"
          "raises.");
    nb::class_<Block>(m, "Block", "Sets that lie together in memory; keeps the arrays alive.")
        .def(nb::init<const Tokens&, const Array<std::int64_t, 1>&, const Array<double, 1>&>(), nb::arg("tokens").noconvert(),
             nb::arg("offsets").noconvert(), nb::arg("squares").noconvert())
        .def("set_gate", &Block::set_gate, nb::arg("codes").noconvert(), nb::arg("scales").noconvert(), nb::arg("errors").noconvert(),
             nb::arg("norms").noconvert(), nb::arg("sums").noconvert(), nb::arg("means").noconvert());
    nb::class_<Ranker>(m, "Ranker", "The k best of many candidates; see setwise_engine.matching.Ranker.")
        .def(nb::init<const Tokens&, double, int, double, std::size_t, double, std::size_t, bool, bool, const std::string&>(),
             nb::arg("query").noconvert(), nb::arg("square"), nb::arg("reading"), nb::arg("sigma"), nb::arg("k"), nb::arg("least"),
             nb::arg("threads"), nb::arg("prune"), nb::arg("proofs"), nb::arg("level") = "")
        .def("add", &Ranker::add, nb::arg("blocks"), nb::arg("keys").noconvert(), nb::arg("places").noconvert(), nb::arg("check"))
        .def("result", &Ranker::result);
    bind_sums(m);
    bind_approximate(m);
}
