// The model card of an export: YAML that hubs read, then a page for people.
function(exported)
  // Features by the tasks of the hub; "-with-past" makes no difference.
  local tasks = {
    default: 'feature-extraction',
    'sentence-embedding': 'sentence-similarity',
    'masked-lm': 'fill-mask',
    'causal-lm': 'text-generation',
    'seq2seq-lm': 'text2text-generation',
    'sequence-classification': 'text-classification',
    'token-classification': 'token-classification',
    'question-answering': 'question-answering',
    'image-classification': 'image-classification',
    'object-detection': 'object-detection',
    'image-segmentation': 'image-segmentation',
    'semantic-segmentation': 'image-segmentation',
    'depth-estimation': 'depth-estimation',
    'vision2seq-lm': 'image-text-to-text',
    'speech2seq-lm': 'automatic-speech-recognition',
    ctc: 'automatic-speech-recognition',
    'audio-classification': 'audio-classification',
    'text-to-audio': 'text-to-audio',
  };
  local task = std.get(tasks, std.strReplace(exported.feature, '-with-past', ''));
  local libraries = { 'transformers.js': 'transformers.js', all: 'transformers.js', optimum: 'optimum' };
  local validation = std.get(exported, 'validation');
  local shape(value) = '%s `%s[%s]`' % [value.name, value.type, std.join(', ', ['%s' % axis for axis in value.axes])];
  local size(bytes) = if bytes < 1e6 then '%.1f KB' % (bytes / 1e3) else '%.1f MB' % (bytes / 1e6);
  local lines(list) = std.join('\n', std.filter(function(line) line != null, list));
  {
    metadata:: [
      ['library_name', std.get(libraries, exported.layout, 'onnx')],
      if exported.model_id != null then ['base_model', exported.model_id],
      if task != null then ['pipeline_tag', task],
      ['tags', '[onnx, onnxport, %s]' % exported.model_type],
    ],
    title:: '%s as ONNX' % (if exported.model_id != null then exported.model_id else exported.model_type),
    local name = if exported.model_id != null then exported.model_id else 'A checkpoint of the type `%s`' % exported.model_type,
    intro:: |||
      %s, exported by onnxport %s with the feature `%s`: opset %d, %s, layout `%s`.
    ||| % [name, exported.version, exported.feature, exported.opset, exported.dtype, exported.layout],
    files:: lines(['| file | size |', '|---|---|'] + ['| `%s` | %s |' % [file.name, size(file.bytes)] for file in exported.files]),
    graphs:: lines([
      lines(['### %s' % graph.file, '', '| input | output |', '|---|---|'] + [
        '| %s | %s |' % [
          if i < std.length(graph.inputs) then shape(graph.inputs[i]) else '',
          if i < std.length(graph.outputs) then shape(graph.outputs[i]) else '',
        ]
        for i in std.range(0, std.max(std.length(graph.inputs), std.length(graph.outputs)) - 1)
      ] + [''])
      for graph in exported.graphs
    ]),
    accuracy:: if validation == null then 'The outputs were not compared with the original definition.' else
      'Compared with the definition in %s by %s on %d sets of inputs: the largest absolute difference is %.1e, at a tolerance of %.1e%s.' % [
        std.get(validation, 'reference', 'recorded outputs'),
        validation.runtime,
        std.length(validation.runs),
        validation.largest_difference,
        validation.atol,
        if validation.status == 'passed' then '' else ', which it exceeds',
      ],
    text: lines(
      ['---'] + ['%s: %s' % entry for entry in self.metadata if entry != null] + ['---', ''] +
      ['# ' + self.title, '', self.intro, '## Files', '', self.files, '', '## Inputs and outputs', '', self.graphs, '## Accuracy', '', self.accuracy, '']
    ),
  }
