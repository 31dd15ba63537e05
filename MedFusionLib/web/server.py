"""The server in front: checks who asks, starts a process for every tab, and passes on what the tab and page say.

trame keeps one state a server, so tabs that shared a process would share volumes and clicks. A process each keeps them
apart for good, and gives back all memory when a tab is closed. The address of a tab holds a secret: who does not know
it cannot get in.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from aiohttp import web

from MedFusionLib.web.guard import hosts_of, opens_tab, refusal

KEY = "X-MedFusion-Key"
"""The header by which a tab's process knows this server."""

_HEADERS = {
    "Content-Security-Policy": "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; "
    "connect-src 'self' ws: wss:; frame-ancestors 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""Nothing is loaded from elsewhere, no other site may show the page, and its secret address is told to nobody."""

_OWN = ("host", "connection", "keep-alive", "transfer-encoding", "upgrade", "te", "trailer", "content-encoding")
"""Headers of one connection, not of what is passed on."""

_PAGE = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><title>MedFusion</title><link rel="icon" href="data:,">{head}'
    '<body style="background:#121212;color:#ddd;font:18px sans-serif;display:grid;place-items:center;height:90vh">'
    "<p>{text}</p>"
)
_AGAIN = '<meta http-equiv="refresh" content="1">'

_PATIENCE = 5.0
"""Seconds that a tab's process has to end."""

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Settings:
    """What the server was asked for.

    Args:
        host: the address to listen on; the names in requests must fit it.
        port: the port; 0 takes a free one.
        files: volumes that every tab opens at the start.
        limit: bytes of one upload, and of one archive or image unpacked.
        tabs: most tabs at once.
        idle: seconds that a tab's process stays when its page is gone.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    files: Sequence[Path] = ()
    limit: int = 2 * 10**9
    tabs: int = 8
    idle: int = 300


@dataclass
class _Tab:
    """The process of a tab, and where it listens once it does."""

    process: asyncio.subprocess.Process
    key: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    port: int = 0

    async def follow(self) -> None:
        """Learn the port; read on, so that the process never waits for a reader."""
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            if line.startswith(b"port "):
                self.port = int(line.split()[1])

    async def end(self) -> None:
        """Have the process clean up and go: it does when its input ends."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            await asyncio.wait_for(self.process.wait(), _PATIENCE)
        except TimeoutError:
            self.process.kill()


class Front:
    """The front of all tabs.

    Args:
        settings: what was asked for.
    """

    def __init__(self, settings: Settings):
        self._settings = settings
        self._hosts = hosts_of(settings.host)
        self._tabs: dict[str, _Tab] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._client: aiohttp.ClientSession | None = None
        # The next tab, started while nobody waits for it.
        self._spare: _Tab | None = None
        self._opening = asyncio.Lock()

    def app(self) -> web.Application:
        """The application to serve."""
        app = web.Application(middlewares=[self._guard])
        app.add_routes([web.get("/", self._open), web.route("*", "/tab/{name}/{path:.*}", self._pass_on)])
        app.cleanup_ctx.append(self._living)
        return app

    async def _living(self, _app: web.Application) -> AsyncIterator[None]:
        async with aiohttp.ClientSession(auto_decompress=False, timeout=aiohttp.ClientTimeout(total=None)) as client:
            self._client = client
            self._spare = await self._start()
            yield
            await asyncio.gather(*(tab.end() for tab in (*self._tabs.values(), self._spare) if tab))

    @web.middleware
    async def _guard(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        refused = refusal(request.method, request.headers, self._hosts)
        if refused:
            return web.Response(status=403, text=refused)
        response = await handler(request)
        if not response.prepared:
            response.headers.update(_HEADERS)
        return response

    async def _open(self, request: web.Request) -> web.StreamResponse:
        """A new tab."""
        if not opens_tab(request.headers):
            return web.Response(status=403, text="Open this address itself.")
        # One after another: two that come at once must not get the same process.
        async with self._opening:
            self._tabs = {name: tab for name, tab in self._tabs.items() if tab.process.returncode is None}
            if len(self._tabs) >= self._settings.tabs:
                return _page(f"{len(self._tabs)} tabs are open, as many as this server takes. Close one.", status=503)
            name = secrets.token_urlsafe(24)
            alive = self._spare and self._spare.process.returncode is None
            self._tabs[name] = self._spare if self._spare and alive else await self._start()
            self._spare = await self._start()
        raise web.HTTPFound(f"/tab/{name}/")

    async def _start(self) -> _Tab:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "MedFusionLib.web.tab", stdin=pipe, stdout=pipe
        )
        tab = _Tab(process)
        settings = self._settings
        files = [str(path.absolute()) for path in settings.files]
        told = {"key": tab.key, "limit": settings.limit, "files": files, "idle": settings.idle}
        assert process.stdin is not None
        process.stdin.write(json.dumps(told).encode() + b"\n")
        task = asyncio.create_task(tab.follow())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return tab

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        tab = self._tabs.get(request.match_info["name"])
        if tab is None or tab.process.returncode is not None:
            return _page('This tab has ended. <a style="color:#7bf" href="/">Open a new one</a>.', status=410)
        path = request.match_info["path"]
        if not tab.port:
            return _page("MedFusion is starting…", head=_AGAIN)
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _OWN} | {KEY: tab.key}
        url = f"http://127.0.0.1:{tab.port}/{path or 'index.html'}"
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._talk(request, url)
        return await self._relay(request, url, headers)

    async def _relay(self, request: web.Request, url: str, headers: dict[str, str]) -> web.StreamResponse:
        """Pass on a request and its answer, both as they come."""
        assert self._client is not None
        body = request.content if request.body_exists else None
        async with self._client.request(
            request.method, url, params=request.query, headers=headers, data=body, allow_redirects=False
        ) as answer:
            kept = {n: value for n, value in answer.headers.items() if n.lower() not in _OWN[:-1]}
            response = web.StreamResponse(status=answer.status, headers=kept | _HEADERS)
            await response.prepare(request)
            async for block in answer.content.iter_any():
                await response.write(block)
            await response.write_eof()
        return response

    async def _talk(self, request: web.Request, url: str) -> web.WebSocketResponse:
        """Pass on what page and tab say to each other, until one of them goes."""
        assert self._client is not None
        key = self._tabs[request.match_info["name"]].key
        page = web.WebSocketResponse(max_msg_size=0, compress=False, heartbeat=30)
        await page.prepare(request)
        async with self._client.ws_connect(url, headers={KEY: key}, max_msg_size=0) as tab:
            ways = [asyncio.create_task(_say(page, tab)), asyncio.create_task(_say(tab, page))]
            _, left = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in left:
                way.cancel()
        await page.close()
        return page


_Socket = web.WebSocketResponse | aiohttp.ClientWebSocketResponse


async def _say(one: _Socket, other: _Socket) -> None:
    async for message in one:
        if message.type == aiohttp.WSMsgType.BINARY:
            await other.send_bytes(message.data)
        elif message.type == aiohttp.WSMsgType.TEXT:
            await other.send_str(message.data)


def _page(text: str, head: str = "", status: int = 200) -> web.Response:
    return web.Response(status=status, text=_PAGE.format(text=text, head=head), content_type="text/html")


async def serve(settings: Settings, ready: Callable[[str], None]) -> None:
    """Serve until cancelled.

    Args:
        settings: what was asked for.
        ready: called with the address once it answers.
    """
    runner = web.AppRunner(Front(settings).app(), access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, settings.host, settings.port).start()
        name = f"[{settings.host}]" if ":" in settings.host else settings.host
        ready(f"http://{name}:{runner.addresses[0][1]}/")
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()
