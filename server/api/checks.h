// Checks that several use cases share.
#pragma once

#include <google/protobuf/repeated_field.h>

#include <string>
#include <vector>

#include "server/api/context.h"

namespace haq::server::api {

// kInvalidArgument for `field` when there are too many names, or one is too long.
Status CheckClassNames(const std::string& field,
                       const google::protobuf::RepeatedPtrField<std::string>& names,
                       const Limits& limits);

// Before `resource` is deleted: kFailedPrecondition with the names of the active jobs that use it,
// or, with `force`, ends them as FAILED.
Status EndJobsThatUse(Context& context, store::Transaction& transaction, jobs::Effects& effects,
                      const std::string& resource, const std::vector<store::JobRecord>& active,
                      bool force);

}  // namespace haq::server::api
