"""What is learned about the frames between key frames: propagations that do what they say, clips that are what they show, and a bundle
that runs with all of it on every backend."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from drive_seg.backends import open_backend
from drive_seg.contracts import Frame
from drive_seg.errors import DataError, UsageError
from drive_seg.lab.build.attach import attach
from drive_seg.lab.evaluate.pairs import VOID, plain_pairs, read_all
from drive_seg.lab.models import make_network
from drive_seg.lab.models.stored import read_network
from drive_seg.lab.models.temporal import EMBEDDING, Attend, NetWarp, Recurrent
from drive_seg.lab.models.temporal import PROPAGATIONS as LEARNED
from drive_seg.lab.train.clips import Clips, neighbours
from drive_seg.lab.train.motion import moved, nearness, pass_by
from drive_seg.lab.train.paste import Cutout
from drive_seg.lab.train.temporal import Batches, FeaturePool, TemporalRecipe, distill, load_temporal, warp_context
from drive_seg.network.card import Bundle, load_bundle
from drive_seg.network.engine import Engine
from drive_seg.network.pipeline import Pipeline
from drive_seg.network.propagate import Flow, make_propagation, origins, warp
from drive_seg.network.schedule import Clockwork
from tests.lab.conftest import SIZE_HW, Tiny

CLASSES = ("sky", "road", "car")


def dense(attend: Attend, context: Tensor, embedding: Tensor, key_embedding: Tensor) -> Tensor:
    """The same attention cell by cell: over the block's neighbourhood, what lies in the map."""
    asked, offered = attend.ask(embedding)[0], attend.offer(key_embedding)[0]
    _, _, height, width = context.shape
    propagated = torch.zeros_like(context)
    for y in range(height):
        for x in range(width):
            top, left = y // 8 * 8 - 4, x // 8 * 8 - 4
            near = np.s_[max(top, 0) : top + 16, max(left, 0) : left + 16]
            place = attend.where[y % 8 * 8 + x % 8].reshape(16, 16)[max(-top, 0) : height - top, max(-left, 0) : width - left]
            logits = (asked[:, y, x, None, None] * offered[:, *near]).sum(0) * EMBEDDING**-0.5 + place
            propagated[0, :, y, x] = context[0][:, *near].flatten(1) @ logits.flatten().softmax(0)
    return propagated


