// A service without the network.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "testing.h"

namespace haq::test {

class ServiceTest : public testing::Test {
 protected:
  ServiceTest() {
    options_.data_dir = folder_.path() / "data";
    options_.clock = &clock_;
    options_.lease_check_period_ms = 0;
    options_.artifact_listener = &artifact_listener_;
    Open();
  }
  void Open() {
    service_.reset();
    auto service = server::api::Service::Open(options_);
    ASSERT_TRUE(service.ok()) << service.status().ToString();
    service_ = *std::move(service);
  }

  // Exactly this code, naming exactly this field.
  static void ExpectField(const Status& status, StatusCode code, const std::string& field) {
    EXPECT_EQ(status.code(), code) << status.ToString();
    ASSERT_EQ(status.fields().size(), 1u) << status.ToString();
    EXPECT_EQ(status.fields().front().field, field);
    EXPECT_EQ(status.message().substr(0, status.message().find(": ")), field);
  }

  int64_t CountBlobs() {
    int64_t count = 0;
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(service_->data_folder().blobs())) {
      count += entry.is_regular_file();
    }
    return count;
  }

  TempFolder folder_;
  FakeClock clock_;
  RecordingArtifactListener artifact_listener_;
  server::api::ServiceOptions options_;
  std::unique_ptr<server::api::Service> service_;
};

}  // namespace haq::test
