"""Everything about the package is in pyproject.toml; this file lets older pip versions install from a checkout."""

from setuptools import setup

setup()
