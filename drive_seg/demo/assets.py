"""Everything that is painted once for a scene, before its first frame."""

import numpy as np

from drive_seg.contracts import Image
from drive_seg.demo.canvas import Color, Sprite, Texture
from drive_seg.demo.ground import ASPHALT_PERIOD_M, ASPHALT_PX_PER_M, ASPHALT_WIDTH_M
from drive_seg.demo.route import focal_px
from drive_seg.demo.scene import Scene
from drive_seg.demo.sprites import paint_cyclist, paint_person, paint_tree
from drive_seg.demo.textures import Facade, Panorama, paint_asphalt, paint_board, paint_facade, paint_fence, paint_panorama

TURN_RAD = 0.85  # the panorama reaches so far to either side of heading 0


class Assets:
    """A scene's textures and sprites; `Thing.look` picks among them."""

    def __init__(self, seed: int, number: int, scene: Scene, size_hw: tuple[int, int]) -> None:
        rng = np.random.default_rng((seed, number, 5))
        height, width = size_hw
        focal = focal_px(size_hw)
        grey = int(rng.integers(92, 118))
        self.road_color: Color = (grey + 2, grey, grey - 1)
        self.asphalt: Image = paint_asphalt(rng, self.road_color, ASPHALT_PX_PER_M, ASPHALT_WIDTH_M, ASPHALT_PERIOD_M)
        self.facades: list[Facade] = [paint_facade(rng, scene.mood, scene.sun_side) for _ in range(12)]
        self.shop_boards: list[Texture] = [paint_board(rng, True) for _ in range(6)]
        self.boards: list[Texture] = [paint_board(rng, False) for _ in range(4)]
        self.fences: list[Texture] = [paint_fence(rng, kind) for kind in (0, 1)]
        self.trees: list[Sprite] = [paint_tree(rng) for _ in range(5)]
        self.people: list[list[Sprite]] = [paint_person(rng) for _ in range(7)]
        self.cyclists: list[list[Sprite]] = [paint_cyclist(rng) for _ in range(5)]
        sky_hw = (int(height * 0.5), width + int(2 * TURN_RAD * focal))
        self.panorama: Panorama = paint_panorama(rng, scene.mood, sky_hw, focal * 0.016)
