// SPDX-License-Identifier: Apache-2.0
#include "core/checkpoint/torch_tensors.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "core/checkpoint/zip_archive.hpp"
#include "core/error.hpp"
#include "core/listed.hpp"

namespace onnxport {
namespace {

using pickle::Document;
using pickle::Kind;
using pickle::Ref;
using pickle::Value;

constexpr size_t most_axes = 16;
constexpr const char* resave_hint =
    "load it with PyTorch and save its state dict alone, with torch.save or as model.safetensors";

// The globals that a dict of tensors needs, in groups that are one list for the pickle reader.
constexpr std::string_view from_type = "torch._tensor._rebuild_from_type_v2";
constexpr std::string_view function_names[] = {"torch._utils._rebuild_tensor",
                                               "torch._utils._rebuild_tensor_v2",
                                               "torch._utils._rebuild_tensor_v3",
                                               "torch._utils._rebuild_parameter",
                                               "torch._utils._rebuild_parameter_with_state",
                                               from_type,
                                               "torch.Size",
                                               "torch.Tensor",
                                               "torch.nn.parameter.Parameter",
                                               "torch.nn.parameter.Buffer"};
struct StorageType {
  std::string_view name;
  ir::DType dtype;
};
constexpr StorageType storage_types[] = {
    {"torch.FloatStorage", ir::DType::f32},
    {"torch.DoubleStorage", ir::DType::f64},
    {"torch.HalfStorage", ir::DType::f16},
    {"torch.BFloat16Storage", ir::DType::bf16},
    {"torch.LongStorage", ir::DType::i64},
    {"torch.IntStorage", ir::DType::i32},
    {"torch.ShortStorage", ir::DType::i16},
    {"torch.CharStorage", ir::DType::i8},
    {"torch.ByteStorage", ir::DType::u8},
    {"torch.BoolStorage", ir::DType::boolean},
    {"torch.cuda.FloatStorage", ir::DType::f32},
    {"torch.cuda.DoubleStorage", ir::DType::f64},
    {"torch.cuda.HalfStorage", ir::DType::f16},
    {"torch.cuda.BFloat16Storage", ir::DType::bf16},
    {"torch.cuda.LongStorage", ir::DType::i64},
    {"torch.cuda.IntStorage", ir::DType::i32},
    {"torch.cuda.ShortStorage", ir::DType::i16},
    {"torch.cuda.CharStorage", ir::DType::i8},
    {"torch.cuda.ByteStorage", ir::DType::u8},
    {"torch.cuda.BoolStorage", ir::DType::boolean},
    // Plain bytes; the tensor over them names its type.
    {"torch.storage.UntypedStorage", ir::DType::u8},
    {"torch.storage._UntypedStorage", ir::DType::u8},
    {"torch.float32", ir::DType::f32},
    {"torch.float64", ir::DType::f64},
    {"torch.float16", ir::DType::f16},
    {"torch.bfloat16", ir::DType::bf16},
    {"torch.float8_e4m3fn", ir::DType::f8e4m3fn},
    {"torch.float8_e5m2", ir::DType::f8e5m2},
    {"torch.int64", ir::DType::i64},
    {"torch.int32", ir::DType::i32},
    {"torch.int16", ir::DType::i16},
    {"torch.int8", ir::DType::i8},
    {"torch.uint64", ir::DType::u64},
    {"torch.uint32", ir::DType::u32},
    {"torch.uint16", ir::DType::u16},
    {"torch.uint8", ir::DType::u8},
    {"torch.bool", ir::DType::boolean},
};

/// Names of tensors become names in the model, which are UTF-8.
bool is_utf8(std::string_view text) {
  try {
    (void)nlohmann::json(text).dump();
    return true;
  } catch (const nlohmann::json::type_error&) {
    return false;
  }
}

/// Makes the entries of a pickled dict into tensors.
class Reader {
 public:
  Reader(const Document& document, const std::string& path) : document_(document), path_(path) {}

