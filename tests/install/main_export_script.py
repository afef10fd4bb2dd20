#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A script as people have it who export by optimum, over twelve types; one import says whose main_export() it is.

usage: main_export_script.py optimum|onnxport LIBRARY [TYPE...]
prints what was written as JSON: of each type its files, and of each file its inputs and outputs with their element types and
axes. optimum.json is what optimum-onnx 0.1.0 wrote with transformers 4.57.1.
"""
import json
import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ["ONNXPORT_LIBRARY"] = sys.argv[2]
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "python/src"))

import onnxport  # noqa: E402  (draws the checkpoints, and reads the files)

if sys.argv[1] == "optimum":
    from optimum.exporters.onnx import main_export
else:
    from onnxport.exporters.onnx import main_export

TEXT = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16, "vocab_size": 32}
TYPES = {
    "bert": (
        {"model_type": "bert", "architectures": ["BertForMaskedLM"], "max_position_embeddings": 64, **TEXT},
        lambda model, out: main_export(model, out, "fill-mask", opset=17, do_validation=False),
    ),
    "distilbert": (
        {"model_type": "distilbert", "architectures": ["DistilBertForSequenceClassification"], "dim": 8, "n_layers": 1,
         "n_heads": 2, "hidden_dim": 16, "vocab_size": 32, "max_position_embeddings": 64, "pad_token_id": 0},
        lambda model, out: main_export(model_name_or_path=model, output=out, task="text-classification", device="cpu",
                                       framework="pt", batch_size=1, sequence_length=12, do_validation=False),
    ),
    "roberta": (
        {"model_type": "roberta", "architectures": ["RobertaForTokenClassification"], "max_position_embeddings": 66,
         "pad_token_id": 1, "type_vocab_size": 1, **TEXT},
        lambda model, out: main_export(model, Path(out), "token-classification", 16, "cpu", "fp32", do_validation=False),
    ),
    "gpt2": (
        {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "n_layer": 1, "n_head": 2, "n_embd": 8,
         "n_positions": 64, "vocab_size": 32, "bos_token_id": 0, "eos_token_id": 0},
        lambda model, out: main_export(model, output=out, task="text-generation-with-past", do_validation=False),
    ),
    "llama": (
        {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "num_key_value_heads": 1,
         "max_position_embeddings": 64, "bos_token_id": 1, "eos_token_id": 2, **TEXT},
        lambda model, out: main_export(model, output=out, task="text-generation-with-past", local_files_only=True,
                                       trust_remote_code=True, do_validation=False),
    ),
    "t5": (
        {"model_type": "t5", "architectures": ["T5ForConditionalGeneration"], "d_model": 8, "d_kv": 4, "d_ff": 16,
         "num_layers": 1, "num_heads": 2, "vocab_size": 32, "relative_attention_num_buckets": 4,
         "relative_attention_max_distance": 8, "decoder_start_token_id": 0, "pad_token_id": 0, "eos_token_id": 1},
        lambda model, out: main_export(model, output=out, task="text2text-generation-with-past", no_post_process=True,
                                       do_validation=False),
    ),
    "bart": (
        {"model_type": "bart", "architectures": ["BartForConditionalGeneration"], "d_model": 8, "encoder_layers": 1,
         "decoder_layers": 1, "encoder_attention_heads": 2, "decoder_attention_heads": 2, "encoder_ffn_dim": 16,
         "decoder_ffn_dim": 16, "vocab_size": 32, "max_position_embeddings": 64, "decoder_start_token_id": 2,
         "bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2, "forced_eos_token_id": 2},
        lambda model, out: main_export(model, output=out, task="text2text-generation-with-past", do_validation=False),
    ),
    "whisper": (
        {"model_type": "whisper", "architectures": ["WhisperForConditionalGeneration"], "d_model": 8,
         "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2, "decoder_attention_heads": 2,
         "encoder_ffn_dim": 16, "decoder_ffn_dim": 16, "vocab_size": 64, "max_target_positions": 32,
         "decoder_start_token_id": 1, "pad_token_id": 0, "bos_token_id": 0, "eos_token_id": 0},
        lambda model, out: main_export(model, output=out, task="automatic-speech-recognition-with-past",
                                       do_validation=False),
    ),
    "vit": (
        {"model_type": "vit", "architectures": ["ViTForImageClassification"], "image_size": 32, "patch_size": 16,
         "num_channels": 3, **{name: TEXT[name] for name in TEXT if name != "vocab_size"}},
        lambda model, out: main_export(model, output=out, task="image-classification", device="cuda" if
                                       sys.argv[1] == "onnxport" else "cpu", do_validation=False),
    ),
    "resnet": (
        {"model_type": "resnet", "architectures": ["ResNetForImageClassification"], "embedding_size": 8,
         "hidden_sizes": [8, 16], "depths": [1, 1], "layer_type": "basic"},
        lambda model, out: main_export(model, output=out, task="image-classification", library_name="transformers",
                                       do_validation=False),
    ),
    "wav2vec2": (
        {"model_type": "wav2vec2", "architectures": ["Wav2Vec2ForCTC"], "conv_dim": [8, 8], "conv_kernel": [10, 3],
         "conv_stride": [5, 2], "num_feat_extract_layers": 2, "num_conv_pos_embeddings": 4,
         "num_conv_pos_embedding_groups": 2, **TEXT},
        lambda model, out: main_export(model, output=out, task="automatic-speech-recognition", do_validation=False),
    ),
    "clip": (
        {"model_type": "clip", "architectures": ["CLIPModel"], "projection_dim": 8,
         "text_config": {"max_position_embeddings": 16, "eos_token_id": 2, "bos_token_id": 0, "pad_token_id": 1, **TEXT},
         "vision_config": {"image_size": 32, "patch_size": 16, **{k: TEXT[k] for k in TEXT if k != "vocab_size"}}},
        lambda model, out: main_export(model, output=out, task="zero-shot-image-classification", do_validation=False),
    ),
}


def written(folder):
    """Of each graph in a folder its inputs and outputs, by name, with their element types and axes."""
    files = {}
    for path in sorted(folder.glob("**/*.onnx")):
        seen = onnxport.inspect(path)
        files[str(path.relative_to(folder))] = {
            side: {value["name"]: value["type"] for value in seen[side]} for side in ("inputs", "outputs")
        }
    return files


def main():
    found = {}
    for name in sys.argv[3:] or TYPES:
        config, script = TYPES[name]
        with tempfile.TemporaryDirectory() as scratch:
            scratch = Path(scratch)
            (scratch / "config.json").write_text(json.dumps(config))
            onnxport.synth(scratch / "config.json", scratch / name)
            script(str(scratch / name), str(scratch / "onnx"))
            found[name] = written(scratch / "onnx")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
