// A number that threads wait on: they spin, then sleep in the kernel.
#pragma once

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <climits>
#include <cstdint>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace nnx::cpu {

inline constexpr int kCacheLine = 64;

inline void pause_briefly() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

class alignas(kCacheLine) WaitWord {
 public:
  uint32_t load() const { return word_.load(std::memory_order_acquire); }

  // Returns once the number is other than `value`, after at most `spins` looks and then asleep; the first
  // `naps` times for no more than 50 us. A CPU looks for threads that wait elsewhere each time it falls idle:
  // naps fetch a thread that lost its CPU and that others wait for. Says whether it slept.
  bool wait_while(uint32_t value, int spins, int naps = 0) {
    for (int spin = 0; spin < spins; ++spin) {
      if (load() != value) return false;
      pause_briefly();
    }
    const timespec nap{0, 50'000};
    sleepers_.fetch_add(1, std::memory_order_seq_cst);
    for (; word_.load(std::memory_order_seq_cst) == value; --naps) {
      syscall(SYS_futex, reinterpret_cast<uint32_t*>(&word_), FUTEX_WAIT_PRIVATE, value,
              naps > 0 ? &nap : nullptr, nullptr, 0);
    }
    sleepers_.fetch_sub(1, std::memory_order_relaxed);
    return true;
  }

  bool has_sleepers() const { return sleepers_.load(std::memory_order_relaxed) > 0; }

  void advance() {
    word_.fetch_add(1, std::memory_order_seq_cst);
    if (sleepers_.load(std::memory_order_seq_cst) > 0) {
      syscall(SYS_futex, reinterpret_cast<uint32_t*>(&word_), FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr,
              0);
    }
  }

 private:
  std::atomic<uint32_t> word_{0};
  std::atomic<uint32_t> sleepers_{0};
};

}  // namespace nnx::cpu
