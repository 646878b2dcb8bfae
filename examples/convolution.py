"""Convolution by example: a filter that finds connections, filters that find edges, and output sizes."""

import _picture
import nnx
import numpy as np

# The connector: a 2 x 2 filter that answers to a diagonal of bright points. 255^2 = 65025 for one, twice that for two.
image = np.array([[0, 0, 0, 0], [0, 0, 255, 0], [0, 255, 0, 0], [0, 0, 0, 0]], np.float32)
connector = np.array([[0, 255], [255, 0]], np.float32)
answer = nnx.ops.conv2d(image[None, :, :, None], connector[:, :, None, None])[0, :, :, 0]
print("image", image.astype(int), "filter", connector.astype(int), "answer", answer.astype(int), sep="\n")
assert answer[1, 1] == 130050
assert answer[0, 2] == answer[2, 0] == 65025

# Edges: bright below dark, bright right of dark (Sobel's filters), and every change (Laplace's).
images, labels = nnx.datasets.load_digits()
digit = images[0].astype(np.float32)
filters = {
    "horizontal edges": [[-1, -2, -1], [0, 0, 0], [1, 2, 1]],
    "vertical edges": [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]],
    "all edges": [[0, 1, 0], [1, -4, 1], [0, 1, 0]],
}
kernel = np.stack([np.array(f, np.float32) for f in filters.values()], axis=-1)[:, :, None, :]  # (3, 3, 1, 3)
edges = nnx.ops.conv2d(digit[None], kernel, padding="same")[0]
flat = nnx.ops.conv2d(np.full((1, 8, 8, 1), 9, np.float32), kernel)
print(f"a {labels[0]}: edges {edges.shape}; an even grey answers with {np.abs(flat).max():g}")
assert edges.shape == (8, 8, 3)
assert np.abs(flat).max() == 0

# Maxima over 2 x 2 windows keep what is strongest, at a quarter of the size.
pooled, index = nnx.ops.max_pool2d(edges[None])
print(
    f"max-pooling {edges.shape} -> {pooled.shape[1:]}; the first maximum stood at row {index.flat[0] // 8}, column {index.flat[0] % 8}"
)

print("output sizes of a 3 x 3 filter on 8 x 8 pixels:")
for options in ({}, {"padding": "same"}, {"strides": 2}, {"dilation": 2}, {"padding": 1, "strides": 2}):
    size = nnx.ops.conv2d(digit[None], kernel, **options).shape[1]
    reach = 1 + 2 * options.get("dilation", 1)
    pad = {"same": 2}.get(options.get("padding", 0), 2 * (options.get("padding") == 1))
    print(f"  {options or 'valid'!s:32} {size} x {size}")
    assert size == (8 + pad - reach) // options.get("strides", 1) + 1


def draw(*axes):
    axes[0].imshow(digit[..., 0], cmap="Greys")
    axes[0].set_title(f"A {labels[0]}", loc="left")
    for number, name in enumerate(filters):
        axes[number + 1].imshow(edges[..., number], cmap="RdBu_r", vmin=-60, vmax=60)
        axes[number + 1].set_title(name.capitalize(), loc="left")
    for ax in axes:
        ax.set_axis_off()


_picture.save("convolution.png", draw, panels=4, size=(2.4, 2.6))
