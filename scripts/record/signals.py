# SPDX-License-Identifier: Apache-2.0
"""Sound and other series over time, as inputs by their names in transformers."""
import contextlib
from unittest import mock

import torch

torch.distributions.Distribution.set_default_validate_args(False)  # of losses, which are not recorded


def sound(config, shape, generator):
    """Samples for a codec, one less than so many of its frames, so that the last one is incomplete."""
    hop = getattr(config, "frame_size", None) or config.hop_length
    channels = getattr(config, "audio_channels", 1)
    return {"input_values": torch.randn(min(shape.batch, 2), channels, shape.sequence * hop - 1, generator=generator)}


def spectrogram(config, shape, generator):
    return {"spectrogram": torch.randn(min(shape.batch, 2), shape.sequence, config.model_in_dim, generator=generator)}


def series(config, shape, generator):
    """A series over time; some of it was not seen, and what is to come is given, where a model takes that."""
    batch, drawn = min(shape.batch, 2), lambda *size: torch.randn(*size, generator=generator)
    if not hasattr(config, "lags_sequence"):
        return {"past_values": drawn(batch, config.context_length, config.num_input_channels)}
    past, future = config.context_length + max(config.lags_sequence), config.prediction_length
    tail = [config.input_size] if config.input_size > 1 else []
    features = config.num_time_features + config.num_dynamic_real_features
    observed = torch.ones(batch, past, *tail)
    observed[1:, past // 2 :] = 0
    categories = [torch.randint(max(count, 1), (batch,), generator=generator) for count in config.cardinality]
    return {"past_values": drawn(batch, past, *tail), "past_time_features": drawn(batch, past, features),
            "past_observed_mask": observed, "static_categorical_features": torch.stack(categories, 1),
            "static_real_features": drawn(batch, config.num_static_real_features),
            "future_values": drawn(batch, future, *tail), "future_time_features": drawn(batch, future, features)}


def maker_of(config, wanted):
    """The function that makes all of a model's inputs, of a codec, a vocoder or a series; None where they are of another kind."""
    if "input_values" in wanted and (hasattr(config, "frame_size") or hasattr(config, "hop_length")):
        return sound
    return next((make for name, make in {"spectrogram": spectrogram, "past_values": series}.items() if name in wanted), None)


def speech(config, mask, wanted, generator):
    """What a text-to-speech model takes beside a text: its speaker, and what it draws by chance, if it does."""
    batch, tokens = mask.shape[0], mask.shape[-1]
    made = {"speaker_id": torch.full((batch,), 1), "duration_noise": torch.randn(batch, 2, tokens, generator=generator),
            "noise": torch.randn(batch, getattr(config, "flow_size", 1), 7, generator=generator)}
    return {name: value for name, value in made.items() if name in wanted}


@contextlib.contextmanager
def drawing(words):
    """Takes what is drawn by chance from `words`, and lets the library draw it: the noise of durations, and that of
    frames, which starts over where it is too short."""
    durations, frames = words.pop("duration_noise", None), words.pop("noise", None)
    randn, like = torch.randn, torch.randn_like
    with mock.patch("torch.randn", lambda *size: randn(*size) if durations is None else durations), \
            mock.patch("torch.randn_like", lambda x: like(x) if frames is None else
                       frames[..., torch.arange(x.shape[-1]) % frames.shape[-1]]):
        yield
