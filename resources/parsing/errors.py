"""The error for a request that can't be fulfilled: it names the key, its value and what is allowed."""

from __future__ import annotations

from resources.options import OptionError


class RequestError(ValueError):
    """A request that can never be fulfilled.

    code: unknown_resource, missing_option, invalid_option or unknown_option.
    field: the key with the invalid value.
    allowed: its valid values in words, or "" if another value would not help.
    """

    def __init__(self, code: str, message: str, field: str, allowed: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.field = field
        self.allowed = allowed

    @property
    def loggable(self) -> str:
        """The message without the value, which may contain the name of a pupil: for logs and status pages."""
        if self.code == "unknown_option":  # the field is a key that the sender chose
            return "an option is unknown"
        problem = f"{self.field or 'the request'} is {'missing' if self.code == 'missing_option' else 'invalid'}"
        return f"{problem}; allowed: {self.allowed}" if self.allowed else problem

    def __reduce__(self) -> tuple[type[RequestError], tuple[str, str, str, str]]:
        return type(self), (self.code, str(self), self.field, self.allowed)


def invalid(error: OptionError) -> RequestError:
    """Return the error for a value that is not allowed."""
    return RequestError("invalid_option", str(error), error.name, error.allowed)
