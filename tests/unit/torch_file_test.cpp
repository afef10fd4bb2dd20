// SPDX-License-Identifier: Apache-2.0
// Files of torch.save: those that PyTorch wrote, and what each defect is called.
#include "core/checkpoint/torch_file.hpp"

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <map>
#include <set>

#include "core/checkpoint/checkpoint.hpp"
#include "core/error.hpp"
#include "tests/support/torch_writer.hpp"

namespace torch_file_test {

using namespace onnxport;
using namespace onnxport::torch_writer;
using namespace std::string_literals;
namespace fs = std::filesystem;

namespace {

const fs::path fixtures = fs::path(ONNXPORT_TEST_SOURCE_DIR) / "fixtures/torch";

std::map<std::string, Weight> weights_of(const std::vector<StoredTensor>& tensors) {
  std::map<std::string, Weight> weights;
  for (const StoredTensor& stored : tensors)
    BOOST_TEST(weights.emplace(stored.name, Weight{std::make_shared<const StoredTensor>(stored), {}}).second);
  return weights;
}

TorchFile parse(const std::string& bytes) {
  return parse_torch_file({reinterpret_cast<const std::byte*>(bytes.data()), bytes.size()}, "w.bin");
}

std::string refusal(const std::string& bytes) {
  try {
    parse(bytes);
  } catch (const Error& error) {
    BOOST_TEST((error.failure() == Failure::checkpoint));
    BOOST_TEST(!error.hint().empty());
    return error.what();
  }
  return "accepted";
}

struct Defect {
  std::string bytes, message;
};
void check_refused(const std::vector<Defect>& defects) {
  for (const Defect& defect : defects) {
    const std::string text = refusal(defect.bytes);
    BOOST_TEST(text.find("w.bin") != std::string::npos);
    BOOST_CHECK_MESSAGE(text.find(defect.message) != std::string::npos,
                        "expected '" << defect.message << "', got: " << text.substr(0, 300));
  }
}

/// The text with the first `from` behind `begin` made into `to`.
std::string replaced(std::string text, const std::string& from, const std::string& to, size_t begin = 0) {
  const size_t at = text.find(from, begin);
  BOOST_REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

/// An archive whose dict has the tensor 'a'.
std::string with_tensor(const TensorFields& fields) {
  return archive(dict(text("a") + tensor(fields)));
}
std::string with_storage(const StorageFields& fields) {
  return with_tensor({.storage = storage(fields)});
}

}  // namespace

BOOST_AUTO_TEST_SUITE(torch_files)

BOOST_AUTO_TEST_CASE(what_pytorch_wrote_is_read) {
  size_t files = 0;
  for (const auto& item : fs::directory_iterator(fixtures)) {
    if (item.path().extension() != ".bin") continue;
    ++files;
    BOOST_TEST_CONTEXT(item.path().filename()) {
      const auto found = weights_of(read_torch_file(item.path().string()).tensors);
      const auto expected =
          weights_of(read_safetensors(fs::path(item.path()).replace_extension("safetensors").string()));
      BOOST_TEST(found.size() == expected.size());
      for (const auto& [name, weight] : expected) {
        BOOST_TEST_CONTEXT(name) {
          BOOST_REQUIRE(found.contains(name));
          BOOST_TEST((materialize(found.at(name)) == materialize(weight)));
        }
      }
    }
  }
  BOOST_TEST(files >= 8u);
}

BOOST_AUTO_TEST_CASE(views_and_tied_tensors_are_views) {
  for (const char* file : {"views.bin", "views_legacy.bin"}) {
    const auto found = weights_of(read_torch_file((fixtures / file).string()).tensors);
    BOOST_TEST(found.at("tied.a").same_as(found.at("tied.b")));
    BOOST_TEST(found.at("tied.a").same_as(found.at("tied.c")));
    BOOST_TEST(!found.at("base").same_as(found.at("transposed")));
    BOOST_TEST(found.at("rows").stored->strides.empty());
    BOOST_TEST(found.at("rows").stored->offset == found.at("base").stored->offset + 2 * 10 * 4);
    BOOST_TEST(found.at("transposed").stored->strides == (std::vector<int64_t>{1, 10}),
               boost::test_tools::per_element());
    BOOST_TEST(found.at("expanded").stored->bytes == 7u * 6 * 4);
  }
}

BOOST_AUTO_TEST_CASE(what_is_no_tensor_is_noted) {
  const TorchFile file = read_torch_file((fixtures / "beside.bin").string());
  BOOST_TEST(file.tensors.size() == 1u);
  BOOST_REQUIRE(file.notes.size() == 1u);
  for (const char* entry : {"'epoch' (the number 3)", "'loss' (the number 0.5)", "'name' (a text)", "'none' (None)",
                            "'config' (a dict of 1)"})
    BOOST_TEST(file.notes[0].find(entry) != std::string::npos);
  BOOST_TEST(read_torch_file((fixtures / "module.bin").string()).notes.empty());
}

BOOST_AUTO_TEST_CASE(files_put_together_by_hand_are_good) {
  BOOST_TEST(refusal(with_tensor({})) == "accepted");
  BOOST_TEST(refusal(with_tensor({.function = global("torch._utils", "_rebuild_tensor")})) == "accepted");
  BOOST_TEST(refusal(with_storage({.type = global("torch.cuda", "FloatStorage")})) == "accepted");
  BOOST_TEST(refusal(archive(dict(""))) == "accepted");
  BOOST_TEST(refusal(archive(dict(text("size") + global("torch", "Size") + tuple(numbers({2, 3})) + "R"))) ==
             "accepted");
  BOOST_TEST(refusal(legacy({})) == "accepted");
  BOOST_TEST(refusal(zip({{"m/data.pkl", pickled(dict(text("a") + tensor({}))), 0, 8, true},
                          {"m/data/0", std::string(24, '\1'), 0, 8, true}})) == "accepted");
  // Python 2: an OrderedDict made of a list of lists, and its short texts.
  BOOST_TEST(refusal(archive(global("collections", "OrderedDict") + "(](](U\1a" + tensor({}) + "eetR")) == "accepted");
  // A storage that is a part of another, which only the old form has.
  const std::string part = storage({.count = 6, .view = tuple(text("v") + number(2) + number(4))});
  const std::string bytes =
      legacy({.value = dict(text("a") + tensor({.storage = part, .shape = {4}, .strides = {1}}))});
  const TorchFile file = parse(bytes);
  BOOST_TEST(file.tensors[0].offset == bytes.size() - 16);
  BOOST_TEST(file.tensors[0].bytes == 16u);
}

BOOST_AUTO_TEST_CASE(what_asks_for_more_is_named) {
  const std::string command = "(" + text("touch x") + "tR";
  check_refused({
      {archive(global("os", "system") + command), "the pickle asks for os.system"},
      {archive(text("posix") + text("system") + "\x93" + command), "asks for posix.system"},
      {archive(dict(text("a") + global("numpy.core.multiarray", "scalar"))), "asks for numpy.core.multiarray.scalar"},
      {with_storage({.type = global("torch", "QInt8Storage")}), "asks for torch.QInt8Storage"},
      {with_tensor({.function = global("torch._utils", "_rebuild_qtensor")}), "asks for torch._utils._rebuild_qtensor"},
      {archive(dict(text("a") + global("torch.storage", "_load_from_bytes"))), "torch.storage._load_from_bytes"},
      {archive("(ios\nsystem\n"), "asks for the opcode INST"},
      {archive(global("torch", "Size") + ")\x81"), "asks for the opcode NEWOBJ"},
      {archive("\x82\1"), "asks for the opcode EXT1"},
      {archive("\x97"), "asks for the opcode NEXT_BUFFER"},
      {archive("\xff"), "the opcode 0xff at byte 2, which does not exist"},
      {archive(dict(text("a") + tuple(text("module") + text("x")) + "Q")), "'a' is a storage, expected a tensor"},
      {legacy({.value = tuple(text("module") + text("x")) + "Q"}), "asks for a module"},
      {legacy({.value = global("os", "system") + command}), "asks for os.system"},
  });
}

BOOST_AUTO_TEST_CASE(broken_pickles_are_told_apart) {
  const std::string a = dict(text("a") + tensor({}));
  check_refused({
      {zip({{"m/data.pkl", ""}}), "the pickle ends within its opcode at byte 0"},
      {zip({{"m/data.pkl", "}."}}), "does not begin with its protocol"},
      {zip({{"m/data.pkl", "\x80\1}."}}), "protocol 1; 2 to 5 are known"},
      {zip({{"m/data.pkl", "\x80\2}"}}), "ends within its opcode at byte 3"},
      {archive("X\xff\xff\xff\xff"), "ends within its opcode at byte 2"},
      {archive("ctorch\nFloat"), "ends within its opcode"},
      {archive("\x95" + raw(uint64_t{1} << 62)), "ends within its frame"},
      {archive("}}"), "ends with more than one value"},
      {archive("}("), "takes more than there is"},
      {archive(""), "takes more than there is"},
      {archive("(0."), "takes more than there is"},
      {archive("t"), "no mark for its opcode"},
      {archive("}a"), "takes more than there is"},
      {archive("]]s"), "takes more than there is"},
      {archive("]}a}"), "more than one value"},
      {archive("}NNe"), "no mark"},
      {archive("N(Ne"), "adds items to what takes none"},
      {archive("}(Nu"), "a key without a value"},
      {archive("h\7"), "refers to value 7"},
      {archive("j" + raw(uint32_t{1} << 31)), "refers to value 2147483648"},
      {archive("N)R"), "calls what is no global"},
      {archive(global("torch", "Size") + "NR"), "without a tuple of arguments"},
      {archive(global("torch", "Size") + ")R}b"), "adds items to what takes none"},
      {archive(text("a") + "N\x93"), "names a global by something else than text"},
      {archive(global("collections", "OrderedDict") + "(](NetR"), "what is no list of pairs"},
      {archive(std::string(9'000'000, 'N')), "more than 8000000 values"},
      // One list again and again, so that a small file would take much memory.
      {archive(
           "](" +
           [] {
             std::string pairs;
             for (int i = 0; i < 4000; ++i) pairs += "NN\x86";
             return pairs;
           }() +
           "eq\1" +
           [] {
             std::string calls;
             for (int i = 0; i < 4000; ++i) calls += global("collections", "OrderedDict") + "h\1\x85R0";
             return calls;
           }()),
       "more than 8000000 values"},
  });
}

BOOST_AUTO_TEST_CASE(broken_tensors_are_told_apart) {
  check_refused({
      {archive("N"), "holds None, expected a dict of tensors"},
      {archive(tensor({})), "a call of torch._utils._rebuild_tensor_v2, expected a dict"},
      {archive(dict(number(1) + tensor({}))), "a key that is the number 1"},
      {archive(dict(text("\xff") + tensor({}))), "a key that is no UTF-8 text"},
      {archive(dict(text("a") + tensor({}) + text("a") + tensor({}))), "the tensor 'a' is there twice"},
      {archive(dict(text("state_dict") + dict(text("a") + tensor({})))),
       "the entry 'state_dict' is a dict of 1, expected a tensor"},
      {archive(dict(text("all") + "](" + tensor({}) + "e")), "the entry 'all' is a list of 1"},
      {archive(dict(text("a") + global("torch._utils", "_rebuild_parameter") + "(N\x89NtR")), "a parameter of None"},
      {archive(dict(text("a") + global("torch._utils", "_rebuild_parameter") + ")R")), "a parameter of nothing"},
      {archive(dict(text("a") + global("torch._utils", "_rebuild_tensor_v2") + ")R")), "with 0 arguments"},
      {archive(dict(text("a") + global("torch", "FloatStorage") + ")R")), "'a' is a call of torch.FloatStorage"},
      {archive(dict(text("a") + global("torch._tensor", "_rebuild_from_type_v2") + "(NNNNtR")),
       "'a' is put together in an unknown form"},
      {with_tensor({.metadata = dict(text("neg") + "\x88")}), "'a' is a lazily negated or conjugated view"},
      {with_tensor({.storage = "N"}), "'a' has no storage"},
      {with_tensor({.offset = -1}), "'a': its offset is the number -1"},
      {with_tensor({.shape = {2, -3}}), "'a': its shape is the number -3"},
      {with_tensor({.shape = {2}}), "1 sizes and 2 strides"},
      {with_tensor({.shape = std::vector<int64_t>(17, 1)}), "no tuple of at most 16 numbers"},
      {with_tensor({.shape = {int64_t{1} << 40, int64_t{1} << 40}}), "its shape and strides overflow"},
      {with_tensor({.shape = {int64_t{1} << 40, 2}, .strides = {int64_t{1} << 40, 1}}), "shape and strides overflow"},
      {with_tensor({.offset = 1}), "at element 1 of the storage '0': outside its 24 bytes"},
      {with_tensor({.offset = INT64_MAX}), "outside its 24 bytes"},
      {with_tensor({.shape = {2, 2}, .strides = {1, 5}}), "outside its 24 bytes"},
      {with_storage({.count = 7}), "would have 7 elements of f32; the file has 24 bytes"},
      {with_storage({.count = INT64_MAX}), "the file has 24 bytes"},
      {with_storage({.count = -1}), "a storage's length is the number -1"},
      {with_storage({.key = "1"}), "has no entry 'm/data/1'"},
      {with_storage({.key = "../data.pkl"}), "has no entry 'm/data/../data.pkl'"},
      {with_storage({.type = global("torch", "LongStorage")}), "would have 6 elements of i64"},
      {with_storage({.type = "N"}), "None where a tensor's type belongs"},
      {with_storage({.view = tuple("NNN")}), "a storage's offset is None"},
      {with_storage({.view = tuple(text("v") + number(4) + number(3))}), "a view of it would end behind them"},
      {with_storage({.view = "NN"}), "a storage in an unknown form"},
  });
}

BOOST_AUTO_TEST_CASE(broken_archives_are_told_apart) {
  const std::string good = with_tensor({});
  const std::string value = pickled(dict(text("a") + tensor({})));
  check_refused({
      {"", "is no file of torch.save"},
      {"x", "is no file of torch.save"},
      {good.substr(0, good.size() - 30), "zip directory is missing"},
      {"PK\x03\x04" + std::string(100, '\0'), "zip directory is missing"},
      {replaced(good, "PK\x01\x02", "PK\x01\x03"), "there is no directory entry at byte"},
      {replaced(good, "PK\x03\x04", "PK\x03\x05", 4), "there is no header of an entry at byte"},
      {replaced(good, "m/byteorder", "m/byteOrder"), "directory and header of the entry 'm/byteorder' differ"},
      {good.substr(0, good.size() - 6) + raw(uint32_t{0x7fffffff}) + raw(uint16_t{0}),
       "the directory entry would lie at [2147483647, 2147483647 + 46)"},
      {good.substr(0, good.size() - 12) + raw(uint16_t{9}) + good.substr(good.size() - 10),
       "the directory entry would lie at"},
      {good.substr(20), "is no file of torch.save"},
      {zip({{"data.pkl", value}}), "without a data.pkl"},
      {zip({{"m/data.pkl", value}, {"n/data.pkl", value}}), "holds both 'm/data.pkl' and 'n/data.pkl'"},
      {zip({{"m/data.pkl", value}, {"m/constants.pkl", value}}), "a TorchScript program"},
      {zip({{"m/data.pkl", value, 8}}), "'m/data.pkl' is compressed"},
      {zip({{"m/data.pkl", value}, {"m/data/0", std::string(24, '\1'), 8}}), "'m/data/0' is compressed"},
      {zip({{"m/data.pkl", value, 0, 1}}), "'m/data.pkl' is encrypted"},
      {zip({{"m/data.pkl", value}, {"m/data.pkl", value}}), "'m/data.pkl' is there twice"},
      {zip({{"m/data.pkl", value}, {"m/data/0", std::string(20, '\1')}}), "the file has 20 bytes for it"},
      {archive(dict(""), "big"), "has the byte order 'big', expected 'little'"},
  });
}

BOOST_AUTO_TEST_CASE(broken_files_of_the_old_form_are_told_apart) {
  const std::string two_sizes =
      dict(text("a") + tensor({}) + text("b") +
           tensor({.storage = storage({.type = global("torch", "HalfStorage")}), .shape = {1}, .strides = {1}}));
  check_refused({
      {pickled("}"), "it holds a pickle (a dict of 0), but is not of torch.save"},
      {legacy({.magic = number(1)}), "the number 1), but is not of torch.save"},
      {legacy({.protocol = 1002}), "its protocol is the number 1002, expected 1001"},
      {legacy({.system = dict(text("little_endian") + "\x89")}), "written by a big-endian machine"},
      {legacy({.system = "N"}), "says of its machine is None"},
      {legacy({.keys = "N"}), "its list of storages is None"},
      {legacy({.keys = "]"}), "the storage '0' is used and not listed"},
      {legacy({.keys = "](" + text("1") + "e"}), "names '1', which no tensor has"},
      {legacy({.keys = "](Ne"}), "names '', which no tensor has"},
      {legacy({.keys = "](" + text("0") + text("0") + "e", .storages = raw(int64_t{0}) + raw(int64_t{0})}),
       "'0' is listed twice"},
      {legacy({.storages = "1234567"}), "ends before the storage '0'"},
      {legacy({.storages = raw(int64_t{6}) + std::string(23, '\1')}), "6 elements of 4 bytes; the file has 23 bytes"},
      {legacy({.storages = raw(int64_t{-1}) + std::string(24, '\1')}), "would have -1 elements"},
      {legacy({.storages = raw(INT64_MAX) + std::string(24, '\1')}), "elements of 4 bytes"},
      {legacy({.storages = raw(int64_t{5}) + std::string(24, '\1')}), "would have 6 elements of f32; the file has 20"},
      {legacy({.value = two_sizes}), "'0' has elements of two sizes"},
  });
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace torch_file_test
