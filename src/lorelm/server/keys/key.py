"""API keys by their hashes: :class:`Key`."""

import secrets
from datetime import UTC, datetime
from hashlib import sha256
from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from lorelm.errors import KeyFileError
from lorelm.server.keys.rate_limit import parse_rate_limit

RESERVED_NAMES: Final = ("api-key", "admin-key")
"""In logs and metrics they are the keys of --api-key and --admin-key."""

_PREFIX: Final = "ll_"
"""People, and programs that look for leaked secrets, recognise a key by it."""

_KEY_BYTES: Final = 32
_MAX_NAME_LENGTH: Final = 64
_HINT_LENGTH: Final = 4


def new_key() -> str:
    """Return a random key."""
    return _PREFIX + secrets.token_urlsafe(_KEY_BYTES)


def digest_of(key: str) -> str:
    """Return the hash by which a key is known.

    A fast hash is enough: the keys have 256 random bits, which nobody can try. Slow ones (scrypt,
    Argon2) protect passwords that people choose, and would cost each request tens of milliseconds.
    """
    return sha256(key.encode(errors="replace")).hexdigest()


def check_name(name: str) -> str:
    """Return a name of a key.

    Raises:
        KeyFileError: it is empty, too long, reserved, or has other characters.
    """
    is_plain = all(each.isalnum() or each in "._-" for each in name)
    if not (name and is_plain and len(name) <= _MAX_NAME_LENGTH):
        raise KeyFileError(
            f"{name!r} cannot be the name of a key: use up to {_MAX_NAME_LENGTH} letters, digits, "
            "'.', '_' and '-'",
            code="keys.wrong_name",
        )
    if name in RESERVED_NAMES:
        raise KeyFileError(
            f"{name!r} stands for the key of --{name} in logs: choose another name",
            code="keys.reserved_name",
        )
    return name


def _check_rate_limit(text: str) -> str:
    parse_rate_limit(text)
    return text


class Key(BaseModel):
    """What is known of an API key: all but the key itself.

    Attributes:
        name: stands for the key in logs and metrics.
        sha256: see :func:`digest_of`.
        hint: the last characters of the key.
        rate_limit: of requests that use a model; None: that of the server.
        tokens_per_day: how many tokens may be generated in a day (UTC); None: any number.
        expires_at: it is not valid from then on.
        revoked_at: likewise.
        metrics_only: whether it opens /metrics, and nothing else.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, AfterValidator(check_name)]
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    hint: str = Field(pattern="^[A-Za-z0-9_-]*$", max_length=_HINT_LENGTH)
    made_at: AwareDatetime
    rate_limit: Annotated[str, AfterValidator(_check_rate_limit)] | None = None
    tokens_per_day: int | None = Field(default=None, ge=0)
    expires_at: AwareDatetime | None = None
    revoked_at: AwareDatetime | None = None
    metrics_only: bool = False

    @classmethod
    def of(cls, key: str, name: str, **settings: Any) -> Self:
        """Return what is to be known of a new key.

        Raises:
            KeyFileError: the name cannot be one.
        """
        return cls(
            name=check_name(name),
            sha256=digest_of(key),
            hint=key[-_HINT_LENGTH:],
            made_at=now(),
            **settings,
        )

    @property
    def is_valid(self) -> bool:
        return self.revoked_at is None and not self.is_expired

    @property
    def is_expired(self) -> bool:
        return self.expires_at is not None and self.expires_at <= datetime.now(UTC)

    @property
    def state(self) -> str:
        """Return "valid", or what it is instead and since when."""
        if self.revoked_at is not None:
            return f"revoked {self.revoked_at:%Y-%m-%d %H:%M} UTC"
        if self.is_expired:
            return f"expired {self.expires_at:%Y-%m-%d %H:%M} UTC"
        return "valid"


def now() -> datetime:
    """Return the present moment, to the second."""
    return datetime.now(UTC).replace(microsecond=0)
