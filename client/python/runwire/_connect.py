"""From a tracking URI to a channel: a server over gRPC, or the same services in this process.

| URI | channel |
|---|---|
| none, a path, ``file:PATH``, ``sqlite:///…``, ``postgresql://…`` | in-process |
| ``grpc://HOST:5001``, ``grpcs://…`` | gRPC, over TLS with grpcs |
| ``grpc://HOST:5001,HOST:5001``, a name with several addresses | gRPC, to all of them in turn |
| ``http://HOST:5000``, ``https://…`` | gRPC, at the address that the server tells there |
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runwire._errors import RunwireError, UnavailableError, error_class, invalid
from runwire._fork import gate
from runwire._settings import settings
from runwire._target import target
from runwire._uri import grpc_endpoints, is_local, resolve_uri, shown

if TYPE_CHECKING:
    import grpc

__all__ = ["Connection", "connect", "resolve_uri"]

MIB = 1 << 20
# Reference: https://grpc.github.io/grpc/core/group__grpc__arg__keys.html
CHANNEL_OPTIONS: tuple[tuple[str, int | str], ...] = (
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.max_receive_message_length", 16 * MIB),
    ("grpc.max_send_message_length", 16 * MIB),
    # A server that comes back is found within a call's retries, not after two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 500),
    # Every address is used in turn; one that does not answer is passed over, and tried again
    # in the background.
    ("grpc.service_config", '{"loadBalancingConfig": [{"round_robin": {}}]}'),
    # A name whose addresses all fail is looked up again: by default every 30 s.
    ("grpc.dns_min_time_between_resolutions_ms", 5_000),
    # Calls are tried again by us, from the method's idempotency level: one policy, not two.
    ("grpc.enable_retries", 0),
)


def connect(uri: str | os.PathLike[str] | None = None) -> Connection:
    """A connection to a tracking URI; None: RUNWIRE_TRACKING_URI, else ``./runwire-data``.

    Nothing is opened before it is used. Raises ``InvalidArgumentError`` for a URI that
    can never work.
    """
    return Connection(resolve_uri(uri))


class Connection:
    """One channel, opened when first asked for. Safe for threads; a child of a fork opens
    its own."""

    def __init__(self, uri: str):
        self.uri = uri
        self.is_local = is_local(uri)
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._opened: _Opened | None = None
        self._closed = False

    @property
    def channel(self) -> grpc.Channel:
        """What generated stubs take. Raises ``UnavailableError`` where it cannot be opened."""
        opened = self._opened
        if opened is not None and self._pid == os.getpid():
            return opened.channel
        return self._open().channel

    def _open(self) -> _Opened:
        if self._pid != os.getpid():
            # The parent's channel is kept from the garbage collector: destroying it in the
            # child would send into the parent's socket.
            _inherited.append(self._opened)
            self._lock, self._pid, self._opened = threading.Lock(), os.getpid(), None
        with self._lock:
            if self._closed:
                raise RunwireError(f"the client of {shown(self.uri)} is closed")
            if self._opened is None:
                self._opened = _open_local(self.uri) if self.is_local else _open_remote(self.uri)
                gate.register()
            return self._opened

    def close(self) -> None:
        """Give up the channel; in local mode, what is queued is committed first."""
        if self._pid != os.getpid():  # all is the parent's, and its lock may have been held
            self._closed = True
            return
        with self._lock:
            self._closed = True
            opened, self._opened = self._opened, None
        if opened is not None:
            opened.close()


class _Opened:
    """A channel, and what is to be closed with it."""

    def __init__(self, channel: Any, owner: Any):
        self.channel: grpc.Channel = channel
        self.close = owner.close


_inherited: list[_Opened | None] = []


def _open_local(uri: str) -> _Opened:
    try:
        from runwire_server.app import open_local
        from runwire_server.errors import ServiceError
    except ImportError as error:
        raise UnavailableError(
            f"local mode ({shown(uri)}) runs the server's code in this process, and "
            f"{error.name} is missing: pip install 'runwire[server]', or use a server with "
            "runwire.set_tracking_uri('http://HOST:5000')"
        ) from error
    try:
        server = open_local(uri)
    except ServiceError as error:
        code_name = _code_name(error.code)
        raise error_class(code_name)(
            f"{shown(uri)}: {error.message}", reason=error.reason, metadata=error.metadata
        ) from error
    except ValueError as error:
        raise invalid("tracking_uri", str(error)) from error
    except Exception as error:  # the seam: whatever keeps an engine from opening its data
        problem = getattr(error, "strerror", None) or getattr(error, "orig", None) or error
        raise UnavailableError(
            f"{shown(uri)} cannot be opened: {problem}", reason="STORAGE_UNAVAILABLE"
        ) from error
    return _Opened(server.channel, server)


def _code_name(code: int) -> str:
    import grpc

    return next((one.name for one in grpc.StatusCode if one.value[0] == code), "UNKNOWN")


def _open_remote(uri: str) -> _Opened:
    import grpc

    if uri.startswith("http"):
        from runwire._discover import discover

        endpoint, secure = discover(uri)
        endpoints = [endpoint]
    else:
        endpoints, secure = grpc_endpoints(uri)
    options = [
        *CHANNEL_OPTIONS,
        ("grpc.primary_user_agent", _user_agent()),
        # Addresses have no name of their own: that of the first server is on all certificates.
        ("grpc.default_authority", endpoints[0]),
    ]
    if secure:
        channel = grpc.secure_channel(target(endpoints), _credentials(), options)
    else:
        channel = grpc.insecure_channel(target(endpoints), options)
    return _Opened(channel, channel)


def _credentials() -> grpc.ChannelCredentials:
    """The system's certificate authorities, or those of RUNWIRE_CA_FILE."""
    import grpc

    ca_file = settings().ca_file
    if not ca_file:
        return grpc.ssl_channel_credentials()
    try:
        return grpc.ssl_channel_credentials(Path(ca_file).read_bytes())
    except OSError as error:
        raise invalid("RUNWIRE_CA_FILE", f"{ca_file}: {error.strerror}") from error


def _user_agent() -> str:
    from runwire import __version__

    return f"runwire-python/{__version__}"