@torch.no_grad()
@pytest.mark.parametrize("size_hw", [(8, 16), (5, 11), (12, 9)])
def test_attention_over_blocks_is_attention_over_each_blocks_neighbourhood(size_hw: tuple[int, int]) -> None:
    torch.manual_seed(0)
    attend = Attend(6)
    attend.where.normal_()
    context, embedding, key = (torch.randn(1, channels, *size_hw) for channels in (6, EMBEDDING, EMBEDDING))
    torch.testing.assert_close(attend(context, embedding, key), dense(attend, context, embedding, key), atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_attention_finds_what_has_moved() -> None:
    attend = Attend(4)
    for layer in (attend.ask, attend.offer):
        layer.weight.copy_(torch.eye(EMBEDDING)[:, :, None, None] * 12)
        layer.bias.zero_()
    torch.manual_seed(1)
    key, context = torch.randn(1, EMBEDDING, 16, 16), torch.randn(1, 4, 16, 16)
    now = key.roll((2, 3), (2, 3))  # two cells down and three to the right
    propagated = attend(context, now, key)
    torch.testing.assert_close(propagated[..., 2:, 3:], context.roll((2, 3), (2, 3))[..., 2:, 3:], atol=1e-3, rtol=1e-3)


@torch.no_grad()
def test_untaught_propagations_leave_the_context_nearly_as_it_comes() -> None:
    torch.manual_seed(0)
    context, embedding = torch.randn(1, 6, 8, 8), torch.randn(1, EMBEDDING, 8, 8)
    torch.testing.assert_close(NetWarp(6)(context, embedding, embedding), context)
    assert (Recurrent(6)(context, embedding, embedding) - context).abs().mean() < 0.1


def test_the_workshop_warps_as_the_live_program_does() -> None:
    rng = np.random.default_rng(0)
    context = rng.normal(size=(1, 5, 23, 30)).astype(np.float32)
    motion = rng.normal(0, 6, (90, 120, 2)).astype(np.float32)
    source = origins(motion, (23, 30)) / np.array([29, 22], np.float32) * 2 - 1
    ours = warp_context(torch.from_numpy(context), torch.from_numpy(source)[None])
    apart = np.abs(ours.numpy() - warp(context, motion))  # OpenCV's remap knows 32 steps between two cells
    assert apart.mean() < 0.02
    assert apart.max() < 0.15


def street() -> tuple[np.ndarray, np.ndarray]:
    """(image, labels) of 96x128: sky, a road from row 48 down, a car that stands on it; each class has its own colour."""
    labels = np.zeros((96, 128), np.uint8)
    labels[48:] = 1
    labels[40:72, 30:60] = 2
    return np.array([(250, 0, 0), (0, 250, 0), (0, 0, 250)], np.uint8)[labels], labels


def test_what_stands_is_as_near_as_the_ground_that_it_stands_on() -> None:
    near = nearness(street()[1], ground=(1,), sky=0)
    assert near[:30].max() == 0
    assert near[90, 100] > near[70, 100] > near[55, 100]
    assert near[55, 45] == pytest.approx(near[66, 45], abs=0.02)
    assert near[55, 45] == pytest.approx(near[74, 45], abs=0.08)


def test_labels_move_with_their_picture() -> None:
    image, labels = street()
    colours, went = np.array([(250, 0, 0), (0, 250, 0), (0, 0, 250)], np.int16), 0
    for seed in range(6):
        images, truths = moved(image, labels, np.array([0.0, 12.0]), CLASSES, np.random.default_rng(seed))
        assert (images[0] == image).all()
        assert (truths[0] == labels).all()
        went += (truths[1] != labels).mean() > 0.02
        known = truths[1] != VOID
        painted = colours[np.where(known, truths[1], 0)]
        assert (np.abs(images[1].astype(np.int16) - painted).max(2)[known] < 130).mean() > 0.97
    assert went >= 4  # a camera stands still now and then


def test_near_things_grow_faster_than_far_ones() -> None:
    labels = np.ones((96, 128), np.uint8)
    labels[:44] = 0
    image = np.zeros((96, 128, 3), np.uint8)
    image[[52, 88]] = 255  # two lines on the road, the first one far away
    grown = []
    for seed in range(6):
        images, _ = moved(image, labels, np.array([0.0, 4.0]), CLASSES, np.random.default_rng(seed))
        bright = images[1][:, 64].max(1) > 60
        far, near = np.flatnonzero(bright[45:75]), np.flatnonzero(bright[75:])
        if len(far) and not len(near):
            grown.append(True)  # it has left the picture
        elif len(far):
            grown.append(near.mean() + 75 - 88 > far.mean() + 45 - 52 - 0.5)
    assert len(grown) >= 4
    assert sum(grown) >= len(grown) - 1  # the road shakes the camera


def test_a_thing_that_passes_is_in_every_frame_and_labelled() -> None:
    image, labels = street()
    images, truths = np.stack([image] * 3), np.stack([labels] * 3)
    piece = Cutout(2, np.full((20, 10, 3), 200, np.uint8), np.ones((20, 10), np.uint8), 60, 0, np.array([100.0, 100.0, 100.0]))
    pass_by(images, truths, np.array([0.0, 4.0, 8.0]), [piece], np.random.default_rng(0))
    added = [(truth == 2) & (labels != 2) for truth in truths]
    assert all(mask.sum() >= 100 for mask in added)
    assert not (added[0] == added[2]).all()
    assert all((shot[mask] != image[mask]).any() for shot, mask in zip(images, added, strict=True))


@pytest.fixture
def clips(street: Path) -> Clips:
    pairs = plain_pairs(street / "images", street / "labels", 3)
    return Clips({"still": 0.5, "neighbours": 0.3, "demo": 0.2, "video": 0.5}, pairs, list(read_all(pairs)), [], CLASSES, 3, (48, 64), 0)


def test_a_clip_depends_on_its_number_alone_and_has_every_kind(clips: Clips) -> None:
    assert clips.kinds == ("still", "neighbours", "demo")  # there is no video
    first = clips(4)
    clips(5)
    again = clips(4)
    assert first.images.shape == (3, 48, 64, 3)
    assert (first.images == again.images).all()
    assert (first.labels == again.labels).all()
    assert set(np.unique(np.concatenate([clips(n).labels for n in range(12)]))) == {0, 1, 2, VOID}


def test_neighbours_are_of_one_drive_and_a_second_apart(street: Path) -> None:
    pairs = plain_pairs(street / "images", street / "labels", 3)  # A_000 to A_004, B_005 to B_007
    assert list(neighbours(pairs)) == [(0, 1), (1, 2), (2, 3), (3, 4), (5, 6), (6, 7)]
    assert list(neighbours([pairs[0], pairs[2], *pairs[5:6]])) == [(0, 1)]


def test_nothing_to_make_clips_of_is_said() -> None:
    with pytest.raises(DataError, match="nothing to make clips of"):
        Clips({"video": 1.0}, [], [], [], CLASSES, 3, (48, 64), 0)


@pytest.mark.parametrize(
    ("line", "said"),
    [("shares = {dream = 1}", "dream is no kind"), ('propagations = ["flow"]', "flow is no learned propagation"), ("stepz = 3", "stepz")],
)
def test_a_recipes_mistake_is_named(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "temporal.toml"
    path.write_text(f'images = "i"\nlabels = "l"\n{line}\n')
    with pytest.raises(UsageError, match=said):
        TemporalRecipe.load(path)


def test_batches_depend_on_their_step_alone(street: Path) -> None:
    rng = np.random.default_rng(0)
    fine, detail, context = (rng.random((5, 3, 4, *size_hw)).astype(np.float16) for size_hw in ((12, 16), (6, 8), (3, 4)))
    pool = FeaturePool(
        fine=fine, detail=detail, context=context, seen=rng.integers(0, 255, (5, 3, 90, 120), np.uint8),
        truth=rng.integers(0, 3, (5, 3, 48, 64), np.uint8), full=rng.integers(0, 3, (5, 3, 24, 32), np.uint8),
    )  # fmt: skip
    batches = Batches(pool, TemporalRecipe(images=street, labels=street, frames=3, batch=6, steps=4))
    made = dict(batches(0))
    again = next(batches(2))[1]
    assert sorted(made) == [0, 1, 2, 3]
    assert all(torch.equal(getattr(made[2], name), getattr(again, name)) for name in ("fine", "held", "source", "differs", "now"))
    assert all((batch.key < batch.now).all() for batch in made.values())  # what is fresh has the bundle's own head
    assert {(int(key), int(now)) for batch in made.values() for key, now in zip(batch.key, batch.now, strict=True)} <= {
        (0, 1),
        (0, 2),
        (1, 2),
    }
    for batch in made.values():
        assert not torch.equal(batch.held, batch.true)


@pytest.fixture
def bundle(tiny: Tiny) -> Bundle:
    return tiny.bundle


@pytest.fixture(scope="module")
def taught(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("taught")
    bundle, temporal = tiny.copy(folder / "tiny"), make_plan(tiny.street, clips=4, frames=3, steps=6, learning_rate=1e-3)
    network = read_network(bundle)
    learned = distill(bundle, network, temporal, folder / "temporal", quiet=True)
    attach(bundle, network, load_temporal(learned.checkpoint, network, temporal.propagations))
    return load_bundle(bundle.folder)


def make_plan(street: Path, **values: object) -> TemporalRecipe:
    given = {"images": street / "images", "labels": street / "labels", "frames": 2, "batch": 2, "shares": {"still": 1.0}}
    return TemporalRecipe.model_validate(given | values)


def test_a_taught_bundle_runs_every_propagation_alike_on_every_backend(taught: Bundle) -> None:
    card = taught.card
    assert card.propagations == ("hold", "flow", "netwarp", "attend", "recurrent")
    assert card.score == "score"
    images = [np.random.default_rng(0).integers(0, 256, (*SIZE_HW, 3), np.uint8) for _ in range(1)]
    images = [np.roll(images[0], 8 * n, 1) for n in range(3)]
    for propagation in card.propagations:
        shown = {}
        for name in ("openvino", "onnxruntime", "torch"):
            with Engine(taught, open_backend(name, device=None, precision="fp32", threads=1), propagation) as engine:
                engine.cut = 9.0
                pipeline = Pipeline(engine, Clockwork((4,), "clockwork:4"), propagation=make_propagation(propagation))
                results = [pipeline.step(Frame(image, n, n / 30)) for n, image in enumerate(images)]
                shown[name] = np.stack([result.labels for result in results])
                assert [result.is_key for result in results] == [True, False, False]
        for name in ("onnxruntime", "torch"):
            assert (shown[name] == shown["openvino"]).mean() > 0.995, (propagation, name)


def test_heads_for_old_contexts_are_taught_and_the_bundles_own_is_not(bundle: Bundle, street: Path, tmp_path: Path) -> None:
    network = read_network(bundle)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    temporal = make_plan(street, clips=2, steps=3)
    learned = distill(bundle, network, temporal, tmp_path / "temporal", quiet=True)
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    made = load_temporal(learned.checkpoint, network, temporal.propagations).state_dict()
    own = network.head.state_dict()
    weights = [name for name in own if name.endswith("weight")]
    for name in weights:
        assert not torch.equal(own[name], made[f"heads.hold.{name}"])
        assert not torch.equal(own[name], made[f"heads.flow.{name}"])
        assert all(torch.equal(own[name], made[f"propagating.{propagation}.head.{name}"]) for propagation in temporal.propagations)


def test_a_key_frame_is_as_good_as_before(bundle: Bundle, taught: Bundle) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*SIZE_HW, 3), np.uint8)
    shown = []
    for one in (bundle, taught):
        with Engine(one, open_backend("openvino", device=None, precision="fp32", threads=1)) as engine:
            shown.append(Pipeline(engine, Clockwork((4,), "clockwork:4")).step(Frame(image, 0, 0.0)).labels)
    assert (shown[0] == shown[1]).all()


def test_a_recurrent_state_begins_anew_with_every_key(taught: Bundle) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (*SIZE_HW, 3), np.uint8)
    with Engine(taught, open_backend("openvino", device=None, precision="fp32", threads=1), "recurrent") as engine:
        engine.fit(SIZE_HW)
        low = engine.low(picture[None], {})
        own, context = engine.keep(low), engine.deep("high", low)
        first = engine.head(low, {**own, **context}, fresh=False)
        for _ in range(8):
            last = engine.head(low, {**own, **context}, fresh=False)
        state = dict(engine._state)
        engine.head(low, {**own, **context}, fresh=False)
        assert np.abs(state["last_context"] - engine._state["last_context"]).max() > 0  # it goes on from its own last state
        again = engine.head(low, {**own, "context": np.array(context["context"])}, fresh=False)
    assert (first == again).all()
    assert last.shape == first.shape


