"""Every error says what happened, what was seen and what to do."""

from __future__ import annotations

from peoplenet_nb.errors import PeopleNetError


def test_message_has_three_parts_and_cuts_long_values() -> None:
    error = PeopleNetError("It broke", seen="x" * 1000, next_step="mend it.")
    assert str(error).startswith("It broke. Seen: xxx")
    assert str(error).endswith("…. Next: mend it.")
    assert len(str(error)) < 400
    assert str(PeopleNetError("It broke.")) == "It broke."
    assert (error.what, error.next_step) == ("It broke", "mend it.")
