"""What of a lease may change while its pod runs, who asks for it, and what counts meanwhile. Pure.

A user writes three annotations on a running pod: quota request (over the container's own), quota
limit and memory, which is without weights: where a node has no model store, those come on top of
it. The pod's node is the judge: `judge` says what comes into force and what does not. A refusal
stands for as long as the annotation says the same (that of a quota request: for as long as the
limit means the same too, as it is judged against that): room that comes free later goes to new
pods, not to an old wish. Where terms differ from the pod's placement, or something was refused, the
node says so on its Node object (`Standing`, by pod UID). `is_refused` is that rule for node and
extender alike: what counts as refused the node does not judge again.

`counted` is what the extender counts a pod as, from its pod and its node alone. Invariant: never
less than what the node enforces, or may come to enforce without a further word of the user. So it
is what is in force, or what is asked where that is more and was not refused: a raise counts from
when it is asked, a reduction from when the node says that it is done, a refused raise no more. A
reader that sees one of the two objects late is wrong for that long only, and its mistake is that a
new pod waits at its node's door: the node itself never promises a share twice.

Worked example. A pod was placed with 40 % and asks for 60 %: it counts 60. The node has no room
and says "40 in force, 60 refused": it counts 40. It asks for 20: it still counts 40, until the
node says "20 in force". Its user removes the annotation, which asks for 40 again: it counts 40.
It asks for 60 with a limit of 50: "60 refused", it counts 40; the limit is removed, and the node
may say yes to 60 when it next looks: it counts 60 from then on.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Final

from gshare import names, units
from gshare.annotations import PodPlacement, Standing, Terms

REQUEST: Final = names.ANNOTATION_QUOTA_REQUEST
LIMIT: Final = names.ANNOTATION_QUOTA_LIMIT
MEMORY: Final = names.ANNOTATION_GPU_MEM
KEYS: Final = (REQUEST, LIMIT, MEMORY)
_LONGEST_TEXT: Final = 80
_WHOLE_LIMIT: Final = 100
_PERCENT: Final = units.whole_percent
_READERS: Final = {REQUEST: _PERCENT, LIMIT: _PERCENT, MEMORY: units.memory_bytes}


@dataclass(frozen=True, slots=True)
class Room:
    """What a node knows when it judges a pod's wishes."""

    fits: Callable[[int], bool]
    """Whether the GPU holds the pod with this quota request beside all others."""
    memory_left_bytes: int
    """What the GPU's other pods leave."""
    memory_used_bytes: int | None
    """What the pod holds now; None where nobody can tell."""


