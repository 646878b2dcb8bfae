"""Names that people bring along: one table of what Keras, and where it is obvious PyTorch, call things.

`ARGUMENTS` holds arguments by the class that takes them, its subclasses included; `STRINGS` what may be given as
a string. Classes under two names stand where they are defined, in `nnx.layers.names` and the like. The page
docs/keras.md shows all of it, and tests/test_keras_names.py walks it.
"""

from __future__ import annotations

from nnx._config.rules import Ignored, Means, Only, Rule, Same, Setting

_NAME = Ignored()
_DTYPE = Only((None, "float32"), "the precision is the model's: compile(precision='float64')")
_NHWC = Only(
    (None, "channels_last"),
    "images are (N, H, W, C) here: leave it out, and turn images of (N, C, H, W) with x.transpose(0, 2, 3, 1)",
)
_NO_CONSTRAINT = Only((None,), "weights have no constraints here; a kernel_regularizer keeps them small")
_IMAGES: dict[str, Rule] = {"data_format": _NHWC}
_KERNEL: dict[str, Rule] = {
    "kernel_constraint": _NO_CONSTRAINT,
    "bias_constraint": _NO_CONSTRAINT,
    "bias": Same("use_bias"),
}
_CONVOLUTION: dict[str, Rule] = {
    **_IMAGES,
    **_KERNEL,
    "dilation_rate": Same("dilation"),
    "stride": Same("strides"),
}
_POOL: dict[str, Rule] = {**_IMAGES, "kernel_size": Same("pool_size"), "stride": Same("strides")}
_NORM: dict[str, Rule] = {
    "eps": Same("epsilon"),
    "beta_initializer": Only(("zeros",), "set the weight after build: layer.set_weights"),
    "gamma_initializer": Only(("ones",), "set the weight after build: layer.set_weights"),
    "beta_regularizer": Only((None,), "only kernels and biases are regularized here"),
    "gamma_regularizer": Only((None,), "only kernels and biases are regularized here"),
    "beta_constraint": _NO_CONSTRAINT,
    "gamma_constraint": _NO_CONSTRAINT,
}
_GLOBAL_POOL: dict[str, Rule] = {
    **_IMAGES,
    "keepdims": Only((False,), "put Reshape((1, 1, C)) behind it"),
}
_FIRST = Means("of a model's first layer: Sequential is then built at once, for samples of this shape")
_SEED = Ignored("it has no effect, what is drawn follows the model's seed: compile(seed=...)")
_BETAS: dict[str, Rule] = {
    "beta_1": Same("beta1"),
    "beta_2": Same("beta2"),
    "betas": Means("(beta1, beta2)"),
}
_STAIRS: dict[str, Rule] = {
    "initial_learning_rate": Same("initial"),
    "decay_steps": Means("time counts steps: per='step'"),
    "decay_rate": Means("with decay_steps, the rate as in Keras"),
    "staircase": Means("True: the rate changes every decay_steps steps"),
    "name": _NAME,
}

ARGUMENTS: dict[str, dict[str, Rule]] = {
    "Layer": {
        "input_shape": _FIRST,
        "batch_input_shape": _FIRST,
        "input_dim": _FIRST,
        "trainable": Setting(),
        "dtype": _DTYPE,
        "activity_regularizer": Only(
            (None,), "only weights are regularized here: use kernel_regularizer or bias_regularizer"
        ),
    },
    "Dense": _KERNEL,
    "Conv2D": _CONVOLUTION,
    "Conv2DTranspose": _CONVOLUTION,
    "DepthwiseConv2D": {
        **_CONVOLUTION,
        "depthwise_initializer": Same("kernel_initializer"),
        "depthwise_regularizer": Same("kernel_regularizer"),
        "depthwise_constraint": _NO_CONSTRAINT,
    },
    "SeparableConv2D": {
        **_CONVOLUTION,
        "depthwise_constraint": _NO_CONSTRAINT,
        "pointwise_constraint": _NO_CONSTRAINT,
    },
    "MaxPool2D": _POOL,
    "AvgPool2D": _POOL,
    "GlobalAvgPool2D": _GLOBAL_POOL,
    "GlobalMaxPool2D": _GLOBAL_POOL,
    "UpSampling2D": {**_IMAGES, "scale_factor": Same("size"), "mode": Same("interpolation")},
    "Flatten": _IMAGES,
    "Dropout": {
        "p": Same("rate"),
        "seed": _SEED,
        "noise_shape": Only((None,), "every element is dropped on its own here"),
    },
    "SpatialDropout2D": _IMAGES,
    "BatchNorm": {
        **_NORM,
        "axis": Only((-1, 3), "channels are the last axis here: leave it out"),
        "moving_mean_initializer": Only(("zeros",), "set the weight after build: layer.set_weights"),
        "moving_variance_initializer": Only(("ones",), "set the weight after build: layer.set_weights"),
        "synchronized": Only((False,), "there is one device here"),
    },
    "LayerNorm": {**_NORM, "rms_scaling": Only((False,), "that variant is not here")},
    "GroupNorm": {
        **_NORM,
        "axis": Only((-1, 3), "channels are the last axis here: leave it out"),
        "num_groups": Same("groups"),
    },
    "ReLU": {
        "max_value": Only((None,), "this one has no upper bound: use Activation('relu6') for one of 6"),
        "negative_slope": Only((0, 0.0), "use LeakyReLU(negative_slope)"),
        "threshold": Only((0, 0.0), "this one bends at 0"),
    },
    "LeakyReLU": {"alpha": Same("negative_slope")},
    "PReLU": {"alpha_constraint": _NO_CONSTRAINT},
    "ZeroPadding2D": _IMAGES,
    "Cropping2D": _IMAGES,
    "Lambda": {
        "output_shape": Only((None,), "the function itself says it: leave it out"),
        "mask": Only((None,), "there are no masks here"),
        "arguments": Only((None,), "put them into the function"),
    },
    "Softmax": {"axis": Only((-1,), "it goes along the last axis here")},
    "Loss": {
        "name": _NAME,
        "dtype": _DTYPE,
        "axis": Only((-1,), "classes are the last axis here"),
    },
    "Metric": {"name": Setting(), "dtype": _DTYPE},
    "Optimizer": {
        "lr": Same("learning_rate"),
        "decay": Means("learning_rate / (1 + decay * step)"),
        "clipnorm": Same("clip_norm"),  # Keras clips each weight's gradient by itself: see docs/keras.md
        "global_clipnorm": Same("clip_norm"),
        "clipvalue": Same("clip_value"),
        "use_ema": Means("True: ema=ema_momentum"),
        "ema_momentum": Means("beside use_ema=True: ema; 0.99 if left out"),
        "ema_overwrite_frequency": Only((None,), "averages stand beside the weights, see Optimizer"),
        "gradient_accumulation_steps": Only((None, 1), "use fit(accumulate=...)"),
        "loss_scale_factor": Only((None,), "nothing is computed in float16 here"),
        "name": _NAME,
    },
    "Adam": {
        **_BETAS,
        "eps": Same("epsilon"),
        "amsgrad": Only((False,), "that variant is not here"),
    },
    "Lion": _BETAS,
    "RMSprop": {"alpha": Same("rho"), "eps": Same("epsilon")},
    "Adagrad": {"eps": Same("epsilon")},
    "ExponentialDecay": _STAIRS,
    "InverseTimeDecay": _STAIRS,
    "CosineDecay": {
        "initial_learning_rate": Same("initial"),
        "decay_steps": Means("length, with per='step'"),
        "alpha": Means("final = alpha * initial"),
        "warmup_target": Only((None,), "put it into nnx.schedules.Warmup(schedule, steps)"),
        "warmup_steps": Only((0,), "put it into nnx.schedules.Warmup(schedule, steps)"),
        "name": _NAME,
    },
    "PiecewiseConstant": {"name": _NAME},
    "Uniform": {"minval": Same("low"), "maxval": Same("high")},
    "Normal": {"stddev": Same("std")},
}

