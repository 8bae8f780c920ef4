#include "core/float_exec/parallel.h"

#include <exception>

namespace haq::float_exec {

void ParallelFor(int threads, int64_t count, const std::function<void(int64_t i)>& body) {
  std::exception_ptr failure;
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1)
  for (int64_t i = 0; i < count; ++i) {
    try {
      body(i);
    } catch (...) {
#pragma omp critical
      failure = std::current_exception();
    }
  }
  if (failure) std::rethrow_exception(failure);
}

}  // namespace haq::float_exec
