"""What can keep a function from being scaled, in words that users see. Pure."""

from dataclasses import dataclass
from enum import StrEnum

from gshare.errors import GshareError


class Reason(StrEnum):
    """One word for each condition, as events, metrics and HPA's own conditions show it."""

    DECIDED = "Decided"
    UNKNOWN = "NotYetDecided"
    NO_DATA = "NoData"
    STALE_DATA = "StaleData"
    WINDOW_NOT_FULL = "WindowNotFull"
    PROMETHEUS_AWAY = "PrometheusAway"
    QUERY_TIMED_OUT = "QueryTimedOut"
    QUERY_REFUSED = "QueryRefused"
    NO_PROFILE = "NoProfile"
    BAD_PROFILE = "BadProfile"
    BAD_SETTING = "BadSetting"
    BAD_SHAPE = "BadShape"
    SAME_SHAPE = "SameShape"
    NO_SHAPE_MEETS_SLO = "NoShapeMeetsSlo"
    CLUSTER_UNSEEN = "ClusterUnseen"
    FAILED = "FailedInside"


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why there is no decision; `text` is one line that names object, field and value."""

    reason: Reason
    text: str

    def __str__(self) -> str:
        """Return both."""
        return f"{self.reason}: {self.text}"


class TroubleError(GshareError):
    """A trouble on its way to whoever tells of it."""

    def __init__(self, reason: Reason, text: str) -> None:
        super().__init__(text)
        self.trouble = Trouble(reason, text)
