# SPDX-License-Identifier: Apache-2.0
"""Ten small checkpoints, one of each kind, and what their original models answer: the rows of table_test.py."""
import dataclasses
import json
import pathlib

import torch
import transformers
from safetensors.torch import load_file, save_file

from program import draw

NEW_TOKENS = 12
IMAGE_TOKEN, IMAGE_TOKENS = 33, 4
TEXTS = ["the quick fox runs", "a lazy dog", "the cat and the dog run"]
WORDS = ["the", "quick", "fox", "runs", "a", "lazy", "dog", "cat", "and", "run", "##s"]

TEXT = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48, "vocab_size": 97,
        "max_position_embeddings": 64, "initializer_range": 0.5}
DECODER = {**TEXT, "num_key_value_heads": 2, "rms_norm_eps": 1e-06, "hidden_act": "silu", "bos_token_id": 1, "eos_token_id": 2,
           "pad_token_id": 0}
SIDES = {"d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4, "decoder_attention_heads": 4,
         "encoder_ffn_dim": 48, "decoder_ffn_dim": 48, "vocab_size": 97, "init_std": 0.5, "is_encoder_decoder": True,
         "bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 1, "decoder_start_token_id": 2, "scale_embedding": False}
IMAGES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48, "image_size": 32,
          "patch_size": 8, "num_channels": 3, "initializer_range": 0.5}


@dataclasses.dataclass
class Row:
    """A kind of model: its config, and how clients are asked. `answers`: outputs of one pass, by name. `tokens`: of a greedy
    search behind the inputs."""

    name: str
    config: dict
    architecture: str
    feature: str = ""  # "" is what the program chooses by config.json
    command: str = ""  # onnxport
    answer: pathlib.Path = None  # examples/run/answer
    folder: pathlib.Path = None
    output: pathlib.Path = None
    inputs: dict = None
    answers: dict = None
    tokens: list = None
    positions: torch.Tensor = None  # of the inputs, where they are no plain count
    texts: object = None  # what the original makes of TEXTS


ROWS = [
    Row("encoder", {"model_type": "bert", **TEXT}, "BertModel"),
    Row("reranker", {"model_type": "bert", **TEXT, "num_labels": 1}, "BertForSequenceClassification"),
    Row("embedder", {"model_type": "bert", **TEXT}, "BertModel", "sentence-embedding"),
    Row("decoder", {"model_type": "llama", **DECODER}, "LlamaForCausalLM"),
    Row("mixture of experts", {"model_type": "qwen3_moe", **DECODER, "head_dim": 8, "num_experts": 4, "num_experts_per_tok": 2,
                               "moe_intermediate_size": 24, "norm_topk_prob": True}, "Qwen3MoeForCausalLM"),
    Row("encoder-decoder", {"model_type": "bart", **SIDES, "max_position_embeddings": 64}, "BartForConditionalGeneration"),
    Row("whisper", {"model_type": "whisper", **SIDES, "num_mel_bins": 8, "max_source_positions": 1500,
                    "max_target_positions": 48, "num_hidden_layers": 2}, "WhisperForConditionalGeneration"),
    Row("vision", {"model_type": "vit", **IMAGES, "num_labels": 5}, "ViTForImageClassification"),
    Row("clip", {"model_type": "clip", "projection_dim": 24,
                 "text_config": {"model_type": "clip_text_model", **TEXT, "eos_token_id": 2, "bos_token_id": 1,
                                 "projection_dim": 24},
                 "vision_config": {"model_type": "clip_vision_model", **IMAGES, "projection_dim": 24}}, "CLIPModel"),
    Row("vision and language",
        {"model_type": "gemma3", "image_token_index": IMAGE_TOKEN, "mm_tokens_per_image": 4, "boi_token_index": 91,
         "eoi_token_index": 92, "eos_token_id": 2, "bos_token_id": 1, "pad_token_id": 0,
         "text_config": {"model_type": "gemma3_text", **DECODER, "head_dim": 8, "query_pre_attn_scalar": 8,
                         "hidden_activation": "gelu_pytorch_tanh", "sliding_window": 32,
                         "layer_types": ["sliding_attention", "full_attention"]},
         "vision_config": {"model_type": "siglip_vision_model", **IMAGES}}, "Gemma3ForConditionalGeneration"),
    # The same of images of any size, whose patches have positions of three axes.
    Row("vision and language, of any size",
        {"model_type": "qwen2_5_vl", **DECODER, "image_token_id": IMAGE_TOKEN, "video_token_id": 34, "vision_start_token_id": 35,
         "vision_end_token_id": 36, "tie_word_embeddings": False, "rope_scaling": {"type": "mrope", "mrope_section": [1, 1, 2]},
         "vision_config": {"depth": 2, "hidden_size": 32, "num_heads": 4, "intermediate_size": 48, "out_hidden_size": 32, "in_channels": 3,
                           "patch_size": 4, "spatial_merge_size": 2, "temporal_patch_size": 2, "window_size": 16,
                           "fullatt_block_indexes": [1], "tokens_per_second": 2, "initializer_range": 0.5}},
        "Qwen2_5_VLForConditionalGeneration"),
]
SEEING = ("vision and language", "vision and language, of any size")


