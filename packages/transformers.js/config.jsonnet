// What transformers.js reads of config.json beside the model's own fields: the type to load where none is asked for, and
// how many files of external data each graph has. What a model's class takes for granted it wants to be told: that there
// is an encoder, how many layers the decoder has, and what of a config is the text's where images are read as well.
function(exported)
  local config = std.get(exported.configs, 'config.json', {});
  local apart = { [std.split(graph.file, '/')[1]]: std.length(graph.data) for graph in exported.graphs if std.length(graph.data) > 0 };
  local pasts = [group.past for graph in exported.graphs for group in graph.states];
  local has_encoder = std.length([past for past in pasts if std.length(std.findSubstr('.encoder.', past)) > 0]) > 0;
  local untold(field) = has_encoder && !std.objectHas(config, field);
  local sees = std.length([graph for graph in exported.graphs if graph.parts == ['vision_encoder']]) > 0 && std.length(pasts) > 0;
  local of_text = { [field]: config[field] for field in std.objectFields(config) if !std.member(['architectures', 'vision_config'], field) } +
                  { model_type: exported.model_type + '_text' };
  {
    [if sees && !std.objectHas(config, 'text_config') then 'text_config']: of_text,
    [if untold('is_encoder_decoder') then 'is_encoder_decoder']: true,
    [if untold('num_decoder_layers') && std.objectHas(config, 'num_layers') then 'num_decoder_layers']: config.num_layers,
    'transformers.js_config': {
      dtype: exported.dtype,
      [if std.length(apart) > 0 then 'use_external_data_format']: apart,
    },
  }
