#include "server/api/torchscript_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "core/base/file.h"
#include "testing.h"

namespace haq::server::api {
namespace {

using testing::HasSubstr;

class TorchScriptFileTest : public testing::Test {
 protected:
  Status Check(const std::string& bytes) {
    const auto path = folder_.path() / "model.pt";
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
    return CheckTorchScriptFile(path);
  }
  test::TempFolder folder_;
};

TEST_F(TorchScriptFileTest, AWholeOne) { EXPECT_TRUE(Check(test::MakeTorchScript()).ok()); }

TEST_F(TorchScriptFileTest, EveryTruncation) {
  const std::string whole = test::MakeTorchScript();
  for (size_t size = 0; size < whole.size(); ++size) {
    const Status status = Check(whole.substr(0, size));
    ASSERT_EQ(status.code(), StatusCode::kInvalidArgument) << size;
    if (size >= 4) {
      ASSERT_THAT(status.message(), HasSubstr("truncated")) << size;
    }
  }
}

// Whatever a byte becomes, the reader stays inside of the file (the sanitizers watch).
TEST_F(TorchScriptFileTest, EveryByteChanged) {
  const std::string whole = test::MakeTorchScript();
  for (size_t at = 0; at < whole.size(); ++at) {
    for (const int flip : {0x01, 0x80, 0xff}) {
      std::string changed = whole;
      changed[at] = static_cast<char>(changed[at] ^ flip);
      static_cast<void>(Check(changed).ok());
    }
  }
}

TEST_F(TorchScriptFileTest, OtherArchives) {
  EXPECT_THAT(Check("GIF89a").message(), HasSubstr("not a TorchScript model"));
  EXPECT_THAT(Check(test::MakeZip({{"a/data.pkl", "x"}, {"a/version", "3"}})).message(),
              HasSubstr("no constants.pkl"));
  EXPECT_THAT(Check(test::MakeZip({{"a/data.pkl", "x"}, {"a/constants.pkl", "3"}})).message(),
              HasSubstr("no code/"));
  EXPECT_THAT(Check(test::MakeZip({{"word/document.xml", "x"}})).message(),
              HasSubstr("no data.pkl"));
}

TEST_F(TorchScriptFileTest, RealModels) {
  const char* shared = std::getenv("HAQ_SHARED");
  const std::filesystem::path models =
      std::filesystem::path(shared ? shared : "../shared") / "models";
  if (!std::filesystem::exists(models)) GTEST_SKIP() << "no models at " << models;
  int found = 0;
  for (const auto& entry : std::filesystem::directory_iterator(models)) {
    if (entry.path().extension() != ".pt") continue;
    ++found;
    EXPECT_TRUE(CheckTorchScriptFile(entry.path()).ok())
        << entry.path() << CheckTorchScriptFile(entry.path()).ToString();
    const std::string whole = *ReadTextFile(entry.path());
    EXPECT_THAT(Check(whole.substr(0, whole.size() / 2)).message(), HasSubstr("truncated"));
  }
  EXPECT_GT(found, 0);
}

}  // namespace
}  // namespace haq::server::api
