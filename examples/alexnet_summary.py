"""AlexNet layer by layer: shapes, parameters, floating-point operations, memory."""

import re

import nnx

model = nnx.models.alexnet()
model.compile(nnx.SGD(0.01, momentum=0.9), "cross_entropy")
text = model.summary(batch_size=1)

# The same by hand. A convolution of k x k has k * k * in * out weights and out biases, and multiplies and adds
# k * k * in times for each output; a dense layer has in * out weights.
convolutions = [  # k, in, out, output side
    (11, 3, 64, 55),
    (5, 64, 192, 27),
    (3, 192, 384, 13),
    (3, 384, 256, 13),
    (3, 256, 256, 13),
]
dense = [(256 * 6 * 6, 4096), (4096, 4096), (4096, 1000)]
in_convolutions = sum(k * k * i * o + o for k, i, o, _ in convolutions)
in_dense = sum(i * o + o for i, o in dense)
flops_convolutions = sum(2 * k * k * i * o * side * side for k, i, o, side in convolutions)
flops_dense = sum(2 * i * o for i, o in dense)

total = in_convolutions + in_dense
print(f"\nby hand: {in_convolutions:,} + {in_dense:,} = {total:,} parameters")
print(f"convolutions hold {in_convolutions / total:.1%} of the parameters ", end="")
print(f"and do {flops_convolutions / (flops_convolutions + flops_dense):.1%} of the work")
print(f"224 -> 55: (224 + 2 * 2 - 11) // 4 + 1 = {(224 + 2 * 2 - 11) // 4 + 1}")

assert total == 61_100_840
assert f"Parameters: {total:,}" in text
for _, _, filters, side in convolutions:
    assert f"(N, {side}, {side}, {filters})" in text
forward = float(re.search(r"forward ([\d.]+) G", text)[1]) * 1e9
assert 0.99 < forward / (flops_convolutions + flops_dense) < 1.02
assert f"parameters {4 * total / 1e6:,.0f} MB" in text
