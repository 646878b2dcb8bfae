// A block's shared memory, and the asynchronous copies of a thread on their way to it.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace nnx::emulator {

// Aligned to kSharedAlignment, between redzones. AddressSanitizer watches those itself, where there is one.
class SharedMemory {
 public:
  void open(size_t bytes);    // for a launch
  void poison();              // for a block: NaN bytes
  std::string check() const;  // what was written outside; "" where nothing was
  void close();
  bool has(const void* at, size_t bytes) const;
  unsigned char* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  std::vector<unsigned char> space_;
  unsigned char* data_ = nullptr;
  size_t size_ = 0;
};

// They land when they are waited for; until then their destination is NaN bytes.
class Copies {
 public:
  void begin(void* to, const void* from, bool valid, size_t bytes);
  void commit() { ++group_; }
  void wait(int pending);  // until at most so many committed groups are on their way
  void reset();

 private:
  struct Copy {
    unsigned char bytes[16];
    void* to;
    size_t size;
    int group;
  };
  std::vector<Copy> copies_;  // oldest first
  int group_ = 0;             // of the copies to come
};

}  // namespace nnx::emulator