@dataclass(frozen=True, slots=True)
class Refused:
    """An annotation that does not come into force; `text` is None where it was removed."""

    key: str
    text: str | None
    problem: str
    kept: str

    def __str__(self) -> str:
        """Return what the pod's event says."""
        said = "its removal" if self.text is None else repr(self.text)
        return (
            f"metadata.annotations[{self.key}]: {said}: {self.problem}; {self.kept} stays in force"
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is in force from now on, what was refused at this judgement, what could not be judged.

    `open` are annotations that are to be judged again.
    """

    standing: Standing
    refusals: tuple[Refused, ...] = ()
    open: frozenset[str] = frozenset()


def texts(annotations: Mapping[str, str]) -> dict[str, str]:
    """Return the annotations that ask for terms, each cut to a length that no valid one has."""
    return {key: annotations[key][:_LONGEST_TEXT] for key in KEYS if key in annotations}


def usual(placed: PodPlacement) -> Terms:
    """Return the terms of a pod without annotations."""
    return Terms(placed.quota_percent, _WHOLE_LIMIT, placed.memory_bytes)


def at_start(wishes: Mapping[str, str], placed: PodPlacement) -> Terms:
    """Return the terms with which a container starts: no more than what its pod was placed with.

    What it asks beyond that is judged when it runs. `wishes` are texts that can be read.
    """
    quota = min(placed.quota_percent, _value(REQUEST, wishes, placed))
    limit = _value(LIMIT, wishes, placed)
    memory = min(placed.memory_bytes, _value(MEMORY, wishes, placed))
    return Terms(quota, max(limit, quota), memory)


def in_force(placed: PodPlacement, standing: Standing | None) -> PodPlacement:
    """Return what a pod holds now."""
    if standing is None:
        return placed
    terms = standing.terms
    return replace(
        placed, quota_percent=terms.quota_request_percent, memory_bytes=terms.memory_bytes
    )


def counted(
    placed: PodPlacement, wishes: Mapping[str, str] | None, standing: Standing | None
) -> PodPlacement:
    """Return what a pod counts as for those who decide about other pods; see the module.

    `wishes` are its annotations' texts, None until it runs: nothing is promised before.
    """
    held = in_force(placed, standing)
    if wishes is None:
        return held
    quota = max(held.quota_percent, _open(REQUEST, wishes, standing, placed))
    memory = max(held.memory_bytes, _open(MEMORY, wishes, standing, placed))
    if (quota, memory) == (held.quota_percent, held.memory_bytes):
        return held
    return replace(held, quota_percent=quota, memory_bytes=memory)


def differs(placed: PodPlacement, standing: Standing) -> bool:
    """Tell whether others must be told: they take a pod for what it was placed with."""
    return bool(standing.refused) or in_force(placed, standing) != placed


def is_refused(
    key: str, wishes: Mapping[str, str], standing: Standing, placed: PodPlacement
) -> bool:
    """Tell whether what `key` asks was refused, and nothing that it was judged by has changed.

    A request is judged against the limit asked with it: that was refused too, or is in force.
    """
    refused = standing.refused
    if key not in refused or refused[key] != wishes.get(key):
        return False
    if key != REQUEST:
        return True
    if LIMIT in refused:
        return refused[LIMIT] == wishes.get(LIMIT)
    return _means(LIMIT, wishes, placed) == standing.terms.quota_limit_percent


def to_judge(
    before: Mapping[str, str] | None,
    wishes: Mapping[str, str],
    held: Standing,
    placed: PodPlacement,
) -> frozenset[str]:
    """Return the annotations that changed since `before` (None: all); both quotas where one did.

    A request or memory whose refusal stands is not among them.
    """
    changed = {key for key in KEYS if before is None or before.get(key) != wishes.get(key)}
    changed |= {REQUEST, LIMIT} if changed & {REQUEST, LIMIT} else set()
    stands = {key for key in (REQUEST, MEMORY) if is_refused(key, wishes, held, placed)}
    return frozenset(changed - stands)


def judge(
    held: Standing,
    wishes: Mapping[str, str],
    placed: PodPlacement,
    room: Room,
    keys: Collection[str] = KEYS,
) -> Verdict:
    """Return what comes into force of `wishes`; only `keys` are judged, the others stay.

    Of the two quotas the request is judged first, against the limit that is asked with it.
    """
    terms, refusals, unjudged = held.terms, [], set()
    for key in (key for key in KEYS if key in keys):
        changed = _judged(key, terms, wishes, placed, room)
        if isinstance(changed, Terms):
            terms = changed
        elif changed is None:
            unjudged.add(key)
        else:
            kept = _in_words(key, held.terms)
            refusals.append(Refused(key, wishes.get(key), changed, kept))
    refused = {key: text for key, text in held.refused.items() if key not in keys}
    refused |= {key: held.refused[key] for key in unjudged & held.refused.keys()}
    refused |= {each.key: each.text for each in refusals}
    fresh = tuple(each for each in refusals if not _is_known(each, held))
    return Verdict(Standing(terms, refused), fresh, frozenset(unjudged))


def held_more(held: Standing, before: Terms, wishes: Mapping[str, str], used_bytes: int) -> Verdict:
    """Return what is in force where a pod took more memory while it was being given less."""
    problem = _holds(used_bytes)
    refused = Refused(MEMORY, wishes.get(MEMORY), problem, _in_words(MEMORY, before))
    terms = replace(held.terms, memory_bytes=before.memory_bytes)
    return Verdict(Standing(terms, {**held.refused, MEMORY: refused.text}), (refused,))


def _judged(
    key: str, terms: Terms, wishes: Mapping[str, str], placed: PodPlacement, room: Room
) -> Terms | str | None:
    """Return the terms with one wish fulfilled, or why not; None where that cannot be told."""
    try:
        value = _value(key, wishes, placed)
    except ValueError as error:
        return str(error)
    if key == REQUEST:
        return _with_request(value, terms, wishes, room)
    if key == LIMIT:
        if value < terms.quota_request_percent:
            return f"must be at least the quota request, {terms.quota_request_percent}"
        return replace(terms, quota_limit_percent=value)
    return _with_memory(value, terms, room)


def _with_request(value: int, terms: Terms, wishes: Mapping[str, str], room: Room) -> Terms | str:
    if value == terms.quota_request_percent:
        return terms
    limit = _readable(LIMIT, wishes, terms.quota_limit_percent)
    if value > limit:
        return f"must be at most the quota limit, {limit}: raise {LIMIT} with it"
    if value > terms.quota_request_percent and not room.fits(value):
        return "the GPU has no room for it beside its other pods"
    return replace(
        terms,
        quota_request_percent=value,
        quota_limit_percent=max(value, terms.quota_limit_percent),
    )


def _with_memory(value: int, terms: Terms, room: Room) -> Terms | str | None:
    if value > terms.memory_bytes and value > room.memory_left_bytes:
        left = units.memory_text(max(0, room.memory_left_bytes))
        return f"the GPU has {left} beside its other pods"
    if value < terms.memory_bytes:
        if room.memory_used_bytes is None:
            return None
        if value < room.memory_used_bytes:
            return _holds(room.memory_used_bytes)
    return replace(terms, memory_bytes=value)


def _holds(used_bytes: int) -> str:
    return f"the pod holds {units.memory_text(used_bytes)} now"


def _is_known(refusal: Refused, held: Standing) -> bool:
    return refusal.key in held.refused and held.refused[refusal.key] == refusal.text


def _in_words(key: str, terms: Terms) -> str:
    if key == MEMORY:
        return units.memory_text(terms.memory_bytes)
    return f"{terms.quota_request_percent if key == REQUEST else terms.quota_limit_percent} %"


def _open(
    key: str, wishes: Mapping[str, str], standing: Standing | None, placed: PodPlacement
) -> int:
    """Return what `key` asks, 0 where that was refused or cannot be read."""
    if standing and is_refused(key, wishes, standing, placed):
        return 0
    return _means(key, wishes, placed) or 0


def _means(key: str, wishes: Mapping[str, str], placed: PodPlacement) -> int | None:
    """Return what `key` asks; None where that cannot be read."""
    try:
        return _value(key, wishes, placed)
    except ValueError:
        return None


def _value(key: str, wishes: Mapping[str, str], placed: PodPlacement) -> int:
    """Return what `key` asks; ValueError where that cannot be read."""
    if key in wishes:
        beside = placed.own_weights_bytes if key == MEMORY else 0
        return _READERS[key](wishes[key]) + beside
    terms = usual(placed)
    if key == MEMORY:
        return terms.memory_bytes
    return terms.quota_request_percent if key == REQUEST else terms.quota_limit_percent


def _readable(key: str, wishes: Mapping[str, str], otherwise: int) -> int:
    if key not in wishes:
        return _WHOLE_LIMIT
    try:
        return _READERS[key](wishes[key])
    except ValueError:
        return otherwise
