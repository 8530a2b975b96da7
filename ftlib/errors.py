"""The one exception for what the user can mend."""

from __future__ import annotations


class UserError(Exception):
    """A mistake in what the user gave us; the command line turns it into exit code 2."""

    @classmethod
    def of(cls, where: str, expected: str, found: str, fix: str) -> UserError:
        """The standard four lines: the file, line or field; what would have been right; what is there; what to do."""
        return cls(f"{where}\n  expected: {expected}\n  found:    {found}\n  to do:    {fix}")

    def _render_traceback_(self) -> list[str]:
        """What IPython and papermill show in the place of a traceback: the message, which says all there is to say."""
        return [str(self)]
