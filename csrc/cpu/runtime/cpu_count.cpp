// How many CPUs this process may use: its affinity mask, cut by the cgroup's quota.
#include <sched.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

#include "cpu/runtime/threads.h"

namespace nnx::cpu {
namespace {

int affinity_count() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) != 0) return 1;
  return CPU_COUNT(&set);
}

// CPUs granted by one folder's cpu.max ("max 100000" or "150000 100000"); infinity where there is no limit.
double quota_of(const std::string& folder) {
  std::ifstream file(folder + "/cpu.max");
  std::string quota;
  double period = 0;
  if (!(file >> quota >> period) || quota == "max" || period <= 0) return INFINITY;
  return std::atof(quota.c_str()) / period;
}

double legacy_quota_of(const std::string& folder) {
  std::ifstream quota_file(folder + "/cpu.cfs_quota_us"), period_file(folder + "/cpu.cfs_period_us");
  double quota = -1, period = 0;
  if (!(quota_file >> quota) || !(period_file >> period) || quota <= 0 || period <= 0) return INFINITY;
  return quota / period;
}

// The tightest limit on the way from this process's group up to the root.
double cgroup_quota() {
  double tightest = INFINITY;
  std::ifstream file("/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    std::string path = line.substr(second + 1);
    while (true) {
      if (controllers.empty()) {
        tightest = std::fmin(tightest, quota_of("/sys/fs/cgroup" + path));
      } else if (controllers.find("cpu") != std::string::npos) {
        tightest = std::fmin(tightest, legacy_quota_of("/sys/fs/cgroup/cpu" + path));
      }
      if (path.empty()) break;
      path.resize(path.rfind('/') == std::string::npos ? 0 : path.rfind('/'));
    }
  }
  return tightest;
}

}  // namespace

int default_num_threads() {
  if (const char* text = std::getenv("NNX_NUM_THREADS")) {
    const int count = std::atoi(text);
    if (count >= 1) return count < kMaxThreads ? count : kMaxThreads;
  }
  const double quota = cgroup_quota();
  int count = affinity_count();
  if (quota < count) count = static_cast<int>(std::ceil(quota));
  if (count < 1) count = 1;
  return count < kMaxThreads ? count : kMaxThreads;
}

}  // namespace nnx::cpu
