// The rate at which memory of a given size is read, and read and written in place, over and over.
// cc -O3 -march=native -pthread -shared -fPIC
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef float vector __attribute__((vector_size(64)));

struct part {
  vector* data;
  long vectors, passes;
  int update;
  pthread_barrier_t* meet;
};

static void pass_read(const struct part* p) {
  vector sum[4] = {{0}};
  for (long i = 0; i + 4 <= p->vectors; i += 4)
    for (int k = 0; k < 4; ++k) sum[k] += p->data[i + k];
  for (int k = 0; k < 4; ++k) __asm__ volatile("" ::"m"(sum[k]) : "memory");
}

static void pass_update(const struct part* p) {
  for (long i = 0; i < p->vectors; ++i) p->data[i] = p->data[i] * 0.5f + 1.0f;
  __asm__ volatile("" ::"m"(*p->data) : "memory");
}

static void* work(void* argument) {
  const struct part* p = argument;
  memset(p->data, 0, p->vectors * sizeof(vector));  // pages lie near the thread that uses them
  pthread_barrier_wait(p->meet);
  pthread_barrier_wait(p->meet);
  for (long i = 0; i < p->passes; ++i) p->update ? pass_update(p) : pass_read(p);
  pthread_barrier_wait(p->meet);
  return 0;
}

// Seconds that `threads` threads take for `passes` passes over `bytes` together.
double stream_seconds(int threads, long bytes, long passes, int update) {
  pthread_t others[256];
  struct part parts[256];
  pthread_barrier_t meet;
  struct timespec begin, end;
  const long vectors = bytes / threads / (long)sizeof(vector) + 1;
  pthread_barrier_init(&meet, 0, threads + 1);
  for (int i = 0; i < threads; ++i) {
    parts[i] = (struct part){aligned_alloc(64, vectors * sizeof(vector)), vectors, passes, update, &meet};
    pthread_create(&others[i], 0, work, &parts[i]);
  }
  pthread_barrier_wait(&meet);  // all have their memory
  clock_gettime(CLOCK_MONOTONIC, &begin);
  pthread_barrier_wait(&meet);  // all begin
  pthread_barrier_wait(&meet);  // all are done
  clock_gettime(CLOCK_MONOTONIC, &end);
  for (int i = 0; i < threads; ++i) {
    pthread_join(others[i], 0);
    free(parts[i].data);
  }
  pthread_barrier_destroy(&meet);
  return (double)(end.tv_sec - begin.tv_sec) + 1e-9 * (double)(end.tv_nsec - begin.tv_nsec);
}
