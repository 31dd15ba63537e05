"""The page in a real browser, from an empty start to the download. MEDFUSION_PICTURES=DIR keeps its pictures there."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

for package in ("trame_slicer", "playwright"):
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed: pip install medfusion[web,dev]", allow_module_level=True)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
if CHROMIUM is None:
    pytest.skip("no Chromium on this computer", allow_module_level=True)

from playwright.sync_api import expect, sync_playwright  # noqa: E402 - only where it is installed

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WAIT = 40_000


@pytest.fixture(scope="module")
def address():
    """A server of its own."""
    command = [sys.executable, "-m", "MedFusionLib.cli", "web", "--port", "0", "--limit", "0.001"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as server:
        yield next(word for word in server.stdout.readline().split() if word.startswith("http"))
        server.terminate()


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def page(browser, address):
    """A new tab; it must ask nobody but its server, and no script may fail."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.set_default_timeout(WAIT)
    expect.set_options(timeout=WAIT)
    elsewhere, failed = [], []
    page.on("request", lambda request: elsewhere.append(request.url) if strange(request.url, address) else None)
    page.on("pageerror", lambda error: failed.append(str(error)))
    page.goto(address)
    expect(page.get_by_role("button", name="Try the phantom").first).to_be_visible()
    yield page
    page.close()
    assert not elsewhere
    assert not failed


def strange(url, address):
    return not url.startswith((address, address.replace("http", "ws"), "data:", "blob:"))


def picture(page, name):
    """Keep a picture for the docs, once the views have caught up."""
    if os.environ.get("MEDFUSION_PICTURES"):
        page.wait_for_timeout(2500)
        page.screenshot(path=Path(os.environ["MEDFUSION_PICTURES"]) / f"web-{name}.jpg", type="jpeg", quality=85)


def bring(page, files):
    page.set_input_files(".mf-file", [str(path) for path in files])
    expect(page.locator(".mf-source")).to_have_count(len(files))


def drop(page, files):
    """Let files fall on the page."""
    data = [(path.name, list(path.read_bytes())) for path in files]
    page.evaluate(
        """files => {
            const dataTransfer = new DataTransfer();
            for (const [name, bytes] of files) dataTransfer.items.add(new File([new Uint8Array(bytes)], name));
            const target = document.querySelector('.mf-stage');
            for (const kind of ['dragover', 'drop'])
                target.dispatchEvent(new DragEvent(kind, {dataTransfer, bubbles: true, cancelable: true}));
        }""",
        data,
    )


def choose(page, menu, title):
    page.locator(menu).click()
    page.locator(".v-overlay .v-list-item", has_text=title).first.click()


def fuse(page):
    page.get_by_role("button", name="Fuse", exact=True).click()
    expect(page.locator(".mf-message")).to_contain_text("Done in")


def brightness(page, view=0):
    """Mean gray of a view's picture: black is nothing shown."""
    return page.evaluate(
        """number => {
            const image = document.querySelectorAll('.mf-stage img')[number];
            const canvas = Object.assign(document.createElement('canvas'), {width: 64, height: 64});
            const context = canvas.getContext('2d');
            context.drawImage(image, 0, 0, 64, 64);
            const data = context.getImageData(0, 0, 64, 64).data;
            let sum = 0;
            for (let n = 0; n < data.length; n += 4) sum += data[n] + data[n + 1] + data[n + 2];
            return sum / (64 * 64 * 3);
        }""",
        view,
    )


