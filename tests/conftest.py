"""Settings of all tests."""

from hypothesis import settings

settings.register_profile("machines differ", deadline=None)  # how long an example takes says nothing about the code
settings.load_profile("machines differ")
