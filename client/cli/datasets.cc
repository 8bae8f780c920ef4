#include <fmt/format.h>
#include <stdlib.h>

#include <filesystem>
#include <memory>
#include <optional>

#include "client/cli/app.h"
#include "client/cli/json.h"
#include "client/cli/table.h"
#include "client/lib/names.h"
#include "core/base/exit_code.h"
#include "core/base/progress.h"
#include "core/data/dataset.h"

namespace haq::client {
namespace {

constexpr size_t kSkippedNamesShown = 5;

struct PushOptions {
  std::string id, folder, labels_file;
  bool skip_bad = false;
  uint64_t shard_mib = 64;
};

// A folder of its own for the shards, gone with the object.
class TemporaryFolder {
 public:
  static Result<std::unique_ptr<TemporaryFolder>> Make() {
    std::error_code error;
    std::string path = (std::filesystem::temp_directory_path(error) / "haq-push-XXXXXX").string();
    if (error || ::mkdtemp(path.data()) == nullptr) {
      return FailedPrecondition("cannot make a temporary folder {} (TMPDIR names where)", path);
    }
    return std::make_unique<TemporaryFolder>(path);
  }
  explicit TemporaryFolder(std::filesystem::path path) : path_(std::move(path)) {}
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

std::string Describe(const v1::Dataset& dataset) {
  std::string text = fmt::format("{}\n", dataset.name());
  text += fmt::format("  images     {}\n", dataset.images());
  text += fmt::format("  size       {} in {} shard{}\n", FormatBytes(dataset.size_bytes()),
                      dataset.shards_size(), dataset.shards_size() == 1 ? "" : "s");
  text += fmt::format("  labels     {}\n",
                      dataset.labelled() ? fmt::format("0 to {}", dataset.max_label()) : "none");
  text += fmt::format("  created    {}\n", FormatTime(dataset.create_time()));
  return text;
}

Status Upload(App* app, const std::vector<data::ShardInfo>& shards, v1::Dataset* dataset) {
  int64_t total = 0, before = 0;
  for (const auto& shard : shards) total += static_cast<int64_t>(shard.size_bytes);
  ProgressBar bar(app->progress_stream());
  for (const auto& shard : shards) {
    const auto report = [&](int64_t done, int64_t) {
      bar.Update("upload", before + done, total, 0, Unit::kBytes);
    };
    HAQ_ASSIGN_OR_RETURN(const std::string sha256, app->client().UploadFile(shard.path, report));
    dataset->add_shards()->set_sha256(sha256);
    before += static_cast<int64_t>(shard.size_bytes);
  }
  return {};
}

Result<int> Push(App* app, const PushOptions& options) {
  const std::string id = ShortName(options.id);
  // Before the work of packing; the server decides in the end.
  const auto existing = app->client().GetDataset("datasets/" + id);
  if (existing.ok()) return AlreadyExists("dataset_id: datasets/{} exists already", id);
  if (existing.status().code() != StatusCode::kNotFound) return existing.status();

  std::optional<std::filesystem::path> labels;
  if (!options.labels_file.empty()) labels = options.labels_file;
  HAQ_ASSIGN_OR_RETURN(data::FolderListing listing, data::ListFolder(options.folder, labels));
  v1::Dataset dataset;
  for (const std::string& name : listing.class_names) dataset.add_class_names(name);
  const auto images = static_cast<int64_t>(listing.entries.size());

  HAQ_ASSIGN_OR_RETURN(const auto temporary, TemporaryFolder::Make());
  data::ShardLimits limits;
  limits.max_shard_bytes = options.shard_mib << 20;
  std::vector<std::string> skipped;
  std::vector<data::ShardInfo> shards;
  {
    ProgressBar bar(app->progress_stream());
    const auto reader = data::ReadFolder(std::move(listing));
    HAQ_ASSIGN_OR_RETURN(
        shards,
        data::PackShards(*reader, temporary->path(), limits, options.skip_bad ? &skipped : nullptr,
                         [&](int64_t done) { bar.Update("pack", done, images); }));
  }
  HAQ_RETURN_IF_ERROR(Upload(app, shards, &dataset));
  app->Hint("the server checks every image ...");
  HAQ_ASSIGN_OR_RETURN(dataset, app->client().CreateDataset(id, dataset));
  if (app->json()) {
    auto document = ToJson(dataset);
    document["skipped"] = skipped;
    app->PrintJson(document);
    return kExitOk;
  }
  app->Print(Describe(dataset));
  if (options.skip_bad) app->Print(fmt::format("  skipped    {}\n", skipped.size()));
  for (size_t i = 0; i < std::min(skipped.size(), kSkippedNamesShown); ++i) {
    app->Hint(fmt::format("skipped {}", skipped[i]));
  }
  return kExitOk;
}

Result<int> List(App* app) {
  HAQ_ASSIGN_OR_RETURN(const auto datasets, app->client().ListDatasets());
  if (app->json()) {
    auto list = nlohmann::ordered_json::array();
    for (const auto& dataset : datasets) list.push_back(ToJson(dataset));
    app->PrintJson({{"datasets", list}});
    return kExitOk;
  }
  Table table(
      {{"NAME"}, {"IMAGES", Align::kRight}, {"SIZE", Align::kRight}, {"LABELS"}, {"CREATED"}});
  for (const auto& dataset : datasets) {
    table.Add({ShortName(dataset.name()), std::to_string(dataset.images()),
               FormatBytes(dataset.size_bytes()),
               dataset.labelled() ? fmt::format("0 to {}", dataset.max_label()) : "none",
               FormatTime(dataset.create_time())});
  }
  app->Print(table.Text());
  return kExitOk;
}

Result<int> Show(App* app, const std::string& name) {
  HAQ_ASSIGN_OR_RETURN(const auto dataset, app->client().GetDataset(FullName("datasets", name)));
  if (app->json()) {
    app->PrintJson(ToJson(dataset));
  } else {
    app->Print(Describe(dataset));
  }
  return kExitOk;
}

Result<int> Pull(App* app, const std::string& name, const std::filesystem::path& folder) {
  HAQ_ASSIGN_OR_RETURN(const auto dataset, app->client().GetDataset(FullName("datasets", name)));
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return FailedPrecondition("cannot make {}: {}", folder.string(), error.message());
  {
    ProgressBar bar(app->progress_stream());
    int64_t before = 0;
    for (int i = 0; i < dataset.shards_size(); ++i) {
      const auto& shard = dataset.shards(i);
      HAQ_RETURN_IF_ERROR(app->client().DownloadBlob(
          shard.sha256(), shard.size_bytes(), folder / fmt::format("shard-{:05}.tar", i),
          [&](int64_t done, int64_t) {
            bar.Update("download", before + done, dataset.size_bytes(), 0, Unit::kBytes);
          }));
      before += shard.size_bytes();
    }
  }
  if (app->json()) {
    auto document = ToJson(dataset);
    document["folder"] = folder.string();
    app->PrintJson(document);
  } else {
    app->Print(fmt::format("{}  {}, {} shards, {}\n", folder.string(), dataset.name(),
                           dataset.shards_size(), FormatBytes(dataset.size_bytes())));
  }
  return kExitOk;
}

Result<int> Delete(App* app, const std::string& name, bool force) {
  const std::string full = FullName("datasets", name);
  HAQ_RETURN_IF_ERROR(app->client().DeleteDataset(full, force));
  if (app->json()) {
    app->PrintJson({{"deleted", full}});
  } else {
    app->Print("deleted " + full + "\n");
  }
  return kExitOk;
}

void AddPush(CLI::App* group, App* app) {
  auto push = std::make_shared<PushOptions>();
  CLI::App* command = app->AddCommand(
      group, "push", "Pack a folder of images, upload it and register it under a name",
      "haq datasets push cifar-test data/cifar10/test\n"
      "haq datasets push imagenet-val val --labels imagenet_synsets.txt --skip-bad",
      [app, push] { return Push(app, *push); });
  command->add_option("NAME", push->id, "Name of the dataset: a-z, 0-9, '_', '.', '-'")->required();
  command
      ->add_option("DIR", push->folder,
                   "Folder with one subfolder per class (labels in alphabetical order), or with "
                   "images without labels")
      ->required();
  command
      ->add_option("--labels", push->labels_file,
                   "Text file: the line (from 0) on which a subfolder's name stands is its label")
      ->type_name("FILE");
  command->add_flag("--skip-bad", push->skip_bad,
                    "Leave out images that cannot be decoded and say how many");
  command->add_option("--shard-mib", push->shard_mib, "Largest shard in MiB (default 64)")
      ->check(NumberFrom(1, 64))
      ->type_name("MIB");
}

}  // namespace

void AddDatasetCommands(CLI::App* root, App* app) {
  CLI::App* group = App::AddGroup(root, "datasets", "Image sets on the server");
  AddPush(group, app);
  app->AddCommand(group, "list", "List the datasets", "haq datasets list\nhaq datasets list --json",
                  [app] { return List(app); });

  auto name = std::make_shared<std::string>();
  CLI::App* command =
      app->AddCommand(group, "show", "Show one dataset", "haq datasets show cifar-test",
                      [app, name] { return Show(app, *name); });
  command->add_option("NAME", *name, "Name of the dataset")->required();

  auto folder = std::make_shared<std::string>();
  command = app->AddCommand(group, "pull", "Download a dataset's tar shards",
                            "haq datasets pull cifar-test shards/",
                            [app, name, folder] { return Pull(app, *name, *folder); });
  command->add_option("NAME", *name, "Name of the dataset")->required();
  command->add_option("DIR", *folder, "Folder to write shard-00000.tar, ... to; made if need be")
      ->required();

  auto force = std::make_shared<bool>(false);
  command = app->AddCommand(group, "delete", "Delete a dataset", "haq datasets delete cifar-test",
                            [app, name, force] { return Delete(app, *name, *force); });
  command->add_option("NAME", *name, "Name of the dataset")->required();
  command->add_flag("--force", *force, "Also when jobs use it: they fail");
}

}  // namespace haq::client
