"""What goes wrong with the test cluster."""

from gshare.errors import GshareError


class ClusterError(GshareError):
    """The test cluster cannot do what was asked; the message says why and what would help."""


class UnavailableError(ClusterError):
    """This machine cannot run a test cluster; tests that need one are skipped with the message."""
