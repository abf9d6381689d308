"""Checks that every log of kept streams passes, a log of your own too.

A check is an async function of `make`, which opens an empty log: `make(max_events=…, max_bytes=…,
max_age=…)` returns an async context manager. Run them on asyncio, on trio, or by
`gaistream.replay.run_in_thread` if your log blocks outside of a loop:

    @pytest.mark.parametrize("check", logs.CHECKS)
    def test_my_log(check):
        asyncio.run(check(make))
"""

from __future__ import annotations

from typing import Final

from . import producing, reading
from .tools import Check, Make

__all__ = ["CHECKS", "Check", "Make"]

CHECKS: Final[tuple[Check, ...]] = (
    reading.keeps_every_field_of_a_record,
    reading.resumes_at_every_position,
    reading.says_what_is_missing,
    reading.trims_and_says_so,
    reading.pages_are_bounded,
    producing.refuses_a_second_producer,
    producing.skips_what_it_has,
    producing.ends_once,
    producing.notices_a_lost_producer,
    producing.a_lease_is_renewed,
    producing.keeps_every_order_to_stop,
    producing.a_stop_wakes_the_producer,
    reading.follows_without_a_seam,
    reading.a_follower_that_fell_behind_is_told,
    reading.expires_when_it_is_old,
    reading.keeps_streams_apart,
    producing.refuses_what_it_cannot_keep,
    reading.waits_no_longer_than_asked,
    producing.is_closed_for_good,
)
