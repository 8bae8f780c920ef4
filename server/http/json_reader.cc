#include "server/http/json_reader.h"

namespace haq::server::http {
namespace {

using Json = nlohmann::json;

// Builds the document from events, but for the arrays under inputs[i].data.
class Reader : public nlohmann::json_sax<Json> {
 public:
  bool null() override {
    if (in_data_ > 0) return Fail("null in \"data\"");
    return Add(nullptr);
  }
  bool boolean(bool value) override { return in_data_ > 0 ? Number(value) : Add(value); }
  bool number_integer(number_integer_t value) override {
    return in_data_ > 0 ? Number(static_cast<double>(value)) : Add(value);
  }
  bool number_unsigned(number_unsigned_t value) override {
    return in_data_ > 0 ? Number(static_cast<double>(value)) : Add(value);
  }
  bool number_float(number_float_t value, const string_t&) override {
    return in_data_ > 0 ? Number(value) : Add(value);
  }
  bool string(string_t& value) override {
    if (in_data_ == 0) return Add(std::move(value));
    auto& strings = result_.data.back().strings;
    if (strings.size() >= kMaxDataStrings) {
      failure_ = InvalidArgument("the request's JSON has more than {} strings in \"data\"",
                                 kMaxDataStrings);
      return false;
    }
    strings.push_back(std::move(value));
    return true;
  }
  bool binary(binary_t&) override { return Fail("binary values"); }

  bool start_object(size_t) override {
    if (in_data_ > 0) return Fail("an object in \"data\"");
    if (InInputs()) result_.data.emplace_back();
    return Open(Json::object());
  }
  bool key(string_t& name) override {
    key_ = std::move(name);
    return CountValue();
  }
  bool end_object() override { return Close(); }
  bool start_array(size_t) override {
    if (in_data_ == 0 && IsData()) {
      if (result_.data.back().present) return Fail("\"data\" twice in one input");
      result_.data.back().present = true;
      in_data_ = 1;
      return true;
    }
    if (in_data_ > 0) {
      if (in_data_ + open_.size() >= kMaxJsonDepth) return TooDeep();
      ++in_data_;
      return true;
    }
    return Open(Json::array());
  }
  bool end_array() override {
    if (in_data_ == 0) return Close();
    --in_data_;
    return true;
  }
  bool parse_error(size_t position, const std::string&,
                   const nlohmann::detail::exception& error) override {
    // The library's text after its own number and position.
    std::string what = error.what();
    const size_t at = what.find("parse error");
    if (at != std::string::npos) what = what.substr(at);
    failure_ = InvalidArgument("the request's JSON: byte {}: {}", position, what.substr(0, 300));
    return false;
  }

  Result<InferenceJson> Finish() {
    if (!failure_.ok()) return failure_;
    if (!result_.document.is_object()) {
      return InvalidArgument("the request's JSON must be an object");
    }
    return std::move(result_);
  }

 private:
  struct Frame {
    Json* value;
    std::string name;  // under which it lies in an object
  };

  bool Fail(const std::string& what) {
    failure_ = InvalidArgument("the request's JSON: {} is not allowed", what);
    return false;
  }
  bool TooDeep() {
    failure_ = InvalidArgument("the request's JSON nests deeper than {} levels", kMaxJsonDepth);
    return false;
  }
  bool CountValue() {
    if (++values_ <= kMaxJsonValues) return true;
    failure_ = InvalidArgument("the request's JSON has more than {} values outside of \"data\"",
                               kMaxJsonValues);
    return false;
  }
  // An element of the document's "inputs" begins.
  bool InInputs() const {
    return open_.size() == 2 && open_[1].name == "inputs" && open_[1].value->is_array();
  }
  bool IsData() const {
    return open_.size() == 3 && open_[1].name == "inputs" && open_[1].value->is_array() &&
           open_[2].value->is_object() && key_ == "data";
  }
  bool Number(double value) {
    result_.data.back().numbers.push_back(static_cast<float>(value));
    return true;
  }

  // Where the value lies from now on. Pointers to open values stay: only the innermost grows.
  Json* Place(Json value) {
    if (open_.empty()) {
      result_.document = std::move(value);
      return &result_.document;
    }
    Json& parent = *open_.back().value;
    if (parent.is_array()) {
      parent.push_back(std::move(value));
      return &parent.back();
    }
    return &(parent[key_] = std::move(value));
  }
  bool Add(Json value) {
    if (!CountValue()) return false;
    Place(std::move(value));
    return true;
  }
  bool Open(Json value) {
    if (open_.size() >= kMaxJsonDepth) return TooDeep();
    if (!CountValue()) return false;
    const bool named = !open_.empty() && open_.back().value->is_object();
    // "inputs" twice: the elements and their data must stay in step.
    if (open_.size() == 1 && key_ == "inputs") result_.data.clear();
    Json* const placed = Place(std::move(value));
    open_.push_back({placed, named ? key_ : ""});
    return true;
  }
  bool Close() {
    open_.pop_back();
    return true;
  }

  InferenceJson result_;
  Status failure_;
  std::vector<Frame> open_;
  std::string key_;
  size_t values_ = 0;
  size_t in_data_ = 0;  // depth within "data"
};

}  // namespace

Result<InferenceJson> ReadInferenceJson(std::string_view text) {
  Reader reader;
  Json::sax_parse(text, &reader);
  return reader.Finish();
}

}  // namespace haq::server::http
