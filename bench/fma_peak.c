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

static void* chains(void* argument) {
  const long rounds = *(long*)argument;
  vector x[CHAINS] = {{0}};
  vector a = {0}, b = {0};
  for (int lane = 0; lane < WIDTH; ++lane) a[lane] = 0.999f, b[lane] = 0.001f;
  __asm__ volatile("" : "+m"(a), "+m"(b));  // unknown to the optimizer
  const vector factor = a, term = b;
  for (long i = 0; i < rounds; ++i)
    for (int c = 0; c < CHAINS; ++c) x[c] = x[c] * factor + term;
  for (int c = 0; c < CHAINS; ++c) __asm__ volatile("" ::"m"(x[c]));
  return 0;
}

double fma_flops(int threads, long rounds) { return 2.0 * WIDTH * CHAINS * threads * rounds; }

// Every thread, the caller among them, does that many rounds.
void fma_run(int threads, long rounds) {
  pthread_t others[256];
  for (int i = 1; i < threads; ++i) pthread_create(&others[i], 0, chains, &rounds);
  chains(&rounds);
  for (int i = 1; i < threads; ++i) pthread_join(others[i], 0);
}
