"""What a bundle learns for the frames between key frames: an embedding that keys are compared by, a forecast, and three propagations.

All of it works at 1/16, on the embedding of this frame and on what the key frame left; a finer context is reduced to that, and what is
added to it enlarged. Shapes in the comments are for a 480x360 image.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from drive_seg.lab.models.blocks import resize_to
from drive_seg.lab.models.staged import Head

EMBEDDING, STRIDE = 48, 16  # channels of the embedding, and how many pixels one of its cells is wide
WIDTH, RATES = 96, (1, 2, 4)  # channels of what a propagation adds, and the atrous rates that let it see 112 pixels around
BLOCK, REACH = 8, 4  # cells: attention looks from blocks of 8x8 at them and 4 more on every side, 64 pixels or more
OUTSIDE = -30.0  # of a cell outside the map, before the softmax


class Embedding(nn.Sequential):
    """This frame's detail (1/8) to what it is compared and propagated by: (N, 64, 45, 60) to (N, 48, 23, 30)."""

    def __init__(self, detail: int) -> None:
        super().__init__(nn.Conv2d(detail, EMBEDDING, 3, STRIDE // 8, padding=1), nn.ReLU(), nn.Conv2d(EMBEDDING, EMBEDDING, 1))


class Selector(nn.Module):
    """The share of labels that differ from the key frame's, from both frames' embeddings (Li, Shi, Lin 2018, section 3.3).

    It is forecast for each cell, where there is most to learn from, and averaged.
    """

    def __init__(self) -> None:
        super().__init__()
        self.compare = nn.Sequential(
            nn.Conv2d(3 * EMBEDDING, 32, 1), nn.ReLU(), nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 1, 1)
        )
        nn.init.constant_(self.compare[-1].bias, -3.0)  # type: ignore[arg-type]  # about a twentieth changes

    def cells(self, embedding: Tensor, key_embedding: Tensor) -> Tensor:
        """Log-odds (N, 1, 23, 30)."""
        return self.compare(torch.cat([embedding, key_embedding, (embedding - key_embedding).abs()], 1))

    def forward(self, embedding: Tensor, key_embedding: Tensor) -> Tensor:
        return self.cells(embedding, key_embedding).sigmoid().mean((1, 2, 3))  # (N,)


def like(x: Tensor, other: Tensor) -> Tensor:
    """`x` at the height and width of `other`; as it is where they are the same."""
    return x if x.shape[2:] == other.shape[2:] else resize_to(x, other)


class Mixing(nn.Module):
    """Mixes a context with the embeddings of this frame and of the key frame."""

    def __init__(self, context: int) -> None:
        super().__init__()
        self.enter = nn.Conv2d(context + 2 * EMBEDDING, WIDTH, 1)
        looks = [nn.Conv2d(WIDTH, WIDTH, 3, padding=rate, dilation=rate) for rate in RATES]
        self.look = nn.Sequential(looks[0], *(module for look in looks[1:] for module in (nn.ReLU(), look)))

    def mixed(self, context: Tensor, embedding: Tensor, key_embedding: Tensor) -> Tensor:
        """(N, 96, 23, 30)"""
        return torch.relu(self.look(torch.relu(self.enter(torch.cat([like(context, embedding), embedding, key_embedding], 1)))))


class Fuse(Mixing):
    """What a propagated context lacks, from this frame's embedding; nothing at first."""

    def __init__(self, context: int) -> None:
        super().__init__(context)
        self.leave = nn.Conv2d(WIDTH, context, 1)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)  # type: ignore[arg-type]

    def forward(self, context: Tensor, embedding: Tensor, key_embedding: Tensor) -> Tensor:
        return context + like(self.leave(self.mixed(context, embedding, key_embedding)), context)


class NetWarp(nn.Module):
    """The context, and the key's embedding with it, come warped along the flow; each channel is weighed against this frame's own features
    (Gadde et al. 2017, https://arxiv.org/abs/1708.03140), and what both embeddings tell of the flow's failures is added."""

    takes = ("context", "embedding", "key_embedding")

    def __init__(self, context: int) -> None:
        super().__init__()
        self.own = nn.Conv2d(EMBEDDING, context, 1)
        self.weigh_warped = nn.Parameter(torch.ones(1, context, 1, 1))
        self.weigh_own = nn.Parameter(torch.zeros(1, context, 1, 1))
        self.fuse = Fuse(context)

    def forward(self, context: Tensor, embedding: Tensor, key_embedding: Tensor) -> Tensor:
        weighed = self.weigh_warped * context + self.weigh_own * like(self.own(embedding), context)
        return self.fuse(weighed, embedding, key_embedding)