  /// ('storage', type, key, location, count[, view]); a view, of the form before 1.6, is (key, first, count) or None.
  TorchStorage storage(Ref id) const {
    const Value& tuple = at(id);
    if (tuple.kind != Kind::tuple || tuple.items.empty() || at(tuple.items[0]).kind != Kind::text)
      refuse("the pickle refers to something outside it by what is no tuple");
    if (at(tuple.items[0]).text != "storage") {
      throw Error(Failure::checkpoint,
                  fmt::format("{}: the pickle asks for a {}; expected storages of tensors only", path_,
                              at(tuple.items[0]).text),
                  resave_hint);
    }
    if (tuple.items.size() != 5 && tuple.items.size() != 6) refuse("the pickle refers to a storage in an unknown form");
    const Value& key = at(tuple.items[2]);
    if (key.kind != Kind::text) refuse("the pickle refers to a storage whose key is no text");
    TorchStorage storage{dtype(tuple.items[1]), std::string(key.text), 0, count(tuple.items[4], "a storage's length")};
    if (tuple.items.size() == 6 && at(tuple.items[5]).kind != Kind::none) {
      const Value& view = at(tuple.items[5]);
      if (view.kind != Kind::tuple || view.items.size() != 3)
        refuse("the pickle has a storage's view in an unknown form");
      storage.first = count(view.items[1], "a storage's offset");
      const uint64_t length = count(view.items[2], "a storage's length");
      if (storage.first > storage.count || length > storage.count - storage.first)
        refuse("the storage '{}' has {} elements; a view of it would end behind them", storage.key, storage.count);
      storage.count = length;
    }
    return storage;
  }

  TorchFile entries(const std::function<Extent(const TorchStorage&)>& locate) const {
    const Value& root = at(document_.root());
    if (root.kind != Kind::dict) {
      throw Error(Failure::checkpoint,
                  fmt::format("{} holds {}, expected a dict of tensors", path_, describe(document_.root())),
                  resave_hint);
    }
    TorchFile file;
    std::set<std::string_view> names;
    std::set<Ref> seen;
    std::vector<std::string> left_out;
    for (size_t i = 0; i < root.items.size(); i += 2) {
      const Value& key = at(root.items[i]);
      if (key.kind != Kind::text) refuse("the dict of tensors has a key that is {}", describe(root.items[i]));
      if (!is_utf8(key.text)) refuse("the dict of tensors has a key that is no UTF-8 text");
      if (!names.insert(key.text).second) refuse("the tensor '{}' is there twice", key.text);
      const Ref entry = root.items[i + 1];
      if (is_call(entry)) {
        file.tensors.push_back(tensor(std::string(key.text), entry, locate));
      } else if (is_harmless(entry, seen)) {
        left_out.push_back(fmt::format("'{}' ({})", key.text, describe(entry)));
      } else {
        throw Error(Failure::checkpoint,
                    fmt::format("{}: the entry '{}' is {}, expected a tensor", path_, key.text, describe(entry)),
                    resave_hint);
      }
    }
    std::sort(file.tensors.begin(), file.tensors.end(),
              [](const StoredTensor& a, const StoredTensor& b) { return a.name < b.name; });
    if (!left_out.empty()) {
      file.notes.push_back(
          fmt::format("{}: entries that are no tensors are left out: {}", path_, listed(left_out, 10)));
    }
    return file;
  }

 private:
  template <class... Args>
  [[noreturn]] void refuse(fmt::format_string<Args...> text, Args&&... args) const {
    throw Error(Failure::checkpoint, path_ + ": " + fmt::format(text, std::forward<Args>(args)...),
                broken_archive_hint);
  }
  const Value& at(Ref ref) const { return document_[ref]; }

  ir::DType dtype(Ref ref) const {
    const auto row = std::find_if(std::begin(storage_types), std::end(storage_types),
                                  [&](const StorageType& known) { return known.name == at(ref).text; });
    if (at(ref).kind != Kind::global || row == std::end(storage_types))
      refuse("the pickle has {} where a tensor's type belongs", describe(ref));
    return row->dtype;
  }
  uint64_t count(Ref ref, std::string_view what) const {
    const Value& value = at(ref);
    if (value.kind != Kind::integer || value.integer < 0)
      refuse("{} is {}, expected a number from 0", what, describe(ref));
    return static_cast<uint64_t>(value.integer);
  }
  std::string describe(Ref ref) const { return onnxport::describe(document_, ref); }
  /// Whether a value is made by a function; a torch.Size is but a tuple.
  bool is_call(Ref ref) const { return at(ref).kind == Kind::call && at(at(ref).items[0]).text != "torch.Size"; }
  /// Whether nothing below an entry is a tensor. `seen` holds what was found to be so.
  bool is_harmless(Ref entry, std::set<Ref>& seen) const {
    std::vector<Ref> open{entry};
    while (!open.empty()) {
      const Ref ref = open.back();
      open.pop_back();
      if (!seen.insert(ref).second) continue;
      const Value& value = at(ref);
      if (value.kind == Kind::persistent || is_call(ref)) return false;
      open.insert(open.end(), value.items.begin(), value.items.end());
    }
    return true;
  }

