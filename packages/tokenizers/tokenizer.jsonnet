// tokenizer.json of a checkpoint that has a vocabulary alone, as transformers' tokenizers in Python read it. The program adds
// the vocabulary itself (model.vocab, model.merges).
//
// slow.class and slow.type are tokenizer_config.json's tokenizer_class and config.json's model_type, or null; slow.form is
// 'words' (vocab.txt), 'pairs' (vocab.json and merges.txt), 'letters' (vocab.json) or 'pieces' (a model of sentencepiece);
// slow.config, slow.special and slow.added are tokenizer_config.json, special_tokens_map.json and added_tokens.json; slow.ids has
// the numbers of tokens in brackets; slow.tokens all tokens by their numbers, where they are few, else null. Of pieces, slow.pieces says what the
// model is: model ('unigram', 'pairs', 'words' or 'characters'), count, unknown, characters (how its normalizer replaces them, in base
// 64), and `told`, the pieces that are no plain text. The result says in model.pieces which tokens stand before them, from which
// one on they are taken, and which stand behind.
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
  // Of sentencepiece. `before`, `from`, `after`: where the pieces stand among the tokens; `begins`, `ends`, `between`: what stands
  // around a text, and between two, by the names of special tokens.
  local spm = {
    form: 'pieces',
    special: { bos_token: '<s>', eos_token: '</s>', unk_token: '<unk>', pad_token: '<pad>' },
    before: [],
    from: 0,
    after: [],
    lowers_numbers: false,
    begins: [],
    ends: [],
    between: [],
    second_type: 0,
  };
  local framed = spm {
    special: { bos_token: '<s>', eos_token: '</s>', sep_token: '</s>', cls_token: '<s>', unk_token: '<unk>', pad_token: '<pad>', mask_token: '<mask>' },
    begins: ['cls_token'],
    ends: ['sep_token'],
    between: ['sep_token', 'sep_token'],
    unknown: 3,
    after: [['<mask>', 0.0]],
  };
  local xlm_roberta = framed { before: [['<s>', 0.0], ['<pad>', 0.0], ['</s>', 0.0], ['<unk>', 0.0]], from: 3 };
  local camembert = framed {
    before: [['<s>NOTUSED', 0.0], ['<pad>', 0.0], ['</s>NOTUSED', 0.0], ['<unk>', 0.0], ['<unk>NOTUSED', -100.0]],
    from: 1,
  };
  local albert = spm {
    special: { bos_token: '[CLS]', eos_token: '[SEP]', unk_token: '<unk>', sep_token: '[SEP]', pad_token: '<pad>', cls_token: '[CLS]', mask_token: '[MASK]' },
    begins: ['cls_token'],
    ends: ['sep_token'],
    between: ['sep_token'],
    second_type: 1,
    lowers_numbers: true,
    simplifies: true,
  };
  local big_bird = spm {
    special: { unk_token: '<unk>', bos_token: '<s>', eos_token: '</s>', pad_token: '<pad>', sep_token: '[SEP]', mask_token: '[MASK]', cls_token: '[CLS]' },
    begins: ['cls_token'],
    ends: ['sep_token'],
    between: ['sep_token'],
    second_type: 1,
  };
  local t5 = spm { ends: ['eos_token'], between: ['eos_token'], extra: 100 };
  local llama = spm {
    special: { unk_token: '<unk>', bos_token: '<s>', eos_token: '</s>' },
    keeps_spaces: true,
    bytes: true,
  };
  local marian = spm {
    special: { unk_token: '<unk>', eos_token: '</s>', pad_token: '<pad>' },
    ends: ['eos_token'],
    by_vocabulary: true,
    by_words: true,
  };
  local speecht5 = spm { ends: ['eos_token'], of_characters: true };
  // Whose vocabulary is a list of letters.
  local esm = {
    form: 'words',
    recipe: 'residues',
    special: { unk_token: '<unk>', cls_token: '<cls>', pad_token: '<pad>', mask_token: '<mask>', eos_token: '<eos>' },
  };
  local wav2vec2 = {
    form: 'letters',
    special: { bos_token: '<s>', eos_token: '</s>', unk_token: '<unk>', pad_token: '<pad>' },
  };
  local vits = { form: 'letters', recipe: 'sounds', special: { pad_token: '<pad>', unk_token: '<unk>' } };
  local classes = {
    AlbertTokenizer: albert,
    BigBirdTokenizer: big_bird,
    CamembertTokenizer: camembert,
    EsmTokenizer: esm,
    LlamaTokenizer: llama,
    MarianTokenizer: marian,
    SpeechT5Tokenizer: speecht5,
    T5Tokenizer: t5,
    VitsTokenizer: vits,
    Wav2Vec2CTCTokenizer: wav2vec2,
    XLMRobertaTokenizer: xlm_roberta,
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
    albert: 'AlbertTokenizer',
    big_bird: 'BigBirdTokenizer',
    camembert: 'CamembertTokenizer',
    esm: 'EsmTokenizer',
    llama: 'LlamaTokenizer',
    marian: 'MarianTokenizer',
    mt5: 'T5Tokenizer',
    speecht5: 'SpeechT5Tokenizer',
    t5: 'T5Tokenizer',
    vits: 'VitsTokenizer',
    wav2vec2: 'Wav2Vec2CTCTokenizer',
    hubert: 'Wav2Vec2CTCTokenizer',
    'xlm-roberta': 'XLMRobertaTokenizer',
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
    normalized: (kind.form == 'pairs' && name != 'mask_token') || (kind.form == 'pieces' && name == 'mask_token'),
    special: true,
  };
  local given(name) =
    local found = [source[name] for source in [slow.config, slow.special, kind.special] if std.get(source, name) != null];
    if std.length(found) > 0 then token(found[0], flags(name)) else null;
  local told = option('added_tokens_decoder', {});
  local told_ids = { [told[number].content]: std.parseInt(number) for number in std.objectFields(told) };
  // Numbers of pieces, as the tokens that stand before them move them.
  local pieces = std.get(slow, 'pieces', null);
  local extra = if kind != null && std.objectHas(kind, 'extra') then option('extra_ids', kind.extra) else 0;
  local after = if kind == null || kind.form != 'pieces' then [] else kind.after + [['<extra_id_%d' % (extra - 1 - i) + '>', 0.0] for i in std.range(0, extra - 1)];
  local moved = if pieces == null || kind == null || kind.form != 'pieces' || std.objectHas(kind, 'by_vocabulary') then {} else
    local shift = std.length(kind.before) - kind.from;
    { [kind.before[i][0]]: i for i in std.range(0, std.length(kind.before) - 1) } +
    { [piece.text]: piece.id + shift for piece in pieces.told if piece.id >= kind.from } +
    { [after[i][0]]: pieces.count + shift + i for i in std.range(0, std.length(after) - 1) };
  local id(content) = std.get(told_ids, content, std.get(moved, content, std.get(slow.ids, content, std.get(slow.added, content))));
  local text(name) = given(name).content;
  local names = ['unk_token', 'bos_token', 'eos_token', 'sep_token', 'pad_token', 'cls_token', 'mask_token'];
  local specials = std.filter(function(one) one != null && id(one.content) != null, [given(name) for name in names]);
  local plain = { single_word: false, lstrip: false, rstrip: false, normalized: true, special: false };
  // What a model of sentencepiece says is no plain text, found before it is simplified.
  local of_pieces = if pieces == null || moved == {} then {} else {
    ['%d' % moved[piece.text]]: plain { content: piece.text, normalized: false, special: piece.kind == 'control' }
    for piece in pieces.told
    if std.member(['control', 'user_defined'], piece.kind) && std.objectHas(moved, piece.text)
  };
  local of_extra = { ['%d' % moved[one[0]]]: plain { content: one[0], normalized: false, special: true } for one in after if moved != {} && std.startsWith(one[0], '<extra_id_') };
  local by_files = if std.length(told) > 0 then { [number]: token(told[number], plain) for number in std.objectFields(told) } else
    { ['%d' % slow.added[content]]: token(content, plain) for content in std.objectFields(slow.added) } +
    std.foldl(function(all, one) all + { ['%d' % id(one.content)]: one }, specials, {});
  local before_simplifying(number) = if std.objectHas(of_pieces, number) then of_pieces[number] + std.get(by_files, number, {}) + { normalized: false } else by_files[number];
  local by_id = of_extra + of_pieces + { [number]: before_simplifying(number) for number in std.objectFields(by_files) };
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
  local pair_tokens = {
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

  // Of letters: a text of residues is cut at every token, of which the longest counts.
  local escaped(text) = std.join('', [if std.member('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 ', c) then c else '\\' + c for c in std.stringChars(text)]);
  local of_words(vocabulary) = { type: 'WordLevel', unk_token: text('unk_token') } + vocabulary;
  local few = if slow.tokens == null then [] else slow.tokens;
  local residues = {
    normalizer: null,
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [
        { type: 'Split', pattern: { Regex: std.join('|', [escaped(one) for one in std.sort(few, function(one) -std.length(one))]) }, behavior: 'Isolated', invert: false },
        { type: 'WhitespaceSplit' },
      ],
    },
    post_processor: {
      type: 'TemplateProcessing',
      single: [mark('cls_token', 0), sequence('A', 0), mark('eos_token', 0)],
      pair: self.single + [sequence('B', 0), mark('eos_token', 0)],
      special_tokens: { [text(name)]: special(text(name)) for name in ['cls_token', 'eos_token'] },
    },
    decoder: null,
    model: of_words({}),
  };
  local each_letter = { type: 'Split', pattern: { Regex: '[\\s\\S]' }, behavior: 'Isolated', invert: false };
  local delimiter = option('word_delimiter_token', '|');
  local letters = {
    normalizer: { type: 'Replace', pattern: { String: ' ' }, content: delimiter },
    pre_tokenizer: each_letter,
    post_processor: null,
    decoder: { type: 'CTC', pad_token: text('pad_token'), word_delimiter_token: delimiter, cleanup: true },
    model: of_words({}),
  };
  // Letters that are spoken: others are left out, and a pause stands around each.
  local single = [one for one in few if std.length(one) == 1];
  local sounds = {
    normalizer: {
      type: 'Sequence',
      normalizers:
        (if option('normalize', true) then [
           { type: 'Lowercase' },
           { type: 'Replace', pattern: { Regex: '[^' + std.join('', [escaped(one) for one in single]) + ']' }, content: '' },
           { type: 'Strip', strip_left: true, strip_right: true },
         ] else []) +
        (if option('add_blank', true) then [{ type: 'Replace', pattern: { Regex: '(?=[\\s\\S])|(?<=[\\s\\S])$' }, content: few[0] }] else []),
    },
    pre_tokenizer: each_letter,
    post_processor: null,
    decoder: null,
    model: of_words({}),
  };

  local around(names, type) = [mark(name, type) for name in names];
  local prepends = option('add_prefix_space', true) != false;
  local marks = { type: 'Metaspace', replacement: '▁', prepend_scheme: if !prepends then 'never' else if option('legacy', true) then 'always' else 'first', split: true };
  local replaced(from, to) = { type: 'Replace', pattern: from, content: to };
  local compiled = if pieces == null || pieces.characters == '' then [] else [{ type: 'Precompiled', precompiled_charsmap: pieces.characters }];
  local spaced =
    // As it is written: a space is a mark, and one stands before the text.
    if std.objectHas(kind, 'keeps_spaces') then
      if option('legacy', true) then
        { normalizer: { type: 'Sequence', normalizers: (if prepends then [{ type: 'Prepend', prepend: '▁' }] else []) + [replaced({ String: ' ' }, '▁')] }, pre_tokenizer: null }
      else { normalizer: null, pre_tokenizer: marks { split: false } }
    else if std.objectHas(kind, 'simplifies') then
      {
        normalizer: {
          type: 'Sequence',
          normalizers: [replaced({ String: '``' }, '"'), replaced({ String: "''" }, '"')] +
                       (if option('keep_accents', false) then [] else [{ type: 'NFKD' }, { type: 'StripAccents' }]) +
                       (if option('do_lower_case', true) then [{ type: 'Lowercase' }] else []) +
                       compiled + [replaced({ Regex: ' {2,}' }, ' ')],
        },
        pre_tokenizer: marks,
      }
    else
      {
        normalizer: { type: 'Sequence', normalizers: compiled + [{ type: 'Strip', strip_left: false, strip_right: true }, replaced({ Regex: ' {2,}' }, '▁')] },
        pre_tokenizer: if std.objectHas(kind, 'by_words') then { type: 'Sequence', pretokenizers: [{ type: 'WhitespaceSplit' }, marks] }
        else if std.objectHas(kind, 'of_characters') then marks { split: false }
        else marks,
      };
  local told_bos = option('add_bos_token', true), told_eos = option('add_eos_token', false);
  local begins = if std.objectHas(kind, 'bytes') then (if told_bos then ['bos_token'] else []) else kind.begins;
  local ends = if std.objectHas(kind, 'bytes') then (if told_eos then ['eos_token'] else []) else kind.ends;
  local of_pairs = pieces != null && pieces.model == 'pairs';
  local of_sentencepiece = spaced {
    post_processor: if begins + ends == [] then null else {
      type: 'TemplateProcessing',
      single: around(begins, 0) + [sequence('A', 0)] + around(ends, 0),
      pair:
        if std.objectHas(kind, 'bytes') then self.single + around(begins, 1) + [sequence('B', 1)] + around(ends, 1)
        else if std.objectHas(kind, 'by_vocabulary') || std.objectHas(kind, 'of_characters') then [sequence('A', 0), sequence('B', 0)] + around(ends, 0)
        else around(begins, 0) + [sequence('A', 0)] + around(kind.between, 0) + [sequence('B', kind.second_type)] + around(ends, kind.second_type),
      special_tokens: { [content]: special(content) for content in std.set([text(name) for name in begins + ends + kind.between]) },
    },
    decoder:
      if std.objectHas(kind, 'bytes') then
        { type: 'Sequence', decoders: [replaced({ String: '▁' }, ' '), { type: 'ByteFallback' }, { type: 'Fuse' }] + (if prepends then [{ type: 'Strip', content: ' ', start: 1, stop: 0 }] else []) }
      else marks,
    model:
      // Characters are pairs of which none becomes one: unknown ones beside each other are one token.
      (if of_pairs || std.objectHas(kind, 'of_characters') then { type: 'BPE', dropout: null, unk_token: text('unk_token'), continuing_subword_prefix: null, end_of_word_suffix: null, fuse_unk: true, byte_fallback: std.objectHas(kind, 'bytes'), ignore_merges: false }
       else { type: 'Unigram', unk_id: if std.objectHas(kind, 'by_vocabulary') then id(text('unk_token')) else std.get(kind, 'unknown', pieces.unknown), byte_fallback: std.objectHas(kind, 'bytes') }) +
      { pieces: { before: kind.before, from: kind.from, after: after, lowers_numbers: kind.lowers_numbers, by_vocabulary: std.objectHas(kind, 'by_vocabulary') } },
  };
  local expected = { words: 'vocab.txt', pairs: 'vocab.json and merges.txt', letters: 'vocab.json', pieces: 'a model of sentencepiece' };

  if kind == null then
    { refused: if class == null then 'no file names the class of the tokenizer' else 'nothing is known of the class %s' % class }
  else if kind.form != slow.form then
    { refused: 'the class %s has another vocabulary than %s' % [class, expected[slow.form]] }
  else if std.length(missing) > 0 then
    { refused: 'the vocabulary lacks ' + std.join(', ', missing) }
  else if !option('do_basic_tokenize', true) then
    { refused: 'do_basic_tokenize is false' }
  else if kind.form == 'pieces' && pieces.model == (if std.objectHas(kind, 'of_characters') then 'unigram' else 'characters') then
    { refused: 'the class %s does not go with a model of %s' % [class, pieces.model] }
  else if kind.form == 'pieces' && !std.member(['unigram', 'pairs', 'characters'], pieces.model) then
    { refused: 'sentencepiece models of %s are not known' % pieces.model }
  else if std.member(['residues', 'sounds'], std.get(kind, 'recipe')) && slow.tokens == null then
    { refused: 'the vocabulary is no list of letters' }
  else if kind.form == 'letters' && option('do_lower_case', false) then
    { refused: 'do_lower_case is true' }
  else if std.get(kind, 'recipe') == 'sounds' && option('phonemize', true) then
    { refused: 'phonemize is true, which a program of its own does' }
  else { version: '1.0', truncation: null, padding: null, added_tokens: added_tokens } +
       { words: words, pairs: pair_tokens, letters: letters, pieces: of_sentencepiece, residues: residues, sounds: sounds }[std.get(kind, 'recipe', slow.form)]
