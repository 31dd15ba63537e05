"""One tab's process: a page, its scene and its folder, gone when the tab is. Started by `server`, never by hand.

What it is told comes as one line of JSON on the standard input, which stays open: when it closes, the server is gone
and so is this process.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import sys
import tempfile
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from aiohttp import web
from trame.app import get_server
from trame_server import Server
from trame_slicer.core import SlicerApp
from vtkmodules.vtkCommonCore import vtkLogger, vtkOutputWindow

from MedFusionLib.errors import FileError, MedFusionError
from MedFusionLib.web import panel
from MedFusionLib.web.actions import Actions
from MedFusionLib.web.session import Session
from MedFusionLib.web.uploads import Inbox
from MedFusionLib.web.views import Views

KEY = "X-MedFusion-Key"
"""The header by which a tab knows its server: nobody else on this machine may talk to it."""

_KINDS = ("nii.gz", "nrrd", "mrb")
_STATIC = Path(__file__).with_name("static")

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def main() -> None:
    """Serve one tab until nobody looks for a while."""
    told = json.loads(sys.stdin.readline())
    with tempfile.TemporaryDirectory(prefix="medfusion-") as folder:
        # What others write for a moment, such as parts of a saved scene, goes with the folder.
        tempfile.tempdir = folder
        threading.Thread(target=_end_with_server, args=(folder,), daemon=True).start()
        inbox = Path(folder, "in")
        inbox.mkdir()
        tab = Tab(told["key"], Inbox(inbox, told["limit"]), Path(folder), [Path(file) for file in told["files"]])
        tab.serve(told["idle"])
    # A run in a thread would keep the process: nobody waits for it any more.
    os._exit(0)


def _end_with_server(folder: str) -> None:
    sys.stdin.read()
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)


def _tell(error: Exception) -> None:
    """Log what went wrong between page and process; that a page is closed while it is spoken to is no error."""
    if not isinstance(error, ConnectionError):
        logging.getLogger("MedFusionLib").error("In the browser app", exc_info=error)


class Tab:
    """A page and the two roads besides it: files in, files out.

    Args:
        key: what the header `KEY` must say.
        inbox: where uploads land.
        folder: where downloads are written.
        files: volumes to open at the start.
    """

    def __init__(self, key: str, inbox: Inbox, folder: Path, files: list[Path]):
        self._key, self._inbox, self._folder, self._files = key, inbox, folder, files
        self._server: Server = get_server(client_type="vue3")
        self._server.enable_module({"serve": {"__medfusion": str(_STATIC)}, "scripts": ["__medfusion/medfusion.js"]})
        app = SlicerApp()
        # VTK tells the terminal what it packs and how others should call it; what concerns the user is raised.
        vtkOutputWindow.GetInstance().SetDisplayModeToNever()
        vtkLogger.SetStderrVerbosity(vtkLogger.VERBOSITY_OFF)
        self._session = Session(app.scene)
        views = Views(app, self._server)
        self._actions = Actions(self._server, self._session, views, inbox)
        panel.build(self._server, self._actions, views.layout)

    def serve(self, idle: int) -> None:
        """Listen on a free port, which is told on the standard output; end when nobody is connected so many seconds."""
        control = self._server.controller
        control.on_server_bind.add(self._bind)
        control.on_server_ready.add(lambda **_: print(f"port {self._server.port}", flush=True))
        control.on_client_connected.add(self._open_files)
        control.on_exception.add(_tell)
        logging.getLogger("wslink.protocol").setLevel(logging.CRITICAL)
        os.environ["WSLINK_READY_MSG"] = ""
        sys.argv = sys.argv[:1]
        self._server.start(
            port=0, host="127.0.0.1", open_browser=False, show_connection_info=False, timeout=idle, disable_logging=True
        )

    def _open_files(self) -> None:
        files, self._files = self._files, []
        if files:
            self._actions.open_files(lambda: files)

    def _bind(self, bound: Any) -> None:
        bound.app.middlewares.append(self._guard)
        bound.app.add_routes([web.put("/upload", self._upload), web.get("/download", self._download)])

    @web.middleware
    async def _guard(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        if request.headers.get(KEY) != self._key:
            return web.Response(status=403, text="This is no page of its own: open the address of the server.")
        try:
            return await handler(request)
        except ConnectionResetError:
            # The page was closed while something was on its way.
            return web.Response(status=499)

    async def _upload(self, request: web.Request) -> web.Response:
        """Write a file to the inbox as it comes."""
        name, path = request.query.get("name", ""), None
        try:
            path = self._inbox.place_for(name, request.content_length)
            with path.open("xb") as file:
                async for block in request.content.iter_chunked(2**20):
                    file.write(block)
                    if file.tell() > self._inbox.limit:
                        self._inbox.check_size(name, file.tell())
        except FileError as error:
            if path is not None:
                path.unlink(missing_ok=True)
            return web.Response(status=413 if "files up to" in str(error) else 400, text=str(error))
        return web.Response(status=204)

    async def _download(self, request: web.Request) -> web.StreamResponse:
        """Write the result or the scene to a file and send it."""
        kind, result = request.query.get("kind", ""), request.query.get("result", "")
        if kind not in _KINDS or result not in self._session.results:
            return web.Response(status=404, text="No such result: fuse first.")
        name = re.sub(r"[^\w.+-]+", "_", self._session.results[result].node.GetName())
        path = self._folder / f"{'MedFusion' if kind == 'mrb' else name}.{kind}"
        try:
            # The scene may be read in this thread only, so the page stands still meanwhile.
            self._session.save_scene(path) if kind == "mrb" else self._session.save_result(result, path)
        except MedFusionError as error:
            return web.Response(status=500, text=str(error))
        return web.FileResponse(path, headers={"Content-Disposition": f'attachment; filename="{path.name}"'})


if __name__ == "__main__":
    main()
