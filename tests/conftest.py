"""Settings and fixtures of all tests."""

import pytest
from hypothesis import settings

settings.register_profile("machines differ", deadline=None)  # how long an example takes says nothing about the code
settings.load_profile("machines differ")


@pytest.fixture
def recorded_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave it to `flush` to record, on the thread whose operations are counted."""
    monkeypatch.setattr("tb_gradclip.collector.SECONDS_PER_ROUND", 3600.0)