def tokenizer():
    """Of a few whole words, as BERT's."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocabulary = {word: number for number, word in enumerate([*special, *WORDS])}
    return transformers.BertTokenizerFast(tokenizer_object=word_pieces(vocabulary), model_max_length=TEXT["max_position_embeddings"])


def word_pieces(vocabulary):
    import tokenizers
    made = tokenizers.Tokenizer(tokenizers.models.WordPiece(vocabulary, unk_token="[UNK]"))
    made.normalizer = tokenizers.normalizers.BertNormalizer()
    made.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    made.post_processor = tokenizers.processors.BertProcessing(("[SEP]", vocabulary["[SEP]"]), ("[CLS]", vocabulary["[CLS]"]))
    return made


def rename(file, old, new):
    """Tensors are drawn by the names of transformers 5; 4 knows its own alone."""
    tensors = {name.replace(old, new): value.clone() for name, value in load_file(file).items()}
    save_file(tensors, file, {"format": "pt"})


def drawn(command, row, scratch):
    """The checkpoint with its weights, and with a tokenizer where one is read."""
    config = scratch / "config.json"
    config.write_text(json.dumps({**row.config, "architectures": [row.architecture]}))
    folder = scratch / "checkpoint"
    draw(command, config, folder, {"seed": 7, "form": 3})
    if row.name == "vision and language":
        rename(folder / "model.safetensors", "vision_tower.", "vision_tower.vision_model.")
    if row.name in ("encoder", "reranker", "embedder"):
        tokenizer().save_pretrained(folder)
    if row.name == "embedder":
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.models import Normalize, Pooling, Transformer
        words = Transformer(str(folder))
        folder = scratch / "sentences"
        SentenceTransformer(modules=[words, Pooling(32, "mean"), Normalize()], device="cpu").save_pretrained(str(folder))
    return folder


def inputs_of(row):
    """A padded batch of texts, or images, or a sound; for a search a text, or what is read before one."""
    generator = torch.Generator().manual_seed(3)
    ids = torch.tensor([[5, 43, 7, 80, 66], [11, 31, 23, 3, 3]])
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])
    pixels = torch.randn(2, 3, 32, 32, generator=generator)
    one = ids[:1]
    image = torch.full((1, IMAGE_TOKENS), IMAGE_TOKEN)
    return {
        "encoder": {"input_ids": ids, "attention_mask": mask, "token_type_ids": torch.zeros_like(ids)},
        "reranker": {"input_ids": ids, "attention_mask": mask, "token_type_ids": torch.zeros_like(ids)},
        "embedder": {"input_ids": ids, "attention_mask": mask, "token_type_ids": torch.zeros_like(ids)},
        "decoder": {"input_ids": one, "attention_mask": torch.ones_like(one)},
        "mixture of experts": {"input_ids": one, "attention_mask": torch.ones_like(one)},
        "encoder-decoder": {"input_ids": one, "attention_mask": torch.ones_like(one)},
        "whisper": {"input_features": torch.randn(1, 8, 3000, generator=generator)},
        "vision": {"pixel_values": pixels},
        "clip": {"input_ids": torch.tensor([[1, 5, 43, 2], [1, 11, 2, 2]]), "attention_mask": torch.ones(2, 4, dtype=torch.int64),
                 "pixel_values": pixels},
        "vision and language": {"input_ids": torch.cat([one[:, :2], image, one[:, 2:]], 1),
                                "attention_mask": torch.ones(1, 5 + IMAGE_TOKENS, dtype=torch.int64),
                                "pixel_values": pixels[:1]},
        "vision and language, of any size": {"input_ids": torch.cat([one[:, :1], torch.tensor([[35]]), image, torch.tensor([[36]]), one[:, 1:]], 1),
                                             "attention_mask": torch.ones(1, 7 + IMAGE_TOKENS, dtype=torch.int64),
                                             "pixel_values": torch.randn(4 * IMAGE_TOKENS, 96, generator=generator),
                                             "image_grid_thw": torch.tensor([[1, 4, 4]])},
    }[row.name]


def greedy(model, inputs, begin=None):
    """The likeliest tokens, each behind all before it, of whole passes without a cache."""
    name = "input_ids" if begin is None else "decoder_input_ids"
    ids = inputs["input_ids"] if begin is None else begin
    for _ in range(NEW_TOKENS):
        given = {**inputs, name: ids}
        if begin is None:
            given["attention_mask"] = torch.ones_like(ids)
        with torch.no_grad():
            logits = model(**given).logits
        ids = torch.cat([ids, logits[:, -1:].argmax(-1)], 1)
    return ids.tolist()


def ask_original(row):
    """Fills in what clients are compared with."""
    row.inputs = inputs_of(row)
    if row.name == "embedder":
        from sentence_transformers import SentenceTransformer
        sentences = SentenceTransformer(str(row.folder), device="cpu")
        row.texts = torch.tensor(sentences.encode(TEXTS))
        with torch.no_grad():
            made = sentences(dict(row.inputs))
        row.answers = {"last_hidden_state": made["token_embeddings"], "sentence_embedding": made["sentence_embedding"]}
        return
    model, loaded = getattr(transformers, row.architecture).from_pretrained(row.folder, attn_implementation="eager",
                                                                            output_loading_info=True)
    # It would draw them by itself. Of a pooler or a head of the images alone nobody is asked.
    lacking = [name for name in loaded["missing_keys"] if "pooler." not in name and "vision_model.head." not in name]
    if lacking:
        raise AssertionError(f"{row.name}: the checkpoint lacks {', '.join(lacking)}")
    model.eval()
    if "image_grid_thw" in row.inputs:
        row.positions = model.model.get_rope_index(row.inputs["input_ids"], row.inputs["image_grid_thw"])[0]
    if model.config.is_encoder_decoder:
        row.tokens = greedy(model, row.inputs, torch.tensor([[model.config.decoder_start_token_id]]))
    elif row.feature == "" and "input_ids" in row.inputs and hasattr(model, "lm_head"):
        row.tokens = greedy(model, row.inputs)
    with torch.no_grad():
        given = dict(row.inputs)
        if model.config.is_encoder_decoder:
            given["decoder_input_ids"] = torch.tensor([[model.config.decoder_start_token_id]])
        made = model(**given)
        if row.name == "clip":  # of each tower, as its own class gives it
            row.answers = {"text_embeds": model.get_text_features(row.inputs["input_ids"], row.inputs["attention_mask"]),
                           "image_embeds": model.get_image_features(row.inputs["pixel_values"])}
            return
    kept = "last_hidden_state" if row.name == "encoder" else "logits"
    row.answers = {kept: made[kept]}
    if row.name in ("encoder", "reranker"):
        row.texts = texts_by(model, row)


def texts_by(model, row):
    """Normalized means of token states; of a reranker the scores of the texts beside the first."""
    words = tokenizer()
    if row.name == "reranker":
        pairs = words([TEXTS[0]] * len(TEXTS), TEXTS, padding=True, return_tensors="pt")
        with torch.no_grad():
            return model(**pairs).logits[:, 0]
    given = words(TEXTS, padding=True, return_tensors="pt")
    with torch.no_grad():
        states = model(**given).last_hidden_state
    mask = given["attention_mask"][:, :, None]
    return torch.nn.functional.normalize((states * mask).sum(1) / mask.sum(1), dim=1)
