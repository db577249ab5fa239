// The kernel's Python face: checks what the core takes for granted and lets go of the GIL.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <memory>
#include <stdexcept>
#include <string>

#include "affinity.hpp"

namespace nb = nanobind;

namespace {

// A type of its own, so that nanobind knows numpy.float16 by it.
struct Float16 {
    setwise::Half bits;
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

using Tokens = nb::ndarray<const Float16, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Matrix = nb::ndarray<nb::numpy, double, nb::ndim<2>>;

const setwise::Half* bits(const Tokens& tokens) { return reinterpret_cast<const setwise::Half*>(tokens.data()); }

void require(bool condition, const std::string& message) {
    if (!condition) throw std::invalid_argument(message);
}

Matrix affinity(const Tokens& q, const Tokens& x) {
    const std::size_t n = q.shape(0), m = x.shape(0), d = q.shape(1);
    require(x.shape(1) == d, "tokens of q have " + std::to_string(d) + " numbers, those of x " + std::to_string(x.shape(1)));
    require(d <= setwise::kMaxDims, "tokens have " + std::to_string(d) + " numbers, more than " + std::to_string(setwise::kMaxDims));
    auto out = std::make_unique<double[]>(n * m);
    bool finite;
    {
        nb::gil_scoped_release release;
        finite = setwise::all_finite(bits(q), n * d) && setwise::all_finite(bits(x), m * d);
        if (finite) setwise::affinity(bits(q), n, bits(x), m, d, out.get());
    }
    require(finite, "tokens hold NaN or infinity");
    double* data = out.get();
    nb::capsule owner(out.release(), [](void* p) noexcept { delete[] static_cast<double*>(p); });
    return Matrix(data, {n, m}, owner);
}

}  // namespace

NB_MODULE(_kernel, m) {
    m.doc() = "Native kernel of setwise_engine.matching.";
    m.def("affinity", &affinity, nb::arg("q").noconvert(), nb::arg("x").noconvert(),
          "Exact inner products of two sets of float16 tokens, (n, d) and (m, d), rounded once: float64 (n, m).\n\n"
          "Raises ValueError when d differs, is more than 2**21, or a number is not finite.");
}
