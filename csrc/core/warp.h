// Random changes of images, described: their draws are made in core/image_map.h.
#pragma once

#include "core/context.h"

namespace nnx {

// Which words: those of the blocks numbered by a sample's row in the step.
struct RowKey {
  uint64_t seed = 0;
  uint32_t layer = 0;            // < 2^16
  Live<uint64_t> step;           // value, plus *step.at where that is given; < 2^48
  const int64_t* row = nullptr;  // where given, sample 0 is row *row of the step
};

enum class Motion : int32_t { none, translation, crop, center_crop, rotation };

// What lies outside the image: its mirror image (b a | a b c | c b), one number, its edge, or itself again.
enum class Fill : int32_t { reflect, constant, nearest, wrap };

struct Warp {
  bool flips_rows = false, flips_columns = false;  // up and down, left and right; before the motion
  RowKey flip;
  Motion motion = Motion::none;
  RowKey move;
  // Uniform in [low, high). Translation: of the height down, of the width to the right. Rotation: [0] alone,
  // in full turns, counterclockwise.
  double low[2] = {0.0, 0.0}, high[2] = {0.0, 0.0};
  Fill fill = Fill::reflect;
  double fill_value = 0.0;
  bool bilinear = true;
};

}  // namespace nnx
