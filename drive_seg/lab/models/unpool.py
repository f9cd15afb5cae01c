"""Max pooling that tells where each maximum stood, and its inverse, in operators that every runtime has (few have MaxUnpool)."""

import torch
from torch import Tensor
from torch.nn import functional as F


def pool(x: Tensor, odd: bool = False) -> tuple[Tensor, Tensor]:
    """The maxima of 2x2 cells, (N, C, ceil(H / 2), ceil(W / 2)), and their places: floats 0 to 3, row by row, the first of equals.

    `odd` allows heights and widths that are no multiples of 2, for a copy of the map. There the last row or column is looked at
    twice; the first of equals wins, so that no place points outside.
    """
    grid = F.pad(x, (0, 1, 0, 1), mode="replicate") if odd else x
    end = -1 if odd else None
    a, b = grid[:, :, :end:2, :end:2], grid[:, :, :end:2, 1::2]
    c, d = grid[:, :, 1::2, :end:2], grid[:, :, 1::2, 1::2]
    # Comparisons, because an ArgMax over the four does not take the first of equals everywhere, and after ReLU many are equal; and no
    # sums, because int8 rounds what is summed, and a place has to stay whole.
    above, below = torch.where(a < b, 1.0, 0.0), torch.where(c < d, 3.0, 2.0)
    places = torch.where(torch.maximum(a, b) < torch.maximum(c, d), below, above)
    return F.max_pool2d(x, 2, ceil_mode=odd), places


def unpool(x: Tensor, places: Tensor) -> Tensor:
    """(N, C, 2h, 2w): each value of `x` (N, C, h, w) at its place in its 2x2 cell, and zeros beside it."""
    cells = torch.stack([x * (places == place) for place in range(4)], 2)
    return F.pixel_shuffle(cells.flatten(1, 2), 2)