  /// A call that makes a tensor.
  struct Rebuilding {
    std::string_view function;
    const Value* arguments;
  };
  /// The innermost one: a parameter is a tensor in a wrapper, and so is a tensor with attributes of its own.
  Rebuilding rebuilding(const std::string& name, Ref entry) const {
    const auto call_of = [&](Ref ref) {
      if (at(ref).kind != Kind::call) refuse("tensor '{}': a parameter of {}", name, describe(ref));
      return Rebuilding{at(at(ref).items[0]).text, &at(at(ref).items[1])};
    };
    Rebuilding call = call_of(entry);
    while (true) {
      const std::vector<Ref>& given = call.arguments->items;
      if (call.function == from_type) {  // function, class, arguments, attributes
        if (given.size() != 4 || at(given[0]).kind != Kind::global || at(given[2]).kind != Kind::tuple)
          refuse("tensor '{}' is put together in an unknown form", name);
        call = {at(given[0]).text, &at(given[2])};
      } else if (call.function.starts_with("torch._utils._rebuild_parameter")) {
        if (given.empty()) refuse("tensor '{}': a parameter of nothing", name);
        call = call_of(given[0]);
      } else {
        return call;
      }
    }
  }

  StoredTensor tensor(std::string name, Ref entry, const std::function<Extent(const TorchStorage&)>& locate) const {
    const auto [callee, arguments] = rebuilding(name, entry);
    const bool names_dtype = callee.ends_with("_v3");
    const size_t fewest = names_dtype ? 7 : 4;
    if (!callee.starts_with("torch._utils._rebuild_tensor") || arguments->items.size() < fewest)
      refuse("tensor '{}' is {}, with {} arguments", name, describe(entry), arguments->items.size());
    // Bits that PyTorch keeps beside the data: conjugate and negative views.
    const size_t metadata = names_dtype ? 7 : 6;
    if (arguments->items.size() > metadata) {
      const Ref extra = arguments->items[metadata];
      if (at(extra).kind != Kind::none && !(at(extra).kind == Kind::dict && at(extra).items.empty())) {
        throw Error(Failure::checkpoint,
                    fmt::format("{}: tensor '{}' is a lazily negated or conjugated view", path_, name), resave_hint);
      }
    }
    const Value& pointed = at(arguments->items[0]);
    if (pointed.kind != Kind::persistent) refuse("tensor '{}' has no storage", name);
    TorchStorage base = storage(pointed.items[0]);
    StoredTensor stored;
    stored.name = std::move(name);
    stored.dtype = names_dtype ? dtype(arguments->items[6]) : base.dtype;
    stored.shape = sizes(stored.name, "shape", arguments->items[2]);
    stored.strides = sizes(stored.name, "strides", arguments->items[3]);
    if (stored.shape.size() != stored.strides.size())
      refuse("tensor '{}' has {} sizes and {} strides", stored.name, stored.shape.size(), stored.strides.size());
    place(stored, count(arguments->items[1], fmt::format("tensor '{}': its offset", stored.name)), base, locate(base));
    return stored;
  }

  /// A tuple of numbers, or torch.Size of one.
  std::vector<int64_t> sizes(const std::string& name, const char* what, Ref ref) const {
    const Value* tuple = &at(ref);
    if (tuple->kind == Kind::call && at(tuple->items[0]).text == "torch.Size" && at(tuple->items[1]).items.size() == 1)
      tuple = &at(at(tuple->items[1]).items[0]);
    if ((tuple->kind != Kind::tuple && tuple->kind != Kind::list) || tuple->items.size() > most_axes)
      refuse("tensor '{}': its {} is no tuple of at most {} numbers", name, what, most_axes);
    std::vector<int64_t> numbers;
    for (const Ref item : tuple->items)
      numbers.push_back(static_cast<int64_t>(count(item, fmt::format("tensor '{}': its {}", name, what))));
    return numbers;
  }