def test_from_an_empty_start_to_the_download(page, heads, tmp_path):
    picture(page, "start")
    expect(page.get_by_role("button", name="Fuse", exact=True)).to_be_disabled()
    bring(page, heads)
    expect(page.locator(".mf-step-1")).to_contain_text("PET is a guess")
    picture(page, "volumes")
    choose(page, ".mf-method", "Wavelet (DWT)")
    expect(page.locator(".mf-step-2")).to_contain_text("bior4.4")
    fuse(page)
    assert brightness(page) > 10
    expect(page.locator(".mf-error")).to_have_count(0)
    picture(page, "fused")
    page.get_by_role("button", name="Score this result").click()
    expect(page.locator(".mf-scores")).to_contain_text("MS-SSIM")
    expect(page.get_by_role("button", name="Score this result")).to_be_disabled()
    picture(page, "scores")
    for title, ending in (("NIfTI", "MR+PET_dwt.nii.gz"), ("NRRD", "MR+PET_dwt.nrrd"), ("Scene", "MedFusion.mrb")):
        with page.expect_download() as download:
            page.get_by_role("link", name=title).click()
        assert download.value.suggested_filename == ending
        download.value.save_as(tmp_path / ending)
        assert (tmp_path / ending).stat().st_size > 1000
    # The page is still alive after downloads.
    fuse(page)
    expect(page.locator(".mf-message")).to_contain_text("MR+PET dwt_1")


def test_live_preview_blend_and_checkerboard(page, heads):
    for number, path in enumerate(heads, 1):
        page.set_input_files(".mf-file", str(path))
        expect(page.locator(".mf-source")).to_have_count(number)
    expect(page.locator(".mf-toolbar .v-select").nth(0)).to_contain_text("patient_MR_T1")
    expect(page.locator(".mf-toolbar .v-select").nth(1)).to_contain_text("patient_PET")
    page.locator(".mf-live input").click()
    expect(page.locator(".mf-step-2")).to_contain_text("Slice in")
    picture(page, "live")
    choose(page, ".mf-method", "Average")
    page.wait_for_timeout(500)
    page.locator(".mf-live input").click()
    expect(page.locator(".mf-step-2")).not_to_contain_text("Slice in")
    page.get_by_role("button", name="Checkerboard").click()
    expect(page.locator(".mf-toolbar input[type=range], .mf-toolbar .v-slider").first).to_be_visible()
    page.wait_for_timeout(1500)
    assert brightness(page) > 10
    picture(page, "checkerboard")


def test_a_run_can_be_canceled_and_errors_tell_what_to_do(page, heads, tmp_path):
    bring(page, heads)
    choose(page, ".mf-method", "Convolutional sparse")
    page.get_by_role("button", name="Fuse", exact=True).click()
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator(".mf-message")).to_contain_text("Canceled")
    expect(page.locator(".mf-step-5")).to_contain_text("NIfTI")
    page.locator(".mf-source input[type=checkbox]").first.click()
    expect(page.get_by_role("button", name="Fuse", exact=True)).to_be_disabled()
    for name, size, said in (("notes.html", 10, "accepted: .nii"), ("large.nii", 1_500_000, "files up to")):
        (tmp_path / name).write_bytes(bytes(size))
        page.set_input_files(".mf-file", str(tmp_path / name))
        expect(page.locator(".mf-error")).to_contain_text(said)
    (tmp_path / "broken_CT.nii.gz").write_bytes(b"no image")
    page.set_input_files(".mf-file", str(tmp_path / "broken_CT.nii.gz"))
    expect(page.locator(".mf-error")).to_contain_text("broken_CT.nii.gz")
    expect(page.locator(".mf-error")).not_to_contain_text("medfusion-")
    picture(page, "error")


def test_two_tabs_do_not_disturb_each_other(page, browser, address, heads):
    drop(page, heads)
    expect(page.locator(".mf-source")).to_have_count(2)
    other = browser.new_page()
    other.goto(address)
    expect(other.get_by_role("button", name="Try the phantom").first).to_be_visible(timeout=WAIT)
    expect(other.locator(".mf-source")).to_have_count(0)
    fuse(page)
    expect(other.locator(".mf-message")).to_have_count(0)
    other.close()
    page.reload()
    expect(page.locator(".mf-source")).to_have_count(2)
    expect(page.locator(".mf-step-4")).to_contain_text("MR+PET laplacian")


def test_the_phantom_is_one_click_away(page):
    page.get_by_role("button", name="Try the phantom").first.click()
    expect(page.locator(".mf-source")).to_have_count(2)
    choose(page, ".mf-color", "pet-heat")
    fuse(page)
    assert brightness(page) > 10
    expect(page.locator(".mf-error")).to_have_count(0)
    picture(page, "phantom")
