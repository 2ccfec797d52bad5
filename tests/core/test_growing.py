"""Arrays that grow."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tb_gradclip.core.growing import Growing
from tb_gradclip.core.rows import STEP_DTYPE
from tests.core.tables import table


@pytest.mark.parametrize("dtype", ["f8", "i4", STEP_DTYPE], ids=str)
@given(lengths=st.lists(st.integers(0, 50), max_size=12))
def test_what_is_added_is_there_and_earlier_views_stay(dtype: np.dtype, lengths: list[int]) -> None:
    whole = table(max(sum(lengths), 1))
    whole = whole if dtype is STEP_DTYPE else whole["step"].astype(dtype)
    growing, views, end = Growing(dtype), [], 0
    for length in lengths:
        growing.append(whole[end : end + length])
        end += length
        views.append(growing.values)
    assert len(growing) == end
    for view in views:
        assert view.tobytes() == whole[: len(view)].tobytes()
