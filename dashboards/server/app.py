"""The app: addresses to documents, events, files and the page. It never writes to a run.

Everything a run says comes from `dashboards.documents`; nothing here knows what a document holds.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, final

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.types import ASGIApp

from nas.errors import ConfigError, EnvironmentFault, NasError, NotFoundError

from ..documents.plain import without_folder
from .addresses import Address, read_address
from .answers import Body, answer, failure
from .events import EventAnswer, Streams, known_record
from .exports import HEAVY, Exports, card_of
from .files import LIGHT, file_name
from .folder import Folder
from .guards import HEALTH, Guard
from .hosts import Hosts
from .keys import Keys
from .pages import read_pages
from .readings import Readings
from .store import Store

_STATUS: Final[tuple[tuple[type[NasError], int], ...]] = (
    (NotFoundError, 404),
    (ConfigError, 400),
    (EnvironmentFault, 503),
    (NasError, 422),
)
_UNKEPT: Final = {"Cache-Control": "no-store"}
_logger = logging.getLogger("nas")


def create_app(
    runs: Path,
    keys: Keys | None,
    *,
    listens: str = "127.0.0.1",
    names: Iterable[str] = (),
    cookie: str = "nas_dash",
    on_link_used: Callable[[], None] = lambda: None,
) -> ASGIApp:
    """Return the dashboard as an ASGI app, its gate around it.

    Args:
        runs: Folder of runs; it is only read.
        keys: Who may look; None lets everybody in who reaches the address.
        listens: Address the server listens on.
        names: Further names it may be called by.
        cookie: Name of the session's cookie.
        on_link_used: Called when a one-time link let somebody in.

    Raises:
        EnvironmentFault: If the built page is missing.
    """
    dashboard = Dashboard(runs, read_pages())
    return Guard(dashboard.app(), Hosts(listens, names), keys, cookie, on_link_used)


@final
class Dashboard:
    """What answers a request that passed the gate.

    Args:
        runs: Folder of runs.
        pages: Files of the page by path.
    """

    def __init__(self, runs: Path, pages: Mapping[str, Body]) -> None:
        folder = Folder(runs)
        self._pages = pages
        self._folder = folder
        self._readings = Readings(folder)
        self.store = Store(folder, self._readings.document)
        self.streams = Streams(self.store)
        self.exports = Exports()

    def app(self) -> FastAPI:
        """Return the app; without descriptions of itself, which nobody reads here."""
        app = FastAPI(
            openapi_url=None,
            docs_url=None,
            redoc_url=None,
            lifespan=self._life,
            redirect_slashes=False,
        )
        app.add_route(HEALTH, self._health)
        for path in self._pages:
            app.add_route(path, self._page)
        app.add_route("/{rest:path}", self._api)
        return app

    @asynccontextmanager
    async def _life(self, app: FastAPI) -> AsyncIterator[None]:
        yield
        self.streams.close()
        self.store.close()
        self.exports.close()

    async def _health(self, request: Request) -> Response:
        return Response("ok\n", media_type="text/plain", headers={"Cache-Control": "no-store"})

    async def _page(self, request: Request) -> Response:
        return answer(request, self._pages[request.scope["path"]])

    async def _api(self, request: Request) -> Response:
        as_page = "text/html" in request.headers.get("accept", "")
        try:
            address = read_address(request.scope["raw_path"], request.scope["query_string"])
            return await self._answer(request, address)
        except NasError as error:
            status = next(code for kind, code in _STATUS if isinstance(error, kind))
            fix = without_folder(error.fix, self._folder.path)
            return failure(status, error.what, fix, as_page=as_page)
        except Exception as error:
            _logger.error("The dashboard failed: %s: %s", type(error).__name__, error)
            _logger.debug("Traceback of it:", exc_info=error)
            told = "This document could not be made; the terminal of nas dash says why."
            return failure(500, told, "Start nas dash --debug for more.", as_page=as_page)

    async def _answer(self, request: Request, address: Address) -> Response:
        if address.kind == "document":
            return answer(request, await self.store.body(address))
        if request.method != "GET":
            return failure(
                405, "This is only given, not asked about.", None, headers={"Allow": "GET"}
            )
        if address.kind == "events":
            return self._follow(request, address)
        return await self._file(address)

    async def _file(self, address: Address) -> Response:
        run, trial, format_ = address.runs[0], address.trial, address.format
        assert trial is not None and format_ is not None
        if format_ in LIGHT:
            data = await self.store.in_thread(self._readings.light_file, address)
            light = LIGHT[format_]
            return _download(data, light.media_type, file_name(run, trial, light.ending))
        if format_ not in HEAVY:
            known = ", ".join((*LIGHT, *HEAVY))
            raise NotFoundError(f"There is no format '{format_}'.", fix=f"There are: {known}.")
        state = self.store.state(address)
        await self.store.in_thread(self._readings.check_export, address)
        archive = await self.exports.archive(self._folder.run(run), trial, format_, state)
        if format_ == "card":
            return _download(card_of(archive), "text/markdown", file_name(run, trial, "md"))
        name = file_name(run, trial, f"{format_}.zip")
        return FileResponse(archive, 200, _UNKEPT, "application/zip", filename=name)

    def _follow(self, request: Request, address: Address) -> Response:
        self.store.state(address)  # an unknown run is told before the stream begins
        if self.streams.is_full:
            return failure(503, "Too many pages follow runs.", "Close some of them.")
        return EventAnswer(self.streams, address.runs[0], known_record(request, address.after))


def _download(data: bytes, media_type: str, name: str) -> Response:
    headers = {**_UNKEPT, "Content-Disposition": f'attachment; filename="{name}"'}
    return Response(data, 200, headers, media_type)
