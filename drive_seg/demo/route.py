"""Where the road goes, how the ego car drives along it, and how a place on the road becomes a pixel.

Places are (s, u, y) in metres: s along the road, u to the right of its centre line, y above the ground. Every function is
closed-form in time, so any frame can be computed without those before it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

CAMERA_HEIGHT_M = 1.35
NEAR_M = 0.4  # nothing is projected from nearer than this
FAR_M = 150.0  # where the ground ends and the painted horizon begins
_BEHIND_M = 14.0
_STEPS = np.arange(-_BEHIND_M, FAR_M + 25.0)  # the road is sampled once a metre


@dataclass(frozen=True)
class Waves:
    """A sum of sines: amplitude * sin(rate * x + phase)."""

    amplitude: Floats
    rate: Floats
    phase: Floats

    def at(self, x: float) -> float:
        return float(np.sum(self.amplitude * np.sin(self.rate * x + self.phase)))

    def slope(self, x: float) -> float:
        return float(np.sum(self.amplitude * self.rate * np.cos(self.rate * x + self.phase)))

    def sampled(self, x: Floats) -> Floats:
        values: Floats = np.sin(np.multiply.outer(x, self.rate) + self.phase) @ self.amplitude
        return values


@dataclass(frozen=True)
class Route:
    heading: Waves  # of the road over s, radians
    motion: Waves  # what is added to cruise_mps * t, metres
    sway: Waves  # the car's place in its lane over t, metres
    yaw: Waves  # the camera against the road over t, radians
    pitch: Waves  # over t, as a share of the picture's height
    cruise_mps: float
    lane_u: float  # the middle of the ego lane

    def position(self, time_s: float) -> float:
        return self.cruise_mps * time_s + self.motion.at(time_s)

    def speed(self, time_s: float) -> float:
        return self.cruise_mps + self.motion.slope(time_s)

    def turn_rate(self, time_s: float) -> float:
        """How fast the camera turns, radians per second."""
        return self.heading.slope(self.position(time_s)) * self.speed(time_s) + self.yaw.slope(time_s)

    def brakes(self, time_s: float) -> bool:
        return self.speed(time_s + 0.1) < self.speed(time_s) - 0.05


def make_route(rng: np.random.Generator, lane_u: float) -> Route:
    """Left-hand traffic on a road that keeps turning, at 5 to 13 m/s."""
    lengths = np.array([rng.uniform(420, 640), rng.uniform(150, 230), rng.uniform(80, 120)])
    heading = Waves(np.array([0.22, 0.16, 0.05]) * rng.uniform(0.7, 1.1, 3), 2 * np.pi / lengths, rng.uniform(0, 6.28, 3))
    periods = np.array([rng.uniform(17, 26), rng.uniform(6, 10)])
    swing = np.array([2.6, 1.0]) * periods / (2 * np.pi)  # speed amplitudes, integrated
    return Route(
        heading=heading,
        motion=Waves(swing, 2 * np.pi / periods, rng.uniform(0, 6.28, 2)),
        sway=Waves(np.array([0.18, 0.06]), np.array([0.5, 1.3]), rng.uniform(0, 6.28, 2)),
        yaw=Waves(np.array([0.02, 0.006]), np.array([0.43, 1.9]), rng.uniform(0, 6.28, 2)),
        pitch=Waves(np.array([0.0045, 0.0022, 0.0016]), np.array([2.1, 7.3, 12.1]), rng.uniform(0, 6.28, 3)),
        cruise_mps=float(rng.uniform(8.0, 10.0)),
        lane_u=lane_u,
    )


def focal_px(size_hw: tuple[int, int]) -> float:
    """56 degrees across at 4:3; wider pictures see more to the sides, not less above."""
    return 1.25 * min(size_hw[0], size_hw[1] * 0.75)


class View:
    """One moment's camera: places on the road to camera metres to pixels."""

    def __init__(self, route: Route, time_s: float, size_hw: tuple[int, int]) -> None:
        height, width = size_hw
        self.s = route.position(time_s)
        self.time_s = time_s
        self.speed = route.speed(time_s)
        self.focal = focal_px(size_hw)
        self.center_x = width / 2
        self.horizon_y = height * (0.45 + route.pitch.at(time_s))
        self.u = route.lane_u + route.sway.at(time_s)
        yaw = route.yaw.at(time_s)
        here = route.heading.at(self.s)
        self.heading = here + yaw
        turn = route.heading.sampled(self.s + _STEPS) - self.heading
        self._sin, self._cos = np.sin(turn), np.cos(turn)
        self._x, self._z = _integrated(self._sin), _integrated(self._cos)
        self._x -= self.u * np.cos(yaw)  # the camera stands at (s, u), looking along the heading
        self._z -= self.u * np.sin(yaw)

    def along(self, ahead: Floats, u: Floats | float) -> tuple[Floats, Floats]:
        """Camera metres (right, forward) of places `ahead` metres in front of the car along the road; arrays of one shape."""
        return (
            np.interp(ahead, _STEPS, self._x) + u * np.interp(ahead, _STEPS, self._cos),
            np.interp(ahead, _STEPS, self._z) - u * np.interp(ahead, _STEPS, self._sin),
        )

    def direction(self, ahead: Floats) -> tuple[Floats, Floats]:
        """Sine and cosine of the road's direction against the camera's."""
        return np.interp(ahead, _STEPS, self._sin), np.interp(ahead, _STEPS, self._cos)

    def pixels(self, right: Floats, forward: Floats, up: Floats | float = 0.0) -> Floats:
        """Camera metres to pixel positions, shape (..., 2); what is behind the near plane is moved onto it."""
        scale = self.focal / np.maximum(forward, NEAR_M)
        points = np.empty((*scale.shape, 2))
        points[..., 0] = self.center_x + right * scale
        points[..., 1] = self.horizon_y + (CAMERA_HEIGHT_M - up) * scale
        return points

    def ground(self, ahead: Floats, u: Floats | float) -> Floats:
        """Pixel positions of places on the ground, shape (..., 2)."""
        return self.pixels(*self.along(ahead, u))


def _integrated(rate: Floats) -> Floats:
    total = np.concatenate(([0.0], np.cumsum((rate[1:] + rate[:-1]) / 2)))
    from_here: Floats = total - total[int(_BEHIND_M)]
    return from_here
