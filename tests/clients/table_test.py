# SPDX-License-Identifier: Apache-2.0
"""Ten models, each exported once with --layout all, in every client of its kind, which loads the folder as it is: the answers of
the original. Ends with the table; a cell without a difference says why that client is not asked."""
import argparse
import dataclasses
import os
import pathlib
import subprocess
import sys
import tempfile

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy  # noqa: E402
import onnxruntime  # noqa: E402
import onnxruntime_genai  # noqa: E402
import optimum.onnxruntime  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402
from fastembed import TextEmbedding  # noqa: E402
from fastembed.common.model_description import ModelSource, PoolingType  # noqa: E402
from fastembed.rerank.cross_encoder import TextCrossEncoder  # noqa: E402
from google.protobuf import text_format  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402
from sentence_transformers import CrossEncoder, SentenceTransformer  # noqa: E402
from tritonclient.grpc import model_config_pb2  # noqa: E402

import table_models as models  # noqa: E402
from program import Difference, run  # noqa: E402
from node import Node, tensor_of  # noqa: E402

TOLERANCE = 1e-4
NO_TEXT_TO_MAKE = "makes no text"
NO_VECTORS = "gives no vectors and no scores of texts"
# Why a client is not asked about a kind.
NOT_ASKED = {
    **{("genai", name): NO_TEXT_TO_MAKE for name in ("encoder", "reranker", "embedder", "vision", "clip")},
    **{(client, name): NO_VECTORS for client in ("sentence-transformers", "FastEmbed")
       for name in ("decoder", "mixture of experts", "encoder-decoder", "whisper", "vision", "clip", *models.SEEING)},
    ("optimum", "clip"): "reads both towers from one graph, which --layout optimum writes",
    **{("optimum", name): "has no class for it" for name in models.SEEING},
}
# What the program itself says that a client has no place for.
REFUSED = {("genai", "encoder-decoder"): "has no type for it"}


def largest(what, found, expected):
    found, expected = (torch.as_tensor(numpy.asarray(value)).float() for value in (found, expected))
    if found.shape != expected.shape:
        raise Difference(f"{what} has shape {list(found.shape)}, expected {list(expected.shape)}")
    difference = (found - expected).abs().max().item()
    if not difference <= TOLERANCE:  # so that NaN fails too
        raise Difference(f"{what} differs by {difference:.1e}")
    return difference


def same_tokens(found, expected):
    if found != expected:
        raise Difference(f"tokens {found}, expected {expected}")
    return 0.0


def answers(row, found):
    """The largest difference of all outputs that the original was asked for."""
    return max(largest(name, found[name], value) for name, value in row.answers.items())


OPTIMUM = {"encoder": "FeatureExtraction", "embedder": "FeatureExtraction", "reranker": "SequenceClassification", "decoder": "CausalLM",
           "mixture of experts": "CausalLM", "encoder-decoder": "Seq2SeqLM", "whisper": "SpeechSeq2Seq",
           "vision": "ImageClassification"}


def by_optimum(row):
    model = getattr(optimum.onnxruntime, "ORTModelFor" + OPTIMUM[row.name]).from_pretrained(row.output)
    if row.tokens is None:
        made = model(**row.inputs)
        return max(largest(name, made[name], row.answers[name]) for name in row.answers if name in made)
    options = {"max_new_tokens": models.NEW_TOKENS, "min_new_tokens": models.NEW_TOKENS, "do_sample": False}
    model.generation_config.forced_eos_token_id = None
    found = model.generate(**row.inputs, **options).tolist()
    if row.name == "whisper":  # whose first token it does not hand on
        found = [row.tokens[0][:1] + found[0]]
    return same_tokens(found, row.tokens)


JAVASCRIPT = {"encoder": ["AutoModel"], "embedder": ["AutoModel"], "reranker": ["AutoModelForSequenceClassification"],
              "decoder": ["AutoModelForCausalLM"], "mixture of experts": ["AutoModelForCausalLM"],
              "encoder-decoder": ["AutoModelForSeq2SeqLM"], "whisper": ["AutoModelForSpeechSeq2Seq"],
              "vision": ["AutoModelForImageClassification"], "clip": ["CLIPTextModelWithProjection", "CLIPVisionModelWithProjection"],
              **{name: ["AutoModelForImageTextToText"] for name in models.SEEING}}


node = Node()


def by_transformers_js(row):
    found = {}
    for name in JAVASCRIPT[row.name]:
        if row.tokens is not None:
            options = {"max_new_tokens": models.NEW_TOKENS, "min_new_tokens": models.NEW_TOKENS, "do_sample": False}
            return same_tokens(node.ask(name, row.output, row.inputs, options)["tokens"], row.tokens)
        for output, tensor in node.ask(name, row.output, row.inputs).items():
            found[output] = tensor_of(tensor)
    return answers(row, found)


