// Certificates of an authority that exists for one test.
#pragma once

#include <chrono>
#include <memory>
#include <string>

namespace haq::test {

struct Issued {
  std::string certificate_pem, key_pem;
};

class Authority {
 public:
  explicit Authority(const std::string& name = "test authority");
  ~Authority();

  const std::string& certificate_pem() const;
  // For `name`, localhost and 127.0.0.1, valid from a day ago until `valid_for` from now.
  Issued Issue(const std::string& name,
               std::chrono::seconds valid_for = std::chrono::hours(24 * 365)) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// The same key, encrypted with a password.
std::string Encrypt(const std::string& key_pem);

}  // namespace haq::test
