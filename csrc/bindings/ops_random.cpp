// dropout and the random numbers of its generator
#include "bindings/arrays.h"
#include "bindings/init.h"
#include "core/philox.h"
#include "ops/dropout.h"

namespace nnx::bindings {
namespace {

DropoutKey read_key(const char* where, const IntegerArgument& seed, int64_t layer,
                    const IntegerArgument& step, double rate = 0.0) {
  return ops::dropout_key(where, read_unsigned(where, "seed", seed.object), layer,
                          read_unsigned(where, "step", step.object), rate);
}

ArrayResult dropout(const ArrayArgument& x, double rate, const IntegerArgument& seed, int64_t layer,
                    const IntegerArgument& step) {
  Call call("dropout");
  const Tensor tx = call.array("x", x);
  const DropoutKey key = read_key("dropout", seed, layer, step, rate);
  return call.result(without_gil([&] { return ops::dropout(tx, key); }));
}

ArrayResult spatial_dropout2d(const ArrayArgument& x, double rate, const IntegerArgument& seed, int64_t layer,
                              const IntegerArgument& step) {
  Call call("spatial_dropout2d");
  const Tensor tx = call.array("x", x);
  const DropoutKey key = read_key(call.where(), seed, layer, step, rate);
  return call.result(without_gil([&] { return ops::spatial_dropout2d(tx, key); }));
}

ArrayResult gaussian_noise(const ArrayArgument& x, double stddev, const IntegerArgument& seed, int64_t layer,
                           const IntegerArgument& step) {
  Call call("gaussian_noise");
  const Tensor tx = call.array("x", x);
  const DropoutKey key = read_key(call.where(), seed, layer, step);
  return call.result(without_gil([&] { return ops::gaussian_noise(tx, stddev, key); }));
}

py::array_t<uint8_t> dropout_mask(const ShapeArgument& shape, double rate, const IntegerArgument& seed,
                                  int64_t layer, const IntegerArgument& step) {
  const Shape extents = read_shape("dropout_mask", "shape", shape.object);
  const DropoutKey key = read_key("dropout_mask", seed, layer, step, rate);
  return to_numpy(without_gil([&] { return ops::dropout_mask(extents, key); }));
}

py::array random_uniform(const ShapeArgument& shape, double low, double high, const IntegerArgument& seed,
                         int64_t layer, const IntegerArgument& step, const DTypeArgument& dtype) {
  const char* where = "random_uniform";
  const Shape extents = read_shape(where, "shape", shape.object);
  const DropoutKey key = read_key(where, seed, layer, step);
  const DType type = read_dtype(where, dtype.object);
  return to_numpy(without_gil([&] { return ops::random_uniform(extents, low, high, key, type); }));
}

py::array random_normal(const ShapeArgument& shape, double mean, double deviation,
                        const IntegerArgument& seed, int64_t layer, const IntegerArgument& step,
                        const DTypeArgument& dtype) {
  const char* where = "random_normal";
  const Shape extents = read_shape(where, "shape", shape.object);
  const DropoutKey key = read_key(where, seed, layer, step);
  const DType type = read_dtype(where, dtype.object);
  return to_numpy(without_gil([&] { return ops::random_normal(extents, mean, deviation, key, type); }));
}

using Words = std::array<uint32_t, 4>;

std::tuple<uint32_t, uint32_t, uint32_t, uint32_t> philox(const Words& counter,
                                                          const std::array<uint32_t, 2>& key) {
  const PhiloxCounter out = philox4x32({{counter[0], counter[1], counter[2], counter[3]}}, key[0], key[1]);
  return {out.word[0], out.word[1], out.word[2], out.word[3]};
}

}  // namespace

void init_random(py::module_& m) {
  m.def("dropout", &dropout, py::arg("x"), py::arg("rate"), py::arg("seed"), py::arg("layer") = 0,
        py::arg("step") = 0,
        "x -> x / (1 - rate) where its mask is 1, else 0; the same call on dy is the gradient");
  m.def("spatial_dropout2d", &spatial_dropout2d, py::arg("x"), py::arg("rate"), py::arg("seed"),
        py::arg("layer") = 0, py::arg("step") = 0,
        "x (N, H, W, C) -> the same for whole channels, with a mask (N, C)");
  m.def("gaussian_noise", &gaussian_noise, py::arg("x"), py::arg("stddev"), py::arg("seed"),
        py::arg("layer") = 0, py::arg("step") = 0, "x -> x + stddev * normal numbers");
  m.def("dropout_mask", &dropout_mask, py::arg("shape"), py::arg("rate"), py::arg("seed"),
        py::arg("layer") = 0, py::arg("step") = 0,
        "The mask that dropout applies to an array of that shape: 1 = kept");
  m.def("random_uniform", &random_uniform, py::arg("shape"), py::arg("low"), py::arg("high"), py::arg("seed"),
        py::arg("layer") = 0, py::arg("step") = 0, py::arg("dtype") = "float32",
        "Uniform numbers in [low, high)");
  m.def("random_normal", &random_normal, py::arg("shape"), py::arg("mean"), py::arg("deviation"),
        py::arg("seed"), py::arg("layer") = 0, py::arg("step") = 0, py::arg("dtype") = "float32",
        "Normal numbers");
  m.def("philox4x32", &philox, py::arg("counter"), py::arg("key"),
        "Philox4x32-10: four words of counter and two of key -> four random words");
}

}  // namespace nnx::bindings
