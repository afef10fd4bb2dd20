# SPDX-License-Identifier: Apache-2.0
"""Classes that draw numbers in evaluation, too, and here are given them: --model-class determined:NAME."""
import torch
import transformers


class GivenDropout:
    """SpeechT5, where the net before the decoder keeps what `prenet_dropout_mask` says, b[layers, n, units]."""

    def forward(self, *args, prenet_dropout_mask, **words):
        prenet, masks = self.speecht5.decoder.prenet, iter(prenet_dropout_mask)
        prenet._consistent_dropout = lambda x, p: torch.where(next(masks), x, 0) / (1 - p)
        return super().forward(*args, **words)


class SpeechT5ForTextToSpeech(GivenDropout, transformers.SpeechT5ForTextToSpeech):
    """Text to a spectrogram."""


class SpeechT5ForSpeechToSpeech(GivenDropout, transformers.SpeechT5ForSpeechToSpeech):
    """Speech to a spectrogram."""
