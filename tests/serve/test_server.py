"""What is served of a run: to services, and to pages that are quick, slow, gone, or want something."""

import socket
from functools import partial

import cv2
import numpy as np
import pytest

from drive_seg.session.player import Player
from tests.serve.conftest import Drive, Page, Served, Serving
from tests.waiting import PATIENCE_S, until


def picture(jpeg: bytes) -> np.ndarray:
    found = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert found is not None
    return np.asarray(found)


def frames(player: Player) -> int:
    return player.history(1)[0].index + 1


def more(player: Player, count: int) -> None:
    before = frames(player)
    until(lambda: frames(player) >= before + count)


def metrics(served: Served) -> dict[str, float]:
    from prometheus_client.parser import text_string_to_metric_families

    found = text_string_to_metric_families(served.text("/metrics"))
    return {sample.name: sample.value for family in found for sample in family.samples if "le" not in sample.labels}


# -- for services


def test_a_run_that_gets_its_frames_is_well(serve: Serving) -> None:
    served = serve()
    assert (served.get("/healthz").status, served.text("/healthz")) == (200, "playing\n")
    served.player.pause()
    until(lambda: served.text("/healthz") == "paused\n")
    assert served.get("/healthz").status == 200  # it is wanted so


def test_before_the_first_frame_it_is_not(serve: Serving) -> None:
    served = serve(play=False)
    assert (served.get("/healthz").status, served.get("/snapshot.png").status) == (503, 503)
    assert served.text("/healthz").startswith("opening, no frame for ")
    assert metrics(served)["drive_seg_frames_total"] == 0
    with served.page() as page:
        told, jpeg = page.take()
        assert (told["status"]["state"], told["status"]["latency_ms"]["p50"], jpeg) == ("opening", None, b"")


