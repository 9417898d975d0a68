"""The one family of errors that gshare raises."""


class GshareError(Exception):
    """Something a user or an operator can act on; its text says what and with which value."""


class InputError(GshareError):
    """A value in a user's file or command line that gshare refuses.

    `source` names the file or object, `field` the field in it, `value` what stands there.
    The command line answers with the text on one line and exit code 2.
    """

    def __init__(self, source: str, field: str, value: object, problem: str) -> None:
        self.source = source
        self.field = field
        self.value = value
        self.problem = problem
        super().__init__(f"{source}: {field}: {value!r}: {problem}")
