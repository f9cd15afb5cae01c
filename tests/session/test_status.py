"""How a failure is told: one line, a remedy, and that it is a new one."""

import pytest

from drive_seg.errors import SinkError
from drive_seg.session.status import REMEDIES, Trouble


@pytest.mark.parametrize("what", REMEDIES)
def test_what_has_no_remedy_gets_one_and_only_the_first_line_is_told(what: str) -> None:
    assert Trouble.of(what, SinkError("the disk is full"), None) == Trouble(what, f"the disk is full; {REMEDIES[what]}", 1)
    foreign = Trouble.of(what, ValueError("the disk is full\nat 3 o'clock"), None)
    assert foreign.text == f"ValueError: the disk is full; {REMEDIES[what]}"


def test_a_fault_of_ours_says_its_kind_and_each_is_a_new_one() -> None:
    first = Trouble.of("network", ZeroDivisionError("by zero"), None)
    assert first.text == "ZeroDivisionError: by zero; choose another backend or model"
    again = Trouble.of("network", SinkError("the disk is full; free space there"), first)
    assert (again.text, again.serial) == ("the disk is full; free space there", 2)
