"""What went wrong with a request of HTTP, in words that an operator can act on."""

from urllib3.exceptions import HTTPError, ProtocolError


def cause(error: BaseException) -> str:
    """Return what an operator can act on: the innermost cause, without addresses of objects."""
    while isinstance(error, HTTPError) and isinstance(
        error.__cause__ or error.__context__, OSError
    ):
        error = error.__cause__ or error.__context__ or error
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, ProtocolError):
        return "the connection broke off"
    text = " ".join(str(error).split())
    return text.partition(">: ")[2] or text or type(error).__name__
