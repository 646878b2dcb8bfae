#include "emulator/shared.h"

#include <cstdint>
#include <cstring>

#include "emulator/sanitizer.h"
#include "emulator/state.h"

namespace nnx::emulator {

constexpr size_t kRedzone = 256;
constexpr unsigned char kRedzoneByte = 0xa5;

void SharedMemory::open(size_t bytes) {
  if (space_.empty()) space_.resize(kMaxSharedBytes + 2 * kRedzone + kSharedAlignment);
  const auto at = reinterpret_cast<uintptr_t>(space_.data()) + kRedzone;
  data_ = reinterpret_cast<unsigned char*>((at + kSharedAlignment - 1) / kSharedAlignment * kSharedAlignment);
  size_ = bytes;
  std::memset(data_ - kRedzone, kRedzoneByte, kRedzone);
  std::memset(data_ + size_, kRedzoneByte, kRedzone);
  ASAN_POISON_MEMORY_REGION(data_ - kRedzone, kRedzone);
  ASAN_POISON_MEMORY_REGION(data_ + size_, kRedzone);
}

void SharedMemory::close() {
  ASAN_UNPOISON_MEMORY_REGION(data_ - kRedzone, kRedzone);
  ASAN_UNPOISON_MEMORY_REGION(data_ + size_, kRedzone);
}

void SharedMemory::poison() { std::memset(data_, 0xff, size_); }

std::string SharedMemory::check() const {
#ifndef NNX_ADDRESS_SANITIZER
  for (size_t i = 0; i < kRedzone; ++i) {
    const bool before = data_[-static_cast<ptrdiff_t>(i) - 1] != kRedzoneByte;
    if (!before && data_[size_ + i] == kRedzoneByte) continue;
    return "wrote " + std::to_string(i) + " bytes " + (before ? "before" : "past") + " its " +
           std::to_string(size_) + " bytes of shared memory";
  }
#endif
  return {};
}

bool SharedMemory::has(const void* at, size_t bytes) const {
  const auto* byte = static_cast<const unsigned char*>(at);
  return byte >= data_ && byte + bytes <= data_ + size_;
}

void Copies::begin(void* to, const void* from, bool valid, size_t bytes) {
  Copy copy{{}, to, bytes, group_};
  if (valid) std::memcpy(copy.bytes, from, bytes);
  std::memset(to, 0xff, bytes);
  copies_.push_back(copy);
}

void Copies::wait(int pending) {
  size_t n = 0;
  for (; n < copies_.size() && copies_[n].group < group_ - pending; ++n)
    std::memcpy(copies_[n].to, copies_[n].bytes, copies_[n].size);
  copies_.erase(copies_.begin(), copies_.begin() + static_cast<ptrdiff_t>(n));
}

void Copies::reset() {
  copies_.clear();
  group_ = 0;
}

}  // namespace nnx::emulator
