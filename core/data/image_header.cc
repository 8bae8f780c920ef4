#include "core/data/image_header.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>

namespace haq::data {
namespace {

constexpr std::array<uint8_t, 3> kJpegSignature = {0xff, 0xd8, 0xff};
constexpr std::array<uint8_t, 8> kPngSignature = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
// Each scan of a progressive JPEG costs a pass over all pixels; encoders write about ten.
constexpr int kMaxJpegScans = 100;

bool StartsWith(std::span<const uint8_t> bytes, std::span<const uint8_t> prefix) {
  return bytes.size() >= prefix.size() && std::equal(prefix.begin(), prefix.end(), bytes.begin());
}

uint32_t BigEndian16(const uint8_t* bytes) { return uint32_t{bytes[0]} << 8 | bytes[1]; }
uint32_t BigEndian32(const uint8_t* bytes) {
  return BigEndian16(bytes) << 16 | BigEndian16(bytes + 2);
}

Status CutShort(std::string_view format) {
  return InvalidArgument("the {} image is cut short or damaged: its end is missing", format);
}

// The decoder fills what a shortened file lacks with grey and reports success, so the end-of-image
// marker has to be found here. Embedded thumbnails have one too: segments are skipped as wholes.
class JpegWalker {
 public:
  explicit JpegWalker(std::span<const uint8_t> bytes) : bytes_(bytes) {}

  Result<ImageHeader> Walk() {
    position_ = 2;
    while (true) {
      const int marker = NextMarker();
      if (marker < 0) return CutShort("JPEG");
      if (marker == kEndOfImage) break;
      if (IsAlone(marker)) continue;
      HAQ_RETURN_IF_ERROR(Segment(marker));
    }
    if (scans_ == 0) return InvalidArgument("the JPEG image has no pixels");
    return header_;
  }

 private:
  static constexpr int kEndOfImage = 0xd9, kStartOfScan = 0xda;

  static bool IsAlone(int marker) { return marker == 0x01 || (marker >= 0xd0 && marker <= 0xd7); }
  static bool IsStartOfFrame(int marker) {
    return marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
  }

  // Skips what is between segments exactly as libjpeg does, so that both read the same frame
  // header. -1 at the end of the bytes.
  int NextMarker() {
    while (position_ < bytes_.size()) {
      const void* found = std::memchr(bytes_.data() + position_, 0xff, bytes_.size() - position_);
      if (found == nullptr) break;
      position_ = static_cast<const uint8_t*>(found) - bytes_.data();
      while (position_ < bytes_.size() && bytes_[position_] == 0xff) ++position_;
      if (position_ == bytes_.size()) break;
      if (const int marker = bytes_[position_++]; marker != 0) return marker;
    }
    return -1;
  }

  Status Segment(int marker) {
    const size_t left = bytes_.size() - position_;
    if (left < 2) return CutShort("JPEG");
    const uint8_t* segment = bytes_.data() + position_;
    const size_t length = BigEndian16(segment);
    if (length < 2)
      return InvalidArgument("the JPEG image is damaged: a segment of {} bytes", length);
    if (length > left) return CutShort("JPEG");
    position_ += length;
    if (IsStartOfFrame(marker)) return Frame({segment, length});
    if (marker == kStartOfScan && ++scans_ > kMaxJpegScans) {
      return InvalidArgument("the JPEG image has more than {} scans", kMaxJpegScans);
    }
    // Entropy-coded data follows a scan's header; NextMarker passes over it because a 0xff in it
    // is followed by 0 or is a restart marker.
    return Status::Ok();
  }

  Status Frame(std::span<const uint8_t> segment) {
    if (segment.size() < 8) return InvalidArgument("the JPEG image is damaged: its frame header");
    if (header_.width != 0) return InvalidArgument("the JPEG image has two frames");
    header_.height = BigEndian16(&segment[3]);
    header_.width = BigEndian16(&segment[5]);
    if (header_.width == 0 || header_.height == 0) {
      return InvalidArgument("the JPEG image has no pixels: {} x {}", header_.width,
                             header_.height);
    }
    return Status::Ok();
  }

  std::span<const uint8_t> bytes_;
  size_t position_ = 0;
  int scans_ = 0;
  ImageHeader header_{ImageFormat::kJpeg};
};

Result<ImageHeader> ReadPng(std::span<const uint8_t> bytes) {
  ImageHeader header{ImageFormat::kPng};
  size_t position = kPngSignature.size();
  while (true) {
    constexpr size_t kChunkOverhead = 12;  // length, type, CRC
    const size_t left = bytes.size() - position;
    if (left < kChunkOverhead) return CutShort("PNG");
    const uint8_t* chunk = bytes.data() + position;
    const size_t length = BigEndian32(chunk);
    const std::string_view type(reinterpret_cast<const char*>(chunk) + 4, 4);
    if (length > left - kChunkOverhead) return CutShort("PNG");
    const bool first = header.width == 0;
    if (first != (type == "IHDR") || (first && length != 13)) {
      return InvalidArgument("the PNG image is damaged: it has to start with one IHDR chunk");
    }
    if (first) {
      header.width = BigEndian32(chunk + 8);
      header.height = BigEndian32(chunk + 12);
      if (header.width == 0 || header.height == 0) {
        return InvalidArgument("the PNG image has no pixels: {} x {}", header.width, header.height);
      }
    }
    if (type == "IEND") return header;
    position += kChunkOverhead + length;
  }
}

}  // namespace

Result<ImageHeader> ReadImageHeader(std::span<const uint8_t> encoded) {
  if (StartsWith(encoded, kJpegSignature)) {
    HAQ_ASSIGN_OR_RETURN(const ImageHeader header, JpegWalker(encoded).Walk());
    if (header.width == 0) return InvalidArgument("the JPEG image has no frame header");
    return header;
  }
  if (StartsWith(encoded, kPngSignature)) return ReadPng(encoded);
  return InvalidArgument("neither a JPEG nor a PNG image");
}

}  // namespace haq::data
