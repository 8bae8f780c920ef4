// Whether this machine computes what the artifact's maker computed: golden inputs, known by their
// seeds, and the digests of what the scalar reference makes of them.
#pragma once

#include <cstdint>
#include <vector>

#include "core/artifact/model.h"
#include "core/base/status.h"
#include "core/runtime/session.h"

namespace haq::runtime {

// The golden input of `seed`, one sample as `input` is stored: the bytes, in order, of
// docs/artifact_format.md's generator. Every level is as likely as any other.
std::vector<uint8_t> GoldenInput(const artifact::Tensor& input, uint64_t seed);

// Runs a few golden inputs on the scalar reference, for Model::golden.
Result<std::vector<artifact::Golden>> MakeGolden(const artifact::Model& model);

// Runs the golden inputs of the session's model on its kernels and threads; nothing for a model
// without any. kInternal names the kernels, the input and both digests where an output differs: the
// model must not be used.
Status SelfTest(Session& session);

}  // namespace haq::runtime
