"""Who is let in: by Host and Origin."""

from __future__ import annotations

import pytest

from MedFusionLib.web.guard import hosts_of, opens_tab, refusal

HERE = hosts_of("127.0.0.1")


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost:8080", "LOCALHOST", "[::1]:8080", "localhost.:80"])
def test_a_server_of_this_computer_answers_to_its_own_names(host):
    assert refusal("GET", {"Host": host}, HERE) == ""


@pytest.mark.parametrize(
    "host", ["evil.example:8080", "127.0.0.1.evil.example", "192.168.0.7", "", "[", "localhost@evil.example"]
)
def test_another_name_for_this_computer_is_refused(host):
    # DNS rebinding: the page's own name now points here, and the browser says so in Host.
    assert "does not answer to the name" in refusal("GET", {"Host": host, "Origin": f"http://{host}"}, HERE)


def test_a_server_for_everybody_answers_to_addresses_but_not_to_foreign_names():
    hosts = hosts_of("0.0.0.0")
    assert refusal("GET", {"Host": "192.168.0.7:8080"}, hosts) == ""
    assert refusal("GET", {"Host": "evil.example"}, hosts) != ""


def test_a_server_on_one_address_answers_to_that_only():
    assert refusal("GET", {"Host": "10.0.0.5:80"}, hosts_of("10.0.0.5")) == ""
    assert refusal("GET", {"Host": "10.0.0.6:80"}, hosts_of("10.0.0.5")) != ""


@pytest.mark.parametrize("origin", ["http://evil.example", "http://localhost:9999", "null"])
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_a_page_of_another_site_is_refused(method, origin):
    assert "another site" in refusal(method, {"Host": "localhost:8080", "Origin": origin}, HERE)


def test_the_own_page_may_write_and_open_a_socket():
    headers = {"Host": "localhost:8080", "Origin": "http://localhost:8080"}
    assert refusal("PUT", headers, HERE) == ""
    assert refusal("GET", {**headers, "Upgrade": "websocket"}, HERE) == ""


@pytest.mark.parametrize(("method", "more"), [("PUT", {}), ("POST", {}), ("GET", {"Upgrade": "websocket"})])
def test_what_comes_from_no_page_may_neither_write_nor_open_a_socket(method, more):
    assert "no page" in refusal(method, {"Host": "localhost:8080", **more}, HERE)


def test_only_a_person_who_opens_the_page_gets_a_tab():
    assert opens_tab({"Sec-Fetch-Dest": "document"})
    assert opens_tab({})
    assert not opens_tab({"Sec-Fetch-Dest": "image"})
    assert not opens_tab({"Sec-Fetch-Dest": "iframe"})
