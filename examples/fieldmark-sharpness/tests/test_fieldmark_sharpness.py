"""Every rule of the contract, one test each."""

from collections.abc import Callable

from fieldmark_sharpness import Sharpness

from fieldmark.testing import contract


@contract(Sharpness)
def test_contract(check: Callable[[], None]) -> None:
    check()
