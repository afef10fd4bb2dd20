// SPDX-License-Identifier: Apache-2.0
// Python's pickle format as data: the part of protocols 2 to 5 that files of tensors use. Nothing is run. What would be
// a call in Python becomes a value that says so.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace onnxport::pickle {

enum class Kind : uint8_t {
  none,
  boolean,
  integer,
  long_integer,  ///< of more than 64 bits: its bytes, little-endian, in `text`
  real,
  text,
  bytes,
  tuple,
  list,
  dict,
  global,      ///< its name, "module.name", in `text`
  call,        ///< of a global, items[0], with a tuple of arguments, items[1]
  persistent,  ///< an object outside the pickle; items[0] is its id
};

/// Index of a value in its document. A value that stands in two places is one.
using Ref = uint32_t;

struct Value {
  Kind kind = Kind::none;
  int64_t integer = 0;  ///< booleans and integers
  double real = 0;
  std::string_view text;   ///< a view of the pickle's own bytes, or of the list of globals
  std::vector<Ref> items;  ///< elements; of a dict key, value, key, value, …
};

/// The values of one pickle.
class Document {
 public:
  const Value& operator[](Ref ref) const { return values_[ref]; }
  size_t size() const { return values_.size(); }
  Ref root() const { return root_; }
  /// Bytes from the pickle's first to its last.
  size_t length() const { return length_; }

 private:
  friend class Machine;
  std::vector<Value> values_;
  Ref root_ = 0;
  size_t length_ = 0;
};

/// Reads the pickle at the begin of `bytes`, which must outlive the document, as the `globals` ("module.name"). An
/// OrderedDict is a dict; its attributes are left out. `path` is for messages. Throws Error(checkpoint) where the
/// pickle is broken, and where it asks for an opcode or a global beyond these, naming it.
Document read(std::span<const std::byte> bytes, const std::string& path, std::span<const std::string_view> globals);

}  // namespace onnxport::pickle
