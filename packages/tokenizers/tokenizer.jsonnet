// tokenizer.json of a checkpoint that has a vocabulary alone, as transformers' tokenizers in Python read it. The program adds
// the vocabulary itself (model.vocab, model.merges).
//
// slow.class and slow.type are tokenizer_config.json's tokenizer_class and config.json's model_type, or null; slow.form is
// 'words' (vocab.txt) or 'pairs' (vocab.json and merges.txt); slow.config, slow.special and slow.added are tokenizer_config.json,
// special_tokens_map.json and added_tokens.json; slow.ids has the numbers of tokens in brackets.
function(slow)
  // What each class of tokenizers does. `special`: its tokens where no file names others. `pair`: how often the separator
  // stands between two texts.
  local bert = {
    form: 'words',
    special: { unk_token: '[UNK]', sep_token: '[SEP]', pad_token: '[PAD]', cls_token: '[CLS]', mask_token: '[MASK]' },
    separators: 1,
  };
  local mpnet = {
    form: 'words',
    special: { bos_token: '<s>', eos_token: '</s>', sep_token: '</s>', cls_token: '<s>', unk_token: '[UNK]', pad_token: '<pad>', mask_token: '<mask>' },
    separators: 2,
  };
  local roberta = {
    form: 'pairs',
    special: { bos_token: '<s>', eos_token: '</s>', sep_token: '</s>', cls_token: '<s>', unk_token: '<unk>', pad_token: '<pad>', mask_token: '<mask>' },
    frame: true,
  };
  local gpt2 = {
    form: 'pairs',
    special: { unk_token: '<|endoftext|>', bos_token: '<|endoftext|>', eos_token: '<|endoftext|>' },
    frame: false,
  };
  local classes = {
    BertTokenizer: bert,
    ConvBertTokenizer: bert,
    DistilBertTokenizer: bert,
    DPRContextEncoderTokenizer: bert,
    DPRQuestionEncoderTokenizer: bert,
    DPRReaderTokenizer: bert,
    ElectraTokenizer: bert,
    LayoutLMTokenizer: bert,
    LxmertTokenizer: bert,
    MobileBertTokenizer: bert,
    SqueezeBertTokenizer: bert,
    MPNetTokenizer: mpnet,
    BartTokenizer: roberta,
    LEDTokenizer: roberta,
    LongformerTokenizer: roberta,
    MvpTokenizer: roberta,
    RobertaTokenizer: roberta,
    CodeGenTokenizer: gpt2,
    GPT2Tokenizer: gpt2,
  };
  // Where no class is named, the type of the model names it.
  local types = {
    bert: 'BertTokenizer',
    convbert: 'ConvBertTokenizer',
    distilbert: 'DistilBertTokenizer',
    electra: 'ElectraTokenizer',
    layoutlm: 'LayoutLMTokenizer',
    mobilebert: 'MobileBertTokenizer',
    squeezebert: 'SqueezeBertTokenizer',
    mpnet: 'MPNetTokenizer',
    bart: 'BartTokenizer',
    led: 'LEDTokenizer',
    longformer: 'LongformerTokenizer',
    mvp: 'MvpTokenizer',
    roberta: 'RobertaTokenizer',
    codegen: 'CodeGenTokenizer',
    gpt2: 'GPT2Tokenizer',
    gpt_neo: 'GPT2Tokenizer',
    opt: 'GPT2Tokenizer',
  };
  local named = if slow.class != null then slow.class else std.get(types, std.toString(slow.type));
  local class = if named != null && std.endsWith(named, 'Fast') then std.substr(named, 0, std.length(named) - 4) else named;
  local kind = std.get(classes, std.toString(class));
  local option(name, otherwise) = std.get(slow.config, name, otherwise);

  // Tokens with what is special about them. `content` as a text, or as an object with its flags.
  local token(content, flags) = flags + (if std.isObject(content) then { [key]: content[key] for key in std.objectFields(content) if key != '__type' } else { content: content });
  local flags(name) = {
    single_word: false,
    lstrip: name == 'mask_token' && !std.member(std.objectValues(kind.special), '[MASK]'),
    rstrip: false,
    normalized: kind.form == 'pairs' && name != 'mask_token',
    special: true,
  };
  local given(name) =
    local found = [source[name] for source in [slow.config, slow.special, kind.special] if std.get(source, name) != null];
    if std.length(found) > 0 then token(found[0], flags(name)) else null;
  local told = option('added_tokens_decoder', {});
  local told_ids = { [told[number].content]: std.parseInt(number) for number in std.objectFields(told) };
  local id(content) = std.get(told_ids, content, std.get(slow.ids, content, std.get(slow.added, content)));
  local text(name) = given(name).content;
  local names = ['unk_token', 'bos_token', 'eos_token', 'sep_token', 'pad_token', 'cls_token', 'mask_token'];
  local specials = std.filter(function(one) one != null && id(one.content) != null, [given(name) for name in names]);
  local plain = { single_word: false, lstrip: false, rstrip: false, normalized: true, special: false };
  local by_id = if std.length(told) > 0 then { [number]: token(told[number], plain) for number in std.objectFields(told) } else
    { ['%d' % slow.added[content]]: token(content, plain) for content in std.objectFields(slow.added) } +
    std.foldl(function(all, one) all + { ['%d' % id(one.content)]: one }, specials, {});
  local added_tokens = std.sort([by_id[number] { id: std.parseInt(number) } for number in std.objectFields(by_id)], function(one) one.id);

  local missing = [given(name).content for name in ['cls_token', 'sep_token'] if given(name) != null && id(given(name).content) == null];
  local special(content) = { id: content, ids: [id(content)], tokens: [content] };
  local mark(name, type) = { SpecialToken: { id: text(name), type_id: type } };
  local sequence(id, type) = { Sequence: { id: id, type_id: type } };
  local words = {
    normalizer: {
      type: 'BertNormalizer',
      clean_text: true,
      handle_chinese_chars: option('tokenize_chinese_chars', true),
      strip_accents: option('strip_accents', null),
      lowercase: option('do_lower_case', true),
    },
    pre_tokenizer: { type: 'BertPreTokenizer' },
    post_processor: {
      type: 'TemplateProcessing',
      single: [mark('cls_token', 0), sequence('A', 0), mark('sep_token', 0)],
      pair: self.single + [mark('sep_token', 0) for i in std.range(2, kind.separators)] + [sequence('B', 1), mark('sep_token', 1)],
      special_tokens: { [text(name)]: special(text(name)) for name in ['cls_token', 'sep_token'] },
    },
    decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
    model: { type: 'WordPiece', unk_token: text('unk_token'), continuing_subword_prefix: '##', max_input_chars_per_word: 100 },
  };
  local leading_space = option('add_prefix_space', false);
  local pairs = {
    normalizer: null,
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: leading_space, trim_offsets: true, use_regex: true },
    post_processor:
      if kind.frame then
        {
          type: 'RobertaProcessing',
          sep: [text('sep_token'), id(text('sep_token'))],
          cls: [text('cls_token'), id(text('cls_token'))],
          trim_offsets: true,
          add_prefix_space: leading_space,
        }
      else if option('add_bos_token', false) then
        {
          type: 'TemplateProcessing',
          single: [mark('bos_token', 0), sequence('A', 0)],
          pair: self.single + [sequence('B', 1)],
          special_tokens: { [text('bos_token')]: special(text('bos_token')) },
        }
      else { type: 'ByteLevel', add_prefix_space: true, trim_offsets: false, use_regex: true },
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: '',
      end_of_word_suffix: '',
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
    },
  };

  if kind == null then
    { refused: if class == null then 'no file names the class of the tokenizer' else 'nothing is known of the class %s' % class }
  else if kind.form != slow.form then
    { refused: 'the class %s has another vocabulary than %s' % [class, { words: 'vocab.txt', pairs: 'vocab.json and merges.txt' }[slow.form]] }
  else if std.length(missing) > 0 then
    { refused: 'the vocabulary lacks ' + std.join(', ', missing) }
  else if !option('do_basic_tokenize', true) then
    { refused: 'do_basic_tokenize is false' }
  else { version: '1.0', truncation: null, padding: null, added_tokens: added_tokens } + { words: words, pairs: pairs }[slow.form]
