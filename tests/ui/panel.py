# SPDX-License-Identifier: Apache-2.0
"""The panel in a browser: where it is, and what is on it."""

from typing import Any

from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.remote.webelement import WebElement

#: Seconds in which a page or a dialog is there.
DIALOG_S = 30


def address(lab: Any, path: str) -> str:
    """Return the address of a page of the dashboard."""
    return f"{lab.url('dashboard').rstrip('/')}/{path}"


def row(browser: WebDriver, server: str) -> WebElement:
    """Return a server's row of the list."""
    return browser.find_element(By.CSS_SELECTOR, f'#fault_tolerance tr[data-display="{server}"]')


def says(browser: WebDriver, server: str, word: str) -> bool:
    """Tell whether a server's row has a word; not while the page replaces it."""
    try:
        return word in row(browser, server).text
    except (NoSuchElementException, StaleElementReferenceException):
        return False


def on_page(browser: WebDriver, text: str) -> bool:
    """Tell whether the page has a text; not while it is replaced."""
    try:
        return text in browser.find_element(By.TAG_NAME, "body").text
    except (NoSuchElementException, StaleElementReferenceException):
        return False
