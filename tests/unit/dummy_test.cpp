// SPDX-License-Identifier: Apache-2.0
#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>
#include <set>

#include "core/dummy/dummy_inputs.hpp"
#include "core/error.hpp"
#include "tests/support/temporary_folder.hpp"

namespace onnxport::dummy_test {
namespace {

namespace fs = std::filesystem;
using ir::DType;

using Files = std::map<std::string, std::string>;  // name -> contents

/// A folder with the given files, gone at the end.
class Folder {
 public:
  explicit Folder(const Files& files) {
    for (const auto& [name, text] : files) std::ofstream(path / name) << text;
  }
  test::TemporaryFolder path;
};

ir::Shape shape(const std::vector<std::string>& dims) {
  ir::Shape out;
  for (const std::string& dim : dims) out.push_back(ir::Dim::parse(dim));
  return out;
}

Description text_model(const std::vector<std::string>& dims, int64_t vocabulary = 100, int64_t types = 2) {
  Description out;
  out.inputs = {{"input_ids", {DType::i64, shape(dims)}, vocabulary, {}, ONNXPORT_ROLE_IDS},
                {"attention_mask", {DType::i64, shape(dims)}, 0, {}, ONNXPORT_ROLE_MASK, "input_ids"},
                {"token_type_ids", {DType::i64, shape(dims)}, types, {}, ONNXPORT_ROLE_TOKEN_TYPES, "input_ids"}};
  return out;
}

InputSpec input(const std::string& name, DType dtype, const std::vector<std::string>& dims, Role role,
                const std::string& of = {}) {
  InputSpec spec{name, {dtype, shape(dims)}};
  spec.role = role;
  spec.of = of;
  return spec;
}

std::vector<int64_t> row(const Tensors& tensors, const std::string& name, int64_t index) {
  const ir::Tensor& tensor = tensors.at(name);
  const int64_t n = tensor.shape.back();
  const auto all = tensor.as<int64_t>();
  return {all.begin() + index * n, all.begin() + (index + 1) * n};
}

Preprocessor cls_sep() {
  Preprocessor out;
  out.before = {1};
  out.between = out.after = {2};
  out.pair_defined = true;
  out.unk = 3;
  out.pad = 0;
  out.special = {0, 1, 2, 3, 4};
  return out;
}

const char* const processors[][2] = {
    {"bert", R"({"type":"BertProcessing","sep":["[SEP]",102],"cls":["[CLS]",101]})"},
    {"roberta", R"({"type":"RobertaProcessing","sep":["</s>",102],"cls":["<s>",101],"trim_offsets":true})"},
    {"template", R"({"type":"TemplateProcessing",
        "single":[{"SpecialToken":{"id":"[CLS]","type_id":0}},{"Sequence":{"id":"A","type_id":0}},{"SpecialToken":{"id":"[SEP]","type_id":0}}],
        "pair":[{"SpecialToken":{"id":"[CLS]","type_id":0}},{"Sequence":{"id":"A","type_id":0}},{"SpecialToken":{"id":"[SEP]","type_id":0}},
                {"Sequence":{"id":"B","type_id":1}},{"SpecialToken":{"id":"[SEP]","type_id":1}}],
        "special_tokens":{"[CLS]":{"id":"[CLS]","ids":[101],"tokens":["[CLS]"]},"[SEP]":{"id":"[SEP]","ids":[102],"tokens":["[SEP]"]}}})"},
    {"sequence",
     R"({"type":"Sequence","processors":[{"type":"ByteLevel"},{"type":"BertProcessing","sep":["[SEP]",102],"cls":["[CLS]",101]}]})"},
};

}  // namespace

BOOST_AUTO_TEST_SUITE(preprocessor)

