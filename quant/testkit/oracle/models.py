"""Small models of the oracle's own, with fixed seeds. Their weights are random."""

import torch
from torch import nn


class MLP(nn.Module):
    """Linear layers; one that blocks of 32 do not fit."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(64, 96), nn.ReLU(), nn.Linear(96, 32), nn.LayerNorm(32))
        self.odd = nn.Linear(30, 7)
        self.head = nn.Linear(32, 10, bias=False)


class ConvNet(nn.Module):
    """Convolutions of every rank, grouped and depthwise ones, transposed ones, norms."""

    def __init__(self):
        super().__init__()
        self.conv1d = nn.Conv1d(64, 32, 3)
        self.stem = nn.Sequential(nn.Conv2d(32, 64, 3), nn.BatchNorm2d(64))
        self.grouped = nn.Conv2d(64, 64, 3, groups=2)
        self.depthwise = nn.Conv2d(64, 64, 3, groups=64)
        self.conv3d = nn.Conv3d(32, 16, 2)
        self.up = nn.ConvTranspose2d(64, 32, 2)
        self.deconv = nn.ConvTranspose1d(64, 64, 3)
        self.embedding = nn.Embedding(20, 64)


class Attention(nn.Module):
    """A transformer block: packed projections, norm, feed-forward."""

    def __init__(self):
        super().__init__()
        self.attn = nn.MultiheadAttention(64, 4)
        self.cross = nn.MultiheadAttention(64, 4, kdim=32, vdim=96)
        self.norm = nn.LayerNorm(64)
        self.ff = nn.Sequential(nn.Linear(64, 128), nn.GELU(), nn.Linear(128, 64))


def build(name, dtype):
    torch.manual_seed(20261123)
    model = {"mlp": MLP, "conv": ConvNet, "attention": Attention}[name]()
    with torch.no_grad():
        for p in model.parameters():  # a spread of magnitudes, so that f16 rounds everywhere
            p.mul_(torch.rand(1) * 3 + 0.01)
    return model.to(dtype).eval()
