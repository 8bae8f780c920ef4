// Every case of the ONNX project whose operators the importer claims.
#include <gtest/gtest.h>

#include <set>

#include "core/import/onnx/import.h"
#include "tests/unit/core/import/onnx/node_cases.h"

namespace haq::import {
namespace {

bool IsClaimed(const test::NodeCase& node_case, const std::set<std::string>& claimed) {
  for (const auto& node : node_case.model.graph().node()) {
    if (!node.domain().empty() || !claimed.contains(node.op_type())) return false;
  }
  return true;
}

bool IsRefusal(const Status& status) {
  return status.code() == StatusCode::kUnsupported || status.code() == StatusCode::kInvalidArgument;
}

// Cases, by the beginning of their name (or the whole of it, before a $), of uses that the importer
// refuses, and why.
struct Skip {
  std::string begins, reason;
  bool Covers(const std::string& name) const {
    return begins.ends_with('$') ? name + "$" == begins : name.starts_with(begins);
  }
};
const Skip kSkips[] = {
    {"test_averagepool_1d", "not an image"},
    {"test_averagepool_3d", "not an image"},
    {"test_batchnorm_epsilon_training", "training"},
    {"test_batchnorm_example_training", "training"},
    {"test_cast_BFLOAT16_to", "bfloat16"},
    {"test_cast_DOUBLE_to_FLOAT16", "half precision is computed in single precision"},
    {"test_cast_FLOAT_to_BFLOAT16", "bfloat16"},
    {"test_cast_FLOAT_to_FLOAT16", "half precision is computed in single precision"},
    {"test_cast_FLOAT_to_STRING", "strings"},
    {"test_cast_STRING_to_FLOAT", "strings"},
    {"test_castlike_BFLOAT16_to", "bfloat16"},
    {"test_castlike_DOUBLE_to_FLOAT16", "half precision is computed in single precision"},
    {"test_castlike_FLOAT_to_BFLOAT16", "bfloat16"},
    {"test_castlike_FLOAT_to_FLOAT16", "half precision is computed in single precision"},
    {"test_castlike_FLOAT_to_STRING", "strings"},
    {"test_castlike_STRING_to_FLOAT", "strings"},
    {"test_clip_default_int8", "integers as activations"},
    {"test_constantofshape_int_shape_zero", "an empty output"},
    {"test_dropout_default_mask", "the mask is asked for"},
    {"test_edge_pad", "pads with other than a constant"},
    {"test_gemm_all_attributes", "transposes the batch"},
    {"test_gemm_default_matrix_bias", "another bias for each sample"},
    {"test_gemm_transposeA", "transposes the batch"},
    {"test_identity_opt", "an input that is no tensor"},
    {"test_identity_sequence", "an input that is no tensor"},
    {"test_layer_normalization", "a square root of an activation"},
    {"test_matmul_3d", "multiplies by more than a matrix"},
    {"test_matmul_4d", "multiplies by more than a matrix"},
    {"test_max_uint32", "unsigned integers of 32 and 64 bits"},
    {"test_max_uint64", "unsigned integers of 32 and 64 bits"},
    {"test_maxpool_1d", "not an image"},
    {"test_maxpool_2d_uint8", "integers as activations"},
    {"test_maxpool_3d", "not an image"},
    {"test_maxpool_with_argmax", "the indices are asked for"},
    {"test_min_uint32", "unsigned integers of 32 and 64 bits"},
    {"test_min_uint64", "unsigned integers of 32 and 64 bits"},
    {"test_mvn_expanded", "works across the batch"},
    {"test_pow_types_float", "a power that is no single number of the same type"},
    {"test_pow_types_int32_float32", "a power that is no single number of the same type"},
    {"test_pow_types_int64_float32", "a power that is no single number of the same type"},
    {"test_pow_types_int$", "a power that is no single number of the same type"},
    {"test_prelu_example", "another slope for each sample"},
    {"test_reduce_mean_default_axes", "works across the batch"},
    {"test_reduce_prod", "products of activations"},
    {"test_reduce_sum_default_axes", "works across the batch"},
    {"test_reflect_pad", "pads with other than a constant"},
    {"test_reshape_allowzero", "an empty output"},
    {"test_resize_downsample", "makes images smaller"},
    {"test_resize_tf_crop", "crops"},
    {"test_resize_upsample_scales_cubic", "interpolates"},
    {"test_resize_upsample_scales_linear", "interpolates"},
    {"test_resize_upsample_sizes_cubic", "interpolates"},
    {"test_resize_upsample_sizes_nearest", "a factor that is not whole, or uneven repetition"},
    {"test_slice_start_out_of_bounds", "an empty output"},
    {"test_softmax_axis_0", "works across the batch"},
    {"test_split_equal_parts_1d", "splits the batch"},
    {"test_split_equal_parts_default_axis", "splits the batch"},
    {"test_split_variable_parts_1d", "splits the batch"},
    {"test_split_variable_parts_default_axis", "splits the batch"},
    {"test_split_zero_size_splits", "an empty output"},
    {"test_training_dropout", "training"},
};

const Skip* FindSkip(const std::string& name) {
  for (const Skip& skip : kSkips) {
    if (skip.Covers(name)) return &skip;
  }
  return nullptr;
}

struct Count {
  int as_network = 0, as_constants = 0, skipped = 0;
};

void RunCase(const test::NodeCase& node_case, Count& count) {
  const Skip* skip = FindSkip(node_case.name);
  const Status network = test::RunAsNetwork(node_case);
  const Status constants = network.ok() ? Status() : test::RunAsConstants(node_case);
  if (skip != nullptr) {
    EXPECT_FALSE(network.ok() || constants.ok()) << node_case.name << " works, no need to skip it";
    std::printf("skipped %s: %s\n", node_case.name.c_str(), skip->reason.c_str());
    ++count.skipped;
    return;
  }
  EXPECT_TRUE(network.ok() || IsRefusal(network)) << node_case.name << ": " << network.ToString();
  EXPECT_TRUE(constants.ok()) << node_case.name << ": as a network: " << network.ToString()
                              << "; as constants: " << constants.ToString();
  ++(network.ok() ? count.as_network : count.as_constants);
}

TEST(OnnxNodeCasesTest, GiveTheStandardsOutputs) {
  const std::vector<test::NodeCase> cases = test::ReadNodeCases();
  if (cases.empty()) GTEST_SKIP() << "libonnx-testdata is not installed";
  const std::vector<std::string> supported = SupportedOnnxOperators();
  const std::set<std::string> claimed(supported.begin(), supported.end());
  Count count;
  for (const test::NodeCase& node_case : cases) {
    if (IsClaimed(node_case, claimed)) RunCase(node_case, count);
  }
  std::printf("%d cases as networks, %d as constants, %d skipped\n", count.as_network,
              count.as_constants, count.skipped);
  EXPECT_GE(count.as_network, 130);
  EXPECT_GE(count.as_constants, 120);
}

}  // namespace
}  // namespace haq::import
