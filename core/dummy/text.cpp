// SPDX-License-Identifier: Apache-2.0
#include "core/dummy/text.hpp"

#include <algorithm>

namespace onnxport::dummy {

int64_t Text::padding(int64_t row) const {
  if (!form_.is_padded || row == 0 || form_.padding == Padding::none) return 0;
  if (is_single(row))
    return std::max<int64_t>(0, (pads_left(row) ? std::max(form_.width, form_.seen) : form_.width) - 1);
  const int64_t n = form_.width, least = tokens_.around_pair() + 2;
  const int64_t most = std::max<int64_t>(0, n - std::min(least, std::max<int64_t>(1, n - 1)));
  return most == 0 ? 0 : 1 + (3 * row - 1) % most;
}

bool Text::pads_left(int64_t row) const {
  switch (form_.padding) {
    case Padding::left:
      return true;
    case Padding::right:
      return false;
    case Padding::both:
      return is_single(row) != tokens_.pads_left;
    default:
      return tokens_.pads_left;
  }
}

std::pair<int64_t, int64_t> Text::range(int64_t row) const {
  const int64_t pad = padding(row);
  if (!pads_left(row)) return {0, form_.width - pad};
  // With a past, the padding on the left lies in the past first.
  const int64_t past = std::max<int64_t>(0, form_.seen - form_.width);
  return {std::max<int64_t>(0, pad - past), form_.width};
}

int64_t Text::boundary(int64_t begin, int64_t end) const {
  const auto before = static_cast<int64_t>(tokens_.before.size()),
             between = static_cast<int64_t>(tokens_.between.size());
  const int64_t content = end - begin - tokens_.around_pair();
  return begin + before + (content + 1) / 2 + between;
}

std::vector<int64_t> Text::ids(int64_t rows, int64_t limit, Stream stream) const {
  const Tokens& t = tokens_;
  const int64_t n = form_.width;
  const auto content = [&] {
    if (!form_.is_varied || limit <= 0) return t.unk;
    for (int attempt = 0; attempt < 64; ++attempt) {
      const int64_t id = stream.below(limit);
      if (!t.is_special(id)) return id;
    }
    return t.unk;  // a vocabulary of nothing but special tokens
  };
  std::vector<int64_t> out(static_cast<size_t>(rows * n), t.pad);
  for (int64_t row = 0; row < rows; ++row) {
    const auto [begin, end] = range(row);
    int64_t* text = out.data() + row * n;
    for (int64_t i = begin; i < end; ++i) text[i] = content();
    if (end - begin <= t.around()) {
      // Too short for all special tokens; some models look for the end.
      if (end > begin && !t.after.empty() && t.after.back() != t.pad) text[end - 1] = t.after.back();
      continue;
    }
    const auto put = [&](const std::vector<int64_t>& special, int64_t at) {
      std::copy(special.begin(), special.end(), text + at);
    };
    put(t.before, begin);
    put(t.after, end - static_cast<int64_t>(t.after.size()));
    if (form_.is_pair && end - begin >= t.around_pair() + 2)
      put(t.between, boundary(begin, end) - static_cast<int64_t>(t.between.size()));
  }
  return out;
}

std::vector<int64_t> Text::mask(int64_t rows, int64_t n) const {
  std::vector<int64_t> out(static_cast<size_t>(rows * n), 1);
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t pad = std::min(padding(row), n);
    const auto begin = out.begin() + row * n + (pads_left(row) ? 0 : n - pad);
    std::fill(begin, begin + pad, 0);
  }
  return out;
}

std::vector<int64_t> Text::segments(int64_t rows, int64_t most) const {
  const int64_t n = form_.width;
  std::vector<int64_t> out(static_cast<size_t>(rows * n), 0);
  for (int64_t row = 0; row < rows; ++row) {
    const auto [begin, end] = range(row);
    const int64_t second = boundary(begin, end);
    for (int64_t i = begin; i < end; ++i) {
      int64_t segment = 0;
      if (form_.is_pair)
        segment = i >= second ? 1 : 0;
      else if (form_.is_varied)
        segment = (i - begin) * most / std::max<int64_t>(1, end - begin);
      out[static_cast<size_t>(row * n + i)] = std::min(segment, most - 1);
    }
  }
  return out;
}

std::vector<int64_t> Text::positions(int64_t rows, int64_t n) const {
  const int64_t total = std::max(n, form_.seen);
  const std::vector<int64_t> counts = mask(rows, total);
  std::vector<int64_t> out;
  for (int64_t row = 0; row < rows; ++row) {
    int64_t count = 0;
    for (int64_t i = 0; i < total; ++i) {
      count += counts[static_cast<size_t>(row * total + i)];
      if (i >= total - n) out.push_back(std::max<int64_t>(0, count - 1));
    }
  }
  return out;
}

}  // namespace onnxport::dummy