def by_genai(row):
    model = onnxruntime_genai.Model(str(row.output))
    parameters = onnxruntime_genai.GeneratorParams(model)
    ids = torch.tensor([row.tokens[0][:1]]) if row.name == "whisper" else row.inputs["input_ids"]
    length = ids.shape[1] + models.NEW_TOKENS
    parameters.set_search_options(do_sample=False, max_length=length, min_length=length)
    generator = onnxruntime_genai.Generator(model, parameters)
    if row.name in models.SEEING:
        given = onnxruntime_genai.NamedTensors()
        given["input_ids"] = ids.to(torch.int32).numpy()
        for name in ("pixel_values", "image_grid_thw"):
            if name in row.inputs:
                given[name] = row.inputs[name].numpy()
        given["num_image_tokens"] = numpy.array([models.IMAGE_TOKENS])
        generator.set_inputs(given)
    else:
        if row.name == "whisper":
            generator.set_model_input("input_features", row.inputs["input_features"].numpy())
        generator.append_tokens(ids.tolist())
    while not generator.is_done():
        generator.generate_next_token()
    return same_tokens([[int(token) for token in generator.get_sequence(0)]], row.tokens)


def by_sentence_transformers(row):
    options = {"file_name": "onnx/model.onnx", "provider": "CPUExecutionProvider"}
    if row.name == "reranker":
        encoder = CrossEncoder(str(row.output), backend="onnx", model_kwargs=options, activation_fn=torch.nn.Identity())
        return largest("scores", encoder.predict([(models.TEXTS[0], text) for text in models.TEXTS]), row.texts)
    encoder = SentenceTransformer(str(row.output), backend="onnx", model_kwargs=options)
    return largest("vectors", encoder.encode(models.TEXTS, normalize_embeddings=True), row.texts)


def by_fastembed(row):
    name = f"onnxport/{row.name}"  # registered once a process
    source = ModelSource(hf=name)
    if row.name == "reranker":
        TextCrossEncoder.add_custom_model(model=name, sources=source, model_file="onnx/model.onnx")
        encoder = TextCrossEncoder(name, specific_model_path=str(row.output))
        return largest("scores", list(encoder.rerank(models.TEXTS[0], models.TEXTS)), row.texts)
    TextEmbedding.add_custom_model(model=name, pooling=PoolingType.MEAN, normalization=True, dim=row.texts.shape[1], sources=source,
                                   model_file="onnx/model.onnx")
    vectors = list(TextEmbedding(name, specific_model_path=str(row.output)).embed(models.TEXTS))
    return largest("vectors", numpy.array(vectors), row.texts)


TRITON_TYPES = {"TYPE_INT64": "tensor(int64)", "TYPE_FP32": "tensor(float)", "TYPE_BOOL": "tensor(bool)"}


def by_triton(row):
    """The schema of its configs, whose parser refuses unknown fields, and each tensor beside the graph."""
    folder = row.output.with_name("triton")
    export(row, "triton", folder)
    graphs = sorted(folder.rglob("model.onnx"))
    if not graphs:
        raise Difference("there is no graph")
    for graph in graphs:
        parsed = text_format.Parse((graph.parent.parent / "config.pbtxt").read_text(), model_config_pb2.ModelConfig())
        session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
        for stated, values in ((parsed.input, session.get_inputs()), (parsed.output, session.get_outputs())):
            told = [(one.name, TRITON_TYPES.get(model_config_pb2.DataType.Name(one.data_type))) for one in stated]
            if told != [(value.name, value.type) for value in values]:
                raise Difference(f"{graph.parent.parent.name}/config.pbtxt lists {told}")
    return 0.0


def pass_in_cpp(row, graph, given):
    """The outputs of one graph by examples/run/answer; a cache is empty, and the first step is asked of two."""
    file = row.output / "onnx" / graph
    tensors = {}
    for value in onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"]).get_inputs():
        if value.name in given:
            tensors[value.name] = given[value.name].contiguous()
        elif value.name == "use_cache_branch":
            tensors[value.name] = torch.tensor([False])
        elif value.name == "position_ids":
            counted = torch.arange(given["attention_mask"].shape[1])[None]
            tensors[value.name] = (counted if row.positions is None else row.positions).contiguous()
        elif value.name.startswith("past_"):
            tensors[value.name] = torch.zeros([size if isinstance(size, int) else 1 - (axis > 0) for axis, size in enumerate(value.shape)])
    inputs, outputs = row.output.with_name("inputs.safetensors"), row.output.with_name("outputs.safetensors")
    save_file(tensors, inputs)
    done = subprocess.run([row.answer, file, inputs, outputs], capture_output=True, text=True)
    if done.returncode:
        raise Difference(f"{graph}: {done.stderr.strip()}")
    return {name: tensor.clone() for name, tensor in load_file(outputs).items()}  # the next pass writes there as well


