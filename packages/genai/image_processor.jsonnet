// What onnxruntime-genai makes of an image before the encoder: steps of onnxruntime-extensions, at the sizes and with the numbers of
// the checkpoint's image processor. Where the original leaves a step out, so does this; what has no step here makes no file.
function(exported)
  local saved = std.get(exported.configs, 'preprocessor_config.json', {});
  // transformers 5 keeps it within the processor's own.
  local processor = std.get(std.get(exported.configs, 'processor_config.json', {}), 'image_processor', saved);
  local config = std.get(exported.configs, 'config.json', {});
  local kind = std.get(std.get(exported.data, 'image_processors', {}), exported.model_type);
  local puts_images_among_words = [
    graph.file
    for graph in exported.graphs
    if graph.parts == ['embed_tokens'] && std.length([1 for input in graph.inputs if input.name == 'image_features']) > 0
  ] != [];

  // A field may be there and hold nothing.
  local saved_as(field, otherwise=null) =
    local value = std.get(processor, field);
    if value == null then otherwise else value;
  local step(name, type, attributes={}) = { operation: { name: name, type: type, [if attributes != {} then 'attrs']: attributes } };
  local does(what) = saved_as('do_' + what, true);
  // PIL's numbers.
  local interpolation = { '0': 'NEAREST', '1': 'LANCZOS', '2': 'LINEAR', '3': 'CUBIC' };
  local resample = std.get(interpolation, '%s' % saved_as('resample', kind.resample));
  local size = saved_as('size', {});
  // To sides that are multiples of a merged patch, with so many pixels.
  local by_patches(patch, merge, least, most) =
    step('resize', 'Resize', {
      height: patch * merge,  // which `smart_resize` goes without
      width: patch * merge,
      interpolation: resample,
      smart_resize: 1,
      min_pixels: least,
      max_pixels: most,
      patch_size: patch,
      merge_size: merge,
    });
  local merge = saved_as('merge_size', 2), patch = saved_as('patch_size', 14);
  local side = saved_as('encoder_patch_size', 16), factor = saved_as('downsample_factor', 2);
  local token = side * side * factor * factor;
  local channels_first = step('permute', 'Permute3D', { dims: [2, 0, 1] });
  // By kind: how the image is resized, and what stands behind its numbers.
  local kinds = {
    // One size for all images.
    one_size: {
      resize: step('resize', 'Resize', { height: size.height, width: size.width, interpolation: resample, keep_aspect_ratio: 0 }),
      behind: [channels_first],
      usable: std.objectHas(size, 'height') && std.objectHas(size, 'width') && !saved_as('do_pan_and_scan', false) &&
              // genai gives each image so many tokens, whatever the model does.
              std.get(config, 'mm_tokens_per_image', 256) == 256,
    },
    // Patches in rows, those of a merged one beside each other, and how many there are each way.
    packed: {
      least:: saved_as('min_pixels', std.get(size, 'shortest_edge')),
      most:: saved_as('max_pixels', std.get(size, 'longest_edge')),
      resize: by_patches(patch, merge, self.least, self.most),
      behind: [step('patches', 'PatchImage', {
        patch_size: patch,
        temporal_patch_size: saved_as('temporal_patch_size', 2),
        merge_size: merge,
      })],
      usable: self.least != null && self.most != null,
    },
    // The whole image, and its size; genai cuts it into patches where the encoder takes those.
    sized: {
      resize: by_patches(config.vision_config.patch_size, std.get(config, 'spatial_merge_size', 1), 1, size.longest_edge * size.longest_edge),
      behind: [channels_first, step('sizes', 'PixtralImageSizes')],
      usable: std.objectHas(size, 'longest_edge'),
    },
    by_tokens: {
      resize: by_patches(side, factor, saved_as('min_image_tokens', 64) * token, saved_as('max_image_tokens', 256) * token),
      behind: [channels_first, step('sizes', 'PixtralImageSizes')],
      usable: true,
    },
  };
  local usable = processor != {} && kind != null && puts_images_among_words && kinds[kind.steps].usable && resample != null &&
                 does('resize') && does('rescale');
  if !usable then null else {
    processor: {
      name: exported.model_type,
      transforms: [
        step('decode_image', 'DecodeImage', { color_space: 'RGB' }),
        kinds[kind.steps].resize,
        step('rescale', 'Rescale', { rescale_factor: saved_as('rescale_factor', 1 / 255) }),
      ] + (if does('normalize') then [step('normalize', 'Normalize', {
             mean: saved_as('image_mean', [0.5, 0.5, 0.5]),
             std: saved_as('image_std', [0.5, 0.5, 0.5]),
           })] else []) + kinds[kind.steps].behind,
    },
  }
