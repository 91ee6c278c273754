# SPDX-License-Identifier: Apache-2.0
"""The panel in a browser: its address and its elements."""

from collections.abc import Callable
from typing import Any

from selenium.common.exceptions import (
    ElementNotInteractableException,
    NoSuchElementException,
    StaleElementReferenceException,
    WebDriverException,
)
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from lab.core.patience import patient

#: Timeout in seconds of a page or a dialog.
DIALOG_S = 30
#: The button that confirms an open dialog.
CONFIRM = ".modal.in input[type=submit]"


def address(lab: Any, path: str) -> str:
    """Return the address of a page of the dashboard."""
    return f"{lab.url('dashboard').rstrip('/')}/{path}"


def row(browser: WebDriver, server: str) -> WebElement:
    """Return a server's row of the list."""
    return browser.find_element(By.CSS_SELECTOR, f'#fault_tolerance tr[data-display="{server}"]')


def row_contains(browser: WebDriver, server: str, word: str) -> bool:
    """Return whether a server's row contains a word; false while the page replaces the row."""
    try:
        return word in row(browser, server).text
    except (NoSuchElementException, StaleElementReferenceException):
        return False


#: Cells of a row of the administrator's list.
STATE, PRIMARY, SECONDARY, CHECKPOINTS = 2, 4, 5, 7


def cell(browser: WebDriver, server: str, number: int) -> str:
    """Return the text of a cell of a server's row; empty while the page replaces the row."""
    try:
        return row(browser, server).find_elements(By.TAG_NAME, "td")[number].text
    except (IndexError, NoSuchElementException, StaleElementReferenceException):
        return ""


def on_page(browser: WebDriver, text: str) -> bool:
    """Return whether the page contains a text; false while it is replaced."""
    try:
        return text in browser.find_element(By.TAG_NAME, "body").text
    except (NoSuchElementException, StaleElementReferenceException):
        return False


def content(browser: WebDriver) -> str:
    """Return the address and all text of the page, hidden parts included: user and menu, for example."""
    body = browser.find_element(By.TAG_NAME, "body").get_property("textContent")
    return f"{browser.current_url}: {' '.join(str(body).split())}"


def wait_for_next_page(browser: WebDriver, leave: Callable[[], None]) -> None:
    """Do what leads to another page, and wait until that has been loaded.

    A script asks for that: an element of the page before, while it goes, may be neither there nor stale.
    """
    browser.execute_script("window.isLeft = true")
    leave()
    loaded = "return !window.isLeft && document.readyState === 'complete'"
    WebDriverWait(browser, patient(DIALOG_S), ignored_exceptions=(WebDriverException,)).until(
        lambda driver: driver.execute_script(loaded), "the next page"
    )


def click(browser: WebDriver, server: str, label: str) -> None:
    """Click a link of a server's row, or of its menu; try again while the page replaces the row.

    Before the page's scripts have run, the link of an action leads to a page instead of a dialog.
    """

    def clicked(driver: WebDriver) -> bool:
        if driver.execute_script("return document.readyState") != "complete":
            return False
        element = row(driver, server)
        if not element.find_elements(By.LINK_TEXT, label):
            element.find_element(By.CSS_SELECTOR, ".dropdown-toggle").click()
        element.find_element(By.LINK_TEXT, label).click()
        return True

    passing = (ElementNotInteractableException, NoSuchElementException, StaleElementReferenceException)
    WebDriverWait(browser, patient(DIALOG_S), ignored_exceptions=passing).until(
        clicked, f"{label} is clicked"
    )


def dialog(browser: WebDriver, label: str = "") -> WebElement:
    """Wait until a dialog is open and its animation has ended, and return the button that confirms it.

    :param label: the text of the button
    """
    button = shown(browser, CONFIRM + (f'[value="{label}"]' if label else ""))
    stands_still(browser)
    return button


def stands_still(browser: WebDriver) -> None:
    """Wait until no element of the page moves."""
    still = "return document.getAnimations().every((animation) => animation.playState !== 'running')"
    WebDriverWait(browser, patient(DIALOG_S)).until(lambda driver: driver.execute_script(still))


def shown(browser: WebDriver, selector: str, text: str = "") -> WebElement:
    """Wait until an element is displayed and contains a text, and return the first one."""
    return WebDriverWait(
        browser, patient(DIALOG_S), ignored_exceptions=(StaleElementReferenceException,)
    ).until(
        lambda driver: next(
            (
                e
                for e in driver.find_elements(By.CSS_SELECTOR, selector)
                if e.is_displayed() and text in e.text
            ),
            None,
        ),
        f"{selector} with {text!r}",
    )
