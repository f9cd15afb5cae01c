"""What stands and moves along one road: furniture by blocks of 64 m, traffic as endless streams; all of it a function of the seed.

A block's content depends on (seed, scene, block) alone and a stream's n-th member on (seed, scene, stream, n), so any stretch of
the road can be asked for in any order.
"""

from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache, partial
from weakref import proxy

import numpy as np

from drive_seg.demo.light import MOODS, Mood
from drive_seg.demo.route import Route, View, make_route

BLOCK_M = 64.0
_BEHIND_M = 7.0
_AHEAD_M = 150.0
_CACHED = 512
_CROSS_M = (30.0, 5.0)  # ahead of the car: where it is when somebody leaves one kerb, and when they reach the other


class Kind(IntEnum):
    BUILDING = 0
    FENCE = 1
    TREE = 2
    LAMP_POST = 3
    SIGN = 4
    BOARD = 5  # a direction board on two legs
    LIGHTS = 6  # traffic lights
    CAR = 7
    PEDESTRIAN = 8
    CYCLIST = 9
    BOLLARD = 10


REACH_M: dict[Kind, float] = {  # what is farther is too small to be worth a label
    Kind.BUILDING: 150.0,
    Kind.FENCE: 75.0,
    Kind.TREE: 110.0,
    Kind.LAMP_POST: 48.0,
    Kind.SIGN: 42.0,
    Kind.BOARD: 60.0,
    Kind.LIGHTS: 42.0,
    Kind.CAR: 100.0,
    Kind.PEDESTRIAN: 45.0,
    Kind.CYCLIST: 48.0,
    Kind.BOLLARD: 26.0,
}


@dataclass(frozen=True, slots=True)
class Thing:
    """Something at (s, u); long things reach from s to s + length along the road."""

    kind: Kind
    s: float
    u: float
    look: int = 0
    height: float = 0.0
    length: float = 0.0
    towards: bool = False  # faces or comes towards the camera
    phase: float = 0.0  # of a walk or a turn of the pedals, in turns


@dataclass(frozen=True, slots=True)
class Stream:
    """An endless row of movers."""

    kind: Kind
    speed: float  # m/s along s
    spacing: float  # metres
    u: float
    spread: float  # metres to either side of u
    turns_per_m: float = 0.0


@dataclass(frozen=True)
class Street:
    """The measures of one scene's road."""

    lane: float  # centre line to the edge of either lane; a wider side of the road has a bay for parking
    kerbs: tuple[float, float]  # centre line to kerb, left and right
    pavement: float
    parked: float  # share of the bays' places that are taken
    built: float  # share of the lots that carry a house
    yellow_lines: bool

    def kerb(self, side: int) -> float:
        """Centre line to kerb on the left (-1) or right (1), without sign."""
        return self.kerbs[0 if side < 0 else 1]

    def front(self, side: int) -> float:
        """Centre line to the house fronts."""
        return self.kerb(side) + self.pavement

    def has_bay(self, side: int) -> bool:
        return self.kerb(side) > self.lane + 1.8


def _make_street(rng: np.random.Generator) -> Street:
    lane = float(rng.uniform(3.1, 3.4))
    edge, bay = lane + 0.8, lane + 2.3
    left_bay, right_bay = [(False, True), (False, True), (True, False), (False, False)][rng.integers(4)]
    return Street(
        lane=lane,
        kerbs=(bay if left_bay else edge, bay if right_bay else edge),
        pavement=float(rng.uniform(3.0, 4.4)),
        parked=float(rng.uniform(0.4, 0.65)),
        built=float(rng.uniform(0.66, 0.78)),
        yellow_lines=bool(rng.random() < 0.5),
    )


