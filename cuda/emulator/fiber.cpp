#include "emulator/fiber.h"

#include <sys/mman.h>
#include <unistd.h>

#include "emulator/sanitizer.h"

#ifndef NNX_FIBER_UCONTEXT
// Saves what a callee must keep on the stack it leaves, and takes it from the stack it goes to.
extern "C" __attribute__((visibility("hidden"))) void nnx_fiber_switch(void** from, void* to);
asm(R"(
.text
.hidden nnx_fiber_switch
.globl nnx_fiber_switch
.type nnx_fiber_switch, @function
.p2align 4
nnx_fiber_switch:
  endbr64
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size nnx_fiber_switch, .-nnx_fiber_switch
)");
#endif

namespace nnx::emulator {
namespace {

#ifdef NNX_ADDRESS_SANITIZER
constexpr size_t kStackBytes = size_t{256} << 10;
#else
constexpr size_t kStackBytes = size_t{128} << 10;
#endif

#ifdef NNX_ADDRESS_SANITIZER
Fiber* left = nullptr;  // the one that was left last
#endif

}  // namespace

void reset_fiber(Fiber& fiber, unsigned color) {
  ASAN_UNPOISON_MEMORY_REGION(fiber.low, fiber.bytes);
  fiber.sanitizer = nullptr;
  // Equal offsets in all stacks would make all threads' variables fight for the same sets of the cache.
  const size_t spread = color % 61 * 192;
#ifdef NNX_FIBER_UCONTEXT
  getcontext(&fiber.context);
  fiber.context.uc_stack.ss_sp = fiber.low;
  fiber.context.uc_stack.ss_size = fiber.bytes - spread;
  fiber.context.uc_link = nullptr;
  makecontext(&fiber.context, fiber.entry, 0);
#else
  void** top = reinterpret_cast<void**>(fiber.low + fiber.bytes - spread);
  *--top = nullptr;  // nobody to return to
  *--top = reinterpret_cast<void*>(fiber.entry);
  for (int i = 0; i < 6; ++i) *--top = nullptr;  // registers
  fiber.at = top;
#endif
}

bool make_fiber(Fiber& fiber, void (*entry)(), unsigned color) {
  const auto guard = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  void* memory = mmap(nullptr, kStackBytes + guard, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return false;
  mprotect(memory, guard, PROT_NONE);
  fiber.low = static_cast<char*>(memory) + guard;
  fiber.bytes = kStackBytes;
  fiber.entry = entry;
  reset_fiber(fiber, color);
  return true;
}

void switch_fiber(Fiber& from, Fiber& to) {
#ifdef NNX_ADDRESS_SANITIZER
  left = &from;
  __sanitizer_start_switch_fiber(&from.sanitizer, to.low, to.bytes);
#endif
#ifdef NNX_FIBER_UCONTEXT
  swapcontext(&from.context, &to.context);
#else
  nnx_fiber_switch(&from.at, to.at);
#endif
  begin_fiber(from);
}

void begin_fiber([[maybe_unused]] Fiber& self) {
#ifdef NNX_ADDRESS_SANITIZER
  // Also tells the bounds of the stack it came from, which is how the caller's own become known.
  const void* low = nullptr;
  size_t bytes = 0;
  __sanitizer_finish_switch_fiber(self.sanitizer, &low, &bytes);
  left->low = static_cast<char*>(const_cast<void*>(low));
  left->bytes = bytes;
#endif
}

}  // namespace nnx::emulator
