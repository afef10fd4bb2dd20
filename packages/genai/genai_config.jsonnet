// genai_config.json, as onnxruntime-genai 0.18 reads it.
function(exported)
  local config = std.get(exported.configs, 'config.json', {});
  // What config.json says of the text's half where a model has several.
  local text = std.get(config, 'text_config', config);
  local generation = std.get(exported.configs, 'generation_config.json', {});

  // The first of these fields that has a value; `otherwise` where none has.
  local first(objects, names, otherwise=null) =
    local found = [object[name] for name in names for object in objects if std.get(object, name) != null];
    if std.length(found) > 0 then found[0] else otherwise;
  // The same among what generates: generation_config.json says it where config.json says otherwise.
  local token(name, otherwise) = first([generation, config, text], [name], otherwise);
  local of_role(graph, role) = [input.name for input in graph.inputs if std.get(input, 'role') == role];
  local optional(key, names) = if std.length(names) > 0 then { [key]: names[0] } else {};

  local decoders = [graph for graph in exported.graphs if std.length(graph.states) > 0];
  local decoder = decoders[0];
  local state(names) =
    local found = [group for group in decoder.states if std.member(names, group.past)];
    if std.length(found) > 0 then found[0] else null;
  local key = state(['past_key_values.%d.key']);
  local value = state(['past_key_values.%d.value']);
  // What layers that are no attention keep: a convolution's last inputs, and a state that is replaced as a whole.
  local convolution = state(['past_conv.%d']);
  local recurrent = state(['past_recurrent.%d', 'past_ssm.%d']);
  local known = [group.past for group in [key, value, convolution, recurrent] if group != null];
  local unknown = [group.past for group in decoder.states if !std.member(known, group.past)];
  local has_buffers = key != null && std.length(key.axes) == 4 && std.isNumber(key.axes[2]);
  local has(group, layer) = group != null && std.member(group.layers, layer);
  local layers = 1 + std.foldl(std.max, [layer for group in decoder.states for layer in group.layers], 0);
  local kind(layer) =
    if has(key, layer) then 'full_attention' else if has(recurrent, layer) then 'linear_attention' else 'conv';

  local eos = token('eos_token_id', 0);
  local one_eos = if std.isArray(eos) then eos[0] else eos;
  local context = first([text, config], ['max_position_embeddings', 'max_target_positions', 'n_positions', 'n_ctx', 'max_seq_len', 'seq_length'],
                        std.get(exported.facts, 'max_positions', 2048));
  local tokens = {
    bos_token_id: token('bos_token_id', one_eos),
    eos_token_id: eos,
    pad_token_id: token('pad_token_id', one_eos),
    vocab_size: [output.axes[std.length(output.axes) - 1] for output in decoder.outputs if output.name == 'logits'][0],
  };
  local session_options = { log_id: 'onnxruntime-genai', provider_options: [] };
  local search = {
    diversity_penalty: 0.0,
    do_sample: first([generation], ['do_sample'], false),
    early_stopping: true,
    length_penalty: 1.0,
    max_length: if has_buffers then std.min(context, key.axes[2]) else context,
    min_length: 0,
    no_repeat_ngram_size: 0,
    num_beams: 1,
    num_return_sequences: 1,
    // A cache that is concatenated has past and present in two buffers; one of a fixed length is one.
    past_present_share_buffer: has_buffers,
    repetition_penalty: first([generation], ['repetition_penalty'], 1.0),
    temperature: first([generation], ['temperature'], 1.0),
    top_k: first([generation], ['top_k'], 50),
    top_p: first([generation], ['top_p'], 1.0),
  };

  // A decoder over an encoder, which here makes the keys and values over its own result.
  local encoders = [graph for graph in exported.graphs if graph.parts == ['encoder']];
  local makes_keys(encoder) = std.length([output for output in encoder.outputs if std.startsWith(output.name, 'present.')]) > 0;
  local types_over_encoder = std.get(exported.data, 'types_over_encoder', {});
  local over_encoder(type) =
    local encoder = encoders[0];
    local own_key = state(['past_key_values.%d.decoder.key']), own_value = state(['past_key_values.%d.decoder.value']);
    local cross_key = state(['past_key_values.%d.encoder.key']), cross_value = state(['past_key_values.%d.encoder.value']);
    local sizes = {
      head_size: own_key.axes[3],
      hidden_size: own_key.axes[1] * own_key.axes[3],
      num_attention_heads: own_key.axes[1],
      num_key_value_heads: own_key.axes[1],
    };
    {
      model: tokens {
        type: type,
        context_length: context,
        encoder: sizes {
          session_options: session_options,
          filename: encoder.file,
          num_hidden_layers: first([config], ['encoder_layers', 'num_hidden_layers'], std.length(own_key.layers)),
          inputs: { audio_features: of_role(encoder, 'features')[0] },
          outputs: {
            encoder_hidden_states: 'last_hidden_state',
            cross_present_key_names: cross_key.present,
            cross_present_value_names: cross_value.present,
          },
        },
        decoder: sizes {
          session_options: session_options,
          filename: decoder.file,
          num_hidden_layers: std.length(own_key.layers),
          inputs: {
            input_ids: of_role(decoder, 'ids')[0],
            past_key_names: own_key.past,
            past_value_names: own_value.past,
            cross_past_key_names: cross_key.past,
            cross_past_value_names: cross_value.past,
          },
          outputs: {
            logits: 'logits',
            present_key_names: own_key.present,
            present_value_names: own_value.present,
          },
        },
      },
      search: search,
    };

  // A decoder that is given vectors: of words, and among them of images, which the graph of the words puts there.
  local graphs_of(part) = [graph for graph in exported.graphs if graph.parts == [part]];
  local visions = graphs_of('vision_encoder'), embeddings = graphs_of('embed_tokens');
  local takes(graph, name) = [input for input in graph.inputs if input.name == name] != [];
  local types_with_images = std.get(exported.data, 'types_with_images', {});
  local sees = std.length(visions) == 1 && std.length(embeddings) == 1 && std.length(exported.graphs) == 3;
  local puts_images_among_words = sees && takes(embeddings[0], 'image_features');
  local vision = std.get(config, 'vision_config', {});
  // Its own names of what a graph of images takes.
  local known_as = {
    pixel_values: 'pixel_values',
    image_grid_thw: 'image_grid_thw',
    image_sizes: 'image_sizes',
    spatial_shapes: 'image_sizes',
    pixel_attention_mask: 'attention_mask',
  };
  local embedded = [input for input in decoder.inputs if input.name == 'inputs_embeds'];
  local further = if sees then [output.name for output in visions[0].outputs][1:] else [];
  local with_images = {
    model+: {
      type: types_with_images[exported.model_type],
      [if first([config], ['image_token_id', 'image_token_index']) != null then 'image_token_id']:
        first([config], ['image_token_id', 'image_token_index']),
      [if std.get(config, 'vision_start_token_id') != null then 'vision_start_token_id']: config.vision_start_token_id,
      [if std.get(config, 'video_token_id') != null then 'video_token_id']: config.video_token_id,
      vision: {
        filename: visions[0].file,
        // Whose name is usually that of another file, which transformers has.
        config_filename: 'image_processor.json',
        [if first([vision, config], ['spatial_merge_size', 'downsample_factor']) != null then 'spatial_merge_size']:
          first([vision, config], ['spatial_merge_size', 'downsample_factor']),
        [if std.get(vision, 'patch_size') != null then 'patch_size']: vision.patch_size,
        [if std.get(vision, 'window_size') != null then 'window_size']: vision.window_size,
        [if std.get(vision, 'tokens_per_second') != null then 'tokens_per_second']: vision.tokens_per_second,
        inputs: { [known_as[input.name]]: input.name for input in visions[0].inputs if std.objectHas(known_as, input.name) },
        outputs: { image_features: visions[0].outputs[0].name },
      },
      embedding: {
        filename: embeddings[0].file,
        inputs: { [input.name]: input.name for input in embeddings[0].inputs },
        outputs: { inputs_embeds: embeddings[0].outputs[0].name },
      },
      decoder+: { inputs+: { inputs_embeds: 'inputs_embeds' } },
    },
  };

  if std.length(decoders) == 0 then
    { refused: "onnxruntime-genai generates text with a cache, and the feature '%s' has none" % exported.feature }
  else if std.length(encoders) == 1 && makes_keys(encoders[0]) && std.objectHas(types_over_encoder, exported.model_type) then
    over_encoder(types_over_encoder[exported.model_type])
  else if std.objectHas(types_over_encoder, exported.model_type) then
    { refused: 'onnxruntime-genai wants an encoder that makes the keys of the decoder, which --layout genai writes', own_graphs: true }
  else if sees && std.objectHas(types_with_images, exported.model_type) && !puts_images_among_words then
    { refused: "onnxruntime-genai wants a graph of the words that is given the images' vectors, which --layout genai writes", own_graphs: true }
  else if std.length(exported.graphs) > 1 && !(sees && std.objectHas(types_with_images, exported.model_type)) then
    { refused: 'onnxruntime-genai has no type for a model of the graphs ' + std.join(', ', [graph.file for graph in exported.graphs]) }
  else if std.length(unknown) > 0 then
    { refused: 'onnxruntime-genai has no place for the states ' + std.join(', ', unknown) }
  else if key == null || value == null || std.length(key.axes) != 4 then
    { refused: 'onnxruntime-genai keeps keys and values of the form [batch, heads, length, width], and this model has others' }
  else if !key.alike || !value.alike || key.axes != value.axes then
    { refused: 'onnxruntime-genai keeps keys and values of one shape in all layers, and those of this model differ' }
  else if recurrent != null && [layer for layer in recurrent.layers if !has(convolution, layer)] != [] then
    { refused: "onnxruntime-genai keeps a convolution's inputs beside every recurrent state, and layers of this model have none" }
  else if convolution == null && recurrent == null && std.length(key.layers) != layers then
    { refused: 'onnxruntime-genai keeps keys and values of every layer, and here some have none' }
  else if !sees && [input for input in decoder.inputs if std.get(input, 'role') == 'positions' && std.length(input.axes) != 2] != [] then
    { refused: 'onnxruntime-genai counts the positions of a text alone one by one, and this model takes them on three axes' }
  else if further != [] then
    { refused: "onnxruntime-genai hands on one vector of each of an image's tokens, and not " + std.join(', ', further) }
  else {
    model: tokens {
      type: std.get(exported.data.types, exported.model_type, 'decoder'),
      context_length: context,
      decoder: {
        session_options: session_options,
        filename: decoder.file,
        head_size: key.axes[3],
        // How wide the vectors are that it hands from graph to graph: further ones of an image's tokens stand behind the first.
        hidden_size: if std.length(embedded) > 0 && std.isNumber(embedded[0].axes[2]) then embedded[0].axes[2]
                     else first([text, config], ['hidden_size', 'n_embd', 'd_model'], key.axes[1] * key.axes[3]),
        num_attention_heads: std.get(exported.facts, 'num_attention_heads', key.axes[1]),
        num_key_value_heads: key.axes[1],
        num_hidden_layers: layers,
        [if known != [key.past, value.past] then 'layer_types']: [kind(layer) for layer in std.range(0, layers - 1)],
        inputs: {
          past_key_names: key.past,
          past_value_names: value.past,
          [if convolution != null then 'past_conv_names']: convolution.past,
          [if recurrent != null then 'past_recurrent_names']: recurrent.past,
        } + optional('input_ids', of_role(decoder, 'ids'))
          + optional('attention_mask', of_role(decoder, 'mask'))
          + optional('position_ids', of_role(decoder, 'positions')),
        outputs: {
          logits: 'logits',
          present_key_names: key.present,
          present_value_names: value.present,
          [if convolution != null then 'present_conv_names']: convolution.present,
          [if recurrent != null then 'present_recurrent_names']: recurrent.present,
        },
      },
    },
    search: search,
  } + (if sees then with_images else {})
