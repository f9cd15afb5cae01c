"""The drive: any frame of it, with its labels, as a pure function of seed and index."""

import numpy as np

from drive_seg.contracts import Image, Labels
from drive_seg.demo.assets import TURN_RAD, Assets
from drive_seg.demo.canvas import Canvas
from drive_seg.demo.furniture import Painter, place, shadows
from drive_seg.demo.ground import draw_ground, draw_shadows
from drive_seg.demo.labels import CLASSES
from drive_seg.demo.light import noise_corner, noise_tile, through_camera, tone_curve
from drive_seg.demo.route import View
from drive_seg.demo.scene import Scene, moods_of

_UNDER_CAR = 0.42  # of the light
_SHUTTER_S = 1 / 60
_RUSH = 0.045  # pixels that the near road moves for each metre driven, as a share of the focal length


class DemoDrive:
    """A rendered city drive without end: two streets in different light, cut once. Not for several threads at once.

    `cut_time_s` lies between 8 and 12 s; frames with index / fps >= cut_time_s show the second street.
    """

    def __init__(self, seed: int = 0, size_hw: tuple[int, int] = (480, 640), fps: float = 30.0, crossing: bool = False) -> None:
        """`crossing`: as scene.Scene says."""
        self.seed, self.size_hw, self.fps = seed, size_hw, fps
        self.cut_time_s = float(np.random.default_rng((seed, 6)).uniform(8.0, 12.0))
        self._scenes = [Scene(seed, number, mood, crossing) for number, mood in enumerate(moods_of(seed))]
        # Both at once: painting takes longer than a few frames, and must not be waited for at the cut.
        self._assets = [Assets(seed, number, scene, size_hw) for number, scene in enumerate(self._scenes)]
        self._planes = tuple(np.full(size_hw, label, np.uint8) for label in range(len(CLASSES)))
        self._noise = noise_tile(np.random.default_rng((seed, 7)), size_hw)

    def frame(self, index: int) -> tuple[Image, Labels]:
        """Picture (H, W, 3) uint8 BGR and labels (H, W) uint8 of frame `index`, both new and the caller's own."""
        time_s = index / self.fps
        number = int(time_s >= self.cut_time_s)
        scene, assets = self._scenes[number], self._assets[number]
        view = View(scene.route, time_s, self.size_hw)
        canvas = Canvas(self.size_hw, self._planes)
        self._sky(canvas, view, assets)
        placed = place(scene.things(view), view)
        top = draw_ground(canvas, view, scene, assets.asphalt, assets.road_color)
        cast, under = shadows(placed, view, scene, assets)
        draw_shadows(canvas, top, cast, scene.mood.shadow)
        draw_shadows(canvas, top, under, _UNDER_CAR)
        painter = Painter(canvas, view, scene, assets, braking=scene.route.brakes(time_s))
        for one in placed:
            painter.draw(one)
        exposure = 1 + 0.07 * np.sin(0.9 * time_s) + 0.04 * np.sin(2.3 * time_s + self.seed)
        curve = tone_curve(scene.mood, float(exposure))
        yaw_px = scene.route.turn_rate(time_s) * _SHUTTER_S * view.focal
        rush_px = view.speed * _SHUTTER_S * view.focal * _RUSH
        return through_camera(canvas.image, curve, self._noise, noise_corner(index), yaw_px, rush_px), canvas.labels

    def _sky(self, canvas: Canvas, view: View, assets: Assets) -> None:
        height, width = self.size_hw
        rows = min(int(view.horizon_y + 0.012 * height) + 1, height * 3 // 5)
        column = round((TURN_RAD + view.heading) * view.focal)
        image, labels = assets.panorama.cut(column, (rows, width))
        canvas.image[:rows], canvas.labels[:rows] = image, labels
