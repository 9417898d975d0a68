"""What can go wrong between gshare and the API server."""

from gshare.errors import GshareError


class ApiError(GshareError):
    """The API server answered with an error: `status` is HTTP's, `reason` Kubernetes' own word.

    `retry_after_s` is how long the server asked to be left alone, None where it did not.
    """

    def __init__(
        self, message: str, status: int, reason: str = "", retry_after_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.retry_after_s = retry_after_s

    @property
    def is_gone(self) -> bool:
        """Tell whether a version of a list is too old to go on from."""
        return self.status == 410


class ApiUnreachable(ApiError):  # noqa: N818 (the state, as the API server's callers know it)
    """No answer came: refused, timed out, cut, or not trusted."""

    def __init__(self, message: str) -> None:
        super().__init__(message, 0, "Unreachable")


class NoClusterError(GshareError):
    """There is no kubeconfig, and this process runs in no pod."""
