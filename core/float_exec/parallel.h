// Private to this folder.
#pragma once

#include <cstdint>
#include <functional>

namespace haq::float_exec {

// Calls body(i) once for every i in [0, count), on up to `threads` threads of the pool that
// LibTorch uses (another pool would compete with its threads, which wait for their next operator
// spinning). at::parallel_for is no such thing here: it is a header, and runs on one thread where
// OpenMP is off. What a body throws is thrown again when all have ended.
void ParallelFor(int threads, int64_t count, const std::function<void(int64_t i)>& body);

}  // namespace haq::float_exec
