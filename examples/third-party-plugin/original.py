# SPDX-License-Identifier: Apache-2.0
"""The model that bag.cpp defines, as its authors wrote it: what a recorded case is recorded from."""
import torch


class Bag(torch.nn.Module):
    def __init__(self, config):
        super().__init__()
        self.embedding = torch.nn.Embedding(config.vocab_size, config.hidden_size)
        self.dense = torch.nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, input_ids, attention_mask):
        counts = attention_mask.unsqueeze(-1).float()
        mean = (self.embedding(input_ids) * counts).sum(1) / counts.sum(1)
        return torch.nn.functional.silu(self.dense(mean))


class BagForSequenceClassification(torch.nn.Module):
    def __init__(self, config):
        super().__init__()
        self.bag = Bag(config)
        self.classifier = torch.nn.Linear(config.hidden_size, config.num_labels)

    def forward(self, input_ids, attention_mask):
        return {"logits": self.classifier(self.bag(input_ids, attention_mask))}
