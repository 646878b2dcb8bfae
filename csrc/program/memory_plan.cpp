#include "program/memory_plan.h"

#include <algorithm>
#include <vector>

#include "core/error.h"

namespace nnx::program {
namespace {

constexpr int64_t kAlignment = 64;

}  // namespace

int MemoryPlan::add(int64_t bytes) {
  Buffer buffer;
  buffer.bytes = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  buffers_.push_back(buffer);
  return static_cast<int>(buffers_.size()) - 1;
}

void MemoryPlan::touch(int buffer, int step) {
  Buffer& touched = buffers_[static_cast<size_t>(buffer)];
  if (touched.first < 0) touched.first = step;
  touched.last = std::max(touched.last, step);
}

void MemoryPlan::lay_out() {
  // Largest first, each at the lowest offset where nothing that lives at the same time is in the way.
  std::vector<Buffer*> order;
  for (Buffer& buffer : buffers_) {
    if (buffer.first >= 0) order.push_back(&buffer);
  }
  std::stable_sort(order.begin(), order.end(), [](Buffer* a, Buffer* b) { return a->bytes > b->bytes; });
  std::vector<Buffer*> placed;  // by offset
  for (Buffer* buffer : order) {
    int64_t offset = 0;
    for (const Buffer* other : placed) {
      const bool together = buffer->first <= other->last && other->first <= buffer->last;
      if (!together) continue;
      if (offset + buffer->bytes <= other->offset) break;
      offset = std::max(offset, other->offset + other->bytes);
    }
    buffer->offset = offset;
    int64_t end;
    if (__builtin_add_overflow(offset, buffer->bytes, &end)) {
      throw OutOfMemory(detail::concatenate("program: its arrays together would take ",
                                            static_cast<double>(offset) + static_cast<double>(buffer->bytes),
                                            " bytes, fewer than 2^63 are possible"));
    }
    bytes_ = std::max(bytes_, end);
    placed.insert(std::upper_bound(placed.begin(), placed.end(), buffer,
                                   [](Buffer* a, Buffer* b) { return a->offset < b->offset; }),
                  buffer);
  }
}

void MemoryPlan::allocate(DeviceId device) {
  arena_ = Tensor::empty({bytes_}, DType::uint8, device);
  for (Buffer& buffer : buffers_) {
    if (buffer.first >= 0) buffer.address = static_cast<char*>(arena_.raw()) + buffer.offset;
  }
}

}  // namespace nnx::program
