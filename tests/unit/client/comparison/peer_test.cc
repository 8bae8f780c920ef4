#include "client/comparison/peer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <fstream>

namespace haq::comparison {
namespace {

using ::testing::HasSubstr;

class PeerTest : public testing::Test {
 protected:
  PeerTest() {
    char name[] = "/tmp/haq-peer-XXXXXX";
    folder_ = ::mkdtemp(name);
    request_.program = folder_ / "peer";
    request_.model = "m.pt";
    request_.input_shape = {3, 8, 9};
    request_.preprocess_json = R"({"scale": 1})";
    request_.calibration = {"a.tar", "b.tar"};
    request_.evaluation = {"c.tar"};
    request_.limit_evaluation = 5;
    request_.weights = "per_tensor";
    request_.cache = "cache folder";
  }
  ~PeerTest() override { std::filesystem::remove_all(folder_); }

  void WriteProgram(const std::string& body) {
    std::ofstream(request_.program) << "#!/bin/sh\n" << body;
    std::filesystem::permissions(request_.program, std::filesystem::perms::owner_all);
  }

  std::filesystem::path folder_;
  PeerRequest request_;
};

TEST_F(PeerTest, GivesItsProgramEverythingAndReadsItsProgress) {
  WriteProgram("printf '%s|' \"$@\"\necho 'progress per_channel/minmax/calibrate 5 10' >&2\n");
  std::string told;
  const auto printed =
      RunPeer(request_, [&told](const std::string& what, int64_t done, int64_t total) {
        told = what + " " + std::to_string(done) + " " + std::to_string(total);
      });
  ASSERT_TRUE(printed.ok()) << printed.status().ToString();
  EXPECT_EQ(told, "per_channel/minmax/calibrate 5 10");
  for (const char* part :
       {"--model|m.pt|", "--input-shape|3,8,9|", "--preprocess|{\"scale\": 1}|",
        "--weights|per_tensor|", "--limit-calibration|0|", "--limit-evaluation|5|",
        "--cache|cache folder|", "--calibration|a.tar|b.tar|--evaluation|c.tar|"}) {
    EXPECT_THAT(*printed, HasSubstr(part));
  }
}

TEST_F(PeerTest, ItsOwnWordsSayWhyItCannot) {
  WriteProgram("echo noise >&2\necho 'pytorch_ptq: aten::sort has no counterpart' >&2\nexit 1\n");
  const auto printed = RunPeer(request_, {});
  EXPECT_EQ(printed.status().code(), StatusCode::kUnsupported);
  EXPECT_EQ(printed.status().message(), "aten::sort has no counterpart");
  WriteProgram("exit 3\n");
  EXPECT_EQ(RunPeer(request_, {}).status().message(), "exit code 3");
}

TEST_F(PeerTest, IsFoundByTheVariableOrBesideTheProgram) {
  ::setenv("HAQ_PYTORCH_PEER", "/some/where", 1);
  EXPECT_EQ(FindPeer()->string(), "/some/where");
  ::unsetenv("HAQ_PYTORCH_PEER");
  const auto found = FindPeer();
  ASSERT_TRUE(found.ok()) << "the build puts it beside bin/: " << found.status().ToString();
  EXPECT_EQ(found->filename(), "pytorch_ptq.py");
}

}  // namespace
}  // namespace haq::comparison
