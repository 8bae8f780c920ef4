// Images, folders and tar files for the tests of this folder.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/data/dataset.h"
#include "core/data/encode.h"
#include "core/data/preprocess.h"

namespace haq::data {

// Smooth, different for every seed.
inline Image TestImage(int height, int width, int seed) {
  Image image{width, height, {}};
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      image.rgb.push_back(static_cast<uint8_t>(seed * 37 + x * 5));
      image.rgb.push_back(static_cast<uint8_t>(seed * 59 + y * 7));
      image.rgb.push_back(static_cast<uint8_t>(seed * 83 + (x ^ y) * 3));
    }
  }
  return image;
}

inline std::vector<uint8_t> TestPng(int seed) { return *EncodePng(TestImage(8, 8, seed)); }
inline std::vector<uint8_t> TestJpeg(int seed) { return *EncodeJpeg(TestImage(8, 8, seed), 90); }

inline void Write(const std::filesystem::path& path, std::string_view bytes) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << bytes;
}
inline void Write(const std::filesystem::path& path, const std::vector<uint8_t>& bytes) {
  Write(path, std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}
inline std::string Read(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline std::string Text(const std::vector<uint8_t>& bytes) { return {bytes.begin(), bytes.end()}; }

class FolderFixture : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::TempDir() + "haq_data_test_XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::filesystem::path folder_;
};

// Samples from memory.
class ListReader : public SampleReader {
 public:
  explicit ListReader(std::vector<Sample> samples) : samples_(std::move(samples)) {}
  Result<std::optional<Sample>> Next() override {
    if (next_ == samples_.size()) return std::optional<Sample>();
    return std::optional(samples_[next_++]);
  }

 private:
  std::vector<Sample> samples_;
  size_t next_ = 0;
};

// A tar file written here by the format's definition, so that shards of others can be imitated.
class TarText {
 public:
  TarText& Add(const std::string& name, std::string_view content, char type = '0') {
    return AddHeader(name, content.size(), type).AddContent(content);
  }
  TarText& AddHeader(const std::string& name, uint64_t declared_size, char type = '0') {
    char header[512] = {};
    std::memcpy(header, name.data(), std::min<size_t>(name.size(), 100));
    std::snprintf(header + 100, 8, "%07o", 0644);
    std::snprintf(header + 108, 8, "%07o", 0);
    std::snprintf(header + 116, 8, "%07o", 0);
    std::snprintf(header + 124, 12, "%011llo", static_cast<unsigned long long>(declared_size));
    std::snprintf(header + 136, 12, "%011o", 0);
    header[156] = type;
    if (type == '1' || type == '2') std::strcpy(header + 157, "target.jpg");
    std::memcpy(header + 257,
                "ustar\0"
                "00",
                8);
    std::memset(header + 148, ' ', 8);
    unsigned sum = 0;
    for (const char c : header) sum += static_cast<unsigned char>(c);
    std::snprintf(header + 148, 8, "%06o", sum);
    text_.append(header, sizeof(header));
    return *this;
  }
  TarText& AddContent(std::string_view content) {
    text_ += content;
    text_.append((512 - content.size() % 512) % 512, '\0');
    return *this;
  }
  std::string Finish() const { return text_ + std::string(1024, '\0'); }

 private:
  std::string text_;
};

}  // namespace haq::data