def test_a_run_whose_frames_stop_is_not_well(serve: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drive_seg.serve.live.STALLED_S", 0.1)
    source = Drive(count=3, hang=True)
    served = serve(lambda: source)
    until(lambda: served.get("/healthz").status == 503)
    assert served.text("/healthz").startswith("playing, no frame for ")
    source.released.set()
    until(lambda: served.text("/healthz") == "ended\n")
    assert served.get("/healthz").status == 503


def test_the_snapshot_is_the_newest_frame_with_its_labels(serve: Serving) -> None:
    served = serve(partial(Drive, count=5))
    until(lambda: served.player.status().state == "ended")
    shown = served.player._steered.news.last
    assert shown
    answer = served.get("/snapshot.png")
    assert answer.getheader("Content-Type") == "image/png"
    painted = served.player.painter.paint(shown.result.frame.image, shown.result.labels)
    np.testing.assert_array_equal(picture(answer.read()), painted)


def test_prometheus_is_told_what_was_counted(serve: Serving) -> None:
    served = serve(schedule="clockwork:4")
    player = served.player
    until(lambda: sum(moment.is_key for moment in player.history()) > 2)
    player.pause()
    until(lambda: metrics(served)["drive_seg_frames_total"] == len(player.history()))  # what was under way still comes
    moments, found = player.history(), metrics(served)
    assert found["drive_seg_frame_latency_seconds_count"] == len(moments)
    assert found["drive_seg_key_frames_total"] == sum(moment.is_key for moment in moments)
    assert found["drive_seg_frame_latency_seconds_sum"] == pytest.approx(sum(moment.total_ms for moment in moments) / 1e3)
    assert found["drive_seg_dropped_frames_total"] == player.status().dropped
    assert (found["drive_seg_viewers"], found["drive_seg_viewer_missed_frames_total"]) == (0, 0)


# -- for pages


def test_a_page_is_sent_pictures_and_how_the_run_stands(serve: Serving) -> None:
    served = serve(schedule="clockwork:4")
    more(served.player, 10)
    with served.page() as page:
        told, jpeg = page.take()
        status, height_width = told["status"], picture(jpeg).shape[:2]
        assert (status["state"], status["schedule"], status["source"], height_width) == ("playing", "clockwork:4", "fake", (48, 64))
        index, ms, age, reason = status["strip"][0]
        first = served.player.history()[0]
        assert (index, ms, age, reason) == (first.index, round(first.total_ms, 1), 0, "first")
        assert {age for _, _, age, _ in status["strip"]} <= {0, 1, 2, 3}
        assert status["latency_ms"]["p50"] <= status["latency_ms"]["p99"] <= status["latency_ms"]["max"]
        assert [name for name, _ in status["classes"]] == ["road", "car", "sky"]
        seen = {page.take()[1] for _ in range(5)}
        assert len(seen) > 1
    until(lambda: served.server.viewers == 0)


def test_large_pictures_are_sent_smaller(serve: Serving) -> None:
    with serve(partial(Drive, size_hw=(1080, 1920))).page() as page:
        assert picture(page.take()[1]).shape == (720, 1280, 3)


def test_nothing_is_encoded_while_nobody_watches(serve: Serving) -> None:
    served = serve()
    more(served.player, 20)
    live = served.server._live
    assert live
    assert live.newest
    assert live._jpegs_of == 0
    with served.page() as page:
        page.take()
    assert live._jpegs_of > 0


def test_a_slow_page_gets_the_newest_frame_and_what_it_misses_is_counted(serve: Serving) -> None:
    served = serve()
    with served.page() as quick, served.page() as slow:
        held = [slow.take(answer=False) for _ in range(2)]
        labelled = metrics(served)["drive_seg_frames_total"]
        until(lambda: metrics(served)["drive_seg_frames_total"] >= labelled + 20)
        with pytest.raises(TimeoutError):  # it has not taken those two yet
            slow.socket.recv(0.2)
        assert held[0][1]
        assert quick.take()[1]
        at_least = served.player.history(1)[0].index
        slow.ask(got=True)
        missed = slow.told(lambda told: "missed" in told)["missed"]
        assert missed >= 15
        assert slow.status(lambda status: True)["position"] >= at_least
        assert metrics(served)["drive_seg_viewers"] == 2
    until(lambda: served.server.viewers == 0)
    assert metrics(served)["drive_seg_viewer_missed_frames_total"] >= missed


def test_a_page_that_reads_nothing_holds_up_neither_the_run_nor_its_end(serve: Serving) -> None:
    served = serve(partial(Drive, size_hw=(720, 1280)))
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.connect(("127.0.0.1", served.server.port))
    handshake = "GET /live HTTP/1.1", f"Host: {served.host}", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"
    deaf.sendall("\r\n".join((*handshake, "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", "", "")).encode())
    until(lambda: served.server.viewers == 1)
    more(served.player, 20)
    assert served.get("/healthz").status == 200
    served.server.close()
    assert not served.server._worker.alive
    more(served.player, 3)  # and the run goes on without it
    deaf.close()


def test_who_goes_without_a_word_is_gone(serve: Serving) -> None:
    served = serve()
    for _ in range(20):
        with served.page() as page:
            page.take(answer=False)
            page.socket.socket.close()
    until(lambda: served.server.viewers == 0)


def test_there_is_a_last_one_who_may_watch(serve: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    from websockets.exceptions import ConnectionClosed

    monkeypatch.setattr("drive_seg.serve.live.MOST_WATCHERS", 1)
    served = serve()
    with served.page() as first, served.page() as second:
        with pytest.raises(ConnectionClosed, match="too many watch already"):
            second.socket.recv(PATIENCE_S)
        assert first.take()[1]


# -- what a page asks for


def at_rest(page: Page) -> np.ndarray:
    """The last picture, once it is paused."""
    while True:
        told, jpeg = page.take()
        if page.shown and not jpeg and told["status"]["state"] == "paused":
            return picture(page.shown)


def test_a_page_steers_the_run(serve: Serving) -> None:
    served = serve()
    with served.page() as page:
        page.ask(schedule="clockwork:4")
        page.status(lambda status: status["schedule"] == "clockwork:4")
        page.ask(opacity=0.25)
        page.status(lambda status: status["opacity"] == 0.25)
        assert served.player.look.opacity == 0.25
        page.ask(compare="every-frame")
        assert page.status(lambda status: status["comparison"])["comparison"] == "every-frame"
        page.ask(compare="")
        page.status(lambda status: status["comparison"] is None)
        page.ask(refresh=True)
        until(lambda: any(moment.reason == "manual" for moment in served.player.history()))
        page.ask(paused=True)
        page.status(lambda status: status["state"] == "paused")
        page.ask(paused=False)
        page.status(lambda status: status["state"] == "playing")


def test_a_page_has_its_own_view_of_the_same_frames(serve: Serving) -> None:
    served = serve(opacity=1.0)
    with served.page() as one, served.page() as other:
        other.ask(view="picture")
        other.told(lambda told: told.get("view") == "picture")
        one.told(lambda told: told.get("view") == "overlay")
        served.player.pause()
        shown = [at_rest(page) for page in (one, other)]
        last = served.player._steered.news.last
        assert last
        frame = last.result.frame.image
        assert np.abs(shown[1].astype(int) - frame).mean() < 8  # JPEG's
        assert np.abs(shown[0].astype(int) - frame).mean() > 30


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ('{"schedule": "sometimes"}', "sometimes: no such schedule"),
        ('{"opacity": 2}', "opacity: "),
        ('{"opacity": NaN}', "opacity: "),
        ('{"source": "/etc/passwd"}', "source: Extra inputs are not permitted"),
        ("[1]", "this: "),
        ("{", "this: Invalid JSON"),
    ],
)
def test_what_cannot_be_meant_is_told_to_who_asked(serve: Serving, asked: str, said: str) -> None:
    served = serve()
    with served.page() as page:
        page.socket.send(asked)
        assert page.told(lambda told: "trouble" in told)["trouble"].startswith(said)
        page.ask(opacity=0.5)
        assert page.take()
    assert served.player.status().settings.source == "drive"


def test_bytes_are_no_question(serve: Serving) -> None:
    served = serve()
    with served.page() as page:
        page.socket.send(b"\0")
        assert page.told(lambda told: "trouble" in told)["trouble"]
