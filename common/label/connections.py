"""MONAI Label's start command over connections that are closed if nothing, or nothing more, comes or goes on them.

The web server behind MONAI Label waits without end for the first request of a connection, and for a client that reads
no answer, and it takes a limited number of connections: a few silent ones would keep everybody else out.
"""

import asyncio
from typing import Any

import uvicorn
from monailabel.main import Main
from monailabel.utils.others.generic import init_log_config
from uvicorn.protocols.http.h11_impl import H11Protocol

REQUEST_WITHIN_S = 20.0
READ_WITHIN_S = 60.0


class ImpatientProtocol(H11Protocol):
    """HTTP/1.1 in which requests come within REQUEST_WITHIN_S, up to the end of their headers, and answers are read.

    How long a body or an answer may take is up to the application (:class:`common.label.guard.Guard`).
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._unheard: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Wait for the first request."""
        super().connection_made(transport)
        self._wait()

    def on_response_complete(self) -> None:
        """Wait for the next request, and for the end of this answer to be read."""
        self._wait()
        super().on_response_complete()

    def pause_writing(self) -> None:
        """Wait for the client to read."""
        super().pause_writing()
        self._unread = self.loop.call_later(READ_WITHIN_S, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on: the client has read."""
        _cancel(self._unread)
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more."""
        _cancel(self._unheard)
        _cancel(self._unread)
        super().connection_lost(exc)

    def _wait(self) -> None:
        _cancel(self._unheard)
        self._unheard = self.loop.call_later(REQUEST_WITHIN_S, self._close_if_idle)

    def _close_if_idle(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.abort()


def _cancel(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()


class Server(Main):
    """MONAI Label's command line; what differs is the protocol."""

    def action_start_server(self, args: Any) -> None:
        """Serve until the process is ended."""
        self.start_server_validate_args(args)
        self.start_server_init_settings(args)
        uvicorn.run(
            args.uvicorn_app,
            host=args.host,
            port=args.port,
            log_level=args.log_level,
            log_config=init_log_config(args.log_config, args.app, "app.log", args.verbose),
            access_log=args.access_log,
            limit_concurrency=args.limit_concurrency,
            http=ImpatientProtocol,
        )


if __name__ == "__main__":
    Server(actions=("start_server",)).run()
