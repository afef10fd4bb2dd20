// SPDX-License-Identifier: Apache-2.0
// Weights as views: conversions, transposes, slices, and writing them in pieces.
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <bit>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <limits>
#include <random>

#include "core/checkpoint/checkpoint.hpp"
#include "core/checkpoint/convert.hpp"
#include "core/checkpoint/parallel_writer.hpp"
#include "core/error.hpp"
#include "tests/support/temporary_folder.hpp"

namespace weight_test {

using namespace onnxport;
namespace fs = std::filesystem;

namespace {

struct Fixture {
  /// A weight of random finite numbers, in a file.
  Weight random_weight(std::vector<int64_t> shape, ir::DType dtype = ir::DType::f32) {
    std::mt19937 random(static_cast<uint32_t>(shape.size() * 31 + static_cast<size_t>(shape[0])));
    ir::Tensor wide{ir::DType::f32, shape, {}};
    wide.data.resize(static_cast<size_t>(wide.element_count()) * 4);
    for (float& value : wide.as<float>()) value = static_cast<float>(static_cast<int32_t>(random())) / 1e9f;
    ir::Tensor tensor{dtype, shape,
                      std::vector<std::byte>(static_cast<size_t>(wide.element_count()) * ir::size_of(dtype))};
    convert_elements(ir::DType::f32, wide.data.data(), dtype, tensor.data.data(),
                     static_cast<uint64_t>(wide.element_count()));
    const fs::path file = path / (std::to_string(count++) + ".safetensors");
    write_safetensors(file, {{"w", tensor}});
    return Weight{std::make_shared<const StoredTensor>(read_safetensors(file.string())[0]), {}};
  }

  /// What write_weights puts into a file, behind ten bytes of something else.
  std::vector<std::byte> written(const Weight& weight, int threads) { return written(weight, {.threads = threads}); }
  std::vector<std::byte> written(const Weight& weight, WriteOptions options) {
    const fs::path file = path / "out";
    const int descriptor = ::open(file.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0600);
    uint64_t last = 0;
    options.progress = [&](uint64_t done, uint64_t) { last = done; };
    write_weights({{weight, descriptor, 10}}, options);
    BOOST_TEST(last == weight.bytes());
    std::vector<std::byte> bytes(weight.bytes());
    BOOST_REQUIRE(::pread(descriptor, bytes.data(), bytes.size(), 10) == static_cast<ssize_t>(bytes.size()));
    ::close(descriptor);
    return bytes;
  }

