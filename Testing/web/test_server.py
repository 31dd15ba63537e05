"""The server in front, with real tabs behind it, spoken to without a browser."""

from __future__ import annotations

import asyncio
import importlib.util
import re
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest

from MedFusionLib import cli

if importlib.util.find_spec("trame_slicer") is None:
    pytest.skip("trame-slicer is not installed: pip install medfusion[web]", allow_module_level=True)

import aiohttp

from MedFusionLib.web.server import Settings, serve

QUICK = aiohttp.ClientTimeout(total=40)


@asynccontextmanager
async def running(**asked):
    """A server on a free port, and a client that keeps no cookies."""
    ready = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(serve(Settings(port=0, **asked), ready.set_result))
    try:
        address = await asyncio.wait_for(ready, 10)
        async with aiohttp.ClientSession(timeout=QUICK) as client:
            yield address, client
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def opened(client, address):
    """The address of a new tab, once its page answers."""
    async with client.get(address) as answer:
        tab = str(answer.url)
    for _ in range(300):
        async with client.get(tab) as answer:
            if "starting" not in await answer.text():
                assert answer.status == 200
                return tab
        await asyncio.sleep(0.1)
    raise AssertionError("the tab never started")


def origin_of(address):
    return {"Origin": f"http://{urlsplit(address).netloc}"}


async def put(client, tab, name, data, **headers):
    async with client.put(f"{tab}upload", params={"name": name}, data=data, headers=origin_of(tab) | headers) as answer:
        return answer.status, await answer.text()


def test_tabs_have_processes_and_secrets_of_their_own_and_refuse_what_they_should():
    async def story():
        async with running(tabs=2, limit=10**5) as (address, client):
            one, two = await asyncio.gather(opened(client, address), opened(client, address))
            assert one != two
            assert len(urlsplit(one).path) > 30
            await filled(client, two)
            await refused_names(client, address, one)
            await refused_uploads(client, one)
            async with client.get(f"{one}download", params={"kind": "nrrd", "result": "../../etc/passwd"}) as answer:
                assert answer.status == 404
            async with client.get(f"{address}tab/guessed/") as answer:
                assert answer.status == 410
            async with client.get(f"{one}..%2f..%2f..%2fetc/passwd") as answer:
                assert answer.status in (403, 404)
            async with client.get(address) as answer:
                assert answer.status == 503
                assert "2 tabs are open" in await answer.text()

    asyncio.run(story())


async def filled(client, tab):
    """Upload as much as a tab takes; another that shared its process would take nothing any more."""
    for number in range(4):
        assert (await put(client, tab, f"{number}.nii", bytes(10**5)))[0] == 204
    status, said = await put(client, tab, "more.nii", b"x")
    assert status == 400
    assert "in this tab already" in said


async def refused_names(client, address, tab):
    for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
        for place in (address, tab, f"{tab}ws"):
            async with client.get(place, headers=headers) as answer:
                assert answer.status == 403, (place, headers)
    with pytest.raises(aiohttp.WSServerHandshakeError):
        await client.ws_connect(f"{tab}ws", headers={"Origin": "http://evil.example"})
    async with client.get(address, headers={"Sec-Fetch-Dest": "image"}) as answer:
        assert answer.status == 403
    async with client.get(tab) as answer:
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]


async def refused_uploads(client, tab):
    assert (await put(client, tab, "../ct.nii", b"x"))[0] == 400
    assert (await put(client, tab, "page.html", b"x"))[0] == 400
    assert (await put(client, tab, "ct.nii", b"x", Origin="http://evil.example"))[0] == 403
    assert (await put(client, tab, "ct.nii", bytes(10**5 + 1)))[0] == 413
    assert (await put(client, tab, "ct.nii", bytes(10**5)))[0] == 204

    async def unannounced():
        for _ in range(30):
            yield bytes(10**4)

    assert (await put(client, tab, "big.nii", unannounced()))[0] == 413


def test_the_process_of_a_tab_speaks_with_its_server_only():
    async def story():
        async with running() as (address, client):
            await opened(client, address)
            ports = [line for line in own_children_ports()]
            assert ports
            for port in ports:
                async with client.get(f"http://127.0.0.1:{port}/index.html") as answer:
                    assert answer.status == 403

    asyncio.run(story())


def own_children_ports():
    """The ports that the processes we started listen on."""
    import psutil

    for child in psutil.Process().children(recursive=True):
        for connection in child.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN:
                yield connection.laddr.port


def test_nothing_that_was_uploaded_stays_when_the_server_ends(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))

    async def story():
        async with running() as (address, client):
            tab = await opened(client, address)
            assert (await put(client, tab, "ct.nii", b"x"))[0] == 204
            assert list(tmp_path.rglob("ct.nii"))

    asyncio.run(story())
    assert not list(tmp_path.iterdir())


def test_a_tab_that_nobody_looks_at_ends_and_says_so():
    async def story():
        async with running(idle=1) as (address, client):
            tab = await opened(client, address)
            for _ in range(100):
                async with client.get(tab) as answer:
                    if answer.status == 410:
                        assert "Open a new one" in await answer.text()
                        return
                await asyncio.sleep(0.1)
            raise AssertionError("the tab never ended")

    asyncio.run(story())


def test_the_command_names_what_is_missing(monkeypatch, capsys):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert cli.main(["web"]) == 2
    assert 'pip install "medfusion[web]"' in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "said"),
    [(["no such file.nii"], "no such file"), (["--port", "99999"], "--port"), (["--limit", "0"], "GB")],
)
def test_the_command_refuses_a_wrong_line(line, said, capsys):
    assert cli.main(["web", *line]) == 2
    assert re.search(said, capsys.readouterr().err)
