"""A real browser: Debian's Chromium, driven by Playwright, which downloads none."""

import contextlib
import os
import shutil
from collections.abc import Iterator

from playwright.sync_api import Page, sync_playwright

_SECONDS = 20
"""How long an element or an answer is waited for; the first page of a cold browser takes some seconds."""


@contextlib.contextmanager
def open_browser() -> Iterator[Page]:
    """An empty page of a browser without cookies; an error of a script on it fails the test."""
    errors: list[str] = []
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium's sandbox refuses to run as root
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=sandbox)
        page = browser.new_page()
        page.set_default_timeout(_SECONDS * 1000)
        page.on("pageerror", lambda error: errors.append(str(error)))
        yield page
        browser.close()
    assert errors == []
