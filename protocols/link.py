"""The link between an edge and the cloud: nothing accepted is lost, nothing takes effect twice.

Two pure state machines: :mod:`protocols.link_edge` (with :mod:`protocols.link_commands`, what it and its
shell say to each other) and :mod:`protocols.link_cloud`. They are given messages, time and facts and answer
with commands and decisions; sockets, files and threads belong to the shells around them. The network may
lose, repeat, reorder and delay whatever it likes.

Who remembers what
    The outbox of the edge and the ledger of the cloud are on disk and are the only truth. Everything the
    two machines hold is a shadow of them that may vanish at any time: an edge that starts says *hello*, a
    cloud that starts answers *session unknown*, and both are where they were.

States of an edge, with the event that leaves each

    ========  ============================  ==================================================  ========
    state     event                         what it does                                        next
    ========  ============================  ==================================================  ========
    offline   connected                     hello with a new session id                         greeting
    greeting  welcome of this session       gives up what the ledger has; pulls and sends       live
    greeting  no answer in time             the same hello again, waiting longer each time      greeting
    greeting  rejected                      alarm; tries again much later                       greeting
    live      acknowledgement               deletes from the outbox; sends what now fits        live
    live      no acknowledgement in time    sends again: ordered lanes all, others the late     live
    live      fork                          new key for the batch; alarm                        live
    live      fork in the open stream       new stream; new key for the batch; alarm; hello     greeting
    live      session unknown               hello with a new session id                         greeting
    live      three times no answer         hello with a new session id                         greeting
    any       disconnected                  forgets what was under way                          offline
    ========  ============================  ==================================================  ========

What the cloud decides about a batch of the session it knows, ``last`` being the highest seq the ledger has

    =======================================  ==========================================================
    the ledger has the key, same digest      replay: acknowledged again, no effect
    the ledger has the key, other digest     fork: never acknowledged, told to the edge, alarm
    unordered lane, or seq below ``last``    commit
    ordered lane, seq is ``last + 1``        commit, once all streams opened earlier are drained
    ordered lane, any other seq              dropped: the edge sends it again, in order
    blob lost its digest on the way          dropped: the edge sends it again
    blob lost its digest on the edge's disk  commit, in quarantine: no batch blocks a lane for ever
    =======================================  ==========================================================

    A hello whose first queued seq (or, where nothing is queued, the next one) lies beyond ``last + 1`` tells
    of batches that exist nowhere any more: the edge's file lost them, or the ledger was put back to an older
    copy. The lane goes on from there at once, and the gap is reported.

Order
    *actions* and *states* commit in the order of their streams and seqs. *telemetry* is sent fresh first:
    what was sealed before the hello is backlog, flagged historical, sent oldest first and never ahead of
    what is live; how much backlog is under way follows the time its acknowledgements take, so that a live
    value never queues long behind it. A live batch that has to be sent again after a newer one is
    historical, too: live values arrive in order or not at all.
"""

from __future__ import annotations

from bisect import bisect_left


class Seqs:
    """A set of seqs kept as ascending inclusive ranges."""

    __slots__ = ("_firsts", "_lasts")

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []

    def add(self, seq: int) -> None:
        """Put ``seq`` in; ranges that now touch become one."""
        firsts, lasts = self._firsts, self._lasts
        at = bisect_left(lasts, seq)
        if at < len(firsts) and firsts[at] <= seq:
            return
        joins_before = at > 0 and lasts[at - 1] == seq - 1
        joins_after = at < len(firsts) and firsts[at] == seq + 1
        if joins_before and joins_after:
            lasts[at - 1] = lasts[at]
            del firsts[at], lasts[at]
        elif joins_before:
            lasts[at - 1] = seq
        elif joins_after:
            firsts[at] = seq
        else:
            firsts.insert(at, seq)
            lasts.insert(at, seq)

    def around(self, seq: int) -> tuple[int, int]:
        """The range that ``seq`` belongs to; raises KeyError when it is not in the set."""
        at = bisect_left(self._lasts, seq)
        if at == len(self._firsts) or self._firsts[at] > seq:
            raise KeyError(seq)
        return self._firsts[at], self._lasts[at]

    def ranges(self) -> tuple[tuple[int, int], ...]:
        """The ranges, ascending."""
        return tuple(zip(self._firsts, self._lasts, strict=True))
