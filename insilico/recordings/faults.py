"""Faults of a recording, noted one by one so that a user hears of all of them at once."""

from __future__ import annotations

from collections.abc import Sequence

from insilico.errors import RecordingError


class RecordingFaultsError(RecordingError):
    """Several faults of one recording; the message tells the first and how many more there are.

    Parameters
    ----------
    faults : sequence of str
        One sentence each, at least one.
    """

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        more = len(self.faults) - 1
        rest = f" (and {more} more; 'insilico recordings check' lists them)" if more else ""
        super().__init__(f"{self.faults[0]}{rest}")


def faults_of(error: RecordingError) -> tuple[str, ...]:
    """Return the single faults that an error tells of."""
    return error.faults if isinstance(error, RecordingFaultsError) else (str(error),)


class FaultList:
    """Collects what is wrong while reading goes on.

    Attributes
    ----------
    faults : list of str
        One sentence each, in the order of :meth:`noting`.
    """

    def __init__(self) -> None:
        self.faults: list[str] = []

    def noting(self) -> Noting:
        """Note a :class:`~insilico.errors.RecordingError` of the block instead of raising it."""
        return Noting(self.faults)

    def raise_any(self) -> None:
        """Raise what was noted.

        Raises
        ------
        RecordingFaultsError
            If anything was noted.
        """
        if self.faults:
            raise RecordingFaultsError(self.faults)


class Noting:
    """The context of :meth:`FaultList.noting`; a class, so that types tell it may end the block.

    Parameters
    ----------
    faults : list of str
        Grows by what is noted.
    """

    def __init__(self, faults: list[str]) -> None:
        self._faults = faults

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: object
    ) -> bool:
        if not isinstance(error, RecordingError):
            return False
        self._faults.extend(faults_of(error))
        return True
