# SPDX-License-Identifier: Apache-2.0
"""The panel in a browser: where it is, and what is on it."""

from typing import Any

from selenium.common.exceptions import (
    ElementNotInteractableException,
    NoSuchElementException,
    StaleElementReferenceException,
)
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from lab.core.patience import patient

#: Seconds in which a page or a dialog is there.
DIALOG_S = 30
#: The button that confirms the dialog over the page.
CONFIRM = ".modal.in input[type=submit]"


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


#: Cells of a row of the administrator's list.
STATE, PRIMARY, SECONDARY, CHECKPOINTS = 2, 4, 5, 7


def cell(browser: WebDriver, server: str, number: int) -> str:
    """Return the text of a cell of a server's row; empty while the page replaces it."""
    try:
        return row(browser, server).find_elements(By.TAG_NAME, "td")[number].text
    except (IndexError, NoSuchElementException, StaleElementReferenceException):
        return ""


def on_page(browser: WebDriver, text: str) -> bool:
    """Tell whether the page has a text; not while it is replaced."""
    try:
        return text in browser.find_element(By.TAG_NAME, "body").text
    except (NoSuchElementException, StaleElementReferenceException):
        return False


def click(browser: WebDriver, server: str, label: str) -> None:
    """Click a link of a server's row, whose menu is opened when it is there; the page may just replace the row."""

    def clicked(driver: WebDriver) -> bool:
        found = row(driver, server)
        if not found.find_elements(By.LINK_TEXT, label):
            found.find_element(By.CSS_SELECTOR, ".dropdown-toggle").click()
        found.find_element(By.LINK_TEXT, label).click()
        return True

    passing = (ElementNotInteractableException, NoSuchElementException, StaleElementReferenceException)
    WebDriverWait(browser, patient(DIALOG_S), ignored_exceptions=passing).until(
        clicked, f"{label} is clicked"
    )


def dialog(browser: WebDriver, label: str = "") -> WebElement:
    """Wait for the dialog over the page, which comes in from above, until it stands still; gives the button that confirms it.

    :param label: what the button must say
    """
    button = shown(browser, CONFIRM + (f'[value="{label}"]' if label else ""))
    stands_still(browser)
    return button


def stands_still(browser: WebDriver) -> None:
    """Wait until nothing on the page moves."""
    still = "return document.getAnimations().every((animation) => animation.playState !== 'running')"
    WebDriverWait(browser, patient(DIALOG_S)).until(lambda driver: driver.execute_script(still))


def shown(browser: WebDriver, selector: str, text: str = "") -> WebElement:
    """Wait for an element that is displayed and has a text; gives the first one."""
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
