// SPDX-License-Identifier: Apache-2.0
// What stands between an image or a signal and the layers of a model, as data: patches with their positions, and
// convolutions with what follows them.
#pragma once
#ifdef ONNXPORT_SDK_COMPILED
#pragma interface
#endif

#include <string>
#include <vector>

#include <onnxport/vision.hpp>

namespace onnxport::sdk {

/// Several learnt tokens in one tensor, f[1, count, width].
struct LearntTokens {
  std::string name{};
  int64_t count = 0;
};

/// An image cut into patches, each a token, behind learnt tokens that are no patch.
struct PatchStem {
  int64_t width;  ///< of a token
  Extent patch;
  int64_t channels = 3;
  std::string projection = "patch_embeddings.projection";
  bool bias = true;
  std::vector<std::string> first_tokens{};  ///< learnt, f[1, 1, width] each: {"cls_token"}
  /// The table of learnt positions, f[1, first tokens + grid, width]; empty: none. It was trained for `grid` patches
  /// and is resampled where an image has more or fewer.
  std::string positions{};
  Extent grid = 1;
  Interpolation interpolation = Interpolation::bicubic;
  bool antialias = false;  ///< of that resampling
  /// The first tokens are stored as f[width] and the table as f[first tokens + grid, width], as in CLIP.
  bool flat = false;
  LearntTokens registers{};  ///< behind the first tokens, without positions
};

struct Patches {
  Value image;   ///< f[batch, width, rows, columns], without positions
  Value size;    ///< i64[2], rows and columns
  Value tokens;  ///< f[batch, first tokens + registers + rows·columns, width]
};

/// pixels: f[batch, channels, height, width] -> patches, row by row. Names are those below `scope`.
/// Source: ViTEmbeddings, DeiTEmbeddings, BeitEmbeddings, Dinov2WithRegistersEmbeddings and CLIPVisionEmbeddings,
/// transformers 4.57.
inline Patches patch_stem(const Scope& scope, const Operand& pixels, const PatchStem& form) {
  Patches made;
  made.image =
      conv2d(scope / form.projection, pixels,
             {.out = form.width, .kernel = form.patch, .stride = form.patch, .bias = form.bias, .in = form.channels})
          .in(scope);
  made.size = shape_of(made.image, 2, 4);
  const auto count = static_cast<int64_t>(form.first_tokens.size());
  std::vector<Value> firsts;
  for (const std::string& name : form.first_tokens) {
    firsts.push_back(form.flat ? unsqueeze(scope.weight(name, {form.width}), {0, 1})
                               : scope.weight(name, {1, 1, form.width}));
  }
  Value image = made.image;
  if (!form.positions.empty()) {
    const int64_t rows = count + form.grid.area();
    const Value table = form.flat ? unsqueeze(scope.weight(form.positions, {rows, form.width}), {0})
                                  : scope.weight(form.positions, {1, rows, form.width});
    const Value trained = image_of(count > 0 ? slice(table, {1, count}) : table, form.grid);
    image = image + interpolate(trained, made.size, {.how = form.interpolation, .antialias = form.antialias});
    for (int64_t i = 0; i < count; ++i) {
      Value& first = firsts[static_cast<size_t>(i)];
      first = first + slice(table, {1, i, i + 1});
    }
  }
  const LearntTokens& more = form.registers;
  if (more.count > 0) firsts.push_back(scope.weight(more.name, {1, more.count, form.width}));
  made.tokens = firsts.empty() ? tokens_of(image) : prepend(firsts, tokens_of(image));
  return made;
}

/// A convolution over an image or a signal, and what follows it.
struct ConvStem {
  std::string convolution = "convolution";
  std::string batch_norm{};  ///< the normalisation's name; empty: none
  std::string activation{};  ///< by its name in config.json; empty: none
};
/// x: f[batch, in, height, width] -> f[batch, out, …, …]. Names are those below `scope`.
/// Source: ResNetConvLayer, transformers 4.57.
inline Value conv_stem(const Scope& scope, const Operand& x, const ConvOptions& options, const ConvStem& form) {
  Value h = conv2d(scope / form.convolution, x, options);
  if (!form.batch_norm.empty()) h = batch_norm(scope / form.batch_norm, h);
  return form.activation.empty() ? h : activation(h, form.activation);
}
/// The same over a signal: f[batch, in, length] -> f[batch, out, …]. Source: WhisperEncoder, transformers 4.57.
inline Value conv_stem(const Scope& scope, const Operand& x, const Conv1dOptions& options, const ConvStem& form) {
  Value h = conv1d(scope / form.convolution, x, options);
  if (!form.batch_norm.empty()) h = batch_norm(scope / form.batch_norm, h);
  return form.activation.empty() ? h : activation(h, form.activation);
}

}  // namespace onnxport::sdk
