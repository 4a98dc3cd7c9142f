"""A section of the configuration: frozen, refusing unknown keys, overridden key by key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from .validation_errors import translate_errors

__all__ = ["Section"]


class Section(BaseModel):
    """Settings that belong together."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    if not TYPE_CHECKING:  # type checkers know the arguments from the fields

        def __init__(self, /, **settings: Any) -> None:
            try:
                super().__init__(**settings)
            except ValidationError as error:
                raise translate_errors(error, type(self), type(self).__name__) from None

        # Without this mark pydantic calls `__init__` for sections inside a section as well, and
        # their errors would lose the path to them.
        __init__.__pydantic_base_init__ = True

    def overridden_by(self, stated: Self) -> Self:
        """The same section with every key that `stated` was given explicitly, section by
        section.
        """
        update = {}
        for name in stated.model_fields_set:
            old, new = getattr(self, name), getattr(stated, name)
            update[name] = old.overridden_by(new) if isinstance(old, Section) else new
        return self.model_copy(update=update)
