// What the use cases work on; owned by Service.
#pragma once

#include <mutex>

#include "server/api/artifact_listener.h"
#include "server/api/limits.h"
#include "server/jobs/queue.h"
#include "server/store/blob_store.h"
#include "server/store/clock.h"
#include "server/store/metadata.h"

namespace haq::server::api {

struct Context {
  store::Metadata& metadata;
  store::BlobStore& blobs;
  jobs::Queue& queue;
  const store::Clock& clock;
  const Limits limits;
  ArtifactListener* const artifact_listener;  // may be null
  // Held over a change of versions and the call of the listener, so that it sees them in order.
  std::mutex versions_mutex;
};

}  // namespace haq::server::api
