// What onnxruntime-genai makes of a sound before the encoder: the steps of its own feature extractor, which has a Hann window, at
// the sizes of preprocessor_config.json. Of models that hear only where the encoder is one that it runs (genai_config.jsonnet).
function(exported)
  local processor = std.get(exported.configs, 'preprocessor_config.json', {});
  local hears = std.objectHas(std.get(exported.data, 'types_over_encoder', {}), exported.model_type);
  local makes_keys = [
    graph.file
    for graph in exported.graphs
    if graph.parts == ['encoder'] && std.length([1 for output in graph.outputs if std.startsWith(output.name, 'present.')]) > 0
  ] != [];
  local length = std.get(processor, 'n_fft', 400), hop = std.get(processor, 'hop_length', 160);
  // Its decoder of sounds yields 16000 samples a second, whatever the file has.
  local usable = hears && makes_keys && processor != {} && std.get(processor, 'sampling_rate', 16000) == 16000;
  local step(name, type, attributes={}) = { operation: { name: name, type: type, [if attributes != {} then 'attrs']: attributes } };
  if !usable then null else {
    feature_extraction: {
      sequence: [
        step('audio_decoder', 'AudioDecoder'),
        step('STFT', 'STFTNorm', {
          n_fft: length,
          frame_length: length,
          hop_length: hop,
        }),
        step('log_mel_spectrogram', 'LogMelSpectrum', {
          chunk_size: std.get(processor, 'chunk_length', 30),
          hop_length: hop,
          n_fft: length,
          n_mel: std.get(processor, 'feature_size', 80),
        }),
      ],
    },
  }
