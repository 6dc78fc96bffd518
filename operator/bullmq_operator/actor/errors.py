"""Why a plan was not carried out to its end.

ActError                 anything below
├── RefusedError         a guard looked again and saw another world than the plan's
└── IncompleteError      parts of a plan failed; the family is to be tried again with back-off
"""

from __future__ import annotations


class ActError(Exception):
    """A plan, or one action of it, was not carried out."""


class RefusedError(ActError):
    """The world moved on since the plan was made; nothing was done, the next plan knows."""


class IncompleteError(ActError):
    """What failed, one sentence each; everything else of the plan was done."""

    def __init__(self, failures: tuple[str, ...]) -> None:
        super().__init__("; ".join(failures))
        self.failures = failures
