// Runs a network before it is quantized, for the comparison with other engines:
//   float_outputs MODEL SHAPE SAMPLES OUTPUTS
// MODEL is a TorchScript or ONNX file, SHAPE one sample's ("3,32,32"), SAMPLES a file of floats
// [n, C, H, W]; the network's outputs are written to OUTPUTS.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include "core/float_exec/executor.h"
#include "core/pipeline/import_model.h"

namespace {

using namespace haq;

std::vector<char> Contents(const char* path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

Status Run(char** arguments) {
  std::vector<int64_t> shape;
  std::istringstream numbers(arguments[1]);
  for (std::string number; std::getline(numbers, number, ',');) {
    shape.push_back(std::atoll(number.c_str()));
  }
  const std::vector<char> model = Contents(arguments[0]), raw = Contents(arguments[2]);
  ir::GivenQuantization given;
  HAQ_ASSIGN_OR_RETURN(
      const ir::Graph graph,
      pipeline::ImportModel({reinterpret_cast<const uint8_t*>(model.data()), model.size()}, shape,
                            given));
  HAQ_ASSIGN_OR_RETURN(const int64_t inputs, ir::ElementCount(graph.values[graph.input].shape));
  HAQ_ASSIGN_OR_RETURN(const int64_t outputs, ir::ElementCount(graph.values[graph.output].shape));
  HAQ_ASSIGN_OR_RETURN(const auto executor, float_exec::Executor::Create(graph, 1));
  std::vector<float> samples(raw.size() / sizeof(float));
  std::memcpy(samples.data(), raw.data(), samples.size() * sizeof(float));
  const int64_t n = static_cast<int64_t>(samples.size()) / inputs;
  std::vector<float> output(n * outputs);
  HAQ_RETURN_IF_ERROR(executor->Run(n, samples, output));
  std::ofstream file(arguments[3], std::ios::binary);
  file.write(reinterpret_cast<const char*>(output.data()),
             static_cast<std::streamsize>(output.size() * sizeof(float)));
  return file ? Status() : InternalError("cannot write");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fprintf(stderr, "usage: float_outputs MODEL SHAPE SAMPLES OUTPUTS\n");
    return 2;
  }
  const Status status = Run(argv + 1);
  if (!status.ok()) std::fprintf(stderr, "%s\n", status.ToString().c_str());
  return status.ok() ? 0 : 1;
}
