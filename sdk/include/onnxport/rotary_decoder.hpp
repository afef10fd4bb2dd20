// SPDX-License-Identifier: Apache-2.0
// Text decoders that turn queries and keys by their positions.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <onnxport/rotary.hpp>
#include <onnxport/text_decoder.hpp>

namespace onnxport::sdk {

/// A TextDecoder with one set of angles for all that it turns.
class RotaryDecoder : public TextDecoder {
 public:
  using TextDecoder::TextDecoder;

  /// Scores depend on differences of positions only, unless the angles depend on how long the text is.
  Positions positions_in_generation() const override {
    return rotary().depends_on_length() ? Positions::mask : Positions::sequence;
  }

 protected:
  virtual const Rotary& rotary() const = 0;
  /// Of the step's tokens.
  Angles angles(const Scope& base, const Inputs& in) const {
    base.graph().unused("*rotary_emb.inv_freq");  // saved by older releases; config.json tells it
    return rotary().angles(position_ids(in).in(base / "rotary_emb"));
  }
};

}  // namespace onnxport::sdk
