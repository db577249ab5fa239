"""How a server is reached: its address, how it shows who it is, and how the caller does."""

from __future__ import annotations

import os
import re
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import grpc

from setwise._errors import InvalidArgumentError, NotFoundError, PermissionDeniedError, SetwiseError
from setwise._target import is_loopback

__all__ = ["API_KEY_VARIABLE", "PathLike", "Security", "Wire"]

PathLike: TypeAlias = str | os.PathLike[str]

API_KEY_VARIABLE = "SETWISE_API_KEY"
"""Environment variable that is read where no key is given."""

_KEY = re.compile(r"[\x21-\x7e]{1,1024}")


@dataclass(frozen=True, slots=True)
class Wire:
    """address: as gRPC takes it. credentials: None for a wire in the clear. api_key: empty for none; source: where it
    was found."""

    address: str
    credentials: grpc.ChannelCredentials | None = field(default=None, repr=False)
    api_key: str = field(default="", repr=False)
    source: str = "no key"

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What every call carries."""
        return (("authorization", f"Bearer {self.api_key}"),) if self.api_key else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Security:
    """The arguments of `connect` that are about security. Never tells the key: not in a repr, not in an error."""

    api_key: str | None = field(default=None, repr=False)
    tls: bool | None = None
    ca: PathLike | None = None
    certificate: PathLike | None = None
    key: PathLike | None = None
    insecure_api_key: bool = False
    credentials: grpc.ChannelCredentials | None = None

    def wire(self, address: str) -> Wire:
        """The wire to this address. Raises SetwiseError naming the argument at fault."""
        credentials, (api_key, source) = self._credentials(), self._api_key()
        if api_key and credentials is None and not self.insecure_api_key and not is_loopback(address):
            advice = "ask over TLS (tls=True, or ca=); insecure_api_key=True sends it all the same"
            what = f"{source} is not sent to {address} in clear text, where anybody on the way could read it; {advice}"
            raise InvalidArgumentError(what, field="api_key")
        return Wire(address, credentials, api_key, source)

    def _api_key(self) -> tuple[str, str]:
        """The key, empty for none, and where it was found."""
        given, source = self.api_key, "api_key"
        if given is None:
            given, source = os.environ.get(API_KEY_VARIABLE, "").strip(), f"the key in {API_KEY_VARIABLE}"
        if not given:
            return "", "no key"
        if not isinstance(given, str) or not _KEY.fullmatch(given):
            what = f"{source} holds what no key does: blanks, line ends or characters beyond ASCII"
            raise InvalidArgumentError(f"{what}; give it as `setwise key new` wrote it", field="api_key")
        return given, source

    def _credentials(self) -> grpc.ChannelCredentials | None:
        files = {"ca": self.ca, "certificate": self.certificate, "key": self.key}
        given = [name for name, path in files.items() if path is not None]
        if self.credentials is not None:
            if given or self.tls is not None:
                what = f"give either credentials or {given[0] if given else 'tls'}"
                raise InvalidArgumentError(what, field="credentials")
            return self.credentials
        if (self.certificate is None) != (self.key is None):
            missing = "key" if self.key is None else "certificate"
            what = f"{missing} is missing; a certificate and its private key go together"
            raise InvalidArgumentError(what, field=missing)
        if self.tls is False and given:
            raise InvalidArgumentError(f"tls is False, and {given[0]} is for TLS; leave one out", field="tls")
        return _tls(self.ca, self.certificate, self.key) if given or self.tls else None


def _tls(ca: PathLike | None, certificate: PathLike | None, key: PathLike | None) -> grpc.ChannelCredentials:
    """What the standard library's TLS accepts: gRPC's would tell of a wrong file only with the first call, and say
    little."""
    roots = None if ca is None else _read(ca, "ca")
    if ca is not None:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(ca)
        except ssl.SSLError as error:
            raise _no_pem("ca", ca, "certificates of authorities", error) from error
    if certificate is None or key is None:
        return grpc.ssl_channel_credentials(roots)
    chain, private = _read(certificate, "certificate"), _read(key, "key")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(certificate, key, _refuse_encrypted)
    except ssl.SSLError as error:
        what = "a certificate, its authorities after it, with the private key in key beside it"
        raise _no_pem("certificate", certificate, what, error) from error
    return grpc.ssl_channel_credentials(roots, private, chain)


def _read(path: PathLike, name: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise NotFoundError(f"{name}: there is no file {os.fspath(path)!r}", field=name) from None
    except PermissionError as error:
        raise PermissionDeniedError(f"{name}: {os.fspath(path)!r} may not be read", field=name) from error
    except OSError as error:
        raise InvalidArgumentError(f"{name}: cannot read {os.fspath(path)!r}: {error.strerror}", field=name) from error


def _refuse_encrypted() -> str:
    raise InvalidArgumentError("key is encrypted; gRPC takes only private keys that are not", field="key")


def _no_pem(name: str, path: PathLike, what: str, error: ssl.SSLError) -> SetwiseError:
    return InvalidArgumentError(f"{name}: {path} holds no PEM of {what} ({error.reason or error})", field=name)
