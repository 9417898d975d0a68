"""What goes wrong with a simulated GPU."""

from gshare import errors


class SimulatedGpuError(errors.GshareError):
    """A simulated GPU cannot be made, opened or read as asked."""