class Attend(nn.Module):
    """Every cell gathers the key's context from where the key looked as it looks now: Li, Shi, Lin's spatially variant kernel
    (2018, section 3.2) as attention between the embeddings, over blocks, so that its cost grows with the map and not with its square."""

    takes = ("context", "embedding", "key_embedding")

    def __init__(self, context: int) -> None:
        super().__init__()
        self.ask, self.offer = nn.Conv2d(EMBEDDING, EMBEDDING, 1), nn.Conv2d(EMBEDDING, EMBEDDING, 1)
        side = BLOCK + 2 * REACH
        query, key = torch.arange(BLOCK), torch.arange(side) - REACH
        away = (key[None] - query[:, None]).float()  # (8, 16) cells
        square = away[:, None, :, None] ** 2 + away[None, :, None, :] ** 2
        self.where = nn.Parameter(-square.reshape(BLOCK**2, side**2) / 2)  # (64, 256): at first every cell looks at its own place
        self.fuse = Fuse(context)

    def forward(self, context: Tensor, embedding: Tensor, key_embedding: Tensor) -> Tensor:
        height, width = context.shape[2], context.shape[3]
        rows, columns = (height + BLOCK - 1) // BLOCK * BLOCK, (width + BLOCK - 1) // BLOCK * BLOCK
        down, right = rows - height, columns - width
        asked = _blocks(F.pad(self.ask(embedding), (0, right, 0, down)))  # (N, 3, 4, 48, 64)
        around = (REACH, right + REACH, REACH, down + REACH)
        offered = _neighbourhoods(F.pad(self.offer(key_embedding), around))  # (N, 3, 4, 48, 256)
        values = _neighbourhoods(F.pad(context, around))  # (N, 3, 4, 128, 256)
        inside = _neighbourhoods(F.pad(torch.zeros_like(context[:, :1]), around, value=OUTSIDE))  # (N, 3, 4, 1, 256)
        likeness = asked.transpose(3, 4) @ offered * EMBEDDING**-0.5 + self.where + inside  # (N, 3, 4, 64, 256)
        gathered = values @ likeness.softmax(4).transpose(3, 4)  # (N, 3, 4, 128, 64)
        shaped = gathered.view(-1, rows // BLOCK, columns // BLOCK, context.shape[1], BLOCK, BLOCK).permute(0, 3, 1, 4, 2, 5)
        gathered = shaped.reshape(-1, context.shape[1], rows, columns)[:, :, :height, :width]
        return self.fuse(gathered, embedding, key_embedding)


def _blocks(x: Tensor) -> Tensor:
    """(N, C, h, w) cut into (N, h / 8, w / 8, C, 64)."""
    n, channels, h, w = x.shape
    cut = x.view(n, channels, h // BLOCK, BLOCK, w // BLOCK, BLOCK).permute(0, 2, 4, 1, 3, 5)
    return cut.reshape(n, h // BLOCK, w // BLOCK, channels, BLOCK**2)


def _neighbourhoods(x: Tensor) -> Tensor:
    """(N, C, h + 8, w + 8) to the 16x16 cells around each block, (N, h / 8, w / 8, C, 256): two blocks beside two, which overlap."""
    n, channels, h, w = x.shape
    cut = x.view(n, channels, h // BLOCK, BLOCK, w // BLOCK, BLOCK)
    tall = torch.cat([cut[:, :, :-1], cut[:, :, 1:]], 3)  # (N, C, 3, 16, 5, 8)
    both = torch.cat([tall[:, :, :, :, :-1], tall[:, :, :, :, 1:]], 5)  # (N, C, 3, 16, 4, 16)
    return both.permute(0, 2, 4, 1, 3, 5).reshape(n, h // BLOCK - 1, w // BLOCK - 1, channels, (2 * BLOCK) ** 2)


class Recurrent(Mixing):
    """A gated unit on the context, one step a frame: STFCN's idea (Fayyaz et al. 2016, https://arxiv.org/abs/1608.05971) with one gate
    and the cell of a GRU; the key frame's context is the state that it starts from."""

    takes = ("last_context", "embedding", "key_embedding")

    def __init__(self, context: int) -> None:
        super().__init__(context)
        self.gate, self.new = nn.Conv2d(WIDTH, context, 1), nn.Conv2d(WIDTH, context, 1)
        nn.init.constant_(self.gate.bias, -3.0)  # type: ignore[arg-type]  # at first nearly all is kept

    def forward(self, last_context: Tensor, embedding: Tensor, key_embedding: Tensor) -> Tensor:
        x = self.mixed(last_context, embedding, key_embedding)
        gate, new = (like(made, last_context) for made in (self.gate(x).sigmoid(), self.new(x)))
        return (1 - gate) * last_context + gate * new


# What is learned of network/propagate.py's KINDS; each says in `takes` which tensors it is given.
PROPAGATIONS: dict[str, type[NetWarp] | type[Attend] | type[Recurrent]] = {"netwarp": NetWarp, "attend": Attend, "recurrent": Recurrent}


class PropagatingHead(Head):
    """A head of its own behind a learned propagation: `forward` takes fine and detail, and then what the propagation takes."""

    def __init__(self, propagate: NetWarp | Attend | Recurrent, head: Head) -> None:
        super().__init__()
        self.propagate, self.head = propagate, head

    def forward(self, fine: Tensor, detail: Tensor, *inputs: Tensor) -> Tensor:
        return self.head(fine, detail, self.propagate(*inputs))