  /// Sets the tensor's offset and bytes, and checks that all of its elements lie in the storage, and that in the file.
  void place(StoredTensor& stored, uint64_t first, const TorchStorage& base, const Extent& extent) const {
    uint64_t bytes = ir::size_of(stored.dtype), end = first;
    bool overflow = false, empty = false;
    for (size_t axis = 0; axis < stored.shape.size(); ++axis) {
      const auto size = static_cast<uint64_t>(stored.shape[axis]), stride = static_cast<uint64_t>(stored.strides[axis]);
      empty = empty || size == 0;
      uint64_t reach = 0;
      overflow = __builtin_mul_overflow(bytes, size, &bytes) || overflow;
      overflow = __builtin_mul_overflow(size == 0 ? 0 : size - 1, stride, &reach) || overflow;
      overflow = __builtin_add_overflow(end, reach, &end) || overflow;
    }
    const uint64_t base_size = ir::size_of(base.dtype), size = ir::size_of(stored.dtype);
    if (overflow || bytes > uint64_t{INT64_MAX}) refuse("tensor '{}': its shape and strides overflow", stored.name);
    uint64_t base_bytes = 0, base_first = 0, end_byte = 0, end_in_file = 0;
    if (__builtin_mul_overflow(base.count, base_size, &base_bytes) ||
        __builtin_mul_overflow(base.first, base_size, &base_first) ||
        __builtin_add_overflow(base_first, base_bytes, &end_in_file) || end_in_file > extent.bytes) {
      refuse("tensor '{}': its storage '{}' would have {} elements of {}; the file has {} bytes for it", stored.name,
             base.key, base.count, ir::name_of(base.dtype), extent.bytes);
    }
    stored.bytes = bytes;
    stored.offset = extent.offset + base_first;
    if (empty) {
      stored.strides.clear();
      return;
    }
    if (__builtin_add_overflow(end, uint64_t{1}, &end) || __builtin_mul_overflow(end, size, &end_byte) ||
        end_byte > base_bytes) {
      refuse("tensor '{}' of {} [{}], strides [{}], at element {} of the storage '{}': outside its {} bytes",
             stored.name, ir::name_of(stored.dtype), fmt::join(stored.shape, ", "), fmt::join(stored.strides, ", "),
             first, base.key, base_bytes);
    }
    stored.offset += first * size;
    if (is_contiguous(stored.shape, stored.strides)) stored.strides.clear();
  }

  const Document& document_;
  const std::string& path_;
};

}  // namespace

std::vector<std::string_view> torch_globals() {
  std::vector<std::string_view> names(std::begin(function_names), std::end(function_names));
  for (const StorageType& row : storage_types) names.push_back(row.name);
  return names;
}

std::string describe(const Document& document, Ref ref) {
  const Value& value = document[ref];
  switch (value.kind) {
    case Kind::none:
      return "None";
    case Kind::boolean:
      return value.integer != 0 ? "True" : "False";
    case Kind::integer:
      return fmt::format("the number {}", value.integer);
    case Kind::long_integer:
      return "a number of more than 64 bits";
    case Kind::real:
      return fmt::format("the number {}", value.real);
    case Kind::text:
      return "a text";
    case Kind::bytes:
      return "bytes";
    case Kind::tuple:
      return fmt::format("a tuple of {}", value.items.size());
    case Kind::list:
      return fmt::format("a list of {}", value.items.size());
    case Kind::dict:
      return fmt::format("a dict of {}", value.items.size() / 2);
    case Kind::global:
      return std::string(value.text);
    case Kind::call:
      return fmt::format("a call of {}", document[value.items[0]].text);
    case Kind::persistent:
      return "a storage";
  }
  return {};
}

std::vector<TorchStorage> torch_storages(const Document& document, const std::string& path) {
  const Reader reader(document, path);
  std::vector<TorchStorage> storages;
  for (Ref ref = 0; ref < document.size(); ++ref) {
    if (document[ref].kind == Kind::persistent) storages.push_back(reader.storage(document[ref].items[0]));
  }
  return storages;
}

TorchFile torch_tensors(const Document& document, const std::string& path,
                        const std::function<Extent(const TorchStorage&)>& locate) {
  return Reader(document, path).entries(locate);
}

}  // namespace onnxport
