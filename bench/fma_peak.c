// The rate of fused multiply-adds: twelve independent chains of the widest vectors, in registers alone.
// cc -O3 -march=native -pthread -shared -fPIC
#include <pthread.h>

#if defined(__AVX512F__)
#define WIDTH 16
#elif defined(__AVX__)
#define WIDTH 8
#else
#define WIDTH 4
#endif
#define CHAINS 12

typedef float vector __attribute__((vector_size(4 * WIDTH)));

struct task {
  long chunks, rounds;  // rounds of each chunk
  long next;            // the chunk to take
};

// Whoever is free takes the next chunk, so that a thread that has to wait for its CPU holds up no other.
static void* work(void* argument) {
  struct task* task = argument;
  vector x[CHAINS] = {{0}};
  vector a = {0}, b = {0};
  for (int lane = 0; lane < WIDTH; ++lane) a[lane] = 0.999f, b[lane] = 0.001f;
  __asm__ volatile("" : "+m"(a), "+m"(b));  // unknown to the optimizer
  const vector factor = a, term = b;
  while (__atomic_fetch_add(&task->next, 1, __ATOMIC_RELAXED) < task->chunks)
    for (long i = 0; i < task->rounds; ++i)
      for (int c = 0; c < CHAINS; ++c) x[c] = x[c] * factor + term;
  for (int c = 0; c < CHAINS; ++c) __asm__ volatile("" ::"m"(x[c]));
  return 0;
}

double fma_flops(long chunks, long rounds) { return 2.0 * WIDTH * CHAINS * chunks * rounds; }

void fma_run(int threads, long chunks, long rounds) {
  struct task task = {chunks, rounds, 0};
  pthread_t others[256];
  for (int i = 1; i < threads; ++i) pthread_create(&others[i], 0, work, &task);
  work(&task);
  for (int i = 1; i < threads; ++i) pthread_join(others[i], 0);
}
