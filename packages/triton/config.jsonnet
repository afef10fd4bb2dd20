// config.pbtxt of each graph, in the text form of triton's model_config.proto.
function(exported)
  local types = {
    f32: 'TYPE_FP32', f16: 'TYPE_FP16', bf16: 'TYPE_BF16', f64: 'TYPE_FP64', boolean: 'TYPE_BOOL', bool: 'TYPE_BOOL',
    i8: 'TYPE_INT8', i16: 'TYPE_INT16', i32: 'TYPE_INT32', i64: 'TYPE_INT64',
    u8: 'TYPE_UINT8', u16: 'TYPE_UINT16', u32: 'TYPE_UINT32', u64: 'TYPE_UINT64',
  };
  local config(graph) =
    local values = graph.inputs + graph.outputs;
    // Triton puts requests together along the first axis, which then is the batch in every input and output.
    local batched = std.length([value for value in values if std.length(value.axes) == 0 || value.axes[0] != 'batch_size']) == 0;
    local own(value) = if batched then value.axes[1:] else value.axes;
    local dims(value) = '[ %s ]' % std.join(', ', [if std.isNumber(axis) then '%d' % axis else '-1' for axis in own(value)]);
    local tensor(kind, value) =
      '%s {\n  name: "%s"\n  data_type: %s\n' % [kind, value.name, types[value.type]] +
      // One number for each request; without batches its back end takes a scalar as it is, and its core no empty reshape.
      (if std.length(own(value)) == 0 then '  dims: [ 1 ]\n' + (if batched then '  reshape { shape: [ ] }\n' else '') else '  dims: %s' % dims(value) +
       '  # %s\n' % std.join(', ', ['%s' % axis for axis in own(value)])) + '}\n';
    // What a text's axes are called is known, so that a request can be made up; of images and caches no length is.
    local lengths = { sequence_length: 8, encoder_sequence_length: 8 };
    local unknown = [
      axis for value in graph.inputs for axis in own(value) if !std.isNumber(axis) && !std.objectHas(lengths, axis)
    ];
    local can_warm_up = batched && std.length(unknown) == 0;
    local warm_up =
      'model_warmup {\n  name: "zeros"\n  batch_size: 1\n' + std.join('', [
        '  inputs {\n    key: "%s"\n    value {\n      data_type: %s\n      dims: [ %s ]\n      zero_data: true\n    }\n  }\n' % [
          value.name, types[value.type],
          std.join(', ', ['%d' % (if std.isNumber(axis) then axis else lengths[axis]) for axis in own(value)]),
        ]
        for value in graph.inputs if std.length(own(value)) > 0
      ]) + '}\n';
    'backend: "onnxruntime"\n' +
    'max_batch_size: %s\n' % (if batched then exported.data.max_batch_size else '0') +
    std.join('', [tensor('input', value) for value in graph.inputs]) +
    std.join('', [tensor('output', value) for value in graph.outputs]) +
    (if batched && std.length(graph.states) == 0 then 'dynamic_batching { }\n' else '') +
    (if can_warm_up then warm_up else '');
  // "config.pbtxt" beside "1/model.onnx".
  {
    [std.substr(graph.file, 0, std.length(graph.file) - std.length('1/model.onnx')) + 'config.pbtxt']: config(graph)
    for graph in exported.graphs
  }
