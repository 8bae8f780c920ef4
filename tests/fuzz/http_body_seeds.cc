// Writes bodies to start from into the folder that is its argument.
#include <fstream>
#include <string>
#include <vector>

#include "server/http/gzip.h"

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const std::vector<std::string> texts = {
      R"({"id": "a", "inputs": [{"name": "input", "datatype": "FP32", "shape": [1, 2], "data": [[1.5, -2e3]]}]})",
      R"({"inputs": [{"name": "input", "datatype": "BYTES", "shape": [1], "data": ["x\u0041"]}],)"
      R"( "outputs": [{"name": "output", "parameters": {"classification": 3, "binary_data": true}}]})",
      R"({"parameters": {"priority": 1, "timeout": 1000, "binary_data_output": true}, "inputs":)"
      R"( [{"name": "input", "datatype": "UINT8", "shape": [1], "parameters": {"binary_data_size": 4}}]})",
      R"({"inputs": [{"data": [true, false, 18446744073709551615, -1]}], "inputs": [{"data": []}, {}]})",
      "gzip;q=0.5, deflate;q=0, *",
  };
  int number = 0;
  const auto write = [&](const std::string& bytes) {
    std::ofstream(std::string(argv[1]) + "/seed-" + std::to_string(number++)) << bytes;
  };
  for (const std::string& text : texts) {
    write(text);
    for (const char* encoding : {"gzip", "deflate"}) {
      write(haq::server::http::Compress(encoding, text));
    }
  }
  return 0;
}
