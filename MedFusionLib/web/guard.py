"""Which requests are let in: by the names this server answers to, and by the page that sent them.

A page of another site can have a browser send requests here, and can point its own name at this machine (DNS
rebinding). The browser tells both in the headers Host and Origin, which a page cannot forge.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Mapping
from urllib.parse import urlsplit

LOOPBACK = ("localhost", "127.0.0.1", "::1")
_EVERYWHERE = ("0.0.0.0", "::")
_SAFE = ("GET", "HEAD")


def hosts_of(host: str) -> frozenset[str]:
    """The names that a server bound to this address answers to; any IP address too if it listens everywhere."""
    if host in _EVERYWHERE:
        return frozenset((*LOOPBACK, socket.gethostname().lower(), *_EVERYWHERE))
    return frozenset(LOOPBACK) if host.lower() in LOOPBACK else frozenset((host.lower(),))


def refusal(method: str, headers: Mapping[str, str], hosts: frozenset[str]) -> str:
    """Why a request is refused, in a sentence; empty if it is let in.

    Args:
        method: of the request.
        headers: of the request, names in any case.
        hosts: what `hosts_of` returned.
    """
    asked = headers.get("Host", "")
    name = _name(asked)
    if not (name in hosts or (hosts.issuperset(_EVERYWHERE) and _is_address(name))):
        return f"This server does not answer to the name {name!r}. Open it by the address it printed when it started."
    origin = headers.get("Origin")
    socketed = headers.get("Upgrade", "").lower() == "websocket"
    if origin is None:
        # Browsers always send it with these.
        return "This request came from no page." if socketed or method not in _SAFE else ""
    if urlsplit(origin).netloc.lower() != asked.lower():
        return "This request came from a page of another site."
    return ""


def opens_tab(headers: Mapping[str, str]) -> bool:
    """Whether a request is a person opening a page, not a picture or frame in another site's."""
    return headers.get("Sec-Fetch-Dest", "document") == "document"


def _name(host: str) -> str:
    """The name in a Host header, without port and brackets; empty if it is none."""
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    # A name can be pointed at this machine by whoever owns it, an address cannot.
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
