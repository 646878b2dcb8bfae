#include "cpu/runtime/threads.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <climits>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <new>
#include <thread>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace nnx {
namespace {

constexpr int kCacheLine = 64;

// About 30 us on the machines measured: long enough for the phases of a step, short enough not to burn a core
// that another process could use.
constexpr int kSpins = 1500;

inline void pause_briefly() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

struct alignas(kCacheLine) Counter {
  std::atomic<int64_t> taken{0};
};

// A word threads wait on: they spin, then sleep in the kernel.
class alignas(kCacheLine) WaitWord {
 public:
  uint32_t load() const { return word_.load(std::memory_order_acquire); }

  void wait_while(uint32_t value) {
    for (int spin = 0; spin < kSpins; ++spin) {
      if (load() != value) return;
      pause_briefly();
    }
    sleepers_.fetch_add(1, std::memory_order_seq_cst);
    while (word_.load(std::memory_order_seq_cst) == value) {
      syscall(SYS_futex, reinterpret_cast<uint32_t*>(&word_), FUTEX_WAIT_PRIVATE, value, nullptr, nullptr, 0);
    }
    sleepers_.fetch_sub(1, std::memory_order_relaxed);
  }

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

}  // namespace

class Team {
 public:
  // Between regions only.
  void resize(int size) { size_ = size; }

  // Each rank starts on its own run of the chunks, for its cache's sake, and then helps the others out.
  bool next(const Context& context, int64_t chunks, int64_t* chunk) {
    Counter* counters = counters_[context.phase & 1];
    for (int step = 0; step < size_; ++step) {
      const int victim = context.rank + step < size_ ? context.rank + step : context.rank + step - size_;
      const int64_t begin = chunks * victim / size_, end = chunks * (victim + 1) / size_;
      if (counters[victim].taken.load(std::memory_order_relaxed) >= end - begin) continue;
      const int64_t i = begin + counters[victim].taken.fetch_add(1, std::memory_order_relaxed);
      if (i < end) {
        *chunk = i;
        return true;
      }
    }
    return false;
  }

  void barrier(Context& context) {
    const uint32_t generation = generation_.load();
    if (arrived_.taken.fetch_add(1, std::memory_order_acq_rel) + 1 == size_) {
      // The other parity is in use from here on; this one is next used a phase later.
      for (int rank = 0; rank < size_; ++rank) {
        counters_[context.phase & 1][rank].taken.store(0, std::memory_order_relaxed);
      }
      arrived_.taken.store(0, std::memory_order_relaxed);
      generation_.advance();
    } else {
      generation_.wait_while(generation);
    }
    ++context.phase;
  }

  double* partials() { return partials_; }

 private:
  int size_ = 1;
  Counter arrived_;
  WaitWord generation_;
  Counter counters_[2][cpu::kMaxThreads];
  alignas(kCacheLine) double partials_[kPartials];
};

bool team_next(Context& context, int64_t chunks, int64_t* chunk) {
  return context.team->next(context, chunks, chunk);
}

void team_barrier(Context& context) { context.team->barrier(context); }

namespace cpu {
namespace {

// Denormals cost tens of times more than other numbers on some processors; the pool flushes them to zero.
class FlushDenormals {
 public:
#if defined(__x86_64__)
  FlushDenormals() : saved_(_mm_getcsr()) { _mm_setcsr(saved_ | 0x8040); }
  ~FlushDenormals() { _mm_setcsr(saved_); }

 private:
  unsigned saved_;
#elif defined(__aarch64__)
  FlushDenormals() {
    asm volatile("mrs %0, fpcr" : "=r"(saved_));
    asm volatile("msr fpcr, %0" ::"r"(saved_ | (uint64_t{1} << 24)));
  }
  ~FlushDenormals() { asm volatile("msr fpcr, %0" ::"r"(saved_)); }

