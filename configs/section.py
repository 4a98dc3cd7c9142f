"""A section of the configuration: frozen, refusing unknown keys, overridden key by key."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict

__all__ = ["Section"]


class Section(BaseModel):
    """Settings that belong together."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def overridden_by(self, stated: Self) -> Self:
        """The same section with every key that `stated` was given explicitly, section by section."""
        update = {}
        for name in stated.model_fields_set:
            own, new = getattr(self, name), getattr(stated, name)
            update[name] = own.overridden_by(new) if isinstance(own, Section) else new
        return self.model_copy(update=update)
