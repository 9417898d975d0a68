"""The errors of the model store's client and of the formats that it shares with the server."""


class StoreError(Exception):
    """What went wrong, in one line that names the object, the field and the value."""


class Unavailable(StoreError):
    """Nobody serves the store's socket; `path` is the socket, None where none is known."""

    def __init__(self, path: str | None, reason: str) -> None:
        super().__init__(f"model store {path or '(no socket known)'}: {reason}")
        self.path = path
        self.reason = reason


class Refused(StoreError):
    """The store answered a request with a refusal: `status` is the answer's name, `text` its why."""

    def __init__(self, key: str, status: str, text: str) -> None:
        super().__init__(f"model {key!r}: {text or status.lower()}")
        self.key = key
        self.status = status
        self.text = text


class SafetensorsError(StoreError, ValueError):
    """Bytes that are no safetensors content, or tensors that cannot become such."""
