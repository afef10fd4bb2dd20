// What transformers.js reads of config.json beside the model's own fields: the type to load where none is asked for, and
// how many files of external data each graph has.
function(exported)
  local apart = { [std.split(graph.file, '/')[1]]: std.length(graph.data) for graph in exported.graphs if std.length(graph.data) > 0 };
  {
    'transformers.js_config': {
      dtype: exported.dtype,
      [if std.length(apart) > 0 then 'use_external_data_format']: apart,
    },
  }
