"""Settings and fixtures of all tests."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from tests.tensorboard import LOADERS

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# What a shell runs in its background ignores Ctrl-C, and so would the programs whose end by it is tested.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("machines differ", deadline=None)  # how long an example takes says nothing about the code
settings.load_profile("machines differ")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--long", action="store_true", help="the long form of the tests that have one: hours rather than seconds"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave tests with the mark `long` to the long form, which takes what it takes: hours, in the longest of them."""
    if config.getoption("long"):
        for item in items:
            item.add_marker(pytest.mark.timeout(4 * 3600))
        return
    config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("long")])
    items[:] = [item for item in items if not item.get_closest_marker("long")]


@pytest.fixture(scope="session")
def long(request: pytest.FixtureRequest) -> bool:
    """Whether this is `make soak`; a test that asks for it does the same in a short form otherwise.

    One that has no short form is marked `long`.
    """
    return bool(request.config.getoption("long"))


@pytest.fixture(scope="module", params=LOADERS, ids=lambda fast: f"load_fast={fast}")
def loader(request: pytest.FixtureRequest) -> str:
    """TensorBoard's option for each of its loaders in turn."""
    return f"--load_fast={request.param}"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One browser for all tests of a process, which Playwright can drive no second time."""
    from playwright.sync_api import sync_playwright

    from demo.browser import launch

    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


@pytest.fixture
def recorded_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave it to `flush` to record, on the thread whose operations are counted."""
    monkeypatch.setattr("tb_gradclip.collector.SECONDS_PER_ROUND", 3600.0)


@pytest.fixture
def fresh_accelerate() -> Iterator[Callable[[], None]]:
    """Let Accelerate, whose state is the process's, begin anew; call it to do so once more."""
    from accelerate.state import AcceleratorState, GradientState

    def forget() -> None:
        AcceleratorState._reset_state(reset_partial_state=True)
        GradientState._reset_state()

    forget()
    yield forget
    forget()


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Spare PyTorch the waits of its threads for each other, which are most of a step of a tiny model."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
