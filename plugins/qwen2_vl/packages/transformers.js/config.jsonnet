// Of Qwen2-VL transformers.js looks for the text's sizes where published configs have them, and not in text_config.
function(exported)
  local config = std.get(exported.configs, 'config.json', {}), text = std.get(config, 'text_config', {});
  if exported.model_type != 'qwen2_vl' then {} else {
    [field]: text[field]
    for field in ['hidden_size', 'num_attention_heads', 'num_hidden_layers', 'num_key_value_heads']
    if std.objectHas(text, field) && !std.objectHas(config, field)
  }