def by_cpp(row):
    if row.name == "clip":
        return answers(row, pass_in_cpp(row, "text_model.onnx", row.inputs) | pass_in_cpp(row, "vision_model.onnx", row.inputs))
    if row.name in ("encoder-decoder", "whisper"):
        made = pass_in_cpp(row, "encoder_model.onnx", row.inputs)["last_hidden_state"]
        start = torch.tensor([row.tokens[0][:1]])
        given = {"encoder_hidden_states": made, "input_ids": start}
        if "attention_mask" in row.inputs:
            given["encoder_attention_mask"] = row.inputs["attention_mask"]
        return answers(row, pass_in_cpp(row, "decoder_model_merged.onnx", given))
    if row.name in models.SEEING:
        seen = pass_in_cpp(row, "vision_encoder.onnx", row.inputs)["image_features"]
        given = pass_in_cpp(row, "embed_tokens.onnx", row.inputs)
        is_image = row.inputs["input_ids"] == models.IMAGE_TOKEN
        given["inputs_embeds"][is_image] = seen.reshape(-1, seen.shape[-1])
        return answers(row, pass_in_cpp(row, "decoder_model_merged.onnx", row.inputs | given))
    return answers(row, pass_in_cpp(row, "model.onnx", row.inputs))


CLIENTS = {"optimum": by_optimum, "transformers.js": by_transformers_js, "genai": by_genai,
           "sentence-transformers": by_sentence_transformers, "FastEmbed": by_fastembed, "Triton": by_triton, "C++": by_cpp}


def export(row, layout, folder):
    feature = ["--feature", row.feature] if row.feature else []
    run(row.command, "export", *feature, "-m", row.folder, "--layout", layout, "--no-validate", folder)


def built(arguments):
    """examples/run/answer, as its readers build it."""
    source = pathlib.Path(__file__).resolve().parents[2] / "examples" / "run"
    paths = [f"-DONNXRUNTIME_HEADERS={arguments.headers}", f"-DONNXRUNTIME_LIBRARY={arguments.library}"]
    for words in (["-S", source, "-B", arguments.scratch, *paths], ["--build", arguments.scratch]):
        subprocess.run(["cmake", *words], check=True, stdout=subprocess.DEVNULL)
    return pathlib.Path(arguments.scratch) / "answer"


def cell(client, row):
    """What stands in the table, and whether it may."""
    if reason := NOT_ASKED.get((client, row.name)):
        return f"not asked: {reason}", True
    if reason := REFUSED.get((client, row.name)):
        if (row.output / "genai_config.json").exists():
            return "FAILED: genai_config.json is there, and this test expects none", False
        return f"refused: {reason}", True
    try:
        difference = CLIENTS[client](row)
    except Exception as error:  # what the next client does is another question
        return f"FAILED: {type(error).__name__}: {error}", False
    return "equal" if difference == 0.0 else f"equal ({difference:.0e})", True


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", help="the onnxport command")
    parser.add_argument("goldens", nargs="*")  # as all checks are called
    parser.add_argument("--scratch", required=True, help="folder in which examples/run is built")
    parser.add_argument("--headers", required=True, help="of ONNX Runtime")
    parser.add_argument("--library", required=True, help="ONNX Runtime itself")
    parser.add_argument("--only", default="", help="kinds whose name contains this")
    parser.add_argument("--client", default="", help="this client alone")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    answer = built(arguments)
    asked = [client for client in CLIENTS if arguments.client in client]
    table, failed = [], 0
    for row in models.ROWS:
        if arguments.only not in row.name:
            continue
        row = dataclasses.replace(row, command=arguments.command, answer=answer)
        with tempfile.TemporaryDirectory(prefix="onnxport-client-") as scratch:
            scratch = pathlib.Path(scratch)
            row.folder = models.drawn(arguments.command, row, scratch)
            models.ask_original(row)
            row.output = scratch / "all"
            export(row, "all", row.output)
            cells = []
            for client in asked:
                told, passes = cell(client, row)
                failed += not passes
                cells.append(told)
                print(f"{row.name}: {client}: {told}", flush=True)
            table.append((row.name, cells))
    print("\n| --layout all of | " + " | ".join(asked) + " |\n" + "|---" * (1 + len(asked)) + "|")
    for name, cells in table:
        print(f"| {name} | " + " | ".join(told.splitlines()[0] for told in cells) + " |")
    return 1 if failed or not table else 0


if __name__ == "__main__":
    sys.exit(main())
