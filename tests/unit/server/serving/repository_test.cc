#include "server/serving/repository.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/artifact/file.h"
#include "core/base/file.h"
#include "core/base/sha256.h"
#include "core/runtime/self_test.h"
#include "tests/unit/server/serving/test_model.h"

namespace haq::server::serving {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using State = ModelStatus::State;

class RepositoryTest : public ::testing::Test {
 protected:
  Status Load(const std::string& model, int64_t version, const std::filesystem::path& path) {
    repository_.Announce(model, version);
    return repository_.Load(model, version, path);
  }
  bool MetricsKnow(const std::string& model) {
    return metrics_.Scrape().find("model=\"" + model + "\"") != std::string::npos;
  }

  test::ModelFolder folder_;
  metrics::Metrics metrics_;
  Repository repository_{Settings{}, metrics_};
};

TEST_F(RepositoryTest, LoadsWhatTheArtifactSays) {
  const auto path = folder_.Save(test::SmallModel(1), "a.haq");
  ASSERT_TRUE(Load("small", 3, path).ok());
  const auto served = repository_.Acquire("small", "");
  ASSERT_TRUE(served.ok());
  EXPECT_EQ((*served)->name(), "small");
  EXPECT_EQ((*served)->version(), 3);
  EXPECT_THAT((*served)->input_shape(), ElementsAre(3, 8, 8));
  EXPECT_THAT((*served)->output_shape(), ElementsAre(5));
  EXPECT_EQ((*served)->sha256(), ToHex(Sha256Of(*ReadFile(path))));
  EXPECT_EQ((*served)->model().class_names.size(), 5u);
  EXPECT_EQ(repository_.Acquire("small", "3").value(), *served);
  EXPECT_TRUE(MetricsKnow("small"));
}

TEST_F(RepositoryTest, UnknownNamesAndVersionsAreNotFound) {
  ASSERT_TRUE(Load("small", 3, folder_.Save(test::SmallModel(1), "a.haq")).ok());
  const Status model = repository_.Acquire("nothing", "").status();
  EXPECT_EQ(model.code(), StatusCode::kNotFound);
  EXPECT_THAT(model.message(), HasSubstr("model_name: no model 'nothing' is served"));
  for (const char* version : {"2", "03", "x"}) {
    const Status status = repository_.Acquire("small", version).status();
    EXPECT_EQ(status.code(), StatusCode::kNotFound);
    EXPECT_EQ(status.message(), fmt::format("model_version: version '{}' of model 'small' is not "
                                            "served; '3' is",
                                            version));
  }
}

TEST_F(RepositoryTest, ASwapLeavesTheOldVersionToWhoHasIt) {
  const auto first = folder_.Save(test::SmallModel(1), "a.haq");
  ASSERT_TRUE(Load("small", 1, first).ok());
  const auto old = repository_.Acquire("small", "").value();
  std::filesystem::remove(first);
  repository_.Announce("small", 2);
  EXPECT_EQ(repository_.Acquire("small", "").value()->version(), 1);
  ASSERT_TRUE(repository_.Load("small", 2, folder_.Save(test::SmallModel(2), "b.haq")).ok());
  EXPECT_EQ(repository_.Acquire("small", "").value()->version(), 2);

  const auto inputs = test::SmallInputs(1);
  std::vector<float> answers(test::kSmallClasses);
  ASSERT_TRUE((*old->TakeSession())->Run(1, inputs, answers).ok());
  EXPECT_EQ(answers, test::DirectAnswers(test::SmallModel(1), inputs));
}

TEST_F(RepositoryTest, AnOlderVersionThatComesLateIsDropped) {
  const auto old = folder_.Save(test::SmallModel(1), "a.haq");
  repository_.Announce("small", 1);
  ASSERT_TRUE(Load("small", 2, folder_.Save(test::SmallModel(2), "b.haq")).ok());
  EXPECT_TRUE(repository_.Load("small", 1, old).ok());
  EXPECT_EQ(repository_.Acquire("small", "").value()->version(), 2);
}

TEST_F(RepositoryTest, ABrokenArtifactIsToldAndOthersGoOn) {
  ASSERT_TRUE(Load("good", 1, folder_.Save(test::SmallModel(1), "a.haq")).ok());
  const Status status = Load("bad", 4, folder_.SaveBroken("b.haq"));
  EXPECT_EQ(status.code(), StatusCode::kDataLoss);
  EXPECT_THAT(status.message(), AllOf(HasSubstr("version 4 of model 'bad'"), HasSubstr("b.haq")));
  EXPECT_EQ(repository_.Acquire("bad", "").status().code(), StatusCode::kUnavailable);
  EXPECT_THAT(repository_.Acquire("bad", "").status().message(), HasSubstr(status.message()));
  EXPECT_TRUE(repository_.Acquire("good", "").ok());
  const auto list = repository_.List();
  ASSERT_EQ(list.size(), 2u);
  EXPECT_EQ(list[0].state, State::kFailed);
  EXPECT_EQ(list[0].reason, status.message());
  EXPECT_EQ(list[1].state, State::kReady);
}

// Its checksum is right, but the machine computes something else.
TEST_F(RepositoryTest, AModelThatFailsItsSelfTestIsRefusedAndCounted) {
  artifact::Model model = test::SmallModel(1);
  model.golden = runtime::MakeGolden(model).value();
  ASSERT_TRUE(Load("good", 1, folder_.Save(model, "a.haq")).ok());
  EXPECT_THAT(metrics_.Scrape(), HasSubstr("haq_self_test_failures_total 0"));
  model.golden[1].output_sha256[0] ^= 1;
  const auto path = folder_.Save(model, "b.haq");
  const Status status = Load("wrong", 1, path);
  EXPECT_EQ(status.code(), StatusCode::kInternal);
  EXPECT_THAT(status.message(),
              AllOf(HasSubstr("version 1 of model 'wrong'"), HasSubstr("the self-test failed")));
  EXPECT_EQ(repository_.Acquire("wrong", "").status().code(), StatusCode::kUnavailable);
  EXPECT_THAT(metrics_.Scrape(), HasSubstr("haq_self_test_failures_total 1"));

  EXPECT_TRUE(ServedModel::Load("m", 1, path, {.skip_self_test = true}, metrics_).ok());
  EXPECT_THAT(metrics_.Scrape(), HasSubstr("haq_self_test_failures_total 1"));
}

TEST_F(RepositoryTest, ABrokenNewVersionLeavesTheOldOneServing) {
  ASSERT_TRUE(Load("small", 1, folder_.Save(test::SmallModel(1), "a.haq")).ok());
  EXPECT_FALSE(Load("small", 2, folder_.SaveBroken("b.haq")).ok());
  EXPECT_EQ(repository_.Acquire("small", "").value()->version(), 1);
  EXPECT_EQ(repository_.List()[0].ready_version, 1);
  EXPECT_EQ(repository_.List()[0].version, 2);
}

TEST_F(RepositoryTest, AnUnloadedModelAnswersOnceItIsAnnouncedAgain) {
  const auto path = folder_.Save(test::SmallModel(1), "a.haq");
  EXPECT_EQ(repository_.Unload("small").code(), StatusCode::kNotFound);
  ASSERT_TRUE(Load("small", 1, path).ok());
  const auto running = repository_.Acquire("small", "").value();
  ASSERT_TRUE(repository_.Unload("small").ok());
  EXPECT_EQ(repository_.Acquire("small", "").status().code(), StatusCode::kUnavailable);
  EXPECT_THAT(repository_.Acquire("small", "").status().message(), HasSubstr("was unloaded"));
  EXPECT_FALSE(MetricsKnow("small"));
  EXPECT_EQ(repository_.List()[0].state, State::kUnloaded);
  EXPECT_EQ(repository_.List()[0].ready_version, 0);
  // A load that was under way when it was unloaded brings nothing back.
  EXPECT_TRUE(repository_.Load("small", 1, path).ok());
  EXPECT_FALSE(repository_.Acquire("small", "").ok());
  ASSERT_TRUE(Load("small", 1, path).ok());
  EXPECT_TRUE(repository_.Acquire("small", "").ok());
  EXPECT_TRUE(running->TakeSession().ok());
}

TEST_F(RepositoryTest, RemoveForgets) {
  ASSERT_TRUE(Load("small", 1, folder_.Save(test::SmallModel(1), "a.haq")).ok());
  repository_.Remove("small");
  EXPECT_EQ(repository_.Acquire("small", "").status().code(), StatusCode::kNotFound);
  EXPECT_FALSE(repository_.Knows("small"));
  EXPECT_FALSE(MetricsKnow("small"));
  // A load that was under way when the model was deleted brings nothing back.
  EXPECT_TRUE(repository_.Load("small", 1, folder_.path() / "a.haq").ok());
  EXPECT_FALSE(repository_.Knows("small"));
}

TEST_F(RepositoryTest, WhileItLoadsAModelIsUnavailable) {
  repository_.Announce("small", 1);
  EXPECT_EQ(repository_.Acquire("small", "").status().code(), StatusCode::kUnavailable);
  EXPECT_EQ(repository_.List()[0].state, State::kLoading);
}

TEST(ServedModelTest, SessionsAreReusedAndTheArenaIsLimited) {
  test::ModelFolder folder;
  metrics::Metrics metrics;
  const auto path = folder.Save(test::SmallModel(1), "a.haq");
  const auto served = ServedModel::Load("m", 1, path, {}, metrics).value();
  runtime::Session* first = nullptr;
  {
    const auto lease = served->TakeSession().value();
    first = lease.get();
    EXPECT_EQ(lease->max_batch(), 8);
    EXPECT_NE(served->TakeSession().value().get(), first);
  }
  EXPECT_EQ(served->TakeSession().value().get(), first);

  const auto limited =
      ServedModel::Load("m", 1, path, {.max_arena_bytes = served->loaded().ArenaBytes(2)}, metrics);
  ASSERT_TRUE(limited.ok()) << limited.status().ToString();
  EXPECT_EQ((*limited)->session_batch(), 2);
  EXPECT_EQ(ServedModel::Load("m", 1, path, {.max_arena_bytes = 16}, metrics).status().code(),
            StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace haq::server::serving
