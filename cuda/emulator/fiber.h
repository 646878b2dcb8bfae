// Stacks, and going from one to another.
#pragma once

#include <cstddef>

#if !defined(__x86_64__) || defined(NNX_EMULATOR_UCONTEXT)
#include <ucontext.h>
#define NNX_FIBER_UCONTEXT 1
#endif

namespace nnx::emulator {

// What stands still while others run: a stack and the place on it. The one made by default is the caller's.
struct Fiber {
  void* at = nullptr;             // the stack pointer, while it stands still
  char* low = nullptr;            // the stack's lowest usable byte; the page below it is a guard
  size_t bytes = 0;               // its size
  void* sanitizer = nullptr;      // AddressSanitizer's, while it stands still
  void (*entry)(void) = nullptr;  // where it began
#ifdef NNX_FIBER_UCONTEXT
  ucontext_t context{};
#endif
};

// A stack on which `entry` begins at the first switch; it must never return. `color` spreads the tops of
// stacks over the sets of a cache. False: no memory.
bool make_fiber(Fiber& fiber, void (*entry)(), unsigned color);
// As new again, whatever was running on it.
void reset_fiber(Fiber& fiber, unsigned color);

// Leaves `from` and goes on with `to`; returns when somebody switches to `from` again.
void switch_fiber(Fiber& from, Fiber& to);
// The first thing an entry does.
void begin_fiber(Fiber& self);

}  // namespace nnx::emulator
