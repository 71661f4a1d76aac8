"""Errors that answers report. The docstring of a class is its message to the user, unless another one is given.

`layers.entrypoints.response` maps them to HTTP statuses.
"""

from collections.abc import Sequence

import msgspec


class FieldError(msgspec.Struct, frozen=True):
    """What is wrong with one field, header or file of a request."""

    field: str
    detail: str


class PhotogramError(Exception):
    """Something went wrong."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())


class Invalid(PhotogramError):
    """The request is not valid."""

    def __init__(self, message: str = "", *, errors: tuple[FieldError, ...] = ()) -> None:
        super().__init__(message)
        self.errors = errors

    @classmethod
    def field(cls, field: str, detail: str) -> "Invalid":
        """An error of one field: its name and what it must be."""
        return cls(f"{field}: {detail}", errors=(FieldError(field, detail),))


class SignInRequired(PhotogramError):
    """Please sign in."""


class WrongCredentials(SignInRequired):
    """Unknown user or wrong password."""


class NotAllowed(PhotogramError):
    """You are not allowed to do this."""


class AccountBanned(NotAllowed):
    """This account is banned."""


class ForeignOrigin(NotAllowed):
    """Requests from this origin are not accepted."""


class NotFound(PhotogramError):
    """There is no such resource."""


class UserNotFound(NotFound):
    """There is no such user."""


class PostNotFound(NotFound):
    """There is no such post."""


class StoryNotFound(NotFound):
    """There is no such story."""


class AlreadyTaken(PhotogramError):
    """Username or e-mail address is already in use."""


class CommentNotFound(NotFound):
    """There is no such comment."""


class ConversationNotFound(NotFound):
    """There is no such conversation."""


class MessageNotFound(NotFound):
    """There is no such message in this conversation."""


class RequestNotFound(NotFound):
    """There is no such follow request."""


class RouteNotFound(NotFound):
    """There is no such route."""


class MethodNotAllowed(PhotogramError):
    """This method is not allowed here."""

    def __init__(self, allowed: Sequence[str] = ()) -> None:
        super().__init__()
        self.allowed = allowed
        """The methods of the route."""


class IdempotencyKeyInUse(PhotogramError):
    """The first request with this Idempotency-Key is still being processed."""


class IdempotencyKeyReused(PhotogramError):
    """This Idempotency-Key was used with another body."""


class TooLarge(PhotogramError):
    """The request is too large."""

    def __init__(self, message: str = "", *, errors: tuple[FieldError, ...] = ()) -> None:
        super().__init__(message)
        self.errors = errors


class FileTooLarge(TooLarge):
    """The file is too large."""


class BadPicture(PhotogramError):
    """The picture cannot be used."""

    def __init__(self, message: str = "", *, file: str = "") -> None:
        super().__init__(message)
        self.file = file

    @property
    def errors(self) -> tuple[FieldError, ...]:
        """This error, as the one error of the file's form field."""
        return (FieldError(self.file or "media", str(self)),)


class UnsupportedImage(BadPicture):
    """The file is not a JPEG, PNG, WebP or HEIC picture."""


class ImageTooLarge(BadPicture):
    """The picture has too many pixels."""


class UnreadableImage(BadPicture):
    """The picture is damaged and cannot be read."""


class TooMany(PhotogramError):
    """Too many requests; please wait."""

    def __init__(self, action: str, message: str = "", *, retry_after: int) -> None:
        super().__init__(message)
        self.action = action
        """The limit's name, as in `layers.core.limits`."""
        self.retry_after = retry_after
        """Seconds until one more request is allowed."""


class Postponed(PhotogramError):
    """The work must wait for that of other accounts; it is no failure."""


class StoreUnavailable(PhotogramError):
    """A service that this request needs is not available at the moment; please try again."""

    def __init__(self, store: str, message: str = "", *, retry_after: int = 5) -> None:
        super().__init__(message)
        self.store = store
        self.retry_after = retry_after
        """Seconds to wait before trying again."""

    @property
    def is_outage(self) -> bool:
        """Whether a store does not answer. False if pictures could not be processed, which is also unavailable."""
        return self.store != "image_processing"