class Scene:
    """One of the drive's streets in its light."""

    def __init__(self, seed: int, number: int, mood: Mood, crossing: bool = False) -> None:
        """`crossing`: in each block somebody crosses in front of the car, from the left and from the right in turn, and no car is ahead."""
        self._key, self._crossing = (seed, number), crossing
        rng = np.random.default_rng((seed, number, 1))
        self.mood = mood
        self.sun_side = -1 if rng.random() < 0.5 else 1
        self.street = _make_street(rng)
        self.route: Route = make_route(rng, lane_u=-1.5)
        self._lead = (float(rng.uniform(14, 18)), rng.uniform(0, 6.28, 2), int(rng.integers(64)))
        self._streams = self._make_streams()
        this = proxy(self)  # not held by its own caches, which only the collector would end
        self._block = lru_cache(_CACHED)(partial(Scene._make_block, this))
        self._member = lru_cache(_CACHED)(partial(Scene._make_member, this))

    def things(self, view: View) -> list[Thing]:
        """What stands or moves between a little behind the camera and as far as it is worth drawing, in no order."""
        near, far = view.s - _BEHIND_M, view.s + _AHEAD_M
        found = [
            thing
            for block in range(int(near // BLOCK_M) - 1, int(far // BLOCK_M) + 1)
            for thing in self._block(block)
            if thing.s + thing.length > near and thing.s - view.s < REACH_M[thing.kind]
        ]
        for number, stream in enumerate(self._streams):
            found += self._moving(number, stream, view)
        return found + (self._crossers(view) if self._crossing else [self._lead_car(view)])

    def crossings(self, view: View) -> list[float]:
        """Where the zebra crossings ahead begin, metres along the road."""
        first, last = int((view.s - 4) // BLOCK_M), int((view.s + 60) // BLOCK_M)
        return [block * BLOCK_M + 26.0 for block in range(first, last + 1) if block % 3 == self._key[0] % 3]

    def _make_streams(self) -> tuple[Stream, ...]:
        street, spread = self.street, self.street.pavement / 2 - 0.7
        middle = {side: side * (street.kerb(side) + street.pavement / 2) for side in (-1, 1)}
        return (
            Stream(Kind.CAR, -8.5, 42.0, 1.75, 0.15),
            Stream(Kind.CYCLIST, 4.8, 33.0, -street.lane - 0.1, 0.1, 0.16),
            Stream(Kind.CYCLIST, -4.4, 36.0, street.lane + 0.1, 0.15, 0.16),
            *(Stream(Kind.PEDESTRIAN, speed, 9.0, middle[side], spread, 0.62) for side in (-1, 1) for speed in (-1.25, 1.4)),
        )

    def _moving(self, number: int, stream: Stream, view: View) -> list[Thing]:
        moved = stream.speed * view.time_s
        first = int((view.s - _BEHIND_M - moved) // stream.spacing) - 1
        last = int((view.s + REACH_M[stream.kind] - moved) // stream.spacing) + 1
        found = []
        for n in range(first, last + 1):
            along, aside, look, phase = self._member(number, n)
            s = n * stream.spacing + along + moved
            turns = phase + abs(moved) * stream.turns_per_m
            if -_BEHIND_M < s - view.s < REACH_M[stream.kind]:
                found.append(Thing(stream.kind, s, stream.u + aside, look, towards=stream.speed < 0, phase=turns))
        return found

    def _make_member(self, number: int, n: int) -> tuple[float, float, int, float]:
        """Offsets along and aside, look, and phase of a stream's n-th member."""
        stream, rng = self._streams[number], np.random.default_rng((*self._key, 2, number, n + (1 << 30)))
        along, aside = rng.uniform(-0.36, 0.36) * stream.spacing, rng.uniform(-1, 1) * stream.spread
        return float(along), float(aside), int(rng.integers(64)), float(rng.random())

    def _crossers(self, view: View) -> list[Thing]:
        (begin, end), found = _CROSS_M, list[Thing]()
        for block in range(int(view.s // BLOCK_M), int((view.s + begin) // BLOCK_M) + 1):
            s = block * BLOCK_M + 27.5
            share, side = (begin - (s - view.s)) / (begin - end), 1 if block % 2 else -1
            if 0 < share < 1:
                u = side * (self.street.kerb(side) - share * sum(self.street.kerbs))
                found.append(Thing(Kind.PEDESTRIAN, s, u, block % 64, phase=9 * share))
        return found

    def _lead_car(self, view: View) -> Thing:
        gap, phases, look = self._lead
        ahead = gap + 5.5 * np.sin(0.31 * view.time_s + phases[0]) + 2.0 * np.sin(0.83 * view.time_s + phases[1])
        return Thing(Kind.CAR, view.s + float(ahead), self.route.lane_u, look)

    def _make_block(self, block: int) -> tuple[Thing, ...]:
        rng = np.random.default_rng((*self._key, 3, block + (1 << 30)))
        return tuple(thing for side in (-1, 1) for thing in self._side(rng, block * BLOCK_M, side))

    def _side(self, rng: np.random.Generator, start: float, side: int) -> list[Thing]:
        return self._lots(rng, start, side) + self._furniture(rng, start, side) + self._parked(rng, start, side)

    def _lots(self, rng: np.random.Generator, start: float, side: int) -> list[Thing]:
        """House fronts and, between them, gardens with trees behind a fence."""
        things: list[Thing] = []
        front, s, end = side * self.street.front(side), start, start + BLOCK_M
        garden = start + float(rng.uniform(0, BLOCK_M))  # every block has one at least
        while s < end:
            length = float(rng.uniform(8, 14))
            length = end - s if end - s - length < 6 else length
            if rng.random() < self.street.built and not s <= garden < s + length:
                things.append(Thing(Kind.BUILDING, s, front, int(rng.integers(1 << 16)), length=length))
            else:
                things += self._garden(rng, s, length, side)
            s += length
        return things

    def _garden(self, rng: np.random.Generator, s: float, length: float, side: int) -> list[Thing]:
        front, look, height = side * self.street.front(side), int(rng.integers(2)), float(rng.uniform(1.5, 2.0))
        panels = max(1, round(length / 4))
        step = length / panels
        things = [Thing(Kind.FENCE, s + n * step, front, look, height, step) for n in range(panels)]
        for place in (0.2, 0.5, 0.8):
            u = side * (self.street.front(side) + float(rng.uniform(2.5, 4.5)))
            things.append(Thing(Kind.TREE, s + place * length, u, int(rng.integers(64)), float(rng.uniform(6.0, 9.0))))
        return things

    def _furniture(self, rng: np.random.Generator, start: float, side: int) -> list[Thing]:
        kerb = side * (self.street.kerb(side) + 0.45)
        things: list[Thing] = []
        for at in (start, start + BLOCK_M / 2):
            things += [
                Thing(Kind.LAMP_POST, at + float(rng.uniform(2, 10)), kerb, height=float(rng.uniform(5.5, 7.5))),
                Thing(Kind.SIGN, at + float(rng.uniform(14, 19)), kerb, int(rng.integers(64)), float(rng.uniform(2.5, 3.0))),
                Thing(Kind.TREE, at + float(rng.uniform(20, 30)), kerb * 1.12, int(rng.integers(64)), float(rng.uniform(5.5, 8.0))),
            ]
        if rng.random() < 0.9:
            kind = Kind.BOARD if rng.random() < 0.6 else Kind.LIGHTS
            things.append(Thing(kind, start + float(rng.uniform(0, 60)), kerb * 1.08, int(rng.integers(64)), 3.2))
        at = start + float(rng.uniform(8, 50))
        return things + [Thing(Kind.BOLLARD, at + 1.6 * n, kerb, height=1.05) for n in range(int(rng.integers(0, 6)))]

    def _parked(self, rng: np.random.Generator, start: float, side: int) -> list[Thing]:
        if not self.street.has_bay(side):
            return []
        u = side * (self.street.kerb(side) - 1.05)
        places = [start + 3 + 6.4 * n + float(rng.uniform(-0.5, 0.5)) for n in range(10) if rng.random() < self.street.parked]
        return [Thing(Kind.CAR, s, u, int(rng.integers(64)), towards=side > 0) for s in places]


def moods_of(seed: int) -> tuple[Mood, Mood]:
    """The light before and after the cut: never the same."""
    first, second = np.random.default_rng((seed, 4)).permutation(len(MOODS))[:2]
    return MOODS[first], MOODS[second]