# What may be given as a string, by what it is given for. Names of classes, "HeNormal", are taken without a line here.
STRINGS: dict[str, dict[str, str]] = {
    "activation": {"swish": "silu", "hard_swish": "hard_silu"},
    "initializer": {
        "random_normal": "normal",
        "random_uniform": "uniform",
        "zero": "zeros",
        "one": "ones",
        "xavier_uniform": "glorot_uniform",
        "xavier_normal": "glorot_normal",
        "kaiming_uniform": "he_uniform",
        "kaiming_normal": "he_normal",
    },
    "loss": {
        "mean_squared_error": "mse",
        "mean_absolute_error": "mae",
        "l1": "mae",
        "l1_loss": "mae",
        "mse_loss": "mse",
        "huber_loss": "huber",
        "binary_crossentropy": "bce",
        "binary_cross_entropy": "bce",
        "categorical_crossentropy": "cross_entropy",
        "categorical_cross_entropy": "cross_entropy",
    },
    "metric": {
        "root_mean_squared_error": "rmse",
        "acc": "accuracy",
        "categorical_accuracy": "accuracy",
        "sparse_categorical_accuracy": "accuracy",
        "top_k_categorical_accuracy": "top_k",
        "sparse_top_k_categorical_accuracy": "top_k",
        "mean_squared_error": "mse",
        "mean_absolute_error": "mae",
        "r2_score": "r2",
    },
    "mode": {"fan_in": "in", "fan_out": "out", "fan_avg": "average"},
    "distribution": {"truncated_normal": "normal", "untruncated_normal": "normal"},
    "optimizer": {},
    "reduction": {"sum_over_batch_size": "mean"},
    "regularizer": {"l1l2": "l1_l2"},
}

# Names whose arguments differ so much that there is only advice.
INSTEAD: dict[str, str] = {
    "Linear": "Dense(units)",
    "Conv2d": "Conv2D(filters, kernel_size), which takes the channels of (N, H, W, C) from its input",
    "BatchNorm1d": "BatchNorm()",
    "BatchNorm2d": "BatchNorm()",
    "ConvTranspose2d": "Conv2DTranspose(filters, kernel_size), which takes the channels of (N, H, W, C) from its input",
    "Upsample": "UpSampling2D(size)",
    "AdaptiveAvgPool2d": "GlobalAvgPool2D()",
    "AdaptiveMaxPool2d": "GlobalMaxPool2D()",
    "Module": "Model, or Layer",
    "CrossEntropyLoss": "losses.CategoricalCrossentropy(), or loss='cross_entropy'",
    "BCELoss": "losses.BinaryCrossentropy(from_logits=False), or loss='bce'",
    "BCEWithLogitsLoss": "losses.BinaryCrossentropy(from_logits=True), or loss='bce'",
    "MSELoss": "losses.MeanSquaredError(), or loss='mse'",
    "L1Loss": "losses.MeanAbsoluteError(), or loss='mae'",
    "InputLayer": "input_shape= of the first layer, or model.build(shape)",
    "load_model": "load(path)",
    "optim": "optimizers",
    "nn": "layers",
}
