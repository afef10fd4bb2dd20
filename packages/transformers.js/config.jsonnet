// What transformers.js reads of config.json beside the model's own fields: the type to load where none is asked for, and
// how many files of external data each graph has. What a model's class takes for granted it wants to be told: that there
// is an encoder, how many layers the decoder has, which of them keep what, and what of a config is the text's where images are read as well.
function(exported)
  local config = std.get(exported.configs, 'config.json', {});
  local apart = { [std.split(graph.file, '/')[1]]: std.length(graph.data) for graph in exported.graphs if std.length(graph.data) > 0 };
  local states = [group for graph in exported.graphs for group in graph.states];
  local pasts = [group.past for group in states];
  local has_encoder = std.length([past for past in pasts if std.length(std.findSubstr('.encoder.', past)) > 0]) > 0;
  local untold(field) = has_encoder && !std.objectHas(config, field);
  local of_type(name) = std.get(std.get(exported.data, name, {}), exported.model_type, {});
  local kinds = of_type('layer_types'), other_names = of_type('names');
  local layers = 1 + std.foldl(std.max, [layer for group in states for layer in group.layers], 0);
  local kind(layer) =
    local found = [kinds[group.past] for group in states if std.objectHas(kinds, group.past) && std.member(group.layers, layer)];
    if std.length(found) > 0 then found[0] else 'mlp';
  local tells_layers = std.get(config, 'layer_types') != null || std.get(config, 'layers_block_type') != null;
  local sees = std.length([graph for graph in exported.graphs if graph.parts == ['vision_encoder']]) > 0 && std.length(pasts) > 0;
  local of_text = { [field]: config[field] for field in std.objectFields(config) if !std.member(['architectures', 'vision_config'], field) } +
                  { model_type: exported.model_type + '_text' };
  {
    [name]: config[other_names[name]]
    for name in std.objectFields(other_names)
    if !std.objectHas(config, name) && std.objectHas(config, other_names[name])
  } + {
    // To it, such a model keeps keys and values in one tensor.
    [if std.get(config, 'multi_query', false) && std.member(pasts, 'past_key_values.%d.key') then 'multi_query']: false,
    [if kinds != {} && !tells_layers && states != [] then 'layer_types']: [kind(layer) for layer in std.range(0, std.max(layers, std.get(config, 'num_hidden_layers', 0)) - 1)],
    [if sees && !std.objectHas(config, 'text_config') then 'text_config']: of_text,
    [if untold('is_encoder_decoder') then 'is_encoder_decoder']: true,
    [if untold('num_decoder_layers') && std.objectHas(config, 'num_layers') then 'num_decoder_layers']: config.num_layers,
    'transformers.js_config': {
      dtype: exported.dtype,
      [if std.length(apart) > 0 then 'use_external_data_format']: apart,
    },
  }
