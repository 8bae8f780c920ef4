#include "core/import/torchscript/archive.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/core/import/torchscript/script.h"

namespace haq::import {
namespace {

using testing::HasSubstr;

std::vector<uint8_t> Bytes(std::string_view text) { return {text.begin(), text.end()}; }

std::vector<uint8_t> SmallModel() {
  return Save(MakeModule("def forward(self, x):\n  return torch.conv2d(x, self.w)\n",
                         {{"w", {2, 3, 3, 3}}}));
}

// Appends little-endian numbers and text.
class Writer {
 public:
  Writer& Number(uint64_t value, int size) {
    for (int i = 0; i < size; ++i) bytes_.push_back(static_cast<uint8_t>(value >> (8 * i)));
    return *this;
  }
  Writer& Text(std::string_view text) {
    bytes_.insert(bytes_.end(), text.begin(), text.end());
    return *this;
  }
  std::vector<uint8_t> Take() { return std::move(bytes_); }
  size_t size() const { return bytes_.size(); }

 private:
  std::vector<uint8_t> bytes_;
};

// A zip of empty entries, of which the first says that it inflates to `inflated` bytes.
std::vector<uint8_t> Zip(const std::vector<std::string>& names, uint64_t inflated = 0) {
  Writer zip;
  std::vector<size_t> offsets;
  for (const std::string& name : names) {
    offsets.push_back(zip.size());
    zip.Number(0x04034b50, 4).Number(0, 22).Number(name.size(), 2).Number(0, 2).Text(name);
  }
  const size_t directory = zip.size();
  for (size_t i = 0; i < names.size(); ++i) {
    const bool compressed = i == 0 && inflated > 0;
    zip.Number(0x02014b50, 4).Number(0, 6).Number(compressed ? 8 : 0, 2).Number(0, 8);
    zip.Number(0, 4).Number(compressed ? inflated : 0, 4).Number(names[i].size(), 2);
    zip.Number(0, 12).Number(offsets[i], 4).Text(names[i]);
  }
  const size_t directory_bytes = zip.size() - directory;
  zip.Number(0x06054b50, 4).Number(0, 4).Number(names.size(), 2).Number(names.size(), 2);
  zip.Number(directory_bytes, 4).Number(directory, 4).Number(0, 2);
  return zip.Take();
}

void ExpectRefused(std::span<const uint8_t> bytes, const std::string& reason) {
  const Status status = CheckTorchScriptArchive(bytes);
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), HasSubstr(reason));
}

TEST(Archive, ReadsWhatTorchWrites) {
  const std::vector<uint8_t> model = SmallModel();
  EXPECT_TRUE(CheckTorchScriptArchive(model).ok());
  const auto entries = ReadZipDirectory(model);
  ASSERT_TRUE(entries.ok());
  const auto weights = std::find_if(entries->begin(), entries->end(), [](const ZipEntry& entry) {
    return entry.name.ends_with("/data/0");
  });
  ASSERT_NE(weights, entries->end());
  EXPECT_EQ(weights->uncompressed_bytes, 2 * 3 * 3 * 3 * sizeof(float));
}

TEST(Archive, RefusesWhatIsNoZip) {
  ExpectRefused({}, "the file is empty");
  ExpectRefused(Bytes("GIF89a and more"), "does not start as a zip");
  ExpectRefused(Bytes("\x80\x02}q"), "torch.jit.save");
}

TEST(Archive, RefusesOtherZips) {
  ExpectRefused(Zip({"a/readme.txt"}), "no data.pkl");
  ExpectRefused(Zip({"archive/data.pkl", "archive/version"}), "state_dict");
  EXPECT_TRUE(CheckTorchScriptArchive(Zip({"m/data.pkl", "m/constants.pkl", "m/code/a.py"})).ok());
}

TEST(Archive, RefusesBombs) {
  const std::vector<std::string> names = {"m/data.pkl", "m/constants.pkl", "m/code/a.py"};
  ExpectRefused(Zip(names, kMaxInflatedBytes + 1), "inflate to more than");
  EXPECT_TRUE(CheckTorchScriptArchive(Zip(names, kMaxInflatedBytes)).ok());
}

// Every cut loses the directory at the end.
TEST(Archive, RefusesEveryTruncation) {
  const std::vector<uint8_t> model = SmallModel();
  for (size_t size = 0; size < model.size(); ++size) {
    const Status status = CheckTorchScriptArchive(std::span(model).first(size));
    ASSERT_EQ(status.code(), StatusCode::kInvalidArgument) << size;
  }
}

TEST(Archive, SurvivesEveryFlippedByte) {
  const std::vector<uint8_t> model = SmallModel();
  std::vector<uint8_t> bytes = model;
  for (size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] ^= 0xff;
    const Status status = CheckTorchScriptArchive(bytes);
    ASSERT_TRUE(status.ok() || status.code() == StatusCode::kInvalidArgument) << i;
    bytes[i] = model[i];
  }
}

}  // namespace
}  // namespace haq::import
