// SPDX-License-Identifier: Apache-2.0
#include "core/checkpoint/pickle.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <unordered_map>

#include "core/error.hpp"

namespace onnxport::pickle {
namespace {

constexpr size_t most_values = 8'000'000;  // and references to them; a checkpoint has some thirty a tensor
constexpr std::string_view ordered_dict = "collections.OrderedDict";

/// Opcodes by their names in Python's pickletools.
enum Opcode : uint8_t {
  MARK = '(',
  STOP = '.',
  POP = '0',
  POP_MARK = '1',
  DUP = '2',
  BINFLOAT = 'G',
  BININT = 'J',
  BININT1 = 'K',
  BININT2 = 'M',
  NONE = 'N',
  BINPERSID = 'Q',
  REDUCE = 'R',
  BINSTRING = 'T',
  SHORT_BINSTRING = 'U',
  BINUNICODE = 'X',
  EMPTY_LIST = ']',
  APPEND = 'a',
  BUILD = 'b',
  GLOBAL = 'c',
  APPENDS = 'e',
  BINGET = 'h',
  LONG_BINGET = 'j',
  BINPUT = 'q',
  LONG_BINPUT = 'r',
  SETITEM = 's',
  TUPLE = 't',
  EMPTY_TUPLE = ')',
  SETITEMS = 'u',
  EMPTY_DICT = '}',
  BINBYTES = 'B',
  SHORT_BINBYTES = 'C',
  PROTO = 0x80,
  TUPLE1 = 0x85,
  TUPLE2 = 0x86,
  TUPLE3 = 0x87,
  NEWTRUE = 0x88,
  NEWFALSE = 0x89,
  LONG1 = 0x8a,
  SHORT_BINUNICODE = 0x8c,
  BINUNICODE8 = 0x8d,
  BINBYTES8 = 0x8e,
  STACK_GLOBAL = 0x93,
  MEMOIZE = 0x94,
  FRAME = 0x95,
};

struct OpcodeName {
  uint8_t code;
  std::string_view name;
};
/// Those that are refused; an error says their names.
constexpr OpcodeName refused_names[] = {
    {'F', "FLOAT"},      {'I', "INT"},         {'L', "LONG"},         {'P', "PERSID"},
    {'S', "STRING"},     {'V', "UNICODE"},     {'d', "DICT"},         {'g', "GET"},
    {'i', "INST"},       {'l', "LIST"},        {'o', "OBJ"},          {'p', "PUT"},
    {0x81, "NEWOBJ"},    {0x82, "EXT1"},       {0x83, "EXT2"},        {0x84, "EXT4"},
    {0x8b, "LONG4"},     {0x8f, "EMPTY_SET"},  {0x90, "ADDITEMS"},    {0x91, "FROZENSET"},
    {0x92, "NEWOBJ_EX"}, {0x96, "BYTEARRAY8"}, {0x97, "NEXT_BUFFER"}, {0x98, "READONLY_BUFFER"},
};

}  // namespace

/// Python's stack machine without its power to call.
class Machine {
 public:
  Machine(std::span<const std::byte> bytes, const std::string& path, std::span<const std::string_view> globals)
      : bytes_(bytes), path_(path), globals_(globals) {}

  Document run() {
    if (take(1)[0] != static_cast<char>(PROTO)) refuse("the pickle does not begin with its protocol");
    const auto protocol = number<uint8_t>();
    if (protocol < 2 || protocol > 5) refuse("the pickle has protocol {}; 2 to 5 are known", protocol);
    while (true) {
      opcode_at_ = at_;
      const auto code = number<uint8_t>();
      if (code == STOP) break;
      step(code);
    }
    document_.root_ = pop();
    if (!stack_.empty() || !marks_.empty()) refuse("the pickle ends with more than one value");
    document_.length_ = at_;
    return std::move(document_);
  }

 private:
  template <class... Args>
  [[noreturn]] void refuse(fmt::format_string<Args...> text, Args&&... args) const {
    throw Error(Failure::checkpoint, path_ + ": " + fmt::format(text, std::forward<Args>(args)...),
                "the file is damaged, or is no file of tensors; download it again");
  }
  /// What a pickle may ask for and a file of tensors has no use for.
  [[noreturn]] void refuse_request(const std::string& what) const {
    throw Error(Failure::checkpoint, fmt::format("{}: the pickle asks for {}", path_, what),
                "onnxport reads tensors and runs nothing that a file asks for; where you trust the file, load it with "
                "PyTorch and save its state dict as model.safetensors");
  }