 private:
  uint64_t saved_;
#endif
};

// Memory a thread keeps for the kernels it runs.
struct Scratch {
  void* data = std::aligned_alloc(4096, kScratchBytes);
  Scratch() {
    if (data == nullptr) throw std::bad_alloc();
  }
  ~Scratch() { std::free(data); }
};

void* thread_scratch() {
  static thread_local Scratch scratch;
  return scratch.data;
}

// Threads that wait for regions. Workers never end: the process's exit takes them.
class Pool {
 public:
  void run(int threads, void* workspace, const std::function<void(Context&)>& body) {
    ensure(threads);
    team_.resize(threads);
    threads_ = threads;
    workspace_ = workspace;
    body_ = &body;
    running_.store(threads - 1, std::memory_order_relaxed);
    for (int rank = 1; rank < threads; ++rank) start_[rank].advance();
    Context context;
    fill(context);
    try {
      body(context);
    } catch (...) {
      join();
      throw;
    }
    join();
  }

  std::mutex in_use;

 private:
  // Grows to `threads` - 1 workers.
  void ensure(int threads) {
    while (workers_ < threads - 1) {
      const int rank = workers_ + 1;
      std::thread([this, rank] { work(rank); }).detach();
      workers_ = rank;
    }
  }

  void fill(Context& context) {
    context.size = threads_;
    context.team = &team_;
    context.partials = team_.partials();
    context.scratch = thread_scratch();
    context.workspace = workspace_;
  }

  void work(int rank) {
    for (uint32_t seen = 0;; ++seen) {
      // Only a region's own workers are woken, and each region joins them: none can be missed.
      start_[rank].wait_while(seen);
      FlushDenormals flush;
      Context context;
      context.rank = rank;
      fill(context);
      (*body_)(context);
      if (running_.fetch_sub(1, std::memory_order_acq_rel) == 1) done_.advance();
    }
  }

  void join() {
    while (true) {
      const uint32_t seen = done_.load();
      if (running_.load(std::memory_order_acquire) == 0) return;
      done_.wait_while(seen);
    }
  }

  Team team_;
  int workers_ = 0;
  int threads_ = 1;
  void* workspace_ = nullptr;
  const std::function<void(Context&)>* body_ = nullptr;
  WaitWord start_[kMaxThreads];
  WaitWord done_;
  alignas(kCacheLine) std::atomic<int> running_{0};
};

std::atomic<Pool*> current_pool{nullptr};
std::atomic<int> thread_count{0};
thread_local bool inside_region = false;

// A forked child has none of its parent's workers: it starts over with a pool of its own.
void forget_pool() { current_pool.store(nullptr); }

Pool& pool() {
  Pool* existing = current_pool.load(std::memory_order_acquire);
  if (existing != nullptr) return *existing;
  static const int registered = pthread_atfork(nullptr, nullptr, forget_pool);
  (void)registered;
  Pool* fresh = new Pool;
  if (!current_pool.compare_exchange_strong(existing, fresh)) {
    delete fresh;
    return *existing;
  }
  return *fresh;
}

void run_alone(void* workspace, const std::function<void(Context&)>& body) {
  double partials[kPartials];
  Context context;
  context.partials = partials;
  context.scratch = thread_scratch();
  context.workspace = workspace;
  body(context);
}

struct InsideRegion {
  InsideRegion() { inside_region = true; }
  ~InsideRegion() { inside_region = false; }
};

}  // namespace

int num_threads() {
  int count = thread_count.load(std::memory_order_relaxed);
  if (count == 0) {
    count = default_num_threads();
    thread_count.store(count, std::memory_order_relaxed);
  }
  return count;
}

void set_num_threads(int count) {
  thread_count.store(count < kMaxThreads ? count : kMaxThreads, std::memory_order_relaxed);
}

void run_region(int threads, void* workspace, const std::function<void(Context&)>& body) {
  FlushDenormals flush;
  if (inside_region) {
    run_alone(workspace, body);
    return;
  }
  InsideRegion mark;
  if (threads > 1) {
    Pool& the_pool = pool();
    std::unique_lock<std::mutex> lock(the_pool.in_use, std::try_to_lock);
    if (lock.owns_lock()) {
      the_pool.run(threads, workspace, body);
      return;
    }
  }
  run_alone(workspace, body);
}

}  // namespace cpu
}  // namespace nnx
