"""What all sections of a recipe share."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class PathOrName:
    """Marks a text field that holds either a path or a name (of a model on the hub, of a template)."""


class Section(BaseModel):
    """A part of the recipe; unknown fields are errors, values are checked on assignment too."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True, protected_namespaces=())