BOOST_AUTO_TEST_CASE(reads_every_post_processor) {
  for (const auto& [kind, text] : processors) {
    BOOST_TEST_CONTEXT(kind) {
      const Folder folder(Files{
          {"tokenizer.json",
           R"({"added_tokens":[{"id":0,"content":"[PAD]","special":true},{"id":100,"content":"[UNK]","special":true}],
          "padding":{"direction":"Left","pad_id":0},"post_processor":)" +
               std::string(text) +
               R"(,"model":{"type":"WordPiece","unk_token":"[UNK]","vocab":{"a":7,"[UNK]":100},"merges":[["a","b"]]}})"}});
      const auto found = Preprocessor::from_folder(folder.path);
      BOOST_REQUIRE(found.has_value());
      BOOST_TEST(found->before == std::vector<int64_t>{101});
      BOOST_TEST(found->after == std::vector<int64_t>{102});
      const bool doubled = std::string(kind) == "roberta";
      BOOST_TEST(found->between == (doubled ? std::vector<int64_t>{102, 102} : std::vector<int64_t>{102}));
      BOOST_TEST(found->pair_defined);
      BOOST_TEST(found->unk.value() == 100);
      BOOST_TEST(found->pad.value() == 0);
      BOOST_TEST(found->pads_left);
      BOOST_TEST(found->special == (std::vector<int64_t>{0, 100, 101, 102}));
    }
  }
}

BOOST_AUTO_TEST_CASE(reads_unigram_unk_and_drops_its_vocabulary) {
  const Folder folder(
      Files{{"tokenizer.json",
             R"({"model":{"type":"Unigram","unk_id":2,"vocab":[["<s>",0.0],["</s>",0.0],["<unk>",0.0]]}})"}});
  BOOST_TEST(Preprocessor::from_folder(folder.path)->unk.value() == 2);
}

BOOST_AUTO_TEST_CASE(reads_a_word_list) {
  const Folder folder({{"vocab.txt", "[PAD]\r\n[UNK]\r\n[CLS]\r\n[SEP]\r\n[MASK]\r\nword\r\n"},
                       {"special_tokens_map.json", R"({"cls_token":{"content":"[CLS]"},"sep_token":"[SEP]"})"}});
  const auto found = Preprocessor::from_folder(folder.path);
  BOOST_REQUIRE(found.has_value());
  BOOST_TEST(found->before == std::vector<int64_t>{2});
  BOOST_TEST(found->after == std::vector<int64_t>{3});
  BOOST_TEST(found->unk.value() == 1);
  BOOST_TEST(found->pad.value() == 0);
}

BOOST_AUTO_TEST_CASE(reads_image_sizes) {
  const Folder folder(
      Files{{"preprocessor_config.json",
             R"({"size":{"shortest_edge":256},"crop_size":{"height":224,"width":192},"image_mean":[0,0,0]})"}});
  const auto found = Preprocessor::from_folder(folder.path);
  BOOST_TEST(found->image_height.value() == 224);
  BOOST_TEST(found->image_width.value() == 192);
  BOOST_TEST(found->channels.value() == 3);
}

BOOST_AUTO_TEST_CASE(image_sizes_in_every_form) {
  struct Row {
    const char* text;
    int64_t height, width;  // 0: not told
  };
  const Row rows[] = {
      {R"({"size":224})", 224, 224},
      {R"({"size":{"height":384,"width":320}})", 384, 320},
      {R"({"size":{"shortest_edge":800,"longest_edge":1333}})", 800, 800},
      {R"({"size":{"max_height":40,"max_width":50}})", 40, 50},
      {R"({"size":256,"crop_size":224})", 224, 224},
      {R"({"size":{"shortest_edge":256},"do_center_crop":false,"crop_size":{"height":224,"width":224}})", 256, 256},
      {R"({"size":{"height":256,"width":256},"do_center_crop":null,"crop_size":null})", 256, 256},
      {R"({"size":224,"do_resize":false})", 0, 0},
      {R"({"size":224,"do_resize":false,"do_center_crop":true,"crop_size":96})", 96, 96},
  };
  for (const Row& row : rows) {
    const Folder folder(Files{{"preprocessor_config.json", row.text}});
    const auto found = Preprocessor::from_folder(folder.path);
    BOOST_TEST(found->image_height.value_or(0) == row.height, row.text);
    BOOST_TEST(found->image_width.value_or(0) == row.width, row.text);
  }
}

