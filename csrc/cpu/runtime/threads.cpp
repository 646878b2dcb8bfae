#include "cpu/runtime/threads.h"

#include <pthread.h>
#include <sched.h>

#include <atomic>
#include <cstdlib>
#include <mutex>
#include <new>
#include <thread>

#include "cpu/runtime/wait_word.h"

namespace nnx {
namespace {

// Looks at a word before sleeping: about 50 us between loops, less for the last chunk of one.
constexpr int kIdleSpins = 2500, kJoinSpins = 1000;

// Naps while others hold chunks: some 10 ms, longer than a system lets one process run beside another.
constexpr int kNaps = 100;

// Chunks a loop may have at once; share_chunks cuts longer ones.
constexpr int64_t kMaxChunks = 0xFFFF;

}  // namespace

// The loop going on. `claim_` holds its number (upper half) and the chunks nobody has taken yet, [low, high):
// the owner takes them from below and the helpers from above, so that over the loops of a program each keeps
// to its own part of the arrays. A helper that read a loop's fields too late finds that the claim has moved
// on, so helpers need not know when a region begins or ends.
class Team {
 public:
  // Loops to come are for helpers of ranks below `size`.
  void resize(int size) {
    if (size_.load(std::memory_order_relaxed) == size) return;
    size_.store(size, std::memory_order_relaxed);
    resized_.advance();
  }

  void run(int64_t chunks, void (*chunk)(const void*, int64_t), const void* body) {
    chunk_.store(chunk, std::memory_order_relaxed);
    body_.store(body, std::memory_order_relaxed);
    left_.store(chunks, std::memory_order_relaxed);
    if (published_.has_sleepers()) owner_cpu_.store(sched_getcpu(), std::memory_order_relaxed);
    ++number_;
    claim_.store(pack(number_, 0, static_cast<uint32_t>(chunks)), std::memory_order_release);
    published_.advance();
    int64_t done = 0;
    for (int64_t i; take(true, &i); ++done) chunk(body, i);
    if (left_.fetch_sub(done, std::memory_order_acq_rel) == done) return;
    // Helpers hold the last chunks.
    while (true) {
      const uint32_t seen = finished_.load();
      if (left_.load(std::memory_order_acquire) == 0) return;
      finished_.wait_while(seen, kJoinSpins, kNaps);
    }
  }

  // Takes chunks of loops for ever.
  [[noreturn]] void help(int rank) {
    while (true) {
      const uint32_t size_seen = resized_.load();
      if (rank >= size_.load(std::memory_order_relaxed)) {
        resized_.wait_while(size_seen, 0);
        continue;
      }
      const uint32_t seen = published_.load();
      int64_t i;
      while (take(false, &i)) {
        const auto chunk = chunk_.load(std::memory_order_relaxed);
        chunk(body_.load(std::memory_order_relaxed), i);
        if (left_.fetch_sub(1, std::memory_order_acq_rel) == 1) finished_.advance();
      }
      const bool going_on = left_.load(std::memory_order_relaxed) > 0;
      if (published_.wait_while(seen, kIdleSpins, going_on ? kNaps : 0)) make_way();
    }
  }

 private:
  static uint64_t pack(uint32_t number, uint32_t low, uint32_t high) {
    return static_cast<uint64_t>(number) << 32 | static_cast<uint64_t>(high) << 16 | low;
  }

  bool take(bool lowest, int64_t* i) {
    uint64_t claim = claim_.load(std::memory_order_acquire);
    while (true) {
      const auto number = static_cast<uint32_t>(claim >> 32);
      const uint32_t low = claim & 0xFFFF, high = claim >> 16 & 0xFFFF;
      if (low >= high) return false;
      const uint64_t next = lowest ? pack(number, low + 1, high) : pack(number, low, high - 1);
      // Whoever takes a chunk keeps the loop going on until it is done: its fields cannot change under it.
      if (claim_.compare_exchange_weak(claim, next, std::memory_order_acq_rel, std::memory_order_acquire)) {
        *i = lowest ? low : high - 1;
        return true;
      }
    }
  }

  // A helper that wakes on its owner's CPU stands in the way of the thread it should help: it goes to
  // another.
  void make_way() const {
    const int cpu = sched_getcpu();
    if (cpu < 0 || cpu != owner_cpu_.load(std::memory_order_relaxed)) return;
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
    if (CPU_COUNT(&allowed) < size_.load(std::memory_order_relaxed)) return;
    cpu_set_t others = allowed;
    CPU_CLR(cpu, &others);
    if (CPU_COUNT(&others) > 0 && sched_setaffinity(0, sizeof others, &others) == 0) {
      sched_setaffinity(0, sizeof allowed, &allowed);
    }
  }

  alignas(cpu::kCacheLine) std::atomic<uint64_t> claim_{0};
  alignas(cpu::kCacheLine) std::atomic<int64_t> left_{0};
  std::atomic<void (*)(const void*, int64_t)> chunk_{nullptr};
  std::atomic<const void*> body_{nullptr};
  std::atomic<int> owner_cpu_{-1}, size_{0};
  uint32_t number_ = 0;
  cpu::WaitWord published_, finished_, resized_;
};

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

// Threads that help. They never end: the process's exit takes them.
class Pool {
 public:
  void run(int threads, Context& context, const std::function<void(Context&)>& body) {
    for (; workers_ < threads - 1; ++workers_) {
      std::thread([this, rank = workers_ + 1] {
        const FlushDenormals flush;
        team_.help(rank);
      }).detach();
    }
    team_.resize(threads);
    context.size = threads;
    context.team = &team_;
    body(context);
  }

  std::mutex in_use;

 private:
  Team team_;
  int workers_ = 0;
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

void* thread_scratch() {
  static thread_local Scratch scratch;
  return scratch.data;
}

void share_chunks(Team& team, int64_t chunks, void (*chunk)(const void*, int64_t), const void* body) {
  if (chunks <= kMaxChunks) return team.run(chunks, chunk, body);
  // Longer loops run in runs of chunks.
  struct Runs {
    void (*chunk)(const void*, int64_t);
    const void* body;
    int64_t chunks, length;
  };
  const Runs runs{chunk, body, chunks, chunks / kMaxChunks + 1};
  team.run((chunks + runs.length - 1) / runs.length,
           [](const void* data, int64_t run) {
             const Runs& r = *static_cast<const Runs*>(data);
             for (int64_t i = run * r.length; i < r.chunks && i < (run + 1) * r.length; ++i)
               r.chunk(r.body, i);
           },
           &runs);
}

void run_region(int threads, void* workspace, const std::function<void(Context&)>& body) {
  const FlushDenormals flush;
  Context context;
  context.scratch = thread_scratch();
  context.workspace = workspace;
  if (threads > 1 && !inside_region) {
    Pool& the_pool = pool();
    const std::unique_lock<std::mutex> lock(the_pool.in_use, std::try_to_lock);
    if (lock.owns_lock()) {
      const InsideRegion mark;
      the_pool.run(threads, context, body);
      return;
    }
  }
  body(context);
}

}  // namespace cpu
}  // namespace nnx
