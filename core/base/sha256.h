// SHA-256: the name of every blob and the checksum of every artifact.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace haq {

using Sha256Digest = std::array<uint8_t, 32>;

// Incremental; one stream per object. Not thread-safe.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  void Update(std::span<const uint8_t> bytes);
  void Update(std::string_view bytes);
  // The digest of everything so far; the object must not be used after.
  Sha256Digest Finish();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

Sha256Digest Sha256Of(std::span<const uint8_t> bytes);
// 64 lower-case hexadecimal digits.
std::string ToHex(const Sha256Digest& digest);
// True for exactly 64 lower-case hexadecimal digits: safe to use as a file name.
bool IsSha256Hex(std::string_view text);

}  // namespace haq
