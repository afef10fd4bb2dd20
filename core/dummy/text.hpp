// SPDX-License-Identifier: Apache-2.0
// One dummy text: a batch of rows of tokens, and what belongs to it.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "core/dummy/dummy_options.hpp"
#include "core/dummy/random.hpp"
#include "core/dummy/tokens.hpp"

namespace onnxport::dummy {

/// How a text is cut into rows.
struct TextForm {
  int64_t width = 0;       ///< tokens of a row, padding among them
  int64_t seen = 0;        ///< the width of its mask: a past and the tokens
  bool is_padded = false;  ///< rows are of different lengths; the first one is full
  Padding padding = Padding::usual;
  bool is_pair = false;    ///< each row holds two texts
  bool is_varied = false;  ///< tokens are drawn, and every segment is filled
};

/// A text of which every input that belongs to it tells the same: how long each row is and where its parts lie.
class Text {
 public:
  Text(Tokens tokens, TextForm form) : tokens_(std::move(tokens)), form_(form) {}

  /// Tokens below `limit`, special ones around them, padding beside.
  std::vector<int64_t> ids(int64_t rows, int64_t limit, Stream stream) const;
  /// 1 where a place counts, n places a row: the text's, behind those of a past.
  std::vector<int64_t> mask(int64_t rows, int64_t n) const;
  /// Which text of a pair, below `most`, each token belongs to.
  std::vector<int64_t> segments(int64_t rows, int64_t most) const;
  /// As generation counts them: the first token that is no padding has position 0, and a past comes before.
  std::vector<int64_t> positions(int64_t rows, int64_t n) const;

 private:
  /// How many places of a row hold padding. Row 0 is full; a row keeps its special tokens and one more.
  int64_t padding(int64_t row) const;
  bool pads_left(int64_t row) const;
  /// Whether the row holds a single token.
  bool is_single(int64_t row) const { return form_.padding == Padding::both && row == 2; }
  /// Where the text lies within a row's tokens: [begin, end).
  std::pair<int64_t, int64_t> range(int64_t row) const;
  /// Where the second text begins.
  int64_t boundary(int64_t begin, int64_t end) const;

  Tokens tokens_;
  TextForm form_;
};

}  // namespace onnxport::dummy