  test::TemporaryFolder path;
  int count = 0;
};

/// An independent view of a 16-bit float's value: sign, exponent and fraction put together in f64.
double value_of(uint16_t bits, int exponent_bits, int fraction_bits) {
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const int exponent = (bits >> fraction_bits) & ((1 << exponent_bits) - 1),
            fraction = bits & ((1 << fraction_bits) - 1);
  const double sign = (bits & 0x8000) != 0 ? -1 : 1;
  if (exponent == (1 << exponent_bits) - 1) return fraction != 0 ? NAN : sign * INFINITY;
  if (exponent == 0) return sign * std::ldexp(fraction, 1 - bias - fraction_bits);
  return sign * std::ldexp(fraction + (1 << fraction_bits), exponent - bias - fraction_bits);
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(weight, Fixture)

BOOST_AUTO_TEST_CASE(every_16_bit_float_widens_and_returns) {
  for (const auto& [dtype, exponent_bits, fraction_bits] :
       {std::tuple{ir::DType::f16, 5, 10}, std::tuple{ir::DType::bf16, 8, 7}}) {
    int wrong = 0;
    for (uint32_t i = 0; i < 65536; ++i) {
      const auto bits = static_cast<uint16_t>(i);
      float wide = 0;
      uint16_t back = 0;
      convert_elements(dtype, reinterpret_cast<const std::byte*>(&bits), ir::DType::f32,
                       reinterpret_cast<std::byte*>(&wide), 1);
      convert_elements(ir::DType::f32, reinterpret_cast<const std::byte*>(&wide), dtype,
                       reinterpret_cast<std::byte*>(&back), 1);
      const double expected = value_of(bits, exponent_bits, fraction_bits);
      if (std::isnan(expected))
        wrong += !std::isnan(wide) || !std::isnan(value_of(back, exponent_bits, fraction_bits));
      else
        wrong += static_cast<double>(wide) != expected || back != bits;
    }
    BOOST_TEST(wrong == 0);
  }
}

BOOST_AUTO_TEST_CASE(every_8_bit_float_widens) {
  for (const auto& [dtype, exponent_bits, fraction_bits] :
       {std::tuple{ir::DType::f8e4m3fn, 4, 3}, std::tuple{ir::DType::f8e5m2, 5, 2}}) {
    int wrong = 0;
    for (uint32_t i = 0; i < 256; ++i) {
      const auto bits = static_cast<uint8_t>(i);
      float wide = 0;
      convert_elements(dtype, reinterpret_cast<const std::byte*>(&bits), ir::DType::f32,
                       reinterpret_cast<std::byte*>(&wide), 1);
      const auto shifted = static_cast<uint16_t>((i & 0x80) << 8 | (i & 0x7f));
      double expected = value_of(shifted, exponent_bits, fraction_bits);
      // Without infinities the largest exponent is one like the others, but for one number.
      if (dtype == ir::DType::f8e4m3fn && (i & 0x78) == 0x78 && (i & 7) != 7)
        expected = ((i & 0x80) != 0 ? -1 : 1) * std::ldexp(8 + (i & 7), 5);
      wrong += std::isnan(expected) ? !std::isnan(wide)
                                    : static_cast<double>(wide) != expected || std::signbit(wide) != ((i & 0x80) != 0);
    }
    BOOST_TEST(wrong == 0);
  }
  BOOST_TEST(!can_convert(ir::DType::f32, ir::DType::f8e5m2));
}

BOOST_AUTO_TEST_CASE(narrowing_rounds_to_the_nearest_and_ties_to_even) {
  std::mt19937 random(5);
  for (const auto& [dtype, exponent_bits, fraction_bits] :
       {std::tuple{ir::DType::f16, 5, 10}, std::tuple{ir::DType::bf16, 8, 7}}) {
    int wrong = 0;
    const auto narrow = [dtype = dtype](float value) {
      uint16_t bits = 0;
      convert_elements(ir::DType::f32, reinterpret_cast<const std::byte*>(&value), dtype,
                       reinterpret_cast<std::byte*>(&bits), 1);
      return bits;
    };
    for (int i = 0; i < 200000; ++i) {
      const auto low = static_cast<uint16_t>(random() & 0x7fff);  // two neighbours, and what lies between them
      const double a = value_of(low, exponent_bits, fraction_bits),
                   b = value_of(static_cast<uint16_t>(low + 1), exponent_bits, fraction_bits);
      if (!std::isfinite(a) || !std::isfinite(b)) continue;
      const auto middle = static_cast<float>((a + b) / 2);
      wrong += narrow(middle) != ((low & 1) == 0 ? low : low + 1);
      wrong += narrow(std::nextafter(middle, 0.0f)) != low;
      wrong += narrow(std::nextafter(middle, INFINITY)) != low + 1;
      wrong += narrow(-middle) != (narrow(middle) | 0x8000);
    }
    BOOST_TEST(wrong == 0);
  }
  const float large[] = {65519.0f, 65520.0f, 3e38f};
  uint16_t half[3];
  convert_elements(ir::DType::f32, reinterpret_cast<const std::byte*>(large), ir::DType::f16,
                   reinterpret_cast<std::byte*>(half), 3);
  BOOST_TEST(half[0] == 0x7bff);
  BOOST_TEST(half[1] == 0x7c00);
  BOOST_TEST(half[2] == 0x7c00);
}

BOOST_AUTO_TEST_CASE(a_transpose_of_any_size) {
  for (const auto& [rows, columns] :
       {std::pair{1, 1}, std::pair{1, 7}, std::pair{7, 1}, std::pair{17, 33}, std::pair{100, 3}, std::pair{64, 48}}) {
    for (ir::DType dtype : {ir::DType::f32, ir::DType::f16, ir::DType::f64}) {
      const Weight plain = random_weight({rows, columns}, dtype);
      const ir::Tensor before = materialize(plain), after = materialize(plain.then(TransposeMatrix{}));
      BOOST_TEST(after.shape == (std::vector<int64_t>{columns, rows}), boost::test_tools::per_element());
      const size_t size = ir::size_of(dtype);
      bool same = true;
      for (int r = 0; r < rows; ++r) {
        for (int c = 0; c < columns; ++c) {
          same = same && std::memcmp(&before.data[(static_cast<size_t>(r * columns + c)) * size],
                                     &after.data[(static_cast<size_t>(c * rows + r)) * size], size) == 0;
        }
      }
      BOOST_TEST(same);
    }
  }
}

BOOST_AUTO_TEST_CASE(slices_and_chains) {
  const Weight plain = random_weight({6, 5});
  const ir::Tensor all = materialize(plain);
  const ir::Tensor rows = materialize(plain.then(SliceAxis{0, 2, 5}));
  BOOST_TEST(std::memcmp(rows.data.data(), &all.data[2 * 5 * 4], rows.data.size()) == 0);
  const ir::Tensor columns = materialize(plain.then(SliceAxis{1, 1, 3}));
  BOOST_TEST(columns.as<float>()[2] == all.as<float>()[6]);
  const ir::Tensor turned = materialize(plain.then(SliceAxis{0, 2, 5}).then(TransposeMatrix{}));
  BOOST_TEST(turned.as<float>()[1] == all.as<float>()[15]);
  const ir::Tensor back = materialize(plain.then(TransposeMatrix{}).then(TransposeMatrix{}));
  BOOST_TEST((back == all));
  const ir::Tensor sliced_after = materialize(plain.then(TransposeMatrix{}).then(SliceAxis{0, 1, 2}));
  BOOST_TEST(sliced_after.as<float>()[3] == all.as<float>()[16]);
  BOOST_TEST(materialize(plain.then(ReshapeTo{{30}})).shape.size() == 1u);
}

BOOST_AUTO_TEST_CASE(what_is_written_is_what_is_materialized) {
  const Weight large = random_weight({700, 900}), half = random_weight({700, 901}, ir::DType::bf16),
               small = random_weight({3, 4});
  for (const Weight& base : {large, half, small}) {
    for (const Weight& each : {base, base.then(TransposeMatrix{}), base.then(CastTo{ir::DType::f16}),
                               base.then(CastTo{ir::DType::f32}).then(TransposeMatrix{}), base.then(SliceAxis{0, 1, 3}),
                               base.then(SliceAxis{1, 1, 3})}) {
      for (int threads : {1, 2, 5}) BOOST_TEST((written(each, threads) == materialize(each).data));
    }
  }
}

BOOST_AUTO_TEST_CASE(views_with_strides) {
  const struct {
    uint64_t first;
    std::vector<int64_t> shape, strides;
  } views[] = {
      {0, {64, 90}, {1, 64}},              // transposed
      {7, {30, 50}, {90, 1}},              // columns of a matrix
      {3, {21, 17}, {180, 5}},             // every second row, every fifth element
      {11, {40, 33}, {90, 0}},             // one column again and again
      {5, {33, 40}, {0, 2}},               // one row again and again
      {0, {3, 5, 7, 4}, {140, 1, 20, 5}},  // channels last
      {2, {4, 6, 8}, {48, 1, 6}},          // each matrix transposed
      {1, {1, 70}, {9, 3}},                // a column
      {9, {100}, {50}},
      {0, {6, 5}, {5, 1}},
      {4, {0, 5}, {1, 2}},
  };
  for (ir::DType dtype : {ir::DType::f32, ir::DType::f16, ir::DType::f64}) {
    const Weight base = random_weight({64, 90}, dtype);
    const ir::Tensor all = materialize(base);
    const size_t size = ir::size_of(dtype);
    for (const auto& [first, shape, strides] : views) {
      StoredTensor stored = *base.stored;
      stored.shape = shape;
      stored.strides = strides;
      stored.offset += first * size;
      // The same elements one behind the other, found by their indices.
      ir::Tensor plain{dtype, shape, {}};
      const int64_t count = plain.element_count();
      stored.bytes = static_cast<uint64_t>(count) * size;
      for (int64_t i = 0; i < count; ++i) {
        int64_t at = static_cast<int64_t>(first), rest = i;
        for (size_t axis = shape.size(); axis-- > 0; rest /= shape[axis]) at += rest % shape[axis] * strides[axis];
        const auto begin = all.data.begin() + static_cast<std::ptrdiff_t>(static_cast<size_t>(at) * size);
        plain.data.insert(plain.data.end(), begin, begin + static_cast<std::ptrdiff_t>(size));
      }
      const fs::path file = path / "plain.safetensors";
      write_safetensors(file, {{"w", plain}});
      const Weight view{std::make_shared<const StoredTensor>(stored), {}},
          dense{std::make_shared<const StoredTensor>(read_safetensors(file.string())[0]), {}};
      std::vector<std::vector<Transform>> chains{{}, {CastTo{ir::DType::f32}}, {ReshapeTo{{count}}}};
      const auto last = static_cast<int64_t>(shape.size()) - 1;
      if (count > 0) {
        chains.push_back({SliceAxis{last, 1, shape.back() - 1}});
        chains.push_back({ReshapeTo{{1, count}}, SliceAxis{1, 3, 5}, CastTo{ir::DType::f32}, CastTo{ir::DType::bf16}});
      }
      if (shape.size() == 2) {
        chains.push_back({TransposeMatrix{}});
        chains.push_back({TransposeMatrix{}, TransposeMatrix{}, CastTo{ir::DType::bf16}});
        chains.push_back({TransposeMatrix{}, ReshapeTo{{count}}});
      }
      for (const std::vector<Transform>& chain : chains) {
        Weight a = view, b = dense;
        for (const Transform& transform : chain) {
          a = a.then(transform);
          b = b.then(transform);
        }
        const ir::Tensor expected = materialize(b);
        BOOST_TEST((materialize(a) == expected));
        BOOST_TEST((written(a, 3) == expected.data));
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(a_large_view_is_written_in_pieces) {
  Weight weight = random_weight({1200, 1000});
  StoredTensor stored = *weight.stored;
  stored.shape = {1000, 1200};
  stored.strides = {1, 1000};
  const Weight view{std::make_shared<const StoredTensor>(stored), {}};
  BOOST_TEST((written(view, 2) == materialize(weight.then(TransposeMatrix{})).data));
  BOOST_TEST((written(view.then(TransposeMatrix{}), 2) == materialize(weight).data));
  BOOST_TEST(view.then(TransposeMatrix{}).bytes() == weight.bytes());
}

BOOST_AUTO_TEST_CASE(runs_longer_than_a_piece) {
  const Weight weight = random_weight({1200, 1000});
  BOOST_TEST((written(weight, 2) == materialize(weight).data));
  BOOST_TEST((written(weight.then(TransposeMatrix{}), 2) == materialize(weight.then(TransposeMatrix{})).data));
}

BOOST_AUTO_TEST_CASE(large_matrices_are_turned_band_by_band) {
  const Weight weight = random_weight({1234, 1001});
  const Weight forms[] = {weight.then(TransposeMatrix{}),
                          weight.then(TransposeMatrix{}).then(CastTo{ir::DType::f16}),
                          weight.then(SliceAxis{1, 3, 900}).then(TransposeMatrix{}),
                          weight.then(SliceAxis{0, 5, 1200}).then(TransposeMatrix{}),
                          random_weight({900, 700}, ir::DType::bf16).then(TransposeMatrix{}),
                          random_weight({900, 1}).then(TransposeMatrix{})};
  for (const Weight& form : forms) {
    const ir::Tensor expected = materialize(form);
    for (const uint64_t rows : {77, 1, 600}) {
      for (const int threads : {1, 3}) {
        BOOST_TEST((written(form, {.threads = threads, .band = 1, .least_band_rows = rows}) == expected.data),
                   rows << " rows a band, " << threads << " threads");
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(sameness_is_of_bytes_and_transforms) {
  const Weight weight = random_weight({3, 4}), other = random_weight({3, 4});
  BOOST_TEST(weight.same_as(weight));
  BOOST_TEST(!weight.same_as(other));
  BOOST_TEST(!weight.same_as(weight.then(TransposeMatrix{})));
  BOOST_TEST(weight.then(TransposeMatrix{}).same_as(weight.then(TransposeMatrix{})));
}

BOOST_AUTO_TEST_CASE(stopping_and_failing) {
  const Weight weight = random_weight({1200, 1000}).then(TransposeMatrix{});
  const int descriptor = ::open((path / "out").c_str(), O_RDWR | O_CREAT, 0600);
  const auto failure = [&](const WriteOptions& options) {
    try {
      write_weights({{weight, descriptor, 0}}, options);
    } catch (const Error& error) {
      return std::pair(error.failure(), std::string(error.what()));
    }
    return std::pair(Failure::internal, std::string("nothing failed"));
  };
  const std::atomic<bool> cancel{true};
  BOOST_TEST(failure({.cancel = &cancel}).second == "interrupted");

  // A limit on the file's size stands for a full disk.
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit tight{1 << 20, before.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &tight);
  const auto full = failure({});
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  ::close(descriptor);
  BOOST_TEST((full.first == Failure::output));
  BOOST_TEST(full.second.find("File too large") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_file_that_is_cut_off_while_it_is_mapped) {
  const Weight weight = random_weight({300, 1000});
  const fs::path file = weight.stored->file->path();
  fs::resize_file(file, 8192);
  const ir::Tensor read = materialize(weight);  // no SIGBUS
  BOOST_TEST(read.as<float>().back() == 0.0f);
  BOOST_CHECK_EXCEPTION(weight.stored->file->check_unchanged(), Error, [](const Error& error) {
    return std::string(error.what()).find("changed") != std::string::npos;
  });
  const int descriptor = ::open((path / "out").c_str(), O_RDWR | O_CREAT | O_TRUNC, 0600);
  BOOST_CHECK_THROW(write_weights({{weight, descriptor, 0}}, {}), Error);
  ::close(descriptor);
}

BOOST_AUTO_TEST_CASE(neighbours_are_copied_as_one) {
  const Weight all = random_weight({64, 4096});
  std::vector<WriteJob> jobs;
  const int descriptor = ::open((path / "out").c_str(), O_RDWR | O_CREAT | O_TRUNC, 0600);
  // Rows in their order, but for one that goes elsewhere and one that is turned.
  for (int64_t row = 0; row < 64; ++row) {
    Weight part = all.then(SliceAxis{0, row, row + 1});
    if (row == 7) part = part.then(TransposeMatrix{});
    jobs.push_back({part, descriptor, static_cast<uint64_t>(row == 20 ? 64 : row) * 16384});
  }
  write_weights(jobs, {});
  const ir::Tensor expected = materialize(all);
  std::vector<std::byte> bytes(65 * 16384);
  BOOST_REQUIRE(::pread(descriptor, bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
  ::close(descriptor);
  for (size_t row = 0; row < 64; ++row) {
    const std::byte* written_row = bytes.data() + (row == 20 ? 64 : row) * 16384;
    BOOST_TEST(std::memcmp(written_row, expected.data.data() + row * 16384, 16384) == 0, "row " << row);
  }
}

BOOST_AUTO_TEST_CASE(a_number_beyond_f16_is_found_at_any_place) {
  for (size_t count = 1; count <= 11; ++count) {
    std::vector<float> numbers(count, 65504.0F);
    std::vector<uint16_t> halves(count);
    const auto leave = [&] {
      const auto* source = reinterpret_cast<const std::byte*>(numbers.data());
      auto* target = reinterpret_cast<std::byte*>(halves.data());
      convert_elements(ir::DType::f32, source, ir::DType::f16, target, count);
      return leave_f16(ir::DType::f32, source, target, count);
    };
    BOOST_TEST(!leave());
    for (size_t i = 0; i < count; ++i) {
      numbers[i] = std::numeric_limits<float>::infinity();
      BOOST_TEST(!leave());
      numbers[i] = -1e6F;
      BOOST_TEST(leave(), count << " numbers, at " << i);
      numbers[i] = std::numeric_limits<float>::quiet_NaN();
      BOOST_TEST(!leave());
      numbers[i] = -65504.0F;
    }
  }
}

BOOST_AUTO_TEST_CASE(a_number_beyond_other_types_is_told_as_well) {
  const auto refusal = [&](ir::DType from, double value, ir::DType to) {
    ir::Tensor tensor{from, {3}, std::vector<std::byte>(3 * ir::size_of(from))};
    const double numbers[] = {1.0, std::numeric_limits<double>::infinity(), value};
    convert_elements(ir::DType::f64, reinterpret_cast<const std::byte*>(numbers), from, tensor.data.data(), 3);
    const fs::path file = path / "wide.safetensors";
    write_safetensors(file, {{"wide.weight", tensor}});
    const Weight weight{std::make_shared<const StoredTensor>(read_safetensors(file.string())[0]), {}};
    try {
      (void)written(weight.then(CastTo{to}), 1);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  BOOST_TEST(refusal(ir::DType::f32, 3.4e38, ir::DType::bf16) ==
             "the tensor 'wide.weight' holds numbers beyond 3.39e38, the largest that bf16 has");
  BOOST_TEST(refusal(ir::DType::f32, 3.38e38, ir::DType::bf16) == "");
  BOOST_TEST(refusal(ir::DType::f64, -1e300, ir::DType::f32) ==
             "the tensor 'wide.weight' holds numbers beyond 3.403e38, the largest that fp32 has");
  BOOST_TEST(refusal(ir::DType::f64, 3e38, ir::DType::f32) == "");
}

BOOST_AUTO_TEST_CASE(a_number_that_f16_does_not_have_is_told_with_its_tensor) {
  const float infinity = std::numeric_limits<float>::infinity();
  const auto halves = [&](float value) {
    const ir::Tensor tensor = ir::Tensor::of<float>(ir::DType::f32, {2, 2}, {1.0F, -infinity, 65504.0F, value});
    const fs::path file = path / "large.safetensors";
    write_safetensors(file, {{"layer.down_proj.weight", tensor}});
    const Weight weight{std::make_shared<const StoredTensor>(read_safetensors(file.string())[0]), {}};
    return written(weight.then(TransposeMatrix{}).then(CastTo{ir::DType::f16}), 1).size();
  };
  BOOST_TEST(halves(-65504.0F) == 8u);
  BOOST_TEST(halves(infinity) == 8u);  // what the checkpoint has itself stays
  for (float beyond : {65520.0F, -70000.0F}) {
    BOOST_CHECK_EXCEPTION(halves(beyond), Error, [](const Error& error) {
      return std::string(error.what()).find("'layer.down_proj.weight'") != std::string::npos &&
             error.failure() == Failure::usage;
    });
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace weight_test
