#include "core/base/sha256.h"

#include <gtest/gtest.h>

namespace haq {
namespace {

TEST(Sha256, KnownAnswers) {  // FIPS 180-2, appendix B
  Sha256 sha;
  sha.Update("a");
  sha.Update("bc");
  EXPECT_EQ(ToHex(sha.Finish()),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(ToHex(Sha256Of({})),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(Sha256, OnlyDigestsAreAcceptedAsNames) {
  EXPECT_TRUE(IsSha256Hex(ToHex(Sha256Of({}))));
  EXPECT_FALSE(IsSha256Hex(std::string(64, 'A')));
  EXPECT_FALSE(IsSha256Hex(std::string(63, 'a')));
  EXPECT_FALSE(IsSha256Hex("../" + std::string(61, 'a')));
}

}  // namespace
}  // namespace haq