  std::string_view take(uint64_t count) {
    if (count > bytes_.size() - at_) refuse("the pickle ends within its opcode at byte {}", opcode_at_);
    const std::string_view taken(reinterpret_cast<const char*>(bytes_.data()) + at_, static_cast<size_t>(count));
    at_ += static_cast<size_t>(count);
    return taken;
  }
  template <class T>
  T number() {
    T value;
    std::memcpy(&value, take(sizeof value).data(), sizeof value);
    return value;
  }
  /// A line as GLOBAL has two.
  std::string_view line() {
    const std::string_view rest(reinterpret_cast<const char*>(bytes_.data()) + at_, bytes_.size() - at_);
    const size_t length = rest.find('\n');
    if (length == std::string_view::npos) refuse("the pickle ends within its opcode at byte {}", opcode_at_);
    at_ += length + 1;
    return rest.substr(0, length);
  }

  size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }
  Ref top() const {
    if (stack_.size() <= floor()) refuse("the pickle takes more than there is at byte {}", opcode_at_);
    return stack_.back();
  }
  Ref pop() {
    const Ref ref = top();
    stack_.pop_back();
    return ref;
  }
  /// The values above the last mark, which goes with them.
  std::vector<Ref> pop_to_mark() {
    if (marks_.empty()) refuse("the pickle has no mark for its opcode at byte {}", opcode_at_);
    std::vector<Ref> taken(stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back()), stack_.end());
    stack_.resize(marks_.back());
    marks_.pop_back();
    return taken;
  }
  /// Bounds memory whatever the pickle says.
  void spend(size_t count) {
    spent_ += count;
    if (spent_ > most_values) refuse("the pickle holds more than {} values", most_values);
  }
  void push(Value value) {
    spend(1);
    stack_.push_back(static_cast<Ref>(document_.values_.size()));
    document_.values_.push_back(std::move(value));
  }
  void push_tuple(size_t size) {
    std::vector<Ref> items(size);
    for (size_t i = size; i-- > 0;) items[i] = pop();
    push({.kind = Kind::tuple, .items = std::move(items)});
  }
  void push_integer(int64_t value) { push({.kind = Kind::integer, .integer = value}); }
  void push_long(std::string_view digits) {
    if (digits.size() > sizeof(int64_t)) return push({.kind = Kind::long_integer, .text = digits});
    int64_t value = !digits.empty() && (digits.back() & 0x80) != 0 ? -1 : 0;
    std::memcpy(&value, digits.data(), digits.size());
    push_integer(value);
  }
  void put(uint64_t index) { memo_[index] = top(); }
  void get(uint64_t index) {
    const auto found = memo_.find(index);
    if (found == memo_.end()) refuse("the pickle refers to value {}, which it does not have", index);
    stack_.push_back(found->second);
  }
  Value& container(Kind kind) {
    Value& value = document_.values_[top()];
    if (value.kind != kind) refuse("the pickle adds items to what takes none, at byte {}", opcode_at_);
    return value;
  }
  void add(Kind kind, const std::vector<Ref>& items) {
    if (kind == Kind::dict && items.size() % 2 != 0)
      refuse("the pickle has a key without a value at byte {}", opcode_at_);
    spend(items.size());
    Value& value = container(kind);
    value.items.insert(value.items.end(), items.begin(), items.end());
  }
  void add_pair() {
    const Ref value = pop(), key = pop();
    add(Kind::dict, {key, value});
  }
  void push_global(std::string_view module, std::string_view name) {
    const std::string full = fmt::format("{}.{}", module, name);
    if (full == ordered_dict) return push({.kind = Kind::global, .text = ordered_dict});
    const auto known = std::find(globals_.begin(), globals_.end(), full);
    if (known == globals_.end()) refuse_request(full);
    push({.kind = Kind::global, .text = *known});
  }
  void stack_global() {
    const Ref name = pop(), module = pop();
    if (document_[name].kind != Kind::text || document_[module].kind != Kind::text)
      refuse("the pickle names a global by something else than text, at byte {}", opcode_at_);
    push_global(document_[module].text, document_[name].text);
  }
  void reduce();
  void step(uint8_t code);

  std::span<const std::byte> bytes_;
  const std::string& path_;
  std::span<const std::string_view> globals_;
  size_t at_ = 0, opcode_at_ = 0, spent_ = 0;
  Document document_;
  std::vector<Ref> stack_;
  std::vector<size_t> marks_;  // heights of the stack
  std::unordered_map<uint64_t, Ref> memo_;
};

/// A call becomes a value, but for that of OrderedDict: a dict of the pairs that it is given.
void Machine::reduce() {
  const Ref arguments = pop(), callee = pop();
  const Value& called = document_[callee];
  const Value& given = document_[arguments];
  if (called.kind != Kind::global) refuse("the pickle calls what is no global, at byte {}", opcode_at_);
  if (given.kind != Kind::tuple) refuse("the pickle calls {} without a tuple of arguments", called.text);
  if (called.text != ordered_dict) return push({.kind = Kind::call, .items = {callee, arguments}});
  Value dict{.kind = Kind::dict};
  if (!given.items.empty()) {
    for (const Ref pair : document_[given.items[0]].items) {  // Python 2 gives a list of lists
      const Value& entry = document_[pair];
      if ((entry.kind != Kind::list && entry.kind != Kind::tuple) || entry.items.size() != 2)
        refuse("the pickle makes an OrderedDict of what is no list of pairs, at byte {}", opcode_at_);
      spend(2);
      dict.items.insert(dict.items.end(), entry.items.begin(), entry.items.end());
    }
  }
  push(std::move(dict));
}

