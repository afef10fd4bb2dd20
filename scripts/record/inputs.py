# SPDX-License-Identifier: Apache-2.0
"""Inputs by their names in transformers, in the shapes that are recorded."""
import dataclasses
import sys

import torch

import models
import signals


@dataclasses.dataclass(frozen=True)
class Shape:
    """Lengths of a case. Rows behind the first are padded where there are several: on the right, or with a cache on the
    left, as generate() does."""

    batch: int
    sequence: int
    choices: int
    target: int  # the decoder's tokens, of an encoder-decoder
    past: int
    new: int
    sound: int  # samples or frames, where a model takes any number of them
    image: tuple = None  # height and width; None: those of the config


SHAPES = [Shape(batch=1, sequence=5, choices=2, target=4, past=4, new=1, sound=40),
          Shape(batch=3, sequence=9, choices=3, target=6, past=7, new=3, sound=57)]


class Maker:
    """Makes the inputs of one case."""

    def __init__(self, model, wanted, shape, seed):
        self.model, self.wanted, self.shape = model, wanted, shape
        self.generator = torch.Generator().manual_seed(seed)
        self.text = self.config_of("get_text_config") if hasattr(model.config, "get_text_config") else model.config
        self.past = any(name.startswith(models.PAST) for name in wanted)
        self.seq2seq = getattr(model.config, "is_encoder_decoder", False)
        clip = self.text.model_type.endswith(("clip_text_model", "clipseg_text_model", "groupvit_text_model")) or \
            self.text.model_type.startswith("metaclip")
        self.compares = any(hasattr(model, name) for name in ("logit_scale", "temperature")) and not hasattr(model, "multimodal_model")
        self.ends_count = clip and self.text.eos_token_id is not None

    def config_of(self, method):
        return getattr(self.model.config, method)()

    def draw(self, limit, *shape):
        return torch.randint(limit, shape, generator=self.generator)

    def tokens(self, *shape):
        """Tokens of the vocabulary but for the first few, which are often special."""
        special = [value for name, value in self.text.to_dict().items() if name.endswith("token_id") and value is not None]
        limit = getattr(self.text, "vocab_size", 0x110000)  # or Unicode's, where characters are the tokens
        plain = [token for token in range(3, limit) if token not in special]
        return torch.tensor(plain)[self.draw(len(plain), *shape)]

    def mask(self, *shape, left=False):
        """Ones, with two more places of padding in each row."""
        mask = torch.ones(*shape, dtype=torch.int64)
        rows = mask.view(-1, shape[-1])
        for row in range(1, len(rows)):
            padding = min(2 * row, shape[-1] - 1)
            rows[row, slice(0, padding) if left else slice(shape[-1] - padding, None)] = 0
        return mask

    def text_inputs(self, *shape, left=False):
        """input_ids, attention_mask and token_type_ids of a text, as far as they are wanted."""
        if "flattened_patches" in self.wanted:
            return self.flattened_patches(*shape)
        mask = self.mask(*shape, left=left)
        pad = getattr(self.text, "pad_token_id", None) or 0
        ids = self.tokens(*shape)
        for name in ("question_token_id", "mask_token_id"):  # of models that look for them in the text
            if getattr(self.text, name, None) is not None:
                ids[..., 1::3] = getattr(self.text, name)
        if hasattr(self.model.config, "max_text_len"):
            self.end_phrases(ids, mask)
        if self.ends_count:  # a vector is read at the end token
            ids[torch.arange(shape[0]), mask.sum(-1) - 1] = self.text.eos_token_id
        made = {"input_ids": torch.where(mask == 1, ids, pad), "attention_mask": mask}
        if "token_type_ids" in self.wanted:
            sizes = getattr(self.text, "type_vocab_sizes", None)
            made["token_type_ids"] = (self.draw(getattr(self.text, "type_vocab_size", 2), *shape) if sizes is None else
                                      torch.stack([self.draw(size, *shape) for size in sizes], -1))
        if "position_ids" in self.wanted:  # of three axes: time, height and width
            at = (mask.cumsum(-1) - 1).clamp(min=0)
            made["position_ids"] = torch.stack([at, at // 2 * 2, at * 2 // 3 + at % 2])
        if "bbox" in self.wanted:
            made["bbox"] = self.boxes(*shape)
        for name, limit in self.FURTHER_IDS.items():
            if name in self.wanted:
                depth = [self.text.max_depth] if name.startswith("xpath") else []
                made[name] = self.draw(getattr(self.text, limit), *shape, *depth)
        if "lang_ids" in self.wanted:
            made["lang_ids"] = self.draw(len(self.text.languages), *shape[:-1])
        if "global_attention_mask" in self.wanted:
            made["global_attention_mask"] = self.global_mask(*shape)
        if "entity_ids" in self.wanted:
            made.update(self.entities(*shape))
        return {name: value for name, value in made.items() if name in self.wanted}

    @staticmethod
    def end_phrases(ids, mask):
        """Prompts of phrases, in the numbers that BERT's vocabulary has: [CLS], "." behind some tokens, and [SEP]."""
        ids[:, 0] = 101
        ids[:, 3::4] = 1012
        ids[torch.arange(len(ids)), mask.sum(-1) - 1] = 102

    def flattened_patches(self, batch, count):
        """An image in place of a text: patches behind their rows and columns, counted from 1; 0 is padding."""
        mask, config = self.mask(batch, count), self.model.config.vision_config
        places = torch.stack([torch.arange(count) // 3 + 1, torch.arange(count) % 3 + 1], -1).expand(batch, -1, -1)
        patches = torch.randn(batch, count, config.patch_embed_hidden_size, generator=self.generator)
        return {"flattened_patches": torch.cat([places, patches], -1) * mask.unsqueeze(-1), "attention_mask": mask}

    @staticmethod
    def global_mask(*shape):
        """Of rows in turn: the first token, every third one, none."""
        mask = torch.zeros(*shape, dtype=torch.int64)
        for number, row in enumerate(mask.view(-1, shape[-1])):
            if number % 3 < 2:
                row[::3 if number % 3 else shape[-1]] = 1
        return mask

    def entities(self, batch, length):
        """Three entities for each text, of one token to three, whose places end in -1; the last one is padding in later rows."""
        starts = self.draw(length - 2, batch, 3)
        ends = starts + self.draw(3, batch, 3)
        places = starts.unsqueeze(2) + torch.arange(4)
        mask = torch.ones(batch, 3, dtype=torch.int64)
        mask[1:, 2] = 0
        return {"entity_ids": self.draw(self.text.entity_vocab_size, batch, 3), "entity_attention_mask": mask,
                "entity_token_type_ids": self.draw(self.text.type_vocab_size, batch, 3),
                "entity_position_ids": torch.where(places <= ends.unsqueeze(2), places, -1),
                "entity_start_positions": starts, "entity_end_positions": ends}

    # What else a text may bring for each token, and the config field that it stays below.
    FURTHER_IDS = {"task_type_ids": "task_type_vocab_size", "langs": "n_langs",
                   "xpath_tags_seq": "max_xpath_tag_unit_embeddings",
                   "xpath_subs_seq": "max_xpath_subs_unit_embeddings"}

    def boxes(self, *shape):
        """x0, y0, x1, y1 in order: places on a page where the config numbers these, else shares of it."""
        corners = torch.rand(*shape, 2, 2, generator=self.generator).sort(-2).values.flatten(-2)
        places = getattr(self.text, "max_2d_position_embeddings", None)
        return corners if places is None else (corners * places).long()

    def images(self, batch):
        config = models.image_config(self.model.config)
        if "spatial_shapes" in self.wanted:
            return self.patches(batch, config)
        if hasattr(self.model.config, "image_grid_pinpoints"):
            return self.tiles(batch, config)
        size = self.shape.image or getattr(config, "image_size", None) or getattr(config, "input_size", None) or 32
        height, width = size if isinstance(size, (list, tuple)) else (size, size)
        seen = config if hasattr(config, "num_channels") else getattr(config, "backbone_config", config)
        made = {"pixel_values": torch.randn(batch, getattr(seen, "num_channels", 3), height, width, generator=self.generator)}
        if "image_sizes" in self.wanted:  # of which the second is lower, and padded
            made["image_sizes"] = torch.tensor([[height, width], [height // 2, width]][:batch])
        if "noise" in self.wanted:  # a number for each patch, or for each unit of patches
            sides = [config.patch_size] * 2
            if hasattr(config, "masked_unit_size"):
                sides = [stride * unit for stride, unit in zip(config.patch_stride, config.masked_unit_size)]
            made["noise"] = torch.rand(batch, (height // sides[0]) * (width // sides[1]), generator=self.generator)
        if "pixel_mask" in self.wanted:  # images behind the first are smaller than the batch
            made["pixel_mask"] = torch.ones(batch, height, width, dtype=torch.int64)
            made["pixel_mask"][1:, height * 2 // 3 :] = made["pixel_mask"][1:, :, width * 3 // 4 :] = 0
        if "dataset_index" in self.wanted:
            made["dataset_index"] = self.draw(config.num_experts, batch)
        if "input_points" in self.wanted:
            made.update(self.points(batch, height, width))
        if "query_pixel_values" in self.wanted:  # another image, of what is to be found
            made["query_pixel_values"] = torch.randn(made["pixel_values"].shape, generator=self.generator)
        if "ImagesAndText" in type(self.model).__name__:  # several images for each text
            made = {name: torch.stack([value] * config.num_images, 1) for name, value in made.items()}
            made["pixel_values"][:, 1:] *= -1
        return made

    def regions(self, *shape):
        """What a detector says of regions of an image, as many as the last of the axes says; later rows are padded."""
        numbers = torch.randn(*shape, self.model.config.visual_embedding_dim, generator=self.generator)
        made = {"visual_embeds": numbers, "visual_attention_mask": self.mask(*shape),
                "visual_token_type_ids": self.draw(self.text.type_vocab_size, *shape)}
        if "region_to_phrase_position" in self.wanted:
            made["region_to_phrase_position"] = self.draw(3, shape[0], 4) - 1  # -1: none
        return made

    def points(self, batch, height, width):
        """Points in images, several for each of several prompts: within and outside of what is meant, none, padding."""
        shape = (batch, self.shape.choices, self.shape.sequence)
        places = torch.rand(*shape, 2, generator=self.generator) * torch.tensor([width, height])
        kinds = torch.tensor([1, 0, -1, -10])
        made = {"input_points": places, "input_labels": kinds[self.draw(len(kinds), *shape)]}
        if "input_boxes" in self.wanted:
            corners = torch.rand(*shape[:2], 2, 2, generator=self.generator).sort(-2).values
            made["input_boxes"] = (corners * torch.tensor([width, height])).flatten(-2)
        if "input_masks" in self.wanted:
            encoder = self.model.config.prompt_encoder_config
            side = 4 * encoder.image_size // encoder.patch_size
            made["input_masks"] = 4 * torch.randn(batch, 1, side, side, generator=self.generator)
        if "input_boxes" in self.wanted and batch == 1:  # of a first case, points alone or boxes alone
            if "input_masks" in self.wanted:
                made["input_boxes"] = made["input_boxes"][:, :0]
            else:
                made.update({name: made[name][:, :1, :0] for name in ("input_points", "input_labels")})
        return made

    def tiles(self, batch, config):
        """Images of several sizes, each as a small copy and tiles of one size; padding fills up those of fewer tiles."""
        side = config.image_size
        sizes = torch.tensor([[side, 2 * side - 1], [2 * side + 8, side - 2]][:batch])
        count = 1 + max(height * width // side**2 for height, width in self.model.config.image_grid_pinpoints)
        return {"pixel_values": torch.randn(batch, count, 3, side, side, generator=self.generator), "image_sizes": sizes}

    def patches(self, batch, config):
        """Images of several shapes, cut into patches."""
        places = config.num_patches + 2
        step = getattr(self.model.config, "downsample_factor", 1)
        shapes = step * torch.tensor([[row + 1, places // step**2 // (row + 1) - row] for row in range(batch)])
        mask = (torch.arange(places) < shapes.prod(1, keepdim=True)).long()
        pixels = torch.randn(batch, places, config.patch_size**2 * config.num_channels, generator=self.generator)
        return {"pixel_values": pixels, "pixel_attention_mask": mask, "spatial_shapes": shapes}

    SOUNDS = ("input_features", "input_values")

    def sounds(self, batch):
        """Samples or frames, of which later rows have fewer, and one where the model asks for it which of them count."""
        made = {}
        for name in self.SOUNDS:
            if name not in self.wanted:
                continue
            # "f32[batch, 80, frames]": what the file leaves open behind the batch is the length.
            axes = self.wanted[name].rstrip("]").split("[")[1].split(", ")[1:]
            lengths = [int(axis) if axis.isdigit() else self.shape.sound for axis in axes]
            made[name] = torch.randn(batch, *lengths, generator=self.generator)
        if "is_longer" in self.wanted:
            made["is_longer"] = (torch.arange(batch) % 2 == 0).unsqueeze(1)
        if "attention_mask" in self.wanted:
            places = torch.arange(self.shape.sound)
            made["attention_mask"] = torch.stack([places < self.shape.sound * (4 - row) // 4 for row in range(batch)]).long()
        return made

    def to_speech(self):
        """A text or speech, the spectrogram that was made of it so far, in whose voice, and what is dropped by chance."""
        config, batch, length = self.model.config, self.shape.batch, self.shape.target
        draws = {"decoder_input_values": (batch, length, config.num_mel_bins),
                 "speaker_embeddings": (batch, config.speaker_embedding_dim)}
        made = {name: torch.randn(*shape, generator=self.generator) for name, shape in draws.items()}
        net = (config.speech_decoder_prenet_layers, length, config.speech_decoder_prenet_units)
        made["prenet_dropout_mask"] = self.draw(2, *net) == 1
        return {**self.source(), **made}

    def read_images(self):
        """Texts that hold images: as many of their tokens stand for an image as the model makes vectors of it."""
        reader = self.reader()
        token = getattr(reader.config, "image_token_id", None) or reader.config.image_token_index
        text = self.text_inputs(self.shape.batch, self.shape.sequence)
        count = 1 if self.shape.batch == 1 else 2
        seen = (self.packed_images() if "image_grid_thw" in self.wanted else
                self.placed_patches(count) if "image_position_ids" in self.wanted else self.images(count))
        if "pixel_attention_mask" in self.wanted and "spatial_shapes" not in self.wanted:  # images of each text, of which the last is padding in part
            seen["pixel_values"] = seen["pixel_values"].unsqueeze(1).repeat(self.shape.batch, 1, 1, 1, 1)[:self.shape.batch, :1]
            seen["pixel_attention_mask"] = torch.ones(seen["pixel_values"][:, :, 0].shape, dtype=torch.int64)
        found = reader.get_image_features(**seen)
        vectors = getattr(found, "pooler_output", found)
        vectors = torch.cat(list(vectors)) if isinstance(vectors, (list, tuple)) else vectors
        ids = torch.where(text["input_ids"] == token, 3, text["input_ids"])
        places = text["attention_mask"].flatten().nonzero().flatten()[:vectors.numel() // vectors.shape[-1]]
        ids.view(-1)[places] = token
        made = {**text, "input_ids": ids, **seen}
        if "input_features_mask" in self.wanted:
            heard = self.heard(count)
            found = getattr(reader, "model", reader).get_audio_features(**heard)
            ids[ids == reader.config.audio_token_id] = 3
            behind = text["attention_mask"].flatten().nonzero().flatten()[len(places):][:int(found.attention_mask.sum())]
            ids.view(-1)[behind] = reader.config.audio_token_id
            made.update(heard)
        if reader is not self.model and "image_grid_thw" in seen:
            made["pixel_values"] = self.padded(seen)
        if "decoder_input_ids" in self.wanted:
            made.update(self.target(self.shape.target))
        return made

    def read_sounds(self):
        """Texts that hold sounds: as many of their tokens stand for one as the model makes vectors of it."""
        config, text = self.model.config, self.text_inputs(self.shape.batch, self.shape.sequence)
        heard = self.sounds(1 if self.shape.batch == 1 else 2)
        heard.pop("attention_mask", None)
        found = self.model.get_audio_features(**heard)
        vectors = getattr(found, "pooler_output", found)
        ids = torch.where(text["input_ids"] == config.audio_token_id, 3, text["input_ids"])
        ids.view(-1)[text["attention_mask"].flatten().nonzero().flatten()[:len(vectors)]] = config.audio_token_id
        return {**heard, **text, "input_ids": ids}

    def reader(self):
        """What reads images and texts: the model, or the one within it."""
        return getattr(self.model, "vlm", self.model)

    @staticmethod
    def padded(seen):
        """Patches of packed images, those of each in a row of its own."""
        images = seen["pixel_values"].split(seen["image_grid_thw"].prod(1).tolist())
        return torch.nn.utils.rnn.pad_sequence(images, batch_first=True)

    def queries_and_image(self):
        """What a Q-Former asks with, and what a tower of images yields."""
        config, batch = self.model.config, self.shape.batch
        return {"query_embeds": torch.randn(batch, self.shape.target, config.hidden_size, generator=self.generator),
                "encoder_hidden_states": torch.randn(batch, self.shape.sequence, config.encoder_hidden_size, generator=self.generator)}

    def placed_patches(self, count):
        """Patches of images of several shapes, each with its column and row; those of the smaller ones are padded."""
        config = self.reader().config.vision_config
        side = config.pooling_kernel_size
        shapes = [(side, side), (2 * side, side)][:count]
        places = -torch.ones(count, max(rows * columns for rows, columns in shapes), 2, dtype=torch.int64)
        for at, (rows, columns) in zip(places, shapes):
            at[: rows * columns] = torch.cartesian_prod(torch.arange(rows), torch.arange(columns)).flip(1)
        pixels = torch.rand(*places.shape[:2], 3 * config.patch_size**2, generator=self.generator)
        return {"pixel_values": pixels * (places[..., :1] >= 0), "image_position_ids": places}

    def heard(self, count):
        """Frames of sounds, with truths that say which of them count."""
        made = self.sounds(count)
        places = torch.arange(self.shape.sound)
        made["input_features_mask"] = torch.stack([places < self.shape.sound * (4 - row) // 4 for row in range(count)])
        return {name: made[name] for name in ("input_features", "input_features_mask")}

    def packed_images(self):
        """Patches of images of several sizes in one row."""
        config = self.reader().config.vision_config
        side = config.spatial_merge_size
        second = [2, side, side] if self.reader() is self.model else [1, side, side]
        grid = torch.tensor([[1, side, 2 * side], second][:1 if self.shape.batch == 1 else 2])
        width = config.in_channels * config.temporal_patch_size * config.patch_size**2
        return {"pixel_values": torch.randn(int(grid.prod(1).sum()), width, generator=self.generator), "image_grid_thw": grid}

    def texts_and_images(self):
        """One text more than there are images where all are compared with all; two for each where each names an object;
        else one about each."""
        batch = self.shape.batch
        names_object = "ObjectDetection" in type(self.model).__name__ and not hasattr(self.model.config, "max_text_len")
        texts = batch + 1 if self.compares else 2 * batch if names_object else batch
        return {**self.text_inputs(texts, self.shape.sequence), **self.images(batch)}

    def episode(self):
        """Steps of a decision transformer: what was seen and done, what was still to be gained, and when."""
        config, shape = self.model.config, (self.shape.batch, self.shape.sequence)
        numbers = {"states": config.state_dim, "actions": config.act_dim, "returns_to_go": 1}
        made = {name: torch.randn(*shape, width, generator=self.generator) for name, width in numbers.items()}
        return {**made, "timesteps": self.draw(config.max_ep_len, *shape), "attention_mask": self.mask(*shape, left=True)}

    def decoder_step(self):
        """A cached step of a decoder: new tokens behind a prefix that was run before."""
        shape = self.shape
        prefix = self.text_inputs(shape.batch, shape.past, left=True)
        ran = self.model(**prefix, **models.whole_cache(self.model), use_cache=True, return_dict=True)
        step = {"input_ids": self.tokens(shape.batch, shape.new)}
        if "attention_mask" in prefix:
            ones = torch.ones(shape.batch, shape.new, dtype=torch.int64)
            step["attention_mask"] = torch.cat([prefix["attention_mask"], ones], 1)
        return {**step, **models.named_states(models.cache_in(ran), "past_key_values")}

    def target(self, length):
        """The decoder's side of an encoder-decoder; only the encoder's texts are padded."""
        ones = torch.ones(self.shape.batch, length, dtype=torch.int64)
        made = {"decoder_input_ids": self.tokens(self.shape.batch, length), "decoder_attention_mask": ones}
        return {name: value for name, value in made.items() if name in self.wanted}

    def source(self):
        """What the encoder is given."""
        if any(name in self.wanted for name in self.SOUNDS):
            return self.sounds(self.shape.batch)
        return self.text_inputs(self.shape.batch, self.shape.sequence)

    def encoder_decoder(self):
        source = self.source()
        return {**source, **self.target(self.shape.target)}

    def encoder_decoder_step(self):
        shape = self.shape
        source = self.source()
        prefix = {"decoder_input_ids": self.tokens(shape.batch, shape.past)}
        ran = self.model(**source, **prefix, **models.whole_cache(self.model, seq2seq=True), use_cache=True, return_dict=True)
        # What lies before the new tokens is in the cache, and its mask goes on over it.
        step = {"decoder_input_ids": self.tokens(shape.batch, 1)}
        if "decoder_attention_mask" in self.wanted:
            step["decoder_attention_mask"] = torch.ones(shape.batch, shape.past + 1, dtype=torch.int64)
        return {**source, **step, **models.named_states(models.cache_in(ran), "past_key_values")}

    def any_kind(self):
        """What Perceiver calls its inputs, of whatever kind they are."""
        name, shape = type(self.model).__name__, (self.shape.batch, self.shape.sequence)
        if "Image" in name:
            size = self.shape.image or (self.model.config.image_size,) * 2
            return {"inputs": torch.randn(self.shape.batch, 3, *size, generator=self.generator)}
        mask = self.mask(*shape)
        vectors = torch.randn(*shape, self.model.config.d_model, generator=self.generator)
        return {"inputs": vectors if name == "PerceiverModel" else self.tokens(*shape), "attention_mask": mask}

    def make(self):
        if of_signals := signals.maker_of(self.model.config, self.wanted):
            return of_signals(self.model.config, self.shape, self.generator)
        if "inputs" in self.wanted:
            return self.any_kind()
        if "query_embeds" in self.wanted:
            return self.queries_and_image()
        if self.past:
            return self.encoder_decoder_step() if self.seq2seq else self.decoder_step()
        both = {"pixel_values", "input_ids"} <= set(self.wanted)
        answers = any(hasattr(self.model, name) for name in ("lm_head", "language_projection", "language_model", "vlm"))
        if both and hasattr(self.reader(), "get_image_features") and answers:
            return self.read_images()
        if {"input_features", "input_ids"} <= set(self.wanted) and hasattr(self.model, "get_audio_features") and answers:
            return self.read_sounds()
        if "decoder_input_ids" in self.wanted:
            return self.encoder_decoder()
        if "speaker_embeddings" in self.wanted:
            return self.to_speech()
        if both:
            return self.texts_and_images()
        if "returns_to_go" in self.wanted:
            return self.episode()
        if any(name in self.wanted for name in self.SOUNDS):
            of_text = self.text_inputs(self.shape.batch, self.shape.sequence) if "input_ids" in self.wanted else {}
            return {**self.sounds(self.shape.batch), **of_text}
        if "pixel_values" in self.wanted:
            return self.images(min(self.shape.batch, 2))  # images are large
        choices = any(word in type(self.model).__name__ for word in ("MultipleChoice", "DoubleHeads"))
        shape = (self.shape.batch, self.shape.choices, self.shape.sequence) if choices else (self.shape.batch, self.shape.sequence)
        made = self.text_inputs(*shape)
        if "visual_embeds" in self.wanted:
            made.update(self.regions(*shape[:-1], shape[-1] - 2))
        made.update(signals.speech(self.model.config, self.mask(*shape), self.wanted, self.generator))
        if "mc_token_ids" in self.wanted:
            made["mc_token_ids"] = self.draw(self.shape.sequence, *shape[:-1])
        return made


def make(model, wanted, shape, seed):
    """A tensor for each wanted input; `wanted` has the type of each by its name. Ends the program where one is of a kind that is not made here."""
    made = Maker(model, wanted, shape, seed).make()
    unknown = [name for name in wanted if name not in made]
    if unknown:
        sys.exit(f"{', '.join(unknown)}: scripts/record/inputs.py does not know how to make such inputs; teach it")
    return {name: made[name] for name in wanted}