def test_teaching_goes_on_where_it_was_stopped(bundle: Bundle, street: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = read_network(bundle)
    temporal = make_plan(street, clips=3, steps=4, propagations=("netwarp",), cool_down=0.01)
    whole = distill(bundle, network, temporal, tmp_path / "whole", quiet=True)
    import drive_seg.lab.train.temporal as module

    class Cut(Exception):
        pass

    step = module.Distillation.step

    def stops(self: module.Distillation, n: int, batch: module.Batch) -> dict[str, float]:
        if n == 2 and not (tmp_path / "resumed").exists():
            (tmp_path / "resumed").mkdir()
            raise Cut
        return step(self, n, batch)

    monkeypatch.setattr(module.Distillation, "step", stops)
    with pytest.raises(Cut):
        distill(bundle, network, temporal, tmp_path / "parts", quiet=True, save_every_s=0)
    parts = distill(bundle, network, temporal, tmp_path / "parts", quiet=True)
    one, two = (load_temporal(run.checkpoint, network, temporal.propagations).state_dict() for run in (whole, parts))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert json.loads((tmp_path / "parts" / "log.jsonl").read_text().splitlines()[-1])["step"] == 4


def test_a_checkpoint_of_another_bundle_is_refused(bundle: Bundle, street: Path, tmp_path: Path) -> None:
    temporal = make_plan(street, clips=2, steps=1, propagations=())
    two = Bundle(bundle.folder, bundle.card.model_copy(update={"name": "two"}))
    distill(bundle, read_network(bundle), temporal, tmp_path / "out", quiet=True)
    with pytest.raises(DataError, match="bundle differ"):
        distill(two, read_network(two), temporal, tmp_path / "out", quiet=True)


def test_a_network_without_the_features_is_refused(bundle: Bundle, street: Path, tmp_path: Path) -> None:
    card = bundle.card.model_copy(update={"network": {"architecture": "unet"}})
    with pytest.raises(UsageError, match="is a unet"):
        distill(
            Bundle(bundle.folder, card),
            make_network("unet", 3, {}),
            TemporalRecipe(images=street, labels=street),
            tmp_path / "out",
            quiet=True,
        )


def test_flow_for_netwarp_warps_what_the_key_left_too() -> None:
    assert isinstance(make_propagation("netwarp"), Flow)
    assert make_propagation("netwarp").name == "netwarp"


def test_everything_that_is_learned_has_a_network() -> None:
    from drive_seg.network.propagate import KINDS as PROPAGATIONS

    assert [name for name, kind in PROPAGATIONS.items() if kind.learned] == list(LEARNED)