void Machine::step(uint8_t code) {
  switch (code) {
    case PROTO:
      take(1);
      break;
    case FRAME:
      if (number<uint64_t>() > bytes_.size() - at_) refuse("the pickle ends within its frame at byte {}", opcode_at_);
      break;
    case MARK:
      marks_.push_back(stack_.size());
      break;
    case POP:
      // Python drops the mark where nothing lies above it.
      if (!marks_.empty() && stack_.size() == marks_.back())
        marks_.pop_back();
      else
        pop();
      break;
    case POP_MARK:
      pop_to_mark();
      break;
    case DUP:
      stack_.push_back(top());
      break;
    case NONE:
      push({});
      break;
    case NEWTRUE:
    case NEWFALSE:
      push({.kind = Kind::boolean, .integer = code == NEWTRUE});
      break;
    case BININT:
      push_integer(number<int32_t>());
      break;
    case BININT1:
      push_integer(number<uint8_t>());
      break;
    case BININT2:
      push_integer(number<uint16_t>());
      break;
    case LONG1:
      push_long(take(number<uint8_t>()));
      break;
    case BINFLOAT:
      push({.kind = Kind::real, .real = std::bit_cast<double>(__builtin_bswap64(number<uint64_t>()))});
      break;
    case BINUNICODE:
    case BINSTRING:
      push({.kind = Kind::text, .text = take(number<uint32_t>())});
      break;
    case SHORT_BINUNICODE:
    case SHORT_BINSTRING:
      push({.kind = Kind::text, .text = take(number<uint8_t>())});
      break;
    case BINUNICODE8:
      push({.kind = Kind::text, .text = take(number<uint64_t>())});
      break;
    case BINBYTES:
      push({.kind = Kind::bytes, .text = take(number<uint32_t>())});
      break;
    case SHORT_BINBYTES:
      push({.kind = Kind::bytes, .text = take(number<uint8_t>())});
      break;
    case BINBYTES8:
      push({.kind = Kind::bytes, .text = take(number<uint64_t>())});
      break;
    case EMPTY_TUPLE:
    case TUPLE1:
    case TUPLE2:
    case TUPLE3:
      push_tuple(code == EMPTY_TUPLE ? 0 : static_cast<size_t>(code - TUPLE1 + 1));
      break;
    case TUPLE:
      push({.kind = Kind::tuple, .items = pop_to_mark()});
      break;
    case EMPTY_LIST:
      push({.kind = Kind::list});
      break;
    case EMPTY_DICT:
      push({.kind = Kind::dict});
      break;
    case APPEND: {
      const Ref item = pop();
      add(Kind::list, {item});
      break;
    }
    case APPENDS: {
      const std::vector<Ref> items = pop_to_mark();
      add(Kind::list, items);
      break;
    }
    case SETITEM:
      add_pair();
      break;
    case SETITEMS: {
      const std::vector<Ref> items = pop_to_mark();
      add(Kind::dict, items);
      break;
    }
    case BINPUT:
      put(number<uint8_t>());
      break;
    case LONG_BINPUT:
      put(number<uint32_t>());
      break;
    case MEMOIZE:
      put(memo_.size());
      break;
    case BINGET:
      get(number<uint8_t>());
      break;
    case LONG_BINGET:
      get(number<uint32_t>());
      break;
    case GLOBAL: {
      const std::string_view module = line(), name = line();
      push_global(module, name);
      break;
    }
    case STACK_GLOBAL:
      stack_global();
      break;
    case BINPERSID: {
      const Ref id = pop();
      push({.kind = Kind::persistent, .items = {id}});
      break;
    }
    case REDUCE:
      reduce();
      break;
    case BUILD:
      // Attributes of an OrderedDict (PyTorch's _metadata) do not change what it holds.
      pop();
      container(Kind::dict);
      break;
    default: {
      const auto known = std::find_if(std::begin(refused_names), std::end(refused_names),
                                      [code](const OpcodeName& row) { return row.code == code; });
      if (known != std::end(refused_names)) refuse_request(fmt::format("the opcode {}", known->name));
      refuse("the pickle has the opcode {:#04x} at byte {}, which does not exist", code, opcode_at_);
    }
  }
}

Document read(std::span<const std::byte> bytes, const std::string& path, std::span<const std::string_view> globals) {
  return Machine(bytes, path, globals).run();
}

}  // namespace onnxport::pickle
