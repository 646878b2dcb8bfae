// Runs the blocks of a launch one after another, and the threads of a block as fibers.
//
// A thread starts on the stack of the one that ended before it, so a kernel without barriers needs one stack
// and two switches a block; a thread that waits keeps its stack, and the next one gets another.
#include "emulator/machine.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <vector>

#include "emulator/emulator.h"
#include "emulator/fiber.h"
#include "emulator/shared.h"
#include "emulator/state.h"

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace nnx::emulator {
namespace {

constexpr int kMaxThreads = 1024;
struct Thread {
  Fiber* fiber = nullptr;  // null until it starts
  bool done = false;
  uint3 index{};
  Kind kind{};  // the rest of the first part: what it waits for
  Site site{};
  void* argument = nullptr;
  void (*complete)(void* const*) = nullptr;
  Copies copies;
};

struct Warp {
  uint32_t lanes;     // that there are
  uint32_t runnable;  // that could run
  int waiting;        // at a collective
};

struct Machine {
  std::mutex mutex;
  Fiber main;
  std::vector<std::unique_ptr<Fiber>> fibers;
  std::vector<Fiber*> free;
  Thread threads[kMaxThreads];
  Warp warps[kMaxThreads / 32];
  int count = 0, warp_count = 0;            // of the block
  int runnable = 0, waiting = 0, done = 0;  // threads; waiting: at the block's barrier
  int current = -1;                         // the thread that runs
  const Launch* launch = nullptr;
  const std::function<void()>* body = nullptr;
  std::string error;
  SharedMemory shared;
  Schedule schedule = Schedule::forward;
  uint64_t random = 0;
};
Machine& machine = *new Machine;  // never destroyed: launches may come at exit

uint64_t draw() { return next_random(machine.random); }

std::string text(uint3 v) {
  return "(" + std::to_string(v.x) + ", " + std::to_string(v.y) + ", " + std::to_string(v.z) + ")";
}
std::string place(Kind kind, Site site) {
  static const char* const names[] = {"sync_block", "sync_warp",     "a shuffle",
                                      "ballot",     "load_matrices", "an mma"};
  return std::string(names[static_cast<int>(kind)]) + " (" + site.file + ":" + std::to_string(site.line) +
         ")";
}
std::string headline() { return std::string("kernel ") + machine.launch->name + ", block " + text(blockIdx); }
bool same_place(const Thread& a, const Thread& b) {
  return a.kind == b.kind && a.complete == b.complete && a.site.line == b.site.line &&
         (a.site.file == b.site.file || std::strcmp(a.site.file, b.site.file) == 0);
}

// Takes the thread that is next after `after` (-1: at the block's beginning) from the runnable ones; -1 where
// there is none. Forward and reverse run a warp as far as it comes before they go to another.
int take_next(int after) {
  if (machine.runnable == 0) return -1;
  const int warps = machine.warp_count;
  int warp = 0, lane = 0;
  if (machine.schedule == Schedule::random) {
    const uint64_t bits = draw();
    warp = static_cast<int>((bits >> 32) % static_cast<unsigned>(warps));
    while (machine.warps[warp].runnable == 0) warp = (warp + 1) % warps;
    const uint32_t lanes = machine.warps[warp].runnable, turn = bits & 31;
    lane = static_cast<int>((__builtin_ctz(lanes >> turn | lanes << (-turn & 31)) + turn) & 31);
  } else {
    const bool forward = machine.schedule == Schedule::forward;
    warp = after >= 0 ? after / 32 : forward ? 0 : warps - 1;
    uint32_t lanes = machine.warps[warp].runnable;
    if (after >= 0) {
      const uint32_t bit = 1u << (after % 32);
      const uint32_t later = lanes & (forward ? ~(bit | (bit - 1)) : bit - 1);
      if (later != 0) lanes = later;
    }
    while (lanes == 0) lanes = machine.warps[warp = (warp + (forward ? 1 : warps - 1)) % warps].runnable;
    lane = forward ? __builtin_ctz(lanes) : 31 - __builtin_clz(lanes);
  }
  machine.warps[warp].runnable &= ~(1u << lane);
  --machine.runnable;
  return warp * 32 + lane;
}

struct Failure {};  // a thread's way out of its kernel

void worker();

Fiber* take_fiber() {
  if (machine.free.empty()) {
    auto fiber = std::make_unique<Fiber>();
    const auto color = static_cast<unsigned>(machine.fibers.size());
    if (!make_fiber(*fiber, worker, color)) {
      std::fputs("emulator: no memory for the stack of a thread\n", stderr);
      std::abort();
    }
    machine.free.push_back(fiber.get());
    machine.fibers.push_back(std::move(fiber));
  }
  Fiber* fiber = machine.free.back();
  machine.free.pop_back();
  return fiber;
}

void set_current(int id) {
  machine.current = id;
  threadIdx = machine.threads[id].index;
}

// Leaves `from` for thread `next`, or for the launch where nobody can run.
void go(Fiber& from, int next) {
  ++totals.switches;
  if (next < 0) return switch_fiber(from, machine.main);
  Thread& thread = machine.threads[next];
  if (thread.fiber == nullptr) thread.fiber = take_fiber();
  set_current(next);
  switch_fiber(from, *thread.fiber);
}

// What a stack runs, again and again: the thread it was given, then others that have not begun.
void worker() {
  Fiber* self = machine.threads[machine.current].fiber;
  begin_fiber(*self);
  for (;;) {
    try {
      (*machine.body)();
    } catch (const Failure&) {
      go(*self, -1);
    }
    machine.threads[machine.current].done = true;
    ++machine.done;
    const int next = take_next(machine.current);
    if (next >= 0 && machine.threads[next].fiber == nullptr) {
      machine.threads[next].fiber = self;
      set_current(next);
      continue;
    }
    machine.free.push_back(self);
    go(*self, next);
  }
}

// The current thread waits for its turn, after `after`'s; or goes on where it has it.
void wait(int after) {
  const int next = take_next(after);
  if (next != machine.current) go(*machine.threads[machine.current].fiber, next);
}

void arrive(Kind kind, Site site, void* argument, void (*complete)(void* const*)) {
  Thread& thread = machine.threads[machine.current];
  thread.kind = kind;
  thread.site = site;
  thread.argument = argument;
  thread.complete = complete;
}

std::string differs(const Thread& a, const Thread& b) {
  return "thread " + text(a.index) + " waits at " + place(a.kind, a.site) + ", but thread " + text(b.index) +
         (b.done ? " has returned" : " waits at " + place(b.kind, b.site));
}

// Nobody can run, and not all are done: somebody waits for one who will not come.
std::string deadlock() {
  int a = 0;
  while (machine.threads[a].done) ++a;
  const Thread& thread = machine.threads[a];
  const int from = thread.kind == Kind::sync_block ? 0 : a / 32 * 32;
  const int end = thread.kind == Kind::sync_block ? machine.count : std::min(from + 32, machine.count);
  for (int b = from; b < end; ++b) {
    const Thread& other = machine.threads[b];
    if (other.done || !same_place(thread, other)) return "deadlock: " + differs(thread, other);
  }
  return "deadlock: thread " + text(thread.index) + " waits at " + place(thread.kind, thread.site);
}

void start_block() {
  const dim3 block = machine.launch->block;
  machine.count = static_cast<int>(block.x * block.y * block.z);
  machine.warp_count = (machine.count + 31) / 32;
  machine.runnable = machine.count;
  machine.waiting = machine.done = 0;
  uint3 index{};
  for (int t = 0; t < machine.count; ++t) {
    Thread& thread = machine.threads[t];
    thread.fiber = nullptr;
    thread.done = false;
    thread.index = index;
    thread.copies.reset();
    if (++index.x == block.x) {
      index.x = 0;
      if (++index.y == block.y) index.y = 0, ++index.z;
    }
  }
  for (int w = 0; w < machine.warp_count; ++w) {
    const int lanes = std::min(32, machine.count - 32 * w);
    machine.warps[w].lanes = machine.warps[w].runnable = lanes == 32 ? ~0u : (1u << lanes) - 1;
    machine.warps[w].waiting = 0;
  }
  machine.shared.poison();
}

void run_block() {
  start_block();
  go(machine.main, take_next(-1));
  machine.current = -1;
  if (machine.error.empty() && machine.done != machine.count) machine.error = headline() + ": " + deadlock();
  if (!machine.error.empty()) {  // whoever is on a stack will not come back
    machine.free.clear();
    for (size_t i = 0; i < machine.fibers.size(); ++i) {
      reset_fiber(*machine.fibers[i], static_cast<unsigned>(i));
      machine.free.push_back(machine.fibers[i].get());
    }
  }
  ++totals.blocks;
  totals.threads += machine.count;
}

}  // namespace

std::string execute(const Launch& launch, const std::function<void()>& body) {
  const std::lock_guard<std::mutex> lock(machine.mutex);
  const DeviceAccess access;
  machine.launch = &launch;
  machine.body = &body;
  machine.error.clear();
  const Settings settings = current_settings();
  machine.schedule = settings.schedule;
  machine.random = settings.seed;
  ++totals.launches;
  gridDim = launch.grid;
  blockDim = launch.block;
  machine.shared.open(launch.shared_bytes);
  const uint64_t blocks = uint64_t{launch.grid.x} * launch.grid.y * launch.grid.z;
  const uint64_t first = machine.schedule == Schedule::random ? draw() % blocks : 0;
  for (uint64_t i = 0; i < blocks && machine.error.empty(); ++i) {
    const uint64_t block = machine.schedule == Schedule::reverse ? blocks - 1 - i : (first + i) % blocks;
    blockIdx.x = static_cast<unsigned>(block % launch.grid.x);
    blockIdx.y = static_cast<unsigned>(block / launch.grid.x % launch.grid.y);
    blockIdx.z = static_cast<unsigned>(block / launch.grid.x / launch.grid.y);
    run_block();
    const std::string outside = machine.shared.check();
    if (machine.error.empty() && !outside.empty()) machine.error = headline() + ": " + outside;
  }
  machine.shared.close();
  return std::move(machine.error);
}

void fail(const std::string& what) {
  if (machine.current < 0) {
    std::fprintf(stderr, "emulator: device code outside a launch: %s\n", what.c_str());
    std::abort();
  }
  machine.error = headline() + ", thread " + text(threadIdx) + ": " + what;
  throw Failure();
}

void block_barrier(Site site) {
  arrive(Kind::sync_block, site, nullptr, nullptr);
  const bool all = ++machine.waiting == machine.count;
  if (all) {
    const Thread& first = machine.threads[0];
    for (int t = 1; t < machine.count; ++t)
      if (!same_place(first, machine.threads[t]))
        fail("different barriers: " + differs(first, machine.threads[t]));
    machine.waiting = 0;
    machine.runnable = machine.count;
    for (int w = 0; w < machine.warp_count; ++w) machine.warps[w].runnable = machine.warps[w].lanes;
    ++totals.block_barriers;
  }
  wait(all ? -1 : machine.current);
}

void warp_collective(Kind kind, Site site, void* argument, void (*complete)(void* const*)) {
  arrive(kind, site, argument, complete);
  Warp& warp = machine.warps[machine.current / 32];
  if (warp.lanes != ~0u) fail(place(kind, site) + " in a warp of fewer than 32 lanes");
  if (++warp.waiting == 32) {
    const Thread* lanes = machine.threads + machine.current / 32 * 32;
    void* arguments[32];
    for (int l = 0; l < 32; ++l) {
      arguments[l] = lanes[l].argument;
      if (!same_place(lanes[0], lanes[l])) fail("different collectives: " + differs(lanes[0], lanes[l]));
    }
    complete(arguments);
    warp.waiting = 0;
    warp.runnable = ~0u;
    machine.runnable += 32;
    ++totals.collectives;
  }
  wait(machine.current);
}

void* shared_memory(size_t bytes, size_t align) {
  if (bytes > machine.shared.size()) {
    fail("wants " + std::to_string(bytes) + " bytes of shared memory, was launched with " +
         std::to_string(machine.shared.size()));
  }
  if (align > kSharedAlignment)
    fail("shared memory is aligned to " + std::to_string(kSharedAlignment) + " bytes, not to " +
         std::to_string(align));
  return machine.shared.data();
}

static bool aligned(const void* at, size_t bytes) { return reinterpret_cast<uintptr_t>(at) % bytes == 0; }

void check_matrix_row(const void* row) {
  if (!machine.shared.has(row, 16)) fail("load_matrices from a row that is not in shared memory");
  if (!aligned(row, 16)) fail("load_matrices from a row that is not aligned to 16 bytes");
}

void copy_async(void* to, const void* from, bool valid, size_t bytes) {
  if (!machine.shared.has(to, bytes)) fail("asynchronous copy to what is not shared memory");
  if (!aligned(to, bytes) || (valid && !aligned(from, bytes)))
    fail("asynchronous copy that is not aligned to its " + std::to_string(bytes) + " bytes");
  machine.threads[machine.current].copies.begin(to, from, valid, bytes);
}

void copy_async_commit() { machine.threads[machine.current].copies.commit(); }

void copy_async_wait(int pending) { machine.threads[machine.current].copies.wait(pending); }

}  // namespace nnx::emulator
