// The command lines of `haq-worker`.
#pragma once

#include <cstdio>

namespace haq::server::worker {

// The whole program; returns its exit code (core/base/exit_code.h). Results go to `out`, progress
// and errors to `err`.
int Main(int argc, const char* const* argv, std::FILE* out, std::FILE* err);

}  // namespace haq::server::worker