BOOST_AUTO_TEST_CASE(what_becomes_of_black_and_white) {
  const auto range = [](const char* text) {
    return Preprocessor::from_folder(Folder(Files{{"preprocessor_config.json", text}}).path)->pixel_range;
  };
  using Range = std::vector<std::pair<float, float>>;
  BOOST_TEST((range(R"({"image_mean":[0.5,0.25],"image_std":[0.5,0.25]})") == Range{{-1, 1}, {-1, 3}}));
  BOOST_TEST((range(R"({"do_normalize":false,"image_mean":[0.5],"image_std":[0.5]})") == Range{{0, 1}}));
  BOOST_TEST((range(R"({"do_rescale":false,"do_normalize":false})") == Range{{0, 255}}));
  BOOST_TEST(
      (range(R"({"rescale_factor":0.0078125,"image_mean":[1],"image_std":[2]})") == Range{{-0.5F, 0.49609375F}}));
  BOOST_TEST(range(R"({"image_mean":[1],"image_std":[0]})").empty());
}

BOOST_AUTO_TEST_CASE(nothing_there_is_no_error_and_broken_is_one) {
  BOOST_TEST(!Preprocessor::from_folder(Folder(Files{{"config.json", "{}"}}).path).has_value());
  for (const char* text : {"{", "[]", R"({"post_processor":{"type":"TemplateProcessing"}})",
                           R"({"added_tokens":[{"id":"x","content":"a","special":true}]})"}) {
    const Folder folder(Files{{"tokenizer.json", text}});
    BOOST_CHECK_EXCEPTION(Preprocessor::from_folder(folder.path), Error,
                          [](const Error& e) { return e.failure() == Failure::checkpoint; });
  }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(dummy_inputs)

BOOST_AUTO_TEST_CASE(repeats_unk_between_special_tokens) {
  const Preprocessor tokenizer = cls_sep();
  const Tensors tensors = generate_dummy_inputs(text_model({"batch", "sequence"}), Json::object(), &tokenizer, {});
  BOOST_TEST(tensors.at("input_ids").shape == (std::vector<int64_t>{2, 8}));
  BOOST_TEST(row(tensors, "input_ids", 1) == (std::vector<int64_t>{1, 3, 3, 3, 3, 3, 3, 2}));
  BOOST_TEST(row(tensors, "attention_mask", 1) == std::vector<int64_t>(8, 1));
  BOOST_TEST(row(tensors, "token_type_ids", 1) == std::vector<int64_t>(8, 0));
}

BOOST_AUTO_TEST_CASE(pairs_have_two_segments) {
  const Preprocessor tokenizer = cls_sep();
  const Tensors tensors =
      generate_dummy_inputs(text_model({"batch", "sequence"}), Json::object(), &tokenizer, {.is_pair = true});
  BOOST_TEST(row(tensors, "input_ids", 0) == (std::vector<int64_t>{1, 3, 3, 3, 2, 3, 3, 2}));
  BOOST_TEST(row(tensors, "token_type_ids", 0) == (std::vector<int64_t>{0, 0, 0, 0, 0, 1, 1, 1}));
  const Tensors one =
      generate_dummy_inputs(text_model({"batch", "sequence"}, 100, 1), Json::object(), &tokenizer, {.is_pair = true});
  BOOST_TEST(row(one, "token_type_ids", 0) == std::vector<int64_t>(8, 0));
}

BOOST_AUTO_TEST_CASE(varied_rows_differ_and_are_padded) {
  Preprocessor tokenizer = cls_sep();
  for (const bool left : {false, true}) {
    tokenizer.pads_left = left;
    const Tensors tensors = generate_dummy_inputs(text_model({"batch", "sequence"}, 100, 3), Json::object(), &tokenizer,
                                                  {.batch_size = 3, .seq_length = 11, .varied = true, .seed = 1});
    std::set<int64_t> lengths, segments;
    for (int64_t r = 0; r < 3; ++r) {
      const auto ids = row(tensors, "input_ids", r), mask = row(tensors, "attention_mask", r),
                 types = row(tensors, "token_type_ids", r);
      int64_t length = 0;
      for (size_t i = 0; i < 11; ++i) {
        BOOST_TEST((mask[i] == 0) == (ids[i] == 0));
        BOOST_TEST(ids[i] < 100);
        length += mask[i];
        segments.insert(types[i]);
      }
      const size_t begin = left ? 11 - static_cast<size_t>(length) : 0;
      BOOST_TEST(ids[begin] == 1);
      BOOST_TEST(ids[begin + static_cast<size_t>(length) - 1] == 2);
      BOOST_TEST(std::count(ids.begin(), ids.end(), 2) == 1);
      lengths.insert(length);
    }
    BOOST_TEST(lengths.size() == 3u);
    BOOST_TEST(lengths.contains(11));
    BOOST_TEST((segments == std::set<int64_t>{0, 1, 2}));
    BOOST_TEST(row(tensors, "input_ids", 0) != row(tensors, "input_ids", 1));
  }
}

BOOST_AUTO_TEST_CASE(rows_padded_at_either_end) {
  Preprocessor tokenizer = cls_sep();
  for (const bool left : {false, true}) {
    tokenizer.pads_left = left;
    const auto mask_of = [&](Padding padding, int64_t r) {
      const DummyOptions options{.batch_size = 3, .seq_length = 11, .varied = true, .padding = padding};
      return row(generate_dummy_inputs(text_model({"batch", "sequence"}), Json::object(), &tokenizer, options),
                 "attention_mask", r);
    };
    const std::vector<int64_t> all(11, 1);
    BOOST_TEST(mask_of(Padding::both, 0) == all, boost::test_tools::per_element());
    BOOST_TEST(mask_of(Padding::both, 1) == mask_of(Padding::usual, 1), boost::test_tools::per_element());
    std::vector<int64_t> single(11, 0);
    single[left ? 0 : 10] = 1;
    BOOST_TEST(mask_of(Padding::both, 2) == single, boost::test_tools::per_element());
    BOOST_TEST(mask_of(Padding::none, 1) == all, boost::test_tools::per_element());
    BOOST_TEST(mask_of(Padding::left, 1).front() == 0);
    BOOST_TEST(mask_of(Padding::left, 1).back() == 1);
    BOOST_TEST(mask_of(Padding::right, 1).front() == 1);
    BOOST_TEST(mask_of(Padding::right, 1).back() == 0);
  }
}

BOOST_AUTO_TEST_CASE(same_seed_same_numbers) {
  Description model = text_model({"batch", "choice", "sequence"});
  model.inputs.push_back(input("pixel_values", DType::f32, {"batch", "3", "height", "width"}, ONNXPORT_ROLE_PIXELS));
  const Json config = {{"image_size", 4}};
  const DummyOptions options{.varied = true, .seed = 7};
  const Tensors a = generate_dummy_inputs(model, config, nullptr, options),
                b = generate_dummy_inputs(model, config, nullptr, options);
  BOOST_TEST((a == b));
  BOOST_TEST((a != generate_dummy_inputs(model, config, nullptr, {.varied = true, .seed = 8})));
  BOOST_TEST(a.at("input_ids").shape == (std::vector<int64_t>{2, 4, 8}));
  BOOST_TEST(a.at("pixel_values").shape == (std::vector<int64_t>{2, 3, 4, 4}));
  // The numbers themselves, so that another compiler or library cannot change them unseen.
  BOOST_TEST(row(a, "input_ids", 0) == (std::vector<int64_t>{29, 8, 14, 84, 70, 89, 20, 81}),
             boost::test_tools::per_element());
  BOOST_TEST(a.at("pixel_values").as<float>()[0] == 0.529857397f);
  for (const float value : a.at("pixel_values").as<float>()) BOOST_TEST((value >= -1.0f && value < 1.0f));
}

BOOST_AUTO_TEST_CASE(images_are_of_the_sizes_and_values_that_the_processor_makes) {
  Description model;
  model.inputs = {
      input("pixel_values", DType::f32, {"batch", "num_channels", "height", "width"}, ONNXPORT_ROLE_PIXELS)};
  const Json config = {{"image_size", {6, 4}}, {"num_channels", 2}};
  const auto made = [&](const Preprocessor* preprocessor, const DummyOptions& options) {
    return generate_dummy_inputs(model, config, preprocessor, options).at("pixel_values");
  };
  BOOST_TEST(made(nullptr, {}).shape == (std::vector<int64_t>{2, 2, 6, 4}));
  BOOST_TEST(made(nullptr, {.batch_size = 1, .image_height = 9, .image_width = 5}).shape ==
             (std::vector<int64_t>{1, 2, 9, 5}));
  const Json bare = {{"num_channels", 1}};
  BOOST_TEST(generate_dummy_inputs(model, bare, nullptr, {}).at("pixel_values").shape ==
             (std::vector<int64_t>{2, 1, 224, 224}));
  const Json detector = {{"num_channels", 3}, {"backbone_config", {{"num_channels", 1}}}};
  BOOST_TEST(generate_dummy_inputs(model, detector, nullptr, {}).at("pixel_values").shape ==
             (std::vector<int64_t>{2, 1, 224, 224}));

  Preprocessor processor;
  processor.image_height = processor.image_width = 8;
  processor.pixel_range = {{-2, -1}, {10, 30}};
  const ir::Tensor pixels = made(&processor, {});
  BOOST_TEST(pixels.shape == (std::vector<int64_t>{2, 2, 8, 8}));
  for (size_t i = 0; i < pixels.as<float>().size(); ++i) {
    const auto& [black, white] = processor.pixel_range[i / 64 % 2];
    BOOST_TEST((pixels.as<float>()[i] >= black && pixels.as<float>()[i] < white));
  }
}

BOOST_AUTO_TEST_CASE(a_past_has_another_length_and_the_mask_covers_both) {
  Description model;
  model.inputs = {
      input("input_ids", DType::i64, {"batch", "sequence"}, ONNXPORT_ROLE_IDS),
      input("attention_mask", DType::i64, {"batch", "past_sequence + sequence"}, ONNXPORT_ROLE_MASK, "input_ids"),
      input("position_ids", DType::i64, {"batch", "sequence"}, ONNXPORT_ROLE_POSITIONS, "input_ids"),
      input("past_key_values.0.key", DType::f32, {"batch", "4", "past_sequence", "6"}, ONNXPORT_ROLE_STATE)};
  model.inputs[0].limit = 50;
  Preprocessor tokenizer = cls_sep();
  tokenizer.pads_left = true;
  const Tensors tensors =
      generate_dummy_inputs(model, Json::object(), &tokenizer, {.batch_size = 2, .seq_length = 5, .varied = true});
  BOOST_TEST(tensors.at("past_key_values.0.key").shape == (std::vector<int64_t>{2, 4, 7, 6}));
  BOOST_TEST(tensors.at("attention_mask").shape == (std::vector<int64_t>{2, 12}));
  BOOST_TEST(row(tensors, "position_ids", 0) == (std::vector<int64_t>{7, 8, 9, 10, 11}));
  const auto mask = row(tensors, "attention_mask", 1);
  const int64_t padding = std::count(mask.begin(), mask.end(), 0);
  BOOST_TEST(padding > 0);
  BOOST_TEST(mask.front() == 0);
  BOOST_TEST(row(tensors, "position_ids", 1).back() == 11 - padding);
}

BOOST_AUTO_TEST_CASE(without_a_tokenizer_the_config_tells_special_tokens) {
  const Json config = {{"bos_token_id", 0}, {"eos_token_id", {2, 5}}, {"pad_token_id", 1}};
  const Tensors tensors = generate_dummy_inputs(text_model({"batch", "sequence"}), config, nullptr, {.seq_length = 5});
  BOOST_TEST(row(tensors, "input_ids", 0) == (std::vector<int64_t>{0, 3, 3, 3, 2}));
  // Ids beyond the vocabulary do not reach the model.
  const Json beyond = {{"bos_token_id", 1000}, {"eos_token_id", nullptr}, {"pad_token_id", -1}};
  const Tensors safe = generate_dummy_inputs(text_model({"batch", "sequence"}), beyond, nullptr, {.seq_length = 3});
  BOOST_TEST(row(safe, "input_ids", 0) == (std::vector<int64_t>{0, 0, 0}));
}

/// Of several modalities the texts have a config of their own. A row of one token ends, since models look for that.
BOOST_AUTO_TEST_CASE(a_text_config_tells_special_tokens) {
  const Json config = {{"text_config", {{"bos_token_id", 0}, {"eos_token_id", 2}, {"pad_token_id", 1}}}};
  const Tensors tensors =
      generate_dummy_inputs(text_model({"batch", "sequence"}), config, nullptr,
                            {.batch_size = 3, .seq_length = 5, .varied = true, .padding = Padding::both});
  BOOST_TEST(row(tensors, "input_ids", 0).back() == 2);
  const auto single = row(tensors, "input_ids", 2);
  BOOST_TEST(std::count(single.begin(), single.end(), 1) == 4);
  BOOST_TEST(std::count(single.begin(), single.end(), 2) == 1);
}

BOOST_AUTO_TEST_CASE(short_rows_and_single_tokens) {
  const Preprocessor tokenizer = cls_sep();
  for (int64_t n = 1; n < 6; ++n) {
    const Tensors tensors = generate_dummy_inputs(text_model({"batch", "sequence"}), Json::object(), &tokenizer,
                                                  {.batch_size = 4, .seq_length = n, .is_pair = true, .varied = true});
    for (int64_t r = 0; r < 4; ++r) BOOST_TEST(row(tensors, "attention_mask", r).front() == 1);
  }
}

BOOST_AUTO_TEST_CASE(boxes_are_in_order) {
  Description model;
  model.inputs = {input("bbox", DType::i64, {"batch", "sequence", "4"}, ONNXPORT_ROLE_BOXES)};
  const Tensors tensors = generate_dummy_inputs(model, Json::object(), nullptr, {.varied = true});
  const auto boxes = tensors.at("bbox").as<int64_t>();
  for (size_t i = 0; i < boxes.size(); i += 4)
    BOOST_TEST((boxes[i] <= boxes[i + 2] && boxes[i + 1] <= boxes[i + 3] && boxes[i + 2] <= 1000));
}

BOOST_AUTO_TEST_CASE(each_text_has_a_mask_of_its_own) {
  Description model;
  for (const std::string text : {"question", "answer"}) {
    model.inputs.push_back(input(text, DType::i64, {"batch", text + "s"}, ONNXPORT_ROLE_IDS));
    model.inputs.push_back(input(text + "_seen", DType::i64, {"batch", text + "s"}, ONNXPORT_ROLE_MASK, text));
    model.inputs.back().limit = 0;
    model.axes[text + "s"] = {.usual = text == "question" ? 9 : 17};
  }
  const Json config = {{"pad_token_id", 1}, {"vocab_size", 50}};
  const Tensors tensors = generate_dummy_inputs(model, config, nullptr, {.batch_size = 3, .varied = true});
  int64_t padded = 0;
  for (const std::string text : {"question", "answer"}) {
    for (int64_t r = 0; r < 3; ++r) {
      const auto ids = row(tensors, text, r), mask = row(tensors, text + "_seen", r);
      for (size_t i = 0; i < ids.size(); ++i) BOOST_TEST((ids[i] == 1) == (mask[i] == 0));
      padded += std::count(mask.begin(), mask.end(), 0);
    }
  }
  BOOST_TEST(tensors.at("answer_seen").shape == (std::vector<int64_t>{3, 17}));
  BOOST_TEST(padded > 2);
}

BOOST_AUTO_TEST_CASE(sound_has_a_shortest_length_and_steps) {
  Description model;
  model.inputs = {input("sound", DType::f32, {"batch", "samples"}, ONNXPORT_ROLE_WAVEFORM),
                  input("heard", DType::i64, {"batch", "samples"}, ONNXPORT_ROLE_MASK, "sound")};
  model.inputs[0].low = -0.25;
  model.inputs[0].high = 0.5;
  model.axes["samples"] = {.usual = 500, .minimum = 400, .maximum = 1000, .step = 320};
  const auto length = [&](int64_t wanted) {
    DummyOptions options{.batch_size = 2, .varied = true};
    if (wanted > 0) options.sizes["samples"] = wanted;
    return generate_dummy_inputs(model, Json::object(), nullptr, options).at("sound").shape[1];
  };
  BOOST_TEST(length(0) == 640);
  BOOST_TEST(length(10) == 640);
  BOOST_TEST(length(641) == 960);
  BOOST_TEST(length(5000) == 960);
  const Tensors tensors = generate_dummy_inputs(model, Json::object(), nullptr, {.batch_size = 2, .varied = true});
  for (const float sample : tensors.at("sound").as<float>()) BOOST_TEST((sample >= -0.25F && sample < 0.5F));
  const auto first = row(tensors, "heard", 0), second = row(tensors, "heard", 1);
  BOOST_TEST(std::count(first.begin(), first.end(), 0) == 0);
  BOOST_TEST(second.front() == 1);
  BOOST_TEST(second.back() == 0);
}

BOOST_AUTO_TEST_CASE(images_of_one_batch_fill_their_place_or_not) {
  Description model;
  model.inputs = {input("image", DType::f32, {"batch", "3", "height", "width"}, ONNXPORT_ROLE_PIXELS),
                  input("there", DType::i64, {"batch", "height", "width"}, ONNXPORT_ROLE_MASK, "image")};
  const Json config = {{"image_size", {8, 6}}};
  const auto mask = generate_dummy_inputs(model, config, nullptr, {.varied = true}).at("there");
  const auto there = mask.as<int64_t>();
  BOOST_TEST(std::count(there.begin(), there.begin() + 48, 0) == 0);
  BOOST_TEST(std::count(there.begin() + 48, there.end(), 1) == 6 * 4);
}

BOOST_AUTO_TEST_CASE(what_is_said_of_values_holds) {
  Description model;
  model.inputs = {input("global", DType::i64, {"batch", "sequence"}, ONNXPORT_ROLE_GLOBAL_MASK),
                  input("use", DType::boolean, {"1"}, ONNXPORT_ROLE_FLAG),
                  input("scale", DType::f32, {"batch"}, ONNXPORT_ROLE_OTHER)};
  model.inputs[1].fill = 1;
  model.inputs[2].fill = 0.5;
  const Tensors tensors = generate_dummy_inputs(model, Json::object(), nullptr, {.seq_length = 3});
  BOOST_TEST(row(tensors, "global", 1) == (std::vector<int64_t>{1, 0, 0}));
  BOOST_TEST(tensors.at("use").as<uint8_t>()[0] == 1);
  BOOST_TEST(tensors.at("scale").as<float>()[1] == 0.5F);
}

BOOST_AUTO_TEST_CASE(an_input_without_a_role_goes_by_its_type) {
  Description model;
  model.inputs = {{"a", {DType::i64, shape({"batch", "sequence"})}, 9},
                  {"b", {DType::i64, shape({"batch", "sequence"})}},
                  {"c", {DType::i64, shape({"batch"})}},
                  {"d", {DType::f32, shape({"batch"})}}};
  settle_roles(model);
  BOOST_TEST(model.inputs[1].role == ONNXPORT_ROLE_MASK);
  BOOST_TEST(model.inputs[1].of == "a");
  BOOST_TEST(model.inputs[2].role == ONNXPORT_ROLE_OTHER);
  const Tensors tensors = generate_dummy_inputs(model, Json::object(), nullptr, {.batch_size = 3, .varied = true});
  for (const int64_t index : tensors.at("a").as<int64_t>()) BOOST_TEST((index >= 0 && index < 9));
  BOOST_TEST(row(tensors, "b", 0) == std::vector<int64_t>(8, 1));
  BOOST_TEST(row(tensors, "b", 1).back() == 0);
  BOOST_TEST(tensors.at("c").as<int64_t>()[2] == 1);
  BOOST_TEST(tensors.at("d").shape == (std::vector<int64_t>{3}));
}

BOOST_AUTO_TEST_CASE(an_unknown_axis_is_named) {
  Description model;
  model.inputs = {{"waves", {DType::f32, shape({"batch", "shells"})}}};
  BOOST_CHECK_EXCEPTION(generate_dummy_inputs(model, Json::object(), nullptr, {}), Error, [](const Error& e) {
    return e.failure() == Failure::plugin && std::string(e.what()).find("'shells'") != std::string::npos;
  });
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace onnxport::dummy_test
