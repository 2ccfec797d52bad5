"""Checksums, against TensorBoard's own."""

import doctest

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c as theirs

from tb_gradclip.core import checksum
from tb_gradclip.core.checksum import SHORT, crc32c, masked_crc32c


def test_the_published_example_holds() -> None:
    assert doctest.testmod(checksum).failed == 0


@given(st.binary(max_size=3000))
def test_any_bytes_have_the_checksum_tensorboard_expects(data: bytes) -> None:
    assert masked_crc32c(data) == theirs(data)


@pytest.mark.parametrize("size", [0, 1, 63, SHORT, SHORT + 1, 640, 1024, 4095, 4096, 4097, 70_001])
def test_every_way_of_cutting_into_lanes_gives_the_same(size: int) -> None:
    data = np.random.default_rng(size).integers(0, 256, size, np.uint8).tobytes()
    assert masked_crc32c(data) == theirs(data)


@given(st.binary(min_size=SHORT, max_size=2000), st.integers(0, 1999), st.integers(1, 255))
def test_a_changed_byte_changes_the_checksum(data: bytes, place: int, change: int) -> None:
    changed = bytearray(data)
    changed[place % len(data)] ^= change
    assert crc32c(bytes(changed)) != crc32c(data)
