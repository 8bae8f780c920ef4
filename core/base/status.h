// Status and Result<T>: how every fallible function of the project reports failure.
//
// The codes are split by who must act. A message says what was wrong, where, and what is allowed,
// and is written for the user: it survives unchanged to the gRPC client, the HTTP body and the
// command line. Exceptions of third-party libraries end at the wrapper that calls the library.
#pragma once

#include <fmt/format.h>

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace haq {

enum class StatusCode {
  kOk,
  kInvalidArgument,     // the caller must change the request or the file
  kNotFound,            // the caller named something that does not exist
  kAlreadyExists,       // the caller must choose another name
  kFailedPrecondition,  // the request is fine, the state of what it names is not
  kResourceExhausted,   // a documented limit was met; less, later, or a higher limit
  kUnsupported,         // understood, but this build has no such operator, format or version
  kCancelled,           // somebody asked for the work to stop
  kDeadlineExceeded,    // the time allowed was over
  kUnavailable,         // try again: the other side is away or restarting
  kDataLoss,            // stored or received bytes are damaged
  kUnauthenticated,     // the caller must say who it is: no token, or none that is known
  kPermissionDenied,    // the caller is known, and may not do this
  kInternal,            // a defect of this program
};

// "INVALID_ARGUMENT" and so on; what logs, job errors and `--json` print.
std::string_view StatusCodeName(StatusCode code);

// One field of a request that was wrong: `field` is its path in the request ("input_shape"), or the
// flag or JSON key that the user wrote.
struct FieldViolation {
  std::string field;
  std::string description;
};

class [[nodiscard]] Status {
 public:
  Status() = default;  // OK
  Status(StatusCode code, std::string message) : code_(code), message_(std::move(message)) {}

  static Status Ok() { return {}; }

  bool ok() const { return code_ == StatusCode::kOk; }
  StatusCode code() const { return code_; }
  const std::string& message() const { return message_; }
  const std::vector<FieldViolation>& fields() const { return fields_; }

  // "INVALID_ARGUMENT: input_shape: must have ..."
  std::string ToString() const;

  // The same failure with "`context`: " before its message; OK stays OK.
  Status WithContext(std::string_view context) const;

  Status& AddField(std::string field, std::string description) {
    fields_.push_back({std::move(field), std::move(description)});
    return *this;
  }

 private:
  StatusCode code_ = StatusCode::kOk;
  std::string message_;
  std::vector<FieldViolation> fields_;
};

template <typename... Args>
Status InvalidArgument(fmt::format_string<Args...> format, Args&&... args) {
  return {StatusCode::kInvalidArgument, fmt::format(format, std::forward<Args>(args)...)};
}
// INVALID_ARGUMENT whose message starts with the field and whose details name it.
template <typename... Args>
Status InvalidField(std::string field, fmt::format_string<Args...> format, Args&&... args) {
  std::string description = fmt::format(format, std::forward<Args>(args)...);
  Status status(StatusCode::kInvalidArgument, field + ": " + description);
  status.AddField(std::move(field), std::move(description));
  return status;
}
template <typename... Args>
Status NotFound(fmt::format_string<Args...> format, Args&&... args) {
  return {StatusCode::kNotFound, fmt::format(format, std::forward<Args>(args)...)};
}
template <typename... Args>
Status AlreadyExists(fmt::format_string<Args...> format, Args&&... args) {
  return {StatusCode::kAlreadyExists, fmt::format(format, std::forward<Args>(args)...)};
}
template <typename... Args>
Status FailedPrecondition(fmt::format_string<Args...> format, Args&&... args) {
  return {StatusCode::kFailedPrecondition, fmt::format(format, std::forward<Args>(args)...)};
}
template <typename... Args>
Status ResourceExhausted(fmt::format_string<Args...> format, Args&&... args) {
  return {StatusCode::kResourceExhausted, fmt::format(format, std::forward<Args>(args)...)};
}
template <typename... Args>
Status Unsupported(fmt::format_string<Args...> format, Args&&... args) {
  return {StatusCode::kUnsupported, fmt::format(format, std::forward<Args>(args)...)};
}
template <typename... Args>
Status Cancelled(fmt::format_string<Args...> format, Args&&... args) {
  return {StatusCode::kCancelled, fmt::format(format, std::forward<Args>(args)...)};
}
template <typename... Args>
Status Unavailable(fmt::format_string<Args...> format, Args&&... args) {
  return {StatusCode::kUnavailable, fmt::format(format, std::forward<Args>(args)...)};
}
template <typename... Args>
Status DataLoss(fmt::format_string<Args...> format, Args&&... args) {
  return {StatusCode::kDataLoss, fmt::format(format, std::forward<Args>(args)...)};
}
template <typename... Args>
Status Unauthenticated(fmt::format_string<Args...> format, Args&&... args) {
  return {StatusCode::kUnauthenticated, fmt::format(format, std::forward<Args>(args)...)};
}
template <typename... Args>
Status PermissionDenied(fmt::format_string<Args...> format, Args&&... args) {
  return {StatusCode::kPermissionDenied, fmt::format(format, std::forward<Args>(args)...)};
}
template <typename... Args>
Status InternalError(fmt::format_string<Args...> format, Args&&... args) {
  return {StatusCode::kInternal, fmt::format(format, std::forward<Args>(args)...)};
}

// A T, or the Status that says why there is none. Reading value() of a failure aborts with the
// message.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}  // NOLINT(google-explicit-constructor)
  Result(Status status) : status_(std::move(status)) { CheckFailed(); }  // NOLINT

  bool ok() const { return value_.has_value(); }
  const Status& status() const { return status_; }

  T& value() & { return CheckOk(), *value_; }
  const T& value() const& { return CheckOk(), *value_; }
  T&& value() && { return CheckOk(), *std::move(value_); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

 private:
  void CheckOk() const;
  void CheckFailed() const;

  Status status_;
  std::optional<T> value_;
};

namespace internal {
[[noreturn]] void DieBecauseOf(std::string_view what, const Status& status);
}  // namespace internal

template <typename T>
void Result<T>::CheckOk() const {
  if (!value_) internal::DieBecauseOf("value() of a failed Result", status_);
}
template <typename T>
void Result<T>::CheckFailed() const {
  if (status_.ok()) internal::DieBecauseOf("a Result without value needs a failure", status_);
}

#define HAQ_CONCAT_INNER(a, b) a##b
#define HAQ_CONCAT(a, b) HAQ_CONCAT_INNER(a, b)

// HAQ_RETURN_IF_ERROR(Check(x));
#define HAQ_RETURN_IF_ERROR(expression)                                               \
  do {                                                                                \
    if (::haq::Status haq_status = (expression); !haq_status.ok()) return haq_status; \
  } while (false)

// HAQ_ASSIGN_OR_RETURN(const Graph graph, Import(bytes));
#define HAQ_ASSIGN_OR_RETURN(declaration, expression) \
  HAQ_ASSIGN_OR_RETURN_IMPL(HAQ_CONCAT(haq_result_, __LINE__), declaration, expression)
#define HAQ_ASSIGN_OR_RETURN_IMPL(result, declaration, expression) \
  auto result = (expression);                                      \
  if (!result.ok()) return result.status();                        \
  declaration = *std::move(result)

}  // namespace haq
