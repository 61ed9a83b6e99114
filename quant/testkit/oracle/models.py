"""Small models of the oracle's own, with fixed seeds. Their weights are random.

Each takes a unit u that its widths are multiples of, and has example(), an input for
its forward. TYPES is what is set for the command: a bare state dict does not show
that a grouped ConvTranspose is one, or one with as many inputs as outputs.
"""

import torch
from torch import nn


class MLP(nn.Module):
    """Linear layers; one that blocks of u do not fit, one whose row is u long."""

    def __init__(self, u):
        super().__init__()
        self.u = u
        self.layers = nn.Sequential(nn.Linear(2 * u, 3 * u), nn.ReLU(), nn.Linear(3 * u, u), nn.LayerNorm(u))
        self.odd = nn.Linear(u - 2, 7)
        self.head = nn.Linear(u, 10, bias=False)

    def forward(self, x):
        h = self.layers(x)
        return self.head(h), self.odd(h[:, : self.u - 2])

    def example(self):
        return torch.rand(1, 2 * self.u)


class ConvNet(nn.Module):
    """Convolutions of every rank, grouped and depthwise ones, transposed ones, norms."""

    def __init__(self, u):
        super().__init__()
        self.u = u
        self.conv1d = nn.Conv1d(2 * u, u, 3)
        self.stem = nn.Sequential(nn.Conv2d(u, 2 * u, 3), nn.BatchNorm2d(2 * u))
        self.grouped = nn.Conv2d(2 * u, 2 * u, 3, groups=2)
        self.depthwise = nn.Conv2d(2 * u, 2 * u, 3, groups=2 * u)
        self.conv3d = nn.Conv3d(u, u // 2, 2)
        self.up = nn.ConvTranspose2d(2 * u, u, 2)
        self.narrow_up = nn.ConvTranspose2d(2 * u, 4, 2)
        self.grouped_up = nn.ConvTranspose2d(2 * u, 2 * u, 2, groups=2)
        self.deconv = nn.ConvTranspose1d(2 * u, 2 * u, 3)
        self.deconv3d = nn.ConvTranspose3d(2 * u, u, 2)
        self.embedding = nn.Embedding(20, 2 * u)

    def forward(self, x):
        h = self.depthwise(self.grouped(self.stem(x)))
        flat = self.conv1d(self.deconv(h.flatten(2)))
        deep = self.conv3d(self.deconv3d(h.unsqueeze(2)))
        return self.up(h), self.narrow_up(h), self.grouped_up(h), flat, deep

    def example(self):
        return torch.rand(1, self.u, 9, 9)


class Attention(nn.Module):
    """A transformer block: packed projections, separate ones, norm, feed-forward."""

    def __init__(self, u):
        super().__init__()
        self.u = u
        self.attn = nn.MultiheadAttention(2 * u, 4)
        self.cross = nn.MultiheadAttention(2 * u, 4, kdim=u, vdim=3 * u)
        self.norm = nn.LayerNorm(2 * u)
        self.ff = nn.Sequential(nn.Linear(2 * u, 4 * u), nn.GELU(), nn.Linear(4 * u, 2 * u))

    def forward(self, x):
        y, _ = self.attn(x, x, x, need_weights=False)
        part = y[:, :, : self.u]
        z, _ = self.cross(y, part, torch.cat([y, part], 2), need_weights=False)
        return self.ff(self.norm(z))

    def example(self):
        return torch.rand(5, 1, 2 * self.u)


class Tied(nn.Module):
    """An embedding tied to the head, and two Linears that share one weight."""

    def __init__(self, u):
        super().__init__()
        self.embed = nn.Embedding(48, 2 * u)
        self.a = nn.Linear(2 * u, 2 * u)
        self.b = nn.Linear(2 * u, 2 * u)
        self.head = nn.Linear(2 * u, 48, bias=False)
        self.b.weight = self.a.weight
        self.head.weight = self.embed.weight

    def forward(self, ids):
        return self.head(self.b(self.a(self.embed(ids))))

    def example(self):
        return torch.zeros(1, 3, dtype=torch.int32)


class Large(nn.Module):
    """Weights whose blocks are larger than a tile, and one of 16 to 32 MiB, which was once measured in two
    halves; the second half of each is quiet."""

    def __init__(self, u):
        super().__init__()
        self.wide = nn.Linear(128 * u, 36 * u, bias=False)
        self.deconv = nn.ConvTranspose1d(36 * u, 4, 32 * u, bias=False)
        with torch.no_grad():
            for p in self.parameters():
                p[p.shape[0] // 2 :] *= 0.01


class Root(nn.Linear):
    """A module without children: its keys have no dots."""

    def __init__(self, u):
        super().__init__(2 * u, u)

    def example(self):
        return torch.rand(1, self.in_features)


CLASSES = {"mlp": MLP, "conv": ConvNet, "attention": Attention, "tied": Tied, "root": Root, "large": Large}
TYPES = {"conv": ["grouped_up=ConvTranspose2d", "deconv=ConvTranspose1d"]}


def build(name, dtype, u=32):
    torch.manual_seed(20261123)
    # coremltools asks for the exact class, so the root is a plain Linear.
    model = nn.Linear(2 * u, u) if name == "root" else CLASSES[name](u)
    with torch.no_grad():
        for p in dict.fromkeys(model.parameters()):  # a spread of magnitudes, so that f16 rounds everywhere
            p.mul_(torch.rand(1) * 3 + 0.01)
    return model.to(dtype).eval()


def example(name, u=32):
    torch.manual_seed(1)
    return CLASSES[name](u).example()
